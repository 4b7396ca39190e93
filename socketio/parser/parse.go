package parser

import (
	"math"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/perch-go/perch/internal/jsonscan"
)

// Type is the kind of a packet, the digit it begins with. It is a plain value.
type Type byte

// The packet types of protocol 5.
const (
	Connect Type = iota
	Disconnect
	Event
	Ack
	ConnectError
	BinaryEvent
	BinaryAck
)

var typeNames = [...]string{"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"}

// String is the protocol's own name of t.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "UNKNOWN"
}

// What Limits means by zero, and its ceiling.
const (
	DefaultMaxAttachments = 10
	DefaultMaxDepth       = 64
	HighestMaxDepth       = jsonscan.MaxDepth

	// MaxID is the highest ack id: up to here JavaScript counts exactly.
	MaxID = 1 << 53
)

// Limits bounds what [Parse] accepts. It is a plain value; zero means defaults.
type Limits struct {
	// MaxAttachments is how many attachments a packet may announce. Zero means
	// 10, as in the reference; a negative value refuses binary packets.
	MaxAttachments int
	// MaxDepth is how deeply arrays and objects may be nested, the array of
	// arguments included. Zero or less means 64; more than 1,024 means 1,024.
	MaxDepth int
}

func (l Limits) withDefaults() Limits {
	if l.MaxAttachments == 0 {
		l.MaxAttachments = DefaultMaxAttachments
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultMaxDepth
	}
	l.MaxDepth = min(l.MaxDepth, HighestMaxDepth)
	return l
}

// maxText is what a span can point into.
const maxText = math.MaxUint32

// Header is a plain value: what a packet says before its payload.
type Header struct {
	Type        Type
	Namespace   []byte // with its leading slash; nil is the root
	ID          uint64 // ack id, if HasID
	HasID       bool
	Attachments int // how many binary messages follow this packet
}

// Packet is one parsed packet. It must not be used concurrently. The zero
// value is ready for [Parse], and a used Packet may be parsed into again,
// which ends the life of what it held.
//
// All its slices alias the text it was parsed from, except Event, which may
// alias memory of the Packet; none of them may be written to.
type Packet struct {
	Header
	Event    []byte   // unescaped name of an event; a number's text if it is a number
	Data     []byte   // raw payload of CONNECT (nil if none) and CONNECT_ERROR
	Embedded [][]byte // attachments that came inside the packet; those that follow are numbered after them
	RawID    []byte   // JSON of the ack id, from parsers whose ids need not be numbers; nil from others

	text  []byte
	first int // 1 if the first element is the event's name
	count int // elements of the payload array
	spans [inlineSpans]span
	more  []span // elements from inlineSpans on
	name  []byte // where escaped event names are unescaped

	spread bool // the arguments are the elements of…
	whole  span // …this
}

// inlineSpans is how many elements of a payload need no memory of their own:
// the event's name and seven arguments.
const inlineSpans = 8

// keptSpans is how many further elements a reused Packet keeps room for. One
// packet of half a million zeros shall not pin its boundaries for good.
const keptSpans = 64

// span is where an element stands in the text. Four bytes per index and not
// eight, because a hostile packet has an element every two bytes.
type span struct{ start, end uint32 }

// NumArgs is the number of arguments; the event's name is not counted.
func (p *Packet) NumArgs() int { return p.count - p.first }

// Arg is the raw JSON of argument i, or nil if there is none.
func (p *Packet) Arg(i int) []byte {
	if i < 0 || i >= p.NumArgs() {
		return nil
	}
	i += p.first
	if i < inlineSpans {
		return p.slice(p.spans[i])
	}
	return p.slice(p.more[i-inlineSpans])
}

func (p *Packet) slice(s span) []byte { return p.text[s.start:s.end:s.end] }

func (p *Packet) addSpan(start, end int) {
	s := span{uint32(start), uint32(end)}
	if p.count < inlineSpans {
		p.spans[p.count] = s
	} else {
		p.more = append(p.more, s)
	}
	p.count++
}

// reset forgets the last packet but keeps the memory for the next one.
func (p *Packet) reset(text []byte) {
	p.Header = Header{}
	p.Event, p.Data, p.Embedded, p.RawID = nil, nil, nil, nil
	p.text, p.first, p.count, p.spread = text, 0, 0, false
	if cap(p.more) > keptSpans {
		p.more = nil
	}
	p.more = p.more[:0]
}

// Parse reads one packet into p. It checks the grammar and the payload's rules
// (spec 3.4), that the JSON is well-formed to its last byte (UTF-8, escapes,
// numbers, depth), finds where each argument begins and ends, and checks that
// every placeholder of a binary packet names an attachment that was announced.
// What it accepts can therefore be dispatched, and decoded argument by
// argument, without further checks.
//
// The error is an [*Error]; p is then of no use but for another Parse. Nothing
// is allocated unless an event has more than seven arguments, or an escaped
// name.
func Parse(text []byte, p *Packet, l Limits) error {
	p.reset(text)
	l = l.withDefaults()
	i, err := p.header(l)
	if err == nil {
		i, err = p.payload(i, l)
	}
	if err != nil {
		p.count, p.first = 0, 0
		return &Error{Offset: i, Err: err}
	}
	return nil
}

