package socketio

import (
	"context"
	"iter"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

func (n *Namespace) all() *Broadcast { return &Broadcast{ns: n} }

// To is a broadcast to the members of rooms.
func (n *Namespace) To(rooms ...string) *Broadcast { return n.all().To(rooms...) }

// In is To.
func (n *Namespace) In(rooms ...string) *Broadcast { return n.all().To(rooms...) }

// Except is a broadcast to everyone but the members of rooms.
func (n *Namespace) Except(rooms ...string) *Broadcast { return n.all().Except(rooms...) }

// Volatile is a broadcast that is dropped for sockets which cannot be written to right now.
func (n *Namespace) Volatile() *Broadcast { return n.all().Volatile() }

// Compress is a broadcast that says whether it may be compressed.
func (n *Namespace) Compress(compress bool) *Broadcast { return n.all().Compress(compress) }

// Local is a broadcast to the sockets of this process.
func (n *Namespace) Local() *Broadcast { return n.all().Local() }

// Timeout is a broadcast that waits for acknowledgements no longer than d.
func (n *Namespace) Timeout(d time.Duration) *Broadcast { return n.all().Timeout(d) }

// Emit sends an event to every socket of the namespace; see [Broadcast.Emit].
func (n *Namespace) Emit(event string, args ...any) error { return n.all().Emit(event, args...) }

// EmitWithAck asks every socket of the namespace; see [Broadcast.EmitWithAck].
func (n *Namespace) EmitWithAck(ctx context.Context, event string, args ...any) ([]Answer, error) {
	return n.all().EmitWithAck(ctx, event, args...)
}

// Answers asks every socket of the namespace; see [Broadcast.Answers].
func (n *Namespace) Answers(ctx context.Context, event string, args ...any) iter.Seq2[Answer, error] {
	return n.all().Answers(ctx, event, args...)
}

// FetchSockets describes every socket of the namespace; see [Broadcast.FetchSockets]. Those of this process alone are to be had
// without waiting, with [Namespace.Sockets].
func (n *Namespace) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return n.all().FetchSockets(ctx)
}

// SocketsJoin adds every socket of the namespace to rooms; see [Broadcast.SocketsJoin].
func (n *Namespace) SocketsJoin(rooms ...string) error { return n.all().SocketsJoin(rooms...) }

// SocketsLeave takes every socket of the namespace out of rooms; see [Broadcast.SocketsLeave].
func (n *Namespace) SocketsLeave(rooms ...string) error { return n.all().SocketsLeave(rooms...) }

// DisconnectSockets disconnects every socket of the namespace; see [Broadcast.DisconnectSockets].
func (n *Namespace) DisconnectSockets(closeConn bool) error {
	return n.all().DisconnectSockets(closeConn)
}

// RoomEvents are functions to be told what becomes of rooms (S-73).
type RoomEvents = adapter.RoomEvents

// ObserveRooms reports from now on what becomes of the rooms that sockets of this process are in.
func (n *Namespace) ObserveRooms(e RoomEvents) { n.adapter.Observe(e) }

// Adapter is the namespace's adapter, which belongs to it. Whoever calls it directly goes behind the sockets' back.
func (n *Namespace) Adapter() adapter.Adapter { return n.adapter }
