package socketio

import (
	"context"
	"maps"
	"slices"
)

// EventMiddleware decides whether an event may reach its handlers (S-57, S-66). Those of a namespace run before those of a
// socket, each in the order they were registered, on the socket's lane, after the catch-all listeners. An error ends the event:
//
//   - no handler runs, and the connection stays;
//   - a client that asked for an acknowledgement gets one, {"status":"error","code","message","details"}, unless a middleware
//     has answered already. What it says comes from an *[EventError]; of any other error the client learns nothing. (Node's
//     server leaves the client waiting.)
//   - the hooks of [Namespace.OnError] are called. Without any, the error is logged.
type EventMiddleware func(ctx context.Context, e *Event) error

// OutgoingListener is told of an event that is sent to s, just before it is, as in Node: what it does comes before the client's
// answer, and an event that is then dropped (volatile, or over the budget) is told of too. It is called on the goroutine that
// sends, so it has to be safe for concurrent use and must not take long. The slice is its own, what is in it is not to be
// changed; of a broadcast that another process has sent it is a parser.Raw for each argument. It is not told of what a recovered
// socket had missed.
type OutgoingListener func(s *Socket, event string, args []any)

// listeners are what a socket or a namespace was given for its events. They are immutable; a change makes new ones. What is
// registered is known by its address, because functions cannot be compared.
type listeners struct {
	any      []*Handler
	use      []*EventMiddleware
	routes   map[string]*route
	outgoing []*OutgoingListener
}

// route is one event's handlers.
type route struct {
	event    string
	handlers []*Handler
}

// with is append that never writes to memory which a reader may be looking at.
func with[T any](list []T, v T) []T { return append(slices.Clip(list), v) }

// ahead is with at the other end.
func ahead[T any](list []T, v T) []T { return slices.Insert(slices.Clone(list), 0, v) }

// without leaves v out.
func without[T comparable](list []T, v T) []T {
	i := slices.Index(list, v)
	if i < 0 {
		return list
	}
	return slices.Delete(slices.Clone(list), i, i+1)
}

func (l *listeners) addHandler(event string, h *Handler) {
	rt := &route{event: event}
	if old := l.routes[event]; old != nil {
		rt.handlers = old.handlers
	}
	rt.handlers = with(rt.handlers, h)
	if l.routes = maps.Clone(l.routes); l.routes == nil {
		l.routes = make(map[string]*route)
	}
	l.routes[event] = rt
}

// dropHandler also drops the route with its last handler: without one the event is unknown.
func (l *listeners) dropHandler(event string, h *Handler) {
	old := l.routes[event]
	if old == nil {
		return
	}
	l.routes = maps.Clone(l.routes)
	if handlers := without(old.handlers, h); len(handlers) > 0 {
		l.routes[event] = &route{event: event, handlers: handlers}
	} else {
		delete(l.routes, event)
	}
}

// OnAny registers a listener for every event that a client of the namespace sends, and returns what removes it again (S-58).
// Catch-all listeners run on the socket's lane before middlewares and handlers, whether or not there are any; those of the
// namespace before those of the socket. An acknowledgement is given as by a handler.
func (n *Namespace) OnAny(h Handler) (off func()) {
	n.change(func(r *registry) { r.any = with(r.any, &h) })
	return func() { n.change(func(r *registry) { r.any = without(r.any, &h) }) }
}

// PrependAny is OnAny, but the listener runs before those that are there.
func (n *Namespace) PrependAny(h Handler) (off func()) {
	n.change(func(r *registry) { r.any = ahead(r.any, &h) })
	return func() { n.change(func(r *registry) { r.any = without(r.any, &h) }) }
}

// OnAnyOutgoing registers a listener for every event that is sent to a socket of the namespace, as if it were registered with
// each of them: it hears of a broadcast once for each member of this process that gets it. It returns what removes it again.
// Acknowledgements are no events (S-59).
func (n *Namespace) OnAnyOutgoing(fn OutgoingListener) (off func()) {
	n.change(func(r *registry) { r.outgoing = with(r.outgoing, &fn) })
	return func() { n.change(func(r *registry) { r.outgoing = without(r.outgoing, &fn) }) }
}

