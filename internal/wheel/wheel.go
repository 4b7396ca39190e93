package wheel

import (
	"math/bits"
	"sync"
	"time"
)

const (
	slots = 1024 // a power of two
	words = slots / 64
)

// Timer is one entry of a wheel. The zero value is idle. It is meant to be embedded in the thing
// it times; it must not be copied while scheduled. It belongs to one wheel at a time, and its
// fields are guarded by that wheel's lock.
type Timer struct {
	next, prev *Timer
	tick       int64 // the tick at which it fires; 0 when it is idle
	fn         func()
}

// Wheel is safe for concurrent use. Callbacks run one after the other on the wheel's own
// goroutine of the moment, so they must not block.
type Wheel struct {
	tick  time.Duration
	start time.Time

	mu      sync.Mutex
	heads   [slots]*Timer
	filled  [words]uint64 // a bit per slot that holds something
	count   int
	done    int64 // every tick up to this one has been handled
	armed   int64 // the tick the driver will wake at; 0 when it is not armed
	driver  *time.Timer
	due     []*Timer // scratch of turn
	turning bool     // turn is running; it arms the driver itself when it ends
	closed  bool
}

// New returns a wheel whose timers fire up to one tick early and never later than the runtime lets
// them: a peer counts a heartbeat from its own end, so being late is what it would notice. Resolution
// below a millisecond is not useful.
func New(tick time.Duration) *Wheel {
	return &Wheel{tick: max(tick, time.Millisecond), start: time.Now()}
}

// Schedule makes t call fn after d, replacing what t was scheduled for before. On a closed wheel
// it does nothing.
func (w *Wheel) Schedule(t *Timer, d time.Duration, fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	if t.tick != 0 {
		w.unlink(t)
	}
	due := time.Since(w.start) + max(d, 0)
	t.tick = max(int64(due/w.tick), w.done+1)
	t.fn = fn
	w.link(t)
	if !w.turning && (w.armed == 0 || t.tick < w.armed) {
		w.arm(t.tick)
	}
}

// Stop takes t off the wheel and reports whether it was still to fire.
func (w *Wheel) Stop(t *Timer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.tick == 0 {
		return false
	}
	w.unlink(t)
	t.fn = nil
	return true
}

// Close drops every timer; nothing fires after it returns, except a callback already running.
func (w *Wheel) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.driver != nil {
		w.driver.Stop()
	}
	for i := range w.heads {
		for t := w.heads[i]; t != nil; t = w.heads[i] {
			w.unlink(t)
			t.fn = nil
		}
	}
}

func (w *Wheel) link(t *Timer) {
	i := t.tick & (slots - 1)
	t.prev, t.next = nil, w.heads[i]
	if t.next != nil {
		t.next.prev = t
	}
	w.heads[i] = t
	w.filled[i/64] |= 1 << (i % 64)
	w.count++
}

func (w *Wheel) unlink(t *Timer) {
	i := t.tick & (slots - 1)
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.heads[i] = t.next
		if t.next == nil {
			w.filled[i/64] &^= 1 << (i % 64)
		}
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
	t.tick = 0
	w.count--
}

// arm makes the driver wake at the given tick.
func (w *Wheel) arm(tick int64) {
	w.armed = tick
	d := time.Duration(tick)*w.tick - time.Since(w.start)
	if w.driver == nil {
		w.driver = time.AfterFunc(d, w.turn)
		return
	}
	w.driver.Reset(d)
}

// turn handles every tick that has passed and arms the driver for the next slot in use.
func (w *Wheel) turn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = 0
	w.turning = true
	defer func() { w.turning = false }()
	now := int64(time.Since(w.start) / w.tick)
	// After a long pause of the process one round visits every slot.
	first := max(w.done+1, now-slots+1)
	w.due = w.due[:0]
	for tick := first; tick <= now; tick++ {
		for t := w.heads[tick&(slots-1)]; t != nil; {
			next := t.next
			if t.tick <= now {
				w.due = append(w.due, t)
			}
			t = next
		}
	}
	w.done = max(w.done, now)
	for _, t := range w.due {
		// A callback that ran just before may have stopped or rescheduled this one.
		if w.closed || t.tick == 0 || t.tick > now {
			continue
		}
		w.unlink(t)
		fn := t.fn
		t.fn = nil
		w.mu.Unlock()
		fn()
		w.mu.Lock()
	}
	clear(w.due)
	if !w.closed && w.count > 0 {
		w.arm(w.nextFilled())
	}
}

// nextFilled returns the first tick after the last handled one whose slot holds something. What is
// there may be due a revolution later; then the driver finds nothing and goes on.
func (w *Wheel) nextFilled() int64 {
	from := w.done + 1
	for off := int64(0); off < slots; {
		i := (from + off) & (slots - 1)
		if word := w.filled[i/64] >> (i % 64); word != 0 {
			return from + off + int64(bits.TrailingZeros64(word))
		}
		off += 64 - i%64
	}
	return from + slots
}
