package payload

import (
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio/parser"
)

// Failure is a plain value: the acknowledgement {"status":"error", code, message, details}.
type Failure struct {
	Code, Message string
	Details       parser.Raw // the zero Raw if there are none
}

// FailureOf is what an acknowledgement says went wrong: its one argument, an object whose status is "error" and that has
// a code and a message. ok is false of any other.
func FailureOf(a Arguments) (f Failure, ok bool) {
	if a.NumArgs() != 1 || len(a.Raw(0)) == 0 || a.Raw(0)[0] != '{' {
		return f, false
	}
	var v struct {
		Status, Code, Message *string
		Details               parser.Raw
	}
	if a.Decode(0, &v) != nil || v.Status == nil || *v.Status != "error" || v.Code == nil || v.Message == nil {
		return f, false
	}
	return Failure{*v.Code, *v.Message, v.Details}, true
}

// List is what is sent for v: nothing for [event.None].
func List(v any) []any {
	if _, none := v.(event.None); none {
		return nil
	}
	return []any{v}
}
