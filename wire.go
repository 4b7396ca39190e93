package perch

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/perch-go/perch/socketio"
)

// Delivery says where a client is told of an error.
type Delivery uint8

const (
	// DeliverAck tells it in the ack if the client asked for one, else by the event
	// "exception". The default.
	DeliverAck Delivery = iota
	// DeliverException tells it by the event "exception" alone, and leaves an ack
	// without an answer, also of an error that a filter has dealt with: what Nest does (N-35).
	DeliverException
	// DeliverBoth tells it by both, if the client asked for an ack.
	DeliverBoth
)

// Errors is a plain value that says how clients are told of errors; see [WithErrors]. The
// zero value is Perch's own way.
type Errors struct {
	// Delivery says where. The default is DeliverAck.
	Delivery Delivery
	// Nest sends the payload of Nest's exception filter (N-35): {status, message, cause}
	// of an Error without Details. An Error with Details is a WsException of them: an
	// object or a list goes alone, anything else is the message. All other errors are
	// "Internal server error". Use it with DeliverException and Cause for clients that know
	// nothing else; an unknown event is then not answered either (N-28).
	Nest bool
	// Cause adds to the payload what it is an answer to, as cause: {pattern, data}, where
	// several arguments are a list. Nest does so by default; here it has to be asked for,
	// because it sends back whatever the client sent.
	Cause bool
}

// WithErrors sets how clients are told of errors. The default is the zero value: as
// {"status":"error", code, message, details}, in the ack or by "exception".
func WithErrors(e Errors) Option { return optionFunc(func(s *settings) { s.wire = wire{e} }) }

// wire is how errors are told.
type wire struct{ Errors }

// cause is what an error is an answer to (N-36).
type cause struct {
	Pattern string `json:"pattern"`
	Data    *any   `json:"data,omitzero"`
}

func causeOf(ec *ExecutionContext) *cause {
	c := &cause{Pattern: ec.Event()}
	args := make([]any, ec.NumArgs())
	for i := range args {
		if ec.Decode(i, &args[i]) != nil {
			return c // it may be that which is the error
		}
	}
	switch len(args) { // as Nest hands them on (N-22)
	case 0:
	case 1:
		c.Data = &args[0]
	default:
		var list any = args
		c.Data = &list
	}
	return c
}

// nestFailure is what Nest's exception filter sends.
type nestFailure struct {
	Status  string `json:"status"`
	Message any    `json:"message"`
	Cause   *cause `json:"cause,omitzero"`
}

// payload is what is sent of an error.
func (w wire) payload(ec *ExecutionContext, shown *Error) any {
	var because *cause
	if w.Cause {
		because = causeOf(ec)
	}
	if !w.Nest {
		f := shown.wire()
		f.Cause = because
		return f
	}
	f := nestFailure{Status: "error", Message: shown.Message, Cause: because}
	switch shown.Details.(type) {
	case nil, payloadDetails: // where in a payload is not the whole of what is to be said
	default:
		if isObject(shown.Details) {
			return shown.Details
		}
		f.Message = shown.Details
	}
	return f
}

// isObject reports whether v is an object or a list on the wire.
func isObject(v any) bool {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
		return true
	default:
		return false
	}
}

// deliver sends an error where the client looks for it. An ack that another handler has
// used up cannot tell it.
func (w wire) deliver(ec *ExecutionContext, shown *Error) error {
	payload := w.payload(ec, shown)
	plain := ec.event.Socket().Plain() // whose answer is the event "exception", with the id
	var err error
	told := false
	aside := ec.handler != nil && ec.handler.Kind == KindAny // whose ack is that of the event's own handlers
	if ec.WantsAck() && !aside && (plain || w.Delivery != DeliverException) {
		err = ec.event.AckError(exception, payload)
		told = !errors.Is(err, socketio.ErrAcked)
	}
	if !told || w.Delivery == DeliverBoth && err == nil && !plain {
		err = ec.event.Socket().Emit(exception, payload)
	}
	if errors.Is(err, socketio.ErrDisconnected) {
		return nil // nobody is left to tell
	}
	return err
}

// unknown answers an event that has no handler, if an answer was asked for; without
// one, and for clients that know nothing but Nest, it is ignored, as there (N-28).
func (w wire) unknown(_ context.Context, e *socketio.Event) {
	if e.WantsAck() && (!w.Nest || w.Delivery != DeliverException) {
		s, _ := socketOf(e.Socket())
		_ = w.deliver(&ExecutionContext{socket: s, event: e}, Errorf(CodeUnknownEvent, "no handler for the event %q", e.Name()))
	}
}

// timedOut says so of a handler whose time was over.
func timedOut(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(ctx), errHandlerTimeout) {
		return &Error{Code: CodeTimeout, Message: "the handler took too long"}
	}
	return err
}

var errHandlerTimeout = fmt.Errorf("perch: the time given by WithTimeout is over: %w", context.DeadlineExceeded)
