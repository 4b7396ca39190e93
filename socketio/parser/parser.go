package parser

// Parser turns packets into Engine.IO messages and back. Its methods are called
// concurrently, so it keeps nothing between two calls. [Text] is the one that
// clients speak unless they are told otherwise; both sides must use the same.
//
// Whatever a message looks like, a parser makes JSON text of its payload, with
// placeholders where there are bytes, and writes what [Outgoing.AppendPayload]
// gives it. So the types, tags and errors of a program are the same with all
// parsers. [Packet.Assemble] does the checks that are not about the format.
type Parser interface {
	// Format names the encoding. What was encoded once is sent to all clients
	// of the same format, so parsers that write differently need different
	// names.
	Format() string

	// Parse reads one message into p. It appends to buf, and returns extended,
	// what p refers to afterwards: data will be overwritten. Attachments that
	// come inside the message go to p.Embedded, in memory of their own; those
	// that follow as messages of theirs are not handed to the parser, which
	// says in p.Attachments how many to wait for. An error ends the connection
	// (S-93), so a type that merely does not fit the program's is none. The
	// text is wanted back in any case.
	Parse(p *Packet, buf, data []byte, binary bool, l Limits) (text []byte, err error)

	// Append appends the message of a packet to dst. With an error nothing was
	// appended; it should be an [*EncodeError].
	Append(dst []byte, o Outgoing) (Encoded, error)
}

// Outgoing is a plain value: a packet that is not encoded yet.
type Outgoing struct {
	Type      Type   // Connect, Disconnect, Event, Ack or ConnectError
	Namespace string // with its leading slash; "" and "/" are the root
	ID        uint64 // ack id, if HasID
	HasID     bool
	RawID     []byte // that of the packet answered, if it had one: it goes back as it came, instead of ID
	Event     string // of an Event
	Args      []any  // of an Event or Ack
	Data      any    // of a Connect, where nil is none, or ConnectError

	// Offset, unless it is empty, is one more argument of an Event, a string
	// by which connection state recovery remembers the packet (S-78). It must
	// consist of ASCII that JSON does not escape; [Encoded.Offset] tells where
	// it went, so that another one of the same length can be put in its place.
	Offset string
	// OffsetAfterString leaves the offset out unless the last element before it
	// is a string, which clients would take for the offset (C-18).
	OffsetAfterString bool
}

// Encoded is a plain value: a packet as messages. Data is sent first, then each
// attachment as a binary message.
type Encoded struct {
	Data        []byte   // the buffer given, extended by the packet
	Binary      bool     // Data is a binary message, not text
	Attachments [][]byte // alias the bytes in the arguments
	Offset      int      // index in Data of the first byte of Outgoing.Offset; 0 if there is none
}

// Text is the [Parser] of the official clients' default, and of this package's
// functions. It is a value without state, safe for concurrent use.
type Text struct{}

var _ Parser = Text{}

// Format is "text".
func (Text) Format() string { return "text" }

// Parse is [Parse] of a copy of data, which is appended to buf.
func (Text) Parse(p *Packet, buf, data []byte, binary bool, l Limits) ([]byte, error) {
	if binary {
		return buf, &Error{Err: ErrBinary}
	}
	start := len(buf)
	buf = append(buf, data...)
	return buf, Parse(buf[start:], p, l)
}

// Append appends a packet as [AppendEvent] and its sisters do.
func (Text) Append(dst []byte, o Outgoing) (Encoded, error) {
	var e encoder
	start := len(dst)
	dst, err := e.payload(appendHeader(dst, o.Type, o.Namespace, o.ID, o.HasID), &o)
	if err != nil {
		return Encoded{Data: dst[:start]}, err
	}
	if n := len(e.attachments); n > 0 {
		before := len(dst)
		dst = makeBinary(dst, start, n)
		if e.offset > 0 {
			e.offset += len(dst) - before
		}
	}
	return Encoded{Data: dst, Attachments: e.attachments, Offset: e.offset}, nil
}
