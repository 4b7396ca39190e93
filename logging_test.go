package perch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Issue 6, "compile-out debugging": what is logged at debug level is put together only if that level is on, everywhere.
func TestDebugLinesAreGuarded(t *testing.T) {
	t.Parallel()
	lines := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || path == "examples" || path == filepath.Join("internal", "e2e")):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		found, bare := debugLines(file)
		lines += found
		for _, at := range bare {
			t.Errorf("%v: Debug without asking for the level", files.Position(at))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if lines == 0 {
		t.Error("no Debug was found at all")
	}
}

// debugLines counts the calls of a method Debug, and finds those that are in no if that asks for the level.
func debugLines(file *ast.File) (found int, bare []token.Pos) {
	var stack []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		if method(n) != "Debug" && method(n) != "DebugContext" {
			return true
		}
		found++
		for _, outer := range stack {
			if i, ok := outer.(*ast.IfStmt); ok && asksForLevel(i.Cond) {
				return true
			}
		}
		bare = append(bare, n.Pos())
		return true
	})
	return found, bare
}

func asksForLevel(cond ast.Expr) (asks bool) {
	ast.Inspect(cond, func(n ast.Node) bool {
		asks = asks || method(n) == "Enabled" || method(n) == "debugs"
		return true
	})
	return asks
}

// method is the name of the method that n calls.
func method(n ast.Node) string {
	if call, ok := n.(*ast.CallExpr); ok {
		if s, ok := call.Fun.(*ast.SelectorExpr); ok {
			return s.Sel.Name
		}
	}
	return ""
}