// header reads all that stands before the JSON and returns where that begins,
// or where the error is.
func (p *Packet) header(l Limits) (int, error) {
	b := p.text
	if len(b) == 0 || b[0] < '0' || b[0] > '0'+byte(BinaryAck) || uint64(len(b)) > maxText {
		return 0, ErrType
	}
	p.Type = Type(b[0] - '0')
	i := 1

	if p.Type >= BinaryEvent {
		// At least one: a packet that waits for none would never be complete
		// (CVE-2026-69185). At most a few: each holds memory until the last
		// has come (CVE-2026-33151).
		n, end, ok := number(b, i, math.MaxInt32)
		switch {
		case end == i || end == len(b) || b[end] != '-' || ok && n == 0:
			return i, ErrAttachments
		case !ok || l.MaxAttachments < 0 || n > uint64(l.MaxAttachments):
			return i, ErrTooManyAttachments
		}
		p.Attachments = int(n)
		i = end + 1
	}

	if i < len(b) && b[i] == '/' {
		start := i
		ascii := byte(0)
		for i < len(b) && b[i] != ',' {
			ascii |= b[i]
			i++
		}
		if ascii >= utf8.RuneSelf && !utf8.Valid(b[start:i]) {
			return start, ErrNamespace
		}
		if i > start+1 {
			p.Namespace = b[start:i:i]
		}
		if i < len(b) {
			i++ // the comma
		}
	}

	id, end, ok := number(b, i, MaxID)
	if !ok {
		return i, ErrID
	}
	p.ID, p.HasID = id, end > i
	return end, nil
}

// number reads a run of decimal digits, which may be empty; ok is false if its
// value is over limit, which must leave room for another digit.
func number(b []byte, i int, limit uint64) (n uint64, end int, ok bool) {
	ok = true
	for ; i < len(b); i++ {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		if n = n*10 + uint64(d); n > limit {
			n, ok = limit, false
		}
	}
	return n, i, ok
}

// payload reads the JSON, which begins at i and must be all the rest. Space
// may follow it but not precede it: the reference takes space for a digit of
// the ack id, and a packet shall not mean two things.
func (p *Packet) payload(i int, l Limits) (int, error) {
	b := p.text
	var open byte // what the payload begins with, if anything
	if i < len(b) {
		open = b[i]
	}
	start := i
	var err error
	switch p.Type {
	case Disconnect:
		if i < len(b) {
			return i, ErrPayload
		}
		return i, nil
	case Connect:
		if i == len(b) {
			return i, nil
		}
		if open != '{' {
			return i, ErrPayload
		}
		i, err = jsonscan.Value(b, i, 0, l.MaxDepth)
		p.Data = b[start:i:i]
	case ConnectError:
		if open != '{' && open != '"' {
			return i, ErrPayload
		}
		i, err = jsonscan.Value(b, i, 0, l.MaxDepth)
		p.Data = b[start:i:i]
	default:
		if open != '[' {
			return i, ErrPayload
		}
		i, err = p.elements(i, l)
	}
	if err != nil {
		return i, err
	}
	end := i
	if i = jsonscan.SkipSpace(b, i); i < len(b) {
		return i, ErrJSON
	}
	if n := len(p.Embedded) + p.Attachments; n > 0 {
		return checkPlaceholders(b[:end], start, n)
	}
	return i, nil
}

// elements reads the array of an event or ack that opens at i, noting where
// its elements are, and returns the index behind it.
func (p *Packet) elements(i int, l Limits) (int, error) {
	b := p.text
	event := p.Type == Event || p.Type == BinaryEvent
	i = jsonscan.SkipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		if event {
			return i, ErrEventName
		}
		return i + 1, nil
	}
	for {
		end, err := jsonscan.Value(b, i, 1, l.MaxDepth)
		if err != nil {
			return end, err
		}
		if p.count == 0 && event {
			if err := p.setEvent(b[i:end]); err != nil {
				return i, err
			}
		}
		p.addSpan(i, end)
		if i = jsonscan.SkipSpace(b, end); i == len(b) {
			return i, ErrJSON
		}
		switch b[i] {
		case ',':
			i = jsonscan.SkipSpace(b, i+1)
		case ']':
			return i + 1, nil
		default:
			return i, ErrJSON
		}
	}
}

// setEvent takes the first element of an event for its name: a string that is
// not reserved, or a number (CVE-2023-32695: nothing else).
func (p *Packet) setEvent(raw []byte) error {
	p.first = 1
	switch c := raw[0]; {
	case c == '-' || c >= '0' && c <= '9':
		p.Event = raw[:len(raw):len(raw)]
		return nil
	case c != '"':
		return ErrEventName
	}
	name := raw[1 : len(raw)-1 : len(raw)-1]
	if jsonscan.HasEscape(name) {
		// A lone surrogate is the only complaint possible here, and what
		// JavaScript lets pass becomes U+FFFD.
		p.name, _ = jsontext.AppendUnquote(p.name[:0], raw)
		name = p.name
	}
	if reserved(name) {
		return ErrReserved
	}
	p.Event = name
	return nil
}

// Reserved reports whether event is a name that only the protocol itself may
// use: an application must neither emit nor receive it.
func Reserved(event string) bool { return reserved(event) }

func reserved[S string | []byte](event S) bool {
	switch string(event) {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
