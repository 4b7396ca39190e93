package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// growth is how cost grows, of each server by itself: with connections at half of the capacity, with connections in one process,
// and with members of a room. What was measured before something failed is printed, too.
func (r *runner) growth(ctx context.Context) error {
	if err := bench.EnoughFiles(slices.Max(slices.Concat(r.half, r.connected, r.rooms))); err != nil {
		return err
	}
	for _, s := range r.servers {
		if s.mode == "raw" {
			return fmt.Errorf("%s has no rooms, so choose other -servers for growth", s)
		}
		for _, part := range []func(context.Context, server) error{r.growthAtHalf, r.growthOfConnections, r.growthOfRooms} {
			if err := part(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// growthAtHalf has more and more connections share half of the events that the server can handle.
func (r *runner) growthAtHalf(ctx context.Context, s server) error {
	capacity := scenario{name: "capacity", flags: "-scenario echo -w 1 -size 32", figure: rate}
	if err := r.inTurns(ctx, s.turns([]scenario{capacity})); err != nil {
		return err
	}
	full := r.all.figure(capacity, s, rate)
	var scenarios []scenario
	for _, n := range r.half {
		// The window is more than can be in flight unless the server does not keep up.
		flags := fmt.Sprintf("-scenario echo -w 64 -size 32 -rate %.0f", full/2)
		// What many connections bring when all have their first event takes a while to be caught up with.
		const warm = 5
		scenarios = append(scenarios, scenario{name: fmt.Sprintf("half/%d", n), flags: flags, figure: rate, connections: n, warm: warm})
	}
	err := r.inTurns(ctx, s.turns(scenarios))
	cost := func(n int) float64 { return r.all.median(scenarios[n], s, result.cost) }
	var rows [][]string
	for i, scenario := range scenarios {
		rows = append(rows, []string{
			bench.Figure(float64(r.half[i])), perSecond(r.all.figure(scenario, s, rate)) + r.behind(scenario, s),
			micros(cost(i)), bench.Ratio(cost(i), cost(0)), millis(r.all.figure(scenario, s, "p50_us")),
			millis(r.all.figure(scenario, s, "p99_us")), millis(r.all.figure(scenario, s, "max_us")), millis(r.all.figure(scenario, s, "lag_p99_us")),
		})
	}
	table(r.out, []string{
		fmt.Sprintf("connections of %s, %s due together, half of what %d get", s, perSecond(full/2), r.connections),
		"answered", "CPU time each", "times the first", "p50", "p99", "max", "p99 of the generator's own delay",
	}, rows)
	return err
}

// atOnce is how many connections have an event in flight at a time, however many there are.
const atOnce = 100

// growthOfConnections has more and more of them in one process.
func (r *runner) growthOfConnections(ctx context.Context, s server) error {
	var scenarios []scenario
	for _, n := range r.connected {
		scenarios = append(scenarios,
			scenario{name: fmt.Sprintf("e1/%d", n), flags: fmt.Sprintf("-scenario echo -w 1 -size 32 -active %d", atOnce), figure: rate, connections: n},
			scenario{name: fmt.Sprintf("idle/%d", n), flags: "-scenario idle -conc 128", figure: memory, connections: n})
	}
	err := r.inTurns(ctx, s.turns(scenarios))
	var rows [][]string
	for i, n := range r.connected {
		echo, idle := scenarios[2*i], scenarios[2*i+1]
		row := []string{
			bench.Figure(float64(n)), perSecond(r.all.figure(echo, s, rate)), micros(r.all.median(echo, s, result.cost)),
			bench.None, bench.None, micros(1e6 / r.all.figure(idle, s, "connects_per_s")), bench.None,
		}
		if v := r.all.figure(idle, s, "goroutines"); v > 0 {
			row[4] = bench.Figure(v)
		}
		const tells = 1000 // with fewer the process's own memory and the clock's ticks are all there is
		if n >= tells {
			row[3] = inBytes(r.all.figure(idle, s, memory))
			row[6] = micros(r.all.figure(idle, s, "setup_server_cpu_us_per_conn"))
		}
		rows = append(rows, row)
	}
	table(r.out, []string{
		fmt.Sprintf("connections of %s, at most %d with an event in flight", s, atOnce),
		"answered", "CPU time each", "resident each, idle", "goroutines", "time to connect each", "CPU time of that",
	}, rows)
	return err
}

// growthOfRooms has more and more of those connected join the room.
func (r *runner) growthOfRooms(ctx context.Context, s server) error {
	depths, connected := []int{1, 8}, slices.Max(r.rooms)
	var scenarios []scenario
	for _, n := range r.rooms {
		for _, depth := range depths {
			scenarios = append(scenarios, scenario{
				name:  fmt.Sprintf("b%d/%d", depth, n),
				flags: fmt.Sprintf("-scenario bcast -size 32 -depth %d -members %d", depth, n), figure: rate, connections: connected,
			})
		}
	}
	err := r.inTurns(ctx, s.turns(scenarios))
	var rows [][]string
	for i, n := range r.rooms {
		row := []string{bench.Figure(float64(n))}
		for j := range depths {
			b := scenarios[len(depths)*i+j]
			row = append(row, perSecond(r.all.figure(b, s, rate)), micros(r.all.median(b, s, result.cost)),
				millis(r.all.figure(b, s, "fanout_complete_p50_us"))+", "+millis(r.all.figure(b, s, "fanout_complete_p99_us")))
		}
		rows = append(rows, row)
	}
	head := []string{fmt.Sprintf("members of a room of %s, %s connected", s, bench.Figure(float64(connected)))}
	for _, depth := range depths {
		head = append(head, fmt.Sprintf("b%d: delivered", depth), "CPU time each", "until the last one has it, p50 and p99")
	}
	table(r.out, head, rows)
	return err
}

// behind tells in how many rounds the server did not keep up with an open loop.
func (r *runner) behind(scenario scenario, server server) string {
	n, all := 0, r.all[scenario.name][server.name]
	for _, once := range all {
		if late, _ := once.figures["behind"].(bool); late {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (behind in %d of %d rounds)", n, len(all))
}

// figure is the median of what the generator says.
func (all results) figure(scenario scenario, server server, name string) float64 {
	return all.median(scenario, server, func(r result) float64 { return r.figure(name) })
}
