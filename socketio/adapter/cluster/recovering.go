package cluster

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// Recovering is safe for concurrent use. It is an [Adapter] over a [Log], that brings members back which were lost on whatever node
// of the cluster, with what they missed (S-6).
//
// Nothing of it depends on the node that a member was lost on: where the member stood and what was addressed to it goes into its
// session, which any node may take, and what it missed is read from the log.
type Recovering struct {
	*Adapter
	tracking *adapter.Tracking
	recovery adapter.RecoveryOptions
	node     nodeName

	// sending is held from when a broadcast of this node is published until the members here get it, so that the log has them in
	// the same order.
	sending sync.Mutex

	// Under the ordering lock.
	offset   Offset     // the last entry of the log that has come
	said     uint64     // the last broadcast of this node that its members have got…
	returned uint64     // …and the last that the log has brought back
	flight   []*Message // those between the two, the oldest first
	// hole is where the Bus has not taken a broadcast: who had not got that when he was lost, cannot be given it.
	hole    place
	chart   []place // where a member stands that has got packet number base, and so on, for the last numbers
	base    uint64
	records map[*record]struct{}

	mu   sync.Mutex
	back map[string]*comeback // members that were restored, by id
}

// comeback is what is kept of a member that was restored, until it is lost again or leaves.
type comeback struct {
	before history
	at     place  // where it was restored
	last   *place // of what it missed; nil if that was nothing
}

// record collects what is delivered here while a member is being restored. Under the ordering lock.
type record struct {
	begin  Offset
	flight []*Message // at the beginning
	list   []recorded
	moved  chan struct{} // has room for one: the log has brought something
}

// recorded is a broadcast and the offset it was given here.
type recorded struct {
	message *Message
	offset  string
}

var _ adapter.Recoverer = (*Recovering)(nil)

func newRecovering(a *Adapter, o adapter.RecoveryOptions) *Recovering {
	r := &Recovering{
		Adapter:  a,
		tracking: adapter.NewTracking(a.host, offsetSize),
		recovery: o,
		node:     nameOf(a.uid),
		chart:    make([]place, 1),
		records:  make(map[*record]struct{}),
		back:     make(map[string]*comeback),
	}
	a.Memory = r.tracking.Memory
	return r
}

// OffsetSize is how long its offsets are.
func (r *Recovering) OffsetSize() int { return offsetSize }

// here is where members of this node stand. Called under the ordering lock, as what follows.
func (r *Recovering) here() place {
	if r.said > r.returned {
		return place{r.offset, r.node, r.said}
	}
	return place{offset: r.offset}
}

// keepChart is how many numbers the chart has at least.
const keepChart = 1024

// draw gives a packet its number and its offset.
func (r *Recovering) draw(p *adapter.Packet, m *Message) uint64 {
	n := r.tracking.Next()
	here := r.here()
	if len(r.chart) > 2*max(keepChart, r.recovery.MaxPackets) {
		half := len(r.chart) / 2
		r.chart = append(r.chart[:0], r.chart[half:]...)
		r.base += uint64(half)
	}
	r.chart = append(r.chart, here)
	offset := here.String()
	p.Stamp(offset)
	for rec := range r.records {
		rec.list = append(rec.list, recorded{m, offset})
	}
	return n
}

// drawNone gives a packet that cannot be recovered the offset of what was before it.
func (r *Recovering) drawNone(p *adapter.Packet) uint64 {
	p.Stamp(r.here().String())
	return 0
}

// pass notes that something has come from the log, and was done.
func (r *Recovering) pass(m *Message) {
	own := m.UID == r.uid && m.recoverable()
	if own { // it may be back before the members here have got it
		r.sending.Lock()
		r.sending.Unlock() //lint:ignore SA2001 waiting is all there is to do
	}
	r.tracking.Ordered(func() {
		r.offset = m.Offset
		if own {
			r.returned = m.Seq
			for len(r.flight) > 0 && r.flight[0].Seq <= m.Seq {
				r.flight[0] = nil
				r.flight = r.flight[1:]
			}
		}
		r.chart[len(r.chart)-1] = r.here() // and has got what does not matter to it
		for rec := range r.records {
			select {
			case rec.moved <- struct{}{}:
			default:
			}
		}
	})
}

// deliver delivers a broadcast of another node.
func (r *Recovering) deliver(m *Message, p *adapter.Packet) error {
	return r.tracking.Place(p, m.Opts.selection(), nil, func(p *adapter.Packet) uint64 {
		logged := m.Offset != Offset{}
		if logged {
			r.offset = m.Offset
		}
		if !logged || !m.recoverable() {
			return r.drawNone(p)
		}
		return r.draw(p, m)
	})
}

// Broadcast delivers p to the members meant by sel, wherever they are. What is for this process alone is not kept, and what the
// Bus does not take neither: see [Adapter.Broadcast].
func (r *Recovering) Broadcast(p *adapter.Packet, sel adapter.Selection) error {
	return r.broadcast(p, sel, func(publish func(), draw func(*adapter.Packet) uint64) error {
		return r.tracking.Place(p, sel, publish, draw)
	})
}

