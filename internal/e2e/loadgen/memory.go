//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// looks are at the server's memory, which was this before there were connections.
type looks struct {
	*generator
	resident float64
	said     map[string]float64
}

// fill opens the connections and tells what that took.
func (g *generator) fill() (l *looks, err error) {
	l = &looks{generator: g}
	if l.said, err = g.collect(); err != nil {
		return nil, err
	}
	const calm = 0.3
	if err := g.runFor(calm, nil); err != nil {
		return nil, err
	}
	l.resident = resident(g.pid)
	server, own := bench.CPUTime(g.pid), ownCPU()
	if err := g.setUp(); err != nil {
		return nil, err
	}
	n, seconds := float64(g.connections), g.out["setup_s"].(float64)
	g.out["connects_per_s"] = n / seconds
	g.out["setup_server_cpu_us_per_conn"] = (bench.CPUTime(g.pid) - server) / n * 1e6
	g.out["setup_loadgen_cpu"] = (ownCPU() - own) / seconds
	g.out["rss0_mb"] = l.resident / (1 << 20)
	return l, nil
}

// look tells what there is for each connection, before and after a collection.
func (l *looks) look(when string) error {
	n := float64(l.connections)
	if err := l.runFor(l.settle, nil); err != nil {
		return err
	}
	l.out["rss_per_conn_"+when] = (resident(l.pid) - l.resident) / n
	after, err := l.collect()
	if err != nil {
		return err
	}
	if err := l.runFor(1, nil); err != nil {
		return err
	}
	l.out["rss_per_conn_"+when+"_gc"] = (resident(l.pid) - l.resident) / n
	for name, v := range after {
		l.out[when+"_"+name] = (v - l.said[name]) / n
	}
	if v, ok := after["goroutines"]; ok {
		l.out["goroutines"] = v
	}
	return nil
}

// idle has three looks: before the connections are there, when they are, and when each has been used.
func idle(_ context.Context, g *generator, _ io.Writer) error {
	l, err := g.fill()
	if err != nil {
		return err
	}
	if err := l.look("cold"); err != nil {
		return err
	}
	if err := g.ask(g.ring, g.echoes[0]); err != nil {
		return err
	}
	return l.look("warm")
}

func hold(ctx context.Context, g *generator, out io.Writer) error {
	l, err := g.fill()
	if err != nil {
		return err
	}
	if err := g.ask(g.ring, g.echoes[0]); err != nil {
		return err
	}
	if err := l.look("warm"); err != nil {
		return err
	}
	g.out["rss_self_kb_ready"] = resident(os.Getpid()) / 1024
	so, err := json.Marshal(g.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "READY %s\n", so)
	own, server, begin := ownCPU(), bench.CPUTime(g.pid), g.now()
	for _, c := range g.ring {
		c.pings = 0
	}
	for end := begin + int64(g.plan.hold*1e9); g.now() < end && ctx.Err() == nil && g.err == nil; {
		g.turn()
	}
	seconds := float64(g.now()-begin) / 1e9
	g.out["held_s"] = seconds
	g.out["hold_cpu"], g.out["hold_server_cpu"] = (ownCPU()-own)/max(seconds, 1), (bench.CPUTime(g.pid)-server)/max(seconds, 1)
	held, fewest := 0, math.MaxInt
	for _, c := range g.ring {
		held += c.pings
		fewest = min(fewest, c.pings)
	}
	g.out["hold_pings"], g.out["hold_fewest_pings"] = held, fewest
	return g.err
}
