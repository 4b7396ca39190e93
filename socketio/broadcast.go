package socketio

import (
	"slices"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// Broadcast is immutable and safe for concurrent use: each of its methods returns a new one. It selects sockets of a
// namespace; without a room it means all of them (S-33).
type Broadcast struct {
	ns       *Namespace
	sel      adapter.Selection
	volatile bool
}

// To adds rooms. A socket that is in several of them gets an event once. The id of a socket is a room of its own.
func (b *Broadcast) To(rooms ...string) *Broadcast {
	c := *b
	c.sel.Rooms = slices.Concat(c.sel.Rooms, rooms)
	return &c
}

// In is To.
func (b *Broadcast) In(rooms ...string) *Broadcast { return b.To(rooms...) }

// Except leaves out the members of rooms.
func (b *Broadcast) Except(rooms ...string) *Broadcast {
	c := *b
	c.sel.Except = slices.Concat(c.sel.Except, rooms)
	return &c
}

// Volatile leaves out sockets that cannot be written to right now (S-67).
func (b *Broadcast) Volatile() *Broadcast {
	c := *b
	c.volatile = true
	return &c
}

// Local keeps the event in this process (S-69).
func (b *Broadcast) Local() *Broadcast {
	c := *b
	c.sel.Local = true
	return &c
}

// Emit sends an event to the sockets selected. It never waits, and an error means that nobody got it: the name is
// reserved or the arguments cannot be encoded. For a socket whose outbound budget is used up the policy of the
// engine applies.
func (b *Broadcast) Emit(event string, args ...any) error {
	if parser.Reserved(event) {
		return reservedError(event)
	}
	return b.ns.adapter.Broadcast(&adapter.Packet{
		Namespace: b.ns.name,
		Event:     event,
		Args:      args,
		Volatile:  b.volatile,
	}, b.sel)
}
