package socketio

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// With finds a namespace and keeps none: sends to one that is not there reach nobody.
func TestWith(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	p := h.ofPattern(t, "/room/{id}")
	h.OfFunc(func(context.Context, string, *Handshake) error { return nil }) // knows no child by its name alone
	c := h.dial(t)
	c.connect("/room/1", "")
	emit := func(n *Namespace) error { return n.Emit("hi", n.Name()) }
	for _, name := range []string{"room/1", "/room/2", "/"} {
		if err := h.With(name, emit); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.expect(`2/room/1,["hi","/room/1"]`)
	for name, want := range map[string]error{"/user/1": ErrNoNamespace, "/room/" + string(make([]byte, maxChildName)): ErrNoNamespace} {
		if err := h.With(name, emit); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.With("/room/2", func(n *Namespace) error { return n.Emit("connect") }); !errors.Is(err, ErrReserved) {
		t.Errorf("reserved event: %v", err)
	}
	if err := h.With("/room/2", func(n *Namespace) error { return n.Emit("x", make(chan int)) }); err == nil {
		t.Error("a channel was sent to nobody")
	}
	err := h.With("/room/2", func(n *Namespace) error {
		sockets, err := n.To("r").FetchSockets(t.Context())
		if len(sockets) > 0 {
			t.Errorf("%d sockets", len(sockets))
		}
		return errors.Join(err, second(n.To().EmitWithAck(t.Context(), "q")), n.To().SocketsJoin("r"))
	})
	if err != nil {
		t.Error(err)
	}
	if got := children(p); got != "/room/1" {
		t.Errorf("children %q", got)
	}
	c.close()
	eventually(t, "the child is dropped", func() bool { return children(p) == "" })
}

func second[T any](_ T, err error) error { return err }

// In a cluster a child may be elsewhere: what is sent to it by With gets there.
func TestWithInCluster(t *testing.T) {
	t.Parallel()
	broker := cluster.NewMemory(nil)
	var nodes [2]*harness
	for i := range nodes {
		nodes[i] = serve(t, Options{
			Adapter:       cluster.New(broker.Open, cluster.Options{Logger: slog.New(slog.DiscardHandler)}),
			MaxNamespaces: 1,
		})
		nodes[i].ofPattern(t, "/room/{id}")
	}
	c := nodes[1].dial(t)
	c.connect("/room/1", "")
	emit := func(n *Namespace) error { return n.Emit("hi") }
	for range 2 {
		if err := nodes[0].With("/room/1", emit); err != nil {
			t.Fatal(err)
		}
		c.expect(`2/room/1,["hi"]`)
	}
	// It waits to be used again, and makes room for another.
	if err := errors.Join(nodes[0].With("/room/2", emit), nodes[0].With("/room/1", emit)); err != nil {
		t.Fatal(err)
	}
	c.expect(`2/room/1,["hi"]`)
}

// A child that was made for With is dropped soon after.
func TestWithLeavesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		factory, closed := closings()
		s, err := New(Options{Adapter: factory})
		if err != nil {
			t.Fatal(err)
		}
		p := s.OfRegexp(regexp.MustCompile(`^/room/`))
		var seen *Namespace
		with := func() {
			t.Helper()
			if err := s.With("/room/1", func(n *Namespace) error { seen = n; return n.Emit("x") }); err != nil {
				t.Error(err)
			}
		}
		with()
		first := seen
		for range 3 {
			time.Sleep(linger / 2)
			with()
			if seen != first || len(closed) > 0 {
				t.Error("not used again")
			}
		}
		time.Sleep(linger + time.Second)
		if got := children(p); got != "" || len(closed) != 1 {
			t.Errorf("children %q, %d adapters closed", got, len(closed))
		}
		with()
		if seen == first {
			t.Error("a namespace that was closed is used again")
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A child that is dropped while its parent sends to all of them has nobody, which is no error.
func TestParentBroadcastPassesOverDroppedChildren(t *testing.T) {
	t.Parallel()
	broker := cluster.NewMemory(nil)
	h := serve(t, Options{Adapter: cluster.New(broker.Open, cluster.Options{Logger: slog.New(slog.DiscardHandler)})})
	p := h.ofPattern(t, "/room/{id}")
	if err := h.Of("/room/1").close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Emit("hi"); err != nil {
		t.Error(err)
	}
}
