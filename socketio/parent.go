package socketio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"

	"github.com/perch-go/perch/internal/nspattern"
	"github.com/perch-go/perch/socketio/parser"
)

// ParentNamespace is safe for concurrent use. It stands for all namespaces whose name it accepts, its children, which are made
// when a client asks for one (S-74) and dropped when they are empty (S-75). What is registered on it is registered on each of
// them, those there are and those to come; a child is a [Namespace] like any other, on which more can be registered. What the
// children of all parents may come to, [Options.MaxNamespaces] bounds.
//
// Parents are asked in the order in which they were registered, and only for names that there is no namespace of: who may join a
// child is for its middlewares to say.
type ParentNamespace struct {
	server *Server
	match  func(ctx context.Context, name string, h *Handshake) (values map[string]string, err error)
	names  bool // match looks at nothing but the name
	// template holds what was registered, and has no adapter.
	template *Namespace
}

// NamespaceFunc says whether a client may have a namespace made of that name, which begins with a slash: with an error it may not,
// and the next parent is asked; when no parent accepts, the client gets "Invalid namespace". The function may take its time. It
// is called concurrently.
type NamespaceFunc func(ctx context.Context, name string, h *Handshake) error

var errNoMatch = errors.New("name does not match")

// OfRegexp makes a parent of the namespaces whose name, with its leading slash, matches. As with Node's server the expression
// matches anywhere unless it has anchors. [Socket.PathValue] returns what its named groups match.
func (s *Server) OfRegexp(re *regexp.Regexp) *ParentNamespace {
	names := re.SubexpNames()
	return s.addParent(true, func(_ context.Context, name string, _ *Handshake) (map[string]string, error) {
		found := re.FindStringSubmatch(name)
		if found == nil {
			return nil, errNoMatch
		}
		values := make(map[string]string)
		for i, v := range found {
			if names[i] != "" {
				values[names[i]] = v
			}
		}
		return values, nil
	})
}

// OfPattern makes a parent of the namespaces whose name matches a pattern like those of [net/http.ServeMux]: in /room/{id} the
// wildcard {id} stands for one segment of the name, and {rest...} at the end for all the segments that are left.
// [Socket.PathValue] returns what they stand for. A leading slash is added. The error says what is wrong with the pattern.
func (s *Server) OfPattern(pattern string) (*ParentNamespace, error) {
	p, err := nspattern.Parse(pattern)
	if err != nil {
		return nil, fmt.Errorf("socketio: pattern %q: %w", pattern, err)
	}
	return s.addParent(true, func(_ context.Context, name string, _ *Handshake) (map[string]string, error) {
		if values, ok := p.Match(name); ok {
			return values, nil
		}
		return nil, errNoMatch
	}), nil
}

// OfFunc makes a parent of the namespaces that fn accepts.
func (s *Server) OfFunc(fn NamespaceFunc) *ParentNamespace {
	return s.addParent(false, func(ctx context.Context, name string, h *Handshake) (map[string]string, error) {
		return nil, fn(ctx, name, h)
	})
}

// Children are the children of this process that there are when the loop begins.
func (p *ParentNamespace) Children() iter.Seq[*Namespace] {
	return func(yield func(*Namespace) bool) {
		for _, n := range p.template.inheritors() {
			if !yield(n) {
				return
			}
		}
	}
}

// Use is [Namespace.Use] of each child.
func (p *ParentNamespace) Use(mw Middleware) { p.template.Use(mw) }

// UseEvent is [Namespace.UseEvent] of each child.
func (p *ParentNamespace) UseEvent(mw EventMiddleware) (off func()) { return p.template.UseEvent(mw) }

// Hook is [Namespace.Hook] of each child.
func (p *ParentNamespace) Hook(h Hooks) { p.template.Hook(h) }

// OnOpen is [Namespace.OnOpen] of each child.
func (p *ParentNamespace) OnOpen(fn func(s *Socket)) { p.template.OnOpen(fn) }

// OnConnection is [Namespace.OnConnection] of each child.
func (p *ParentNamespace) OnConnection(fn func(ctx context.Context, s *Socket) error) {
	p.template.OnConnection(fn)
}

// OnDisconnecting is [Namespace.OnDisconnecting] of each child.
func (p *ParentNamespace) OnDisconnecting(fn func(ctx context.Context, s *Socket, r Reason)) {
	p.template.OnDisconnecting(fn)
}

// OnDisconnect is [Namespace.OnDisconnect] of each child.
func (p *ParentNamespace) OnDisconnect(fn func(ctx context.Context, s *Socket, r Reason)) {
	p.template.OnDisconnect(fn)
}

// OnError is [Namespace.OnError] of each child.
func (p *ParentNamespace) OnError(fn func(ctx context.Context, e *Event, err error)) (off func()) {
	return p.template.OnError(fn)
}

// OnAny is [Namespace.OnAny] of each child.
func (p *ParentNamespace) OnAny(h Handler) (off func()) { return p.template.OnAny(h) }

// PrependAny is [Namespace.PrependAny] of each child.
func (p *ParentNamespace) PrependAny(h Handler) (off func()) { return p.template.PrependAny(h) }

