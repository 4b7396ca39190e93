package socketio

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/perch-go/perch/socketio/adapter"
)

// Namespace is safe for concurrent use. It is what clients connect to. Handlers and hooks may be registered at any time, and
// concern what happens from then on.
type Namespace struct {
	server   *Server
	name     string
	adapter  adapter.Adapter
	ids      atomic.Uint64 // of acknowledgements (S-32)
	recovery *recovery     // nil: off
	inbox    serverLane
	child    *child      // nil: the program has made it
	closed   atomic.Bool // its adapter is

	mu       sync.Mutex // serialises changes of registry
	registry atomic.Pointer[registry]
	heirs    map[*Namespace]struct{} // whose registries change with this one
}

// registry is immutable; a change makes a new one. Middlewares and hooks only ever grow: a socket remembers how many of the
// hooks have accepted it.
type registry struct {
	listeners
	open        []func(*Socket)
	middlewares []Middleware
	hooks       []Hooks
	unknown     []*Handler
	excess      []*Handler
	onError     []*func(ctx context.Context, e *Event, err error)
	serverSide  []*serverRoute
}

// Middleware decides whether a socket may connect, before it is a member of the namespace (S-65). An error refuses it; a
// *ConnectError says why to the client. Middlewares run one after the other on the socket's lane.
type Middleware func(ctx context.Context, s *Socket) error

// Hooks is a plain value: hooks that belong together, of which any may be nil. Connection runs when the socket is a member and
// CONNECT is not answered yet; an error refuses it. Admit runs right before it, except for a plain client, which it is asked of before
// the WebSocket handshake is answered. Disconnecting and Disconnect run for every socket that Connection accepted.
// Disconnecting runs while the socket is still in its rooms, so that it can say goodbye to them, and only for a socket that
// nobody refused; Disconnect runs when it has left them, and also if a later hook refused it or the client left before it was
// answered (S-61).
type Hooks struct {
	Admit         func(ctx context.Context, s *Socket) error
	Connection    func(ctx context.Context, s *Socket) error
	Disconnecting func(ctx context.Context, s *Socket, r Reason)
	Disconnect    func(ctx context.Context, s *Socket, r Reason)
}

// newNamespace is called with Server.mu held.
func newNamespace(s *Server, name string) *Namespace {
	n := &Namespace{server: s, name: name}
	n.inbox.ns = n
	n.registry.Store(new(registry))
	n.recovery = newRecovery(s)
	n.adapter = s.opts.Adapter((*host)(n))
	if n.recovery != nil && !n.recovery.by(n.adapter) {
		n.recovery = nil
	}
	s.carried.give(n)
	return n
}

// Name is the name, with its leading slash.
func (n *Namespace) Name() string { return n.name }

// Server is the server that the namespace is of.
func (n *Namespace) Server() *Server { return n.server }

// change replaces the registry.
func (n *Namespace) change(fn func(r *registry)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := *n.registry.Load()
	fn(&r)
	n.registry.Store(&r)
	for heir := range n.heirs {
		heir.change(fn)
	}
}

// OnOpen appends a function that a layer above prepares each new socket with, by Socket.SetOwner for instance. It runs before
// everything else, on the socket's lane, also for a socket that then turns out to be recovered; nobody else can see the socket
// yet, and its id is not settled.
func (n *Namespace) OnOpen(fn func(s *Socket)) {
	n.change(func(r *registry) { r.open = with(r.open, fn) })
}

// Use appends a middleware.
func (n *Namespace) Use(mw Middleware) {
	n.change(func(r *registry) { r.middlewares = with(r.middlewares, mw) })
}

// Hook appends hooks. Hooks run one after the other, in the order they were registered, on the socket's lane.
func (n *Namespace) Hook(h Hooks) {
	n.change(func(r *registry) { r.hooks = with(r.hooks, h) })
}

// OnConnection appends a connection hook. EmitWithAck to the same client returns ErrConnecting there.
func (n *Namespace) OnConnection(fn func(ctx context.Context, s *Socket) error) {
	n.Hook(Hooks{Connection: fn})
}

// OnDisconnect appends a disconnect hook. It runs after the socket's last event was handled, for sockets that were accepted.
// The socket is in no room any more; Socket.Rooms still tells which ones it was in.
func (n *Namespace) OnDisconnect(fn func(ctx context.Context, s *Socket, r Reason)) {
	n.Hook(Hooks{Disconnect: fn})
}

// OnDisconnecting appends a hook that runs after the socket's last event was handled and before it leaves its rooms (S-61). The
// client is gone already; [Socket.To] still reaches those who were with it.
func (n *Namespace) OnDisconnecting(fn func(ctx context.Context, s *Socket, r Reason)) {
	n.Hook(Hooks{Disconnecting: fn})
}

// OnError registers a hook for events that a middleware has refused (S-61, S-66), and returns what removes it again. It runs on
// the socket's lane, after the client was answered; err is what the middleware returned. While there is none, these errors are
// logged: an *[EventError] at debug level, because it is about what the client did, any other as an error.
func (n *Namespace) OnError(fn func(ctx context.Context, e *Event, err error)) (off func()) {
	n.change(func(r *registry) { r.onError = with(r.onError, &fn) })
	return func() { n.change(func(r *registry) { r.onError = without(r.onError, &fn) }) }
}

// Handle appends a handler for an event, and returns what removes it again. Several run in the order they were registered.
func (n *Namespace) Handle(event string, h Handler) (off func()) {
	n.change(func(r *registry) { r.addHandler(event, &h) })
	return func() { n.change(func(r *registry) { r.dropHandler(event, &h) }) }
}

// HandleUnknown appends a handler for events that have no handler of their own, and returns what removes it again. Without one
// they are dropped.
func (n *Namespace) HandleUnknown(h Handler) (off func()) {
	n.change(func(r *registry) { r.unknown = with(r.unknown, &h) })
	return func() { n.change(func(r *registry) { r.unknown = without(r.unknown, &h) }) }
}

// Socket finds a socket of this process.
func (n *Namespace) Socket(id string) (*Socket, bool) {
	m, ok := n.adapter.Member(id)
	if !ok {
		return nil, false
	}
	s, ok := socketOf(m)
	return s, ok
}

// Sockets are the sockets of this process that are there when the loop begins. A socket is there from before its
// connection hooks run until before its disconnect hooks do.
func (n *Namespace) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, m := range n.adapter.Members(adapter.Selection{Local: true}) {
			if s, ok := socketOf(m); ok && !yield(s) {
				return
			}
		}
	}
}

// Len is the number of those sockets.
func (n *Namespace) Len() int { return n.adapter.Len() }
