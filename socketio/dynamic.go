package socketio

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/internal/wheel"
)

const (
	defaultMaxNamespaces = 10_000

	// maxChildName bounds the names that clients can have namespaces made of, in bytes.
	maxChildName = 1 << 10

	// maxJoined is what Limits.MaxSockets is by default. There is a bound because each may keep a goroutine while a function makes up
	// its mind, and every packet looks for its socket among them.
	maxJoined = 256
)

var (
	errTooManyNamespaces = &ConnectError{Message: "too many namespaces"}
)

// child is what a namespace has that a parent has made.
type child struct {
	parent *ParentNamespace
	values map[string]string // of wildcards
	ready  chan struct{}     // closed when everybody has been told that there is a new namespace
	// users are its sockets whose lane has not ended. It grows with Server.mu held, for reading at least, so that it
	// stays what it is while the lock is held for writing, or shrinks.
	users atomic.Int64

	// Under Server.mu.
	pinned  bool        // the program has named it, and may hold it
	waiting bool        // it is empty and kept for a while: sockets may be recovered, or With may want it again
	timer   wheel.Timer // until when
}

// PathValue is what a wildcard of the pattern stands for, or a named group of the expression, that the namespace was made by; ""
// if there is none.
func (n *Namespace) PathValue(name string) string {
	if n.child == nil {
		return ""
	}
	return n.child.values[name]
}

// PathValue is that of the socket's namespace, see [Namespace.PathValue], or of a plain client what a wildcard of the pattern stands
// for by which a mux has found the handler of its request.
func (s *Socket) PathValue(name string) string {
	if v := s.ns.PathValue(name); v != "" || s.conn.plain == nil {
		return v
	}
	return s.conn.plain.path[name]
}

func (s *Server) addParent(names bool, match func(context.Context, string, *Handshake) (map[string]string, error)) *ParentNamespace {
	p := &ParentNamespace{server: s, match: match, names: names, template: &Namespace{server: s}}
	p.template.registry.Store(new(registry))
	p.template.heirs = make(map[*Namespace]struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents = with(s.parents, p)
	return p
}

// inheritors are the namespaces that what is registered is passed on to.
func (n *Namespace) inheritors() []*Namespace {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Keys(n.heirs))
}

// inherit begins with what the template has, and gets what it will have.
func (n *Namespace) inherit(template *Namespace) {
	template.mu.Lock()
	defer template.mu.Unlock()
	n.registry.Store(template.registry.Load())
	template.heirs[n] = struct{}{}
}

func (n *Namespace) disinherit(template *Namespace) {
	template.mu.Lock()
	defer template.mu.Unlock()
	delete(template.heirs, n)
}

