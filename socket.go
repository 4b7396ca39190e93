package perch

import (
	"context"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/internal/unit"
	"github.com/perch-go/perch/socketio"
)

// Socket is safe for concurrent use. It is one client in one namespace, the same value
// for as long as the client is connected.
type Socket struct {
	io   *socketio.Socket // nil: no connection, see SocketFrom
	unit *unit.Socket     // what stands in for one in unit tests; nil: nothing, which all its methods say
	home *namespace       // of its gateways
}

// Handshake is immutable and safe for concurrent use. It is the request a client came
// with, and its auth.
type Handshake = socketio.Handshake

// Answer is a client's ack. It belongs to whoever asked.
type Answer = socketio.Reply

var detached = new(Socket)

// SocketFrom is the socket whose event or hook ctx belongs to. It is never nil: of
// any other context it is a socket without connection, whose id is empty and whose
// methods return [ErrNoSocket].
func SocketFrom(ctx context.Context) *Socket {
	if io, ok := socketio.SocketFrom(ctx); ok {
		if s, ok := socketOf(io); ok {
			return s
		}
	}
	if u := unit.SocketFrom(ctx); u != nil {
		return u.Bind(bindUnit).(*Socket)
	}
	return detached
}

// bindUnit makes what package perchtest cannot: our view of what stands in for a connection.
func bindUnit(u *unit.Socket) (socket any, execution func(*unit.Event) any) {
	// What its Server sends goes to the same namespace, as if of an app that is started.
	app := new(App)
	app.state.Store(running)
	home := &namespace{service: &service{app: app}, name: u.Namespace(), io: u.IO(), server: new(Server)}
	home.server.place.Store(home)
	s := &Socket{unit: u, home: home}
	return s, func(e *unit.Event) any {
		ec := &ExecutionContext{socket: s, unit: e}
		if e != nil {
			ec.handler, _ = e.Handler.(*HandlerInfo)
			ec.payload, ec.decoded = e.Payload, true
		}
		return ec
	}
}

func socketOf(io *socketio.Socket) (*Socket, bool) {
	s, ok := io.Owner().(*Socket)
	return s, ok
}

// ID is the socket's id, unique and never used again. It is also the name of a room
// with nobody else in it.
func (s *Socket) ID() string {
	if s.io == nil {
		return s.unit.ID()
	}
	return s.io.ID()
}

// Namespace is the name of the namespace the socket is in. Where gateways have a pattern
// it is the client's own: /room/42, not /room/{id}.
func (s *Socket) Namespace() string {
	if s.io == nil {
		return s.unit.Namespace()
	}
	return s.io.Namespace().Name()
}

// PathValue is what a wildcard stands for, of the namespace's pattern or of the path that a
// plain WebSocket client has connected to; empty if there is none of that name.
func (s *Socket) PathValue(name string) string {
	if s.io == nil {
		return s.unit.PathValue(name)
	}
	return s.io.PathValue(name)
}

// nowhere is the server of a socket without connection.
var nowhere = &Server{err: ErrNoSocket}

// Server sends to the namespace the socket is in, the socket itself included: of a
// pattern to this one of its namespaces, and not to all of them as [Base.Server] does.
func (s *Socket) Server() *Server {
	switch {
	case s.home == nil:
		return nowhere
	case s.home.parent == nil:
		return s.home.server
	}
	return s.home.server.Of(s.Namespace())
}

// Handshake is the request the client came with; nil without a connection.
func (s *Socket) Handshake() *Handshake {
	if s.io == nil {
		return s.unit.Handshake()
	}
	return s.io.Handshake()
}

// Transport is how the client is connected at the moment.
func (s *Socket) Transport() engineio.Transport {
	if s.io == nil {
		return s.unit.Transport()
	}
	return s.io.Conn().Transport()
}

// Connected reports whether the client has been told that it is connected, and is.
func (s *Socket) Connected() bool {
	if s.io == nil {
		return s.unit.Connected()
	}
	return s.io.Connected()
}

// Recovered reports whether the client had lost its connection and is back, with the
// rooms and the data that its socket had then; see [WithRecovery].
func (s *Socket) Recovered() bool {
	if s.io == nil {
		return s.unit.Recovered()
	}
	return s.io.Recovered()
}

// Context is what the socket's handlers and hooks get: it carries the values of the
// handshake request's context, without its cancellation.
func (s *Socket) Context() context.Context {
	if s.io == nil {
		return s.unit.Context()
	}
	return s.io.Context()
}

