package engineio

// onBeat is the session's timer: a ping is due, or its pong has not come, or a closing session has
// had its time. It runs on the wheel's goroutine.
func (s *Session) onBeat() {
	s.mu.Lock()
	switch {
	case s.state == closed:
		s.mu.Unlock()
	case s.state == draining:
		s.mu.Unlock()
		s.end(ReasonTransportClose, nil)
	case s.paused.Load() && !(s.stuck && s.congested.Load()):
		// Reading stands still by our own will, so the pong cannot be seen (engine rule 6). But where
		// it stands still because the peer does not take its answers, time goes on.
		s.stuck = s.congested.Load()
		s.server.wheel.Schedule(&s.beat, s.server.opts.PingTimeout, s.beatFn)
		s.mu.Unlock()
	case s.awaitingPong || s.paused.Load():
		s.mu.Unlock()
		s.end(ReasonPingTimeout, nil)
	default:
		s.awaitingPong, s.refreshed = true, false
		s.server.wheel.Schedule(&s.beat, s.server.opts.PingTimeout, s.beatFn)
		s.addPingLocked()
		s.offerUnlock()
	}
}

// startHeartbeat arms the timer for the first ping, ours or the client's.
func (s *Session) startHeartbeat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == open {
		if s.v3 != nil { // from the start it is the client's turn
			s.awaitingPong, s.refreshed = true, true
			s.server.wheel.Schedule(&s.beat, s.pongTimeout(), s.beatFn)
			return
		}
		s.server.wheel.Schedule(&s.beat, s.server.opts.PingInterval, s.beatFn)
	}
}

// pong restarts the interval. One that was not asked for is ignored.
func (s *Session) pong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.traffic.received(1)
	if s.state != open || !s.awaitingPong {
		return
	}
	s.awaitingPong = false
	s.server.wheel.Schedule(&s.beat, s.server.opts.PingInterval, s.beatFn)
}

// refreshLocked gives a peer that sends something else instead of the pong its time once more (S-8).
func (s *Session) refreshLocked() {
	if s.state == open {
		s.refreshed = true
		s.server.wheel.Schedule(&s.beat, s.server.opts.PingTimeout, s.beatFn)
	}
}
