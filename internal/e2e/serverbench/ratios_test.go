package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch/internal/e2e/bench"
)

func TestRatios(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	args := append(slices.Clone(short), "-measure", "ratios", "-scenarios", "e1,poll,idle", "-servers", "perch,wire")
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	got := rows(out.String())
	if row := got["e1"]; len(row) != 2*3 || !strings.HasPrefix(row[0], "1.00 (1.00–1.00)") || slices.Contains(row, bench.None) {
		t.Errorf("%q in\n%s", row, out.String())
	}
	if row := got["poll"]; len(row) != 2*3 || row[0] == bench.None || row[1] != bench.None {
		t.Errorf("%q in\n%s", row, out.String())
	}
	if row := got["idle"]; row != nil {
		t.Errorf("%q: memory is not measured in slices", row)
	}
}

// A machine that is slow for a while is slow for all who are measured then: the ratio stays.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	all, what, a, b := results{}, allScenarios[0], server{name: "a"}, server{name: "b"}
	for _, speed := range []float64{10, 10, 1, 1, 1, 10, 10} {
		all.add(what, a, result{figures: map[string]any{rate: speed * 100}})
		all.add(what, b, result{figures: map[string]any{rate: speed * 300}})
	}
	if got := quartiles(all.sideBySide(what, b, a)); got != "3.00 (3.00–3.00)" {
		t.Errorf("got %s", got)
	}
	if got := quartiles([]float64{5, 1, 3, 2, 4}); got != "3.00 (2.00–4.00)" {
		t.Errorf("got %s", got)
	}
}
