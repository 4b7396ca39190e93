package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// TestHostile has every attack come once, too short to mean anything: nothing is lost, but times are whatever they are.
func TestHostile(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	args := append(slices.Clone(short), "-measure", "hostile", "-time", "600ms", "-enemies", "50")
	err := run(t.Context(), args, &out)
	all := rows(out.String())
	for _, a := range attacks {
		if row := all[a.Name]; len(row) != 9 || slices.Contains(row, bench.None) || row[0] == "0" || row[8] != "0" {
			t.Errorf("%s: %q, %v in\n%s", a, row, err, out.String())
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	r := &runner{plan: &plan{enemies: 10}}
	figures := func(p99, unanswered float64) map[string]any {
		return map[string]any{"p99_us": p99, "unanswered": unanswered}
	}
	for name, tt := range map[string]struct {
		d    disturbedBy
		want string
	}{
		"well":     {disturbedBy{assaulted: assaulted{Connections: 10}, calm: figures(10, 0), attacked: figures(29, 0)}, ""},
		"slow":     {disturbedBy{assaulted: assaulted{Connections: 10}, calm: figures(10, 0), attacked: figures(30, 0)}, "3.0 times the undisturbed one"},
		"lost":     {disturbedBy{assaulted: assaulted{Connections: 10}, calm: figures(10, 0), attacked: figures(10, 1)}, "1 honest events were lost"},
		"too few":  {disturbedBy{assaulted: assaulted{Connections: 9}, calm: figures(10, 0), attacked: figures(10, 0)}, "only 9 hostile connections"},
		"measured": {disturbedBy{assaulted: assaulted{Connections: 10}, calm: figures(0, 0), attacked: figures(0, 0)}, "NaN times"},
	} {
		err := r.judge([]disturbedBy{tt.d})
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
