package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// Spec 3.7: a node introduces itself, speaks after 5 seconds of silence, and not if it has spoken.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		s := newStranger(t, broker.Open, strangerUID)
		n := newNode(t, broker.Open)
		if got := s.types(); !slices.Equal(got, []Type{InitialHeartbeat}) {
			t.Errorf("at the beginning: %v", got)
		}
		pass(4900 * time.Millisecond)
		if got := s.types(); len(got) != 0 {
			t.Errorf("too early: %v", got)
		}
		pass(200 * time.Millisecond)
		if got := s.types(); !slices.Equal(got, []Type{Heartbeat}) {
			t.Errorf("after 5 seconds: %v", got)
		}
		pass(3 * time.Second)
		if err := n.Broadcast(&adapter.Packet{Event: "x"}, adapter.Selection{}); err != nil {
			t.Error(err)
		}
		pass(4900 * time.Millisecond)
		if got := s.types(); !slices.Equal(got, []Type{Broadcast}) {
			t.Errorf("a broadcast is a sign of life: %v", got)
		}
		pass(200 * time.Millisecond)
		if got := s.types(); !slices.Equal(got, []Type{Heartbeat}) {
			t.Errorf("5 seconds after it: %v", got)
		}
		pass(time.Minute)
		if got := s.types(); len(got) != 12 {
			t.Errorf("in a minute: %v", got)
		}
	})
}

// Spec 3.7: a node is dropped after 10 seconds of silence, any message counts as life, and who was dropped comes back when it
// speaks.
func TestSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		n := newNode(t, broker.Open)
		one := newStranger(t, broker.Open, "1111111111111111")
		two := newStranger(t, broker.Open, "2222222222222222")
		one.says(t, nil, `{"uid":"1111111111111111","nsp":"/","type":2}`)
		two.says(t, nil, `{"uid":"2222222222222222","nsp":"/","type":2}`)
		one.says(t, nil, `{"uid":"emitter","nsp":"/","type":9,"data":{"packet":["x"]}}`)
		one.says(t, nil, `{"uid":"3333333333333333","nsp":"/other","type":2}`)
		if c := count(t, n); c != 3 {
			t.Errorf("%d nodes, want 3", c)
		}
		pass(6 * time.Second)
		one.says(t, nil, `{"uid":"1111111111111111","nsp":"/","type":99}`)
		pass(3900 * time.Millisecond)
		if c := count(t, n); c != 3 {
			t.Errorf("after 9.9 seconds %d nodes, want 3", c)
		}
		pass(200 * time.Millisecond)
		if c := count(t, n); c != 2 {
			t.Errorf("after 10 seconds of silence of one %d nodes, want 2", c)
		}
		two.says(t, n, `{"uid":"2222222222222222","nsp":"/","type":12,"data":{"requestId":"x"}}`)
		if c := count(t, n); c != 3 {
			t.Errorf("one has spoken again, %d nodes, want 3", c)
		}
		pass(11 * time.Second)
		if c := count(t, n); c != 1 {
			t.Errorf("%d nodes, want 1", c)
		}
		pass(30 * time.Second)
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.peers) != 0 || n.sweeping {
			t.Errorf("%d nodes are remembered", len(n.peers))
		}
	})
}

// A node that has closed stays closed, though its messages come late and twice.
func TestClosedNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(func(_, _ string, m *Message) Fault {
			if m.Type == Heartbeat {
				return Fault{Delay: 3 * time.Second, Alone: true}
			}
			return Fault{Again: 1}
		})
		a := newNode(t, broker.Open)
		b := newNode(t, broker.Open) // a answers its introduction late
		pass(5500 * time.Millisecond)
		if count(t, a) != 2 || count(t, b) != 2 {
			t.Errorf("%d and %d nodes", count(t, a), count(t, b))
		}
		if err := b.Close(); err != nil { // its second heartbeat is on its way
			t.Error(err)
		}
		synctest.Wait()
		if c := count(t, a); c != 1 {
			t.Errorf("%d nodes", c)
		}
		pass(5 * time.Second)
		if c := count(t, a); c != 1 {
			t.Errorf("%d nodes: a late heartbeat brings a node back", c)
		}
		if infos, err := b.Fetch(t.Context(), adapter.Selection{}); err == nil || len(infos) != 0 {
			t.Errorf("Fetch of a closed node: %v, %v", infos, err)
		}
		if err := b.Broadcast(&adapter.Packet{Event: "x"}, adapter.Selection{}); err == nil {
			t.Error("a closed node broadcasts")
		}
		if err := b.Ask(t.Context(), &adapter.Packet{Event: "x"}, adapter.Selection{}, nil); err == nil {
			t.Error("a closed node asks")
		}
	})
}

