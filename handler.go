package perch

import (
	"context"
	"fmt"
	"iter"
	"reflect"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/socketio"
)

// On registers handler for the events of that name, as Nest's @SubscribeMessage
// does. The event's argument is decoded straight into an In, whose Validate method
// is called if it has one; what handler returns goes to the client as the ack, if it
// asked for one, and is dropped if not. An error goes to the client too: see [Error].
//
// The name is a constant, or a descriptor of package event that says the types too, for
// all who send and handle the event; a name in a variable needs event.Request[In, Out](name).
//
// A missing argument is an error unless In is a pointer or [None]; surplus arguments
// are ignored. []byte anywhere in In or Out is a binary attachment. A [Reply] as Out
// answers by an event.
//
// Several handlers of one event, of one gateway or several, run one after the other
// in the order of registration; the first to answer makes the ack.
//
// What is wrong with a registration (a reserved event name, a type that cannot be
// sent or received, a nil handler) is part of [New]'s error, with the line of the
// call.
func On[In, Out any](r *Router, e event.Request[In, Out], handler func(ctx context.Context, in In) (Out, error), options ...HandlerOption) {
	r.add(registration{
		event: string(e), kind: KindRequest, in: typesOf[In](), out: resultType[Out](), isNil: handler == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			return rt.lane(serve[In, Out](rt, compile(core(reader[In](pipesOf(scopes)), handler), scopes)))
		},
	})
}

// OnEvent is [On] for a handler without a result: an ack that was asked for carries
// no argument.
func OnEvent[In any](r *Router, e event.Event[In], handler func(ctx context.Context, in In) error, options ...HandlerOption) {
	r.add(registration{
		event: string(e), kind: KindEvent, in: typesOf[In](), isNil: handler == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			return rt.lane(serve[In, None](rt, compile(core(reader[In](pipesOf(scopes)), noResult(handler)), scopes)))
		},
	})
}

func noResult[In any](handler func(context.Context, In) error) func(context.Context, In) (None, error) {
	return func(ctx context.Context, in In) (None, error) { return None{}, handler(ctx, in) }
}

// Ack answers an event, once; then it returns [ErrAcked], and ErrNoAck if the client asked
// for no answer. It may be called after the handler has returned, and from any goroutine.
type Ack[Out any] func(out Out) error

// OnAck is [On] for a handler that answers when it likes, by calling ack (Nest: @Ack). What
// it never acks is never answered; an error that it returns is, unless it has acked.
func OnAck[In, Out any](r *Router, e event.Request[In, Out], handler func(ctx context.Context, in In, ack Ack[Out]) error, options ...HandlerOption) {
	r.add(registration{
		event: string(e), kind: KindAck, in: typesOf[In](), out: typeOf[Out](), isNil: handler == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			read := reader[In](pipesOf(scopes))
			run := func(ctx context.Context, ec *ExecutionContext) error {
				in := freshPayload[In](ec)
				if err := read(ctx, ec, in); err != nil {
					return err
				}
				return handler(ctx, *in, ackOf[Out](ec.event.Acker()))
			}
			return rt.lane(serve[In, manual](rt, compile(run, scopes)))
		},
	})
}

func ackOf[Out any](a *socketio.Acker) Ack[Out] {
	if payload.IsNone[Out]() {
		return func(Out) error { return a.Ack() }
	}
	return func(out Out) error { return a.Ack(out) }
}

// manual is the result of a handler that answers by itself.
type manual struct{}

// OnRaw registers handler for the events of that name, as they came: it decodes what it
// wants by [ExecutionContext.Decode], as many arguments as there are. Pipes do not run. Its
// value is the ack; nil is one without argument.
func OnRaw(r *Router, name string, handler func(ctx context.Context, ec *ExecutionContext) (any, error), options ...HandlerOption) {
	r.add(registration{
		event: name, kind: KindRaw, isNil: handler == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			run := func(ctx context.Context, ec *ExecutionContext) error {
				v, err := handler(ctx, ec)
				if err == nil {
					ec.setResult(v)
				}
				return err
			}
			return rt.lane(serve[None, None](rt, compile(run, scopes)))
		},
	})
}

// OnAny registers a listener for every event that comes to the gateway's namespace, known
// or not, which runs before the event's handlers. It acks nothing. An error, of a guard
// of the gateway's for example, keeps nothing from the handlers; the client gets it by
// "exception".
func OnAny(r *Router, listener func(ctx context.Context, ec *ExecutionContext) error, options ...HandlerOption) {
	r.add(registration{
		kind: KindAny, isNil: listener == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			rt.wire.Delivery = DeliverException
			return rt.lane(serve[None, manual](rt, compile(listener, scopes)))
		},
	})
}