// Deliver delivers p to one member. If it has just been lost, the packet is kept for it all the same. If the Bus does not take it
// that is no error, as the member has got it; but it cannot be recovered before that any more.
func (r *Recovering) Deliver(p *adapter.Packet, id string, queue func(adapter.Member)) error {
	if _, ok := r.Member(id); !ok {
		return adapter.ErrLeft
	}
	err := r.broadcast(p, adapter.Selection{Rooms: []string{id}}, func(publish func(), draw func(*adapter.Packet) uint64) error {
		return r.tracking.PlaceOne(p, id, publish, draw, queue)
	})
	if unreached := (*UnreachedError)(nil); errors.As(err, &unreached) {
		return nil
	}
	return err
}

func (r *Recovering) broadcast(p *adapter.Packet, sel adapter.Selection, deliver func(publish func(), draw func(*adapter.Packet) uint64) error) error {
	r.tracking.Blank(p)
	if sel.Local || p.Volatile && len(sel.Rooms) == 1 && r.isHere(sel.Rooms[0]) {
		return deliver(nil, r.drawNone)
	}
	m, err := r.message(p, sel)
	if err != nil {
		return err
	}
	if _, err := r.recovery.Prepare(p); err != nil { // before anybody has got it
		return err
	}
	var unreached error
	publish := func() {
		r.sending.Lock()
		unreached = r.publish(m)
	}
	if !m.recoverable() {
		publish()
		r.sending.Unlock()
		return cmp.Or(deliver(nil, r.drawNone), unreached)
	}
	draw := func(p *adapter.Packet) uint64 {
		r.said = m.Seq
		if unreached == nil {
			r.flight = append(r.flight, m)
		} else {
			r.hole = place{r.offset, r.node, m.Seq}
		}
		r.sending.Unlock() // now the ordering lock does it
		return r.draw(p, m)
	}
	err = deliver(publish, draw)
	if errors.Is(err, adapter.ErrLeft) { // and perhaps is back by now
		err = r.tracking.Place(p, sel, publish, draw)
	}
	return cmp.Or(err, unreached)
}

// isHere reports whether the name is that of a member of this process, which is nowhere else then.
func (r *Recovering) isHere(id string) bool {
	_, ok := r.Member(id)
	return ok
}

// Remove takes a member out of its rooms and out of the namespace.
func (r *Recovering) Remove(id string) {
	r.Adapter.Remove(id)
	r.forget(id)
}

func (r *Recovering) forget(id string) *comeback {
	r.mu.Lock()
	defer r.mu.Unlock()
	back := r.back[id]
	delete(r.back, id)
	return back
}

// Save takes the member out and hands its session to the log, for which it waits.
func (r *Recovering) Save(s adapter.Session) {
	var h history
	trace, ok := r.tracking.Release(s.ID, func() { h.Lost = r.here() })
	back := r.forget(s.ID)
	if !ok {
		return
	}
	r.tracking.Ordered(func() { r.translate(trace, &h) })
	if back != nil {
		if h.Last == nil {
			h.Last = back.last
		}
		if back.last != nil { // perhaps it was not let in, or lost again so early that nothing of what it had missed has arrived
			restored := h.Seen
			h = back.before.then(back.at, h)
			h.Back, h.BackLast = restored, back.last
		}
	}
	s.Rooms = h.rooms()
	now := time.Now()
	if s.Expires.IsZero() {
		s.Expires = now.Add(r.recovery.MaxDisconnection)
	}
	left := s.Expires.Sub(now)
	if left <= 0 {
		return
	}
	text, err := encodeSession(s, h)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), r.opts.RequestTimeout)
		defer cancel()
		err = r.log.SaveSession(ctx, s.PID, text, left)
	}
	if err != nil {
		r.opts.Logger.Warn("cluster: a session is not saved, its client will connect afresh",
			"namespace", r.name, "socket", s.ID, "error", err)
	}
}

// translate makes places of numbers. Called under the ordering lock.
func (r *Recovering) translate(t adapter.Trace, h *history) {
	at := func(n uint64) (p place, known bool) {
		if n < r.base {
			return place{}, false
		}
		return r.chart[n-r.base], true
	}
	h.Seen, _ = at(t.Seen)
	if (r.hole != place{}) && !h.Seen.later(r.hole) {
		h.Hole = r.hole
	}
	if t.Floor > 0 {
		h.Floor = r.chart[0]
		if floor, known := at(t.Floor); known {
			h.Floor = floor
		}
	}
	if t.Offset != "" {
		last, _ := parsePlace(t.Offset)
		h.Last = &last
	}
	for _, s := range t.Stays {
		from, known := at(s.From)
		if !known && r.chart[0].later(h.Floor) { // since when is not known any more
			h.Floor = r.chart[0]
		}
		stay := stay{Room: s.Room, From: from}
		if s.To != adapter.Staying {
			to, known := at(s.To)
			if !known {
				continue
			}
			stay.To = &to
		}
		h.Stays = append(h.Stays, stay)
	}
}
