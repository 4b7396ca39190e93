package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// twoCores is what a server has whose locks are looked at.
const twoCores = 2

// The profiles say it from both ends: mutex where a lock was let go that others had waited for, block where they have waited.
var profiles = []string{"mutex", "block"}

// locks is how long goroutines of a server of ours wait for its locks, under full load on two cores, as a share of the time that
// these have: the sum of all waiting by the wall clock's time and the number of cores.
func (r *runner) locks(ctx context.Context) error {
	r.watch = watchLocks
	var wanted []scenario
	for _, s := range allScenarios {
		if slices.Contains([]string{"e1", "e16", "b8", "conn", "poll"}, s.name) {
			wanted = append(wanted, s)
		}
	}
	for _, s := range r.servers {
		if s.command[0] != "conformance" {
			return fmt.Errorf("-measure locks is only for servers of ours, not for %s", s)
		}
		s.cores = twoCores
		s.command = append(slices.Clone(s.command), "-profiles")
		scenarios := slices.DeleteFunc(slices.Clone(wanted), func(w scenario) bool { return w.sio && s.mode != "sio" })
		err := r.inTurns(ctx, s.turns(scenarios))
		r.lockTable(s, scenarios)
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) lockTable(s server, scenarios []scenario) {
	percent := func(v float64) string { return with(v*100, " %", decimals(3)) }
	var rows [][]string
	for _, scenario := range scenarios {
		row := []string{
			scenario.name, perSecond(r.all.figure(scenario, s, rate)),
			with(r.all.figure(scenario, s, "server_cpu"), "", decimals(2)),
		}
		for _, kind := range profiles {
			row = append(row, percent(r.all.figure(scenario, s, kind+"_ours")), percent(r.all.figure(scenario, s, kind+"_others")))
		}
		for _, kind := range profiles {
			row = append(row, r.longest(scenario, s, kind))
		}
		rows = append(rows, row)
	}
	head := []string{fmt.Sprintf("%s on %d cores", s, twoCores), "rate", "cores that it used"}
	for _, kind := range profiles {
		head = append(head, kind+": waited for locks of ours, all together", "of others")
	}
	table(r.out, append(head, "let go in (mutex)", "waited in (block)"), rows)
}

// longest names the functions of ours with the longest waits, medians of all rounds.
func (r *runner) longest(scenario scenario, server server, kind string) string {
	const most = 3
	medians := map[string]float64{}
	for _, once := range r.all[scenario.name][server.name] {
		for function := range shares(once, kind) {
			medians[function] = r.all.median(scenario, server, func(r result) float64 { return shares(r, kind)[function] })
		}
	}
	var all []string
	for _, function := range largest(medians, most) {
		if share := medians[function]; share > 0 {
			all = append(all, fmt.Sprintf("`%s` %.3f %%", function, share*100))
		}
	}
	if all == nil {
		return bench.None
	}
	return strings.Join(all, ", ")
}

// shares are of the time that the cores had, by function of ours.
func shares(r result, kind string) map[string]float64 {
	byFunction, _ := r.figures[kind].(map[string]float64)
	return byFunction
}

// watchLocks is what is waited for until it is looked at.
func watchLocks(ctx context.Context, addr string) (look func(map[string]any) error, err error) {
	before := map[string]waits{}
	for _, kind := range profiles {
		if before[kind], err = fetchWaits(ctx, addr, kind); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	return func(figures map[string]any) error {
		all := time.Since(begin).Seconds() * twoCores
		for _, kind := range profiles {
			after, err := fetchWaits(ctx, addr, kind)
			if err != nil {
				return err
			}
			own, others := after.since(before[kind]).locks()
			total := 0.0
			for function := range own {
				own[function] /= all
				total += own[function]
			}
			figures[kind], figures[kind+"_ours"], figures[kind+"_others"] = own, total, others/all
		}
		return nil
	}, nil
}
