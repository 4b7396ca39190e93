package perch

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/socketio"
)

// stage is a step of a pipeline. Its result is the ExecutionContext's, or its error.
type stage func(ctx context.Context, ec *ExecutionContext) error

// compile joins the stages of one handler, once, when it is registered. scopes are those
// of the app, the gateway and the handler, in this order. The order of stages is Nest's
// (N-29), behind the handler's own rate: middleware, guards, interceptors, and innermost the typed core, which decodes,
// pipes, validates and calls the handler. Filters are no stage: they come after all of it,
// where [route.fail] turns an error into what the client gets.
func compile(core stage, scopes []enhancements) stage {
	for _, s := range slices.Backward(scopes) {
		for _, i := range slices.Backward(s.interceptors) {
			core = intercepted(i, core)
		}
	}
	var guards []Guard
	for _, s := range scopes {
		guards = append(guards, s.guards...)
	}
	if len(guards) > 0 {
		core = guarded(guards, core)
	}
	for _, s := range slices.Backward(scopes) {
		for _, m := range slices.Backward(s.middleware) {
			core = wrapped(m, core)
		}
	}
	for _, s := range scopes {
		if len(s.rates) > 0 {
			core = limited(s.rates, core)
		}
	}
	return core
}

func guarded(guards []Guard, next stage) stage {
	return func(ctx context.Context, ec *ExecutionContext) error {
		for _, g := range guards {
			if err := g(ctx, ec); err != nil {
				return err
			}
		}
		return next(ctx, ec)
	}
}

func intercepted(i Interceptor, next stage) stage {
	return func(ctx context.Context, ec *ExecutionContext) error {
		var in inner
		v, err := func() (any, error) {
			defer in.end()
			return i(ctx, ec, func(ctx context.Context) (any, error) {
				if err := in.enter(); err != nil {
					return nil, err
				}
				defer in.leave()
				if err := next(ctx, ec); err != nil {
					return nil, err
				}
				return ec.result(), nil
			})
		}()
		if err != nil {
			return err
		}
		ec.setResult(v)
		return nil
	}
}

func wrapped(m Middleware, next stage) stage {
	return func(ctx context.Context, ec *ExecutionContext) error {
		var in inner
		defer in.end()
		return m(ctx, ec, func(ctx context.Context) error {
			if err := in.enter(); err != nil {
				return err
			}
			defer in.leave()
			return next(ctx, ec)
		})
	}
}

// inner guards what one run of an interceptor or a middleware calls as next. One that had it run on another goroutine and did
// not wait would let a handler loose on a frame and an event that are the next client's by then.
type inner struct {
	mu   sync.Mutex // held while next runs
	over bool
}

var errOver = errors.New("perch: next was called after the interceptor or middleware had returned")

func (n *inner) enter() error {
	n.mu.Lock()
	if n.over {
		n.mu.Unlock()
		return errOver
	}
	return nil
}

func (n *inner) leave() { n.mu.Unlock() }

// end waits for a next that still runs, and lets none begin.
func (n *inner) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
}

// core is the innermost stage of a typed handler.
func core[In, Out any](read func(ctx context.Context, ec *ExecutionContext, in *In) error, handler func(context.Context, In) (Out, error)) stage {
	return func(ctx context.Context, ec *ExecutionContext) error {
		in := freshPayload[In](ec)
		if err := read(ctx, ec, in); err != nil {
			return err
		}
		out, err := handler(ctx, *in)
		if err != nil {
			return err
		}
		if ec.out != nil {
			*ec.out.(*Out) = out
		}
		return nil
	}
}

// freshPayload is where a payload is decoded to. Nothing is left there of an earlier run, if an interceptor calls next again.
func freshPayload[In any](ec *ExecutionContext) *In {
	in := ec.payload.(*In)
	var none In
	*in = none
	ec.decoded, ec.value, ec.replaced = false, nil, false
	return in
}

// reader makes what reads a payload from an event: it decodes, pipes and validates.
func reader[In any](pipes []Pipe) func(ctx context.Context, ec *ExecutionContext, in *In) error {
	decode, finish := payload.Decoder[In](), finisher[In](pipes)
	return func(ctx context.Context, ec *ExecutionContext, in *In) error {
		if err := decode(ec.event, in); err != nil {
			return badPayload(err)
		}
		ec.decoded = true
		return finish(ctx, ec, in)
	}
}

// finisher makes what comes between decoding and the handler. None is nothing to pipe.
func finisher[In any](pipes []Pipe) func(ctx context.Context, ec *ExecutionContext, in *In) error {
	validate := payload.Validation[In]()
	if payload.IsNone[In]() {
		pipes = nil
	}
	pipes = slices.DeleteFunc(slices.Clone(pipes), func(p Pipe) bool {
		return p.accepts != nil && p.accepts != reflect.TypeFor[In]()
	})
	return func(ctx context.Context, ec *ExecutionContext, in *In) error {
		for _, p := range pipes {
			if err := p.run(ctx, ec, in); err != nil {
				return err
			}
		}
		if validate != nil {
			if err := validate(in); err != nil {
				return invalid(err)
			}
		}
		return nil
	}
}

// frame is an ExecutionContext with room for its handler's types, so that neither payload
// nor result is boxed on its way. Frames are pooled per handler and hold nothing between
// two events.
type frame[In, Out any] struct {
	ExecutionContext
	in  In
	out Out
}

// frames makes the pool of a handler's frames.
func frames[In, Out any](hasValue bool) *sync.Pool {
	return &sync.Pool{New: func() any {
		f := new(frame[In, Out])
		f.payload = &f.in
		if hasValue {
			isInterface := reflect.TypeFor[Out]().Kind() == reflect.Interface
			f.ExecutionContext.out = &f.out
			f.boxed = func() any { return f.out }
			f.assign = func(v any) (ok bool) {
				out, ok := v.(Out)
				if ok = ok || v == nil && isInterface; ok {
					f.out = out
				}
				return ok
			}
		}
		return f
	}}
}

