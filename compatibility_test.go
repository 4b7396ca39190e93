package perch_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// compatibilityDocuments say of each row of the specification what became of it: S-1 to S-96 are the server's, C-1 to C-20 the
// client's, N-1 to N-47 those of Nest's gateways, the others sections about the wire.
var compatibilityDocuments = []struct {
	file, letter string
	rows         int
	sections     []string
	state        *regexp.Regexp
	verdict      string // what state asks for
}{
	{"docs/compatibility.md", "S", 96, []string{"3.1", "3.2", "3.3", "3.4", "3.6", "3.7"}, stateOfPeer, verdictOfPeer},
	{"docs/client.md", "C", 20, []string{"3.1", "3.4", "3.6"}, stateOfPeer, verdictOfPeer},
	{
		"docs/from-nestjs.md", "N", 47, nil,
		regexp.MustCompile(`^(?:keep(?:[:;,] .+)?|(?:change|drop): .+)$`), "keep, change and how, or drop and what there is instead",
	},
}

var stateOfPeer = regexp.MustCompile(`^(?:yes|\*\*differs\*\*: .+|no: .+)(?:[:;,] .+)?$`)

const verdictOfPeer = "yes, **differs** and how, or no and why"

// scriptSuites compare us with a reference, by scripts whose names begin with the rows that they show and that say which
// differences they know.
var scriptSuites = []struct {
	file, scripts string // as documents name it, and where its scripts are
	document      string
	row           string // a pattern
	differs       string // how a row begins that has a difference
}{
	{"differential.test.mjs", "differential/*.mjs", "docs/compatibility.md", `S-\d+|3\.\d`, "**differs**: "},
	{"nest.test.mjs", "nest.test.mjs", "docs/from-nestjs.md", `N-\d+`, "change: "},
}

// goClientSuite is the witness of the client's rows: a matrix of cases whose names end with the rows that they show.
const goClientSuite = "e2e.TestGoClient"

// compatibilityRow is a line of a table about a peer.
type compatibilityRow struct{ label, feature, state, tests string }

func compatibilityRows(t *testing.T, file string) (list []compatibilityRow) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\| ([SCN]-\d+|3\.\d) \| (.*) \| (.*) \| (.*) \|$`)
	for _, m := range line.FindAllStringSubmatch(readFile(t, file), -1) {
		list = append(list, compatibilityRow{m[1], m[2], m[3], m[4]})
	}
	return list
}

// TestCompatibilityHasEveryRow finds each row of the specification once, with a state and a test.
func TestCompatibilityHasEveryRow(t *testing.T) {
	t.Parallel()
	for _, doc := range compatibilityDocuments {
		times := map[string]int{}
		for _, row := range compatibilityRows(t, doc.file) {
			times[row.label]++
			if !doc.state.MatchString(row.state) {
				t.Errorf("%s: %s: say %s; not %q", doc.file, row.label, doc.verdict, row.state)
			}
			if row.feature == "" || !strings.Contains(row.tests, "`") {
				t.Errorf("%s: %s has no feature, or names no test", doc.file, row.label)
			}
		}
		labels := slices.Clone(doc.sections)
		for i := range doc.rows {
			labels = append(labels, fmt.Sprintf("%s-%d", doc.letter, i+1))
		}
		for _, label := range labels {
			if times[label] != 1 {
				t.Errorf("%s stands in %d rows of %s", label, times[label], doc.file)
			}
			delete(times, label)
		}
		for label := range times {
			t.Errorf("%s has no business in %s", label, doc.file)
		}
	}
}

// TestGoClientShowsItsRows finds a case named after each row of docs/client.md that calls the suite as its witness.
func TestGoClientShowsItsRows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("internal", "e2e", "goclient*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	name := regexp.MustCompile(`"[^"\n]*\((C-\d+(?:, C-\d+)*)\)"`)
	for _, file := range files {
		for _, m := range name.FindAllStringSubmatch(readFile(t, file), -1) {
			for _, label := range strings.Split(m[1], ", ") {
				shown[label] = true
			}
		}
	}
	for _, row := range compatibilityRows(t, "docs/client.md") {
		if strings.HasPrefix(row.label, "C-") && strings.Contains(row.tests, goClientSuite) && !shown[row.label] {
			t.Errorf("%s: no case is named after it", row.label)
		}
	}
}

// scripts is the source of all scripts of a suite.
func scripts(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("internal", "e2e", filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var all strings.Builder
	for _, file := range files {
		all.WriteString(readFile(t, file))
	}
	return all.String()
}

// TestDifferencesAreDocumented finds each difference that a script declares in a row marked so, and a script for each row
// that calls the suite as its witness.
func TestDifferencesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, suite := range scriptSuites {
		source := scripts(t, suite.scripts)
		declared := map[string]bool{}
		for _, m := range regexp.MustCompile(`"(`+suite.row+`): [^"]+"`).FindAllStringSubmatch(source, -1) {
			declared[m[1]] = true
		}
		if len(declared) == 0 {
			t.Fatalf("%s: no difference is declared", suite.file)
		}
		named := regexp.MustCompile("[\"`]((?:" + suite.row + ")(?:, (?:" + suite.row + "))*) ")
		shown := map[string]bool{}
		for _, m := range named.FindAllStringSubmatch(source, -1) {
			for _, label := range strings.Split(m[1], ", ") {
				shown[label] = true
			}
		}
		for _, row := range compatibilityRows(t, suite.document) {
			if declared[row.label] && !strings.HasPrefix(row.state, suite.differs) {
				t.Errorf("%s: a script declares a difference, %s does not", row.label, suite.document)
			}
			delete(declared, row.label)
			if strings.Contains(row.tests, suite.file) && !shown[row.label] {
				t.Errorf("%s: no script is named after it", row.label)
			}
		}
		for label := range declared {
			t.Errorf("%s: a script declares a difference, and %s has no such row", label, suite.document)
		}
	}
}

// TestDocumentedTests finds every test that the documents call as their witness.
func TestDocumentedTests(t *testing.T) {
	t.Parallel()
	dirs := map[string][]string{ // by package name; those of other modules are not listed
		"e2e": {filepath.Join("internal", "e2e")}, "validator": {filepath.Join("contrib", "validator")},
		"perchfx": {filepath.Join("contrib", "fx")},
	}
	for _, line := range goList(t, "linux", "-f", "{{.Name}} {{.Dir}}", "./...") {
		name, dir, _ := strings.Cut(line, " ")
		dirs[name] = append(dirs[name], dir)
	}
	witness := regexp.MustCompile("`(?:([a-z0-9]+)\\.((?:Test|Fuzz)\\w+)|([\\w.-]+\\.test\\.mjs))`")
	files := []string{securityDocument}
	for _, doc := range compatibilityDocuments {
		files = append(files, doc.file)
	}
	var found [][]string
	for _, file := range files {
		of := witness.FindAllStringSubmatch(readFile(t, file), -1)
		if len(of) == 0 {
			t.Errorf("%s names no test", file)
		}
		found = append(found, of...)
	}
	for _, w := range found {
		if script := w[3]; script != "" {
			readFile(t, filepath.Join("internal", "e2e", script))
			continue
		}
		var files []string
		for _, dir := range dirs[w[1]] {
			of, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, of...)
		}
		if !slices.ContainsFunc(files, func(f string) bool { return strings.Contains(readFile(t, f), "\nfunc "+w[2]+"(") }) {
			t.Errorf("there is no test %s.%s", w[1], w[2])
		}
	}
}
