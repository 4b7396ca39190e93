//go:build linux

package main

import "math"

// schedule is when events are due in an open loop, whatever became of those before. Their times count from then on and not from
// when they were sent: a server that does not keep up delays what is to be sent to it, too.
type schedule struct {
	due      func(n int) int64                           // when the nth is; nil in a closed loop
	emit     func(n int, due int64) bool                 // false if that has to wait, and all that follows with it
	waiting  func(incomplete func(due int64, times int)) // tells what was sent and is not complete
	released int
	from, to int64     // what was due meanwhile is measured
	lag      histogram // from when that was due until it was sent
}

const mostPerSecond = 10e6

// open begins an open loop.
func (g *generator) open(emit func(n int, due int64) bool, waiting func(incomplete func(due int64, times int))) {
	start, interval := g.now(), 1e9/g.rate
	g.due = func(n int) int64 { return start + int64(float64(n)*interval) }
	g.emit, g.waiting = emit, waiting
	g.acked, g.complete = 0, 0
	g.from, g.to = math.MaxInt64, math.MaxInt64 // nothing yet
}

// pause is how many milliseconds the loop may wait for something to do. The last one before an event is due is not waited for:
// the system is not that punctual.
func (g *generator) pause() int {
	const moment = 20
	if g.due == nil {
		return moment
	}
	return int(min(max(g.due(g.released)-g.now(), 0)/1e6, moment))
}

// release sends what is due. In a closed loop that is nothing.
func (g *generator) release() {
	if g.due == nil {
		return
	}
	const atATime = 256 // or nobody reads
	for range atATime {
		due, now := g.due(g.released), g.now()
		if due > now || due >= g.to || !g.emit(g.released, due) {
			return
		}
		g.released++
		if due >= g.from && due < g.to {
			g.lag.add(now - due)
		}
	}
}

// took is how long something has that is complete: in a closed loop that counts if it is complete while the server is measured,
// in an open one if it was due then.
func (g *generator) took(h *histogram, from, now int64) {
	if g.due == nil && g.measuring || g.due != nil && from >= g.from && from < g.to {
		h.add(now - from)
	}
}

// finish waits for what was due while the server was measured. What is not complete after that has taken as long as it has so
// far. Each event makes so many complete.
func (g *generator) finish(seconds float64, each int) error {
	const (
		patience = 2e9
		keepsUp  = 0.98
		edges    = 2 // an event is under way when it begins, or when it ends
	)
	asked := g.rate * float64(each)
	g.out["asked"] = asked
	g.out["behind"] = float64(g.count)+edges*float64(each) < keepsUp*asked*seconds
	for end := g.now() + patience; g.now() < end && g.err == nil; g.turn() {
		if g.due(g.released) >= g.to && g.released == g.acked+g.complete {
			break
		}
	}
	now, missing := g.now(), 0
	incomplete := func(due int64, times int) {
		for ; times > 0 && due >= g.from && due < g.to; times-- {
			g.times.add(now - due)
			missing++
		}
	}
	g.waiting(incomplete)
	for n := g.released; g.due(n) < g.to; n++ {
		incomplete(g.due(n), each)
	}
	g.out["unanswered"], g.out["lag_p99_us"] = missing, g.lag.micros(.99)
	return g.err
}

// openEcho has events due on one connection after another.
func (g *generator) openEcho() {
	for _, c := range g.ring {
		c.sent = make([]int64, g.window)
	}
	g.open(func(n int, due int64) bool {
		c, slot := g.ring[n%len(g.ring)], n/len(g.ring)%g.window
		if c.state == ready && c.sent[slot] != 0 {
			return false // as many as may be in flight on it
		}
		if c.state == ready {
			c.sent[slot] = due
		}
		g.send(c, g.echoes[slot])
		return true
	}, func(incomplete func(due int64, times int)) {
		for _, c := range g.ring {
			for _, due := range c.sent {
				incomplete(due, 1)
			}
		}
	})
}

// openBroadcasts has broadcasts due.
func (g *generator) openBroadcasts() {
	g.open(func(_ int, due int64) bool {
		if g.cast-g.complete == inFlight {
			return false
		}
		g.broadcast(due)
		return true
	}, func(incomplete func(due int64, times int)) {
		for n := g.complete; n < g.cast; n++ {
			i := n % inFlight
			incomplete(g.castAt[i], g.receivers()-int(g.delivered[i]))
		}
	})
}
