package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build's output
	Test       string
	Output     string
}

// name is one test of one package; of the package itself, if test is empty.
type name struct{ pkg, test string }

func (n name) String() string {
	if n.test == "" {
		return n.pkg
	}
	return n.pkg + " " + n.test
}

// tally counts tests and shows what go test would have shown. It is not safe for
// concurrent use.
type tally struct {
	out   io.Writer
	quiet bool // show failures only

	output  map[name][]string // of what has not ended yet
	parents map[name]bool     // tests that have subtests
	passed  []name            // parents included, until a package ends
	broken  map[name]bool     // failed, or has a subtest that failed
	count   int               // passed tests of the packages that have ended
	failed  []string
	matrix  matrix
}

func newTally(out io.Writer, quiet bool) *tally {
	t := &tally{out: out, quiet: quiet}
	t.reset()
	return t
}

// reset forgets what is kept about single tests.
func (t *tally) reset() {
	t.output = map[name][]string{}
	t.parents = map[name]bool{}
	t.broken = map[name]bool{}
	t.passed = nil
}

// read takes the events of one go test.
func (t *tally) read(r io.Reader) error {
	defer t.reset()
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(t.out, "%s", line) // not ours: show it
			} else {
				t.add(e)
			}
		}
		if err == io.EOF {
			t.settle("")
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) add(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "run":
		for i, c := range e.Test { // every level: some are no tests themselves
			if c == '/' {
				t.parents[name{e.Package, e.Test[:i]}] = true
			}
		}
		t.output[n] = []string{}
	case "output":
		if e.Test == "" {
			t.packageOutput(e.Output)
		} else {
			t.output[n] = append(t.output[n], e.Output)
		}
	case "pass":
		if e.Test == "" {
			t.settle(e.Package)
			return
		}
		t.passed = append(t.passed, n)
		t.matrix.add(n.test, true)
		delete(t.output, n)
	case "skip":
		if e.Test != "" { // a package without tests is skipped, too
			t.failTest(n, "skipped: ")
		}
	case "fail":
		if e.Test != "" {
			t.failTest(n, "")
			return
		}
		t.settle(e.Package)
		if !t.broken[n] {
			t.fail(n.String(), "")
		}
	}
}

// packageOutput shows go test's line about a package.
func (t *tally) packageOutput(line string) {
	if t.quiet && !strings.HasPrefix(line, "FAIL") && !strings.HasPrefix(line, "panic") {
		return
	}
	if line != "PASS\n" && !strings.Contains(line, "[no test files]") && !strings.Contains(line, "no tests to run") {
		fmt.Fprint(t.out, line)
	}
}

// failTest counts a failed test, unless one of its subtests has been counted for it.
func (t *tally) failTest(n name, why string) {
	for _, line := range t.output[n] {
		fmt.Fprint(t.out, line)
	}
	delete(t.output, n)
	t.matrix.add(n.test, false)
	if !t.broken[n] {
		t.failed = append(t.failed, why+n.String())
	}
	t.broken[name{n.pkg, ""}] = true
	for i := strings.LastIndexByte(n.test, '/'); i >= 0; i = strings.LastIndexByte(n.test, '/') {
		n.test = n.test[:i]
		t.broken[n] = true
	}
}

// settle ends a package, or all of them: what is still open died with its process,
// and of what passed the tests without subtests count.
func (t *tally) settle(pkg string) {
	var open []name
	for n := range t.output {
		if n.pkg == pkg || pkg == "" {
			open = append(open, n)
		}
	}
	slices.SortFunc(open, func(a, b name) int { return strings.Compare(b.String(), a.String()) }) // subtests first
	for _, n := range open {
		t.failTest(n, "unfinished: ")
	}
	t.passed = slices.DeleteFunc(t.passed, func(n name) bool {
		ended := n.pkg == pkg || pkg == ""
		if ended && !t.parents[n] {
			t.count++
		}
		return ended
	})
}

// fail counts a failure that is no test's.
func (t *tally) fail(what, why string) {
	if why != "" {
		what += ": " + why
	}
	t.failed = append(t.failed, what)
}

func (t *tally) failures() int { return len(t.failed) }

// report writes the summary and tells whether all is well. A run without a single
// test is not.
func (t *tally) report() bool {
	if t.count == 0 && len(t.failed) == 0 {
		t.fail("no tests", "")
	}
	t.matrix.write(t.out)
	if len(t.failed) > 0 {
		fmt.Fprintln(t.out, "\nfailed:")
	}
	for _, f := range t.failed {
		fmt.Fprintln(t.out, "  "+f)
	}
	fmt.Fprintf(t.out, "%d passed, %d failed\n", t.count, len(t.failed))
	return len(t.failed) == 0
}
