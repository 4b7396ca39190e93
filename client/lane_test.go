package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio"
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
				go func() { result <- l.put(ctx, 1, size, func() bool { return wide }, time.Hour, call(busy)) }()
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
		go func() { result <- l.put(t.Context(), 1, 1, func() bool { return wide }, time.Hour, call(busy)) }()
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
		_ = l.put(t.Context(), 1, 1, never, time.Hour, call(func() { got = append(got, "event") }))
		l.post(func() { got = append(got, "hook") })
		l.close()
		_ = l.put(t.Context(), 1, 1, never, time.Hour, call(func() { got = append(got, "late event") }))
		close(gate)
		synctest.Wait()
		if !slices.Equal(got, []string{"hook"}) {
			t.Errorf("%q", got)
		}
	})
}

// An event for which there was no room when its socket left is not handled after OnDisconnect, and the other sockets of the
// connection go on.
func TestLeftWhileReaderWaits(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		main := site.client("", site.options(transports...))
		r := newRecord()
		main.On("n", func(context.Context, *Event) { r.add("main") })
		connect(t, main)
		time.Sleep(time.Second)
		site.Of("/busy").OnConnection(func(_ context.Context, s *socketio.Socket) error {
			for range laneTasks + 10 {
				if err := s.Emit("n"); err != nil {
					return err
				}
			}
			return nil
		})
		busy, err := main.Manager().Socket("/busy", nil)
		if err != nil {
			t.Fatal(err)
		}
		gate, left := make(chan struct{}), false
		busy.On("n", func(context.Context, *Event) {
			if <-gate; left {
				t.Error("an event after OnDisconnect")
			}
		})
		busy.OnDisconnect(func(Reason, error) {
			left = true
			r.add("left")
		})
		connect(t, busy)
		time.Sleep(time.Second)
		if err := site.Of("/").To().Emit("n"); err != nil {
			t.Error(err)
		}
		r.want(t)
		busy.Disconnect()
		r.want(t, "main")
		close(gate)
		r.want(t, "left")
	})
}

// A server may ping as often as it likes.
func TestPingsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, err := NewManager(t.Context(), siteURL, Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		m.OnPing(func() { <-gate })
		l := &link{manager: m}
		for range 5000 {
			l.Ping()
		}
		synctest.Wait()
		if tasks, _ := m.lane.held(); tasks > laneTasks {
			t.Errorf("%d calls wait", tasks)
		}
		close(gate)
		_ = m.Close()
		<-m.Done()
	})
}

// C-18: what a socket has missed may be more than a lane holds, and yet its handlers may ask the server.
func TestMissedMuchAndAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := against(t, Options{}, func(p *peer) error {
			if _, err := p.read(); err != nil { // CONNECT
				return err
			}
			for i := range 3 * laneTasks {
				p.add(fmt.Sprintf(`42/other,["n",%d]`, i))
			}
			p.add(`40/other,{"sid":"c"}`)
			p.add(`42/other,["n",-1]`)
			if err := p.flush(); err != nil {
				return err
			}
			if _, err := p.read(); err != nil {
				return err
			}
			return p.say(`43/other,0[]`)
		})
		connect(t, s)
		other, err := s.Manager().Socket("/other", nil)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan error, 1)
		n := 0
		other.On("n", func(ctx context.Context, _ *Event) {
			if n++; n == 1 {
				time.Sleep(time.Second)
				_, err := other.EmitWithAck(ctx, "ask")
				asked <- err
			}
		})
		start := time.Now()
		connect(t, other)
		if err := <-asked; err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n != 3*laneTasks+1 {
			t.Errorf("%d events", n)
		}
	})
}
