package main

import (
	"iter"
	"slices"
	"sync"
)

// The bounds of the history, of all rooms together: what comes pushes out the oldest.
const (
	maxSaid      = 1000
	maxSaidBytes = 16 << 20 // of texts and files
)

// history is what was said last. Its zero value is ready, and it is safe for concurrent use.
type history struct {
	mu    sync.Mutex
	said  []Said // the oldest first
	gone  int    // how many were pushed out
	bytes int
}

// add appends s and tells it, so that all who hear it hear it in the history's order.
func (h *history) add(s Said, tell func() error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, s)
	h.bytes += s.size()
	for len(h.said) > maxSaid || h.bytes > maxSaidBytes {
		h.bytes -= h.said[0].size()
		h.said[0] = Said{} // its memory is free at once
		h.said = h.said[1:]
		h.gone++
	}
	return tell()
}

// of is what was said in a room until now, after what has that id, or all of it if nothing has.
// Whoever reads it slowly keeps nothing alive, and does not get what was pushed out meanwhile.
func (h *history) of(room, after string) iter.Seq[Said] {
	return func(yield func(Said) bool) {
		h.mu.Lock()
		// Without such an id the index is -1, and it begins with the first.
		at := h.gone + slices.IndexFunc(h.said, func(s Said) bool { return s.id() == after }) + 1
		end := h.gone + len(h.said)
		h.mu.Unlock()
		for ; ; at++ {
			s, ok := h.next(room, &at, end)
			if !ok || !yield(s) {
				return
			}
		}
	}
}

// next is the first of a room from number *at on and before end, and sets *at to its number.
func (h *history) next(room string, at *int, end int) (s Said, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for *at = max(*at, h.gone); *at < end; *at++ {
		if s = h.said[*at-h.gone]; s.room() == room {
			return s, true
		}
	}
	return Said{}, false
}
