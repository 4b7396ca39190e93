package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// result is one measurement, printed by a client process. The JavaScript client prints the same.
type result struct {
	Events  float64 `json:"events"`  // events, or connections, in that time
	Seconds float64 `json:"seconds"` // how long it was measured
	CPU     float64 `json:"cpu"`     // the client's, in seconds
	Server  float64 `json:"server"`  // the server's, as a share of one core
	Bytes   float64 `json:"bytes"`   // of memory for each connection; only for idle
	Others  float64 `json:"-"`       // what others have used of the machine meanwhile
}

func (r result) rate() float64   { return r.Events / r.Seconds }
func (r result) bytes() float64  { return r.Bytes }
func (r result) server() float64 { return r.Server }

// cost is the client's CPU time for each event, in microseconds.
func (r result) cost() float64 { return r.CPU / r.Events * 1e6 }

func (r result) String() string {
	what := bench.Figure(r.Bytes) + " B"
	if r.Bytes == 0 {
		what = fmt.Sprintf("%s /s, %.2f µs of CPU each, %.0f %% of the client's core, %.0f %% of the server's",
			bench.Figure(r.rate()), r.cost(), r.CPU/r.Seconds*100, r.Server*100)
	}
	return fmt.Sprintf("%s, %.0f %% of the machine by others", what, r.Others*100)
}

// results are by scenario and client.
type results map[string]map[string][]result

// tables prints the medians in Markdown: what was reached and, since the server's core may be full before the client's is, what
// that has cost.
func (all results) tables(out io.Writer, scenarios []string) {
	fmt.Fprintln(out, "| | JavaScript | Perch | raw | times JavaScript | times raw |")
	fmt.Fprintln(out, "| --- | --- | --- | --- | --- | --- |")
	for _, scenario := range scenarios {
		value, unit := result.rate, " /s"
		if scenario == "idle" {
			value, unit = result.bytes, " B"
		}
		cells := all.row(scenario, value, func(v float64) string { return bench.Figure(v) + unit })
		perch := median(all[scenario]["perch"], value)
		for _, other := range []string{"js", "raw"} {
			cells = append(cells, bench.Ratio(perch, median(all[scenario][other], value)))
		}
		fmt.Fprintf(out, "| %s | %s |\n", scenario, strings.Join(cells, " | "))
	}
	fmt.Fprintln(out, "\n| CPU time of the client for each | JavaScript | Perch | raw | the server's core was used |")
	fmt.Fprintln(out, "| --- | --- | --- | --- | --- |")
	for _, scenario := range scenarios {
		if scenario == "idle" {
			continue
		}
		costs := all.row(scenario, result.cost, func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) + " µs" })
		shares := all.row(scenario, result.server, func(v float64) string { return strconv.FormatFloat(v*100, 'f', 0, 64) + " %" })
		fmt.Fprintf(out, "| %s | %s | %s |\n", scenario, strings.Join(costs, " | "), strings.Join(shares, ", "))
	}
}

// row has a cell for each client.
func (all results) row(scenario string, value func(result) float64, format func(float64) string) (cells []string) {
	for _, name := range clients {
		cell := bench.None
		if rs := all[scenario][name]; len(rs) > 0 {
			cell = format(median(rs, value))
		}
		cells = append(cells, cell)
	}
	return cells
}

func median(rs []result, value func(result) float64) float64 {
	var all []float64
	for _, r := range rs {
		all = append(all, value(r))
	}
	return bench.Median(all)
}
