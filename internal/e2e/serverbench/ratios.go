package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// A round of the others is so many slices of ratios.
const slicesOfRound = 6

// ratios measures rates like compare, but in short slices of servers that stay, each of which takes its turn every few seconds. Its
// ratios are those of slices that stand side by side, so a machine that is fast for a minute and slow for the next one, as a
// guest of a shared one is, does not change them.
func (r *runner) ratios(ctx context.Context) error {
	r.time /= slicesOfRound
	r.warm /= slicesOfRound / 2
	for _, scenario := range r.scenarios {
		if scenario.figure != rate {
			continue
		}
		if err := r.slices(ctx, scenario); err != nil {
			return fmt.Errorf("%s: %w", scenario, err)
		}
	}
	head := func(title string) []string { return append([]string{title}, strings.Split(names(r.servers), ",")...) }
	columns := []struct {
		title string
		value func(scenario, server) string
	}{
		{"times " + r.servers[0].name + ", and the middle half", func(s scenario, v server) string {
			return quartiles(r.all.sideBySide(s, v, r.servers[0]))
		}},
		{"rate", func(s scenario, v server) string {
			return perSecond(r.all.median(s, v, func(r result) float64 { return r.figure(rate) }))
		}},
		{"CPU time of the server for each", func(s scenario, v server) string {
			return with(r.all.median(s, v, result.cost), " µs", decimals(2))
		}},
	}
	for _, column := range columns {
		var rows [][]string
		for _, scenario := range r.scenarios {
			if len(r.all[scenario.name]) == 0 {
				continue
			}
			row := []string{scenario.name}
			for _, server := range r.servers {
				row = append(row, column.value(scenario, server))
			}
			rows = append(rows, row)
		}
		table(r.out, head(column.title), rows)
	}
	return nil
}

// slices starts the servers and measures them in turns.
func (r *runner) slices(ctx context.Context, what scenario) (err error) {
	running := map[string]*process{}
	defer func() {
		for _, p := range running {
			p.stop()
		}
	}()
	var servers []server
	for _, s := range r.servers {
		if what.sio && s.mode != "sio" {
			continue
		}
		if running[s.name], err = s.start(ctx, r.places); err != nil {
			delete(running, s.name)
			return err
		}
		servers = append(servers, s)
	}
	for slice := range r.rounds * slicesOfRound {
		for _, s := range servers {
			p := running[s.name]
			ctx, cancel := context.WithTimeout(ctx, r.warm+r.time+patience)
			figures, _, err := r.load(ctx, s, r.generator(what, s.mode, p.addr, p.cmd.Process.Pid))
			cancel()
			if err != nil {
				return fmt.Errorf("%s: %w\nthe server said: %s", s, err, p.complaints.Bytes())
			}
			once := result{figures: figures}
			r.all.add(what, s, once)
			fmt.Fprintf(os.Stderr, "slice %d: %-5s %-5s %s\n", slice+1, what, s, once.describe(what))
		}
	}
	return nil
}

// sideBySide are the ratios of rates within each slice.
func (all results) sideBySide(what scenario, s, base server) (ratios []float64) {
	first := all[what.name][base.name]
	for i, once := range all[what.name][s.name] {
		ratios = append(ratios, once.figure(rate)/first[i].figure(rate))
	}
	return ratios
}

// quartiles writes the median and what the middle half lies between.
func quartiles(values []float64) string {
	if len(values) == 0 {
		return bench.None
	}
	sorted := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 { return sorted[int(share*float64(len(sorted)-1)+.5)] }
	return fmt.Sprintf("%.2f (%.2f–%.2f)", bench.Median(values), at(.25), at(.75))
}
