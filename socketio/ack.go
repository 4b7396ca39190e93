package socketio

import (
	"cmp"
	"context"
	"fmt"

	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/socketio/adapter"
)

// Reply is immutable and safe for concurrent use. It is what a client acknowledged with.
type Reply struct {
	args adapter.Arguments // an Event that was taken from the pool for good, or what came from another process
}

// NumArgs is the number of arguments.
func (r *Reply) NumArgs() int { return r.args.NumArgs() }

// Raw is the JSON of argument i, with placeholders for its attachments, and nil if there is no such argument. It
// must not be changed.
func (r *Reply) Raw(i int) []byte { return r.args.Raw(i) }

// Decode decodes argument i into what v points to, as Event.Decode does.
func (r *Reply) Decode(i int, v any) error {
	if i < 0 || i >= r.args.NumArgs() {
		return fmt.Errorf("%w: %d of %d", ErrNoArgument, i, r.args.NumArgs())
	}
	return r.args.Decode(i, v)
}

// pendingAck is an acknowledgement that somebody waits for. Whoever takes it out of Socket.more.acks settles it.
type pendingAck struct {
	answer func(adapter.Arguments, error) // for an adapter; the rest is for request, which waits on done
	timer  wheel.Timer
	done   chan struct{}
	reply  *Reply
	err    error
}

func (a *pendingAck) settle(r *Reply, err error) {
	switch {
	case a.answer == nil:
		a.reply, a.err = r, err
		close(a.done)
	case err != nil:
		a.answer(nil, err)
	default:
		a.answer(r, nil)
	}
}

// EmitWithAck sends an event and waits until the client acknowledges it. It returns ErrDisconnected if the client leaves,
// the context's error if that ends first, and ErrConnecting at once if CONNECT is not answered yet, because the client
// cannot answer either. Without a context that ends, [Socket.Timeout] or [Limits.AckTimeout] it waits for a client that never
// answers until it leaves; [Limits.MaxPendingAcks] bounds how many such calls there are. It may be called by a handler, whose socket's other events wait meanwhile. A volatile event that
// was dropped is engineio.ErrNotWritable here, since no answer will come.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (*Reply, error) {
	return s.request(ctx, flags{}, event, args)
}

func (s *Socket) request(ctx context.Context, f flags, event string, args []any) (*Reply, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	a := &pendingAck{done: make(chan struct{})}
	if s.state.Load() == statePending {
		return nil, ErrConnecting
	}
	id := s.ns.ids.Add(1) - 1
	if err := s.expect(id, a); err != nil {
		return nil, err
	}
	if err := s.emitID(event, args, f, id, true); err != nil {
		s.takeAck(id)
		return nil, err
	}
	if d := cmp.Or(f.timeout, s.conn.server.opts.Limits.AckTimeout); d > 0 {
		w := s.conn.server.wheel
		w.Schedule(&a.timer, d, func() {
			if s.takeAck(id) != nil {
				a.settle(nil, ErrTimeout)
			}
		})
		defer w.Stop(&a.timer)
	}
	if from, ok := SocketFrom(ctx); ok && from.conn == s.conn {
		// The answer may stand behind events that wait for this very handler.
		s.conn.session.Await()
		defer s.conn.session.Resume()
	}
	select {
	case <-a.done:
		return a.reply, a.err
	case <-ctx.Done():
		s.takeAck(id)
		return nil, context.Cause(ctx)
	}
}

// expect registers an acknowledgement, unless the socket has left or too many are awaited.
func (s *Socket) expect(id uint64, a *pendingAck) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Load() >= stateLeft {
		return ErrDisconnected
	}
	m := s.extra()
	if !s.admitAck(len(m.acks)) {
		return ErrTooManyAcks
	}
	if m.acks == nil {
		m.acks = make(map[uint64]*pendingAck)
	}
	m.acks[id] = a
	return nil
}

// expects reports whether somebody waits for that acknowledgement.
func (s *Socket) expects(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.more != nil && s.more.acks[id] != nil
}

// takeAck takes the acknowledgement out, so that the caller is the one to settle it; nil if somebody else was.
func (s *Socket) takeAck(id uint64) *pendingAck {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.more == nil {
		return nil
	}
	a := s.more.acks[id]
	delete(s.more.acks, id)
	return a
}

// resolve settles what the client acknowledges. It runs on the reader, ahead of events that wait for their handler. Ids that
// are not known, any more or at all, are ignored (S-72).
func (s *Socket) resolve(e *Event) {
	a := s.takeAck(e.packet.ID)
	if a == nil {
		e.release()
		return
	}
	a.settle(&Reply{e}, nil)
}
