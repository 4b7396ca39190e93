package perch_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rows are the rows of the specification, S-1 to S-96.
const rows = 96

// scriptFile is the suite that compares us with the reference; its scripts are in the directory beside it.
const scriptFile = "differential.test.mjs"

// compatibilityRow is a line of a table of docs/compatibility.md about Socket.IO.
type compatibilityRow struct{ label, feature, state, tests string }

func compatibilityRows(t *testing.T) (list []compatibilityRow) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\| (S-\d+|3\.\d) \| (.*) \| (.*) \| (.*) \|$`)
	for _, m := range line.FindAllStringSubmatch(readFile(t, "docs/compatibility.md"), -1) {
		list = append(list, compatibilityRow{m[1], m[2], m[3], m[4]})
	}
	return list
}

// TestCompatibilityHasEveryRow finds each row of the specification once, with a state and a test.
func TestCompatibilityHasEveryRow(t *testing.T) {
	t.Parallel()
	times := map[string]int{}
	state := regexp.MustCompile(`^(?:yes|\*\*differs\*\*: .+|no: .+)(?:[:;,] .+)?$`)
	for _, row := range compatibilityRows(t) {
		times[row.label]++
		if !state.MatchString(row.state) {
			t.Errorf("%s: say yes, **differs** and how, or no and why; not %q", row.label, row.state)
		}
		if row.feature == "" || !strings.Contains(row.tests, "`") {
			t.Errorf("%s has no feature or names no test", row.label)
		}
	}
	for i := 1; i <= rows; i++ {
		if label := fmt.Sprint("S-", i); times[label] != 1 {
			t.Errorf("%s stands in %d rows of docs/compatibility.md", label, times[label])
		}
		delete(times, fmt.Sprint("S-", i))
	}
	for _, label := range []string{"3.1", "3.2", "3.3", "3.4", "3.6", "3.7"} {
		if times[label] != 1 {
			t.Errorf("%s stands in %d rows of docs/compatibility.md", label, times[label])
		}
	}
	for label := range times {
		if strings.HasPrefix(label, "S-") {
			t.Errorf("there is no %s in the specification", label)
		}
	}
}

// scripts is the source of all scripts of the differential suite.
func scripts(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("internal", "e2e", "differential", "*.mjs"))
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
	source := scripts(t)
	declared := map[string]bool{}
	for _, m := range regexp.MustCompile(`"(S-\d+|3\.\d): [^"]+"`).FindAllStringSubmatch(source, -1) {
		declared[m[1]] = true
	}
	if len(declared) == 0 {
		t.Fatal("no difference is declared")
	}
	named := regexp.MustCompile("[\"`](S-\\d+|3\\.\\d) ")
	shown := map[string]bool{}
	for _, m := range named.FindAllStringSubmatch(source, -1) {
		shown[m[1]] = true
	}
	for _, row := range compatibilityRows(t) {
		if declared[row.label] && !strings.HasPrefix(row.state, "**differs**: ") {
			t.Errorf("%s: a script declares a difference, docs/compatibility.md does not", row.label)
		}
		delete(declared, row.label)
		if strings.Contains(row.tests, scriptFile) && !shown[row.label] {
			t.Errorf("%s: no script is named after it", row.label)
		}
	}
	for label := range declared {
		t.Errorf("%s: a script declares a difference, and docs/compatibility.md has no such row", label)
	}
}

// TestDocumentedTests finds every test that docs/compatibility.md calls as its witness.
func TestDocumentedTests(t *testing.T) {
	t.Parallel()
	dirs := map[string][]string{"e2e": {filepath.Join("internal", "e2e")}} // by package name
	for _, line := range goList(t, "linux", "-f", "{{.Name}} {{.Dir}}", "./...") {
		name, dir, _ := strings.Cut(line, " ")
		dirs[name] = append(dirs[name], dir)
	}
	witness := regexp.MustCompile("`(?:([a-z]+)\\.(Test\\w+)|([\\w.-]+\\.test\\.mjs))`")
	found := witness.FindAllStringSubmatch(readFile(t, "docs/compatibility.md"), -1)
	if len(found) == 0 {
		t.Fatal("no test is named")
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
