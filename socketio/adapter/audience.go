package adapter

import "sync"

// audience collects the members that a selection means, each of them once.
type audience struct {
	members []Member
	// seen are the entries that are not to be added any more: the excluded ones and, where an entry can
	// come up twice, those that were added.
	seen room
	mark bool
	// entries are the members' own, if track.
	entries []*entry
	track   bool
}

var audiences = sync.Pool{New: func() any { return &audience{seen: make(room)} }}

// Larger ones are not kept for reuse. A map never shrinks, and clearing it takes as long as it once was
// large, so it is dropped early.
const (
	keepMembers = 1 << 14
	keepSeen    = 1 << 11
)

func (a *audience) release() {
	clear(a.members)
	if a.members = a.members[:0]; cap(a.members) > keepMembers {
		a.members = nil
	}
	if len(a.seen) > keepSeen {
		a.seen = make(room)
	}
	clear(a.seen)
	clear(a.entries)
	if a.entries = a.entries[:0]; cap(a.entries) > keepMembers {
		a.entries = nil
	}
	a.track = false
	audiences.Put(a)
}

func (a *audience) add(e *entry) {
	if len(a.seen) > 0 {
		if _, ok := a.seen[e]; ok {
			return
		}
	}
	if a.mark {
		a.seen[e] = struct{}{}
	}
	a.members = append(a.members, e.member)
	if a.track {
		a.entries = append(a.entries, e)
	}
}

// gather fills a. It takes one shard's lock at a time: who joins, leaves or changes rooms meanwhile may
// be in or not, as if it had done so a moment earlier or later.
func (m *Memory) gather(a *audience, sel Selection) {
	for _, name := range sel.Except {
		m.visit(name, func(e *entry) { a.seen[e] = struct{}{} })
	}
	a.mark = len(sel.Rooms) > 1
	if len(sel.Rooms) > 0 {
		for _, name := range sel.Rooms {
			m.visit(name, a.add)
		}
		return
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		for _, e := range s.members {
			a.add(e)
		}
		s.mu.RUnlock()
	}
}

// visit calls fn for the members of a room and for the member whose own room has that name.
func (m *Memory) visit(name string, fn func(*entry)) {
	s := m.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e := s.members[name]; e != nil {
		fn(e)
	}
	for e := range s.rooms[name] {
		fn(e)
	}
}
