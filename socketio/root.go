package socketio

import (
	"context"
	"iter"
	"time"
)

// Use is [Namespace.Use] of "/".
func (s *Server) Use(mw Middleware) { s.main.Use(mw) }

// OnConnection is [Namespace.OnConnection] of "/".
func (s *Server) OnConnection(fn func(ctx context.Context, s *Socket) error) { s.main.OnConnection(fn) }

// OnDisconnect is [Namespace.OnDisconnect] of "/".
func (s *Server) OnDisconnect(fn func(ctx context.Context, s *Socket, r Reason)) {
	s.main.OnDisconnect(fn)
}

// Handle is [Namespace.Handle] of "/".
func (s *Server) Handle(event string, h Handler) (off func()) { return s.main.Handle(event, h) }

// To is [Namespace.To] of "/".
func (s *Server) To(rooms ...string) *Broadcast { return s.main.To(rooms...) }

// In is To.
func (s *Server) In(rooms ...string) *Broadcast { return s.main.To(rooms...) }

// Except is [Namespace.Except] of "/".
func (s *Server) Except(rooms ...string) *Broadcast { return s.main.Except(rooms...) }

// Volatile is [Namespace.Volatile] of "/".
func (s *Server) Volatile() *Broadcast { return s.main.Volatile() }

// Compress is [Namespace.Compress] of "/".
func (s *Server) Compress(compress bool) *Broadcast { return s.main.Compress(compress) }

// Local is [Namespace.Local] of "/".
func (s *Server) Local() *Broadcast { return s.main.Local() }

// Timeout is [Namespace.Timeout] of "/".
func (s *Server) Timeout(d time.Duration) *Broadcast { return s.main.Timeout(d) }

// Emit is [Namespace.Emit] of "/".
func (s *Server) Emit(event string, args ...any) error { return s.main.Emit(event, args...) }

// EmitWithAck is [Namespace.EmitWithAck] of "/".
func (s *Server) EmitWithAck(ctx context.Context, event string, args ...any) ([]Answer, error) {
	return s.main.EmitWithAck(ctx, event, args...)
}

// Answers is [Namespace.Answers] of "/".
func (s *Server) Answers(ctx context.Context, event string, args ...any) iter.Seq2[Answer, error] {
	return s.main.Answers(ctx, event, args...)
}

// Socket is [Namespace.Socket] of "/".
func (s *Server) Socket(id string) (*Socket, bool) { return s.main.Socket(id) }

// Sockets is [Namespace.Sockets] of "/".
func (s *Server) Sockets() iter.Seq[*Socket] { return s.main.Sockets() }

// FetchSockets is [Namespace.FetchSockets] of "/".
func (s *Server) FetchSockets(ctx context.Context) ([]*RemoteSocket, error) {
	return s.main.FetchSockets(ctx)
}

// SocketsJoin is [Namespace.SocketsJoin] of "/".
func (s *Server) SocketsJoin(rooms ...string) error { return s.main.SocketsJoin(rooms...) }

// SocketsLeave is [Namespace.SocketsLeave] of "/".
func (s *Server) SocketsLeave(rooms ...string) error { return s.main.SocketsLeave(rooms...) }

// DisconnectSockets is [Namespace.DisconnectSockets] of "/".
func (s *Server) DisconnectSockets(closeConn bool) error { return s.main.DisconnectSockets(closeConn) }

// ServerSideEmit is [Namespace.ServerSideEmit] of "/".
func (s *Server) ServerSideEmit(event string, args ...any) error {
	return s.main.ServerSideEmit(event, args...)
}

// ServerSideEmitWithAck is [Namespace.ServerSideEmitWithAck] of "/".
func (s *Server) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]ServerAnswer, error) {
	return s.main.ServerSideEmitWithAck(ctx, event, args...)
}

// HandleServerSide is [Namespace.HandleServerSide] of "/".
func (s *Server) HandleServerSide(event string, h ServerHandler) (off func()) {
	return s.main.HandleServerSide(event, h)
}
