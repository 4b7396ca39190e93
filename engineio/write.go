package engineio

import (
	"context"
	"errors"

	"github.com/perch-go/perch/internal/stream"
)

// Append queues a message without writing or waiting; Flush lets it go. A broadcast appends to every
// member under its ordering lock and flushes them after it (engine rule 7).
//
// It returns ErrClosed, ErrOutboundFull, or ErrNotWritable for a volatile message that could not
// leave now. With an error nothing was queued.
func (s *Session) Append(m *Message, volatile bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return ErrClosed
	}
	if volatile && !s.writable() {
		s.server.stats.volatileDropped.Add(1)
		return ErrNotWritable
	}
	if err := s.reserve(len(m.frames), m.packets); err != nil {
		return err
	}
	s.queue().addMessage(m, volatile, s.compression())
	return nil
}

// Flush writes what is queued, as far as the peer takes it now, or leaves that to the reader of a
// batch that is being handled at this moment.
func (s *Session) Flush() {
	s.mu.Lock()
	s.offerUnlock()
}

// Insist is Append of what the peer has to hear if it is to know where it stands: the end of something, or the answer to what it
// waits for. If that does not fit, the session ends with ReasonOutboundOverflow, even if Options.Overflow is DropNewest.
func (s *Session) Insist(m *Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return ErrClosed
	}
	policy := s.server.opts.Overflow
	if policy == DropNewest {
		policy = Disconnect
	}
	if err := s.reserveBy(policy, len(m.frames), m.packets); err != nil {
		s.overflowLocked() // also where it is larger than the budget
		return err
	}
	s.queue().addMessage(m, false, s.compression())
	return nil
}

// Send is Append and Flush.
func (s *Session) Send(m *Message) error {
	if err := s.Append(m, false); err != nil {
		return err
	}
	s.Flush()
	return nil
}

// SendText sends one text message, which is copied. It is the path of short answers: a session that
// is in a batch allocates nothing for it.
func (s *Session) SendText(payload []byte) error {
	if s.plain {
		return s.sendPlain(payload)
	}
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return ErrClosed
	}
	if err := s.reserve(textSize(payload), 1); err != nil {
		s.mu.Unlock()
		return err
	}
	if d := s.compression(); d != nil && len(payload) >= d.Threshold {
		m := new(Message)
		m.AppendText(payload)
		s.queue().addMessage(m, false, d)
	} else {
		s.queue().addText(packetMessage, payload)
	}
	s.offerUnlock()
	return nil
}

// Buffered reports what is queued for the peer and not yet taken by the kernel; once the session has
// ended, in HandleClose for instance, what never left (S-84). There are no flush and drain events:
// who wants to send at the peer's pace uses SendWait or AwaitRoom.
func (s *Session) Buffered() (bytes, packets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes, int(s.packets)
}

// SendWait is Send that waits while the outbound budget has no room for the message, or more than half of it is in use, until ctx
// ends: the other half is for those who cannot wait, the acknowledgement that follows a hundred messages for one.
// It returns ErrClosed when the session ends first, and ErrOutboundFull for a message larger than the
// whole budget.
func (s *Session) SendWait(ctx context.Context, m *Message) error {
	if err := s.reserveLock(ctx, m); err != nil {
		return err
	}
	s.queue().addMessage(m, false, s.compression())
	s.offerUnlock()
	return nil
}

// Reserve waits like SendWait and takes the message's share of the outbound budget, for AppendReserved to
// queue it, or Unreserve to give it back: where messages are queued under a lock, waiting comes before.
func (s *Session) Reserve(ctx context.Context, m *Message) error {
	err := s.reserveLock(ctx, m)
	if err == nil {
		s.mu.Unlock()
	}
	return err
}

