package perch

import (
	"errors"
	"reflect"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio"
)

// None is the payload type of a handler that takes none, and the result type of one
// that acks with no argument. It is the one that descriptions of package event use.
type None = event.None

// Validator is what a payload type implements to be checked. Validate is called on
// every payload after it was decoded and before the handler sees it, on the value or
// on a pointer to it. Its error is the client's answer, as CodeInvalid with the
// error's text, or as it is if it is an [*Error]. Fields are the type's own business:
// only the payload's own Validate is called.
type Validator interface {
	Validate() error
}

// invalid is a Validate's error for the client, who is the one to mend it.
func invalid(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Code: CodeInvalid, Message: err.Error()}
}

// decoderOf makes the function that fills an In from the event's first argument. A
// missing one is an error unless In has a value that means "none"; surplus ones are
// ignored.
func decoderOf[In any]() func(e *socketio.Event, in *In) error {
	t := reflect.TypeFor[In]()
	if t == reflect.TypeFor[None]() {
		return func(*socketio.Event, *In) error { return nil }
	}
	optional := t.Kind() == reflect.Pointer
	text := t == reflect.TypeFor[string]()
	return func(e *socketio.Event, in *In) error {
		if e.NumArgs() == 0 {
			if optional {
				return nil
			}
			return &Error{Code: CodeBadPayload, Message: "the payload is missing"}
		}
		if text {
			if s, ok := plainString(e.Raw(0)); ok {
				*any(in).(*string) = s
				return nil
			}
		}
		if err := e.Decode(0, in); err != nil {
			return badPayload(err)
		}
		return nil
	}
}

// plainString is the text of a JSON string without escapes, which most are. The
// packet's scanner has seen that raw is well-formed, so nothing else can be in it.
func plainString(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	for _, c := range raw {
		if c == '\\' {
			return "", false
		}
	}
	return string(raw), true
}

// validatorOf finds once how an In is validated; nil if it is not.
func validatorOf[In any]() func(in *In) error {
	t, validator := reflect.TypeFor[In](), reflect.TypeFor[Validator]()
	switch {
	case reflect.PointerTo(t).Implements(validator): // T's own methods and *T's
		return func(in *In) error { return any(in).(Validator).Validate() }
	case t.Kind() == reflect.Pointer && t.Implements(validator):
		return func(in *In) error {
			if reflect.ValueOf(*in).IsNil() {
				return nil // no payload: nothing to validate
			}
			return any(*in).(Validator).Validate()
		}
	}
	return nil
}
