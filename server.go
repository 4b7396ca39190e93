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
		if n = n.service.namespaces[s.name]; n == nil {
			return nil, ErrNoNamespace
		}
		return n, nil
	}
	n := s.place.Load()
	if n == nil || !n.service.app.live() {
		return nil, ErrNotStarted
	}
	return n, nil
}

// Of is another namespace of the same server. Its sends return [ErrNoNamespace] if
// no gateway lives there.
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
	io, ok := n.io.Socket(id)
	if !ok {
		return nil, false
	}
	return socketOf(io)
}

// Sockets are the sockets of the namespace on this node.
func (s *Server) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		n, err := s.target()
		if err != nil {
			return
		}
		for io := range n.io.Sockets() {
			if sock, ok := socketOf(io); ok && !yield(sock) {
				return
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
	return n.io.Len()
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
	io, err := b.selection()
	if err != nil {
		return err
	}
	return io.Emit(event, args...)
}

// selection is b in the terms of the server below.
func (b *Broadcast) selection() (*socketio.Broadcast, error) {
	var io *socketio.Broadcast
	if b.sender != nil {
		others, err := b.sender.others()
		if err != nil {
			return nil, err
		}
		io = others.To(b.rooms...)
	} else {
		n, err := b.server.target()
		if err != nil {
			return nil, err
		}
		io = n.io.To(b.rooms...)
	}
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
	if b.timeout > 0 {
		io = io.Timeout(b.timeout)
	}
	return io, nil
}
