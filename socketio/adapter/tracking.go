package adapter

import (
	"strings"
	"sync/atomic"
)

// Tracking is safe for concurrent use. It is [Memory] that numbers packets and remembers of its members which numbers they were
// meant by: what adapters that recover members have in common, whatever they keep the packets in. Numbers begin with 1 and have
// no gaps; they mean something in this process only.
//
// What is called draw below is called under the ordering lock, before the packet is appended to the first member. It stamps the
// packet, and returns the number that [Tracking.Next] has given it, or 0 for a packet that cannot be recovered.
type Tracking struct {
	*Memory
	blank    string        // keeps the place of an offset
	restored atomic.Uint64 // counts members that were admitted; changes under the ordering lock
}

// NewTracking returns an adapter without members, whose offsets are so long.
func NewTracking(h Host, offsetSize int) *Tracking {
	t := &Tracking{Memory: NewMemory(h), blank: strings.Repeat("-", offsetSize)}
	t.drawn = new(atomic.Uint64)
	return t
}

// Next draws a number. Called under the ordering lock.
func (t *Tracking) Next() uint64 { return t.drawn.Add(1) }

// Ordered calls fn, which does not block, under the ordering lock.
func (t *Tracking) Ordered(fn func()) {
	t.order.Lock()
	defer t.order.Unlock()
	fn()
}

// Blank gives a packet an offset that keeps the place of the one it will get.
func (t *Tracking) Blank(p *Packet) {
	if p.Offset == "" {
		p.Offset = t.blank
	}
}

// Place delivers p to the members meant by sel. If it cannot be encoded, draw is not called.
func (t *Tracking) Place(p *Packet, sel Selection, publish func(), draw func(p *Packet) uint64) error {
	t.Blank(p)
	a := audiences.Get().(*audience)
	defer a.release()
	a.track = true
	before := t.restored.Load()
	t.gather(a, sel)
	for _, mb := range a.members {
		if err := mb.Prepare(p); err != nil {
			return err
		}
	}
	if publish != nil {
		publish()
	}
	t.order.Lock()
	if t.restored.Load() != before {
		t.regather(a, sel)
	}
	n := draw(p)
	for i, mb := range a.members {
		e := a.entries[i]
		if e.lost { // since it was gathered: its client would take the offset for that of all that has passed it by meanwhile
			continue
		}
		mb.Append(p)
		if n > 0 {
			e.past.got(n, p)
		}
	}
	t.order.Unlock()
	for _, mb := range a.members {
		mb.Flush()
	}
	return nil
}

// PlaceOne is Place to one member, as [Recoverer.Deliver] has it. Without such a member draw is not called.
func (t *Tracking) PlaceOne(p *Packet, id string, publish func(), draw func(p *Packet) uint64, queue func(Member)) error {
	e := t.entry(id)
	if e == nil {
		return ErrLeft
	}
	if publish != nil {
		publish()
	}
	t.order.Lock()
	n := draw(p)
	if n > 0 {
		e.past.got(n, p) // also if it is just being saved
	}
	if now := t.entry(id); now != nil { // it may have been lost and restored meanwhile
		e = now
		if n > 0 {
			e.past.got(n, p)
		}
		queue(e.member)
	}
	t.order.Unlock()
	e.member.Flush()
	return nil
}

// regather adds the members that were restored since a was gathered: what they missed ended before the packet
// that is about to be drawn, so it must not pass them by. They need no Prepare of their own. Called under the
// ordering lock.
func (t *Tracking) regather(a *audience, sel Selection) {
	b := audiences.Get().(*audience)
	defer b.release()
	b.track = true
	t.gather(b, sel)
	have := make(room, len(a.entries))
	for _, e := range a.entries {
		have[e] = struct{}{}
	}
	for _, e := range b.entries {
		if _, ok := have[e]; !ok && e.restored {
			a.members = append(a.members, e.member)
			a.entries = append(a.entries, e)
		}
	}
}

// Trace is a plain value: what is remembered of a member.
type Trace struct {
	// Seen is the last number before it was a member, and Lost the last one before it was none any more.
	Seen, Lost uint64
	// Offset is that of the last packet which was appended to it, "" if there was none.
	Offset string
	// Stays are the rooms it was in, without its own one; of what was sent up to Floor some may be forgotten.
	Stays []Stay
	Floor uint64
}

// Stay is a plain value: a member's time in a room. It was meant by the numbers n with From < n <= To.
type Stay struct {
	Room     string
	From, To uint64
}

// Staying is Stay.To of a room that the member is still in.
const Staying = staying

// Release takes a member out as Remove does. ok is false if there is no such member. note, unless it is nil, is called under the
// ordering lock at the moment that Trace.Lost names, when nothing is appended to the member any more.
func (t *Tracking) Release(id string, note func()) (tr Trace, ok bool) {
	var offset string
	e, at := t.release(id, func(p *past) {
		if offset = p.offset; note != nil {
			note()
		}
	})
	if e == nil {
		return tr, false
	}
	tr = Trace{Seen: e.past.seen, Lost: at, Offset: offset, Floor: e.past.floor}
	for _, s := range e.past.stays {
		tr.Stays = append(tr.Stays, Stay{s.room, s.from, s.to})
	}
	return tr, true
}

// release returns the entry, nil if there is none, and the last number before it was taken out: what passes it by from then on is
// greater, and nothing is appended to it any more, whoever has gathered it before. note is called under the ordering lock at that
// point.
func (t *Tracking) release(id string, note func(*past)) (e *entry, at uint64) {
	t.order.Lock()
	defer t.order.Unlock()
	if e = t.remove(id); e == nil {
		return nil, 0
	}
	e.lost = true
	note(e.past)
	return e, t.now()
}

// Admit makes mb a member that is in rooms, and gets what is drawn from now on. Called under the ordering lock.
func (t *Tracking) Admit(mb Member, rooms []string) {
	now := t.now()
	p := newPast(now)
	for _, name := range rooms {
		p.enter(name, now)
	}
	t.admit(mb, p)
}

func (t *Tracking) admit(mb Member, p *past) {
	e := &entry{member: mb, past: p, restored: true, rooms: p.rooms()}
	e.mu.Lock()
	defer e.mu.Unlock()
	t.insert(e)
	for _, name := range e.rooms {
		t.enter(e, name)
	}
	t.restored.Add(1)
}
