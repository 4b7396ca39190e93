package socketio

import (
	"context"
	"slices"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// Broadcast is immutable and safe for concurrent use: each of its methods returns a new one. It selects sockets of a
// namespace, in all processes of the cluster; without a room it means all of them (S-33).
type Broadcast struct {
	ns  *Namespace
	sel adapter.Selection
	flags
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

// Compress says whether the event may be compressed, which it may unless this says no (S-68).
func (b *Broadcast) Compress(compress bool) *Broadcast {
	c := *b
	c.noCompress = !compress
	return &c
}

// Local keeps what is done to sockets in this process (S-69).
func (b *Broadcast) Local() *Broadcast {
	c := *b
	c.sel.Local = true
	return &c
}

// Timeout bounds how long EmitWithAck waits (S-39): it then returns what came and an error that is ErrTimeout. 0 means no bound.
func (b *Broadcast) Timeout(d time.Duration) *Broadcast {
	c := *b
	c.timeout = d
	return &c
}

// Emit sends an event to the sockets selected. It never waits for them, and an error means that nobody got it: the name is
// reserved or the arguments cannot be encoded. For a socket whose outbound budget is used up the policy of the engine applies.
func (b *Broadcast) Emit(event string, args ...any) error {
	if parser.Reserved(event) {
		return reservedError(event)
	}
	p := b.packet(event, args)
	if err := b.ns.adapter.Broadcast(p, b.sel); err != nil {
		return err
	}
	return b.ns.check(p)
}

func (b *Broadcast) packet(event string, args []any) *adapter.Packet {
	return &adapter.Packet{
		Namespace:  b.ns.name,
		Event:      event,
		Args:       args,
		Volatile:   b.volatile,
		NoCompress: b.noCompress,
	}
}

// check reports that a packet cannot be encoded, also if there was nobody to encode it for.
func (n *Namespace) check(p *adapter.Packet) error {
	if p.Encoded() {
		return nil
	}
	_, err := n.server.format.encoding(p)
	return err
}

// SocketsJoin adds the sockets selected to rooms (S-41). It does not wait for other processes.
func (b *Broadcast) SocketsJoin(rooms ...string) error { return b.ns.adapter.JoinAll(b.sel, rooms...) }

// SocketsLeave takes the sockets selected out of rooms (S-42). It does not wait for other processes.
func (b *Broadcast) SocketsLeave(rooms ...string) error {
	return b.ns.adapter.LeaveAll(b.sel, rooms...)
}

// DisconnectSockets disconnects the sockets selected, as [Socket.Disconnect] does (S-43). It does not wait for other processes.
func (b *Broadcast) DisconnectSockets(closeConn bool) error {
	return b.ns.adapter.DisconnectAll(b.sel, closeConn)
}

// FetchSockets describes the sockets selected (S-40). If ctx or the time given by Timeout ends before all processes have
// answered, it returns the sockets that it knows of and an [*IncompleteError]. Where neither says how long, adapters have a bound
// of their own.
func (b *Broadcast) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	if b.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.timeout, ErrTimeout)
		defer cancel()
	}
	infos, err := b.ns.adapter.Fetch(ctx, b.sel)
	sockets := make([]*RemoteSocket, len(infos))
	for i, info := range infos {
		sockets[i] = &RemoteSocket{ns: b.ns, info: info}
	}
	return sockets, err
}