// reserveLock is Reserve, and leaves s.mu locked unless it fails.
func (s *Session) reserveLock(ctx context.Context, m *Message) error {
	for {
		s.mu.Lock()
		switch {
		case s.state != open:
			s.mu.Unlock()
			return ErrClosed
		case s.exceeds(len(m.frames), m.packets):
			s.mu.Unlock()
			return ErrOutboundFull
		case !s.congested.Load() && s.fits(len(m.frames), m.packets):
			s.chargeLocked(len(m.frames), m.packets)
			return nil
		}
		room := s.roomLocked()
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// AppendReserved is Append of a message that Reserve was called for.
func (s *Session) AppendReserved(m *Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		s.chargeLocked(-len(m.frames), -m.packets)
		return ErrClosed
	}
	s.queue().addMessage(m, false, s.compression())
	return nil
}

// Unreserve gives back what Reserve has taken.
func (s *Session) Unreserve(m *Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chargeLocked(-len(m.frames), -m.packets)
	if s.room != nil { // somebody else may want it
		close(s.room)
		s.room = nil
	}
}

// roomLocked returns a channel that is closed when something was written or the session ends.
func (s *Session) roomLocked() <-chan struct{} {
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}

// fits reports whether so much more may be queued now; exceeds, whether it never may. Called with mu
// held.
func (s *Session) fits(bytes, packets int) bool {
	o := &s.server.opts
	return s.bytes+bytes <= o.OutboundBytes && int(s.packets)+packets <= o.OutboundPackets
}

func (s *Session) exceeds(bytes, packets int) bool {
	o := &s.server.opts
	return bytes > o.OutboundBytes || packets > o.OutboundPackets
}

// reserve charges the outbound budget, or applies the policy at its end. Called with mu held.
func (s *Session) reserve(bytes, packets int) error {
	return s.reserveBy(s.server.opts.Overflow, bytes, packets)
}

func (s *Session) reserveBy(policy Overflow, bytes, packets int) error {
	if !s.fits(bytes, packets) {
		stats := &s.server.stats
		if s.exceeds(bytes, packets) {
			stats.tooLarge.Add(1)
			return ErrOutboundFull // the peer is not to blame
		}
		if policy == DropVolatile && s.out != nil {
			b, p, n := s.out.dropVolatile()
			s.chargeLocked(-b, -p)
			stats.volatileDropped.Add(uint64(n))
			stats.volatileEvicted.Add(uint64(n))
		}
		if !s.fits(bytes, packets) {
			if policy == DropNewest {
				stats.newestDropped.Add(1)
			} else {
				s.overflowLocked()
			}
			return ErrOutboundFull
		}
	}
	s.chargeLocked(bytes, packets)
	return nil
}

// chargeLocked counts bytes and packets, which are negative for those that have left.
func (s *Session) chargeLocked(bytes, packets int) {
	s.bytes += bytes
	s.packets += int32(packets)
	o := &s.server.opts
	if congested := s.bytes > o.OutboundBytes/2 || int(s.packets) > o.OutboundPackets/2; congested != s.congested.Load() {
		s.congested.Store(congested)
	}
}

// AwaitRoom returns when at most half of the outbound budget is in use, when the session has ended, or
// when stop is closed. The layer above calls it before it handles the next event of a client: one that
// pipelines faster than it takes the answers, which a polling client does by nature, is slowed down
// through its inbound budget rather than disconnected for answers that it asked for.
func (s *Session) AwaitRoom(stop <-chan struct{}) {
	for s.congested.Load() {
		s.mu.Lock()
		if s.state != open || !s.congested.Load() {
			s.mu.Unlock()
			return
		}
		room := s.roomLocked()
		s.mu.Unlock()
		select {
		case <-room:
		case <-stop:
			return
		}
	}
}

// addPacketLocked queues a packet of the protocol's own, which the budget counts and never refuses.
func (s *Session) addPacketLocked(packetType byte, payload []byte) {
	s.chargeLocked(textSize(payload), 1)
	s.queue().addText(packetType, payload)
}

// overflowLocked ends the session of a peer that does not keep up. The connection is cut: a close
// frame behind a full queue would not arrive either.
func (s *Session) overflowLocked() {
	if !s.doomed {
		s.doomed = true
		s.endAsync(ReasonOutboundOverflow, ErrOutboundFull)
	}
}

// compression is how ws compresses; nil if it does not.
func (s *Session) compression() *Deflate {
	if s.ws != nil && s.ws.deflates {
		return s.server.opts.PerMessageDeflate
	}
	return nil
}

func (s *Session) queue() *outbox {
	if s.out == nil {
		s.out = outboxes.Get().(*outbox)
	}
	return s.out
}

// writable reports whether a message queued now would leave at once (S-67). Called with mu held.
func (s *Session) writable() bool {
	if s.polling {
		return s.poll != nil
	}
	if s.stalled {
		return false
	}
	return s.ws.conn.Direct() || !s.writing
}

// offerUnlock flushes unless a reader's hold covers the session. Called with mu held, releases it.
func (s *Session) offerUnlock() {
	if s.out == nil || s.holding || s.listed {
		s.mu.Unlock()
		return
	}
	if h := s.server.hold.Load(); h != nil && h.add(s) {
		s.listed = true
		s.mu.Unlock()
		return
	}
	s.flushUnlock()
}

// flushUnlock writes what is queued or sees to it that somebody does. Called with mu held, releases it.
func (s *Session) flushUnlock() {
	if s.polling {
		s.answerPollUnlock()
		return
	}
	if s.writing || s.out == nil || s.state == closed {
		s.mu.Unlock()
		return
	}
	s.writing = true
	if !s.ws.conn.Direct() {
		s.mu.Unlock()
		s.server.goroutines.run(s.drain)
		return
	}
	// A caller who writes for others as well stops being generous after a few rounds.
	for range 4 {
		box := s.takeLocked()
		s.mu.Unlock()
		box.deflate(s.server.opts.PerMessageDeflate)
		n, err := s.ws.conn.TryWrite(box.vector(box.scratch()))
		box.sent += n
		s.mu.Lock()
		if errors.Is(err, stream.ErrWouldBlock) {
			s.stalled = true
			s.mu.Unlock()
			s.server.goroutines.run(func() { s.drainFrom(box) })
			return
		}
		s.wroteLocked(box)
		if err != nil {
			s.writing = false
			s.mu.Unlock()
			s.endAsync(ReasonTransportError, err)
			return
		}
		if s.out == nil || s.holding {
			s.writing = false
			s.drainedUnlock()
			return
		}
	}
	s.mu.Unlock()
	s.server.goroutines.run(s.drain)
}

// drain is the writer of a connection that cannot take the bytes at once, or that only offers
// blocking writes. It ends when the queue is empty.
func (s *Session) drain() { s.drainFrom(nil) }

func (s *Session) drainFrom(box *outbox) {
	for {
		if box == nil {
			s.mu.Lock()
			if s.out == nil || s.state == closed {
				s.writing, s.stalled = false, false
				s.drainedUnlock()
				return
			}
			box = s.takeLocked()
			s.mu.Unlock()
			box.deflate(s.server.opts.PerMessageDeflate)
		}
		err := s.writeAll(box)
		s.mu.Lock()
		s.wroteLocked(box)
		box = nil
		if err != nil {
			s.writing, s.stalled = false, false
			s.mu.Unlock()
			s.end(ReasonTransportError, err)
			return
		}
		s.mu.Unlock()
	}
}

// writeAll writes box, however long it takes. While the peer does not take the bytes the session says
// so, for volatile messages.
func (s *Session) writeAll(box *outbox) error {
	conn := s.ws.conn
	if conn.Direct() {
		n, err := conn.TryWrite(box.vector(box.scratch()))
		box.sent += n
		if !errors.Is(err, stream.ErrWouldBlock) {
			return err
		}
		s.mu.Lock()
		s.stalled = true
		s.mu.Unlock()
	}
	_, err := conn.Write(box.vector(box.scratch()))
	return err
}

// takeLocked takes the queue for writing, in the form the peer wants.
func (s *Session) takeLocked() *outbox {
	box := s.out
	s.out = nil
	if (s.ws.text || s.v3 != nil) && box.hasBinary() {
		box = box.transcode(s.v3 != nil, s.ws.text)
	}
	return box
}

// wroteLocked gives back what box had of the budget, and box itself.
func (s *Session) wroteLocked(box *outbox) {
	s.chargeLocked(-box.size, -box.count)
	s.sentLocked(box.size, box.count)
	s.stuck = false
	box.release()
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// drainedUnlock ends the stream of a closing session once its queue is empty. What the peer still
// sends is read and dropped until it closes too: closing at once could reset the connection before
// our last words are read. Called with mu held, releases it.
func (s *Session) drainedUnlock() {
	if s.state != draining || s.out != nil {
		s.mu.Unlock()
		return
	}
	ws, peerDone := s.ws, s.peerDone
	s.mu.Unlock()
	if peerDone {
		s.end(ReasonTransportClose, nil)
		return
	}
	if ws.conn.CloseWrite() != nil {
		// The peer cannot see the end of the stream. One that answers our close frame ends the
		// session at once, any other soon.
		s.server.wheel.Schedule(&s.beat, blindCloseTimeout, s.beatFn)
	}
}
