package perch_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/perch-go/perch"

// room is one package of the core and what it may know of the others.
type room struct {
	path string   // within the module; "" is perch itself
	may  []string // packages of ours it may import, "test X" for its tests alone
}

// house is the one direction of import: a room may import only rooms further down,
// and of those only the ones it names. A new package gets a row here; a row that
// would point upwards is a sign that something belongs in another room.
var house = []room{
	{"examples/chat", []string{"", "event", "plainws", "test perchtest", "test client"}},
	{"perchtest", []string{"", "client", "event", "internal/payload", "internal/stream", "internal/unit", "socketio", "socketio/adapter", "socketio/parser", "test plainws"}},
	{"plainws", []string{"socketio", "socketio/parser", "internal/jsonscan", "test ", "test client", "test engineio", "test event", "test socketio/parser/msgpack"}},
	{"client", []string{"client/internal/engine", "event", "internal/payload", "socketio/parser", "test ", "test socketio", "test socketio/parser/msgpack", "test engineio", "test internal/stream"}},
	{"", []string{"event", "internal/payload", "internal/nspattern", "internal/unit", "socketio", "socketio/adapter", "engineio", "test socketio/adapter/cluster", "test socketio/parser", "test socketio/parser/msgpack"}},
	{"internal/unit", []string{"socketio", "socketio/adapter", "engineio"}},
	{"socketio", []string{"socketio/adapter", "socketio/parser", "engineio", "internal/wheel", "internal/coding", "internal/nspattern", "test internal/stream", "test socketio/adapter/cluster", "test socketio/parser/msgpack"}},
	{"socketio/adapter/cluster", []string{"socketio/adapter", "socketio/parser", "internal/msgpack", "internal/inbox", "internal/wheel", "test socketio/adapter/adaptertest"}},
	{"socketio/adapter/adaptertest", []string{"socketio/adapter", "socketio/parser"}},
	{"socketio/adapter", []string{"socketio/parser", "internal/inbox"}},
	{"internal/payload", []string{"event", "socketio/parser"}},
	{"socketio/parser/msgpack", []string{"socketio/parser", "internal/msgpack"}},
	{"socketio/parser", []string{"internal/jsonscan"}},
	{"client/internal/engine", []string{"test engineio", "test internal/stream"}},
	{"internal/compliance/autobahn", []string{"internal/compliance"}},
	{"internal/compliance", []string{"engineio", "test internal/stream"}},
	{"engineio", []string{"internal/stream", "internal/wsframe", "internal/wheel", "internal/coding"}},
	{"event", nil},
	{"internal/msgpack", []string{"internal/jsonscan"}},
	{"internal/jsonscan", nil},
	{"internal/stream", nil},
	{"internal/wsframe", nil},
	{"internal/coding", nil},
	{"internal/wheel", nil},
	{"internal/inbox", nil},
	{"internal/nspattern", nil},
	{"internal/runtests", nil},
	{"internal/guardproof", nil},
}

// foreign names the modules of others that a build of the core may contain, and the
// rooms that may import them. Whoever imports Perch compiles these and no more.
var foreign = map[string][]string{
	"github.com/go-json-experiment/json": {"socketio/parser", "internal/msgpack"},
	"github.com/tinylib/msgp":            {"socketio/parser/msgpack", "internal/msgpack"},
	"github.com/coder/websocket":         {"client/internal/engine", "perchtest"},
	"github.com/gobwas/ws":               {"internal/wsframe"},
	"golang.org/x/sys":                   {"internal/stream"},
	"github.com/gobwas/httphead":         {}, // of gobwas/ws
	"github.com/philhofer/fwd":           {}, // of tinylib/msgp
}

// foreignInTests may be imported by any test, and by nothing else.
var foreignInTests = []string{"go.uber.org/goleak", "github.com/coder/websocket"}

// imports is what go list knows of one package.
type imports struct {
	path        string
	build, test []string
}

// TestImports holds the core to its one direction of import and to its allow-list, on
// each of the systems that pick other files.
func TestImports(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			t.Parallel()
			for _, v := range checkImports(house, foreign, foreignInTests, listImports(t, goos)) {
				t.Error(v)
			}
			for _, v := range checkModules(foreign, listModules(t, goos)) {
				t.Error(v)
			}
		})
	}
	for _, v := range checkHouse(house) {
		t.Error(v)
	}
}

// checkHouse finds rows that point upwards, or at nothing.
func checkHouse(house []room) (found []string) {
	for i, r := range house {
		for _, to := range r.may {
			to = strings.TrimPrefix(to, "test ")
			if !slices.ContainsFunc(house[i+1:], func(below room) bool { return below.path == to }) {
				found = append(found, fmt.Sprintf("the row of %q names %q, which is not below it", r.path, to))
			}
		}
	}
	return found
}

