package socketio

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wheel"
)

// idle is the number of idle workers.
func (p *pool) idle() (n int) {
	for i := range p.shards {
		p.shards[i].mu.Lock()
		n += len(p.shards[i].idle)
		p.shards[i].mu.Unlock()
	}
	return n
}

type runnerFunc func()

func (f runnerFunc) run() { f() }

// Engine rule 9: workers are used again, the idle ones are bounded and end by themselves or with the server.
func TestPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New(wheelTick)
		defer w.Close()
		p := &pool{wheel: w}
		idle := func() int {
			synctest.Wait()
			return p.idle()
		}
		for range 100 {
			p.run(runnerFunc(func() {}))
			if n := idle(); n != 1 {
				t.Fatalf("%d idle workers after one runner at a time", n)
			}
		}

		var wg sync.WaitGroup
		goOn := make(chan struct{})
		for range 2 * maxIdle {
			wg.Add(1)
			p.run(runnerFunc(func() {
				defer wg.Done()
				<-goOn
			}))
		}
		if n := idle(); n != 0 {
			t.Errorf("%d idle workers while all are busy", n)
		}
		close(goOn)
		wg.Wait()
		if n := idle(); n != maxIdle {
			t.Errorf("%d idle workers, the bound is %d", n, maxIdle)
		}

		// One that is needed every now and then stays.
		for range 10 {
			time.Sleep(idlePeriod / 2) // of the bubble's clock, as all of this test's
			p.run(runnerFunc(func() {}))
		}
		if n := idle(); n != 1 {
			t.Errorf("%d idle workers where one is needed", n)
		}
		time.Sleep(3 * idlePeriod)
		if n := idle(); n != 0 {
			t.Errorf("%d idle workers after a while of nothing", n)
		}

		p.run(runnerFunc(func() {}))
		p.run(runnerFunc(func() { time.Sleep(time.Second) }))
		p.close()
		time.Sleep(2 * time.Second)
		ran := false
		p.run(runnerFunc(func() { ran = true }))
		if n := idle(); n != 0 || !ran {
			t.Errorf("%d idle workers after the end, late runner ran: %v", n, ran)
		}
	})
}

// Who finds a shard locked goes on to the next one, to give work away and to wait for it, and no worker is overlooked there later.
func TestPoolWaitsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := wheel.New(wheelTick)
		defer w.Close()
		p := &pool{wheel: w}
		defer p.close()
		ran := 0
		work := func() {
			p.run(runnerFunc(func() { ran++ }))
			synctest.Wait()
		}
		work()
		first, second := &p.shards[0], &p.shards[1]
		first.mu.Lock()
		work()
		if len(first.idle) != 1 || len(second.idle) != 1 || ran != 2 {
			t.Errorf("%d and %d idle workers, %d runners ran", len(first.idle), len(second.idle), ran)
		}
		first.mu.Unlock()
		first.dismiss(1)
		work()
		if n := p.idle(); n != 1 || ran != 3 {
			t.Errorf("%d idle workers, %d runners ran", n, ran)
		}
	})
}

func push(l *lane, e *Event, c *coarse) (start, ok bool) { return l.push(e, e, c) }

// A lane has at most one worker at a time and keeps the order; the last worker is told so, once, and nothing comes after it.
func TestLane(t *testing.T) {
	t.Parallel()
	const events = 10_000
	var l lane
	now := &coarse{wheel: wheel.New(wheelTick)}
	t.Cleanup(now.wheel.Close)
	var inside atomic.Bool
	handled, done := 0, make(chan struct{})
	work := func() {
		for {
			e, last := l.next()
			if last {
				close(done)
			}
			if e == nil {
				return
			}
			if !inside.CompareAndSwap(false, true) {
				t.Error("two workers at a time")
			}
			if handled++; e.name != strconv.Itoa(handled) {
				t.Errorf("event %s is handled as number %d", e.name, handled)
			}
			inside.Store(false)
		}
	}
	for i := range events {
		start, ok := push(&l, &Event{name: strconv.Itoa(i + 1)}, now)
		if !ok {
			t.Fatal("refused before the end")
		}
		if start {
			go work()
		}
	}
	if l.end() {
		go work()
	}
	if start := l.end(); start {
		t.Error("ended twice")
	}
	if _, ok := push(&l, new(Event), now); ok {
		t.Error("an event after the end")
	}
	within(t, done)
	if handled != events {
		t.Errorf("%d events were handled", handled)
	}
}

// Engine rule 9: a line in the log when an event waited for more than a second behind another of its socket.
func TestLateEvent(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	s := &Socket{conn: &conn{server: h.Server}, ns: h.Of("/"), id: "id"}
	s.checkLate(&Event{name: "early", queued: clock() - lateAfter/2})
	s.checkLate(&Event{name: "late", queued: clock() - 2*lateAfter})
	s.checkLate(&Event{name: "more", queued: clock() - 2*lateAfter})
	if log := h.log.String(); strings.Count(log, "waited") != 2 || !strings.Contains(log, "event=late") {
		t.Errorf("log: %s", log)
	}

	var l lane
	first, second := new(Event), new(Event)
	push(&l, first, &h.coarse)
	push(&l, second, &h.coarse)
	if first.queued != 0 || second.queued == 0 {
		t.Error("the wrong event is taken for one that waits")
	}
}
