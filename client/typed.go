package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/socketio/parser"
)

// The codes that OnRequest itself answers with, as servers of Perch do.
const (
	codeError      = "ERROR"       // an Error without a code
	codeInternal   = "INTERNAL"    // any error that is not an Error: its text stays here
	codeBadPayload = "BAD_PAYLOAD" // the argument is missing or does not fit the handler's type
	codeInvalid    = "INVALID"     // the payload's Validate refused it
)

// On registers a handler for an event, and returns what removes it again. The event's first argument is decoded into a T, whose
// Validate method, func() error on T or *T, is called if there is one; what does not fit is told to [Socket.OnError], and the
// handler is not called. A missing argument does not fit unless T is a pointer or [event.None]; surplus ones are ignored.
//
// The server gets no answer, even if it asks for one: [OnRequest] answers.
func On[T any](s *Socket, e event.Event[T], h func(ctx context.Context, v T)) (off func()) {
	read := reader[T]()
	return s.On(string(e), func(ctx context.Context, in *Event) {
		v, err := read(in)
		if err != nil {
			s.fail(in, err)
			return
		}
		h(ctx, v)
	})
}

// OnRequest registers a handler for an event that the server wants acknowledged, and returns what removes it again. The argument is
// read as by [On]; what the handler returns is the acknowledgement, which with [event.None] as Out has no argument. Of several
// handlers the first to answer wins.
//
// An error is answered too, as {"status":"error", code, message, details}, the way servers of Perch do: an [*Error] as it is, an
// argument that does not fit as code BAD_PAYLOAD or, if its Validate says so, INVALID. Of any other error, and of a panic, the
// server learns no more than the code INTERNAL. An error that the server does not learn all of, or does not ask for, is told to
// [Socket.OnError], and so is every argument that does not fit.
func OnRequest[In, Out any](s *Socket, e event.Request[In, Out], h func(ctx context.Context, in In) (Out, error)) (off func()) {
	read := reader[In]()
	return s.On(string(e), func(ctx context.Context, ev *Event) {
		in, err := read(ev)
		if err != nil {
			s.fail(ev, err)
			_ = answerError(ev, misfit(err))
			return
		}
		returned := false
		defer func() {
			if !returned { // a panic, which our caller tells OnError of
				_ = answerError(ev, internal)
			}
		}()
		out, err := h(ctx, in)
		returned = true
		if err == nil && ev.WantsAck() {
			switch err = ev.Ack(payload.List(out)...); {
			case errors.Is(err, ErrAcked), errors.Is(err, ErrDisconnected):
				return // nobody waits for it
			case errors.Is(err, ErrBufferFull): // an error in its stead would not be true
				s.fail(ev, err)
				return
			}
		}
		if err == nil {
			return
		}
		shown, known := public(err)
		if !answerError(ev, shown) || !known {
			s.fail(ev, err)
		}
	})
}

// answerError reports whether the server was told.
func answerError(ev *Event, shown *Error) bool {
	if !ev.WantsAck() {
		return false
	}
	err := ev.Ack(shown.wire())
	if errors.As(err, new(*parser.EncodeError)) { // it can only be the details
		err = ev.Ack((&Error{Code: shown.Code, Message: shown.Message}).wire())
	}
	return err == nil
}

// Emit sends an event, with v as its argument, or none if T is [event.None]. It does what [Socket.Emit] does, or the method of an
// [Emitter].
func Emit[T any](to Sender, e event.Event[T], v T) error {
	return to.emitter().Emit(string(e), payload.List(v)...)
}

// Call sends an event and waits for its acknowledgement, whose first argument is decoded into an Out. An acknowledgement that says
// that something went wrong, see [Reply.Err], is an [*Error]. In as [event.None] sends no argument, Out as event.None wants none;
// otherwise the argument is read as by [On]. It does what [Socket.EmitWithAck] does, or the method of an [Emitter], and returns
// its errors.
//
// With a plain name as e the Out has to be given, Call[Receipt](ctx, s, "post", m), or nothing tells it.
func Call[Out, In any](ctx context.Context, to Sender, e event.Request[In, Out], in In) (Out, error) {
	var none Out
	reply, err := to.emitter().EmitWithAck(ctx, string(e), payload.List(in)...)
	if err != nil {
		return none, err
	}
	if err := reply.Err(); err != nil {
		return none, err
	}
	out, err := reader[Out]()(reply)
	if err != nil {
		return none, fmt.Errorf("client: acknowledgement of %q: %w", string(e), err)
	}
	return out, nil
}

// reader makes what reads a T. Its errors are ErrNoArgument, a *parser.DecodeError or an *invalidError.
func reader[T any]() func(a payload.Arguments) (T, error) {
	decode, validate := payload.Decoder[T](), payload.Validation[T]()
	return func(a payload.Arguments) (T, error) {
		var v, none T
		switch err := decode(a, &v); {
		case errors.Is(err, payload.ErrMissing):
			return none, ErrNoArgument
		case err != nil:
			return none, err
		}
		if validate != nil {
			if err := validate(&v); err != nil {
				return none, &invalidError{err}
			}
		}
		return v, nil
	}
}

// invalidError is what a Validate said.
type invalidError struct{ err error }

func (e *invalidError) Error() string { return "client: invalid: " + e.err.Error() }

func (e *invalidError) Unwrap() error { return e.err }

// misfit is what the server is told of a reader's error.
func misfit(err error) *Error {
	var own *Error
	var invalid *invalidError
	switch {
	case !errors.As(err, &invalid):
	case errors.As(err, &own):
		return own
	default:
		return &Error{Code: codeInvalid, Message: invalid.err.Error()}
	}
	if errors.Is(err, ErrNoArgument) {
		err = payload.ErrMissing
	}
	message, path := payload.Misfit(err)
	e := &Error{Code: codeBadPayload, Message: message}
	if path != "" {
		e.Details, _ = parser.NewRaw(struct { // of a string, which can be encoded
			Path string `json:"path"`
		}{path})
	}
	return e
}

// internal is all that a server learns of an error that is not an Error.
var internal = &Error{Code: codeInternal, Message: "Internal client error"}

// public is the part of a handler's error that is meant for the server; known is false if there is none.
func public(err error) (shown *Error, known bool) {
	if errors.As(err, &shown) && shown != nil {
		return shown, true
	}
	return internal, false
}

// failure is an Error on the wire.
type failure struct {
	Status  string     `json:"status"`
	Code    string     `json:"code"`
	Message string     `json:"message"`
	Details parser.Raw `json:"details,omitzero"`
}

func (e *Error) wire() failure {
	f := failure{Status: "error", Code: e.Code, Message: e.Message, Details: e.Details}
	if f.Code == "" {
		f.Code = codeError
	}
	return f
}
