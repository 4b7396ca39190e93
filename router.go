package perch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"

	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/socketio"
)

// Router belongs to the one call of Register it is handed to, and is not for concurrent
// use. It collects the gateway's handlers, and what is to run around them.
//
// When Register has returned, each handler is compiled once, with its types, into an
// untyped pipeline; nothing of its registration is looked up again when an event comes.
type Router struct {
	gateway string
	logger  *slog.Logger
	wire    wire
	scope   enhancements // the gateway's
	routes  []*route
	errs    []error
	closed  bool // Register has returned
}

// route is one registered handler.
type route struct {
	info     *HandlerInfo
	settings handlerSettings
	compile  func(r *route, scopes []enhancements) socketio.Handler

	logger  *slog.Logger
	wire    wire
	filters []Filter
	handle  socketio.Handler
}

// registration is what On and its sisters know of a handler.
type registration struct {
	event   string
	kind    HandlerKind
	in      []reflect.Type
	out     reflect.Type
	isNil   bool
	options []HandlerOption
	compile func(r *route, scopes []enhancements) socketio.Handler
}

// add takes a handler up, or notes what is wrong with it. It is called by what the gateway
// calls.
func (r *Router) add(g registration) {
	at := callerLine()
	if r.closed {
		r.logger.Error("perch: handler registered after Register returned; it will not be called",
			"gateway", r.gateway, "event", g.event, "at", at)
		return
	}
	before := len(r.errs)
	if g.kind != KindAny {
		r.check(at, checkEvent(g.event))
	}
	if g.isNil {
		r.check(at, fmt.Errorf("the handler of %q is nil: pass a function or a method", g.event))
	}
	for _, t := range g.in {
		if err := socketio.Decodable(t); err != nil {
			r.check(at, fmt.Errorf("the payload of %q cannot be received: %w; change the handler's parameter", g.event, err))
		}
	}
	if g.out != nil {
		if err := socketio.Encodable(g.out); err != nil {
			r.check(at, fmt.Errorf("the result of %q cannot be sent: %w; change the handler's result", g.event, err))
		}
	}
	rt := &route{logger: r.logger, wire: r.wire, compile: g.compile}
	for _, o := range g.options {
		o.applyHandler(&rt.settings)
	}
	r.check(at, rt.settings.enhancements.check())
	for _, p := range rt.settings.pipes {
		if p.accepts != nil && !slices.Contains(g.in, p.accepts) {
			r.check(at, fmt.Errorf("a pipe of %q is for %v, which the handler does not take: change one of them", g.event, p.accepts))
		}
	}
	if rt.settings.timeout < 0 {
		r.check(at, fmt.Errorf("the timeout of %q is negative: give it more time or none", g.event))
	}
	if len(r.errs) > before {
		return
	}
	rt.info = &HandlerInfo{
		Gateway: r.gateway, Event: g.event, Kind: g.kind, In: g.in, Out: g.out, At: at, Metadata: rt.settings.metadata,
	}
	r.routes = append(r.routes, rt)
}

// finish compiles the handlers, now that all that the gateway has to say is known.
func (r *Router) finish(app enhancements, m *member) {
	r.closed = true
	for _, rt := range r.routes {
		rt.info.Namespace, rt.info.Path, rt.info.Port = m.name, m.endpoint.path, m.endpoint.port
		if len(r.scope.metadata) > 0 {
			own := rt.info.Metadata
			rt.info.Metadata = maps.Clone(r.scope.metadata)
			maps.Copy(rt.info.Metadata, own)
		}
		scopes := []enhancements{app, r.scope, rt.settings.enhancements}
		rt.filters = chain(scopes)
		rt.handle = rt.compile(rt, scopes)
	}
}

func (r *Router) check(at string, err error) {
	if err != nil {
		r.errs = append(r.errs, &GatewayError{Gateway: r.gateway, At: at, Err: err})
	}
}

func checkEvent(event string) error {
	switch {
	case event == "":
		return errors.New("the event has no name: give it one")
	case socketio.Reserved(event):
		return fmt.Errorf("%q is a reserved event name: choose another (for connections implement %s and %s)",
			event, connectionHook.method, disconnectHook.method)
	}
	return nil
}

// typesOf are the types to look at of one parameter or result; none of None, which is
// never on the wire.
func typesOf[T any]() []reflect.Type {
	if payload.IsNone[T]() {
		return nil
	}
	return []reflect.Type{reflect.TypeFor[T]()}
}

func typeOf[T any]() reflect.Type {
	if payload.IsNone[T]() {
		return nil
	}
	return reflect.TypeFor[T]()
}

// pipesOf are the pipes of all scopes, in order.
func pipesOf(scopes []enhancements) []Pipe {
	var all []Pipe
	for _, s := range scopes {
		all = append(all, s.pipes...)
	}
	return all
}

// context is what a handler gets, and what ends it.
func (r *route) context(ctx context.Context, s *socketio.Socket) (context.Context, context.CancelFunc) {
	if !r.settings.cancelOnLeave {
		return ctx, func() {}
	}
	ctx = leaving{ctx, s.Done()}
	if r.settings.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, r.settings.timeout, errHandlerTimeout)
}

// leaving is a context that is done when a socket leaves.
type leaving struct {
	context.Context
	left <-chan struct{}
}

func (l leaving) Done() <-chan struct{} { return l.left }

func (l leaving) Err() error {
	select {
	case <-l.left:
		return context.Canceled
	default:
		return nil
	}
}

// callerLine is the file:line of the gateway's call of On or one of its sisters, or of Use
// and its own, which call what calls this.
func callerLine() string {
	_, file, line, ok := runtime.Caller(3)
	if !ok {
		return ""
	}
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		file = file[i+1:]
	}
	return fmt.Sprintf("%s:%d", file, line)
}
