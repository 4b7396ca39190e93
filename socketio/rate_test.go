package socketio

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
)

// A bucket: so many at once, then one for each interval, and never more than it holds.
func TestRate(t *testing.T) {
	t.Parallel()
	for _, r := range []Rate{
		{}, {Burst: 3}, {PerSecond: -1}, {PerSecond: math.NaN()}, {PerSecond: math.Inf(1)}, {PerSecond: 2e6}, {PerSecond: 1, Burst: -1},
		{PerSecond: 1e-12}, {PerSecond: 1, Burst: math.MaxInt},
	} {
		if _, err := NewRateLimit(r); err == nil {
			t.Errorf("%+v is accepted", r)
		}
	}
	for r, burst := range map[Rate]int{
		{PerSecond: 10, Burst: 4}: 4, {PerSecond: 10}: 10, {PerSecond: 0.5}: 1, {PerSecond: 3}: 3, {PerSecond: 0.01, Burst: 2}: 2, {PerSecond: 1e6, Burst: 1000}: 1000,
	} {
		l, err := NewRateLimit(r)
		if err != nil {
			t.Fatal(err)
		}
		interval := time.Duration(float64(time.Second) / r.PerSecond)
		m, now := new(meter), -time.Hour // the clock may begin anywhere
		spend := func() (n int) {
			for {
				ok, row := m.take(l, now)
				if !ok {
					if row != 1 {
						t.Errorf("%+v: %d in a row", r, row)
					}
					return n
				}
				n++
			}
		}
		if n := spend(); n != burst {
			t.Errorf("%+v: %d at once", r, n)
		}
		if _, row := m.take(l, now); row != 2 {
			t.Errorf("%+v: %d in a row", r, row)
		}
		for _, after := range []int{1, 3, burst, 100 * burst} {
			now += time.Duration(after) * interval
			if n := spend(); n != min(after, burst) {
				t.Errorf("%+v: %d after %d intervals", r, n, after)
			}
		}
	}
}

// slow is a rate that gives nothing back while a test lasts.
func slow(burst int) Rate { return Rate{PerSecond: 1e-3, Burst: burst} }

const tooMany = `[{"status":"error","code":"RATE_LIMITED","message":"too many events"}]`

// Security 5.2, "Event flood": what is beyond the rate is not handled, and said to be so. A client's sockets share the rate, and
// joining again gains it nothing.
func TestEventRate(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{EventRate: slow(5)}})
	handled := make(chan string, 100)
	for _, name := range []string{"/", "/chat"} {
		h.Of(name).Handle("x", func(ctx context.Context, e *Event) {
			handled <- e.Socket().Namespace().Name()
			echo(ctx, e)
		})
		h.Of(name).OnAny(func(context.Context, *Event) { handled <- "any" })
	}
	c, other := h.dial(t), h.dial(t)
	c.connect("/", "") // 1
	c.send(`20["x",1]`, `21["x",2]`)
	c.expect("30[1]", "31[2]")
	c.connect("/chat", "") // 4
	c.send(`2/chat,0["x",1]`, `2/chat,1["x",2]`)
	c.expect("3/chat,0[1]", "3/chat,1"+tooMany)
	c.send(`22["x",3]`, `2["unknown"]`, `51-3["x",{"_placeholder":true,"num":0}]`, []byte("a"))
	c.expect("32"+tooMany, "33"+tooMany)
	c.send("1/chat,", "0/chat,")
	c.expect(`4/chat,{"message":"too many events"}`)
	if s := h.Stats(); s.EventsRefused != 5 || s.Refused != 1 || s.RatesExceeded != 0 {
		t.Errorf("%+v", s)
	}
	other.connect("/", "") // each by itself
	other.send(`20["x",1]`)
	other.expect("30[1]")
	if n := len(handled); n != 8 {
		t.Errorf("%d calls of handlers", n)
	}
	c.close()
	other.close()
	eventually(t, "nothing is remembered", func() bool {
		n := 0
		h.meters.Range(func(_, _ any) bool { n++; return true })
		return n == 0 && h.Engine().Sessions() == 0
	})
}

// Tokens come back with the time, and a refused event is not one.
func TestEventRateRecovers(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{EventRate: Rate{PerSecond: 50, Burst: 1}, MaxExcesses: 1_000_000}})
	h.Of("/").Handle("x", echo)
	c := h.dial(t)
	c.connect("/", "")
	eventually(t, "one is let through", func() bool {
		c.send(`20["x"]`)
		return c.next() == "30[]"
	})
	c.send(`21["x"]`)
	c.expect("31" + tooMany)
	eventually(t, "another one is", func() bool {
		c.send(`20["x"]`)
		return c.next() == "30[]"
	})
}

