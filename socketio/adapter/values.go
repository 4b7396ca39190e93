package adapter

import (
	"errors"
	"fmt"

	"github.com/perch-go/perch/socketio/parser"
)

// ErrNoArgument: there are fewer arguments.
var ErrNoArgument = errors.New("socketio: no such argument")

// Values is immutable and safe for concurrent use: arguments that came from another process.
type Values []parser.Raw

// NewValues encodes arguments. The error says which one cannot be.
func NewValues(args ...any) (Values, error) {
	values := make(Values, len(args))
	for i, arg := range args {
		var err error
		if values[i], err = parser.NewRaw(arg); err != nil {
			var e *parser.EncodeError
			if errors.As(err, &e) {
				err = &parser.EncodeError{Argument: i, Err: e.Err}
			}
			return nil, err
		}
	}
	return values, nil
}

// ValuesOf returns what a holds, to be sent to another process.
func ValuesOf(a Arguments) (Values, error) {
	if v, ok := a.(Values); ok || a == nil {
		return v, nil
	}
	values := make(Values, a.NumArgs())
	for i := range values {
		if err := a.Decode(i, &values[i]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// NumArgs is the number of arguments.
func (v Values) NumArgs() int { return len(v) }

// Raw is the JSON of argument i, with placeholders for its attachments, and nil if there is no such argument. It
// must not be changed.
func (v Values) Raw(i int) []byte {
	if i < 0 || i >= len(v) {
		return nil
	}
	return v[i].JSON
}

// Decode decodes argument i into what target points to. It returns ErrNoArgument if there is no such argument, and a
// *parser.DecodeError if it does not fit.
func (v Values) Decode(i int, target any) error {
	if i < 0 || i >= len(v) {
		return fmt.Errorf("%w: %d of %d", ErrNoArgument, i, len(v))
	}
	return v[i].Decode(target)
}

// Args are the arguments as those of a packet.
func (v Values) Args() []any {
	args := make([]any, len(v))
	for i, r := range v {
		args[i] = r
	}
	return args
}
