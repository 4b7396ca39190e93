package plainws

import (
	"encoding/json"
	"errors"

	"github.com/perch-go/perch/internal/jsonscan"
	"github.com/perch-go/perch/socketio/parser"
)

// What can be wrong with a frame; compare with errors.Is.
var (
	// ErrKind: a binary frame where text is wanted, or the reverse.
	ErrKind = parser.ErrBinary
	// ErrFrame: not a JSON object with an event or an id.
	ErrFrame = errors.New(`plainws: a frame is {"event": name, "data": …, "id": …}`)
)

// JSON is a value without state, safe for concurrent use: the [Codec] of the package's own frames.
type JSON struct{}

var _ Codec = JSON{}

// Format is "json".
func (JSON) Format() string { return "json" }

// Parse reads a frame. Members with other names are ignored; of one that comes twice the last one counts, as in JavaScript.
func (JSON) Parse(m *Message, frame []byte, binary bool) error {
	if binary {
		return ErrKind
	}
	b := frame
	var event []byte
	i := jsonscan.SkipSpace(b, 0)
	if i == len(b) || b[i] != '{' {
		return ErrFrame
	}
	if i = jsonscan.SkipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return ErrFrame // neither event nor id
	}
	for {
		name := i
		at, err := jsonscan.Key(b, i)
		if err != nil {
			return err
		}
		if i, err = jsonscan.Value(b, at, 1, parser.DefaultMaxDepth); err != nil {
			return err
		}
		value := b[at:i:i]
		switch key(b[name:at]) {
		case "event":
			event = value
		case "id":
			m.ID = value
		case "data":
			m.Data = value
		}
		if i = jsonscan.SkipSpace(b, i); i == len(b) {
			return jsonscan.ErrJSON
		}
		switch b[i] {
		case ',':
			i = jsonscan.SkipSpace(b, i+1)
		case '}':
			if jsonscan.SkipSpace(b, i+1) != len(b) {
				return jsonscan.ErrJSON
			}
			return m.name(event)
		default:
			return jsonscan.ErrJSON
		}
	}
}

// name takes the event's name from its JSON; nil is none.
func (m *Message) name(event []byte) (err error) {
	switch {
	case event == nil:
	case event[0] != '"':
		err = ErrFrame
	default:
		m.Event, err = unquote(event)
	}
	return err
}

// key is the name of a member, of which b has the quoted name, the colon and the space around it.
func key(b []byte) string {
	end, _ := jsonscan.String(b, 0) // it was read before
	switch name := b[1 : end-1]; {
	case string(name) == "event":
		return "event"
	case string(name) == "data":
		return "data"
	case string(name) == "id":
		return "id"
	case !jsonscan.HasEscape(name):
		return ""
	}
	name, _ := unquote(b[:end])
	return string(name)
}

// unquote is the text of a JSON string, without a copy where nothing is escaped.
func unquote(quoted []byte) ([]byte, error) {
	if plain := quoted[1 : len(quoted)-1 : len(quoted)-1]; !jsonscan.HasEscape(plain) {
		return plain, nil
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return nil, err
	}
	return []byte(s), nil
}

// Append appends a frame, which is text.
func (JSON) Append(dst []byte, m *Message) (frame []byte, binary bool, err error) {
	if m.Event == nil && m.ID == nil {
		return dst, false, ErrFrame
	}
	dst = append(dst, '{')
	if m.ID != nil {
		dst = append(append(dst, `"id":`...), m.ID...)
	}
	if m.Event != nil {
		if m.ID != nil {
			dst = append(dst, ',')
		}
		dst = jsonscan.AppendString(append(dst, `"event":`...), string(m.Event))
	}
	if m.Data != nil {
		dst = append(append(dst, `,"data":`...), m.Data...)
	}
	return append(dst, '}'), false, nil
}
