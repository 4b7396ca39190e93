package perch

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"

	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/socketio"
)

// call is one event on its way through its handler's pipeline: what the stages of a
// handler share, without knowing the handler's types.
type call struct {
	event *socketio.Event
	in    any // *In, zero until the innermost stage has decoded it
	out   any // *Out, set by the handler; nil if it has no value to answer with
}

// stage is a step of a pipeline. Its result is the call's out, or its error.
type stage func(ctx context.Context, c *call) error

// compile joins the stages of one handler, outermost first. The order is Nest's
// (N-29): guards, which see the raw event; then what wraps the rest; innermost the
// typed core, which decodes (the first pipe), validates (the second) and calls the
// handler. Filters are no stage: they come after all of it, where [route.fail] turns an
// error into what the client gets.
func compile(core stage, around ...func(next stage) stage) stage {
	for i := len(around) - 1; i >= 0; i-- {
		core = around[i](core)
	}
	return core
}

// core is the innermost stage of a typed handler, made once when it is registered.
func core[In, Out any](handler func(context.Context, In) (Out, error)) stage {
	decode, validate := payload.Decoder[In](), payload.Validation[In]()
	return func(ctx context.Context, c *call) error {
		in := c.in.(*In)
		if err := decode(c.event, in); err != nil {
			return badPayload(err)
		}
		if validate != nil {
			if err := validate(in); err != nil {
				return invalid(err)
			}
		}
		out, err := handler(ctx, *in)
		if err != nil {
			return err
		}
		if c.out != nil {
			*c.out.(*Out) = out
		}
		return nil
	}
}

// frame is a call with room for its handler's types, so that neither payload nor
// result is boxed on its way. Frames are pooled per handler and hold nothing between
// two events.
type frame[In, Out any] struct {
	call
	in  In
	out Out
}

// serve makes a route's pipeline the handler of an event.
func serve[In, Out any](r *route, run stage) socketio.Handler {
	hasValue, boxed := !payload.IsNone[Out](), cheapToBox[Out]()
	pool := sync.Pool{New: func() any {
		f := new(frame[In, Out])
		f.call.in = &f.in
		if hasValue {
			f.call.out = &f.out
		}
		return f
	}}
	return func(ctx context.Context, e *socketio.Event) {
		f := pool.Get().(*frame[In, Out])
		f.event = e
		switch err := safely(ctx, run, &f.call); {
		case err != nil:
			r.fail(ctx, e, err)
		case !e.WantsAck(): // the value is dropped, as with Nest (N-26)
		case !hasValue:
			r.acked(ctx, e, e.Ack())
		case boxed:
			r.acked(ctx, e, e.Ack(f.out))
		default:
			r.acked(ctx, e, e.Ack(&f.out))
		}
		var noIn In
		var noOut Out
		f.event, f.in, f.out = nil, noIn, noOut
		pool.Put(f)
	}
}

// safely turns a panic of a stage or a handler into its error (engine rule 11).
func safely(ctx context.Context, run stage, c *call) (err error) {
	defer recovered(&err)
	return run(ctx, c)
}

// cheapToBox reports whether a result is better handed on as it is than by a pointer,
// which costs no allocation but keeps it from the encoder's short ways for scalars.
func cheapToBox[Out any]() bool {
	switch k := reflect.TypeFor[Out]().Kind(); k {
	case reflect.Struct, reflect.Array, reflect.Slice:
		return false
	default:
		return true
	}
}

// acked looks at what became of an ack. Of several handlers of one event the first to
// answer wins (N-21).
func (r *route) acked(ctx context.Context, e *socketio.Event, err error) {
	switch {
	case err == nil, errors.Is(err, socketio.ErrAcked), errors.Is(err, socketio.ErrDisconnected):
	default: // a result that cannot be encoded is an error the client hears of, not a silent loss
		r.fail(ctx, e, err)
	}
}

// fail tells the client of a handler's error, once, and the log of what the client
// may not see.
func (r *route) fail(ctx context.Context, e *socketio.Event, err error) {
	shown, known := public(err)
	gone := errors.Is(err, socketio.ErrDisconnected) && !e.Socket().Connected() // no failure of the handler's
	if !known && !gone || isPanic(err) {
		r.log(ctx, e, "handler failed", err)
	}
	if sent := deliver(e, shown); sent != nil {
		r.log(ctx, e, "error could not be sent as it is", sent)
		if shown.Details != nil { // most likely what cannot be encoded
			_ = deliver(e, &Error{Code: shown.Code, Message: shown.Message})
		}
	}
}

// deliver sends an error where the client looks for it: in the ack it asked for,
// unless another handler has used that up, else as an event.
func deliver(e *socketio.Event, shown *Error) error {
	err := error(socketio.ErrAcked)
	if e.WantsAck() {
		err = e.Ack(shown.wire())
	}
	if errors.Is(err, socketio.ErrAcked) {
		err = e.Socket().Emit(exception, shown.wire())
	}
	if errors.Is(err, socketio.ErrDisconnected) {
		return nil // nobody is left to tell
	}
	return err
}

func (r *route) log(ctx context.Context, e *socketio.Event, msg string, err error) {
	attrs := append([]slog.Attr{
		slog.String("gateway", r.gateway),
		slog.String("event", r.event),
		slog.String("socket", e.Socket().ID()),
	}, causeAttrs(err)...)
	r.logger.LogAttrs(ctx, slog.LevelError, "perch: "+msg, attrs...)
}

// unknown answers an event that has no handler, if an answer was asked for; without
// one it is ignored, as with Nest (N-28).
func unknown(_ context.Context, e *socketio.Event) {
	if e.WantsAck() {
		_ = deliver(e, Errorf(CodeUnknownEvent, "no handler for the event %q", e.Name()))
	}
}
