package unit

import "github.com/perch-go/perch/socketio/adapter"

// Event is immutable and safe for concurrent use: an event as the stages before a handler see
// it. A nil one is none.
type Event struct {
	EventName string
	Args      adapter.Values
	Ack       bool // the client asked for one
	Payload   any  // a pointer to the decoded argument; nil: not decoded
	Handler   any  // a *perch.HandlerInfo
}

// Name is the event's name.
func (e *Event) Name() string {
	if e == nil {
		return ""
	}
	return e.EventName
}

// NumArgs is the number of arguments.
func (e *Event) NumArgs() int {
	if e == nil {
		return 0
	}
	return e.Args.NumArgs()
}

// Raw is the JSON of argument i, nil if there is none.
func (e *Event) Raw(i int) []byte {
	if e == nil {
		return nil
	}
	return e.Args.Raw(i)
}

// Decode decodes argument i into what v points to.
func (e *Event) Decode(i int, v any) error {
	if e == nil {
		return adapter.ErrNoArgument
	}
	return e.Args.Decode(i, v)
}

// WantsAck reports whether the client asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e != nil && e.Ack }
