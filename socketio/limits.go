package socketio

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/perch-go/perch/socketio/parser"
)

// Limits is a plain value: what one client may do, beside what [Options] and the engine's options bound. Its zero value has every
// default. What a client does beyond is counted in [Stats].
type Limits struct {
	// MaxDepth is how deeply the JSON of a packet may be nested, the array of an event's arguments included. A deeper packet ends the
	// connection with [ReasonForcedClose]. 0 is 64; the most is 1,024.
	MaxDepth int
	// MaxAttachmentBytes is how many bytes the attachments of one packet may have together. More end the connection with
	// [ReasonForcedClose]. 0 is no bound of its own: more than twice the engine's InboundBytes end it in any case.
	MaxAttachmentBytes int
	// AttachmentTimeout is how long the attachments of one packet may take to arrive; then the connection ends with
	// [ReasonForcedClose]. 0 is one minute.
	AttachmentTimeout time.Duration

	// MaxRefusals is how many CONNECT packets of one connection are answered with a refusal, whoever refuses: because there is
	// no such namespace, or by a middleware or a hook. The next one that is to be refused ends the connection with
	// [ReasonTooManyRefusals]. 0 is 100; the most is 65,535.
	MaxRefusals int
	// MaxSockets is how many sockets one connection may have where another is to be in a dynamic namespace. That one is refused
	// with "too many namespaces". 0 is 256.
	MaxSockets int

	// MaxPendingAcks is how many acknowledgements of one socket may be awaited at a time; who asks for another gets
	// [ErrTooManyAcks], and nothing is sent. 0 is 10,000.
	MaxPendingAcks int
	// AckTimeout is how long an acknowledgement is awaited where the caller has not said so by Timeout; then the caller gets
	// [ErrTimeout]. 0 is as long as the context of the call and the client last.
	AckTimeout time.Duration
	// MaxRooms is how many rooms a socket may be in beside its own; [Socket.Join] then returns [ErrTooManyRooms] and joins none.
	// Rooms that a socket is put into by a broadcast's SocketsJoin are not counted before the next Join. 0 is no bound, because
	// it is the program that joins, not the client.
	MaxRooms int

	// EventRate is how many events one client may send. Its sockets share that, also one after the other, so that there is
	// nothing to be gained by joining again; and a CONNECT counts like an event. An event beyond the rate is not handled: it is
	// answered with [ErrRateLimited], or as [Namespace.HandleExcess] says. A CONNECT beyond it is refused with "too many events".
	// Acknowledgements do not count. The zero value is no limit. For some events there is [RateLimit].
	EventRate Rate
	// MaxExcesses is how many events in a row may be beyond one rate, this one or that of a RateLimit: the last of them disconnects
	// the client's sockets and ends the connection with [ReasonRateLimited]. 0 is any number.
	MaxExcesses int
}

// strictLimits are those that [Options.Strict] sets.
func strictLimits() Limits {
	return Limits{
		AckTimeout:  time.Minute,
		MaxRooms:    1000,
		EventRate:   Rate{PerSecond: 50, Burst: 200},
		MaxExcesses: 500,
	}
}

// Strict returns o with limits that are off by default, since they may hit honest clients of a program that they do not fit.
// What o sets itself stays as it is:
//
//   - Limits.EventRate: 50 events per second of each client, and up to 200 at once
//   - Limits.MaxExcesses: 500 events in a row beyond a rate end the connection
//   - Limits.MaxRooms: 1,000 rooms for each socket
//   - Limits.AckTimeout: an acknowledgement is awaited for one minute
//   - Engine.Limits: [engineio.StrictLimits]
func (o Options) Strict() Options {
	o.Engine = o.Engine.Strict()
	l, s := &o.Limits, strictLimits()
	l.AckTimeout = cmp.Or(l.AckTimeout, s.AckTimeout)
	l.MaxRooms = cmp.Or(l.MaxRooms, s.MaxRooms)
	l.EventRate = cmp.Or(l.EventRate, s.EventRate)
	l.MaxExcesses = cmp.Or(l.MaxExcesses, s.MaxExcesses)
	return o
}

const (
	defaultMaxDepth          = parser.DefaultMaxDepth
	defaultAttachmentTimeout = time.Minute // CVE-2026-33151
	defaultMaxRefusals       = 100
	defaultMaxPendingAcks    = 10_000
)

func (l Limits) withDefaults() (Limits, error) {
	var errs []error
	number := func(name string, n *int, zero, most int) {
		if *n < 0 || *n > most {
			errs = append(errs, fmt.Errorf("socketio: Limits.%s is %d; choose one from 0, the default, to %d", name, *n, most))
		}
		*n = cmp.Or(*n, zero)
	}
	duration := func(name string, d *time.Duration, zero time.Duration) {
		if *d < 0 {
			errs = append(errs, fmt.Errorf("socketio: Limits.%s is %v; it must not be negative", name, *d))
		}
		*d = cmp.Or(*d, zero)
	}
	number("MaxDepth", &l.MaxDepth, defaultMaxDepth, parser.HighestMaxDepth)
	number("MaxAttachmentBytes", &l.MaxAttachmentBytes, math.MaxInt, math.MaxInt)
	duration("AttachmentTimeout", &l.AttachmentTimeout, defaultAttachmentTimeout)
	number("MaxRefusals", &l.MaxRefusals, defaultMaxRefusals, math.MaxUint16)
	number("MaxSockets", &l.MaxSockets, maxJoined, math.MaxInt32)
	number("MaxPendingAcks", &l.MaxPendingAcks, defaultMaxPendingAcks, math.MaxInt)
	duration("AckTimeout", &l.AckTimeout, 0)
	number("MaxRooms", &l.MaxRooms, 0, math.MaxInt)
	number("MaxExcesses", &l.MaxExcesses, 0, math.MaxInt)
	if err := l.EventRate.check(); err != nil {
		errs = append(errs, fmt.Errorf("socketio: Limits.EventRate: %w", err))
	}
	return l, errors.Join(errs...)
}

// refusing counts a CONNECT that is to be refused, and reports whether to say so: the connection of a client that does not stop
// asking is ended instead.
func (c *conn) refusing() bool {
	most := c.server.opts.Limits.MaxRefusals
	c.server.stats.refused.Add(1)
	c.mu.Lock()
	spent := int(c.refusals) >= most
	if !spent {
		c.refusals++
	}
	c.mu.Unlock()
	if spent {
		c.abort(engineReason(ReasonTooManyRefusals), errRefusals)
	}
	return !spent
}

// admitAck reports whether another acknowledgement may be awaited. Called with Socket.mu held.
func (s *Socket) admitAck(pending int) bool {
	if pending < s.conn.server.opts.Limits.MaxPendingAcks {
		return true
	}
	s.conn.server.stats.acksRefused.Add(1)
	return false
}

// admitRooms reports whether the socket may join rooms. Calls at the same time do not see each other.
func (s *Socket) admitRooms(rooms []string) bool {
	most := s.conn.server.opts.Limits.MaxRooms
	if most == 0 {
		return true
	}
	in := make(map[string]struct{})
	for _, room := range s.ns.adapter.Rooms(s.id) {
		in[room] = struct{}{}
	}
	in[s.id] = struct{}{} // which is not counted
	before := len(in)
	for _, room := range rooms {
		in[room] = struct{}{}
	}
	if len(in) == before || len(in)-1 <= most {
		return true
	}
	s.conn.server.stats.roomsRefused.Add(1)
	return false
}
