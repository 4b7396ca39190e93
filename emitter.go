package perch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// ErrAmbiguousNamespace is what sends by an [Emitter] return to a namespace that is on
// several of the app's servers, wrapped in an error that names them.
var ErrAmbiguousNamespace = errors.New("perch: the namespace is on several servers")

// Emitter is safe for concurrent use. It sends to the namespaces of an app and is there
// before the app is: a service takes it in its constructor, a gateway takes the service,
// and the app, made last, takes both ([WithEmitter]). So a service that sends needs no
// gateway, and there is no cycle. Until the app is started its sends return
// [ErrNotStarted]. Its zero value is ready.
type Emitter struct {
	taken atomic.Bool         // by an app, or by a New that is at work
	app   atomic.Pointer[App] // nil until that New has succeeded
}

// NewEmitter makes an Emitter, for those who inject what constructors return.
func NewEmitter() *Emitter { return new(Emitter) }

// WithEmitter makes an Emitter send to the app's namespaces. It may be given several
// times, for several of them; the same one twice, or to two apps, is an error of [New]. The
// default is none.
func WithEmitter(e *Emitter) Option {
	return optionFunc(func(s *settings) { s.emitters = append(s.emitters, e) })
}

// Of is the namespace, on whichever of the app's servers it is. Its sends return
// [ErrNoNamespace] if no gateway lives there, and [ErrAmbiguousNamespace] if it is on
// several ports or paths: then [Base.Server] of the gateway that is meant is the one to
// use, or Of again, from a namespace that only its server has.
func (e *Emitter) Of(namespace string) *Server {
	return &Server{emitter: e, name: normalNamespace(namespace)}
}

// Emit sends an event to every socket of the namespace "/".
func (e *Emitter) Emit(event string, args ...any) error { return e.Of("/").Emit(event, args...) }

// To selects the sockets of the namespace "/" that are in any of the rooms.
func (e *Emitter) To(rooms ...string) *Broadcast { return e.Of("/").To(rooms...) }

// In is another name for To.
func (e *Emitter) In(rooms ...string) *Broadcast { return e.Of("/").To(rooms...) }

// Except selects the sockets of the namespace "/" that are in none of the rooms.
func (e *Emitter) Except(rooms ...string) *Broadcast { return e.Of("/").Except(rooms...) }

// find is the only namespace of that name, or why there is none.
func (e *Emitter) find(name string) (*namespace, error) {
	app := e.app.Load()
	switch {
	case app == nil:
		return nil, fmt.Errorf("%w: the Emitter is part of none yet, give it to New by WithEmitter", ErrNotStarted)
	case !app.live():
		return nil, ErrNotStarted
	}
	var found *namespace
	for _, s := range app.services {
		switch n, err := s.find(name); {
		case err != nil:
		case found != nil:
			return nil, app.ambiguous(name)
		default:
			found = n
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoNamespace, name)
	}
	return found, nil
}

// ambiguous says which gateways have a namespace, and where.
func (a *App) ambiguous(name string) error {
	var places []string
	for _, m := range a.members {
		if _, matches := m.pattern.Match(name); m.name != name && !matches {
			continue
		}
		at := "path " + m.endpoint.path
		if m.endpoint.port != 0 {
			at = fmt.Sprintf("port %d, %s", m.endpoint.port, at)
		}
		places = append(places, fmt.Sprintf("%T (%s)", m.gateway, at))
	}
	return fmt.Errorf("%w: %s is that of %s: send by the Server of the gateway that is meant",
		ErrAmbiguousNamespace, name, strings.Join(places, " and of "))
}

// claim takes the emitters for the app that is being made.
func (a *assembly) claim() {
	for _, e := range a.settings.emitters {
		switch {
		case e == nil:
			a.errs = append(a.errs, errors.New("perch: WithEmitter: the Emitter is nil: pass what NewEmitter returns"))
		case slices.Contains(a.emitters, e):
			a.errs = append(a.errs, errors.New("perch: WithEmitter: the same Emitter is given twice: pass it once"))
		case !e.taken.CompareAndSwap(false, true):
			a.errs = append(a.errs, errors.New("perch: WithEmitter: the Emitter is part of another app already: make one for each"))
		default:
			a.emitters = append(a.emitters, e)
		}
	}
}

// release gives them back when there will be no app.
func (a *assembly) release() {
	for _, e := range a.emitters {
		e.taken.Store(false)
	}
}
