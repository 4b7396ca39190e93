package perch

import (
	"context"
	"fmt"
	"time"

	"github.com/perch-go/perch/socketio"
)

// SocketAnswer is a plain value: what one of several sockets answered, or why it did
// not.
type SocketAnswer = socketio.Answer

// RemoteSocket is immutable and safe for concurrent use: a socket of any node, as it
// was when it was fetched.
type RemoteSocket = socketio.RemoteSocket

// ServerEvent is safe for concurrent use: what another node has sent with
// ServerSideEmit.
type ServerEvent = socketio.ServerEvent

// ServerAnswer is a plain value: what one of several nodes answered.
type ServerAnswer = socketio.ServerAnswer

// IncompleteError says how many answers are missing, and whose.
type IncompleteError = socketio.IncompleteError

// Timeout bounds how long EmitWithAck and FetchSockets wait. 0 means no bound but
// that of their context.
func (b *Broadcast) Timeout(d time.Duration) *Broadcast {
	c := *b
	c.timeout = d
	return &c
}

// Compress says whether an event may be compressed, which it may by default.
func (b *Broadcast) Compress(compress bool) *Broadcast {
	c := *b
	c.noCompress = !compress
	return &c
}

// EmitWithAck sends an event to the selection and waits until each socket has
// answered or left. If ctx or the time of Timeout ends first, it returns the answers
// that came and an [*IncompleteError].
func (b *Broadcast) EmitWithAck(ctx context.Context, event string, args ...any) ([]SocketAnswer, error) {
	return question(b, func(io *socketio.Broadcast) ([]SocketAnswer, error) {
		return io.Timeout(b.timeout).EmitWithAck(ctx, event, args...)
	})
}

// FetchSockets describes the sockets of the selection, whatever node they are on. If
// ctx ends before all nodes have answered, it returns those it knows of and an
// [*IncompleteError].
func (b *Broadcast) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return question(b, func(io *socketio.Broadcast) ([]*RemoteSocket, error) {
		return io.Timeout(b.timeout).FetchSockets(ctx)
	})
}

// SocketsJoin puts the sockets of the selection into rooms, whatever node they are on.
func (b *Broadcast) SocketsJoin(rooms ...string) error {
	return b.send(func(io sender) error { return io.SocketsJoin(rooms...) })
}

// SocketsLeave takes the sockets of the selection out of rooms, whatever node they are
// on.
func (b *Broadcast) SocketsLeave(rooms ...string) error {
	return b.send(func(io sender) error { return io.SocketsLeave(rooms...) })
}

// DisconnectSockets disconnects the sockets of the selection, whatever node they are
// on; see [Socket.Disconnect].
func (b *Broadcast) DisconnectSockets(closeConn bool) error {
	return b.send(func(io sender) error { return io.DisconnectSockets(closeConn) })
}

// Timeout bounds how long EmitWithAck and FetchSockets wait.
func (s *Server) Timeout(d time.Duration) *Broadcast { return s.broadcast().Timeout(d) }

// Compress says whether an event may be compressed, which it may by default.
func (s *Server) Compress(compress bool) *Broadcast { return s.broadcast().Compress(compress) }

// EmitWithAck asks every socket of the namespace; see [Broadcast.EmitWithAck].
func (s *Server) EmitWithAck(ctx context.Context, event string, args ...any) ([]SocketAnswer, error) {
	return s.broadcast().EmitWithAck(ctx, event, args...)
}

// FetchSockets describes every socket of the namespace, whatever node it is on.
func (s *Server) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return s.broadcast().FetchSockets(ctx)
}

// SocketsJoin puts every socket of the namespace into rooms.
func (s *Server) SocketsJoin(rooms ...string) error { return s.broadcast().SocketsJoin(rooms...) }

// SocketsLeave takes every socket of the namespace out of rooms.
func (s *Server) SocketsLeave(rooms ...string) error { return s.broadcast().SocketsLeave(rooms...) }

// DisconnectSockets disconnects every socket of the namespace; see [Socket.Disconnect].
func (s *Server) DisconnectSockets(closeConn bool) error {
	return s.broadcast().DisconnectSockets(closeConn)
}

// ServerSideEmit sends an event to the other nodes, which take it with
// HandleServerSide. Of a pattern it is sent in one of its namespaces, see [Server.Of];
// else it returns [ErrPattern].
func (s *Server) ServerSideEmit(event string, args ...any) error {
	n, err := s.one()
	if err != nil {
		return err
	}
	return n.with(func(io *socketio.Namespace) error { return io.ServerSideEmit(event, args...) })
}

// ServerSideEmitWithAck is ServerSideEmit that waits until each of the other nodes has
// answered or gone. If ctx ends first, it returns the answers that came and an
// [*IncompleteError].
func (s *Server) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]ServerAnswer, error) {
	n, err := s.one()
	if err != nil {
		return nil, err
	}
	var answers []ServerAnswer
	err = n.ask(func(io *socketio.Namespace) (err error) {
		answers, err = io.ServerSideEmitWithAck(ctx, event, args...)
		return err
	})
	return answers, err
}

// HandleServerSide registers a handler for what other nodes send with ServerSideEmit,
// and returns what removes it again. [OnGatewayInit]'s AfterInit is the place for it:
// before start it returns [ErrNotStarted]. Of a pattern it hears what is sent in any of its
// namespaces; for a single one it returns [ErrPattern].
func (s *Server) HandleServerSide(event string, handler func(ctx context.Context, e *ServerEvent)) (off func(), err error) {
	n, err := s.target()
	if err != nil {
		return nil, err
	}
	if n.io == nil && n.parent == nil {
		return nil, fmt.Errorf("%w: %s may come and go, register with the server of the gateway", ErrPattern, n.name)
	}
	return n.registrar().HandleServerSide(event, handler), nil
}
