package perch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strings"

	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/socketio"
)

// Router belongs to the one call of Register it is handed to, and is not for concurrent
// use. It collects the gateway's handlers.
//
// A router compiles each typed handler once into an untyped pipeline; nothing of a
// handler's registration is looked up again when an event comes.
type Router struct {
	gateway string
	logger  *slog.Logger
	routes  []*route
	errs    []error
	closed  bool // Register has returned
}

// route is one registered handler.
type route struct {
	gateway string
	event   string
	logger  *slog.Logger
	handle  socketio.Handler
}

// On registers handler for the events of that name, as Nest's @SubscribeMessage
// does. The event's argument is decoded straight into an In, whose Validate method
// is called if it has one; what handler returns goes to the client as the ack, if it
// asked for one, and is dropped if not. An error goes to the client too: see [Error].
//
// A missing argument is an error unless In is a pointer or [None]; surplus arguments
// are ignored. []byte anywhere in In or Out is a binary attachment.
//
// Several handlers of one event, of one gateway or several, run one after the other
// in the order of registration; the first to answer makes the ack.
//
// What is wrong with a registration (a reserved event name, a type that cannot be
// sent or received, a nil handler) is part of [New]'s error, with the line of the
// call.
func On[In, Out any](r *Router, event string, handler func(ctx context.Context, in In) (Out, error)) {
	register(r, event, handler == nil, handler, callerLine())
}

// OnEvent is [On] for a handler without a result: an ack that was asked for carries
// no argument.
func OnEvent[In any](r *Router, event string, handler func(ctx context.Context, in In) error) {
	register(r, event, handler == nil, func(ctx context.Context, in In) (None, error) {
		return None{}, handler(ctx, in)
	}, callerLine())
}

func register[In, Out any](r *Router, event string, isNil bool, handler func(context.Context, In) (Out, error), at string) {
	if r.closed {
		r.logger.Error("perch: handler registered after Register returned; it will not be called",
			"gateway", r.gateway, "event", event, "at", at)
		return
	}
	before := len(r.errs)
	r.check(at, checkEvent(event))
	if isNil {
		r.check(at, fmt.Errorf("the handler of %q is nil: pass a function or a method", event))
	}
	if err := decodable[In](); err != nil {
		r.check(at, fmt.Errorf("the payload of %q cannot be received: %w; change the handler's parameter", event, err))
	}
	if err := encodable[Out](); err != nil {
		r.check(at, fmt.Errorf("the result of %q cannot be sent: %w; change the handler's result", event, err))
	}
	if len(r.errs) > before {
		return
	}
	rt := &route{gateway: r.gateway, event: event, logger: r.logger}
	rt.handle = serve[In, Out](rt, compile(core(handler)))
	r.routes = append(r.routes, rt)
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

// decodable and encodable try a handler's types once (engine rule 10). None is never
// on the wire.
func decodable[T any]() error {
	if !payload.IsNone[T]() {
		return socketio.Decodable(reflect.TypeFor[T]())
	}
	return nil
}

func encodable[T any]() error {
	if !payload.IsNone[T]() {
		return socketio.Encodable(reflect.TypeFor[T]())
	}
	return nil
}

// callerLine is the file:line of whoever called On or OnEvent.
func callerLine() string {
	_, file, line, ok := runtime.Caller(2)
	if !ok {
		return ""
	}
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		file = file[i+1:]
	}
	return fmt.Sprintf("%s:%d", file, line)
}
