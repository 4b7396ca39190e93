package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/perch-go/perch/socketio/parser"
)

// retries are the events of a socket with Options.Retries, of which the first is on its way (C-17). It is guarded by the manager's mu.
type retries struct {
	queue []*retried
	bytes int
}

// retried is an event that is sent until it is acknowledged.
type retried struct {
	event   string
	args    []any // parser.Raw each
	size    int
	flags   flags
	wanted  *pending // nil: nobody asks
	shown   []any    // the arguments for those who listen to what is sent; nil if nobody does
	pending bool     // it is on its way
	id      uint64   // of the acknowledgement, then
	tries   int
	timer   *time.Timer
}

// enqueue appends an event, if there is room.
func (s *Socket) enqueue(event string, args []any, f flags, wanted *pending) error {
	r, err := s.newRetried(event, args, f, wanted)
	if err != nil {
		return err
	}
	m := s.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	q := &s.retries
	switch {
	case s.state == closed:
		return m.closedError()
	case !m.opts.fits(len(q.queue), q.bytes, r.size):
		return ErrBufferFull
	}
	q.queue = append(q.queue, r)
	q.bytes += r.size
	s.drain(false)
	return nil
}

func (s *Socket) newRetried(event string, args []any, f flags, wanted *pending) (*retried, error) {
	if parser.Reserved(event) {
		return nil, fmt.Errorf("%w: %q", ErrReserved, event)
	}
	r := &retried{event: event, size: len(event), flags: f, wanted: wanted, shown: s.shown(args)}
	for _, arg := range args {
		raw, err := parser.NewRaw(arg)
		if err != nil {
			return nil, fmt.Errorf("event %q: client: %w", event, err)
		}
		r.size += len(raw.JSON)
		for i, a := range raw.Attachments {
			raw.Attachments[i] = slices.Clone(a)
			r.size += len(a)
		}
		r.args = append(r.args, raw)
	}
	return r, nil
}

// drain sends the first event if it is not on its way; again says that it is sent anew anyhow. Called with the manager's mu held.
func (s *Socket) drain(again bool) {
	for s.state == connected && len(s.retries.queue) > 0 {
		r := s.retries.queue[0]
		if r.pending && !again {
			return
		}
		again = false
		r.tries++
		id := s.lastID.Add(1) - 1
		p, err := s.encodeEvent(r.event, r.args, r.flags, id, true)
		if err != nil { // it could be made JSON, but not what this parser makes
			s.shift(nil, err)
			continue
		}
		r.pending, r.id = true, id
		s.await(p, &pending{retried: r})
		_ = s.manager.link.send(true, p) // if it is lost, so is the connection, and that we are told
		if r.shown != nil {
			s.lane.post(func() { s.sent(r.event, r.shown) })
		}
		timeout := max(0, r.flags.timeout)
		or(&timeout, s.opts.AckTimeout)
		r.timer = time.AfterFunc(timeout, func() { s.late(id) })
		return
	}
}

// late ends a try whose acknowledgement has not come in time.
func (s *Socket) late(id uint64) {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	p := s.acks[id]
	if p == nil {
		return
	}
	delete(s.acks, id)
	s.tried(p.retried, nil, ErrTimeout)
}

// tried is what has become of a try: an acknowledgement, or an error. Called with the manager's mu held.
func (s *Socket) tried(r *retried, in *incoming, err error) {
	r.timer.Stop()
	if len(s.retries.queue) == 0 || s.retries.queue[0] != r { // given up
		return
	}
	r.pending = false
	if err == nil || s.opts.Retries >= 0 && r.tries > s.opts.Retries {
		s.shift(in, err)
	}
	s.drain(false)
}

// shift takes out the first event.
func (s *Socket) shift(in *incoming, err error) {
	q := &s.retries
	r := q.queue[0]
	q.queue[0] = nil
	q.queue = q.queue[1:]
	q.bytes -= r.size
	switch {
	case r.wanted != nil:
		r.wanted.resolve(in, err)
	case err != nil:
		s.manager.opts.Logger.Warn("client: event was given up, the server has not acknowledged it",
			"event", r.event, "namespace", s.namespace, "tries", r.tries, "error", err)
	}
	s.manager.change()
}

// fail takes out all events.
func (q *retries) fail(err error) {
	for _, r := range q.queue {
		if r.timer != nil {
			r.timer.Stop()
		}
		if r.wanted != nil {
			r.wanted.resolve(nil, err)
		}
	}
	*q = retries{}
}

func (s *Socket) requestRetried(ctx context.Context, event string, args []any, f flags) (*Reply, error) {
	wanted := newPending()
	if err := s.enqueue(event, args, f, wanted); err != nil {
		return nil, err
	}
	return s.waitFor(ctx, wanted, func() { s.giveUp(wanted) })
}

// giveUp takes out the event that nobody waits for any more. If it is on its way the next follows at once. Called with the manager's
// mu held.
func (s *Socket) giveUp(wanted *pending) {
	q := &s.retries
	i := slices.IndexFunc(q.queue, func(r *retried) bool { return r.wanted == wanted })
	if i < 0 {
		return
	}
	r := q.queue[i]
	q.queue = slices.Delete(q.queue, i, i+1)
	q.bytes -= r.size
	if r.pending {
		r.timer.Stop()
		delete(s.acks, r.id)
	}
	s.drain(false)
}
