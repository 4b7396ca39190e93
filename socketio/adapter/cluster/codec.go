package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// ErrMessage: what came is no message of a cluster.
var ErrMessage = errors.New("cluster: malformed message")

// envelope is a Message on the wire: spec 3.7 and, behind it, what only we know.
type envelope struct {
	UID       string  `json:"uid,omitzero"`
	Namespace string  `json:"nsp,omitzero"`
	Type      Type    `json:"type"`
	Seq       uint64  `json:"seq,omitzero"`
	Data      *fields `json:"data,omitzero"`
}

// fields are the data of all types. Which of them a type has, pack says.
type fields struct {
	RequestID string       `json:"requestId,omitzero"`
	Packet    parser.Raw   `json:"packet,omitzero"`
	Opts      *opts        `json:"opts,omitzero"`
	Rooms     *names       `json:"rooms,omitzero"`
	Close     *bool        `json:"close,omitzero"`
	Sockets   *[]socket    `json:"sockets,omitzero"`
	Count     *int         `json:"clientCount,omitzero"`
	Who       bool         `json:"who,omitzero"`
	Targets   names        `json:"targets,omitzero"`
	ID        string       `json:"id,omitzero"`
	Left      bool         `json:"left,omitzero"`
	Rest      []parser.Raw `json:"rest,omitzero"`
	PID       string       `json:"pid,omitzero"`
	Held      bool         `json:"held,omitzero"`
}

type opts struct {
	Rooms  names      `json:"rooms"`
	Except names      `json:"except"`
	Flags  parser.Raw `json:"flags"`
}

type flags struct {
	Volatile bool    `json:"volatile,omitzero"`
	Compress *bool   `json:"compress,omitzero"`
	Timeout  float64 `json:"timeout,omitzero"` // in milliseconds
}

// packet is an event as the parser of Node has it.
type packet struct {
	Type      int          `json:"type"`
	Data      []parser.Raw `json:"data"`
	Namespace string       `json:"nsp,omitzero"`
}

const eventPacket = 2

// socket is a member as spec 3.7 has it.
type socket struct {
	ID        string            `json:"id"`
	Handshake adapter.Handshake `json:"handshake"`
	Rooms     names             `json:"rooms"`
	Data      parser.Raw        `json:"data"`
}

// names are rooms or ids. Node lets a room be a number.
type names []string

func (n *names) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*n = make(names, len(list))
	for i, raw := range list {
		(*n)[i] = name(raw)
	}
	return nil
}

// name is the text that raw holds, or raw itself if it is none.
func name(raw []byte) string {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return string(raw)
	}
	return s
}

// raw returns m as JSON with attachments.
func (m *Message) raw() (parser.Raw, error) {
	e := envelope{UID: m.UID, Namespace: m.Namespace, Type: m.Type, Seq: m.Seq}
	var err error
	if e.Data, err = m.pack(); err != nil {
		return parser.Raw{}, err
	}
	return parser.NewRaw(e)
}

func (m *Message) pack() (*fields, error) {
	f := &fields{RequestID: m.RequestID}
	var err error
	switch m.Type {
	case Broadcast:
		f.Opts, f.Who = m.opts(), m.Who
		var data []parser.Raw
		if data, err = m.event(); err == nil {
			f.Packet, err = parser.NewRaw(packet{eventPacket, data, m.Namespace})
		}
	case Join, Leave:
		f.Opts, f.Rooms = m.opts(), (*names)(&m.Rooms)
	case Disconnect:
		f.Opts, f.Close = m.opts(), &m.Close
	case Fetch:
		f.Opts = m.opts()
	case FetchResponse:
		members := packMembers(m.Members)
		f.Sockets = &members
	case ServerSideEmit:
		var data []parser.Raw
		if data, err = m.event(); err == nil {
			f.Packet, err = parser.NewRaw(data)
		}
	case ServerSideEmitResponse, BroadcastAck:
		if len(m.Args) > 0 {
			f.Packet, f.Rest = m.Args[0], m.Args[1:]
			if f.Packet.JSON == nil {
				f.Packet.JSON = []byte("null")
			}
			if len(f.Rest) == 0 {
				f.Rest = nil
			}
		}
		f.ID, f.Left = m.ID, m.Left
	case BroadcastClientCount:
		f.Count, f.Who, f.Targets = &m.Count, m.Who, m.Targets
	case Forget:
	case Evict, EvictResponse:
		f.PID, f.Held = m.PID, m.Held
	default:
		return nil, nil
	}
	return f, err
}

