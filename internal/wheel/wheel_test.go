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
		if n := w.Len(); n != 0 {
			t.Errorf("%d timers never fired", n)
		}
		if w.armed.Load() != unarmed {
			t.Error("an empty wheel is driven on")
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
		var timers [100]Timer
		for i := range timers {
			w.Schedule(&timers[i], time.Second, func() { t.Error("fired after Close") })
		}
		w.Close()
		for i := range timers {
			w.Schedule(&timers[i], time.Second, func() { t.Error("scheduled after Close") })
			if w.Stop(&timers[i]) {
				t.Error("a timer of a closed wheel was still to fire")
			}
		}
		pass(5 * time.Second)
	})
}

// Nothing else of the same turn fires once a callback has closed the wheel, whatever its shard.
func TestCallbackMayClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := New(10 * time.Millisecond)
		var timers [100]Timer
		fired := 0
		for i := range timers {
			w.Schedule(&timers[i], time.Second, func() { fired++; w.Close() })
		}
		pass(5 * time.Second)
		if fired != 1 {
			t.Errorf("%d callbacks ran, each of which closes the wheel", fired)
		}
	})
}

// What is of one size, and so is at addresses with much in common, is spread over all shards.
func TestShardsAreUsedAlike(t *testing.T) {
	t.Parallel()
	const each = 512
	type session struct {
		_     [100]byte
		timer Timer
		_     [100]byte
	}
	w := New(time.Millisecond)
	used := map[*shard]int{}
	for range each * shards {
		used[w.shardOf(&new(session).timer)]++
	}
	for i := range w.shards {
		if n := used[&w.shards[i]]; n < each/2 || n > 2*each {
			t.Errorf("%d timers in a shard, want about %d", n, each)
		}
	}
}

// Many goroutines schedule and stop timers of all shards while the wheel turns: each timer is either stopped or
// fires, once and after its time, and no two callbacks run at a time.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const tick = 10 * time.Millisecond
		w := New(tick)
		defer w.Close()
		var fired, stopped atomic.Int32
		var inside atomic.Bool
		const goroutines, timers, turns = 8, 64, 50
		for g := range goroutines {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			go func() {
				var own [timers]Timer
				for range turns {
					for i := range own {
						due := time.Now().Add(time.Duration(r.IntN(10)) * tick)
						w.Schedule(&own[i], time.Until(due), func() {
							if !inside.CompareAndSwap(false, true) {
								t.Error("two callbacks at a time")
							}
							fired.Add(1)
							if early := time.Until(due); early > tick {
								t.Errorf("fired %v early", early)
							}
							inside.Store(false)
						})
					}
					<-time.After(time.Duration(r.IntN(10)) * tick)
					for i := range own {
						if i%2 == 0 && w.Stop(&own[i]) {
							stopped.Add(1)
						}
					}
					<-time.After(10 * tick)
				}
			}()
		}
		pass(time.Minute)
		if n := fired.Load() + stopped.Load(); n != goroutines*timers*turns || stopped.Load() == 0 {
			t.Errorf("%d timers fired and %d were stopped, want %d together", fired.Load(), stopped.Load(), goroutines*timers*turns)
		}
		if n := w.Len(); n != 0 {
			t.Errorf("%d timers are left", n)
		}
	})
}

// A turn that is woken again while it is under way leaves what comes to the end of the first one.
func TestWokenTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := New(10 * time.Millisecond)
		defer w.Close()
		var timers [100]Timer
		fired := 0
		const rounds = 3
		for range rounds {
			for i := range timers {
				w.Schedule(&timers[i], time.Second, func() {
					fired++
					w.turn()
				})
			}
			pass(2 * time.Second)
		}
		if fired != rounds*len(timers) {
			t.Errorf("%d timers fired, want %d", fired, rounds*len(timers))
		}
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

// BenchmarkParallel is what connections do on all cores: each has a timer of its own, which it sets and stops.
func BenchmarkParallel(b *testing.B) {
	w := New(10 * time.Millisecond)
	defer w.Close()
	fn := func() {}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		timers := make([]Timer, 1000)
		for i := 0; p.Next(); i++ {
			t := &timers[i%len(timers)]
			w.Schedule(t, 25*time.Second, fn)
			w.Stop(t)
		}
	})
}
