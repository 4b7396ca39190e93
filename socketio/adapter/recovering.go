package adapter

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Recovering is safe for concurrent use. It is [Memory] that keeps the sessions of members that were lost, and
// for them the packets of the last minutes, each once.
type Recovering struct {
	*Tracking
	opts  RecoveryOptions
	epoch string // begins its offsets, so that those of another process are known as such

	// Under the ordering lock.
	backlog backlog
	earlier []epoch // of the processes whose state was loaded
	ended   bool    // nothing is kept any more…
	handed  bool    // …because it was handed over

	sweeping atomic.Bool // a sweep is to come
	mu       sync.Mutex
	sessions map[string]*list.Element // of *saved, by pid
	queue    list.List                // the oldest first
	stop     func()                   // the sweep
	closed   bool
}

// saved is a session and what was addressed to it.
type saved struct {
	Session
	past *past
	at   uint64 // the last number before it was saved
	last uint64 // the last packet that was appended to it
}

var _ Stateful = (*Recovering)(nil)

// epochSize is the length of what offsets begin with; the number follows.
const epochSize = 6

// NewRecovering returns an adapter without members and sessions.
func NewRecovering(h Host, o RecoveryOptions) *Recovering {
	var epoch [epochSize]byte
	_, _ = rand.Read(epoch[:]) // never fails
	if o.Kept == nil {
		o.Kept = new(Kept)
	}
	r := &Recovering{
		Tracking: NewTracking(h, OffsetSize),
		opts:     o,
		epoch:    base64.RawURLEncoding.EncodeToString(epoch[:])[:epochSize],
		sessions: make(map[string]*list.Element),
		backlog: backlog{
			kept:       o.Kept,
			maxPackets: o.MaxPackets,
			maxBytes:   o.MaxBytes,
			maxAge:     o.MaxDisconnection + o.Notice,
		},
	}
	return r
}

// digits are base64url's in an order of their own: that of ASCII is not needed.
const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (r *Recovering) offset(n uint64) string {
	var b [OffsetSize]byte
	copy(b[:], r.epoch)
	for i := OffsetSize - 1; i >= epochSize; i-- {
		b[i] = digits[n&63]
		n >>= 6
	}
	return string(b[:])
}

// epoch is a process before this one, whose numbers this one goes on with.
type epoch struct {
	prefix string
	upto   uint64    // its last number that is known here
	until  time.Time // by then nobody is waited for any more who was lost in it
}

// number is the reverse of offset; ours is false for an offset of a process of which nothing is known. Called under the ordering
// lock.
func (r *Recovering) number(offset string) (n uint64, ours, ok bool) {
	if len(offset) != OffsetSize {
		return 0, false, false
	}
	for i := range len(offset) {
		d := strings.IndexByte(digits, offset[i])
		if d < 0 {
			return 0, false, false
		}
		if i >= epochSize {
			n = n<<6 | uint64(d)
		}
	}
	if strings.HasPrefix(offset, r.epoch) {
		return n, true, true
	}
	for _, e := range r.earlier {
		if strings.HasPrefix(offset, e.prefix) {
			return n, true, n <= e.upto // beyond, it is not what was handed over that was numbered
		}
	}
	return n, false, true
}

// draw stamps the packet, and stores it unless it is volatile: a volatile one that carries an offset tells how
// far the client has come. Called under the ordering lock; n is 0 for a packet without number.
func (r *Recovering) draw(p *Packet, sel Selection, size int) (n uint64) {
	b := &r.backlog
	if p.Volatile || r.ended {
		p.Stamp(r.offset(b.drawn))
		return 0
	}
	b.drawn = r.Next()
	p.Stamp(r.offset(b.drawn))
	b.add(record{p.remains(), sel.Rooms, sel.Except}, size, time.Now())
	return b.drawn
}

// Broadcast delivers p to the members meant by sel.
func (r *Recovering) Broadcast(p *Packet, sel Selection) error {
	if p.HasID {
		return r.Memory.Broadcast(p, sel)
	}
	r.Blank(p)
	size, err := r.opts.Prepare(p)
	if err != nil {
		return err
	}
	var n uint64
	err = r.Place(p, sel, nil, func(p *Packet) uint64 {
		n = r.draw(p, sel, size)
		return n
	})
	return r.placed(p, n, err)
}

// placed is told what has become of a packet.
func (r *Recovering) placed(p *Packet, n uint64, err error) error {
	switch {
	case err != nil:
		return err
	case n > 0:
		r.wake()
	case !p.Volatile && r.isHanded():
		return ErrClosed
	}
	return nil
}

func (r *Recovering) isHanded() bool {
	r.order.Lock()
	defer r.order.Unlock()
	return r.handed
}

// Deliver delivers p to one member.
func (r *Recovering) Deliver(p *Packet, id string, queue func(Member)) error {
	r.Blank(p)
	size, err := r.opts.Prepare(p)
	if err != nil {
		return err
	}
	var n uint64
	err = r.PlaceOne(p, id, nil, func(p *Packet) uint64 {
		n = r.draw(p, Selection{Rooms: []string{id}}, size)
		return n
	}, queue)
	return r.placed(p, n, err)
}

// OffsetSize is [OffsetSize].
func (r *Recovering) OffsetSize() int { return OffsetSize }

