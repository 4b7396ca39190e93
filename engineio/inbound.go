package engineio

import "errors"

// errInbound is the cause of ReasonInboundOverflow.
var errInbound = errors.New("engineio: peer sent more than twice the inbound bound while a handler waited for its ack")

// inboundEvent is what an event counts for in Session.inbound, whose lower bits are for bytes: one number, so
// that an event is counted in one step. There is room for many times what the options allow, because what comes is counted before
// reading stops.
const (
	inboundEvent     = 1 << 40
	maxInboundBytes  = 1 << 30
	maxInboundEvents = 1 << 20
)

// Charge counts events that wait for their handler, and their bytes; Discharge takes them off when they
// were handled. Over Options.InboundBytes or InboundEvents the session stops reading until half of it
// is handled, and its heartbeat stands still meanwhile (engine rule 6).
func (s *Session) Charge(events, bytes int) {
	s.inbound.Add(inboundEvent*int64(events) + int64(bytes))
}

// Discharge takes events off the inbound budget.
func (s *Session) Discharge(events, bytes int) {
	s.inbound.Add(-inboundEvent*int64(events) - int64(bytes))
	if s.paused.Load() && s.inboundWithin(1, 2) {
		s.wakeReader()
	}
}

// Await tells that a handler of this connection waits for an answer of its peer, until Resume. While
// one does, reading goes on to twice the bound, because the answer may stand behind other events; a
// peer that sends more than that is disconnected with ReasonInboundOverflow.
func (s *Session) Await() {
	s.mu.Lock()
	s.awaiting++
	s.mu.Unlock()
	if s.paused.Load() {
		s.wakeReader()
	}
}

// Resume ends what Await began.
func (s *Session) Resume() {
	s.mu.Lock()
	s.awaiting--
	s.mu.Unlock()
}

func (s *Session) wakeReader() {
	s.mu.Lock()
	if s.resume != nil {
		close(s.resume)
		s.resume = nil
	}
	s.mu.Unlock()
}

// inboundWithin reports whether at most num/den of the inbound budget is in use.
func (s *Session) inboundWithin(num, den int64) bool {
	o, inbound := &s.server.opts, s.inbound.Load()
	bytes, events := inbound%inboundEvent, inbound/inboundEvent
	return bytes*den <= int64(o.InboundBytes)*num && events*den <= int64(o.InboundEvents)*num
}

// admit is called by the reader after each message, and blocks while the inbound budget is used up.
// It reports whether to go on reading.
func (s *Session) admit(b *batch) bool {
	if s.inboundWithin(1, 1) {
		return true
	}
	b.end() // nothing may be held while we wait
	s.paused.Store(true)
	defer s.unpause()
	for {
		s.mu.Lock()
		switch {
		case s.state != open:
			s.mu.Unlock()
			return false
		case s.inboundWithin(1, 2), s.awaiting > 0 && s.inboundWithin(2, 1):
			s.mu.Unlock()
			return true
		case s.awaiting > 0:
			s.mu.Unlock()
			s.end(ReasonInboundOverflow, errInbound)
			return false
		}
		if s.resume == nil {
			s.resume = make(chan struct{})
		}
		resume := s.resume
		s.mu.Unlock()
		<-resume
	}
}

// unpause lets the heartbeat go on; a peer that owes a pong has its full time for it again.
func (s *Session) unpause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused.Store(false)
	if s.state == open && s.awaitingPong {
		s.server.wheel.Schedule(&s.beat, s.pongTimeout(), s.beatFn)
	}
}
