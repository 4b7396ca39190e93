package inbox

import (
	"context"
	"sync"
)

// Inbox is safe for concurrent use; one goroutine at a time may take. It holds whatever it is given.
type Inbox[T any] struct {
	mu    sync.Mutex
	list  []T
	ready chan struct{} // has room for one
}

// New returns an empty inbox.
func New[T any]() *Inbox[T] { return &Inbox[T]{ready: make(chan struct{}, 1)} }

// Put adds v and does not block.
func (in *Inbox[T]) Put(v T) {
	in.mu.Lock()
	in.list = append(in.list, v)
	in.mu.Unlock()
	select {
	case in.ready <- struct{}{}:
	default:
	}
}

// Take returns what was put since it was last called, in order. It waits until there is something, or
// returns the cause when ctx ends first.
func (in *Inbox[T]) Take(ctx context.Context) ([]T, error) {
	for {
		in.mu.Lock()
		list := in.list
		in.list = nil
		in.mu.Unlock()
		if len(list) > 0 {
			return list, nil
		}
		select {
		case <-in.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
