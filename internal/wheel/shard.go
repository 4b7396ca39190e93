package wheel

import (
	"math/bits"
	"sync"
)

const (
	slots = 512 // a power of two
	words = slots / 64
)

// shard is safe for concurrent use. It holds a part of a wheel's timers.
type shard struct {
	mu     sync.Mutex
	count  int
	done   int64          // every tick up to this one has been handled
	heads  *[slots]*Timer // nil until there is a first timer
	filled [words]uint64  // a bit per slot that holds something
	closed bool
	_      [88]byte // two cache lines, which processors fetch together
}

// Called with mu held.
func (s *shard) link(t *Timer) {
	if s.heads == nil {
		s.heads = new([slots]*Timer)
	}
	i := t.tick & (slots - 1)
	t.prev, t.next = nil, s.heads[i]
	if t.next != nil {
		t.next.prev = t
	}
	s.heads[i] = t
	s.filled[i/64] |= 1 << (i % 64)
	s.count++
}

// Called with mu held.
func (s *shard) unlink(t *Timer) {
	i := t.tick & (slots - 1)
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		s.heads[i] = t.next
		if t.next == nil {
			s.filled[i/64] &^= 1 << (i % 64)
		}
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
	t.tick = 0
	s.count--
}

// turn fires what is due by now. It uses the memory of due, and returns it.
func (s *shard) turn(now int64, due []*Timer) []*Timer {
	s.mu.Lock()
	defer s.mu.Unlock()
	// After a long pause of the process one round visits every slot.
	first := max(s.done+1, now-slots+1)
	for tick := first; tick <= now && s.count > 0; tick++ {
		for t := s.heads[tick&(slots-1)]; t != nil; t = t.next {
			if t.tick <= now {
				due = append(due, t)
			}
		}
	}
	s.done = max(s.done, now)
	for _, t := range due {
		// A callback that ran just before may have stopped or rescheduled this one, or closed the wheel.
		if t.tick == 0 || t.tick > now {
			continue
		}
		s.unlink(t)
		fn := t.fn
		t.fn = nil
		s.mu.Unlock()
		fn()
		s.mu.Lock()
	}
	clear(due)
	return due
}

// next returns the first tick after the last handled one whose slot holds something. What is
// there may be due a revolution later; then the driver finds nothing and goes on.
func (s *shard) next() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return unarmed
	}
	from := s.done + 1
	for off := int64(0); off < slots; {
		i := (from + off) & (slots - 1)
		if word := s.filled[i/64] >> (i % 64); word != 0 {
			return from + off + int64(bits.TrailingZeros64(word))
		}
		off += 64 - i%64
	}
	return from + slots
}

func (s *shard) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// close drops every timer.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for i := 0; s.count > 0; i++ {
		for t := s.heads[i]; t != nil; t = s.heads[i] {
			s.unlink(t)
			t.fn = nil
		}
	}
}
