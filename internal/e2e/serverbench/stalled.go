package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// stalled is what one member that does not read costs the others, for each server: broadcasts that are due at half of the rate
// that it manages, without such a member and with one, in turns. A server of ours is also measured with so small a budget that
// the member is disconnected meanwhile.
func (r *runner) stalled(ctx context.Context) error {
	if err := bench.EnoughFiles(r.audience + 1); err != nil {
		return err
	}
	for _, s := range r.servers {
		if s.mode != "sio" {
			return fmt.Errorf("-measure stalled is only for servers of Socket.IO, not for %s", s)
		}
		if err := r.stalledOf(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) stalledOf(ctx context.Context, s server) error {
	flags := fmt.Sprintf("-scenario bcast -size %d", r.payload)
	capacity := scenario{name: "capacity", flags: flags, figure: rate, connections: r.audience}
	if err := r.inTurns(ctx, s.turns([]scenario{capacity})); err != nil {
		return err
	}
	const longer = 3 // than else: there are only a few broadcasts a second
	due := r.all.figure(capacity, s, rate) / float64(r.audience) / 2
	without := scenario{
		name: "all read", flags: fmt.Sprintf("%s -rate %.4f", flags, due), figure: rate, connections: r.audience, time: longer,
	}
	held := without
	held.name, held.flags = "one stalls", held.flags+" -stalled 1"
	turns := s.turns([]scenario{without, held})
	if s.command[0] == "conformance" {
		cut := held
		cut.name = fmt.Sprintf("one stalls, at most %d bytes may be queued for each", r.outbound)
		small := s
		small.command = append(slices.Clone(s.command), "-outbound", fmt.Sprint(r.outbound))
		turns = append(turns, turn{cut, small})
	}
	err := r.inTurns(ctx, turns)
	var rows [][]string
	for _, turn := range turns {
		figure := func(name string) float64 { return r.all.figure(turn.scenario, s, name) }
		p99 := func(t scenario) float64 { return r.all.figure(t, s, "p99_us") }
		row := []string{
			turn.name, perSecond(figure(rate)) + r.behind(turn.scenario, s), micros(r.all.median(turn.scenario, s, result.cost)),
			millis(figure("p50_us")), millis(figure("p99_us")), millis(figure("max_us")), bench.Ratio(p99(turn.scenario), p99(without)),
			millis(figure("fanout_complete_p50_us")) + ", " + millis(figure("fanout_complete_p99_us")), millis(figure("lag_p99_us")), bench.None,
		}
		if sockets := figure("server_sockets"); sockets > 0 {
			row[len(row)-1] = "held, " + fmt.Sprint(sockets) + " sockets at the end"
			if figure("stalled_cut") > 0 {
				row[len(row)-1] = "disconnected, " + fmt.Sprint(sockets) + " sockets at the end"
			}
		}
		rows = append(rows, row)
	}
	table(r.out, []string{
		fmt.Sprintf("broadcasts of %d bytes to %d sockets of %s, %.1f /s due, half of what it manages", r.payload, r.audience, s, due),
		"delivered", "CPU time each", "p50", "p99", "max", "times the first p99", "until the last one has it, p50 and p99",
		"p99 of the generator's own delay", "the one that stalls is",
	}, rows)
	return err
}
