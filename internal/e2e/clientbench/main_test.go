package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// TestMain is the program itself where compare has started it again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "-serve" || os.Args[1] == "-client") {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// TestCompare has everything measured once, too short to mean anything.
func TestCompare(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	profiles := t.TempDir()
	args := []string{
		"-rounds", "1", "-again", "0", "-wait", "0s", "-connections", "3", "-idle", "20", "-warm", "50ms", "-time", "100ms",
		"-script", "client.mjs", "-profiles", profiles,
	}
	if err := run(t.Context(), args, nil, &out); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{} // of both tables
	for line := range strings.Lines(out.String()) {
		scenario, row, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		rows[scenario] += row
	}
	for _, scenario := range scenarios {
		missing := map[string]int{"poll": 4}[scenario] // raw has none
		if row := rows[scenario]; row == "" || strings.Count(row, bench.None) != missing {
			t.Errorf("%s: %q", scenario, row)
		}
	}
	for _, name := range []string{"perch-c16.cpu.prof", "raw-idle.heap.prof"} {
		if s, err := os.Stat(filepath.Join(profiles, name)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
