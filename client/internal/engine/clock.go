package engine

import (
	"sync"
	"time"
)

// clock ends a connection whose server has been silent for too long (C-19). It goes only while the network is waited for: before
// that, the ping may already be there, behind what is being handled.
type clock struct {
	limit   time.Duration
	expired func()

	mu       sync.Mutex
	timer    *time.Timer
	deadline time.Time
	held     time.Time // since when it stands still; zero while it goes
	unarmed  bool      // the timer went off while the clock stood still
	stopped  bool
}

// start lets it go, for the first time.
func (k *clock) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deadline = time.Now().Add(k.limit)
	k.timer = time.AfterFunc(k.limit, k.fire)
}

// restart gives the server its full time again. The timer finds out by itself that it is early.
func (k *clock) restart() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	k.deadline = now.Add(k.limit)
	if !k.held.IsZero() {
		k.held = now
	}
}

// hold and release need not take turns.
func (k *clock) hold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held.IsZero() {
		k.held = time.Now()
	}
}

func (k *clock) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held.IsZero() {
		return
	}
	k.deadline = k.deadline.Add(time.Since(k.held))
	k.held = time.Time{}
	if k.unarmed && !k.stopped {
		k.unarmed = false
		k.timer.Reset(time.Until(k.deadline))
	}
}

func (k *clock) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	k.timer.Stop()
}

func (k *clock) fire() {
	k.mu.Lock()
	left := time.Until(k.deadline)
	switch {
	case k.stopped:
	case !k.held.IsZero():
		k.unarmed = true
	case left > 0:
		k.timer.Reset(left)
	default:
		k.stopped = true
		k.mu.Unlock()
		k.expired()
		return
	}
	k.mu.Unlock()
}
