package msgpack

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/tinylib/msgp/msgp"

	"github.com/perch-go/perch/internal/msgpack"
	"github.com/perch-go/perch/socketio/parser"
)

// What can be wrong with a message besides what is wrong with any packet; compare with [errors.Is].
var (
	ErrText      = errors.New("text message where packets are binary")
	ErrMalformed = errors.New("malformed MessagePack")
)

// DefaultMaxAttachments is what Parser means by zero.
const DefaultMaxAttachments = 4096

// Parser is safe for concurrent use: it is a value that is not changed by its methods. Its zero value is ready for use.
type Parser struct {
	// MaxAttachments is how many byte sequences a packet may hold; each needs some thirty times the two bytes that an empty one
	// has on the wire. 0 is 4,096. It is a limit of its own because none of them is waited for; but a negative
	// parser.Limits.MaxAttachments refuses bytes here too.
	MaxAttachments int
}

var _ parser.Parser = Parser{}

// Format is "msgpack".
func (Parser) Format() string { return "msgpack" }

// Append appends a packet, which is a binary message. Bytes in it are copied, so that there are no attachments.
func (Parser) Append(dst []byte, o parser.Outgoing) (parser.Encoded, error) {
	b := buffers.Get().(*buffer)
	defer b.release()
	payload, err := o.AppendPayload(b.text)
	b.text = payload.Data
	if err != nil {
		return parser.Encoded{Data: dst}, err
	}
	fields := uint32(2)
	if o.HasID {
		fields++
	}
	if len(b.text) > 0 {
		fields++
	}
	out := msgp.AppendMapHeader(dst, fields)
	out = msgp.AppendUint64(msgp.AppendString(out, "type"), uint64(o.Type))
	out = msgp.AppendString(msgp.AppendString(out, "nsp"), cmp.Or(o.Namespace, "/"))
	if o.HasID {
		out = msgp.AppendUint64(msgp.AppendString(out, "id"), o.ID)
	}
	if len(b.text) > 0 {
		// The payload is the last of the packet, and an offset the last of the payload.
		if out, err = msgpack.Pack(msgp.AppendString(out, "data"), b.text, payload.Attachments); err != nil {
			return parser.Encoded{Data: dst}, &parser.EncodeError{Err: err}
		}
	}
	e := parser.Encoded{Data: out, Binary: true}
	if payload.Offset > 0 {
		e.Offset = len(out) - len(o.Offset)
	}
	return e, nil
}

// buffer is what the JSON of a payload is made in.
type buffer struct{ text []byte }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (b *buffer) release() {
	if cap(b.text) > 16<<10 {
		b.text = nil
	}
	b.text = b.text[:0]
	buffers.Put(b)
}

// Parse reads a packet, which is one binary message. The text is the JSON of its payload.
func (m Parser) Parse(p *parser.Packet, buf, data []byte, binary bool, l parser.Limits) ([]byte, error) {
	if !binary {
		return buf, &parser.Error{Err: ErrText}
	}
	r := reader{data: data, rest: data, buf: buf}
	r.unpacker.MaxDepth = l.MaxDepth
	r.unpacker.MaxAttachments = cmp.Or(m.MaxAttachments, DefaultMaxAttachments)
	if l.MaxAttachments < 0 {
		r.unpacker.MaxAttachments = -1
	}
	if err := r.packet(); err != nil {
		return r.buf, r.explain(err)
	}
	r.header.Namespace = r.buf[r.namespace.start:r.namespace.end:r.namespace.end]
	payload := r.buf[r.payload.start:r.payload.end:r.payload.end]
	for i, a := range r.unpacker.Attachments {
		r.unpacker.Attachments[i] = slices.Clone(a) // data is the caller's
	}
	return r.buf, p.Assemble(r.header, payload, r.unpacker.Attachments, l)
}

// reader reads one packet.
type reader struct {
	data, rest         []byte
	buf                []byte // begins with what the caller has in it
	unpacker           msgpack.Unpacker
	header             parser.Header
	typed, named       bool
	namespace, payload span
}

// span is a part of buf, which may move while it grows.
type span struct{ start, end int }

// packet reads the map. Of a field that comes twice the last one counts, as in JavaScript.
func (r *reader) packet() error {
	n, rest, err := msgpack.ReadMap(r.data)
	if err != nil {
		return err
	}
	for r.rest = rest; n > 0; n-- {
		var name []byte
		if name, r.rest, err = msgpack.ReadString(r.rest); err != nil {
			return err
		}
		if err = r.field(string(name)); err != nil {
			return err
		}
	}
	switch {
	case len(r.rest) > 0:
		return msgpack.ErrTrailing
	case !r.typed:
		return parser.ErrType
	case !r.named:
		return parser.ErrNamespace
	}
	return nil
}

// field reads the value of a field.
func (r *reader) field(name string) (err error) {
	undefined := msgpack.IsUndefined(r.rest)
	at, found := len(r.buf), len(r.unpacker.Attachments)
	switch {
	case name == "nsp":
		var nsp []byte
		if nsp, r.rest, err = msgpack.ReadString(r.rest); err != nil {
			return err
		}
		r.buf = append(r.buf, nsp...)
		r.namespace, r.named = span{at, len(r.buf)}, true
		return nil
	case name == "data":
		found = 0
		r.unpacker.Attachments = nil
	}
	if r.buf, r.rest, err = r.unpacker.Append(r.buf, r.rest); err != nil {
		return err
	}
	if name == "data" && !undefined {
		r.payload = span{at, len(r.buf)}
		return nil
	}
	if name == "data" {
		r.payload = span{}
	}
	value := r.buf[at:]
	r.buf, r.unpacker.Attachments = r.buf[:at], r.unpacker.Attachments[:found]
	switch name {
	case "type":
		n, err := strconv.ParseUint(string(value), 10, 8)
		if err != nil || n > uint64(parser.ConnectError) {
			return parser.ErrType
		}
		r.header.Type, r.typed = parser.Type(n), true
	case "id":
		r.header.HasID = !undefined
		if undefined {
			break
		}
		if r.header.ID, err = strconv.ParseUint(string(value), 10, 64); err != nil {
			return parser.ErrID
		}
	}
	return nil
}

// explain says in the words of package parser what is wrong, and where.
func (r *reader) explain(err error) error {
	e := &parser.Error{Offset: len(r.data) - len(r.rest), Err: err}
	if inner, ok := errors.AsType[*msgpack.Error](err); ok {
		e.Offset += inner.Offset
	}
	for from, to := range causes {
		if errors.Is(err, from) {
			e.Err = to
		}
	}
	return e
}

var causes = map[error]error{
	msgpack.ErrTruncated:          ErrMalformed,
	msgpack.ErrTrailing:           ErrMalformed,
	msgpack.ErrType:               ErrMalformed,
	msgpack.ErrKey:                ErrMalformed,
	msgpack.ErrUTF8:               parser.ErrUTF8,
	msgpack.ErrDepth:              parser.ErrDepth,
	msgpack.ErrTooManyAttachments: parser.ErrTooManyAttachments,
}