// enter finds the namespace for a new socket, which has to exit it; nil stands for "/". If there is none, and parents might make
// one, it is a candidate, which has a name and nothing else: the socket's lane makes it one.
func (s *Server) enter(name []byte) *Namespace {
	if len(name) == 0 {
		return s.main
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	ns := s.namespaces[string(name)]
	switch {
	case ns != nil && ns.child != nil:
		ns.child.users.Add(1)
	case ns == nil && len(s.parents) > 0 && len(name) <= maxChildName:
		ns = &Namespace{server: s, name: string(name)}
		ns.registry.Store(new(registry))
	}
	return ns
}

// dynamic reports that clients have had the namespace made, or want to.
func (n *Namespace) dynamic() bool { return n.child != nil || n.candidate() }

// candidate reports that the namespace is to be made yet.
func (n *Namespace) candidate() bool { return n.adapter == nil }

// settle makes the socket's namespace what it is to be. It runs on the lane, before anything else.
func (s *Socket) settle(ctx context.Context) error {
	if s.ns.candidate() {
		ns, err := s.conn.server.adopt(ctx, s)
		if err != nil || ns == nil {
			return err
		}
		s.conn.mu.Lock() // conn.find looks at it
		s.ns = ns
		s.conn.mu.Unlock()
		s.setTicket()
	}
	if s.ns.child != nil {
		<-s.ns.child.ready
	}
	return nil
}

// adopt asks the parents who makes the namespace that s waits for. It returns nil if s does not wait any more.
func (s *Server) adopt(ctx context.Context, sock *Socket) (*Namespace, error) {
	name := sock.ns.name
	s.mu.RLock()
	parents := s.parents
	s.mu.RUnlock()
	for _, p := range parents {
		values, err := p.match(ctx, name, &sock.handshake)
		if sock.leaving() {
			return nil, nil
		}
		if err == nil {
			return s.create(p, name, values)
		}
		if err != errNoMatch && s.debugs() {
			s.opts.Logger.Debug("socketio: namespace refused", "namespace", name, "error", err)
		}
	}
	if ns := s.enter([]byte(name)); ns != nil && !ns.candidate() { // the program has made it meanwhile
		return ns, nil
	}
	return nil, ErrInvalidNamespace
}

// create finds or makes a child, and enters it.
func (s *Server) create(p *ParentNamespace, name string, values map[string]string) (*Namespace, error) {
	ns, hooks, evicted, err := s.createLocked(p, name, values)
	if evicted != nil {
		evicted.close()
	}
	if hooks != nil {
		ns.announce(hooks)
	}
	return ns, err
}

func (s *Server) createLocked(p *ParentNamespace, name string, values map[string]string) (ns *Namespace, hooks []*func(*Namespace), evicted *Namespace, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ns = s.namespaces[name]; ns != nil {
		if ns.child != nil {
			ns.child.users.Add(1)
		}
		return ns, nil, nil, nil
	}
	if s.closing.Load() {
		return nil, nil, nil, ErrInvalidNamespace
	}
	if s.dynamic >= s.opts.MaxNamespaces {
		if evicted = s.evict(); evicted == nil {
			if !s.full {
				s.full = true
				s.opts.Logger.Warn("socketio: no more dynamic namespaces, see Options.MaxNamespaces", "namespaces", s.dynamic)
			}
			s.stats.namespacesRefused.Add(1)
			return nil, nil, nil, errTooManyNamespaces
		}
	}
	ns = newChild(p, name, values)
	ns.child.users.Store(1)
	s.namespaces[name] = ns
	s.dynamic++
	return ns, append([]*func(*Namespace){}, s.onNamespace...), evicted, nil
}

func newChild(p *ParentNamespace, name string, values map[string]string) *Namespace {
	ns := newNamespace(p.server, name)
	ns.child = &child{parent: p, values: values, ready: make(chan struct{})}
	ns.inherit(p.template)
	return ns
}

// pin keeps a namespace that the program has named, and returns it; nil if there is none. Called with mu held.
func (s *Server) pin(name string) *Namespace {
	ns := s.namespaces[name]
	if ns != nil && ns.child != nil && !ns.child.pinned {
		ns.child.pinned = true
		s.dynamic--
	}
	return ns
}

// newNamed makes a namespace that the program names for the first time. It is a child of the first parent that its name tells it is
// one of (S-25). Called with mu held.
func (s *Server) newNamed(name string) *Namespace {
	p, values := s.parentOfLocked(name)
	if p == nil {
		return newNamespace(s, name)
	}
	ns := newChild(p, name, values)
	ns.child.pinned = true
	return ns
}

// announce tells of a new namespace, and lets its sockets in. A function that panics does not keep them out.
func (n *Namespace) announce(hooks []*func(*Namespace)) {
	defer close(n.child.ready)
	for _, fn := range hooks {
		func() {
			defer func() {
				if v := recover(); v != nil {
					n.server.logPanic(v, "hook", "namespace", "namespace", n.name)
				}
			}()
			(*fn)(n)
		}()
	}
}

// exit is the end of what enter began. The last one to leave a child drops it.
func (n *Namespace) exit() {
	if c := n.child; c != nil && c.users.Add(-1) == 0 && !n.server.opts.KeepEmptyNamespaces {
		n.server.abandon(n, n.afterlife())
	}
}

// afterlife is how long a child is kept that is empty: while its sockets may be recovered.
func (n *Namespace) afterlife() time.Duration {
	if n.recovery == nil {
		return 0
	}
	return n.server.opts.Recovery.MaxDisconnection
}

// abandon drops a child that is empty, after that time.
func (s *Server) abandon(n *Namespace, later time.Duration) {
	c := n.child
	s.mu.Lock()
	if c.waiting && later == 0 { // the time is up
		c.waiting = false
		s.waiting--
	}
	if !s.empty(n) {
		s.mu.Unlock()
		return // somebody has come, or has dropped it
	}
	if later > 0 {
		if !c.waiting {
			c.waiting = true
			s.waiting++
		}
		s.wheel.Schedule(&c.timer, later, func() {
			s.pool.run(job(func() { s.abandon(n, 0) })) // closing its adapter may take time
		})
		s.mu.Unlock()
		return
	}
	s.remove(n)
	s.mu.Unlock()
	n.close()
}

// empty reports whether n can be dropped. Called with mu held.
func (s *Server) empty(n *Namespace) bool {
	return n.child.users.Load() == 0 && !n.child.pinned && s.namespaces[n.name] == n
}

// remove takes a child out. Called with mu held.
func (s *Server) remove(n *Namespace) {
	delete(s.namespaces, n.name)
	n.disinherit(n.child.parent.template)
	s.dynamic--
	s.full = false
	if n.child.waiting {
		n.child.waiting = false
		s.waiting--
		s.wheel.Stop(&n.child.timer)
	}
}

// evict makes room for a child by removing one that is empty and waits; nil if there is none. Called with mu held.
func (s *Server) evict() *Namespace {
	if s.waiting == 0 {
		return nil
	}
	for _, n := range s.namespaces {
		if n.child != nil && n.child.waiting && s.empty(n) {
			s.remove(n)
			return n
		}
	}
	return nil
}

// close closes the adapter, once.
func (n *Namespace) close() error {
	if !n.closed.CompareAndSwap(false, true) {
		return nil
	}
	err := n.adapter.Close()
	if err != nil && n.child != nil {
		n.server.opts.Logger.Error("socketio: adapter of a namespace that is empty cannot be closed", "namespace", n.name, "error", err)
	}
	return err
}