// A node forgets what another has asked when that one dies or closes.
func TestQuestionsOfTheDead(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(a *Adapter, g *grave){
		"closes": func(a *Adapter, _ *grave) { _ = a.Close() },
		"dies":   func(a *Adapter, g *grave) { g.bury(a) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var g grave
				broker := NewMemory(func(from, to string, _ *Message) Fault { return Fault{Lost: g.has(from, to)} })
				m := &member{id: "m", silent: true}
				a, b := newNode(t, broker.Open), newNode(t, broker.Open, m)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					_ = a.Ask(ctx, &adapter.Packet{Event: "x"}, adapter.Selection{}, func(adapter.Answer) {})
				}()
				synctest.Wait()
				if m.waiting() != 1 || b.asked() != 1 {
					t.Errorf("%d is asked", m.waiting())
				}
				end(a, &g)
				pass(11 * time.Second)
				if m.waiting() != 0 || b.asked() != 0 {
					t.Errorf("%d is still asked", m.waiting())
				}
			})
		})
	}
}

// asked is how many questions of others are open.
func (a *Adapter) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.questions)
}

// A node that was not heard for long, and then is again: its members have left for those who asked, and stay so.
func TestPartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var deaf atomic.Value // the node that hears nothing
		broker := NewMemory(func(_, to string, _ *Message) Fault { return Fault{Lost: to == deaf.Load()} })
		m := &member{id: "m", silent: true}
		a, b := newNode(t, broker.Open, &member{id: "n", silent: true}), newNode(t, broker.Open, m)
		var answers []string
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan error, 1)
		go func() {
			done <- a.Ask(ctx, &adapter.Packet{Event: "x"}, adapter.Selection{}, func(s adapter.Answer) {
				answers = append(answers, fmt.Sprint(s.ID, " ", s.Err))
			})
		}()
		synctest.Wait()
		deaf.Store(a.UID())
		pass(11 * time.Second)
		if count(t, a) != 1 || count(t, b) != 2 {
			t.Errorf("%d and %d nodes while one hears nothing", count(t, a), count(t, b))
		}
		deaf.Store("")
		pass(6 * time.Second)
		if count(t, a) != 2 || count(t, b) != 2 {
			t.Errorf("%d and %d nodes when it hears again", count(t, a), count(t, b))
		}
		m.answer("late")
		synctest.Wait()
		var e *adapter.IncompleteError
		if err := <-done; !errors.As(err, &e) || !slices.Equal(e.Members, []string{"n"}) || e.Missing != 1 {
			t.Errorf("%v", err)
		}
		if want := []string{"m " + adapter.ErrLeft.Error()}; !slices.Equal(answers, want) {
			t.Errorf("answers %q, want %q", answers, want)
		}
		if infos, err := a.Fetch(t.Context(), adapter.Selection{}); err != nil || len(infos) != 2 {
			t.Errorf("%d members, %v", len(infos), err)
		}
	})
}

// A node goes while its question is being posed.
func TestGoneMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		m := &member{id: "m", silent: true}
		n := newNode(t, broker.Open, m)
		m.asked = func() { n.gone(strangerUID) }
		s := newStranger(t, broker.Open, strangerUID)
		s.says(t, nil, `{"uid":"`+strangerUID+`","nsp":"/","type":3,"data":{"requestId":"x","packet":{"type":2,"data":["q"]},"opts":{"rooms":[],"except":[],"flags":{}}}}`)
		if m.waiting() != 0 || n.asked() != 0 {
			t.Error("m is still waited for")
		}
	})
}

// A node that was taken for dead before it has told of its members is waited for no longer, though it tells then.
func TestCountTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Value
		broker := NewMemory(func(from, _ string, m *Message) Fault {
			switch {
			case from != silent.Load():
				return Fault{}
			case m.Type == BroadcastClientCount:
				return Fault{Delay: 12 * time.Second, Alone: true}
			}
			return Fault{Lost: true}
		})
		n := newNode(t, broker.Open, &member{id: "n", silent: true})
		other := newNode(t, broker.Open, &member{id: "m"})
		silent.Store(other.UID())
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		err := n.Ask(ctx, &adapter.Packet{Event: "x"}, adapter.Selection{}, func(s adapter.Answer) { t.Errorf("%s answers", s.ID) })
		var e *adapter.IncompleteError
		if !errors.As(err, &e) || e.Missing != 1 || !slices.Equal(e.Members, []string{"n"}) || len(e.Nodes) != 0 {
			t.Errorf("%v: %+v", err, e)
		}
	})
}
