package client

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/perch-go/perch/socketio/parser"
)

// hooks are functions to call when something happens, in the order they were added. They are safe for concurrent use; what is
// added is known by its address, because functions cannot be compared.
type hooks[F any] struct {
	mu   sync.Mutex
	list []*F // replaced, never changed
}

func (h *hooks[F]) add(fn F) (off func()) { return h.insert(&fn, false) }

func (h *hooks[F]) prepend(fn F) (off func()) { return h.insert(&fn, true) }

func (h *hooks[F]) insert(fn *F, first bool) (off func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if first {
		h.list = append([]*F{fn}, h.list...)
	} else {
		h.list = append(slices.Clip(h.list), fn)
	}
	return func() { h.remove(fn) }
}

// remove reports whether fn was there.
func (h *hooks[F]) remove(fn *F) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.list, fn)
	if i < 0 {
		return false
	}
	h.list = slices.Delete(slices.Clone(h.list), i, i+1)
	return true
}

func (h *hooks[F]) all() []*F {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list
}

// routes are the handlers of each event. They are safe for concurrent use.
type routes struct {
	mu     sync.Mutex
	events map[string]*hooks[Handler] // none is empty, for a program may make up names
}

func (r *routes) add(event string, p *Handler) (off func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.events[event]
	if h == nil {
		h = new(hooks[Handler])
		if r.events == nil {
			r.events = make(map[string]*hooks[Handler])
		}
		r.events[event] = h
	}
	h.insert(p, false)
	return func() { r.remove(event, p) }
}

// remove reports whether p was there.
func (r *routes) remove(event string, p *Handler) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.events[event]
	if h == nil || !h.remove(p) {
		return false
	}
	if len(h.all()) == 0 {
		delete(r.events, event)
	}
	return true
}

func (r *routes) off(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.events, event)
}

// handlers are those of an event's name, which need not be a string yet.
func (r *routes) handlers(event []byte) []*Handler {
	r.mu.Lock()
	h := r.events[string(event)]
	r.mu.Unlock()
	if h == nil {
		return nil
	}
	return h.all()
}

// OutgoingListener is told of an event when it is sent, on the goroutine that sends it or, if it had waited for a connection, on
// the socket's lane. It must not change the arguments.
type OutgoingListener func(event string, args []any)

// On registers a handler for an event, and returns what removes it again. What comes before there is a handler is dropped:
// register handlers between New and Connect.
func (s *Socket) On(event string, h Handler) (off func()) {
	s.warnReserved(event)
	return s.routes.add(event, &h)
}

// Once is On for one event: the handler is removed before it is called.
func (s *Socket) Once(event string, h Handler) (off func()) {
	s.warnReserved(event)
	p := new(Handler)
	*p = func(ctx context.Context, e *Event) {
		if s.routes.remove(event, p) {
			h(ctx, e)
		}
	}
	return s.routes.add(event, p)
}

// Off removes all handlers of an event.
func (s *Socket) Off(event string) { s.routes.off(event) }

// OnAny registers a listener for every event that comes, and returns what removes it again. It is called before the handlers.
func (s *Socket) OnAny(h Handler) (off func()) { return s.any.add(h) }

// PrependAny is OnAny, but the listener is called before those that are there.
func (s *Socket) PrependAny(h Handler) (off func()) { return s.any.prepend(h) }

// OnAnyOutgoing registers a listener for every event that is sent, and returns what removes it again. Acknowledgements are no
// events.
func (s *Socket) OnAnyOutgoing(fn OutgoingListener) (off func()) { return s.outgoing.add(fn) }

// PrependAnyOutgoing is OnAnyOutgoing, but the listener is called before those that are there.
func (s *Socket) PrependAnyOutgoing(fn OutgoingListener) (off func()) { return s.outgoing.prepend(fn) }

// OnConnect registers what is called when the socket is connected, each time. What had waited to be sent is on its way by then.
// It returns what removes it again.
func (s *Socket) OnConnect(fn func()) (off func()) { return s.onConnect.add(fn) }

// OnDisconnect registers what is called when a connected socket is so no more. err says more about it and may be nil. It returns
// what removes it again.
func (s *Socket) OnDisconnect(fn func(reason Reason, err error)) (off func()) {
	return s.onDisconnect.add(fn)
}

// OnConnectError registers what is called when an attempt to connect has failed (C-11): with a [*ConnectError] or ErrOldServer,
// which are final, or with what went wrong on the way, which is tried again while [Socket.Active] says so. It returns what removes
// it again.
func (s *Socket) OnConnectError(fn func(err error)) (off func()) { return s.onConnectError.add(fn) }

// OnError registers what is called when a handler could not do its work: the argument did not fit its type, or it panicked.
// Without any the error is logged. It returns what removes it again.
func (s *Socket) OnError(fn func(e *Event, err error)) (off func()) { return s.onError.add(fn) }

// lifecycle has hooks of their own, so these would never be called.
var lifecycle = map[string]string{"connect": "OnConnect", "disconnect": "OnDisconnect", "connect_error": "OnConnectError"}

func (s *Socket) warnReserved(event string) {
	if !parser.Reserved(event) {
		return
	}
	s.manager.opts.Logger.Warn("client: no server sends an event of this name, its handler will not be called",
		"event", event, "use", lifecycle[event])
}

func (e *Event) do() { e.socket.dispatch(e) }

// dispatch calls the handlers of e, on the lane.
func (s *Socket) dispatch(e *Event) {
	for _, h := range s.any.all() {
		s.handle(*h, e)
	}
	for _, h := range s.routes.handlers(e.in.packet.Event) {
		s.handle(*h, e)
	}
}

func (s *Socket) handle(h Handler, e *Event) {
	defer func() {
		if v := recover(); v != nil {
			s.fail(e, &panicError{v, debug.Stack()})
		}
	}()
	h(s.ctx, e)
}

// fail tells of an event that could not be handled.
func (s *Socket) fail(e *Event, err error) {
	list := s.onError.all()
	for _, fn := range list {
		s.manager.guard("OnError", func() { (*fn)(e, err) })
	}
	if len(list) > 0 {
		return
	}
	attrs := []any{"event", e.Name(), "namespace", s.namespace, "error", err}
	if p, ok := err.(*panicError); ok {
		attrs = append(attrs, "stack", string(p.stack))
	}
	s.manager.opts.Logger.Error("client: event was not handled", attrs...)
}

// sent tells who wants to know what is sent.
func (s *Socket) sent(event string, args []any) {
	for _, fn := range s.outgoing.all() {
		s.manager.guard("OnAnyOutgoing", func() { (*fn)(event, args) })
	}
}

// guard calls what the program gave us to call, which shall not end the process.
func (m *Manager) guard(hook string, fn func()) {
	defer func() {
		if v := recover(); v != nil {
			m.opts.Logger.Error("client: hook panicked", "hook", hook, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	fn()
}