// Emit sends an event to the client. It never waits: see [EngineOptions] for what
// happens to a client that does not keep up.
func (s *Socket) Emit(event string, args ...any) error {
	if s.io == nil {
		return s.unit.Emit(event, args...)
	}
	return s.io.Emit(event, args...)
}

// EmitVolatile sends an event that is dropped if the client cannot be written to at
// once.
func (s *Socket) EmitVolatile(event string, args ...any) error {
	if s.io == nil {
		return s.unit.EmitVolatile(event, args...)
	}
	return s.io.Volatile().Emit(event, args...)
}

// Send is Emit that waits until there is room for the event.
func (s *Socket) Send(ctx context.Context, event string, args ...any) error {
	if s.io == nil {
		return s.unit.Emit(event, args...)
	}
	return s.io.Send(ctx, event, args...)
}

// EmitWithAck sends an event and waits for the client's answer, until ctx is done, the time
// of [Limits].AckTimeout is over or the client leaves. It returns [ErrTooManyAcks] and sends
// nothing if Limits.MaxPendingAcks are awaited already.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (*Answer, error) {
	if s.io == nil {
		return s.unit.EmitWithAck(ctx, event, args...)
	}
	return s.io.EmitWithAck(ctx, event, args...)
}

// Join puts the socket into rooms, which exist as long as someone is in them. It returns
// [ErrTooManyRooms] and joins none if that would be more than [Limits].MaxRooms.
func (s *Socket) Join(rooms ...string) error {
	if s.io == nil {
		return s.unit.Join(rooms...)
	}
	return s.io.Join(rooms...)
}

// Leave takes the socket out of rooms.
func (s *Socket) Leave(rooms ...string) {
	if s.io == nil {
		s.unit.Leave(rooms...)
		return
	}
	s.io.Leave(rooms...)
}

// Rooms are the rooms the socket is in, the one of its own id included.
func (s *Socket) Rooms() []string {
	if s.io == nil {
		return s.unit.Rooms()
	}
	return s.io.Rooms()
}

// To selects the sockets in any of the rooms, without this one.
func (s *Socket) To(rooms ...string) *Broadcast { return s.Broadcast().To(rooms...) }

// In is another name for To.
func (s *Socket) In(rooms ...string) *Broadcast { return s.Broadcast().To(rooms...) }

// Except selects everyone else but the sockets in any of the rooms.
func (s *Socket) Except(rooms ...string) *Broadcast { return s.Broadcast().Except(rooms...) }

// Broadcast selects everyone else in the namespace.
func (s *Socket) Broadcast() *Broadcast { return &Broadcast{sender: s} }

// others is that in the terms of the server below.
func (s *Socket) others() (*socketio.Broadcast, error) {
	if s.io == nil {
		return s.unit.Broadcast()
	}
	return s.io.Broadcast(), nil
}

// Disconnect ends the socket, or, with closeConn, the client's whole connection with
// all its namespaces.
func (s *Socket) Disconnect(closeConn bool) {
	if s.io == nil {
		s.unit.Disconnect(closeConn)
		return
	}
	s.io.Disconnect(closeConn)
}

// Auth decodes what the client gave as auth when it connected, {} if it gave none,
// straight into a T, and calls its Validate method if it has one. Its error is meant
// for the client: return it from HandleConnection to refuse.
func Auth[T any](ctx context.Context) (T, error) {
	var auth T
	h := SocketFrom(ctx).Handshake()
	if h == nil {
		return auth, ErrNoSocket
	}
	if err := h.DecodeAuth(&auth); err != nil {
		return auth, badPayload(err)
	}
	if validate := payload.Validation[T](); validate != nil {
		if err := validate(&auth); err != nil {
			return auth, invalid(err)
		}
	}
	return auth, nil
}

// Key is safe for concurrent use; what is kept under it is the application's business.
// It is a typed name for something kept with a socket: make it once, as a package
// variable, with [NewKey]. It finds its value with a [RemoteSocket] too, in whichever
// node of a cluster it was set.
type Key[T any] = socketio.Key[T]

// NewKey makes a key. The name is what others see of it, a cluster or an admin page;
// two keys of one name and type are the same key.
func NewKey[T any](name string) Key[T] { return socketio.NewKey[T](name) }

// Load is what the socket has under the name of a key; [Key] knows its type.
func (s *Socket) Load(name string) (v any, ok bool) {
	if s.io == nil {
		return s.unit.Load(name)
	}
	return s.io.Load(name)
}

// Store keeps something under the name of a key. On a socket without connection it
// does nothing.
func (s *Socket) Store(name string, v any) {
	if s.io == nil {
		s.unit.Store(name, v)
		return
	}
	s.io.Store(name, v)
}
