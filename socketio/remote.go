package socketio

import (
	"context"
	"slices"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// RemoteSocket is immutable and safe for concurrent use: a socket as it was when it was fetched, in whichever process of the
// cluster (S-40). What is done to it reaches the socket as it is now; one that has left is not told of anything.
type RemoteSocket struct {
	ns      *Namespace
	info    adapter.Info
	timeout time.Duration
}

// ID is the socket's id.
func (r *RemoteSocket) ID() string { return r.info.ID }

// Namespace is the namespace that it is in, as this process knows it.
func (r *RemoteSocket) Namespace() *Namespace { return r.ns }

// Handshake is how the client introduced itself. It must not be changed.
func (r *RemoteSocket) Handshake() *adapter.Handshake { return &r.info.Handshake }

// Rooms are the rooms that it was in, its own one first.
func (r *RemoteSocket) Rooms() []string { return slices.Clone(r.info.Rooms) }

// Load returns what was stored under key. Of a socket of another process that is a parser.Raw: what JSON made of it. Decode and
// a [Key] find the original type again.
func (r *RemoteSocket) Load(key string) (any, bool) {
	v, ok := r.info.Data[key]
	return v, ok
}

// Decode decodes what was stored under key into what v points to, and reports whether there is something.
func (r *RemoteSocket) Decode(key string, v any) (bool, error) { return r.info.Decode(key, v) }

// Local is the socket itself if it is one of this process.
func (r *RemoteSocket) Local() (*Socket, bool) { return r.ns.Socket(r.info.ID) }

// Timeout bounds how long EmitWithAck waits for the answer. 0 means no bound.
func (r *RemoteSocket) Timeout(d time.Duration) *RemoteSocket {
	c := *r
	c.timeout = d
	return &c
}

func (r *RemoteSocket) broadcast() *Broadcast { return r.ns.To(r.info.ID).Timeout(r.timeout) }

// Emit sends an event to the socket.
func (r *RemoteSocket) Emit(event string, args ...any) error {
	return r.broadcast().Emit(event, args...)
}

// EmitWithAck sends an event to the socket and waits for its one answer. The errors are those of Socket.EmitWithAck.
func (r *RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (*Reply, error) {
	answers, err := r.broadcast().EmitWithAck(ctx, event, args...)
	switch {
	case len(answers) > 0:
		return answers[0].Reply, answers[0].Err
	case err != nil:
		return nil, err
	}
	return nil, ErrDisconnected
}

// Join adds the socket to rooms.
func (r *RemoteSocket) Join(rooms ...string) error { return r.broadcast().SocketsJoin(rooms...) }

// Leave takes the socket out of rooms.
func (r *RemoteSocket) Leave(rooms ...string) error { return r.broadcast().SocketsLeave(rooms...) }

// Disconnect disconnects the socket, as [Socket.Disconnect] does.
func (r *RemoteSocket) Disconnect(closeConn bool) error {
	return r.broadcast().DisconnectSockets(closeConn)
}
