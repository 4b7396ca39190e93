package wheel

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass lets fake time go by and waits for what it set off.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// Engine rule 8: a timer fires once, not late and at most a tick early, whatever its distance.
func TestFiresOnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const tick = 10 * time.Millisecond
		w := New(tick)
		defer w.Close()
		start := time.Now()
		for range 500 {
			var timer Timer
			d := tick + time.Duration(rand.Int64N(int64(60*time.Second)))
			w.Schedule(&timer, d, func() {
				if late := time.Since(start) - d; late > 0 || late < -tick {
					t.Errorf("timer of %v fired %v late", d, late)
				}
			})
		}
		pass(61 * time.Second)
		if w.count != 0 {
			t.Errorf("%d timers never fired", w.count)
		}
	})
}

func TestStopAndReschedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := New(time.Millisecond)
		defer w.Close()
		var a, b Timer
		var fired atomic.Int32
		w.Schedule(&a, time.Second, func() { fired.Add(1) })
		if !w.Stop(&a) || w.Stop(&a) {
			t.Error("Stop must report whether the timer was still to fire")
		}
		w.Schedule(&b, time.Second, func() { fired.Add(10) })
		w.Schedule(&b, 2*time.Second, func() { fired.Add(100) })
		pass(3 * time.Second)
		if got := fired.Load(); got != 100 {
			t.Errorf("fired %d, want only the rescheduled timer (100)", got)
		}
	})
}

// A callback may schedule its own timer again, as a heartbeat does, and stop another one that is
// due in the same tick.
func TestCallbackMaySchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := New(10 * time.Millisecond)
		defer w.Close()
		var beat, x, y Timer
		beats := 0
		var again func()
		again = func() {
			beats++
			w.Schedule(&beat, 25*time.Second, again)
		}
		w.Schedule(&beat, 25*time.Second, again)
		xy := 0
		w.Schedule(&x, time.Second, func() { xy++; w.Stop(&y) })
		w.Schedule(&y, time.Second, func() { xy++; w.Stop(&x) })
		pass(10 * time.Minute)
		if beats != 23 && beats != 24 {
			t.Errorf("%d beats in ten minutes", beats)
		}
		if xy != 1 {
			t.Errorf("%d of two timers that stop each other fired", xy)
		}
	})
}

func TestClosedWheelIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := New(time.Millisecond)
		var a Timer
		w.Schedule(&a, time.Second, func() { t.Error("fired after Close") })
		w.Close()
		w.Schedule(&a, time.Second, func() { t.Error("scheduled after Close") })
		pass(5 * time.Second)
	})
}

func BenchmarkReschedule(b *testing.B) {
	w := New(10 * time.Millisecond)
	defer w.Close()
	timers := make([]Timer, 10_000)
	fn := func() {}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Schedule(&timers[i%len(timers)], 25*time.Second, fn)
	}
}
