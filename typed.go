package perch

import (
	"context"
	"fmt"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/internal/payload"
)

// Sender is what an event can be sent to: a [Socket], a [Server], a [Broadcast], an [Emitter].
type Sender interface {
	Emit(event string, args ...any) error
}

// Emit sends an event, with v as its argument, or none if T is [None], so that it is of the type that the event's descriptor says. It
// does what the sender's own Emit does.
//
//	const Posted event.Event[Message] = "posted"
//
//	err := perch.Emit(g.Server().To(room), Posted, Message{Text: "hello"})
//	err := perch.Emit(g.Server().To(room), "posted", Message{Text: "hello"}) // the plain name: T is the value's type
func Emit[T any](to Sender, e event.Event[T], v T) error {
	return to.Emit(string(e), payload.List(v)...)
}

// Call sends an event to the client and waits for its answer, which is decoded into an Out, whose Validate method is called if it
// has one. It does what [Socket.EmitWithAck] does, and returns its errors; an answer that says that something went wrong is a
// [*ClientError]. With [None] as In no argument is sent, as Out none is wanted.
//
//	const Confirm event.Request[Question, bool] = "confirm"
//
//	yes, err := perch.Call(ctx, perch.SocketFrom(ctx), Confirm, Question{"Delete it?"})
//	yes, err := perch.Call[bool](ctx, s, "confirm", Question{"Delete it?"}) // the plain name: Out is given
func Call[Out, In any](ctx context.Context, s *Socket, e event.Request[In, Out], in In) (Out, error) {
	var out, none Out
	answer, err := s.EmitWithAck(ctx, string(e), payload.List(in)...)
	if err != nil {
		return none, err
	}
	if f, failed := payload.FailureOf(answer); failed {
		return none, &ClientError{Code: f.Code, Message: f.Message, Details: f.Details.JSON}
	}
	if err := payload.Decoder[Out]()(answer, &out); err != nil {
		return none, fmt.Errorf("perch: answer to %q: %w", string(e), err)
	}
	if validate := payload.Validation[Out](); validate != nil {
		if err := validate(&out); err != nil {
			return none, fmt.Errorf("perch: answer to %q: %w", string(e), err)
		}
	}
	return out, nil
}

// ClientError is a plain value: what a client has answered to [Call], {"status":"error", code, message, details}. A handler that
// returns it does not tell its own client of it: that sees [CodeInternal].
type ClientError struct {
	Code    string
	Message string
	Details []byte // JSON; nil if there are none
}

// Error is the code and the message.
func (e *ClientError) Error() string {
	return "perch: the client's answer: " + e.Code + ": " + e.Message
}
