package cluster

import (
	"slices"

	"github.com/perch-go/perch/socketio/adapter"
)

// walk finds out what a member has missed, among messages that it is given in their order. It is not safe for concurrent use.
type walk struct {
	id     string
	from   place   // where it begins…
	behind []place // …and others before which nothing is missing
	// ahead is from, until the last of what its node had said ahead of the log has come from there. The offsets of what is
	// missed carry it on.
	ahead place
	// owed is what the node it was lost on had said ahead of the log when it was lost, until the last of it has come from there:
	// it goes by the rooms that the member was in then.
	owed place
	// need is how far a node must have read the log: what the session knows to be past is not to come again.
	need  Offset
	floor place
	stays map[string][]stay

	namespace            string
	missed               []*adapter.Packet
	bytes                int
	maxPackets, maxBytes int
}

// newWalk begins where a client with that offset stands. "" is one that has got nothing.
func newWalk(s adapter.Session, h history, offset string) (*walk, error) {
	seen, ok := parsePlace(offset)
	if !ok {
		return nil, adapter.ErrOffset
	}
	w := &walk{id: s.ID, from: h.Seen, behind: []place{h.Seen}, floor: h.Floor, need: h.Lost.offset, stays: make(map[string][]stay)}
	if offset != "" {
		w.behind = append(w.behind, seen)
		if seen.later(h.Seen) {
			w.from = seen
		}
	}
	if h.BackLast != nil && offset != "" && seen.reaches(*h.BackLast) {
		w.behind = append(w.behind, h.Back)
		if h.Back.later(w.from) {
			w.from = h.Back
		}
	}
	if h.Last == nil || offset != "" && seen.reaches(*h.Last) { // nothing was on its way to it
		w.behind = append(w.behind, h.Lost)
		w.from = h.Lost
	}
	if (h.Hole != place{}) && !w.from.later(h.Hole) {
		return nil, adapter.ErrMissed
	}
	w.ahead = w.from
	if h.Lost.later(w.from) {
		w.owed = h.Lost
	}
	if w.from.offset.Compare(w.need) > 0 {
		w.need = w.from.offset
	}
	for _, s := range h.Stays {
		w.stays[s.Room] = append(w.stays[s.Room], s)
	}
	return w, nil
}

// pass takes the next message. offset is "" if it is not known: then that of the log is taken.
func (w *walk) pass(m *Message, offset string) error {
	for _, p := range []*place{&w.ahead, &w.owed} {
		if p.seq > 0 && m.recoverable() && m.Seq >= p.seq && nameOf(m.UID) == p.node {
			p.seq, p.node = 0, nodeName{}
		}
	}
	if !m.recoverable() || slices.ContainsFunc(w.behind, func(p place) bool { return p.covers(m) }) {
		return nil
	}
	if w.floor.covers(m) {
		return adapter.ErrMissed
	}
	if !w.meant(m) {
		return nil
	}
	if offset == "" {
		offset = place{m.Offset, w.ahead.node, w.ahead.seq}.String()
	}
	for _, arg := range m.Args {
		w.bytes += len(arg.JSON)
		for _, a := range arg.Attachments {
			w.bytes += len(a)
		}
	}
	w.missed = append(w.missed, &adapter.Packet{
		Namespace: w.namespace, Event: m.Event, Args: m.Args.Args(), NoCompress: m.Opts.NoCompress, Offset: offset,
	})
	if len(w.missed) > w.maxPackets || w.bytes > w.maxBytes {
		return adapter.ErrMissed
	}
	return nil
}

// waits reports whether there is more to come from the log before the walk can end at that offset, on the node of that name.
func (w *walk) waits(node nodeName, at Offset) bool {
	open := func(p place) bool { return p.seq > 0 && p.node != node }
	return at.Compare(w.need) < 0 || open(w.ahead) || open(w.owed)
}

// meant reports whether the member was among those that m is for.
func (w *walk) meant(m *Message) bool {
	in := func(room string) bool {
		return room == w.id || slices.ContainsFunc(w.stays[room], func(s stay) bool { return s.has(m) })
	}
	if len(m.Opts.Rooms) > 0 && !slices.ContainsFunc(m.Opts.Rooms, in) {
		return false
	}
	return !slices.ContainsFunc(m.Opts.Except, in)
}

// recoverable reports whether a message is one that is missed by those who did not get it.
func (m *Message) recoverable() bool {
	return m.Type == Broadcast && m.RequestID == "" && !m.Opts.Volatile
}
