package adapter

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// shardCount is a power of two. It is small because every namespace has its own shards.
const shardCount = 16

// Memory is safe for concurrent use. It is the adapter of one process.
//
// Members and rooms lie in shards, found by hashing their name. Joining a room, leaving it and deleting
// it when it is empty happen under the one lock of the room's shard; a join that found the room just
// before somebody else deleted it would be lost otherwise (seen in peers, about one in 300).
type Memory struct {
	host   Host
	seed   maphash.Seed
	shards [shardCount]shard

	// order is the namespace's ordering lock (engine rule 7).
	order sync.Mutex

	// drawn is the number of the last packet that can be recovered, for a Tracking; nil otherwise.
	drawn *atomic.Uint64

	observing sync.Mutex // serialises Observe
	observers atomic.Pointer[[]RoomEvents]
}

type shard struct {
	mu      sync.RWMutex
	members map[string]*entry // by id
	rooms   map[string]room   // never holds an empty room
}

type room map[*entry]struct{}

// entry is a member with the rooms it is in. A room of its own id is implicit: it costs nothing and
// cannot be left. Locks are taken in one direction, an entry's before a shard's.
type entry struct {
	member Member

	mu    sync.Mutex
	rooms []string // in order of joining
	gone  bool     // was removed; a join that comes late finds this

	restored bool  // was recovered
	lost     bool  // was saved; under the ordering lock
	past     *past // nil unless the member can be recovered
}

// NewMemory returns an adapter without members. As a function that returns an Adapter it is a [Factory].
func NewMemory(h Host) *Memory { return &Memory{host: h, seed: maphash.MakeSeed()} }

func (m *Memory) shard(name string) *shard {
	return &m.shards[maphash.String(m.seed, name)&(shardCount-1)]
}

func (m *Memory) entry(id string) *entry {
	s := m.shard(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.members[id]
}

// Add makes mb a member.
func (m *Memory) Add(mb Member) {
	e := &entry{member: mb}
	if m.drawn != nil {
		e.past = newPast(m.now())
	}
	m.insert(e)
}

func (m *Memory) insert(e *entry) {
	id := e.member.ID()
	s := m.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members == nil {
		s.members = make(map[string]*entry)
	}
	s.members[id] = e
	m.joined(s, id, id)
}

// Remove takes a member out of its rooms and out of the namespace.
func (m *Memory) Remove(id string) { m.remove(id) }

// remove returns the member's entry, nil if there is no such member.
func (m *Memory) remove(id string) *entry {
	s := m.shard(id)
	s.mu.Lock()
	e := s.members[id]
	delete(s.members, id)
	if e != nil {
		m.left(s, id, id)
	}
	s.mu.Unlock()
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = true
	for _, name := range e.rooms {
		m.quit(e, name)
	}
	e.rooms = nil
	return e
}

// Member finds a member by its id.
func (m *Memory) Member(id string) (Member, bool) {
	e := m.entry(id)
	if e == nil {
		return nil, false
	}
	return e.member, true
}

// Len is the number of members.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		n += len(s.members)
		s.mu.RUnlock()
	}
	return n
}

// Join adds a member to rooms.
func (m *Memory) Join(id string, rooms ...string) {
	e := m.entry(id)
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return
	}
	for _, name := range rooms {
		if name == id {
			continue
		}
		from := m.now() // before anything is delivered to it through the room
		if m.enter(e, name) {
			e.rooms = append(e.rooms, name)
			e.past.enter(name, from)
		}
	}
}

// now is the number of the last packet drawn.
func (m *Memory) now() uint64 {
	if m.drawn == nil {
		return 0
	}
	return m.drawn.Load()
}

// enter puts e into the room, and reports whether it was not in it.
func (m *Memory) enter(e *entry, name string) (joined bool) {
	s := m.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = make(room)
		if s.rooms == nil {
			s.rooms = make(map[string]room)
		}
		s.rooms[name] = r
	}
	before := len(r)
	r[e] = struct{}{}
	if len(r) == before {
		return false
	}
	m.joined(s, name, e.member.ID())
	return true
}

// Leave takes a member out of rooms.
func (m *Memory) Leave(id string, rooms ...string) {
	e := m.entry(id)
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range rooms {
		if i := slices.Index(e.rooms, name); i >= 0 {
			e.rooms = slices.Delete(e.rooms, i, i+1)
			m.quit(e, name)
			e.past.leave(name, m.now())
		}
	}
}

// quit takes e out of the room, and the room out of the namespace if it is empty then.
func (m *Memory) quit(e *entry, name string) {
	s := m.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	delete(r, e)
	if len(r) == 0 {
		delete(s.rooms, name)
	}
	m.left(s, name, e.member.ID())
}

// Rooms are the rooms a member is in, its own one first.
func (m *Memory) Rooms(id string) []string {
	e := m.entry(id)
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return nil
	}
	return append([]string{id}, e.rooms...)
}

// Members are the members meant by sel.
func (m *Memory) Members(sel Selection) []Member {
	a := audiences.Get().(*audience)
	defer a.release()
	m.gather(a, sel)
	return slices.Clone(a.members)
}

// Broadcast delivers p to the members meant by sel.
func (m *Memory) Broadcast(p *Packet, sel Selection) error {
	a := audiences.Get().(*audience)
	defer a.release()
	m.gather(a, sel)
	for _, mb := range a.members {
		if err := mb.Prepare(p); err != nil {
			return err
		}
	}
	m.queue(a, p)
	for _, mb := range a.members {
		mb.Flush()
	}
	return nil
}

func (m *Memory) queue(a *audience, p *Packet) {
	m.order.Lock()
	defer m.order.Unlock()
	for _, mb := range a.members {
		mb.Append(p)
	}
}

// Close has nothing to release.
func (m *Memory) Close() error { return nil }
