package perch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"time"
)

// OnceOptions is a plain value that says how much [Once] remembers. Its zero value has
// every default.
type OnceOptions struct {
	// MaxKeys is how many answers are remembered; the next one pushes the oldest out.
	// Zero or less means 10,000. Handlers that still run do not count.
	MaxKeys int
	// MaxAge is how long an answer is remembered. Zero or less means ten minutes.
	MaxAge time.Duration
}

const (
	defaultOnceKeys = 10_000
	defaultOnceAge  = 10 * time.Minute
)

// Once makes a handler, itself safe for concurrent use, that runs another one once for
// each key: it is for clients that send again what was not acknowledged, like the
// official one with its option retries (C-17), who would otherwise have an event handled
// twice whenever it is only the ack that was lost.
//
//	perch.On(r, "pay", perch.Once(perch.OnceOptions{}, paymentKey, g.Pay))
//
// A key that was seen before gets the same answer, and handler is not called. While
// handler still runs, others with its key wait for its answer, as long as their own
// context lets them. An error is not remembered, and neither is a panic: whoever comes
// next, or waits already, calls handler again. What key returns "" for is not filtered.
//
// The key has to be the client's name for this very event, given before it is sent for
// the first time, and it has to name the client too, or one could read another's
// answers by guessing: all sockets share the memory, because a client that is back
// may have another socket than before.
//
//	func paymentKey(ctx context.Context, p Payment) string {
//		return User.Value(perch.SocketFrom(ctx)).Name + "/" + p.ID
//	}
//
// An answer is kept as it is, so nothing that it points to may be changed later. The
// memory is bounded by [OnceOptions], is this process's own and ends with it: what must
// never be done twice needs the key in the same transaction as the deed.
//
// If key or handler is nil so is the result, which is a start-up error of [On].
func Once[In, Out any](o OnceOptions, key func(ctx context.Context, in In) string,
	handler func(ctx context.Context, in In) (Out, error)) func(ctx context.Context, in In) (Out, error) {
	if key == nil || handler == nil {
		return nil
	}
	m := &onceMemory[Out]{
		maxKeys: cmp.Or(max(o.MaxKeys, 0), defaultOnceKeys),
		maxAge:  cmp.Or(max(o.MaxAge, 0), defaultOnceAge),
		runs:    make(map[onceKey]*onceRun[Out]),
	}
	return func(ctx context.Context, in In) (Out, error) {
		k := key(ctx, in)
		if k == "" {
			return handler(ctx, in)
		}
		r, err := m.join(ctx, k)
		switch {
		case err != nil:
			var none Out
			return none, err
		case r.ok:
			return r.out, nil
		}
		answered := false // unless it panics
		var out Out
		defer func() { m.settle(r, out, answered) }()
		out, err = handler(ctx, in)
		answered = err == nil
		return out, err
	}
}

// OnceEvent is [Once] for the handlers of [OnEvent].
func OnceEvent[In any](o OnceOptions, key func(ctx context.Context, in In) string,
	handler func(ctx context.Context, in In) error) func(ctx context.Context, in In) error {
	if key == nil || handler == nil {
		return nil
	}
	once := Once(o, key, func(ctx context.Context, in In) (None, error) { return None{}, handler(ctx, in) })
	return func(ctx context.Context, in In) error {
		_, err := once(ctx, in)
		return err
	}
}

// onceKey is a key that takes no more room than a short one: clients choose how long
// they are.
type onceKey struct {
	short string
	sum   [sha256.Size]byte
}

const longestOnceKey = 64

func newOnceKey(k string) onceKey {
	if len(k) <= longestOnceKey {
		return onceKey{short: k}
	}
	return onceKey{sum: sha256.Sum256([]byte(k))}
}

// onceMemory is safe for concurrent use. It has what one wrapper remembers. Nothing
// happens in it between two events: what is too old goes when the next one comes.
type onceMemory[Out any] struct {
	maxKeys int
	maxAge  time.Duration

	mu       sync.Mutex
	runs     map[onceKey]*onceRun[Out] // under way, or answered
	oldest   *onceRun[Out]             // of those answered, in order
	newest   *onceRun[Out]
	answered int
}

// onceRun is one run of the handler. Its answer does not change once it is there.
type onceRun[Out any] struct {
	key     onceKey
	running chan struct{} // closed at its end; nil from then on, under the memory's lock
	out     Out
	ok      bool // it ended with an answer
	expires time.Time
	next    *onceRun[Out]
}

// join returns the key's answer; without one, a run that is the caller's to make and to
// settle.
func (m *onceMemory[Out]) join(ctx context.Context, key string) (*onceRun[Out], error) {
	k := newOnceKey(key)
	for {
		m.mu.Lock()
		m.forget(time.Now())
		r := m.runs[k]
		if r == nil {
			k.short = strings.Clone(k.short) // it may be a part of something large
			r = &onceRun[Out]{key: k, running: make(chan struct{})}
			m.runs[k] = r
			m.mu.Unlock()
			return r, nil
		}
		running := r.running
		m.mu.Unlock()
		if running != nil {
			select {
			case <-running:
			case <-ctx.Done():
				return nil, fmt.Errorf("perch: waiting for the answer to an earlier event of the same key: %w", context.Cause(ctx))
			}
		}
		if r.ok {
			return r, nil
		}
	}
}

// settle ends a run.
func (m *onceMemory[Out]) settle(r *onceRun[Out], out Out, answered bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() {
		close(r.running)
		r.running = nil
	}()
	if !answered {
		delete(m.runs, r.key)
		return
	}
	now := time.Now()
	r.out, r.ok, r.expires = out, true, now.Add(m.maxAge)
	if m.newest != nil {
		m.newest.next = r
	} else {
		m.oldest = r
	}
	m.newest = r
	m.answered++
	m.forget(now)
}

// forget drops what is too much or too old.
func (m *onceMemory[Out]) forget(now time.Time) {
	for m.oldest != nil && (m.answered > m.maxKeys || !now.Before(m.oldest.expires)) {
		delete(m.runs, m.oldest.key)
		if m.oldest = m.oldest.next; m.oldest == nil {
			m.newest = nil
		}
		m.answered--
	}
}
