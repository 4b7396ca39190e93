package adapter

// Arguments is immutable and safe for concurrent use: those of an acknowledgement or of a server-side event, each
// decoded when it is asked for. A *socketio.Reply is one.
type Arguments interface {
	// NumArgs is the number of arguments.
	NumArgs() int
	// Raw is the JSON of argument i, with placeholders for its attachments, and nil if there is no such
	// argument. It must not be changed.
	Raw(i int) []byte
	// Decode decodes argument i into what v points to.
	Decode(i int, v any) error
}

// Answer is a plain value: what one member said to [Adapter.Ask].
type Answer struct {
	// ID is the member's. It is "" for a member of a process that does not tell, as Node's do not.
	ID string
	// Arguments are what it acknowledged with; nil if Err is set.
	Arguments
	// Err says why there will be no answer, ErrLeft mostly; of a member of another process always.
	Err error
}

// ServerEvent is a plain value: an event that another process of the namespace has emitted (S-44).
type ServerEvent struct {
	// Event is its name.
	Event string
	// Arguments are its arguments.
	Arguments
	// Answer sends the answer, the first time it is called; it is nil if none is wanted.
	Answer func(v any) error
}

// ServerAnswer is a plain value: what one process said to [Adapter.ServerSideEmit].
type ServerAnswer struct {
	// Node is the process's name in the cluster, "" if it is not known.
	Node string
	// Arguments holds the answer as its only argument; nil if Err is set.
	Arguments
	// Err says why there will be no answer, ErrLeft mostly.
	Err error
}
