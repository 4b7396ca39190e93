//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
)

// stall opens the connections that stop reading. Each asks for more than fits into all buffers between it and the server, which
// therefore has some of it on its hands from the start: it would take a broadcast minutes to get there.
func (g *generator) stall() error {
	if g.stalled == 0 {
		return nil
	}
	const patience, calm, fill = 30e9, 0.3, 16 << 20
	// The system would take megabytes of them, and then drop what is too much rather than close the window.
	g.receive = 16 << 10
	var all []*connection
	for range g.stalled {
		if all = append(all, g.dial()); g.err != nil {
			return g.err
		}
	}
	begin := g.now()
	for ; g.pending > 0 && g.err == nil; g.turn() {
		if g.now() > begin+patience {
			return errors.New("those that are to stall do not connect")
		}
	}
	for _, c := range all {
		c.stalls = true
		g.watch(syscall.EPOLL_CTL_MOD, c, 0)
		asked := bytes.Repeat(g.echoes[0], fill/len(g.echoes[0]))
		if g.members > 0 {
			asked = append(bytes.Clone(g.join), asked...)
		}
		g.send(c, asked)
	}
	// What the server does not take any more is left here.
	left := func() (n int) {
		for _, c := range all {
			n += len(c.out)
		}
		return n
	}
	for before := -1; left() != before; {
		if g.now() > begin+patience {
			return errors.New("the server never stops to take what those ask for that do not read")
		}
		before = left()
		if err := g.runFor(calm, nil); err != nil {
			return err
		}
	}
	g.out["stalled_left"] = left() // 0 from a server without bounds
	if g.cut > 0 {
		return fmt.Errorf("of %d connections that do not read the server has ended %d before there was a broadcast", len(all), g.cut)
	}
	return nil
}
