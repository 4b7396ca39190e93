package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Weather is a plain value: what happens to a proxy's links at random. Each zero field has the default that it names.
type Weather struct {
	// Seed says what happens, in which order and after which pauses; to which links depends on who is there.
	Seed uint64
	// Pause is the mean time between two faults. 0 is 50 ms.
	Pause time.Duration
	// Delay is the longest time that bytes are held back. 0 is a second.
	Delay time.Duration
	// Stall is how long half-open links stay so. It should be longer than heartbeats take to find out. 0 is ten seconds.
	Stall time.Duration
	// Refuse is the longest time for which nobody can connect. 0 is half a second.
	Refuse time.Duration
	// Inside is the largest number of bytes after which a link is cut inside of a message. 0 is 2,000. It is none at all every
	// third time: then what comes next is lost, an answer for instance.
	Inside int
}

// fault is one thing that happens.
type fault struct {
	kind    kind
	pause   time.Duration // before it
	abrupt  bool
	way     Direction
	wait    time.Duration
	bytes   int
	newborn bool    // to the next link rather than to one that is there
	where   float64 // which of those that are there
}

type kind uint8

const (
	cut kind = iota
	cutInside
	delay
	stall
	refuse
)

// mix is how often each kind occurs, of the sum.
var mix = []struct {
	kind   kind
	weight int
}{{cut, 20}, {cutInside, 20}, {delay, 35}, {stall, 20}, {refuse, 5}}

func (f fault) String() string {
	return fmt.Sprintf("%s way=%d abrupt=%t wait=%v bytes=%d newborn=%t",
		[...]string{"cut", "cut inside", "delay", "stall", "refuse"}[f.kind], f.way, f.abrupt, f.wait, f.bytes, f.newborn)
}

func (w Weather) withDefaults() Weather {
	w.Pause = cmp.Or(w.Pause, 50*time.Millisecond)
	w.Delay = cmp.Or(w.Delay, time.Second)
	w.Stall = cmp.Or(w.Stall, 10*time.Second)
	w.Refuse = cmp.Or(w.Refuse, 500*time.Millisecond)
	w.Inside = cmp.Or(w.Inside, 2000)
	return w
}

// faults are what happens, for ever.
func (w Weather) faults() func() fault {
	rng := rand.New(rand.NewPCG(w.Seed, 0))
	total := 0
	for _, m := range mix {
		total += m.weight
	}
	upTo := func(d time.Duration) time.Duration { return 1 + time.Duration(rng.Int64N(int64(d))) }
	return func() fault {
		// Every field is drawn every time, so that a fault's kind does not change what follows.
		f := fault{
			pause:   min(time.Duration(rng.ExpFloat64()*float64(w.Pause)), 5*w.Pause),
			abrupt:  rng.IntN(2) == 0,
			way:     Direction(1 + rng.IntN(3)),
			bytes:   rng.IntN(w.Inside),
			newborn: rng.IntN(4) == 0,
			where:   rng.Float64(),
		}
		if rng.IntN(3) == 0 {
			f.bytes = 0
		}
		n := rng.IntN(total)
		for _, m := range mix {
			if n < m.weight {
				f.kind = m.kind
				break
			}
			n -= m.weight
		}
		delayed, refused := upTo(w.Delay), upTo(w.Refuse)
		switch f.kind {
		case delay:
			f.wait = delayed
		case refuse:
			f.wait = refused
		case stall:
			f.wait = w.Stall
		}
		return f
	}
}

// Over has it happen to p until ctx ends. Then the proxy is calm again, but for links that are half-open.
func (w Weather) Over(ctx context.Context, p *Proxy) {
	defer p.Calm()
	next := w.withDefaults().faults()
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for ctx.Err() == nil {
		f := next()
		timer.Reset(f.pause)
		select {
		case <-timer.C:
			f.strike(p)
		case <-ctx.Done():
		}
	}
}

// strike does it to the link that it is meant for; to nobody if there is none.
func (f fault) strike(p *Proxy) {
	if f.kind == refuse {
		p.Refuse(f.wait)
		return
	}
	if f.newborn {
		p.Next(f.hit)
		return
	}
	if links := p.Links(); len(links) > 0 {
		f.hit(links[int(f.where*float64(len(links)))])
	}
}

func (f fault) hit(l *Link) {
	switch f.kind {
	case cut:
		l.Cut(f.abrupt)
	case cutInside:
		l.CutAfter(f.way, f.bytes, f.abrupt)
	case delay:
		l.Delay(f.way, f.wait)
	case stall:
		l.Stall(f.way, f.wait)
	}
}
