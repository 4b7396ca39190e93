package perch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/perch-go/perch/socketio"
)

// Delivery says where a client is told of an error.
type Delivery uint8

const (
	// DeliverAck tells it in the ack if the client asked for one, else by the event
	// "exception". The default.
	DeliverAck Delivery = iota
	// DeliverException tells it by the event "exception" alone, and leaves an ack
	// without an answer: what Nest does (N-35).
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
	// of an Error without Details, Details alone of one that has them, and "Internal
	// server error" of all others. Use it with DeliverException for clients that know
	// nothing else.
	Nest bool
	// Cause adds to the payload what it is an answer to, as cause: {pattern, data}. Nest
	// does so by default; here it has to be asked for, because it sends back whatever the
	// client sent.
	Cause bool
}

// WithErrors sets how clients are told of errors. The default is the zero value: as
// {"status":"error", code, message, details}, in the ack or by "exception".
func WithErrors(e Errors) Option { return optionFunc(func(s *settings) { s.wire = wire{e} }) }

// wire is how errors are told.
type wire struct{ Errors }

// cause is what an error is an answer to (N-36).
type cause struct {
	Pattern string          `json:"pattern"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// nestFailure is what Nest's exception filter sends.
type nestFailure struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	Cause   *cause `json:"cause,omitzero"`
}

// payload is what is sent of an error.
func (w wire) payload(ec *ExecutionContext, shown *Error) any {
	var because *cause
	if w.Cause {
		because = &cause{Pattern: ec.Event(), Data: ec.Raw(0)}
	}
	switch {
	case !w.Nest:
		f := shown.wire()
		f.Cause = because
		return f
	case shown.Details != nil:
		return shown.Details
	}
	return nestFailure{Status: "error", Message: shown.Message, Cause: because}
}

// deliver sends an error where the client looks for it. An ack that another handler has
// used up cannot tell it.
func (w wire) deliver(ec *ExecutionContext, shown *Error) error {
	payload := w.payload(ec, shown)
	plain := ec.event.Socket().Plain() // whose answer is the event "exception", with the id
	var err error
	told := false
	if ec.WantsAck() && (plain || w.Delivery != DeliverException) {
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
// one it is ignored, as with Nest (N-28).
func (w wire) unknown(_ context.Context, e *socketio.Event) {
	if e.WantsAck() {
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
