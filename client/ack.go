package client

import (
	"context"
	"fmt"
)

// pending is an acknowledgement that is wanted.
type pending struct {
	done chan struct{} // closed when there is an answer; nil if another field is set
	in   *incoming     // the answer, unless
	err  error
	// settle gets it on the socket's lane, behind the events that came before.
	settle func(*Reply, error)
	lane   *lane
	// retried is the event of the retry queue that is acknowledged.
	retried *retried
	waits   *buffered // for a connection; nil once it is sent. Guarded by the manager's mu
}

func newPending() *pending { return &pending{done: make(chan struct{})} }

// resolve may be called once.
func (p *pending) resolve(in *incoming, err error) {
	if p.settle == nil {
		p.in, p.err = in, err
		close(p.done)
		return
	}
	p.lane.post(func() {
		if err != nil {
			p.settle(nil, err)
			return
		}
		p.settle(&Reply{in}, nil)
	})
}

// EmitWithAck sends an event and waits for the server's acknowledgement, until ctx is done or the time given by [Socket.Timeout] or
// [Options.AckTimeout] is over. Without any of them it waits as long as the connection lives. An event that still waits for a
// connection when the wait is over is not sent. ErrDisconnected says that the connection was lost after the event was sent:
// the server may have handled it or not.
//
// With [Options.Retries] it waits for its turn, and until the event is acknowledged or all tries have failed.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (*Reply, error) {
	return s.request(ctx, event, args, flags{})
}

func (s *Socket) request(ctx context.Context, event string, args []any, f flags) (*Reply, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if f.timeout < 0 {
		return nil, ErrTimeout
	}
	s.manager.awaiting.Add(1)
	defer s.manager.awaiting.Add(-1)
	s.manager.widen()
	if s.opts.Retries != 0 && !f.volatile {
		return s.requestRetried(ctx, event, args, f)
	}
	timeout := f.timeout
	or(&timeout, s.opts.AckTimeout)
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, ErrTimeout)
		defer cancel()
	}
	wanted := newPending()
	id := s.lastID.Add(1) - 1
	p, err := s.encodeEvent(event, args, f, id, true)
	if err != nil {
		return nil, err
	}
	p.args = s.shown(args)
	if err := s.transmit(p, f, wanted); err != nil {
		return nil, err
	}
	return s.waitFor(ctx, wanted, func() {
		if wanted.waits != nil {
			s.buffer.remove(wanted.waits)
		}
		delete(s.acks, id)
	})
}

// waitFor returns what is acknowledged. forget is called with the manager's mu held, if ctx is done before.
func (s *Socket) waitFor(ctx context.Context, wanted *pending, forget func()) (*Reply, error) {
	select {
	case <-wanted.done:
	case <-ctx.Done():
		s.manager.mu.Lock()
		forget()
		s.manager.change()
		s.manager.mu.Unlock()
		select {
		case <-wanted.done: // at the same time
		default:
			return nil, context.Cause(ctx)
		}
	}
	if wanted.err != nil {
		return nil, wanted.err
	}
	return &Reply{wanted.in}, nil
}

// await notes what p asks for. Called with the manager's mu held.
func (s *Socket) await(p packet, wanted *pending) {
	if wanted == nil {
		return
	}
	if s.acks == nil {
		s.acks = make(map[uint64]*pending)
	}
	s.acks[p.id] = wanted
}

// acked passes on what the server has acknowledged. What nobody waits for any more is dropped. Called with the manager's mu held.
func (s *Socket) acked(in *incoming) {
	id := in.packet.ID
	p := s.acks[id]
	if p == nil || !in.packet.HasID {
		return
	}
	delete(s.acks, id)
	if p.retried != nil {
		s.tried(p.retried, in, nil)
		return
	}
	p.resolve(in, nil)
}

// lostAcks fails what has been sent and cannot be acknowledged any more; what still waits to be sent goes on waiting. Called with the
// manager's mu held.
func (s *Socket) lostAcks(err error) {
	for id, p := range s.acks {
		if p.waits != nil {
			continue
		}
		delete(s.acks, id)
		if p.retried != nil {
			s.tried(p.retried, nil, err)
			continue
		}
		p.resolve(nil, err)
	}
}

// drop fails whatever waits. Called with the manager's mu held.
func (s *Socket) drop(err error) {
	s.buffer.take()
	s.retries.fail(fmt.Errorf("%w before it was sent", err))
	s.lostAcks(err)
	s.manager.change()
}
