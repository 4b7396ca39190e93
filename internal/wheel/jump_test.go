package wheel

import (
	"testing"
	"testing/synctest"
	"time"
)

// When a process was stopped for an hour, or a callback held the wheel up, what is due is done once, however often it would have
// been, and what was far away comes at its time: the wheel neither catches up nor loses anything.
func TestTimeJumps(t *testing.T) {
	t.Parallel()
	const period, jump = 25 * time.Second, time.Hour
	for _, tt := range []struct {
		name string
		jump func(w *Wheel)
	}{
		{"a callback that blocks", func(w *Wheel) {
			w.Schedule(new(Timer), 0, func() { <-time.After(jump) })
			pass(jump + w.tick)
		}},
		{"a clock that steps", func(w *Wheel) {
			w.start = w.start.Add(-jump)
			pass(period) // the driver sleeps until then at most
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := New(10 * time.Millisecond)
				defer w.Close()
				fired := make([]int, 2000)
				timers := make([]Timer, len(fired))
				for i := range timers {
					var again func()
					again = func() {
						fired[i]++
						w.Schedule(&timers[i], period, again)
					}
					w.Schedule(&timers[i], time.Duration(i)*period/time.Duration(len(fired))+time.Second, again)
				}
				far := false
				w.Schedule(new(Timer), jump+jump/2, func() { far = true })
				tt.jump(w)
				for i, n := range fired {
					if n < 1 || n > 2 { // the second time is that of the 25 seconds above
						t.Fatalf("timer %d fired %d times", i, n)
					}
				}
				clear(fired)
				pass(10 * period)
				for i, n := range fired {
					if n != 10 {
						t.Fatalf("timer %d fired %d times in ten periods", i, n)
					}
				}
				if far {
					t.Error("what was half an hour away has come too early")
				}
				pass(jump / 2)
				if !far {
					t.Error("what was half an hour away has not come")
				}
				if n := w.Len(); n != len(timers) {
					t.Errorf("%d timers", n)
				}
			})
		})
	}
}