// event is the name and the arguments, in one list.
func (m *Message) event() ([]parser.Raw, error) {
	event, err := parser.NewRaw(m.Event)
	return append([]parser.Raw{event}, m.Args...), err
}

func (m *Message) opts() *opts {
	f := flags{Volatile: m.Opts.Volatile, Timeout: math.Ceil(float64(m.Opts.Timeout) / float64(time.Millisecond))}
	if m.Opts.NoCompress {
		f.Compress = new(bool)
	}
	raw, _ := parser.NewRaw(f) // never fails
	return &opts{m.Opts.Rooms, m.Opts.Except, raw}
}

func packMembers(infos []adapter.Info) []socket {
	members := make([]socket, len(infos))
	for i, info := range infos {
		// What a user stores may well be something that cannot be sent. It is not for this to fail the rest.
		data := make(map[string]parser.Raw, len(info.Data))
		for key, v := range info.Data {
			if r, err := parser.NewRaw(v); err == nil {
				data[key] = r
			}
		}
		members[i] = socket{ID: info.ID, Handshake: info.Handshake, Rooms: info.Rooms}
		members[i].Data, _ = parser.NewRaw(data) // never fails
	}
	return members
}

// parse reads what raw returned, or what a node of Node's has sent.
func parse(r parser.Raw) (*Message, error) {
	var e envelope
	if err := r.Decode(&e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	m := &Message{UID: e.UID, Namespace: e.Namespace, Type: e.Type, Seq: e.Seq}
	if e.Data == nil {
		return m, nil
	}
	if err := m.unpack(e.Data); err != nil {
		return nil, fmt.Errorf("%w: %v: %w", ErrMessage, m.Type, err)
	}
	return m, nil
}

func (m *Message) unpack(f *fields) error {
	m.RequestID = f.RequestID
	if f.Opts != nil {
		m.setOpts(f.Opts)
	}
	if f.Rooms != nil {
		m.Rooms = *f.Rooms
	}
	if f.Close != nil {
		m.Close = *f.Close
	}
	if f.Count != nil {
		m.Count = *f.Count
	}
	m.Who, m.Targets, m.ID, m.Left = f.Who, f.Targets, f.ID, f.Left
	m.PID, m.Held = f.PID, f.Held
	switch m.Type {
	case Broadcast:
		var p packet
		if err := f.Packet.Decode(&p); err != nil {
			return err
		}
		if p.Type != eventPacket {
			return fmt.Errorf("packet of type %d", p.Type)
		}
		return m.setEvent(p.Data)
	case ServerSideEmit:
		var data []parser.Raw
		if err := f.Packet.Decode(&data); err != nil {
			return err
		}
		return m.setEvent(data)
	case ServerSideEmitResponse, BroadcastAck:
		if f.Packet.JSON != nil {
			m.Args = append(adapter.Values{f.Packet}, f.Rest...)
		}
	case FetchResponse:
		if f.Sockets != nil {
			m.Members = unpackMembers(*f.Sockets)
		}
	}
	return nil
}

var errNoEvent = errors.New("no event name")

func (m *Message) setEvent(data []parser.Raw) error {
	if len(data) == 0 {
		return errNoEvent
	}
	m.Event, m.Args = name(data[0].JSON), data[1:]
	return nil
}

func (m *Message) setOpts(o *opts) {
	m.Opts.Rooms, m.Opts.Except = o.Rooms, o.Except
	var f flags
	if err := o.Flags.Decode(&f); err != nil {
		return // flags are not worth a message
	}
	m.Opts.Volatile = f.Volatile
	m.Opts.NoCompress = f.Compress != nil && !*f.Compress
	if ms := f.Timeout; ms > 0 && ms < math.MaxInt32 {
		m.Opts.Timeout = time.Duration(ms * float64(time.Millisecond))
	}
}

func unpackMembers(members []socket) []adapter.Info {
	infos := make([]adapter.Info, len(members))
	for i, mb := range members {
		infos[i] = adapter.Info{ID: mb.ID, Handshake: mb.Handshake, Rooms: mb.Rooms}
		var data map[string]parser.Raw
		if err := mb.Data.Decode(&data); err != nil {
			data = map[string]parser.Raw{"": mb.Data} // in Node, data can be anything
		}
		infos[i].Data = make(map[string]any, len(data))
		for key, r := range data {
			infos[i].Data[key] = r
		}
	}
	return infos
}
