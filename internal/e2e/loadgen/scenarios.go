//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var scenarios = map[string]func(ctx context.Context, g *generator, out io.Writer) error{
	"echo":    echo,
	"bcast":   bcast,
	"connect": connect,
	"polling": polling,
	"idle":    idle,
	"hold":    hold,
}

// measure runs the loop until the server is warm, and then for the time that counts. Each event, if they are due in an open
// loop, makes so many complete.
func (g *generator) measure(between func(), each int) error {
	if err := g.runFor(g.warm, between); err != nil {
		return err
	}
	m := g.beginMeasuring()
	err := g.runFor(g.seconds, between)
	return errors.Join(err, g.endMeasuring(m, each))
}

func (g *generator) setUp() error {
	seconds, err := g.connectAll()
	g.out["setup_s"] = seconds
	g.ring = g.all()
	return err
}

func echo(_ context.Context, g *generator, _ io.Writer) error {
	g.out["w"], g.out["size"] = g.window, g.size
	if err := g.setUp(); err != nil {
		return err
	}
	if g.rate > 0 {
		g.openEcho()
		return g.measure(nil, 1)
	}
	g.repeating = true
	var first []byte
	for _, frame := range g.echoes {
		first = append(first, frame...)
	}
	for i, c := range g.ring {
		c.sent = make([]int64, g.window)
		if g.active > 0 && i >= g.active {
			continue
		}
		for slot := range c.sent {
			c.sent[slot] = g.now()
		}
		g.send(c, first)
	}
	g.turnOf = g.active % len(g.ring)
	return g.measure(nil, 1)
}

func bcast(_ context.Context, g *generator, _ io.Writer) error {
	g.out["size"], g.out["depth"] = g.size, g.depth
	if err := g.setUp(); err != nil {
		return err
	}
	if err := g.stall(); err != nil {
		return err
	}
	const calm = 0.3 // whatever connecting has left to be done
	if err := g.runFor(calm, nil); err != nil {
		return err
	}
	if g.members > 0 {
		if err := g.ask(g.ring[:g.members], g.join); err != nil {
			return err
		}
		for _, c := range g.ring[g.members:] {
			c.outside = true
		}
	}
	g.caster = g.ring[0]
	if g.rate > 0 {
		g.openBroadcasts()
	} else {
		for range g.depth {
			g.broadcast(g.now())
		}
	}
	err := g.measure(nil, g.receivers())
	g.out["fanout_complete_p50_us"], g.out["fanout_complete_p99_us"] = g.rounds.micros(.5), g.rounds.micros(.99)
	g.out["broadcasts"] = g.rounds.n
	if g.stalled == 0 || err != nil {
		return err
	}
	g.out["stalled"], g.out["stalled_cut"] = g.stalled, g.cut
	stats, err := g.tell("/stats")
	if sockets, ok := stats["sockets"]; ok {
		g.out["server_sockets"] = sockets
	}
	return err
}

func connect(_ context.Context, g *generator, _ io.Writer) error {
	return g.measure(func() {
		for g.pending < g.concurrent && g.err == nil {
			g.dial()
		}
	}, 1)
}

func polling(_ context.Context, g *generator, _ io.Writer) error {
	g.out["size"] = g.size
	for range g.connections {
		g.dial()
	}
	err := g.measure(nil, 1)
	g.out["cycles"] = g.rounds.n
	g.out["cycle_p50_us"], g.out["cycle_p99_us"] = g.rounds.micros(.5), g.rounds.micros(.99)
	g.out["ready"] = g.ready
	return err
}

// ask has each connection send a frame that is acked in slot 0, some of them at a time.
func (g *generator) ask(all []*connection, frame []byte) error {
	const atATime, patience = 256, 60e9
	g.acked = 0
	for i, begin := 0, g.now(); g.acked+g.dead < len(all) && g.err == nil; g.turn() {
		if g.now() > begin+patience {
			return fmt.Errorf("only %d of %d connections were answered", g.acked, len(all))
		}
		for ; i < len(all) && i-g.acked < atATime; i++ {
			all[i].sent = []int64{g.now()}
			g.send(all[i], frame)
		}
	}
	return g.err
}
