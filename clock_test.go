package perch_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wallClock are the calls that make a time one of the wall clock, which can be set, and where they may stand.
var wallClock = map[string][]string{
	"UnixMilli": {
		"engineio/handshake.go", "socketio/adapter/info.go", // when a client came, for people to read
		"socketio/adapter/cluster/session.go", // see cluster.Recovering.expiry
		// The clock of a process that has ended is of no use to the next one.
		"socketio/adapter/statecodec.go", "socketio/recovery_state.go",
		"client/internal/engine/config.go", // a parameter that keeps caches away
	},
	"Unix": {
		"internal/msgpack/date.go",  // a date in a message
		"internal/stream/stream.go", // a deadline that has passed whatever the time
	},
	"UTC":       {"internal/msgpack/date.go", "socketio/adapter/info.go"},
	"UnixNano":  nil,
	"UnixMicro": nil,
	"Round":     {"socketio/recovery_state.go"},
	"Truncate":  nil,
	"Date":      nil,
}

// What is measured and awaited follows the monotonic clock, so that one that is set, by an hour or a leap second, changes nothing:
// no time of the core is taken apart or made of numbers but in the places listed.
func TestWallClock(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." || path == "examples" || path == "internal/e2e" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "adaptertest") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		timed := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"time"` })
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !timed {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			name := sel.Sel.Name
			places, listed := wallClock[name]
			if !listed {
				return true
			}
			if used[name+" "+path] = true; !slices.Contains(places, filepath.ToSlash(path)) {
				t.Errorf("%s calls %s: measure with time.Since and time.Until, which setting the clock does not change", path, name)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, places := range wallClock {
		for _, path := range places {
			if !used[name+" "+path] {
				t.Errorf("%s does not call %s any more", path, name)
			}
		}
	}
}