func (f *frame[In, Out]) clear() {
	var noIn In
	var noOut Out
	f.in, f.out = noIn, noOut
	f.socket, f.event, f.handler, f.decoded, f.value, f.replaced = nil, nil, nil, false, nil, false
}

// run goes through a handler's pipeline and answers. A panic on the way, a MarshalJSON's included, is its error (engine rule 11).
func (f *frame[In, Out]) run(ctx context.Context, run stage, byHand, boxed bool, reply replier[Out]) (err error) {
	defer recovered(&err)
	if err = run(ctx, &f.ExecutionContext); err != nil || byHand {
		return err
	}
	return f.answer(ctx, boxed, reply)
}

// answer sends what a handler's pipeline has come to: by reply unless that is nil, and else as the ack.
func (f *frame[In, Out]) answer(ctx context.Context, boxed bool, reply replier[Out]) error {
	switch {
	case reply != nil && !f.replaced:
		err := reply(ctx, f.socket, f.event.Name(), &f.out)
		if err == nil && f.WantsAck() {
			err = f.event.Ack()
		}
		return err
	case !f.WantsAck(): // the value is dropped, as with Nest (N-26)
		return nil
	case f.replaced:
		if f.value == nil {
			return f.event.Ack()
		}
		return f.event.Ack(f.value)
	case f.ExecutionContext.out == nil:
		return f.event.Ack()
	case boxed:
		return f.event.Ack(f.out)
	}
	return f.event.Ack(&f.out)
}

// serve makes a route's pipeline the handler of an event.
func serve[In, Out any](r *route, run stage) socketio.Handler {
	byHand := reflect.TypeFor[Out]() == reflect.TypeFor[manual]()
	hasValue, boxed := !payload.IsNone[Out]() && !byHand, cheapToBox[Out]()
	pool := frames[In, Out](hasValue)
	reply := replyOf[Out]()
	return func(ctx context.Context, e *socketio.Event) {
		f := pool.Get().(*frame[In, Out])
		f.event, f.handler = e, r.info
		f.socket, _ = socketOf(e.Socket())
		ctx, cancel := r.context(ctx, e.Socket())
		defer cancel()
		err := f.run(ctx, run, byHand, boxed, reply)
		r.settle(ctx, &f.ExecutionContext, err)
		f.clear()
		pool.Put(f)
	}
}

// safely turns a panic of a stage or a handler into its error (engine rule 11).
func safely(ctx context.Context, run stage, ec *ExecutionContext) (err error) {
	defer recovered(&err)
	return run(ctx, ec)
}

// cheapToBox reports whether a result is better handed on as it is than by a pointer:
// where it is a pointer or two itself, which boxing does not allocate.
func cheapToBox[Out any]() bool {
	switch reflect.TypeFor[Out]().Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan:
		return true
	default:
		return false
	}
}

// settle looks at what has become of an event. Of several handlers of one event the first
// to ack wins (N-21), and a client that has left needs no answer.
func (r *route) settle(ctx context.Context, ec *ExecutionContext, err error) {
	switch {
	case err == nil, errors.Is(err, socketio.ErrAcked):
	case errors.Is(err, socketio.ErrDisconnected) && !ec.event.Socket().Connected():
	case r.settings.cancelOnLeave && errors.Is(err, context.Canceled) && !ec.event.Socket().Connected():
	default: // a result that cannot be encoded is an error the client hears of, not a silent loss
		r.fail(ctx, ec, err)
	}
}

// fail hands an error to the filters, and what they leave of it to the client, once, and
// to the log what the client may not see.
func (r *route) fail(ctx context.Context, ec *ExecutionContext, err error) {
	if err = filter(ctx, ec, r.filters, timedOut(ctx, err)); err == nil {
		if ec.WantsAck() && r.wire.Delivery != DeliverException { // the ack of a KindAny, which delivers so too, is its event's handlers'
			r.settle(ctx, ec, ec.event.Ack())
		}
		return
	}
	shown, known := public(err)
	if !known || isPanic(err) {
		r.log(ctx, ec, "handler failed", err)
	}
	if sent := harmless(func() error { return r.wire.deliver(ec, shown) }); sent != nil {
		r.log(ctx, ec, "error could not be sent as it is", sent)
		if shown.Details != nil { // most likely what cannot be encoded
			_ = r.wire.deliver(ec, &Error{Code: shown.Code, Message: shown.Message})
		}
	}
}

// filter passes an error through a chain. A filter that panics has made another error of it.
func filter(ctx context.Context, ec *ExecutionContext, filters []Filter, err error) error {
	for _, f := range filters {
		if err == nil {
			return nil
		}
		err = func(err error) (left error) {
			defer recovered(&left)
			return f(ctx, ec, err)
		}(err)
	}
	return err
}

// chain is the filters of some scopes in the order they are asked (N-34).
func chain(scopes []enhancements) []Filter {
	var all []Filter
	for _, s := range scopes {
		all = append(all, s.filters...)
	}
	slices.Reverse(all)
	return all
}

func (r *route) log(ctx context.Context, ec *ExecutionContext, msg string, err error) {
	attrs := append([]slog.Attr{
		slog.String("gateway", r.info.Gateway),
		slog.String("event", ec.Event()),
		slog.String("socket", ec.event.Socket().ID()),
	}, causeAttrs(err)...)
	r.logger.LogAttrs(ctx, slog.LevelError, "perch: "+msg, attrs...)
}
