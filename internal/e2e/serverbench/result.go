package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// result is what the generator said once, and what others have used of the machine meanwhile.
type result struct {
	figures map[string]any
	others  float64
}

func (r result) figure(name string) float64 { v, _ := r.figures[name].(float64); return v }

// cost is the server's CPU time for each of what is counted, in microseconds.
func (r result) cost() float64 { return r.figure("server_cpu") / r.figure(rate) * 1e6 }

func (r result) describe(s scenario) string {
	what := bench.Figure(r.figure(s.figure)) + " B"
	if s.figure == rate {
		what = fmt.Sprintf("%s /s, %.2f µs of CPU each, %.0f %% of the server's core, %.0f %% of the generator's",
			bench.Figure(r.figure(rate)), r.cost(), r.figure("server_cpu")*100, r.figure("loadgen_cpu")*100)
	}
	return fmt.Sprintf("%s, %.0f %% of the machine by others", what, r.others*100)
}

// results are by scenario and server.
type results map[string]map[string][]result

func (all results) add(scenario scenario, server server, r result) {
	if all[scenario.name] == nil {
		all[scenario.name] = map[string][]result{}
	}
	all[scenario.name][server.name] = append(all[scenario.name][server.name], r)
}

// median is NaN for what was not measured.
func (all results) median(scenario scenario, server server, value func(result) float64) float64 {
	var values []float64
	for _, r := range all[scenario.name][server.name] {
		values = append(values, value(r))
	}
	return bench.Median(values)
}

// tables prints the medians in Markdown: what was reached, with how many times the first server's that is; and, since the generator
// may be at its limit before the server is, what that has cost.
func (all results) tables(out io.Writer, scenarios []scenario, servers []server) {
	base := servers[0]
	fmt.Fprintf(out, "| (times %s) | %s |\n", base, strings.ReplaceAll(names(servers), ",", " | "))
	fmt.Fprintln(out, "| ---"+strings.Repeat(" | ---", len(servers))+" |")
	for _, scenario := range scenarios {
		unit := " /s"
		if scenario.figure == memory {
			unit = " B"
		}
		value := func(r result) float64 { return r.figure(scenario.figure) }
		first := all.median(scenario, base, value)
		all.row(out, scenario, servers, value, func(v float64) string {
			return bench.Figure(v) + unit + " (" + bench.Ratio(v, first) + ")"
		})
	}
	for _, table := range []struct {
		title  string
		value  func(result) float64
		format func(float64) string
	}{
		{"CPU time of the server for each", result.cost, func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) + " µs" }},
		{"time until the answer, of which 99 % stay below", func(r result) float64 { return r.figure("p99_us") / 1e3 },
			func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) + " ms" }},
		{"the generator's core was used", func(r result) float64 { return r.figure("loadgen_cpu") },
			func(v float64) string { return strconv.FormatFloat(v*100, 'f', 0, 64) + " %" }},
	} {
		fmt.Fprintf(out, "\n| %s | %s |\n", table.title, strings.ReplaceAll(names(servers), ",", " | "))
		fmt.Fprintln(out, "| ---"+strings.Repeat(" | ---", len(servers))+" |")
		for _, scenario := range scenarios {
			if scenario.figure == rate {
				all.row(out, scenario, servers, table.value, table.format)
			}
		}
	}
}

// row has a cell for each server.
func (all results) row(out io.Writer, scenario scenario, servers []server, value func(result) float64, format func(float64) string) {
	cells := []string{scenario.name}
	for _, server := range servers {
		cell := bench.None
		if v := all.median(scenario, server, value); v == v {
			cell = format(v)
		}
		cells = append(cells, cell)
	}
	fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
}

// about is when and on what this is measured.
func about(ctx context.Context) string {
	all := []string{time.Now().Format("2 January 2006"), fmt.Sprintf("%d cores", runtime.NumCPU()), runtime.GOOS, runtime.Version()}
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(cpuinfo)) {
		if model, ok := strings.CutPrefix(line, "model name"); ok {
			all[1] += " of " + strings.TrimSpace(strings.TrimLeft(model, "\t: "))
			break
		}
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		all[2] += " " + strings.TrimSpace(string(release))
	}
	if node, err := exec.CommandContext(ctx, "node", "--version").Output(); err == nil {
		all = append(all, "Node "+strings.TrimSpace(string(node)))
	}
	return strings.Join(all, ", ")
}
