//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

var scenarios = map[string]func(g *generator, out io.Writer) error{
	"echo":    echo,
	"bcast":   bcast,
	"connect": connect,
	"polling": polling,
	"idle":    idle,
	"hold":    hold,
}

// measure runs the loop until the server is warm, and then for the time that counts.
func (g *generator) measure(each func()) error {
	if err := g.runFor(g.warm, each); err != nil {
		return err
	}
	m := g.beginMeasuring()
	err := g.runFor(g.seconds, each)
	g.endMeasuring(m)
	return err
}

func (g *generator) setUp() error {
	seconds, err := g.connectAll()
	g.out["setup_s"] = seconds
	return err
}

func echo(g *generator, _ io.Writer) error {
	g.out["w"], g.out["size"] = g.window, g.size
	if err := g.setUp(); err != nil {
		return err
	}
	g.repeating = true
	var first []byte
	for _, frame := range g.echoes {
		first = append(first, frame...)
	}
	for _, c := range g.all() {
		c.sent = make([]int64, g.window)
		for slot := range c.sent {
			c.sent[slot] = g.now()
		}
		g.send(c, first)
	}
	return g.measure(nil)
}

func bcast(g *generator, _ io.Writer) error {
	g.out["size"], g.out["depth"] = g.size, g.depth
	if err := g.setUp(); err != nil {
		return err
	}
	const calm = 0.3 // whatever connecting has left to be done
	if err := g.runFor(calm, nil); err != nil {
		return err
	}
	g.caster = g.all()[0]
	for range g.depth {
		g.broadcast()
	}
	err := g.measure(nil)
	g.out["fanout_complete_p50_us"], g.out["fanout_complete_p99_us"] = g.rounds.micros(.5), g.rounds.micros(.99)
	g.out["broadcasts"] = g.rounds.n
	return err
}

func connect(g *generator, _ io.Writer) error {
	return g.measure(func() {
		for g.pending < g.concurrent && g.err == nil {
			g.dial()
		}
	})
}

func polling(g *generator, _ io.Writer) error {
	g.out["size"] = g.size
	for range g.connections {
		g.dial()
	}
	err := g.measure(nil)
	g.out["cycles"] = g.rounds.n
	g.out["cycle_p50_us"], g.out["cycle_p99_us"] = g.rounds.micros(.5), g.rounds.micros(.99)
	g.out["ready"] = g.ready
	return err
}

// idle has three looks at the server's memory: before the connections are there, when they are, and when each has been used.
func idle(g *generator, _ io.Writer) error {
	before, err := g.collect()
	if err != nil {
		return err
	}
	const calm = 0.3
	if err := g.runFor(calm, nil); err != nil {
		return err
	}
	n := float64(g.connections)
	empty, server, own := resident(g.pid), serverCPU(g.pid), ownCPU()
	if err := g.setUp(); err != nil {
		return err
	}
	seconds := g.out["setup_s"].(float64)
	g.out["connects_per_s"] = n / seconds
	g.out["setup_server_cpu_us_per_conn"] = (serverCPU(g.pid) - server) / n * 1e6
	g.out["setup_loadgen_cpu"] = (ownCPU() - own) / seconds
	look := func(when string) error {
		if err := g.runFor(g.settle, nil); err != nil {
			return err
		}
		g.out["rss_per_conn_"+when] = (resident(g.pid) - empty) / n
		after, err := g.collect()
		if err != nil {
			return err
		}
		if err := g.runFor(1, nil); err != nil {
			return err
		}
		g.out["rss_per_conn_"+when+"_gc"] = (resident(g.pid) - empty) / n
		for name, v := range after {
			g.out[when+"_"+name] = (v - before[name]) / n
		}
		if v, ok := after["goroutines"]; ok {
			g.out["goroutines"] = v
		}
		return nil
	}
	if err := look("cold"); err != nil {
		return err
	}
	if err := g.touch(); err != nil {
		return err
	}
	err = look("warm")
	g.out["rss0_mb"] = empty / (1 << 20)
	return err
}

// touch has each connection echo once, some of them at a time.
func (g *generator) touch() error {
	const atATime, patience = 256, 60e9
	all := g.all()
	for i, begin := 0, g.now(); g.acked+g.dead < len(all) && g.err == nil; g.turn() {
		if g.now() > begin+patience {
			return fmt.Errorf("only %d of %d connections were answered", g.acked, len(all))
		}
		for ; i < len(all) && i-g.acked < atATime; i++ {
			all[i].sent = []int64{g.now()}
			g.send(all[i], g.echoes[0])
		}
	}
	return g.err
}

func hold(g *generator, out io.Writer) error {
	if err := g.setUp(); err != nil {
		return err
	}
	g.out["rss_self_kb_ready"] = resident(os.Getpid()) / 1024
	so, err := json.Marshal(g.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "READY %s\n", so)
	own := ownCPU()
	err = g.runFor(g.plan.hold, nil)
	g.out["hold_cpu"] = (ownCPU() - own) / max(g.plan.hold, 1)
	return err
}
