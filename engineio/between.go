package engineio

// Between calls fn when what has been read of the peer so far is with the Handler, and before more is: at once, or on the
// goroutine that reads, which is made to look up for it. So a layer above can draw a line through what comes in, and nothing is
// lost that was read before. fn is called once, also if the session ends; it must not block.
func (s *Session) Between(fn func()) {
	s.mu.Lock()
	x := s.extra()
	if before := x.between; before != nil {
		x.between = func() { before(); fn() }
	} else {
		x.between = fn
	}
	// A connection that cannot be interrupted is closed, or has no deadlines.
	if s.handling || s.reading && s.ws.conn.Interrupt() == nil {
		s.mu.Unlock()
		return
	}
	s.betweenUnlock()
}

// betweenUnlock is called between two reads, with mu held, which it releases.
func (s *Session) betweenUnlock() {
	x := s.rare
	if x == nil || x.between == nil {
		s.mu.Unlock()
		return
	}
	fn := x.between
	x.between = nil
	s.mu.Unlock()
	fn()
}

// startReading, pause and stopReading are told by the reader of the connection: that there is one, that it is between two reads,
// and that it reads no more, or is parked. While the connection is on trial they are nothing.
func (ws *webSocket) startReading() {
	if ws.trial != nil {
		return
	}
	s := ws.session
	s.mu.Lock()
	s.reading = true
	s.mu.Unlock()
}

func (ws *webSocket) pause() {
	if ws.trial != nil {
		return
	}
	s := ws.session
	s.mu.Lock()
	if s.handling { // the end of the body makes us look up again
		s.mu.Unlock()
		return
	}
	s.betweenUnlock()
}

func (ws *webSocket) stopReading() {
	if ws.trial != nil {
		return
	}
	s := ws.session
	s.mu.Lock()
	s.reading = false
	if s.handling {
		s.mu.Unlock()
		return
	}
	s.betweenUnlock()
}

// beginBody and endBody are around what is done with the body of a POST. The session may be upgraded meanwhile.
func (s *Session) beginBody() {
	s.mu.Lock()
	s.handling = true
	s.mu.Unlock()
}

func (s *Session) endBody() {
	s.mu.Lock()
	s.handling = false
	if s.rare != nil && s.rare.between != nil && s.reading && s.ws.conn.Interrupt() == nil {
		s.mu.Unlock()
		return
	}
	s.betweenUnlock()
}
