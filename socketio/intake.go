package socketio

import (
	"bytes"
	"sync"

	"github.com/perch-go/perch/socketio/parser"
)

// intake is what one batch of messages has brought so far: events for one socket, which go to its lane together, since with a client
// that sends many at once a lock for each, a look at the pool for each and so on are much of what an event costs. It belongs
// to the reader and holds nothing between two batches.
type intake struct {
	socket      *Socket // nil: there is nothing
	first, last *Event
	events      int
	bytes       int
	spare       *Event // for the next ones
}

// What waits in an intake at most, because the inbound budget does not know of it yet.
const (
	maxGathered      = 32
	maxGatheredBytes = 1 << 10
)

var intakes = sync.Pool{New: func() any { return new(intake) }}

// event returns an event to parse into.
func (in *intake) event() *Event {
	e := in.spare
	if e == nil {
		e = events.Get().(*Event)
	}
	in.spare, e.next = e.next, nil
	return e
}

// gather adds an event to those for the same socket, if there are some, and reports whether it could. Whether it is the same
// the packets say: the socket's own namespace is for who holds mu, because Socket.settle writes it.
func (c *conn) gather(e *Event) bool {
	in := c.intake
	if in.socket == nil || e.packet.Type != parser.Event || !bytes.Equal(e.packet.Namespace, in.first.packet.Namespace) {
		return false
	}
	e.queued = c.server.coarse.read()
	c.measure(in.socket, e)
	in.add(e)
	c.checkIntake()
	return true
}

// beginIntake puts the first event into the intake.
func (c *conn) beginIntake(s *Socket, e *Event) {
	c.intake.socket = s
	c.intake.add(e)
	c.checkIntake()
}

// checkIntake hands over what would be too much to keep.
func (c *conn) checkIntake() {
	if in := c.intake; in.events >= c.server.gatherAtMost || in.bytes >= maxGatheredBytes {
		c.handOver()
	}
}

// gatherAtMost is maxGathered, or less where the budget is small.
func gatherAtMost(budget int) int {
	if budget == 0 { // the default
		return maxGathered
	}
	return min(max(budget/maxGathered, 1), maxGathered)
}

func (in *intake) add(e *Event) {
	e.socket, e.charged = in.socket, true
	if in.first == nil {
		in.first = e
	} else {
		in.last.next = e
	}
	in.last = e
	in.events++
	in.bytes += e.size()
}

// handOver moves what was gathered to the lane it is for.
func (c *conn) handOver() {
	in := c.intake
	if in == nil || in.socket == nil {
		return
	}
	s, first, last := in.socket, in.first, in.last
	c.session.Charge(in.events, in.bytes)
	in.socket, in.first, in.last, in.events, in.bytes = nil, nil, nil, 0, 0
	s.receive(first, last)
}

// EndBatch is the engine's word that no more has come for now.
func (c *conn) EndBatch() {
	c.handOver()
	in := c.intake
	if in == nil {
		return
	}
	c.intake = nil
	if in.spare != nil {
		events.Put(in.spare)
		in.spare = nil
	}
	intakes.Put(in)
}

// events holds events for reuse, in chains linked by next, so that those of a batch come and go with one look at the pool.
var events = sync.Pool{New: func() any { return new(Event) }}

// maxChain is the longest chain.
const maxChain = 64

// chain collects events that are spent.
type chain struct {
	first *Event
	n     int
}

func (c *chain) add(e *Event) {
	e.clear()
	e.next = c.first
	c.first = e
	if c.n++; c.n == maxChain {
		c.release()
	}
}

func (c *chain) release() {
	if c.first != nil {
		events.Put(c.first)
		*c = chain{}
	}
}
