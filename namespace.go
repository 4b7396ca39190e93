package perch

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/perch-go/perch/internal/nspattern"
	"github.com/perch-go/perch/socketio"
)

// namespace is one that gateways live in, or by a pattern all those that the pattern stands for, or one of these.
type namespace struct {
	service *service
	name    string // with its leading slash, or the pattern
	server  *Server

	io      *socketio.Namespace       // nil if there is a pattern
	parent  *socketio.ParentNamespace // nil if there is none, and if it is one of the pattern's
	pattern nspattern.Pattern
}

// registrar is what gateways are registered on: a namespace, or the parent of those of a pattern.
type registrar interface {
	OnOpen(fn func(*socketio.Socket))
	Use(mw socketio.Middleware)
	Hook(h socketio.Hooks)
	Handle(event string, h socketio.Handler) (off func())
	HandleUnknown(h socketio.Handler) (off func())
	HandleExcess(h socketio.Handler) (off func())
	OnAny(h socketio.Handler) (off func())
	HandleServerSide(event string, h socketio.ServerHandler) (off func())
}

func (n *namespace) registrar() registrar {
	if n.parent != nil {
		return n.parent
	}
	return n.io
}

// furnish makes the namespaces of a server's gateways. Those that have a name come before patterns, so that they are not
// taken for what a pattern stands for, and the narrower pattern before the wider one: the order of gateways makes no
// difference.
func (s *service) furnish() {
	for _, m := range s.gateways {
		if s.namespaces[m.name] != nil {
			continue
		}
		n := &namespace{service: s, name: m.name, pattern: m.pattern, server: new(Server)}
		n.server.place.Store(n)
		s.namespaces[m.name] = n
		if m.pattern == nil {
			n.io = s.io.Of(m.name)
			n.prepare()
			continue
		}
		i := slices.IndexFunc(s.patterns, func(q *namespace) bool {
			return nspattern.Compare(q.pattern, m.pattern) == nspattern.Wider
		})
		if i < 0 {
			i = len(s.patterns)
		}
		s.patterns = slices.Insert(s.patterns, i, n)
	}
	for _, n := range s.patterns {
		n.parent, _ = s.io.OfPattern(n.name) // New has parsed it
		n.prepare()
	}
}

func (n *namespace) prepare() {
	r := n.registrar()
	// Before anyone can see the socket as a member of the namespace; a recovered one skips the middlewares.
	r.OnOpen(func(io *socketio.Socket) { io.SetOwner(&Socket{io: io, home: n}) })
	r.HandleUnknown(n.service.app.wire.unknown)
	r.HandleExcess(n.service.app.wire.excess)
	if !n.service.speaksSocketIO(n.name) {
		r.Use(plainOnly)
	}
	n.service.app.guardConnections(r)
}

// find is the namespace of that name, or the one of a pattern.
func (s *service) find(name string) (*namespace, error) {
	if n := s.namespaces[name]; n != nil {
		return n, nil
	}
	for _, n := range s.patterns {
		if _, ok := n.pattern.Match(name); ok {
			return &namespace{service: s, name: name, pattern: n.pattern}, nil
		}
	}
	return nil, ErrNoNamespace
}

// here are the namespaces that there are now, in this process: one, none or all of a pattern.
func (n *namespace) here() []*socketio.Namespace {
	switch {
	case n.io != nil:
		return []*socketio.Namespace{n.io}
	case n.parent != nil:
		return slices.Collect(n.parent.Children())
	}
	if io, ok := n.service.io.Find(n.name); ok {
		return []*socketio.Namespace{io}
	}
	return nil
}

// with calls fn with a namespace that is not all of a pattern's, whether there is one at the moment or not.
func (n *namespace) with(fn func(io *socketio.Namespace) error) error {
	if n.io != nil {
		return fn(n.io)
	}
	return n.service.io.With(n.name, fn)
}

// ask is with for a question, which has to know whom to ask.
func (n *namespace) ask(fn func(io *socketio.Namespace) error) error {
	if n.io != nil {
		return fn(n.io)
	}
	return n.service.io.With(n.name, func(io *socketio.Namespace) error {
		if n.service.clustered && io.Len() == 0 {
			return ErrNobodyHere
		}
		return fn(io)
	})
}

// question puts a question to the sockets of a selection. Of a pattern's namespaces all are asked at the same time.
func question[T any](b *Broadcast, put func(io *socketio.Broadcast) ([]T, error)) (answers []T, err error) {
	if b.sender != nil {
		others, err := b.sender.others()
		if err != nil {
			return nil, err
		}
		return put(narrow(b, others.To(b.rooms...)))
	}
	n, err := b.server.target()
	if err != nil {
		return nil, err
	}
	if n.parent == nil {
		err = n.ask(func(io *socketio.Namespace) (err error) {
			answers, err = put(narrow(b, io.To(b.rooms...)))
			return err
		})
		return answers, err
	}
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for io := range n.parent.Children() {
		wg.Go(func() {
			var some []T
			err := n.service.io.With(io.Name(), func(io *socketio.Namespace) (err error) { // which keeps it as long
				some, err = put(narrow(b, io.To(b.rooms...)))
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			answers, errs = append(answers, some...), append(errs, err)
		})
	}
	wg.Wait()
	return answers, errors.Join(errs...)
}

// one is the target of what only a namespace can do, not all of a pattern.
func (s *Server) one() (*namespace, error) {
	n, err := s.target()
	if err == nil && n.parent != nil {
		return nil, fmt.Errorf("%w: %s stands for many namespaces, choose one with Of", ErrPattern, n.name)
	}
	return n, err
}
