package cluster

import (
	"maps"
	"slices"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// session is what a Log keeps of a member that was lost: the fields of Socket.IO's Redis Streams adapter and, behind them, ours.
type session struct {
	ID    string     `json:"sid"`
	PID   string     `json:"pid"`
	Rooms []string   `json:"rooms"`
	Data  parser.Raw `json:"data"`

	Expires  int64   `json:"expires"` // Unix milliseconds
	Offset   string  `json:"offset,omitzero"`
	Replayed bool    `json:"replayed,omitzero"`
	History  history `json:"history"`
}

// history is a plain value: what was addressed to a member.
type history struct {
	Seen  place  `json:"seen"`           // nothing up to there is missing
	Lost  place  `json:"lost"`           // where it was lost
	Last  *place `json:"last,omitzero"`  // of the last packet that was appended to it after Seen
	Floor place  `json:"floor,omitzero"` // what was addressed to it up to there is not remembered completely
	Hole  place  `json:"hole,omitzero"`  // who has not got everything up to there cannot get it any more
	Stays []stay `json:"stays,omitzero"`
	// Back is where nothing was missing when it was restored, if what it had missed has arrived: up to BackLast, the last of it.
	Back     place  `json:"back,omitzero"`
	BackLast *place `json:"backLast,omitzero"`
}

// stay is a time in a room. It was meant by what is behind From, up to To if it has left.
type stay struct {
	Room string `json:"room"`
	From place  `json:"from"`
	To   *place `json:"to,omitzero"`
}

func (s *stay) has(m *Message) bool { return !s.From.covers(m) && (s.To == nil || s.To.covers(m)) }

// rooms are those it was in when it was lost.
func (h *history) rooms() (names []string) {
	for _, s := range h.Stays {
		if s.To == nil {
			names = append(names, s.Room)
		}
	}
	return names
}

// then is what was before a member was restored, at that place, and what was after.
func (h *history) then(at place, after history) history {
	both := after
	both.Seen = h.Seen
	if both.Last == nil {
		both.Last = h.Last
	}
	if h.Floor.later(both.Floor) {
		both.Floor = h.Floor
	}
	if (both.Hole == place{}) {
		both.Hole = h.Hole
	}
	both.Stays = slices.Concat(h.Stays, after.Stays)
	earlier, later := both.Stays[:len(h.Stays)], both.Stays[len(h.Stays):]
	for i := range earlier {
		e := &earlier[i]
		if e.To != nil {
			continue
		}
		// It was still there when it came back, and this is one stay.
		j := slices.IndexFunc(later, func(l stay) bool { return l.Room == e.Room && at.later(l.From) })
		if j < 0 {
			e.To = &at
			continue
		}
		e.To = later[j].To
		both.Stays = slices.Delete(both.Stays, len(earlier)+j, len(earlier)+j+1)
		later = both.Stays[len(earlier):]
	}
	both.forget()
	return both
}

// keepStays bounds what is remembered of rooms that a member has left.
const keepStays = 64

// forget drops the oldest stays that have ended, if there are too many.
func (h *history) forget() {
	ended := 0
	for _, s := range h.Stays {
		if s.To != nil {
			ended++
		}
	}
	h.Stays = slices.DeleteFunc(h.Stays, func(s stay) bool {
		if s.To == nil || ended <= keepStays {
			return false
		}
		ended--
		if s.To.later(h.Floor) {
			h.Floor = *s.To
		}
		return true
	})
}

func encodeSession(s adapter.Session, h history) ([]byte, error) {
	// What a user stores may well be something that cannot be sent. It is not for this to fail the rest.
	data := make(map[string]parser.Raw, len(s.Data))
	for _, key := range slices.Sorted(maps.Keys(s.Data)) {
		if raw, err := parser.NewRaw(s.Data[key]); err == nil {
			data[key] = raw
		}
	}
	v := session{
		ID: s.ID, PID: s.PID, Rooms: s.Rooms,
		Expires: s.Expires.UnixMilli(), Offset: s.Offset, Replayed: s.Replayed, History: h,
	}
	var err error
	if v.Data, err = parser.NewRaw(data); err != nil {
		return nil, err
	}
	raw, err := parser.NewRaw(v)
	if err != nil {
		return nil, err
	}
	return pack(raw)
}

func decodeSession(text []byte) (s adapter.Session, h history, err error) {
	raw, err := unpack(text)
	if err != nil {
		return s, h, err
	}
	var v session
	if err := raw.Decode(&v); err != nil {
		return s, h, err
	}
	s = adapter.Session{
		PID: v.PID, ID: v.ID, Rooms: v.History.rooms(),
		Expires: time.UnixMilli(v.Expires), Offset: v.Offset, Replayed: v.Replayed,
	}
	var data map[string]parser.Raw
	if err := v.Data.Decode(&data); err != nil {
		return s, h, err
	}
	if len(data) > 0 {
		s.Data = make(map[string]any, len(data))
		for key, value := range data {
			s.Data[key] = value
		}
	}
	return s, v.History, nil
}
