package engineio

import (
	"runtime"
	"sync"
)

// hold is the dirty list of one reader's batch: sessions that were written to while the batch was
// being handed over, by whomever. The reader flushes them when it lifts the hold (engine rule 5).
//
// A reader's own session needs no list: its holding flag says the same. The list is for broadcasts,
// and the server shows one hold at a time to everybody, so a sender need not know which batch it is
// in. While one is shown, the holds of other readers collect nothing, which costs writes, never time.
type hold struct {
	mu       sync.Mutex
	lifted   bool
	sessions []*Session
}

// keepSessions is the longest dirty list whose memory is kept for reuse.
const keepSessions = 64 << 10

var holds = sync.Pool{New: func() any { return new(hold) }}

// add lists a session, unless the hold has been lifted meanwhile. Called with s.mu held.
func (h *hold) add(s *Session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lifted {
		return false
	}
	h.sessions = append(h.sessions, s)
	return true
}

// batch is one read's worth of messages on its way through the handler.
type batch struct {
	session *Session
	hold    *hold // what the server shows, if it is ours
	begun   bool
}

// begin puts the session under its reader's hold. It is called before the first message is handed
// over; a read that brings only a pong has no batch.
func (b *batch) begin() {
	if b.begun {
		return
	}
	b.begun = true
	s := b.session
	// The body of a POST may still be on its way through the Handler when its session has moved to WebSocket.
	s.turn.Lock()
	s.mu.Lock()
	s.holding = true
	if s.awaitingPong && !s.refreshed {
		s.refreshLocked()
	}
	s.mu.Unlock()
	if s.server.hold.Load() == nil {
		h := holds.Get().(*hold)
		h.reset()
		if s.server.hold.CompareAndSwap(nil, h) {
			b.hold = h
		} else {
			h.lift()
		}
	}
}

// handOver lets the Handler do what it has put off. It is called before anything that ends the session.
func (b *batch) handOver() {
	if !b.begun {
		return
	}
	if h, ok := b.session.handler.(Batcher); ok {
		h.EndBatch()
	}
}

// end lets the goroutines that the batch has woken run once, then flushes and lifts the hold. How
// long they run does not matter: the hold belongs to the reader, never to a handler.
func (b *batch) end() {
	if !b.begun {
		return
	}
	b.leave()
	runtime.Gosched()
	b.lift()
}

// endAtOnce is end for a batch that nothing waits for.
func (b *batch) endAtOnce() {
	if b.begun {
		b.leave()
		b.lift()
	}
}

// leave ends the reader's part: what the Handler was given is all.
func (b *batch) leave() {
	b.handOver()
	b.begun = false
	b.session.turn.Unlock()
}

func (b *batch) lift() {
	s := b.session
	s.mu.Lock()
	s.holding = false
	s.flushUnlock()
	if h := b.hold; h != nil {
		b.hold = nil
		s.server.hold.Store(nil)
		h.lift()
	}
}

// reset readies a used hold. A sender that saw it in its former life may still be trying to add to it;
// being added to another batch does a session no harm.
func (h *hold) reset() {
	h.mu.Lock()
	h.lifted = false
	h.mu.Unlock()
}

func (h *hold) lift() {
	h.mu.Lock()
	h.lifted = true
	sessions := h.sessions // nobody adds any more
	h.mu.Unlock()
	for _, s := range sessions {
		s.mu.Lock()
		s.listed = false
		if s.holding {
			s.mu.Unlock() // its own reader does it
			continue
		}
		s.flushUnlock()
	}
	clear(sessions)
	if cap(sessions) > keepSessions {
		return
	}
	h.sessions = sessions[:0]
	holds.Put(h)
}
