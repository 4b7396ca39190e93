package socketio

import (
	"strings"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// linger is how long a namespace stays that was made for a call of Server.With in a cluster: what was sent there has left by then,
// and what is sent next needs no new one.
const linger = 10 * time.Second

// With calls fn with the namespace of that name, and returns what it returns. Unlike [Server.Of] it does not keep a child of a
// parent from being dropped when it is empty, so it is the way to send to any number of them by name. A leading slash is added.
//
// A child that is not there now is made for the call, if there is a parent that knows it by its name alone, and [ErrNoNamespace]
// returned if not. Nobody is in it but those who are in the same child in other processes of the cluster: what fn sends reaches
// them, but a question may find that this process does not know them yet, and be answered by none.
func (s *Server) With(name string, fn func(n *Namespace) error) error {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if s.alone {
		n, err := s.present(name)
		if err != nil {
			return err
		}
		return fn(n)
	}
	n, err := s.visit(name)
	if err != nil {
		return err
	}
	defer n.depart()
	return fn(n)
}

// Find returns the namespace of that name if there is one at the moment. Unlike [Server.Of] it makes none, and does not keep a child
// of a parent from being dropped when it is empty. A leading slash is added.
func (s *Server) Find(name string) (n *Namespace, ok bool) {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, ok = s.namespaces[name]
	return n, ok
}

// present is visit for a server that is no part of a cluster: a namespace that is not there has nobody, and needs to be nowhere.
func (s *Server) present(name string) (*Namespace, error) {
	if n, ok := s.Find(name); ok {
		return n, nil
	}
	if p, _ := s.parentOf(name); p == nil {
		return nil, ErrNoNamespace
	}
	n := &Namespace{server: s, name: name}
	n.inbox.ns = n
	n.registry.Store(new(registry))
	n.adapter = adapter.NewMemory((*host)(n))
	return n, nil
}

// visit enters a namespace as a socket does.
func (s *Server) visit(name string) (*Namespace, error) {
	if n := s.enter([]byte(name)); n != nil && !n.candidate() {
		return n, nil
	}
	p, values := s.parentOf(name)
	if p == nil {
		return nil, ErrNoNamespace
	}
	return s.create(p, name, values)
}

// depart is the end of a visit.
func (n *Namespace) depart() {
	if n.child != nil && n.child.users.Add(-1) == 0 && !n.server.opts.KeepEmptyNamespaces {
		n.server.abandon(n, max(linger, n.afterlife()))
	}
}

// parentOf is the first parent that knows a child by its name; nil if there is none.
func (s *Server) parentOf(name string) (*ParentNamespace, map[string]string) {
	if len(name) > maxChildName {
		return nil, nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.parentOfLocked(name)
}

func (s *Server) parentOfLocked(name string) (*ParentNamespace, map[string]string) {
	for _, p := range s.parents {
		if !p.names {
			continue
		}
		if values, err := p.match(s.ctx, name, nil); err == nil {
			return p, values
		}
	}
	return nil, nil
}
