package client

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func never() bool { return false }

func newLane() *lane { return &lane{crew: newCrew()} }

func TestLaneOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane()
		gate := make(chan struct{})
		var got []int
		l.post(func() { <-gate })
		for i := range 5000 {
			l.post(func() { got = append(got, i) })
		}
		close(gate)
		synctest.Wait()
		if len(got) != 5000 || !slices.IsSorted(got) {
			t.Errorf("%d tasks, in order %v", len(got), slices.IsSorted(got))
		}
		l.crew.leave()
		<-l.crew.everyone
	})
}

// The reader waits when a lane is full, and twice as long while an acknowledgement is awaited.
func TestLaneBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane()
		gate := make(chan struct{})
		done := 0
		busy := func() { <-gate; done++ }
		wide := false
		put := func(n, size int) (put int) {
			for range n {
				ctx, cancel := context.WithCancelCause(t.Context())
				result := make(chan error, 1)
				go func() { result <- l.put(ctx, size, func() bool { return wide }, time.Hour, call(busy)) }()
				synctest.Wait()
				cancel(errDown)
				if err := <-result; err == nil {
					put++
				} else if !errors.Is(err, errDown) {
					t.Error(err)
				}
			}
			return put
		}
		if n := put(laneTasks+10, 1); n != laneTasks+1 { // one of them is being done
			t.Errorf("%d tasks were taken", n)
		}
		wide = true
		if n := put(laneTasks+10, 1); n != laneTasks {
			t.Errorf("%d further tasks were taken", n)
		}
		wide = false
		result := make(chan error, 1)
		go func() { result <- l.put(t.Context(), 1, func() bool { return wide }, time.Hour, call(busy)) }()
		synctest.Wait()
		for range laneTasks + 1 {
			gate <- struct{}{}
			synctest.Wait()
		}
		if err := <-result; err != nil {
			t.Error(err)
		}
		close(gate)
		synctest.Wait()
		if want := 2*laneTasks + 2; done != want {
			t.Errorf("%d done, want %d", done, want)
		}

		gate = make(chan struct{})
		if n := put(4, laneBytes/2); n != 2 {
			t.Errorf("%d large tasks were taken", n)
		}
		close(gate)
	})
}

func TestLaneClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLane()
		gate := make(chan struct{})
		var got []string
		l.post(func() { <-gate })
		synctest.Wait()
		_ = l.put(t.Context(), 1, never, time.Hour, call(func() { got = append(got, "event") }))
		l.post(func() { got = append(got, "hook") })
		l.close()
		_ = l.put(t.Context(), 1, never, time.Hour, call(func() { got = append(got, "late event") }))
		close(gate)
		synctest.Wait()
		if !slices.Equal(got, []string{"hook"}) {
			t.Errorf("%q", got)
		}
	})
}
