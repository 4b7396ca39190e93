package socketio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/parser"
)

// The states of a socket. It only ever goes forward.
const (
	statePending   int32 = iota // CONNECT is not answered yet
	stateConnected              // what is sent goes to the session
	stateLeft                   // refused, or the client has left
	stateExpelled               // the server has disconnected it
)

// Socket is safe for concurrent use. It is one client in one namespace.
type Socket struct {
	conn      *conn
	ns        *Namespace
	next      *Socket // on the connection's list, under its lock
	id        string
	handshake Handshake
	owner     atomic.Pointer[any]
	ticket    *ticket                   // nil: cannot be recovered
	listeners atomic.Pointer[listeners] // nil: the socket has none of its own; changes under mu
	meter     atomic.Pointer[meter]     // the connection's; nil until it is looked for
	state     atomic.Int32              // changes under mu
	kick      kick                      // Disconnect was called before CONNECT was answered; under mu

	lane  lane
	stage stage // the lane's worker only

	mu     sync.Mutex
	reason Reason // why it leaves, once it does
	more   *more
}

// kick says what is to follow the answer to CONNECT.
type kick uint8

const (
	kickNot kick = iota
	kickSocket
	kickConnection
)

// more is what few sockets need, or few for long. It is guarded by Socket.mu.
type more struct {
	data  map[string]any
	acks  map[uint64]*pendingAck
	held  held
	done  chan struct{}   // closed when the socket leaves
	rooms []string        // those it was in, once it has left them
	aside *sync.WaitGroup // of Event.Go; nil if there was none
}

// extra returns s.more. Called with mu held.
func (s *Socket) extra() *more {
	if s.more == nil {
		s.more = new(more)
	}
	return s.more
}

func newSocket(c *conn, ns *Namespace, auth []byte) *Socket {
	s := &Socket{
		conn:      c,
		ns:        ns,
		id:        c.legacy.socketID(c.session, ns.name),
		handshake: Handshake{c.session.Handshake(), slices.Clone(auth)},
	}
	s.setTicket()
	s.lane.busy = true // connect begins it
	return s
}

// charge counts the socket against the inbound budget of its connection. Until CONNECT is answered, and from when it leaves until its
// lane ends, it counts like an event that waits: a client that joins and leaves faster than hooks let it is not read from meanwhile.
func (s *Socket) charge() { s.conn.session.Charge(1, len(s.handshake.auth)) }

func (s *Socket) discharge() { s.conn.session.Discharge(1, len(s.handshake.auth)) }

// setTicket makes the socket one that can be recovered, if it can.
func (s *Socket) setTicket() {
	if s.ns.recovery != nil && s.conn.session.Protocol() == 4 { // 2.x and plain clients know nothing of recovery
		s.ticket = &ticket{socket: s}
	}
}

// newID returns 20 url-safe characters, 120 random bits (S-49, CVE-2017-16031).
func newID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ID is the socket's name in its namespace, 20 url-safe characters that have nothing to do with the session's. That of a
// client of 2.x is made of the session's, which the client knows: the session's in "/", "/chat#" and the session's in "/chat".
func (s *Socket) ID() string { return s.id }

// Namespace is the namespace that the client joined.
func (s *Socket) Namespace() *Namespace { return s.ns }

// Handshake is how the client introduced itself.
func (s *Socket) Handshake() *Handshake { return &s.handshake }

// Conn is the session that the socket shares with those of the same client in other namespaces.
func (s *Socket) Conn() *engineio.Session { return s.conn.session }

// Plain reports whether the client is a WebSocket that does not speak Socket.IO, see [Server.Plain].
func (s *Socket) Plain() bool { return s.conn.plain != nil }

// Connected reports whether CONNECT was answered and neither side has left since.
func (s *Socket) Connected() bool { return s.state.Load() == stateConnected }

// Done is closed when the socket leaves or is refused, which may be before its last events are handled.
func (s *Socket) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.extra()
	if m.done == nil {
		m.done = make(chan struct{})
		if s.state.Load() >= stateLeft {
			close(m.done)
		}
	}
	return m.done
}

