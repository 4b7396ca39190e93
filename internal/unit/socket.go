package unit

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// ErrNoSocket is what a nil Socket returns.
var ErrNoSocket = errors.New("perch: no socket in this context")

// Config is a plain value: what a socket is made of.
type Config struct {
	ID        string
	IO        *socketio.Namespace // whose adapter gets what the socket sends
	Handshake *socketio.Handshake
	// Values are what the wildcards of the namespace's pattern stand for.
	Values    map[string]string
	Rooms     []string // without its own
	Pending   bool     // CONNECT is not answered yet
	Recovered bool
}

// Socket is safe for concurrent use. It behaves as a socketio.Socket does to those who call
// it, and has no client. A nil one is none.
//
// What it sends to its client is a broadcast to the room of its id alone, what it sends to
// others one that leaves that room out, so that the adapter of its namespace sees it all.
type Socket struct {
	config Config
	ctx    context.Context

	bind      sync.Once
	socket    any
	execution func(*Event) any

	mu          sync.Mutex
	rooms       []string
	data        map[string]any
	disconnects []bool
}

type socketKey struct{}

// NewSocket makes a socket, whose Context is made of parent.
func NewSocket(parent context.Context, c Config) *Socket {
	s := &Socket{config: c, data: make(map[string]any)}
	s.ctx = context.WithValue(parent, socketKey{}, s)
	_ = s.Join(c.ID)
	_ = s.Join(c.Rooms...)
	return s
}

// SocketFrom is the socket whose Context ctx is made of, nil if there is none.
func SocketFrom(ctx context.Context) *Socket {
	s, _ := ctx.Value(socketKey{}).(*Socket)
	return s
}

// Bind returns package perch's socket of this one. The first call makes it, and what makes the
// execution context of an event, or of a connection if that is nil.
func (s *Socket) Bind(make func(*Socket) (socket any, execution func(*Event) any)) any {
	s.bind.Do(func() { s.socket, s.execution = make(s) })
	return s.socket
}

// Execution makes package perch's execution context. The socket has to be bound.
func (s *Socket) Execution(e *Event) any { return s.execution(e) }

// ID is the socket's id.
func (s *Socket) ID() string {
	if s == nil {
		return ""
	}
	return s.config.ID
}

// Namespace is the name of its namespace.
func (s *Socket) Namespace() string {
	if s == nil {
		return ""
	}
	return s.config.IO.Name()
}

// IO is the namespace.
func (s *Socket) IO() *socketio.Namespace { return s.config.IO }

// PathValue is what a wildcard of the namespace's pattern stands for.
func (s *Socket) PathValue(name string) string {
	if s == nil {
		return ""
	}
	return s.config.Values[name]
}

// Handshake is the request the client came with.
func (s *Socket) Handshake() *socketio.Handshake {
	if s == nil {
		return nil
	}
	return s.config.Handshake
}

// Transport is how the client is connected.
func (s *Socket) Transport() engineio.Transport {
	if s == nil {
		return ""
	}
	return engineio.WebSocket
}

// Connected reports whether CONNECT is answered and nobody has called Disconnect.
func (s *Socket) Connected() bool { return s != nil && !s.config.Pending && s.open() }

// open reports whether nobody has called Disconnect.
func (s *Socket) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.disconnects) == 0
}

// Recovered is what the socket was made with.
func (s *Socket) Recovered() bool { return s != nil && s.config.Recovered }

// Context is what handlers and hooks get.
func (s *Socket) Context() context.Context {
	if s == nil {
		return context.Background()
	}
	return s.ctx
}

// client selects the socket itself, if it can be sent to.
func (s *Socket) client() (*socketio.Broadcast, error) {
	switch {
	case s == nil:
		return nil, ErrNoSocket
	case !s.open():
		return nil, socketio.ErrDisconnected
	}
	return s.config.IO.To(s.config.ID), nil
}

// Emit sends an event to the client.
func (s *Socket) Emit(event string, args ...any) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	return c.Emit(event, args...)
}

// EmitVolatile is Emit that says so.
func (s *Socket) EmitVolatile(event string, args ...any) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	return c.Volatile().Emit(event, args...)
}

// EmitWithAck sends an event and returns the answer that the adapter has for it.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (*socketio.Reply, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	if s.config.Pending {
		return nil, socketio.ErrConnecting
	}
	answers, err := c.EmitWithAck(ctx, event, args...)
	switch {
	case len(answers) > 0:
		return answers[0].Reply, answers[0].Err
	case err != nil:
		return nil, err
	}
	return nil, socketio.ErrDisconnected
}

// Broadcast selects everyone else in the namespace.
func (s *Socket) Broadcast() (*socketio.Broadcast, error) {
	if s == nil {
		return nil, ErrNoSocket
	}
	return s.config.IO.Except(s.config.ID), nil
}

// Join adds the socket to rooms.
func (s *Socket) Join(rooms ...string) error {
	if s == nil {
		return ErrNoSocket
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.disconnects) > 0 {
		return socketio.ErrDisconnected
	}
	for _, room := range rooms {
		if !slices.Contains(s.rooms, room) {
			s.rooms = append(s.rooms, room)
		}
	}
	return nil
}

// Leave takes the socket out of rooms, but not of its own.
func (s *Socket) Leave(rooms ...string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.disconnects) > 0 {
		return // the rooms stay those it was in then
	}
	s.rooms = slices.DeleteFunc(s.rooms, func(room string) bool {
		return room != s.config.ID && slices.Contains(rooms, room)
	})
}

// Rooms are the rooms that the socket is in, its own one first.
func (s *Socket) Rooms() []string {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rooms)
}

// Disconnect makes the socket one that has left.
func (s *Socket) Disconnect(closeConn bool) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disconnects = append(s.disconnects, closeConn)
}

// Disconnects are the arguments of the calls of Disconnect.
func (s *Socket) Disconnects() []bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.disconnects)
}

// Load is what was stored under the name of a key.
func (s *Socket) Load(name string) (any, bool) {
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.data[name]
	return v, ok
}

// Store keeps v under the name of a key.
func (s *Socket) Store(name string, v any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data[name] = v
}
