package plainws

import (
	"strconv"
	"sync"

	"github.com/perch-go/perch/internal/jsonscan"
	"github.com/perch-go/perch/socketio/parser"
)

// wire is a value without state: a codec as the parser that a Socket.IO server wants.
type wire struct{ codec Codec }

var _ parser.Parser = wire{}

func (w wire) Format() string { return "plain, " + w.codec.Format() }

// scratch is what a message is made in, on its way in and out.
type scratch struct {
	message     Message
	event, data []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// keepBuffer is the largest buffer that is kept for reuse.
const keepBuffer = 16 << 10

func (s *scratch) release() {
	if cap(s.data) > keepBuffer {
		s.data = nil
	}
	s.message = Message{}
	s.event, s.data = s.event[:0], s.data[:0]
	scratches.Put(s)
}

// Append appends an event or an answer; there are no other packets.
func (w wire) Append(dst []byte, o parser.Outgoing) (parser.Encoded, error) {
	s := scratches.Get().(*scratch)
	defer s.release()
	m := &s.message
	var err error
	if s.data, err = o.AppendData(s.data); err != nil {
		return parser.Encoded{Data: dst}, err
	}
	if len(s.data) > 0 {
		m.Data = s.data
	}
	if o.Type == parser.Event {
		s.event = append(s.event, o.Event...)
		m.Event = s.event
		if m.Event == nil {
			m.Event = []byte{}
		}
	}
	if m.ID = o.RawID; m.ID == nil && o.HasID {
		m.ID = strconv.AppendUint(nil, o.ID, 10)
	}
	frame, binary, err := w.codec.Append(dst, m)
	if err != nil {
		return parser.Encoded{Data: dst}, &parser.EncodeError{Err: err}
	}
	return parser.Encoded{Data: frame, Binary: binary}, nil
}

// Parse reads a frame into p, as an event or an answer.
func (w wire) Parse(p *parser.Packet, buf, data []byte, binary bool, l parser.Limits) ([]byte, error) {
	s := scratches.Get().(*scratch)
	defer s.release()
	m := &s.message
	start := len(buf)
	buf = append(buf, data...)
	if err := w.codec.Parse(m, buf[start:], binary); err != nil {
		return buf, &parser.Error{Err: err}
	}
	if len(m.ID) == 0 { // what a codec has cut out of a frame may be empty without being nil
		m.ID = nil
	}
	if len(m.Data) == 0 {
		m.Data = nil
	}
	if m.Event == nil && m.ID == nil || m.ID != nil && !scalar(m.ID) {
		return buf, &parser.Error{Err: ErrFrame}
	}
	h := parser.Header{Type: parser.Event, HasID: m.ID != nil}
	if m.Event == nil {
		h.Type = parser.Ack
		h.ID = asked(m.ID)
	}
	if err := p.AssembleData(h, m.Event, m.Data, l); err != nil {
		return buf, err
	}
	p.RawID = m.ID
	return buf, nil
}

// scalar reports whether b is one JSON value, and neither array nor object.
func scalar(b []byte) bool {
	if len(b) == 0 || b[0] == '[' || b[0] == '{' {
		return false
	}
	end, err := jsonscan.Value(b, 0, 0, 1)
	return err == nil && end == len(b)
}

// asked is the id of a question that an answer names. One that cannot be ours is as unknown as any, and ignored like those
// (S-72): the highest number is never reached.
func asked(id []byte) uint64 {
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil || n > parser.MaxID {
		return parser.MaxID
	}
	return n
}