// A client that goes on and on is disconnected, so that it does not come back by itself; others stay.
func TestMaxExcesses(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{EventRate: slow(3), MaxExcesses: 4}, Recovery: &Recovery{}})
	h.Of("/").Handle("x", echo)
	h.Of("/chat")
	left, leftChat := leavings(h.Of("/")), leavings(h.Of("/chat"))
	c, other := h.dial(t), h.dial(t)
	c.enter("")
	c.send("0/chat,")
	c.next() // its answer
	other.enter("")
	c.send(`20["x"]`, `21["x"]`, `22["x"]`, `23["x"]`)
	c.expect("30[]", "31"+tooMany, "32"+tooMany, "33"+tooMany)
	c.send(`24["x"]`, `25["x"]`)
	a, b := c.next(), c.next()
	if (a != "1" || b != "1/chat,") && (a != "1/chat," || b != "1") {
		t.Errorf("told %q and %q", a, b)
	}
	c.expectEnd()
	for _, left := range []<-chan Reason{left, leftChat} {
		if r := within(t, left); r != ReasonRateLimited {
			t.Errorf("left because of %q", r)
		}
	}
	if s := h.Stats(); s.EventsRefused != 4 || s.RatesExceeded != 1 || s.Kept.Sessions != 0 {
		t.Errorf("%+v", s)
	}
	if n := h.Engine().Stats().Closed[engineio.Reason(ReasonRateLimited)]; n != 1 {
		t.Errorf("%d sessions were closed because of it", n)
	}
	other.send(`20["x"]`)
	other.expect("30[]")
}

// HandleExcess is called instead of the event's handlers, also of a namespace that a parent has made.
func TestHandleExcess(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{EventRate: slow(2)}})
	p := h.ofPattern(t, "/room/{id}")
	p.Handle("x", func(context.Context, *Event) { t.Error("handled") })
	p.OnError(func(context.Context, *Event, error) { t.Error("an error") })
	off := p.HandleExcess(func(_ context.Context, e *Event) { _ = e.Ack("slow down", e.Name()) })
	errs := make(chan error, 1)
	h.Of("/").OnError(func(_ context.Context, _ *Event, err error) { errs <- err })
	c := h.dial(t)
	c.connect("/", "")
	c.connect("/room/1", "")
	c.send(`2/room/1,5["x"]`)
	c.expect(`3/room/1,5["slow down","x"]`)
	off()
	p.OnError(func(context.Context, *Event, error) {})
	c.send(`2["x"]`)
	if err := within(t, errs); err != ErrRateLimited {
		t.Error(err)
	}
}

// A RateLimit is for some events, and each has its own bucket.
func TestRateLimitMiddleware(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{MaxExcesses: 3}})
	n := h.Of("/")
	left := leavings(n)
	for _, name := range []string{"x", "y", "z"} {
		n.Handle(name, echo)
	}
	one, err := NewRateLimit(slow(1))
	if err != nil {
		t.Fatal(err)
	}
	two, err := NewRateLimit(slow(3))
	if err != nil {
		t.Fatal(err)
	}
	n.UseEvent(one.Middleware("x", "y"))
	n.UseEvent(two.Middleware())
	c := h.dial(t)
	c.connect("/", "")
	c.send(`20["x"]`, `21["y"]`, `22["z"]`, `23["z"]`, `24["z"]`, `25["x"]`)
	c.expect("30[]", "31"+tooMany, "32[]", "33[]", "34"+tooMany, "35"+tooMany)
	c.send(`26["x"]`) // the third in a row of the first limit
	c.expectEnd("1")
	if r := within(t, left); r != ReasonRateLimited {
		t.Errorf("left because of %q", r)
	}
}

// A plain client is told by events with the id, and by the code when it has gone on.
func TestPlainEventRate(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{Limits: Limits{EventRate: slow(1), MaxExcesses: 2}})
	h.Of("/").Handle("x", echo)
	left := leavings(h.Of("/"))
	c := h.dialPlain(t, "/ws")
	frame := func(id int) string { return fmt.Sprintf(`{"event":"x","data":1,"id":%d}`, id) }
	c.send(frame(1))
	c.expect(`{"id":1,"data":1}`)
	c.send(frame(2))
	c.expect(`{"id":2,"event":"exception","data":{"status":"error","code":"RATE_LIMITED","message":"too many events"}}`)
	c.send(frame(3))
	c.expect("1008 too many events in a row were beyond the rate")
	if r := within(t, left); r != ReasonRateLimited {
		t.Errorf("left because of %q", r)
	}
}

// An event that is counted allocates no more than one that is not.
func TestEventRateAllocations(t *testing.T) { // not parallel: it counts those of the process
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	l, _ := NewRateLimit(Rate{PerSecond: 1})
	m := new(meter)
	m.take(l, 0)
	if n := testing.AllocsPerRun(100, func() { m.take(l, 0) }); n != 0 {
		t.Errorf("%v allocations for a token", n)
	}
	const each = 64
	for _, o := range []Options{{}, {Limits: Limits{EventRate: Rate{PerSecond: 1e6, Burst: 1e6}, MaxExcesses: 1}}} {
		round := pipelineOf(t, o, ackNothing, each, echoEvent, `37[]`)
		if got := allocations(round, each); got > 0.5 {
			t.Errorf("%+v: %.2f allocations per event", o.Limits.EventRate, got)
		}
	}
}

// Events are used again, by other servers too: one that was refused is not so for ever.
func TestExcessIsForgotten(t *testing.T) {
	t.Parallel()
	e := &Event{excess: true}
	if e.clear(); e.excess {
		t.Error("it is still beyond a rate")
	}
}