// beginAside counts a goroutine that the lane's end has to wait for, and returns what counts it.
func (s *Socket) beginAside() *sync.WaitGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.extra()
	if m.aside == nil {
		m.aside = new(sync.WaitGroup)
	}
	m.aside.Add(1)
	return m.aside
}

// awaitAside is called by the lane, which begins no more of them.
func (s *Socket) awaitAside() {
	s.mu.Lock()
	var aside *sync.WaitGroup
	if s.more != nil {
		aside = s.more.aside
	}
	s.mu.Unlock()
	if aside != nil {
		aside.Wait()
	}
}

// Context is what handlers and hooks get: it has the values of the context of the request that opened the connection and is
// never cancelled. SocketFrom finds the socket in it; Done tells when it leaves.
func (s *Socket) Context() context.Context { return (*socketContext)(s) }

// SocketFrom returns the socket whose handler or hook was given ctx, or a context made from it.
func SocketFrom(ctx context.Context) (*Socket, bool) {
	s, ok := ctx.Value(socketKey{}).(*Socket)
	return s, ok
}

type socketKey struct{}

// socketContext is a socket seen as a context, which costs no memory of its own.
type socketContext Socket

func (c *socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *socketContext) Done() <-chan struct{}       { return nil }
func (c *socketContext) Err() error                  { return nil }

func (c *socketContext) Value(key any) any {
	if key == (socketKey{}) {
		return (*Socket)(c)
	}
	return c.handshake.Context().Value(key)
}

// String keeps fmt from looking at the socket's fields behind its locks.
func (c *socketContext) String() string { return "socketio.Context(" + c.id + ")" }

// Load returns what was stored under key (S-51). In a cluster, after a recovery, that is a parser.Raw: what JSON made of it; a [Key]
// decodes it.
func (s *Socket) Load(key string) (any, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		return nil, false
	}
	v, ok := s.more.data[key]
	return v, ok
}

// Store keeps v under key as long as the socket lives.
func (s *Socket) Store(key string, v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.extra()
	if m.data == nil {
		m.data = make(map[string]any)
	}
	m.data[key] = v
}

// Owner returns what SetOwner was given last, or nil. It belongs to the layer above this package.
func (s *Socket) Owner() any {
	if v := s.owner.Load(); v != nil {
		return *v
	}
	return nil
}

// SetOwner keeps v for Owner.
func (s *Socket) SetOwner(v any) { s.owner.Store(&v) }

// Join adds the socket to rooms. It returns ErrConnecting before the socket is a member of its namespace, that is in
// middlewares, and ErrDisconnected after it has left (S-53); one that may be recovered can join while its last events are handled.
// Beyond [Limits.MaxRooms] it is ErrTooManyRooms, and none of them is joined.
func (s *Socket) Join(rooms ...string) error {
	switch s.state.Load() {
	case stateLeft:
		if !s.recoverable() {
			return ErrDisconnected
		}
	case stateExpelled:
		return ErrDisconnected
	case statePending:
		if !s.isMember() {
			return ErrConnecting
		}
	}
	if !s.admitRooms(rooms) {
		return ErrTooManyRooms
	}
	s.ns.adapter.Join(s.id, rooms...)
	return nil
}

// isMember reports whether the socket itself is a member: one that is recovered has its predecessor's id.
func (s *Socket) isMember() bool {
	m, ok := s.ns.adapter.Member(s.id)
	return ok && m == s.member()
}

// Leave takes the socket out of rooms. Its own one, named as its id, cannot be left.
func (s *Socket) Leave(rooms ...string) {
	if s.state.Load() < stateLeft || s.isMember() {
		s.ns.adapter.Leave(s.id, rooms...)
	}
}

// Rooms are the rooms that the socket is in, its own one first. When it has left, they are the ones it was in then.
func (s *Socket) Rooms() []string {
	s.mu.Lock()
	if s.more != nil && s.more.rooms != nil {
		defer s.mu.Unlock()
		return slices.Clone(s.more.rooms)
	}
	s.mu.Unlock()
	return s.ns.adapter.Rooms(s.id)
}

