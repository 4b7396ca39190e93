package cluster

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// Restore brings back a member. It waits for the broker, and for the node that the member is still on, if there is one, as long as
// [Options] let requests wait.
func (r *Recovering) Restore(ctx context.Context, pid, offset string, join func(adapter.Session) adapter.Member) ([]*adapter.Packet, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.opts.RequestTimeout)
	defer cancel()
	missed, err := r.restore(ctx, pid, offset, join)
	return missed, err == nil, err
}

func (r *Recovering) restore(ctx context.Context, pid, offset string, join func(adapter.Session) adapter.Member) ([]*adapter.Packet, error) {
	if _, ok := parsePlace(offset); !ok {
		return nil, adapter.ErrOffset
	}
	s, before, err := r.take(ctx, pid)
	if err != nil {
		return nil, err
	}
	w, err := newWalk(s, before, offset)
	if err != nil {
		return nil, err
	}
	w.namespace, w.maxPackets, w.maxBytes = r.name, r.recovery.MaxPackets, r.recovery.MaxBytes
	rec, err := r.catchUp(ctx, w)
	if err != nil {
		return nil, err
	}
	defer r.tracking.Ordered(func() { delete(r.records, rec) })
	mb := join(s)
	if mb == nil {
		return nil, adapter.ErrDeclined
	}
	// The rest is short, and ends where the member begins.
	back := &comeback{before: before}
	r.tracking.Ordered(func() {
		for _, m := range rec.list {
			if err = w.pass(m.message, m.offset); err != nil {
				return
			}
		}
		if n := len(w.missed); n > 0 {
			last, _ := parsePlace(w.missed[n-1].Offset)
			back.last = &last
		}
		back.at = r.here()
		r.mu.Lock()
		r.back[s.ID] = back
		r.mu.Unlock()
		r.tracking.Admit(mb, s.Rooms)
	})
	if err != nil {
		return nil, err
	}
	return w.missed, nil
}

// take takes the session, which is saved first if the member is still there on another node: its client has come here.
func (r *Recovering) take(ctx context.Context, pid string) (s adapter.Session, h history, err error) {
	text, err := r.log.TakeSession(ctx, pid)
	if err == nil && text == nil {
		if err = r.evict(ctx, pid); err == nil {
			text, err = r.log.TakeSession(ctx, pid)
		}
	}
	switch {
	case err != nil:
		return s, h, err
	case text == nil:
		return s, h, adapter.ErrNoSession
	}
	s, h, err = decodeSession(text)
	s.Expires = r.expiry(s.Expires)
	return s, h, err
}

// expiry puts a time that a node's wall clock has told on our own clock, which is never set. It is within what can be: the log knows
// best that the session has not expired, so a time that has passed, or is too far away, is a clock's fault.
func (r *Recovering) expiry(t time.Time) time.Time {
	now := time.Now()
	left := t.Sub(now)
	if left <= 0 || left > r.recovery.MaxDisconnection {
		left = r.recovery.MaxDisconnection
	}
	return now.Add(left)
}

// evictGrace is how long the other nodes are waited for when one of them had the member: who is told late would otherwise send its
// client away from where it has gone next.
const evictGrace = time.Second

// evict asks the other nodes for the member of that pid, and returns when its session is saved or nobody has it.
func (r *Recovering) evict(ctx context.Context, pid string) error {
	req, err := r.register(func(p *peer) bool { return p.ours })
	if err != nil {
		return err
	}
	defer r.finish(req)
	if len(req.missing) == 0 {
		return nil
	}
	if err := r.publish(&Message{Type: Evict, RequestID: req.id, PID: pid}); err != nil {
		return err
	}
	held := false
	for len(req.missing) > 0 {
		notices, err := req.in.Take(ctx)
		if err != nil && held {
			return nil
		}
		if err != nil {
			return err
		}
		for _, n := range notices {
			switch {
			case n.closed:
				return ErrClosed
			case n.message != nil:
				delete(req.missing, n.message.UID)
				if n.message.Held && !held {
					held = true
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, evictGrace)
					defer cancel()
				}
			default:
				delete(req.missing, n.gone)
			}
		}
	}
	return nil
}

// receiveEvict answers evict.
func (a *Adapter) receiveEvict(m *Message) {
	answer := func(held bool) {
		a.send(m.UID, &Message{Type: EvictResponse, RequestID: m.RequestID, Held: held})
	}
	if a.rec == nil || a.rec.recovery.Evict == nil {
		answer(false)
		return
	}
	a.rec.recovery.Evict(m.PID, answer)
}

// catchUp reads the log up to where this node stands, behind all that the session knows of, and returns the record of what is
// delivered from there on.
func (r *Recovering) catchUp(ctx context.Context, w *walk) (*record, error) {
	if w.from.node == r.node && w.from.seq > r.logged.Load() {
		return nil, adapter.ErrOffset // this node has not said so much
	}
	for read := w.from.offset; ; {
		rec := &record{moved: make(chan struct{}, 1)}
		r.tracking.Ordered(func() {
			rec.begin, rec.flight = r.offset, slices.Clone(r.flight)
			r.records[rec] = struct{}{}
		})
		err := r.read(ctx, w, read, rec.begin)
		if err == nil {
			if rec.begin.Compare(read) > 0 {
				read = rec.begin
			}
			if !w.waits(r.node, rec.begin) {
				if err = r.passFlight(w, rec); err == nil {
					return rec, nil
				}
			}
		}
		if err == nil {
			select {
			case <-rec.moved:
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		r.tracking.Ordered(func() { delete(r.records, rec) })
		if err != nil {
			return nil, err
		}
	}
}

// read passes what the log has behind one offset and up to another.
func (r *Recovering) read(ctx context.Context, w *walk, after, upto Offset) error {
	if after.Compare(upto) >= 0 {
		return nil
	}
	for m, err := range r.log.Entries(ctx, after, upto) {
		if err == nil {
			err = w.pass(m, "")
		}
		if errors.Is(err, ErrNotKept) {
			return adapter.ErrMissed
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passFlight passes what this node had said ahead of the log when the record began.
func (r *Recovering) passFlight(w *walk, rec *record) error {
	for _, m := range rec.flight {
		if err := w.pass(m, place{rec.begin, r.node, m.Seq}.String()); err != nil {
			return err
		}
	}
	return nil
}
