package adapter

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/perch-go/perch/socketio/parser"
)

// stateLayout begins a state, and changes with what follows it.
const stateLayout = "recovering 1\n"

// AppendState appends sessions and packets, see [Stateful].
func (r *Recovering) AppendState(b []byte) ([]byte, error) {
	sessions, segments, epochs, drawn := r.handOver()
	if len(sessions) == 0 {
		return b, nil
	}
	w := stateWriter{b: append(b, stateLayout...)}
	w.number(uint64(len(epochs)))
	for _, e := range epochs {
		w.text(e.prefix)
		w.number(e.upto)
		w.time(e.until)
	}
	w.number(drawn)
	w.number(uint64(len(segments)))
	for _, s := range segments {
		w.number(uint64(len(s.records)))
		w.time(s.begun)
		w.time(s.touched)
		for i := range s.records {
			rec := &s.records[i]
			w.texts(rec.rooms)
			w.texts(rec.except)
			packet, err := r.opts.AppendPacket(nil, rec.packet)
			if err != nil {
				return b, err
			}
			w.bytes(packet)
		}
	}
	w.number(uint64(len(sessions)))
	for _, sv := range sessions {
		w.session(sv)
	}
	return w.b, nil
}

// handOver ends what is kept, and returns what there was. It does not change any more.
func (r *Recovering) handOver() (sessions []*saved, segments []*segment, epochs []epoch, drawn uint64) {
	now := time.Now()
	r.order.Lock()
	defer r.order.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.handed, r.closed = true, true, true
	for el := r.queue.Front(); el != nil; el = el.Next() {
		if sv := el.Value.(*saved); now.Before(sv.Expires) {
			sessions = append(sessions, sv)
		}
	}
	r.opts.Kept.sessions.Add(-int64(len(r.sessions)))
	clear(r.sessions)
	r.queue.Init()
	epochs = append(slices.Clone(r.earlier), epoch{r.epoch, r.backlog.drawn, now.Add(r.opts.MaxDisconnection)})
	return sessions, slices.Clone(r.backlog.segments), epochs, r.backlog.drawn
}

func (w *stateWriter) session(sv *saved) {
	w.text(sv.PID)
	w.text(sv.ID)
	w.text(sv.Offset)
	w.flag(sv.Replayed)
	w.time(sv.Expires)
	for _, n := range []uint64{sv.at, sv.last, sv.past.seen, sv.past.last, sv.past.floor} {
		w.number(n)
	}
	w.number(uint64(len(sv.past.stays)))
	for _, s := range sv.past.stays {
		w.text(s.room)
		w.number(s.from)
		w.flag(s.to == staying)
		if s.to != staying {
			w.number(s.to)
		}
	}
	// What a user stores may well be something that cannot be written. It is not for this to fail the rest.
	data := make(map[string]parser.Raw, len(sv.Data))
	for key, value := range sv.Data {
		if raw, err := parser.NewRaw(value); err == nil {
			data[key] = raw
		}
	}
	w.number(uint64(len(data)))
	for _, key := range slices.Sorted(maps.Keys(data)) {
		w.text(key)
		w.bytes(data[key].JSON)
		w.number(uint64(len(data[key].Attachments)))
		for _, a := range data[key].Attachments {
			w.bytes(a)
		}
	}
}

// state is what LoadState has read.
type state struct {
	epochs   []epoch
	drawn    uint64
	segments []*segment
	sizes    [][]int // of packets, by segment
	sessions []*saved
}