// PrependAnyOutgoing is OnAnyOutgoing, but the listener is called before those that are there.
func (n *Namespace) PrependAnyOutgoing(fn OutgoingListener) (off func()) {
	n.change(func(r *registry) { r.outgoing = ahead(r.outgoing, &fn) })
	return func() { n.change(func(r *registry) { r.outgoing = without(r.outgoing, &fn) }) }
}

// UseEvent appends a middleware for the events of every client of the namespace. It returns what removes it again.
func (n *Namespace) UseEvent(mw EventMiddleware) (off func()) {
	n.change(func(r *registry) { r.use = with(r.use, &mw) })
	return func() { n.change(func(r *registry) { r.use = without(r.use, &mw) }) }
}

// change replaces what the socket listens to.
func (s *Socket) change(fn func(l *listeners)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l listeners
	if old := s.listeners.Load(); old != nil {
		l = *old
	}
	fn(&l)
	if len(l.any)+len(l.use)+len(l.routes)+len(l.outgoing) == 0 {
		s.listeners.Store(nil) // an event costs no more than with a socket that never had any
		return
	}
	s.listeners.Store(&l)
}

// OnAny registers a listener for every event that the client sends, and returns what removes it again (S-58). It runs on the
// socket's lane after those of the namespace, and before middlewares and handlers.
func (s *Socket) OnAny(h Handler) (off func()) {
	s.change(func(l *listeners) { l.any = with(l.any, &h) })
	return func() { s.change(func(l *listeners) { l.any = without(l.any, &h) }) }
}

// PrependAny is OnAny, but the listener runs before those that the socket has.
func (s *Socket) PrependAny(h Handler) (off func()) {
	s.change(func(l *listeners) { l.any = ahead(l.any, &h) })
	return func() { s.change(func(l *listeners) { l.any = without(l.any, &h) }) }
}

// OnAnyOutgoing registers a listener for every event that is sent to the client, broadcasts among them and acknowledgements not,
// and returns what removes it again (S-59).
func (s *Socket) OnAnyOutgoing(fn OutgoingListener) (off func()) {
	s.change(func(l *listeners) { l.outgoing = with(l.outgoing, &fn) })
	return func() { s.change(func(l *listeners) { l.outgoing = without(l.outgoing, &fn) }) }
}

// PrependAnyOutgoing is OnAnyOutgoing, but the listener is called before those that the socket has.
func (s *Socket) PrependAnyOutgoing(fn OutgoingListener) (off func()) {
	s.change(func(l *listeners) { l.outgoing = ahead(l.outgoing, &fn) })
	return func() { s.change(func(l *listeners) { l.outgoing = without(l.outgoing, &fn) }) }
}

// Use appends a middleware for the events of this client (S-57). It returns what removes it again.
func (s *Socket) Use(mw EventMiddleware) (off func()) {
	s.change(func(l *listeners) { l.use = with(l.use, &mw) })
	return func() { s.change(func(l *listeners) { l.use = without(l.use, &mw) }) }
}

// Handle appends a handler for an event of this client, and returns what removes it again (S-60). It runs after those of the
// namespace. Handlers that are the same for all clients are better registered there, once: see [Namespace.Handle].
func (s *Socket) Handle(event string, h Handler) (off func()) {
	return s.addHandler(event, &h)
}

// Once is Handle for one event: the handler is removed before it is called.
func (s *Socket) Once(event string, h Handler) (off func()) {
	p := new(Handler)
	*p = func(ctx context.Context, e *Event) {
		s.change(func(l *listeners) { l.dropHandler(event, p) })
		h(ctx, e)
	}
	return s.addHandler(event, p)
}

func (s *Socket) addHandler(event string, p *Handler) (off func()) {
	s.change(func(l *listeners) { l.addHandler(event, p) })
	return func() { s.change(func(l *listeners) { l.dropHandler(event, p) }) }
}

// observe tells who wants to know what is about to be sent to the socket. No lock may be held.
func (s *Socket) observe(event string, args []any) {
	for _, fn := range s.ns.registry.Load().outgoing {
		s.report(*fn, event, args)
	}
	if l := s.listeners.Load(); l != nil {
		for _, fn := range l.outgoing {
			s.report(*fn, event, args)
		}
	}
}

func (s *Socket) report(fn OutgoingListener, event string, args []any) {
	defer func() {
		if v := recover(); v != nil {
			s.logPanic(v, "event", event, "hook", "outgoing")
		}
	}()
	fn(s, event, slices.Clone(args)) // of its own, so that the caller's need not be allocated
}
