package socketio

import (
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/internal/wheel"
)

// coarseTick is how far a coarse clock may be behind.
const coarseTick = lateAfter / 10

// coarse is safe for concurrent use. It is a clock for what needs no exact time but needs it for every event, where asking the
// system would be a twentieth of the work. It stands still, at no cost, while nobody asks.
type coarse struct {
	wheel *wheel.Wheel
	now   atomic.Int64 // 0 while it stands still
	asked atomic.Bool  // since the last turn
	timer wheel.Timer
}

// read returns what clock does, or did at most a coarseTick ago.
func (c *coarse) read() time.Duration {
	now := c.now.Load()
	if now == 0 {
		return c.start()
	}
	if !c.asked.Load() { // so that cores do not fight for the line
		c.asked.Store(true)
	}
	return time.Duration(now)
}

func (c *coarse) start() time.Duration {
	now := clock()
	c.asked.Store(true)
	if c.now.CompareAndSwap(0, int64(now)) {
		c.wheel.Schedule(&c.timer, coarseTick, c.turn)
	}
	return now
}

func (c *coarse) turn() {
	if !c.asked.Swap(false) {
		c.now.Store(0)
		return
	}
	c.now.Store(int64(clock()))
	c.wheel.Schedule(&c.timer, coarseTick, c.turn)
}
