package chat

import (
	"errors"
	"slices"
	"sync"

	"go.uber.org/fx"
)

// history is safe for concurrent use. It stands for a database: open from the program's start to its
// stop.
type history struct {
	mu       sync.Mutex
	open     bool
	messages []Message
}

func newHistory(lc fx.Lifecycle) *history {
	h := &history{}
	lc.Append(fx.StartStopHook(func() { h.set(true) }, func() { h.set(false) }))
	return h
}

func (h *history) set(open bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = open
}

var errClosed = errors.New("the history is closed")

// add keeps a message and returns its number.
func (h *history) add(m Message) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.open {
		return 0, errClosed
	}
	h.messages = append(h.messages, m)
	return len(h.messages), nil
}

// last is the last n messages.
func (h *history) last(n int) ([]Message, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.open {
		return nil, errClosed
	}
	return slices.Clone(h.messages[max(0, len(h.messages)-max(0, n)):]), nil
}