// OnAnyOutgoing is [Namespace.OnAnyOutgoing] of each child.
func (p *ParentNamespace) OnAnyOutgoing(fn OutgoingListener) (off func()) {
	return p.template.OnAnyOutgoing(fn)
}

// PrependAnyOutgoing is [Namespace.PrependAnyOutgoing] of each child.
func (p *ParentNamespace) PrependAnyOutgoing(fn OutgoingListener) (off func()) {
	return p.template.PrependAnyOutgoing(fn)
}

// Handle is [Namespace.Handle] of each child.
func (p *ParentNamespace) Handle(event string, h Handler) (off func()) {
	return p.template.Handle(event, h)
}

// HandleUnknown is [Namespace.HandleUnknown] of each child.
func (p *ParentNamespace) HandleUnknown(h Handler) (off func()) { return p.template.HandleUnknown(h) }

// HandleServerSide is [Namespace.HandleServerSide] of each child.
func (p *ParentNamespace) HandleServerSide(event string, h ServerHandler) (off func()) {
	return p.template.HandleServerSide(event, h)
}

func (p *ParentNamespace) all() *ParentBroadcast { return &ParentBroadcast{parent: p} }

// To is a broadcast to the members of rooms in all children.
func (p *ParentNamespace) To(rooms ...string) *ParentBroadcast { return p.all().To(rooms...) }

// In is To.
func (p *ParentNamespace) In(rooms ...string) *ParentBroadcast { return p.all().To(rooms...) }

// Except is a broadcast to everyone in all children but the members of rooms.
func (p *ParentNamespace) Except(rooms ...string) *ParentBroadcast { return p.all().Except(rooms...) }

// Volatile is a broadcast that is dropped for sockets which cannot be written to right now.
func (p *ParentNamespace) Volatile() *ParentBroadcast { return p.all().Volatile() }

// Compress is a broadcast that says whether it may be compressed.
func (p *ParentNamespace) Compress(compress bool) *ParentBroadcast { return p.all().Compress(compress) }

// Local is a broadcast to the sockets of this process.
func (p *ParentNamespace) Local() *ParentBroadcast { return p.all().Local() }

// Emit sends an event to every socket of all children; see [ParentBroadcast.Emit].
func (p *ParentNamespace) Emit(event string, args ...any) error { return p.all().Emit(event, args...) }

// ParentBroadcast is immutable and safe for concurrent use: each of its methods returns a new one. It selects sockets in all
// children that a parent has in this process (S-48); those of the same children in other processes are reached too, unless it is
// Local. What asks sockets for something is not to be had here but with each of [ParentNamespace.Children].
type ParentBroadcast struct {
	parent *ParentNamespace
	each   Broadcast // its ns is not set
}

func (b *ParentBroadcast) with(each *Broadcast) *ParentBroadcast {
	return &ParentBroadcast{b.parent, *each}
}

// To adds rooms, as [Broadcast.To] does.
func (b *ParentBroadcast) To(rooms ...string) *ParentBroadcast { return b.with(b.each.To(rooms...)) }

// In is To.
func (b *ParentBroadcast) In(rooms ...string) *ParentBroadcast { return b.To(rooms...) }

// Except leaves out the members of rooms.
func (b *ParentBroadcast) Except(rooms ...string) *ParentBroadcast {
	return b.with(b.each.Except(rooms...))
}

// Volatile leaves out sockets that cannot be written to right now.
func (b *ParentBroadcast) Volatile() *ParentBroadcast { return b.with(b.each.Volatile()) }

// Compress says whether the event may be compressed.
func (b *ParentBroadcast) Compress(compress bool) *ParentBroadcast {
	return b.with(b.each.Compress(compress))
}

// Local keeps what is done to sockets in this process.
func (b *ParentBroadcast) Local() *ParentBroadcast { return b.with(b.each.Local()) }

// Emit sends an event to the sockets selected, as [Broadcast.Emit] does in each child.
func (b *ParentBroadcast) Emit(event string, args ...any) error {
	if parser.Reserved(event) {
		return reservedError(event)
	}
	return b.do(func(c *Broadcast) error { return c.Emit(event, args...) })
}

// SocketsJoin adds the sockets selected to rooms of their own namespace.
func (b *ParentBroadcast) SocketsJoin(rooms ...string) error {
	return b.do(func(c *Broadcast) error { return c.SocketsJoin(rooms...) })
}

// SocketsLeave takes the sockets selected out of rooms.
func (b *ParentBroadcast) SocketsLeave(rooms ...string) error {
	return b.do(func(c *Broadcast) error { return c.SocketsLeave(rooms...) })
}

// DisconnectSockets disconnects the sockets selected.
func (b *ParentBroadcast) DisconnectSockets(closeConn bool) error {
	return b.do(func(c *Broadcast) error { return c.DisconnectSockets(closeConn) })
}

func (b *ParentBroadcast) do(fn func(*Broadcast) error) error {
	var errs []error
	for n := range b.parent.Children() {
		c := b.each
		c.ns = n
		if err := fn(&c); err != nil && !n.closed.Load() { // an adapter that is closed meanwhile has nobody
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
