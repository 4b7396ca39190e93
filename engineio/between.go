package engineio

import (
	"errors"
	"os"
	"time"
)

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Between calls fn when what has been read of the peer so far is with the Handler, and before more is: at once, or on the
// goroutine that reads, which is made to look up for it. So a layer above can draw a line through what comes in, and nothing is
// lost that was read before. fn is called once, also if the session ends; it must not block.
func (s *Session) Between(fn func()) {
	s.mu.Lock()
	if before := s.between; before != nil {
		s.between = func() { before(); fn() }
	} else {
		s.between = fn
	}
	if s.handling || s.reading && s.lookUpLocked() {
		s.mu.Unlock()
		return
	}
	s.betweenUnlock()
}

// betweenUnlock is called between two reads, with mu held, which it releases.
func (s *Session) betweenUnlock() {
	fn := s.between
	s.between = nil
	s.mu.Unlock()
	if fn != nil {
		fn()
	}
}

// lookUpLocked makes the reader of the connection return from Read, if it is there or will be. It reports false if the connection
// cannot do that, or is closed.
func (s *Session) lookUpLocked() bool {
	s.interrupted = s.ws.conn.SetReadDeadline(past) == nil
	return s.interrupted
}

// lookedUp reports whether an error of Read is only that, and goes back to reading without a deadline.
func (s *Session) lookedUp(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.interrupted
	s.interrupted = false
	return was && s.ws.conn.SetReadDeadline(time.Time{}) == nil
}

// startReading, pause and stopReading are told by the reader of the connection: that there is one, that it is between two reads,
// and that it reads no more.
func (s *Session) startReading() {
	s.mu.Lock()
	s.reading = true
	s.mu.Unlock()
}

func (s *Session) pause() {
	s.mu.Lock()
	if s.handling { // the end of the body makes us look up again
		s.mu.Unlock()
		return
	}
	s.betweenUnlock()
}

func (s *Session) stopReading() {
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
	if s.between != nil && s.reading && s.lookUpLocked() {
		s.mu.Unlock()
		return
	}
	s.betweenUnlock()
}