// LoadState takes over what another process has handed over, see [Stateful].
func (r *Recovering) LoadState(b []byte) error {
	st, err := r.readState(b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	now := time.Now()
	latest := now.Add(r.opts.MaxDisconnection) // the clock may have been put back
	st.sessions = slices.DeleteFunc(st.sessions, func(sv *saved) bool {
		if sv.Expires.After(latest) {
			sv.Expires = latest
		}
		return !now.Before(sv.Expires)
	})
	if len(st.sessions) == 0 {
		return nil // and nobody will ask for the packets
	}
	r.order.Lock()
	defer r.order.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.closed || r.now() > 0 || len(r.sessions) > 0 || r.Len() > 0 {
		return fmt.Errorf("%w: there are members, sessions or packets already", ErrState)
	}
	for _, e := range st.epochs {
		if now.Before(e.until) {
			r.earlier = append(r.earlier, e)
		}
	}
	r.drawn.Store(st.drawn)
	r.backlog.load(st.segments, st.sizes, st.drawn)
	r.backlog.sweep(now)
	slices.SortStableFunc(st.sessions, func(a, b *saved) int { return a.Expires.Compare(b.Expires) })
	for _, sv := range st.sessions {
		r.sessions[sv.PID] = r.queue.PushBack(sv)
		r.opts.Kept.sessions.Add(1)
	}
	r.trim()
	r.schedule()
	return nil
}

func (r *Recovering) readState(b []byte) (st state, err error) {
	d := stateReader{b: b}
	d.expect(stateLayout)
	for range d.count() {
		st.epochs = append(st.epochs, epoch{d.text(), d.number(), d.time()})
	}
	for _, e := range st.epochs {
		d.check(len(e.prefix) == epochSize)
	}
	st.drawn = d.number()
	st.segments, st.sizes = r.readSegments(&d)
	kept := uint64(0)
	for _, s := range st.segments {
		kept += uint64(len(s.records))
	}
	d.check(kept <= st.drawn && st.drawn < staying)
	if d.err == nil {
		first := st.drawn - kept + 1
		for _, s := range st.segments {
			s.first = first
			first += uint64(len(s.records))
		}
	}
	for range d.count() {
		sv := d.session()
		d.check(sv.PID != "" && sv.ID != "" && max(sv.at, sv.last, sv.past.seen, sv.past.last, sv.past.floor) <= st.drawn)
		st.sessions = append(st.sessions, sv)
	}
	pids := make(map[string]bool, len(st.sessions))
	for _, sv := range st.sessions {
		d.check(!pids[sv.PID])
		pids[sv.PID] = true
	}
	d.check(len(d.b) == 0)
	return st, d.err
}

func (r *Recovering) readSegments(d *stateReader) (segments []*segment, sizes [][]int) {
	for range d.count() {
		n := d.count()
		s := &segment{begun: d.time(), touched: d.time()}
		var bytes []int
		for range n {
			rec := record{rooms: d.texts(), except: d.texts()}
			packet := d.bytes()
			if d.err != nil {
				return nil, nil
			}
			var size int
			if rec.packet, size, d.err = r.opts.LoadPacket(packet); d.err != nil {
				return nil, nil
			}
			s.records, bytes = append(s.records, rec), append(bytes, size)
		}
		if d.check(n > 0); d.err == nil {
			segments, sizes = append(segments, s), append(sizes, bytes)
		}
	}
	return segments, sizes
}

func (d *stateReader) session() *saved {
	sv := &saved{Session: Session{PID: d.text(), ID: d.text(), Offset: d.text(), Replayed: d.flag(), Expires: d.time()}}
	sv.at, sv.last = d.number(), d.number()
	sv.past = &past{seen: d.number(), last: d.number(), floor: d.number()}
	stays := false
	for range d.count() {
		s := stay{room: d.text(), from: d.number(), to: staying}
		if d.flag() {
			stays = true
		} else {
			s.to = d.number()
			d.check(s.to < staying && !stays) // those that were left stand before the others
		}
		sv.past.stays = append(sv.past.stays, s)
	}
	sv.Rooms = sv.past.rooms()
	for range d.count() {
		key, raw := d.text(), parser.Raw{JSON: slices.Clone(d.bytes())} // it outlives the state
		for range d.count() {
			raw.Attachments = append(raw.Attachments, slices.Clone(d.bytes()))
		}
		if sv.Data == nil {
			sv.Data = make(map[string]any)
		}
		sv.Data[key] = raw
	}
	return sv
}
