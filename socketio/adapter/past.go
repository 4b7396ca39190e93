package adapter

import (
	"math"
	"slices"
)

// past is what is remembered of a member that can be recovered: what was addressed to it. Packets are numbered
// in the order in which they were drawn. The rooms a member is in when it is lost do not say it: it may have
// joined them after a packet that it was never meant to get, or left one whose last packets never arrived.
type past struct {
	// Under the ordering lock.
	seen uint64 // nothing up to this number is missing: it is that of joining, or of the last recovery
	last uint64 // the last packet that was appended…
	// …and its offset
	offset string

	// Guarded by the entry's lock.
	stays []stay
	floor uint64 // what was addressed to it up to this number is not remembered completely
}

// stay is a member's time in a room: it was meant by the packets with from < number <= to.
type stay struct {
	room     string
	from, to uint64
}

const (
	staying = math.MaxUint64
	// keepStays bounds what is remembered of rooms that a member has left.
	keepStays = 64
)

func newPast(now uint64) *past { return &past{seen: now, last: now} }

// got notes that a packet was appended.
func (p *past) got(n uint64, packet *Packet) { p.last, p.offset = n, packet.Offset }

func (p *past) enter(room string, from uint64) {
	if p != nil {
		p.stays = append(p.stays, stay{room, from, staying})
	}
}

func (p *past) leave(room string, to uint64) {
	if p == nil {
		return
	}
	i := slices.IndexFunc(p.stays, func(s stay) bool { return s.room == room && s.to == staying })
	if i < 0 {
		return
	}
	s := p.stays[i]
	p.stays = slices.Delete(p.stays, i, i+1)
	if s.to = to; s.from == s.to {
		return // nothing happened meanwhile
	}
	// Those that were left stand before the others, in the order of leaving.
	left := slices.IndexFunc(p.stays, func(s stay) bool { return s.to == staying })
	if left < 0 {
		left = len(p.stays)
	}
	p.stays = slices.Insert(p.stays, left, s)
	if left >= keepStays {
		p.floor = max(p.floor, p.stays[0].to)
		p.stays = slices.Delete(p.stays, 0, 1)
	}
}

// rooms are those that it is in.
func (p *past) rooms() (names []string) {
	for _, s := range p.stays {
		if s.to == staying {
			names = append(names, s.room)
		}
	}
	return names
}

// memory answers what a member was meant by; it is made for one recovery.
type memory struct {
	id    string
	stays map[string][]stay
}

func (p *past) memory(id string) memory {
	m := memory{id, make(map[string][]stay, len(p.stays))}
	for _, s := range p.stays {
		m.stays[s.room] = append(m.stays[s.room], s)
	}
	return m
}

// meant reports whether the member was among those that a packet was for.
func (m memory) meant(r *record, n uint64) bool {
	if len(r.rooms) > 0 && !slices.ContainsFunc(r.rooms, func(room string) bool { return m.in(room, n) }) {
		return false
	}
	return !slices.ContainsFunc(r.except, func(room string) bool { return m.in(room, n) })
}

func (m memory) in(room string, n uint64) bool {
	return room == m.id || slices.ContainsFunc(m.stays[room], func(s stay) bool { return s.from < n && n <= s.to })
}
