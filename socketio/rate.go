package socketio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/perch-go/perch/engineio"
)

// Rate is a plain value: how many events a client may send, on average and at once. Its zero value is any number.
type Rate struct {
	// PerSecond is how many there may be in a second, on average; a fraction means less than one.
	PerSecond float64
	// Burst is how many there may be at once after a pause. 0 is as many as in a second, and at least one.
	Burst int
}

func (r Rate) check() error {
	_, err := newRateLimit(r)
	return err
}

// ErrRateLimited is what a client is told whose event is beyond a rate, and what a middleware may say of one. It must not be
// changed.
var ErrRateLimited = &EventError{Code: "RATE_LIMITED", Message: messageRateLimited}

// errConnectRate refuses a CONNECT that is beyond the rate.
var errConnectRate = &ConnectError{Message: messageRateLimited}

const messageRateLimited = "too many events"

// RateLimit is immutable and safe for concurrent use. It gives each client of the servers that it is used with a bucket of tokens, of
// which Take takes one. Make each once, with the program: a client's buckets last as long as its connection.
type RateLimit struct {
	interval time.Duration // in which a token comes
	window   time.Duration // in which the bucket fills
}

const (
	maxPerSecond = 1_000_000
	maxWindow    = 365 * 24 * time.Hour
)

var errNoRate = errors.New("socketio: a rate of 0 events per second would refuse everything: set PerSecond")

// NewRateLimit makes a limit. The error says what is wrong with the rate.
func NewRateLimit(r Rate) (*RateLimit, error) {
	l, err := newRateLimit(r)
	if err == nil && l == nil {
		err = errNoRate
	}
	return l, err
}

// newRateLimit is NewRateLimit to which the zero value is no limit.
func newRateLimit(r Rate) (*RateLimit, error) {
	if r == (Rate{}) {
		return nil, nil
	}
	if r.PerSecond == 0 {
		return nil, errNoRate
	}
	if !(r.PerSecond > 0) || r.PerSecond > maxPerSecond || r.Burst < 0 {
		return nil, fmt.Errorf("socketio: a rate of %v events per second, %d at once, makes no sense: choose up to %d, and no negative number at once",
			r.PerSecond, r.Burst, maxPerSecond)
	}
	burst := float64(r.Burst)
	if burst == 0 {
		burst = max(1, math.Ceil(r.PerSecond))
	}
	interval := float64(time.Second) / r.PerSecond
	if interval*burst > float64(maxWindow) {
		return nil, fmt.Errorf("socketio: %v at once would take more than a year at %v events per second: choose fewer at once, or more per second",
			burst, r.PerSecond)
	}
	return &RateLimit{time.Duration(interval), time.Duration(interval) * time.Duration(burst)}, nil
}

// Take reports whether the client of s may do once more what is limited. One that may not too often in a row is disconnected, see
// [Limits.MaxExcesses].
func (l *RateLimit) Take(s *Socket) bool {
	m := s.meter.Load()
	if m == nil {
		s.conn.mu.Lock()
		m = s.conn.meter()
		s.conn.mu.Unlock()
		s.meter.Store(m)
	}
	ok, excesses := m.take(l, clock())
	if ok {
		return true
	}
	server := s.conn.server
	server.stats.eventsRefused.Add(1)
	if most := server.opts.Limits.MaxExcesses; most > 0 && excesses == most {
		s.conn.expel(ReasonRateLimited, errExcesses)
	}
	return false
}

// Middleware is for [Namespace.UseEvent]: it refuses events of these names, or all if there are none, that are beyond the limit.
func (l *RateLimit) Middleware(events ...string) EventMiddleware {
	events = slices.Clone(events)
	return func(_ context.Context, e *Event) error {
		limited := len(events) == 0
		for _, name := range events {
			limited = limited || name == string(e.packet.Event)
		}
		if limited && !l.Take(e.socket) {
			return ErrRateLimited
		}
		return nil
	}
}

// meter is safe for concurrent use. It has the buckets of one connection, which needs one only where there is a limit.
type meter struct {
	mu      sync.Mutex
	buckets []bucket // few: one for each limit that was asked
}

// bucket is what one limit has of one client.
type bucket struct {
	limit    *RateLimit
	full     time.Duration // when it will be
	excesses int           // since the last token
}

// take takes a token; if there is none it returns how often in a row that was so.
func (m *meter) take(l *RateLimit, now time.Duration) (ok bool, excesses int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := 0
	for i < len(m.buckets) && m.buckets[i].limit != l {
		i++
	}
	if i == len(m.buckets) {
		m.buckets = append(m.buckets, bucket{limit: l, full: now})
	}
	b := &m.buckets[i]
	full := max(b.full, now) + l.interval
	if full-now > l.window {
		b.excesses++
		return false, b.excesses
	}
	b.full, b.excesses = full, 0
	return true, 0
}

// meter finds or makes the connection's meter. It is kept where nothing is while no limit is used. Called with mu held.
func (c *conn) meter() *meter {
	if c.over { // nobody would forget it any more
		return new(meter)
	}
	m, ok := c.server.meters.Load(c)
	if !ok {
		m, _ = c.server.meters.LoadOrStore(c, new(meter))
	}
	return m.(*meter)
}

// measure marks an event that is beyond the rate. It is called by the reader, so that what counts is how fast events come, not
// how fast they are handled; what is beyond waits for its answer on the lane like any other.
func (c *conn) measure(s *Socket, e *Event) {
	if l := c.server.eventRate; l != nil {
		e.excess = !l.Take(s)
	}
}

// mayConnect takes a token for a CONNECT. Called with mu held.
func (c *conn) mayConnect() bool {
	l := c.server.eventRate
	if l == nil {
		return true
	}
	ok, _ := c.meter().take(l, clock())
	return ok
}

// refuseExcess answers an event that is beyond the rate, on the lane.
func (s *Socket) refuseExcess(ctx context.Context, e *Event, handlers []*Handler) {
	if len(handlers) > 0 {
		s.callAll(ctx, handlers, e)
		return
	}
	s.fail(ctx, e, ErrRateLimited)
}

// HandleExcess appends a handler for events that are beyond [Limits.EventRate], which is called instead of their own handlers, and
// returns what removes it again. Without one they are refused like by a middleware: an acknowledgement that was asked for is
// [ErrRateLimited], the hooks of OnError are called, and otherwise the client is not told.
func (n *Namespace) HandleExcess(h Handler) (off func()) {
	n.change(func(r *registry) { r.excess = with(r.excess, &h) })
	return func() { n.change(func(r *registry) { r.excess = without(r.excess, &h) }) }
}

// HandleExcess is [Namespace.HandleExcess] of each child.
func (p *ParentNamespace) HandleExcess(h Handler) (off func()) { return p.template.HandleExcess(h) }

// expel disconnects all sockets and ends the connection.
func (c *conn) expel(reason Reason, err error) {
	c.mu.Lock()
	sockets := c.list()
	c.mu.Unlock()
	for _, s := range sockets {
		s.expel(kickSocket, reason)
	}
	c.abort(engineReason(reason), err)
}

// engineReason is the engine's name of it, under which it counts the sessions that it has ended.
func engineReason(r Reason) engineio.Reason { return engineio.Reason(r) }
