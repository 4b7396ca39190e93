package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ev writes events as go test -json does: "action test" for package p, the rest output.
func ev(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		action, rest, _ := strings.Cut(l, " ")
		test, output, _ := strings.Cut(rest, " ")
		fmt.Fprintf(&b, `{"Action":%q,"Package":"p","Test":%q,"Output":%q}`+"\n", action, test, output)
	}
	return b.String()
}

func TestTally(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in, last string
		ok             bool
		shows          string
	}{
		{"passed", ev("run A", "pass A", "run B", "pass B", "pass"), "2 passed, 0 failed", true, ""},
		{"a parent is not counted beside its subtests",
			ev("run A", "run A/x", "run A/y", "pass A/x", "pass A/y", "pass A", "pass"), "2 passed, 0 failed", true, ""},
		{"a parent is not counted beside subtests of levels below", ev("run A", "run A/x/y", "pass A/x/y", "pass A", "pass"), "1 passed, 0 failed", true, ""},
		{"a package without a test to run is not shown", ev("output  testing: warning: no tests to run\n", "pass", "run A", "pass A", "pass"),
			"1 passed, 0 failed", true, ""},
		{"a failed subtest fails once", ev("run A", "run A/x", "run A/y", "output A/x why\n", "fail A/x", "pass A/y", "fail A", "fail"),
			"1 passed, 1 failed", false, "why\n"},
		{"a parent that fails by itself", ev("run A", "run A/x", "pass A/x", "fail A", "fail"), "1 passed, 1 failed", false, "  p A\n"},
		{"skipped is failed", ev("run A", "output A no browser\n", "skip A", "pass"), "0 passed, 1 failed", false, "no browser\n"},
		{"a package that dies takes its open tests along",
			ev("run A", "pass A", "run B", "run B/x", "output B/x panic: boom\n", "fail"), "1 passed, 1 failed", false, "panic: boom\n"},
		{"a killed process", ev("run A", "pass A", "run B"), "1 passed, 1 failed", false, "unfinished: p B"},
		{"a package that fails without a test", ev("run A", "pass A", "output  FAIL p\n", "fail"), "1 passed, 1 failed", false, "  p\n"},
		{"a package that does not build",
			`{"ImportPath":"p","Action":"build-output","Output":"x.go:1: no\n"}` + "\n" + ev("fail"), "0 passed, 1 failed", false, "x.go:1: no"},
		{"a package without tests is nothing", ev("run A", "pass A", "pass", "skip"), "1 passed, 0 failed", true, ""},
		{"nothing ran", "", "0 passed, 1 failed", false, "no tests"},
		{"a line that is no event is shown", "go: broken\n" + ev("run A", "pass A", "pass"), "1 passed, 0 failed", true, "go: broken\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			tally := newTally(&out, false)
			if err := tally.read(strings.NewReader(tt.in)); err != nil {
				t.Fatal(err)
			}
			if ok := tally.report(); ok != tt.ok {
				t.Errorf("report() = %v", ok)
			}
			if !strings.HasSuffix("\n"+out.String(), "\n"+tt.last+"\n") || !strings.Contains(out.String(), tt.shows) {
				t.Errorf("want %q at the end and %q in:\n%s", tt.last, tt.shows, out.String())
			}
		})
	}
}

func TestTallyQuiet(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tally := newTally(&out, true)
	if err := tally.read(strings.NewReader(ev("run A", "pass A", "output  ok p\n", "pass"))); err != nil {
		t.Fatal(err)
	}
	tally.report()
	if got, want := out.String(), "1 passed, 0 failed\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in    string
		times int
		flags string
		ok    bool
	}{
		{"", 1, "", true},
		{"-race", 1, "-race", true},
		{"-times 20 -race -p=1", 20, "-race -p=1", true},
		{"-times 0", 0, "", false},
		{"-times", 1, "-times", true}, // go test refuses it
		{"./engineio", 0, "", false},
		{"-h", 0, "", false},
	} {
		times, flags, err := arguments(strings.Fields(tt.in))
		if times != tt.times || strings.Join(flags, " ") != tt.flags || (err == nil) != tt.ok {
			t.Errorf("%q: %d, %q, %v", tt.in, times, flags, err)
		}
	}
}
