package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestMatrix(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tally := newTally(&out, false)
	err := tally.read(strings.NewReader(ev(
		"run TestClients", "run TestClients/4.8.4/polling/a", "pass TestClients/4.8.4/polling/a",
		"run TestClients/4.8.4/polling/b", "fail TestClients/4.8.4/polling/b",
		"run TestClients/2.5.0/upgrade/a|b", "pass TestClients/2.5.0/upgrade/a|b",
		"run TestClients/4.8.4/polling/c/d", "pass TestClients/4.8.4/polling/c/d",
		"run TestClients/2.5.0/upgrade/open",
		"run TestGoClient/node_4.8.4/polling/a", "pass TestGoClient/node_4.8.4/polling/a",
		"run TestGoClient/perch/upgrade/a", "pass TestGoClient/perch/upgrade/a",
		"run TestOther/x/y/z", "pass TestOther/x/y/z", "fail TestClients", "fail",
	)))
	if err != nil {
		t.Fatal(err)
	}
	if tally.report() {
		t.Error("report() = true, though behaviours failed")
	}
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := "JavaScript client transport tried passed\n4.8.4 polling 3 2\n2.5.0 upgrade 2 1\n" +
		"\nserver of the Go client transport tried passed\nnode 4.8.4 polling 1 1\nperch upgrade 1 1\n"
	if got := strings.Join(lines, "\n"); !strings.Contains(got, want) {
		t.Errorf("want\n%sin\n%s", want, got)
	}
}