// Save takes the member out and keeps its session.
func (r *Recovering) Save(s Session) {
	var last uint64
	e, at := r.release(s.ID, func(past *past) { last = past.last })
	if e == nil {
		return
	}
	sv := &saved{Session: s, past: e.past, at: at, last: last}
	sv.Rooms = sv.past.rooms()
	if sv.Expires.IsZero() {
		sv.Expires = time.Now().Add(r.opts.MaxDisconnection)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.take(s.PID)
	r.sessions[s.PID] = r.queue.PushBack(sv)
	r.opts.Kept.sessions.Add(1)
	r.trim()
	r.schedule()
}

// trim lets go of the oldest sessions if there are too many. Called with mu held.
func (r *Recovering) trim() {
	for len(r.sessions) > 0 && r.opts.Kept.sessions.Load() > int64(r.opts.MaxSessions) {
		r.take(r.queue.Front().Value.(*saved).PID)
		r.opts.Kept.droppedSessions.Add(1)
	}
}

// take takes a session out; nil if there is none. Called with mu held.
func (r *Recovering) take(pid string) *saved {
	el := r.sessions[pid]
	if el == nil {
		return nil
	}
	delete(r.sessions, pid)
	r.opts.Kept.sessions.Add(-1)
	return r.queue.Remove(el).(*saved)
}

// Restore brings back a member.
func (r *Recovering) Restore(_ context.Context, pid, offset string, join func(Session) Member) ([]*Packet, bool, error) {
	r.mu.Lock()
	sv := r.take(pid)
	r.mu.Unlock()
	if sv == nil || !time.Now().Before(sv.Expires) {
		return nil, false, ErrNoSession
	}
	r.order.Lock()
	from, err := r.position(sv, offset)
	upto := r.backlog.drawn
	var runs []run
	if err == nil {
		runs = r.backlog.after(from)
	}
	r.order.Unlock()
	if err != nil {
		return nil, false, err
	}
	mb := join(sv.Session)
	if mb == nil {
		return nil, false, ErrDeclined
	}
	past := sv.past.memory(sv.ID)
	missed, last := past.among(nil, 0, runs)

	// The rest is short, and ends where the member begins.
	r.order.Lock()
	defer r.order.Unlock()
	if r.backlog.dropped > upto {
		return nil, false, ErrMissed
	}
	missed, last = past.among(missed, last, r.backlog.after(upto))
	sv.past.seen = from                    // whatever its client's offset is, if it is not older
	sv.past.last = max(sv.past.last, last) // these are on their way to it now
	r.admit(mb, sv.past)
	return missed, true, nil
}

// position is the number up to which the client has seen everything. Called under the ordering lock.
func (r *Recovering) position(sv *saved, offset string) (uint64, error) {
	n := sv.past.seen
	if offset != "" {
		seen, ours, ok := r.number(offset)
		switch {
		case !ok || ours && seen > r.backlog.drawn:
			return 0, ErrOffset
		case ours:
			n = max(n, seen)
		default: // of a process before this one: the client has got nothing since
		}
	}
	if n >= sv.last {
		n = max(n, sv.at) // nothing was on its way to it
	}
	if n < sv.past.floor || n < r.backlog.dropped {
		return 0, ErrMissed
	}
	return n, nil
}

// among appends the packets of runs that the member was meant by. last is the number of the last one.
func (m memory) among(missed []*Packet, last uint64, runs []run) ([]*Packet, uint64) {
	for _, run := range runs {
		for i := range run.records {
			rec, n := &run.records[i], run.first+uint64(i)
			if m.meant(rec, n) {
				missed, last = append(missed, rec.packet), n
			}
		}
	}
	return missed, last
}

// Sessions is the number of sessions that are kept.
func (r *Recovering) Sessions() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions)
}

// Backlog is how many packets are kept, and about how many bytes they take.
func (r *Recovering) Backlog() (packets, bytes int) {
	r.order.Lock()
	defer r.order.Unlock()
	return r.backlog.packets, r.backlog.bytes
}

// wake sees to it that there is a sweep to come.
func (r *Recovering) wake() {
	if r.sweeping.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.schedule()
}

// schedule is wake with mu held.
func (r *Recovering) schedule() {
	if r.closed || r.sweeping.Load() {
		return
	}
	r.sweeping.Store(true)
	r.stop = r.opts.After(max(time.Second, r.opts.MaxDisconnection/8), r.sweep)
}

// sweep lets go of what is too old, and comes again while anything is left.
func (r *Recovering) sweep() {
	now := time.Now()
	r.sweeping.Store(false) // what is stored from now on calls for another one
	r.order.Lock()
	r.backlog.sweep(now)
	left := r.backlog.packets > 0
	r.order.Unlock()

	r.mu.Lock()
	defer r.mu.Unlock()
	for el := r.queue.Front(); el != nil && !now.Before(el.Value.(*saved).Expires); el = r.queue.Front() {
		r.take(el.Value.(*saved).PID)
	}
	if left || len(r.sessions) > 0 {
		r.schedule()
	}
}

// Close lets go of sessions and packets.
func (r *Recovering) Close() error {
	r.mu.Lock()
	r.closed = true
	stop := r.stop
	r.opts.Kept.sessions.Add(-int64(len(r.sessions)))
	clear(r.sessions)
	r.queue.Init()
	r.mu.Unlock()
	if stop != nil {
		stop()
	}
	r.order.Lock()
	r.ended = true
	for len(r.backlog.segments) > 0 {
		r.backlog.drop()
	}
	r.order.Unlock()
	return r.Memory.Close()
}