// To is a broadcast to rooms, the socket itself excluded (S-55).
func (s *Socket) To(rooms ...string) *Broadcast { return s.Broadcast().To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) *Broadcast { return s.Broadcast().To(rooms...) }

// Except is a broadcast to everyone but the socket itself and the members of rooms.
func (s *Socket) Except(rooms ...string) *Broadcast { return s.Broadcast().Except(rooms...) }

// Broadcast is a broadcast to everyone but the socket itself.
func (s *Socket) Broadcast() *Broadcast { return s.ns.Except(s.id) }

// Local is Broadcast to those of this process.
func (s *Socket) Local() *Broadcast { return s.Broadcast().Local() }

// Disconnect makes the socket leave its namespace (S-56). With closeConn all sockets of the client leave theirs, and the
// connection is closed. Events that have been read and not been handled are dropped. Where CONNECT is not answered yet, it is
// answered first: a client that is not told would wait.
func (s *Socket) Disconnect(closeConn bool) {
	k := kickSocket
	if closeConn {
		k = kickConnection
	}
	was := s.expel(k, ReasonServerNamespaceDisconnect)
	if s.conn.plain != nil && was == stateConnected {
		s.conn.session.CloseWith(engineio.ReasonForcedServerClose, closeNormal, string(ReasonServerNamespaceDisconnect))
		return
	}
	if !closeConn || was >= stateLeft {
		return
	}
	c := s.conn
	c.mu.Lock()
	others := c.list()
	c.mu.Unlock()
	for _, other := range others {
		other.expel(kickSocket, ReasonServerNamespaceDisconnect)
	}
	if was == stateConnected {
		c.session.Close(engineio.ReasonForcedServerClose)
	}
}

// expel disconnects the socket, or sees to it that this happens when CONNECT is answered. It returns the state it found.
func (s *Socket) expel(k kick, reason Reason) (was int32) {
	s.mu.Lock()
	was = s.state.Load()
	switch was {
	case statePending:
		s.kick = max(s.kick, k)
	case stateConnected:
		// Behind what was sent before, and before anything that is sent from now on is refused.
		if s.conn.plain == nil { // whose connection is closed instead
			if m, err := s.conn.server.format.message(parser.Outgoing{Type: parser.Disconnect, Namespace: s.ns.name}); err == nil {
				_ = s.conn.session.Insist(m)
			}
		}
		s.leaveUnlock(stateExpelled, reason)
		s.conn.session.Flush()
		return was
	}
	s.mu.Unlock()
	return was
}

// leave is told to a socket whose client has left the namespace or is gone altogether.
func (s *Socket) leave(reason Reason) {
	s.mu.Lock()
	if s.state.Load() >= stateLeft {
		s.mu.Unlock()
		return
	}
	s.leaveUnlock(stateLeft, reason)
}

// leaveUnlock ends sending and waiting, and makes the lane end. Called with mu held, releases it.
func (s *Socket) leaveUnlock(state int32, reason Reason) {
	if s.state.Load() == stateConnected {
		s.charge()
	}
	s.state.Store(state)
	if s.reason == "" {
		s.reason = reason
	}
	var acks map[uint64]*pendingAck
	if m := s.more; m != nil {
		acks, m.acks = m.acks, nil
		m.held = held{}
		if m.done != nil {
			close(m.done)
		}
	}
	s.mu.Unlock()
	for _, a := range acks {
		a.settle(nil, ErrDisconnected)
	}
	s.end()
}

// end makes the lane end after the events that are on it.
func (s *Socket) end() {
	if s.lane.end() {
		s.conn.server.pool.run(s)
	}
}

// drain is leave for a server that shuts down: until the last event is handled, the socket can still send.
func (s *Socket) drain() {
	if s.state.Load() == statePending {
		s.leave(ReasonServerShuttingDown)
		return
	}
	s.shuttingDown()
	s.end()
}

// shuttingDown makes that the reason why the socket will have left.
func (s *Socket) shuttingDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == "" {
		s.reason = ReasonServerShuttingDown
	}
}
