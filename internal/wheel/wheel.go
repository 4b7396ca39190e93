package wheel

import (
	"math"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// Timer is one entry of a wheel. The zero value is idle. It is meant to be embedded in the thing
// it times; it must not be copied while scheduled. It belongs to one wheel at a time, and its
// fields are guarded by the lock of one of that wheel's shards.
type Timer struct {
	next, prev *Timer
	tick       int64 // the tick at which it fires; 0 when it is idle
	fn         func()
}

const (
	shardBits = 3
	shards    = 1 << shardBits
)

// Wheel is safe for concurrent use. Callbacks run one after the other on the wheel's own
// goroutine of the moment, so they must not block. Those that are due at once, or late, run in any order.
type Wheel struct {
	tick  time.Duration
	start time.Time

	// armed is the tick the driver will wake at. It changes under mu, and is read by who has linked a timer.
	armed atomic.Int64
	mu    sync.Mutex // no shard is locked under it
	// turning is whether a turn is under way; it arms the driver itself when it ends. There is one at a time.
	turning bool
	closed  bool
	driver  *time.Timer
	due     []*Timer // scratch of turn

	shards [shards]shard
}

const (
	unarmed = math.MaxInt64 // whoever schedules arms the driver
	awake   = math.MinInt64 // and now nobody does
)

// New returns a wheel whose timers fire up to one tick early and never later than the runtime lets
// them: a peer counts a heartbeat from its own end, so being late is what it would notice. Resolution
// below a millisecond is not useful.
func New(tick time.Duration) *Wheel {
	w := &Wheel{tick: max(tick, time.Millisecond), start: time.Now()}
	w.armed.Store(unarmed)
	return w
}

// shardOf picks by the address, which is in the heap and stays.
func (w *Wheel) shardOf(t *Timer) *shard {
	const golden = 0x9e3779b97f4a7c15 // spreads things of one size
	return &w.shards[uint64(reflect.ValueOf(t).Pointer())*golden>>(64-shardBits)]
}

// Schedule makes t call fn after d, replacing what t was scheduled for before. On a closed wheel
// it does nothing.
func (w *Wheel) Schedule(t *Timer, d time.Duration, fn func()) {
	tick := int64((time.Since(w.start) + max(d, 0)) / w.tick)
	s := w.shardOf(t)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	if t.tick != 0 {
		s.unlink(t)
	}
	tick = max(tick, s.done+1)
	t.tick, t.fn = tick, fn
	s.link(t)
	s.mu.Unlock()
	if tick < w.armed.Load() { // after it was linked: see rest
		w.arm(tick)
	}
}

// Stop takes t off the wheel and reports whether it was still to fire.
func (w *Wheel) Stop(t *Timer) bool {
	s := w.shardOf(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.tick == 0 {
		return false
	}
	s.unlink(t)
	t.fn = nil
	return true
}

// Len returns how many timers are scheduled.
func (w *Wheel) Len() (n int) {
	for i := range w.shards {
		n += w.shards[i].len()
	}
	return n
}

// Close drops every timer; nothing fires after it returns, except a callback already running.
func (w *Wheel) Close() {
	w.mu.Lock()
	w.closed = true
	if w.driver != nil {
		w.driver.Stop()
	}
	w.mu.Unlock()
	for i := range w.shards {
		w.shards[i].close()
	}
}

// arm makes the driver wake at the given tick, unless it will before.
func (w *Wheel) arm(tick int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || tick >= w.armed.Load() {
		return
	}
	w.armed.Store(tick)
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
	if w.turning { // somebody armed the driver when it had woken already
		w.mu.Unlock()
		return
	}
	w.turning = true
	w.armed.Store(awake)
	w.mu.Unlock()
	now := int64(time.Since(w.start) / w.tick)
	for i := range w.shards {
		w.due = w.shards[i].turn(now, w.due[:0])
	}
	w.rest()
}

// rest ends a turn. Who schedules a timer meanwhile has either linked it before the look at its shard, or sees that the
// driver is not armed.
func (w *Wheel) rest() {
	w.mu.Lock()
	w.turning = false
	w.armed.Store(unarmed)
	w.mu.Unlock()
	next := int64(unarmed)
	for i := range w.shards {
		next = min(next, w.shards[i].next())
	}
	w.arm(next)
}
