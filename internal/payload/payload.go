package payload

import (
	"bytes"
	"errors"
	"reflect"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio/parser"
)

// Arguments are those of an event or an acknowledgement.
type Arguments interface {
	NumArgs() int
	Raw(i int) []byte
	Decode(i int, v any) error
}

// Validator is a payload type that can be checked.
type Validator interface{ Validate() error }

// ErrMissing is a decoder's error when there is no argument.
var ErrMissing = errors.New("the payload is missing")

// IsNone reports whether a T stands for no argument at all.
func IsNone[T any]() bool { return reflect.TypeFor[T]() == reflect.TypeFor[event.None]() }

// Decoder makes the function that fills a T from the first argument. A missing one is
// ErrMissing unless T has a value that means "none"; surplus ones are ignored. Its other
// error is a [*parser.DecodeError].
func Decoder[T any]() func(a Arguments, v *T) error {
	if IsNone[T]() {
		return func(Arguments, *T) error { return nil }
	}
	t := reflect.TypeFor[T]()
	optional := t.Kind() == reflect.Pointer
	text := t == reflect.TypeFor[string]()
	return func(a Arguments, v *T) error {
		if a.NumArgs() == 0 {
			if optional {
				return nil
			}
			return ErrMissing
		}
		if text {
			if s, ok := plainString(a.Raw(0)); ok {
				*any(v).(*string) = s
				return nil
			}
		}
		return a.Decode(0, v)
	}
}

// plainString is the text of a JSON string without escapes, which most are. The
// packet's scanner has seen that raw is well-formed, so nothing else can be in it.
func plainString(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') >= 0 {
		return "", false
	}
	return string(raw), true
}

// Validation finds once how a T is validated: by its own method, or by that of a pointer
// to it. It is nil if a T is not.
func Validation[T any]() func(v *T) error {
	t, validator := reflect.TypeFor[T](), reflect.TypeFor[Validator]()
	switch {
	case reflect.PointerTo(t).Implements(validator): // T's own methods and *T's
		return func(v *T) error { return any(v).(Validator).Validate() }
	case t.Kind() == reflect.Pointer && t.Implements(validator):
		return func(v *T) error {
			if reflect.ValueOf(*v).IsNil() {
				return nil // no payload: nothing to validate
			}
			return any(*v).(Validator).Validate()
		}
	}
	return nil
}

// IsMisfit reports whether a decoder's error is its payload's fault.
func IsMisfit(err error) bool {
	var d *parser.DecodeError
	return errors.Is(err, ErrMissing) || errors.As(err, &d)
}

// Misfit is what the sender is told of a decoder's error: which part of its payload did
// not fit, empty for all of it, and how, without the names of Go's types.
func Misfit(err error) (message, path string) {
	if errors.Is(err, ErrMissing) {
		return ErrMissing.Error(), ""
	}
	message = "the payload does not fit"
	var d *parser.DecodeError
	if !errors.As(err, &d) {
		return message, ""
	}
	if d.Path != "" {
		message += " at " + d.Path
	}
	if d.Got != "" {
		message += ": unexpected " + d.Got
	}
	return message, d.Path
}