// On2 is [On] for an event of exactly two arguments.
func On2[A, B, Out any](r *Router, name string, handler func(ctx context.Context, a A, b B) (Out, error), options ...HandlerOption) {
	type args struct {
		a A
		b B
	}
	r.add(registration{
		event: name, kind: KindRequest, in: []reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B]()}, out: resultType[Out](),
		isNil: handler == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			pipes := pipesOf(scopes)
			first, second := argument[A](0, pipes), argument[B](1, pipes)
			read := func(ctx context.Context, ec *ExecutionContext, in *args) error {
				defer ec.event.Gather()
				if err := counted(ec, 2); err != nil {
					return err
				}
				if err := first(ctx, ec, &in.a); err != nil {
					return err
				}
				return second(ctx, ec, &in.b)
			}
			call := func(ctx context.Context, in args) (Out, error) { return handler(ctx, in.a, in.b) }
			return rt.lane(serve[args, Out](rt, compile(core(read, call), scopes)))
		},
	})
}

// On3 is [On] for an event of exactly three arguments.
func On3[A, B, C, Out any](r *Router, name string, handler func(ctx context.Context, a A, b B, c C) (Out, error), options ...HandlerOption) {
	type args struct {
		a A
		b B
		c C
	}
	r.add(registration{
		event: name, kind: KindRequest, out: resultType[Out](),
		in:    []reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B](), reflect.TypeFor[C]()},
		isNil: handler == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			pipes := pipesOf(scopes)
			first, second, third := argument[A](0, pipes), argument[B](1, pipes), argument[C](2, pipes)
			read := func(ctx context.Context, ec *ExecutionContext, in *args) error {
				defer ec.event.Gather()
				if err := counted(ec, 3); err != nil {
					return err
				}
				if err := first(ctx, ec, &in.a); err != nil {
					return err
				}
				if err := second(ctx, ec, &in.b); err != nil {
					return err
				}
				return third(ctx, ec, &in.c)
			}
			call := func(ctx context.Context, in args) (Out, error) { return handler(ctx, in.a, in.b, in.c) }
			return rt.lane(serve[args, Out](rt, compile(core(read, call), scopes)))
		},
	})
}

// counted is an error unless the event has n arguments, which it leaves spread.
func counted(ec *ExecutionContext, n int) error {
	ec.event.Spread()
	if got := ec.NumArgs(); got != n {
		return Errorf(CodeBadPayload, "%d arguments are wanted, there are %d", n, got)
	}
	return nil
}

// argument makes what reads argument i, as reader does the only one.
func argument[T any](i int, pipes []Pipe) func(ctx context.Context, ec *ExecutionContext, v *T) error {
	finish := finisher[T](pipes)
	return func(ctx context.Context, ec *ExecutionContext, v *T) error {
		if err := ec.Decode(i, v); err != nil {
			return badArgument(i, err)
		}
		return finish(ctx, ec, v)
	}
}

func badArgument(i int, err error) error {
	e := badPayload(err)
	e.Message = fmt.Sprintf("argument %d: %s", i+1, e.Message)
	return e
}

// OnStream registers a handler that answers with a sequence: its items are sent as events of the same name, or those that
// a [Reply] names, as fast as the client takes them; the ack, if the client asked for one, comes at the end and carries no
// argument, or the error that the sequence yielded. The handler and its sequence run off the socket's lane, and their context
// ends when the client leaves. (Nest: a handler that returns an Observable.)
//
// The sequence runs when all stages have returned: what ends with one of them, such as a context that a middleware made, has
// ended by then. [App.Shutdown] waits for it as for any handler, so one without an end has to end with the program.
func OnStream[In, Out any](r *Router, e event.Stream[In, Out], handler func(ctx context.Context, in In) iter.Seq2[Out, error], options ...HandlerOption) {
	r.add(registration{
		event: string(e), kind: KindStream, in: typesOf[In](), out: resultType[Out](), isNil: handler == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			rt.settings.cancelOnLeave = true
			call := func(ctx context.Context, in In) (iter.Seq2[Out, error], error) { return handler(ctx, in), nil }
			return serveStream[In, Out](rt, compile(core(reader[In](pipesOf(scopes)), call), scopes))
		},
	})
}

// OnStreamFunc is [OnStream] for a handler that is given what sends an item. send waits
// until the client has room for it, and returns an error when there is no point in going
// on, which the handler may return. It may be called from any goroutine, and sends nothing
// when the handler has returned.
func OnStreamFunc[In, Out any](r *Router, e event.Stream[In, Out], handler func(ctx context.Context, in In, send func(Out) error) error, options ...HandlerOption) {
	r.add(registration{
		event: string(e), kind: KindStream, in: typesOf[In](), out: resultType[Out](), isNil: handler == nil, options: options,
		compile: func(rt *route, scopes []enhancements) socketio.Handler {
			rt.settings.cancelOnLeave = true
			call := func(ctx context.Context, in In) (iter.Seq2[Out, error], error) { return pushed(ctx, in, handler), nil }
			return serveStream[In, Out](rt, compile(core(reader[In](pipesOf(scopes)), call), scopes))
		},
	})
}
