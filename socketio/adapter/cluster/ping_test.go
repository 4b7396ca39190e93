package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// moody is a Bus that takes something or not.
type moody struct {
	Bus
	down *atomic.Bool
}

var errMoody = errors.New("broken")

func (b moody) Publish(m *Message) error {
	if b.down.Load() {
		return errMoody
	}
	return b.Bus.Publish(m)
}

// pinging knows more than that.
type pinging struct{ moody }

func (pinging) Ping(context.Context) error { return context.Canceled }

// A node knows from its heartbeats whether it reaches the others, unless its Bus knows better.
func TestPing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker, down := NewMemory(nil), new(atomic.Bool)
		a := newNode(t, func(namespace, uid string) Bus { return moody{broker.Open(namespace, uid), down} })
		if err := a.Ping(t.Context()); err != nil {
			t.Errorf("with its broker: %v", err)
		}
		for range 2 {
			down.Store(true)
			<-time.After(a.opts.HeartbeatInterval + time.Second)
			var unreached *UnreachedError
			if err := a.Ping(t.Context()); !errors.Is(err, errMoody) || !errors.As(err, &unreached) {
				t.Errorf("without: %v", err)
			}
			down.Store(false)
			<-time.After(a.opts.HeartbeatInterval + time.Second)
			if err := a.Ping(t.Context()); err != nil {
				t.Errorf("with it again: %v", err)
			}
		}
		knowing := newNode(t, func(namespace, uid string) Bus { return pinging{moody{broker.Open(namespace, uid), down}} })
		if err := knowing.Ping(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("where the Bus knows: %v", err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := a.Ping(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}
