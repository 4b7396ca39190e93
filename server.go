package perch

import (
	"iter"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/socketio"
)

// Server is safe for concurrent use. It sends to a namespace and its rooms, as what
// Nest's @WebSocketServer injects does. A gateway finds its own in [Base.Server]; a
// service may be handed that one, for it is valid from the start: until the app is
// started its sends return [ErrNotStarted].
type Server struct {
	place  atomic.Pointer[namespace] // where it sends to; nil before New has bound it
	origin *Server                   // for Of: the server it was asked of…
	name   string                    // …and for which namespace
	// emitter is set, and name, if it was asked of one, which knows the place.
	emitter *Emitter
	err     error // why it sends nowhere
}

// target is the namespace to send to, or why there is none.
func (s *Server) target() (*namespace, error) {
	if s.emitter != nil {
		return s.emitter.find(s.name)
	}
	if s.origin != nil {
		n, err := s.origin.target()
		if err != nil {
			return nil, err
		}
		return n.service.find(s.name)
	}
	if s.err != nil {
		return nil, s.err
	}
	n := s.place.Load()
	if n == nil || !n.service.app.live() {
		return nil, ErrNotStarted
	}
	return n, nil
}

// Of is another namespace of the same server. Its sends return [ErrNoNamespace] if
// no gateway lives there.
//
// A name that a gateway's pattern stands for is that one namespace, /room/42 of
// /room/{id}, whether anyone is in it or not: sends reach who is, in any node of a
// cluster, and are no error if nobody is. What asks sockets returns [ErrNobodyHere] in a
// cluster if none of them is on this node.
func (s *Server) Of(namespace string) *Server {
	for s.origin != nil {
		s = s.origin
	}
	return &Server{origin: s, name: normalNamespace(namespace)}
}

// Namespace is the name of the namespace, or empty before New has seen the gateway.
func (s *Server) Namespace() string {
	if s.origin != nil || s.emitter != nil {
		return s.name
	}
	if n := s.place.Load(); n != nil {
		return n.name
	}
	return ""
}

// Emit sends an event to every socket of the namespace. It never waits: see
// [EngineOptions] for what happens to a client that does not keep up.
func (s *Server) Emit(event string, args ...any) error { return s.broadcast().Emit(event, args...) }

// To selects the sockets in any of the rooms. In is another name for it.
func (s *Server) To(rooms ...string) *Broadcast { return s.broadcast().To(rooms...) }

// In is another name for To.
func (s *Server) In(rooms ...string) *Broadcast { return s.broadcast().To(rooms...) }

// Except leaves out the sockets in any of the rooms.
func (s *Server) Except(rooms ...string) *Broadcast { return s.broadcast().Except(rooms...) }

// Volatile lets an event be dropped for a client that cannot be written to at once.
func (s *Server) Volatile() *Broadcast { return s.broadcast().Volatile() }

// Local keeps an event from the other nodes of a cluster.
func (s *Server) Local() *Broadcast { return s.broadcast().Local() }

func (s *Server) broadcast() *Broadcast { return &Broadcast{server: s} }

// Socket is the connected socket with that id, on this node.
func (s *Server) Socket(id string) (*Socket, bool) {
	n, err := s.target()
	if err != nil {
		return nil, false
	}
	for _, in := range n.here() {
		if io, ok := in.Socket(id); ok {
			return socketOf(io)
		}
	}
	return nil, false
}

// Sockets are the sockets of the namespace on this node.
func (s *Server) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		n, err := s.target()
		if err != nil {
			return
		}
		for _, in := range n.here() {
			for io := range in.Sockets() {
				if sock, ok := socketOf(io); ok && !yield(sock) {
					return
				}
			}
		}
	}
}

// Len is the number of sockets of the namespace on this node.
func (s *Server) Len() int {
	n, err := s.target()
	if err != nil {
		return 0
	}
	count := 0
	for _, in := range n.here() {
		count += in.Len()
	}
	return count
}

// Broadcast is immutable and safe for concurrent use: its methods return new ones. It
// is a selection of sockets to send to; one that is in several of the rooms gets an
// event once.
type Broadcast struct {
	server *Server // of a namespace, or
	sender *Socket // of everyone but this socket
	rooms  []string
	except []string

	volatile, local, noCompress bool
	timeout                     time.Duration
}

// To adds rooms to the selection; without any it is the whole namespace.
func (b *Broadcast) To(rooms ...string) *Broadcast {
	c := *b
	c.rooms = append(b.rooms[:len(b.rooms):len(b.rooms)], rooms...)
	return &c
}

// In is another name for To.
func (b *Broadcast) In(rooms ...string) *Broadcast { return b.To(rooms...) }

// Except takes the sockets in any of the rooms out of the selection.
func (b *Broadcast) Except(rooms ...string) *Broadcast {
	c := *b
	c.except = append(b.except[:len(b.except):len(b.except)], rooms...)
	return &c
}

// Volatile lets the event be dropped for a client that cannot be written to at once.
func (b *Broadcast) Volatile() *Broadcast {
	c := *b
	c.volatile = true
	return &c
}

// Local keeps the event from the other nodes of a cluster.
func (b *Broadcast) Local() *Broadcast {
	c := *b
	c.local = true
	return &c
}

// Emit sends an event to the selection. Its error says that it could not be sent at
// all: arguments that cannot be encoded, a reserved event name, an app not started.
func (b *Broadcast) Emit(event string, args ...any) error {
	return b.send(func(io sender) error { return io.Emit(event, args...) })
}

// sender is a selection in the terms of the server below: of a namespace, or of all those of a pattern.
type sender interface {
	Emit(event string, args ...any) error
	SocketsJoin(rooms ...string) error
	SocketsLeave(rooms ...string) error
	DisconnectSockets(closeConn bool) error
}

// send does something to the selection that waits for nobody.
func (b *Broadcast) send(do func(io sender) error) error {
	if b.sender != nil {
		others, err := b.sender.others()
		if err != nil {
			return err
		}
		return do(narrow(b, others.To(b.rooms...)))
	}
	n, err := b.server.target()
	switch {
	case err != nil:
		return err
	case n.parent != nil:
		return do(narrow(b, n.parent.To(b.rooms...)))
	}
	return n.with(func(io *socketio.Namespace) error { return do(narrow(b, io.To(b.rooms...))) })
}

// narrow takes what a selection says beside its rooms over to that of the server below.
func narrow[B interface {
	Except(rooms ...string) B
	Volatile() B
	Local() B
	Compress(bool) B
}](b *Broadcast, io B) B {
	if len(b.except) > 0 {
		io = io.Except(b.except...)
	}
	if b.volatile {
		io = io.Volatile()
	}
	if b.local {
		io = io.Local()
	}
	if b.noCompress {
		io = io.Compress(false)
	}
	return io
}
