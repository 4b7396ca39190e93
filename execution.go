package perch

import (
	"errors"
	"reflect"
	"slices"

	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/internal/unit"
	"github.com/perch-go/perch/socketio"
)

// ExecutionContext belongs to the pipeline it is handed to and is valid until the
// pipeline's part of the work is done; it is not for concurrent use. It is what guards,
// interceptors, pipes and filters get to see of an event, or of a client that connects
// or leaves, without knowing the handler's types.
type ExecutionContext struct {
	socket  *Socket
	event   *socketio.Event // nil: a hook
	unit    *unit.Event     // what stands in for one in unit tests; nil: nothing, which all its methods say
	handler *HandlerInfo    // nil: a hook

	payload any // *In, or nil; meaningful once decoded is set
	decoded bool
	out     any // *Out, set by the handler; nil if it has no value to answer with

	value    any // what an interceptor answers instead of out…
	replaced bool
	boxed    func() any       // …and what it finds: out as a value
	assign   func(v any) bool // puts a value of the handler's own type back
}

// Socket is the client's socket, which SocketFrom finds too.
func (ec *ExecutionContext) Socket() *Socket { return ec.socket }

// IsConnection reports whether it is not an event but a client that connects or leaves.
// Then there is no event, no argument and no handler.
func (ec *ExecutionContext) IsConnection() bool { return ec.event == nil && ec.unit == nil }

// Event is the name of the event, empty if a client connects or leaves. (Nest: getPattern.)
func (ec *ExecutionContext) Event() string {
	if ec.event == nil {
		return ec.unit.Name()
	}
	return ec.event.Name()
}

// NumArgs is the number of the event's arguments.
func (ec *ExecutionContext) NumArgs() int {
	if ec.event == nil {
		return ec.unit.NumArgs()
	}
	return ec.event.NumArgs()
}

// Raw is the JSON of argument i, nil if there is none. It must not be changed, and is
// gone when the pipeline ends.
func (ec *ExecutionContext) Raw(i int) []byte {
	if ec.event == nil {
		return ec.unit.Raw(i)
	}
	return ec.event.Raw(i)
}

// Decode decodes argument i into what v points to. A guard may return its error as it is: to the client it is
// [CodeBadPayload]. (Nest: getData.)
func (ec *ExecutionContext) Decode(i int, v any) error {
	var err error
	if ec.event == nil {
		err = ec.unit.Decode(i, v)
	} else {
		err = ec.event.Decode(i, v)
	}
	switch {
	case errors.Is(err, socketio.ErrNoArgument):
		return &misfit{err, badPayload(payload.ErrMissing)}
	case payload.IsMisfit(err):
		return &misfit{err, badPayload(err)}
	}
	return err
}

// misfit is a decoder's error, and what the client is told of it.
type misfit struct {
	error
	public *Error
}

func (m *misfit) Unwrap() []error { return []error{m.error, m.public} }

// WantsAck reports whether the client asked for an acknowledgement.
func (ec *ExecutionContext) WantsAck() bool {
	if ec.event == nil {
		return ec.unit.WantsAck()
	}
	return ec.event.WantsAck()
}

// Payload points to the handler's decoded argument, from the pipes on; nil before, and of
// a handler that takes none.
func (ec *ExecutionContext) Payload() any {
	if !ec.decoded {
		return nil
	}
	return ec.payload
}

// Handler describes the handler that the event is for; nil if a client connects or leaves.
func (ec *ExecutionContext) Handler() *HandlerInfo { return ec.handler }

// Metadata is what [WithMetadata] has put on the handler under that name, or else on the
// gateway; nil if nothing. (Nest: Reflector.getAllAndOverride.)
func (ec *ExecutionContext) Metadata(name string) any {
	if ec.handler == nil {
		return nil
	}
	return ec.handler.Metadata[name]
}

// result is the value that the client is to be answered with.
func (ec *ExecutionContext) result() any {
	switch {
	case ec.replaced:
		return ec.value
	case ec.boxed == nil:
		return nil
	}
	return ec.boxed()
}

// setResult replaces that value.
func (ec *ExecutionContext) setResult(v any) {
	if ec.assign != nil && ec.assign(v) {
		ec.value, ec.replaced = nil, false
		return
	}
	ec.value, ec.replaced = v, v != nil || ec.boxed != nil
}

// HandlerKind says how a handler answers.
type HandlerKind string

// The kinds, named after the functions that register them.
const (
	KindRequest HandlerKind = "request" // On, On2, On3: its value is the ack
	KindEvent   HandlerKind = "event"   // OnEvent: no value
	KindStream  HandlerKind = "stream"  // OnStream, OnStreamFunc: events, and an ack at the end
	KindAck     HandlerKind = "ack"     // OnAck: it calls the ack itself
	KindRaw     HandlerKind = "raw"     // OnRaw: it decodes by itself
	KindAny     HandlerKind = "any"     // OnAny: every event
)

// HandlerInfo is immutable: what is known of a registered handler without calling it.
type HandlerInfo struct {
	Gateway   string // its type and namespace, as in errors and logs
	Namespace string
	Path      string     // of Socket.IO; a platform that has one of its own is there
	Platforms []Platform // those of the namespace
	Port      int
	Event     string // empty for KindAny
	Kind      HandlerKind
	In        []reflect.Type // of its arguments; none if it takes none or decodes by itself
	Out       reflect.Type   // of its value, or of a stream's items; nil if there is none
	At        string         // file:line of the registration
	Metadata  map[string]any
}

// Handlers describes every handler of the app, gateway by gateway in the order of
// registration.
func (a *App) Handlers() []HandlerInfo {
	var all []HandlerInfo
	for _, m := range a.members {
		for _, r := range m.routes {
			info := *r.info
			info.In = slices.Clone(info.In)
			all = append(all, info)
		}
	}
	return all
}
