package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var root = filepath.Join("..", "..")

// TestGuardsAreThere finds the text of every guard where it is to be.
func TestGuardsAreThere(t *testing.T) {
	t.Parallel()
	for _, g := range guards {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(g.file)))
		if err != nil {
			t.Error(err)
			continue
		}
		if without, err := g.without(string(source)); err != nil {
			t.Errorf("%s, %s: %v", g.row, g.what, err)
		} else if without == string(source) {
			t.Errorf("%s, %s: nothing is taken out", g.row, g.what)
		}
	}
}

// TestEveryRowHasAGuard finds a guard for each row of docs/security.md that does not say that there is nothing to guard, and the
// test of each guard in its row.
func TestEveryRowHasAGuard(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{} // tests by label
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|:]+): [^|]+ \| ([^|]+) \| [^|]+ \| ([^|]+) \|$`).FindAllStringSubmatch(string(page), -1) {
		if !strings.HasPrefix(m[2], "n/a: ") {
			rows[m[1]] = m[3]
		}
	}
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	guarded := map[string]bool{}
	for _, g := range guards {
		guarded[g.row] = true
		if !strings.Contains(rows[g.row], "`"+g.test+"`") {
			t.Errorf("%s, %s: docs/security.md does not name %s", g.row, g.what, g.test)
		}
	}
	for label := range rows {
		if !guarded[label] {
			t.Errorf("%s has no guard", label)
		}
	}
}

// TestWithout finds guards that are not there, or there twice.
func TestWithout(t *testing.T) {
	t.Parallel()
	g := guard{file: "x.go", cuts: []cut{{"a", "b"}}}
	if got, err := g.without("xay"); got != "xby" || err != nil {
		t.Error(got, err)
	}
	for _, source := range []string{"", "aa"} {
		if got, err := g.without(source); err == nil {
			t.Errorf("%q became %q", source, got)
		}
	}
}

// TestTake tells a test that notices from one that does not, and both from code that does not build.
func TestTake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/x\n",
		"x.go":   "package x\n\nfunc f() int { return 1 }\n\nfunc g() int { return 2 }\n",
		"x_test.go": "package x\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) {\n\tif f() != 1 {\n\t\tt.Error(f())\n\t}\n}\n" +
			"\nfunc TestG(t *testing.T) { g() }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ old, new, test, want string }{
		{"return 1", "return 0", "x.TestF", "fails"},
		{"return 2", "return 0", "x.TestG", "DOES NOT NOTICE"},
		{"return 1", "return nothing", "x.TestF", "does not build"},
		{"return 1", "return 0", "x.TestNone", "does not build"},
		{"return 3", "return 0", "x.TestF", "was not run"},
	} {
		v := take(dir, map[string]string{"x": dir}, guard{file: "x.go", cuts: []cut{{tt.old, tt.new}}, test: tt.test})
		if !strings.HasPrefix(v.say, tt.want) || (v.err == nil) != (tt.want == "fails") {
			t.Errorf("%s without %s: %s, %v", tt.test, tt.old, v.say, v.err)
		}
	}
}