// checkImports finds arrows the house does not allow, packages without a row and rows
// without a package.
func checkImports(house []room, foreign map[string][]string, foreignInTests []string, pkgs []imports) (found []string) {
	known := slices.AppendSeq(append([]string{modulePath}, foreignInTests...), maps.Keys(foreign))
	rooms := map[string]room{}
	for _, r := range house {
		rooms[r.path] = r
	}
	for _, p := range pkgs {
		from := within(p.path)
		r, ok := rooms[from]
		if !ok {
			found = append(found, fmt.Sprintf("%q has no row in the house", from))
			continue
		}
		delete(rooms, from)
		for _, to := range slices.Concat(p.build, p.test) {
			switch module := moduleOf(to, known); {
			case module == "": // the standard library
			case module == modulePath:
				test := !slices.Contains(p.build, to)
				if to := within(to); to != from && !slices.Contains(r.may, to) && !(test && slices.Contains(r.may, "test "+to)) {
					found = append(found, fmt.Sprintf("%q may not import %q", from, to))
				}
			case slices.Contains(foreign[module], from):
			case slices.Contains(foreignInTests, module) && !slices.Contains(p.build, to):
			default:
				found = append(found, fmt.Sprintf("%q may not import %s", from, to))
			}
		}
	}
	for path := range rooms {
		found = append(found, fmt.Sprintf("the row of %q has no package", path))
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// checkModules finds modules that are not on the allow-list.
func checkModules(foreign map[string][]string, modules []string) (found []string) {
	for _, m := range modules {
		if _, ok := foreign[m]; !ok && m != modulePath {
			found = append(found, fmt.Sprintf("the core's build contains %s, which is not on its allow-list", m))
		}
	}
	return found
}

// within is a package's path inside the module.
func within(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, modulePath), "/")
}

// moduleOf is the one of the known modules that an imported package is of: "" for the
// standard library, the package's own path for a module that is not known.
func moduleOf(path string, known []string) string {
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return ""
	}
	for _, m := range known {
		if path == m || strings.HasPrefix(path, m+"/") {
			return m
		}
	}
	return path
}

// listImports reads the direct imports of each package of the core.
func listImports(t *testing.T, goos string) (pkgs []imports) {
	t.Helper()
	const format = `{{.ImportPath}}|{{join .Imports " "}}|{{join .TestImports " "}} {{join .XTestImports " "}}`
	for _, line := range goList(t, goos, "-f", format, "./...") {
		f := strings.Split(line, "|")
		pkgs = append(pkgs, imports{f[0], strings.Fields(f[1]), strings.Fields(f[2])})
	}
	return pkgs
}

// listModules reads which modules a build of the core contains, tests not counted.
func listModules(t *testing.T, goos string) []string {
	t.Helper()
	modules := goList(t, goos, "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./...")
	slices.Sort(modules)
	return slices.Compact(modules)
}

// goList runs go list as somebody sees the core who has no go.work.
func goList(t *testing.T, goos string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOOS="+goos)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" })
}

// TestImportsChecker shows that the checks above find what they are for.
func TestImportsChecker(t *testing.T) {
	t.Parallel()
	rooms := []room{{"top", []string{"mid", "test low"}}, {"mid", []string{"low"}}, {"low", nil}}
	allowed := map[string][]string{"golang.org/x/sys": {"low"}}
	const own = modulePath + "/"
	good := []imports{
		{own + "top", []string{"net/http", own + "mid"}, []string{"testing", "go.uber.org/goleak", own + "top", own + "low"}},
		{own + "mid", []string{own + "low"}, nil},
		{own + "low", []string{"golang.org/x/sys/unix"}, nil},
	}
	for _, tt := range []struct {
		name   string
		change func([]imports) []imports
		want   string
	}{
		{"nothing wrong", func(p []imports) []imports { return p }, ""},
		{"up", func(p []imports) []imports { p[2].build = []string{own + "top"}; return p }, `"low" may not import "top"`},
		{"up in a test", func(p []imports) []imports { p[2].test = []string{own + "mid"}; return p }, `"low" may not import "mid"`},
		{"past a floor", func(p []imports) []imports { p[0].build = []string{own + "low"}; return p }, `"top" may not import "low"`},
		{"no row", func(p []imports) []imports { return append(p, imports{path: own + "new"}) }, `"new" has no row`},
		{"no package", func(p []imports) []imports { return p[:2] }, `row of "low" has no package`},
		{"a module in another room", func(p []imports) []imports { p[1].build = []string{"golang.org/x/sys/unix"}; return p }, `"mid" may not import golang.org/x/sys/unix`},
		{"an unknown module", func(p []imports) []imports { p[2].build = []string{"example.com/x"}; return p }, `"low" may not import example.com/x`},
		{"an unknown module in a test", func(p []imports) []imports { p[2].test = []string{"example.com/x"}; return p }, `"low" may not import example.com/x`},
		{"a test's module in the build", func(p []imports) []imports { p[2].build = foreignInTests[:1]; return p }, `"low" may not import go.uber.org/goleak`},
		{"a name that only begins alike", func(p []imports) []imports { p[2].build = []string{"golang.org/x/system"}; return p }, `"low" may not import golang.org/x/system`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			expect(t, checkImports(rooms, allowed, foreignInTests, tt.change(slices.Clone(good))), tt.want)
		})
	}
	expect(t, checkHouse(rooms), "")
	expect(t, checkHouse([]room{{"low", []string{"top"}}, {"top", nil}, {"mid", []string{"top"}}}), `"mid" names "top"`)
	expect(t, checkHouse([]room{{"top", []string{"none"}}}), `"top" names "none"`)
	expect(t, checkModules(allowed, []string{modulePath, "golang.org/x/sys"}), "")
	expect(t, checkModules(allowed, []string{"golang.org/x/sys", "example.com/x"}), "contains example.com/x")
}

// expect wants exactly one finding that contains want, or none if want is empty.
func expect(t *testing.T, found []string, want string) {
	t.Helper()
	if want == "" && len(found) == 0 || want != "" && len(found) == 1 && strings.Contains(found[0], want) {
		return
	}
	t.Errorf("found %q, want %q", found, want)
}
