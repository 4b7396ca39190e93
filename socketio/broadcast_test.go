package socketio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// S-33, S-55: who gets a broadcast, over the wire.
func TestBroadcast(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/chat")
	sockets := arrivals(n)
	clients := map[string]*client{}
	all := map[string]*Socket{}
	for name, rooms := range map[string][]string{"a": {"r", "s"}, "b": {"r"}, "c": {"s"}, "d": nil} {
		clients[name] = h.dial(t)
		clients[name].connect("/chat", "")
		all[name] = within(t, sockets)
		if err := all[name].Join(rooms...); err != nil {
			t.Fatal(err)
		}
	}
	outsider := h.dial(t)
	outsider.connect("/", "")
	a, b := all["a"], all["b"]
	for i, tt := range []struct {
		emit func(event string, args ...any) error
		want []string
	}{
		{n.Emit, []string{"a", "b", "c", "d"}},
		{n.To("r").Emit, []string{"a", "b"}},
		{n.In("r", "s").Emit, []string{"a", "b", "c"}},
		{n.To("r").To("s").Except("r").Emit, []string{"c"}},
		{n.Except("r", "s").Emit, []string{"d"}},
		{n.Local().Emit, []string{"a", "b", "c", "d"}},
		{n.To(a.ID()).Emit, []string{"a"}},
		{n.To("nobody").Emit, nil},
		{a.Broadcast().Emit, []string{"b", "c", "d"}},
		{a.To("r").Emit, []string{"b"}},
		{a.Local().To("s").Emit, []string{"c"}},
		{a.In("r").In("s").Emit, []string{"b", "c"}},
		{a.Except("s").Emit, []string{"b", "d"}},
		{a.To(b.ID()).Emit, []string{"b"}},
		{a.To(a.ID()).Emit, nil},
	} {
		if err := tt.emit("x", i); err != nil {
			t.Error(err)
		}
		for _, name := range tt.want {
			clients[name].expect(fmt.Sprintf(`2/chat,["x",%d]`, i))
		}
	}
	// Nothing else came to anybody.
	if err := errors.Join(n.Emit("end"), h.Of("/").Emit("end")); err != nil {
		t.Error(err)
	}
	for _, c := range clients {
		c.expect(`2/chat,["end"]`)
	}
	outsider.expect(`2["end"]`)

	// Broadcasts are immutable.
	r := n.To("r")
	r.To("s").Except("x")
	if len(r.sel.Rooms) != 1 || len(r.sel.Except) != 0 {
		t.Errorf("changed to %v", r.sel)
	}
	if got := slices.Sorted(func(yield func(string) bool) {
		for s := range n.Sockets() {
			if !yield(s.ID()) {
				return
			}
		}
	}); len(got) != 4 || n.Len() != 4 {
		t.Errorf("%d sockets, %d members", len(got), n.Len())
	}
	for range n.Sockets() {
		break
	}
	a.Leave("r", a.ID())
	if got := a.Rooms(); !slices.Equal(got, []string{a.ID(), "s"}) {
		t.Errorf("rooms %q", got)
	}
}

// "It must show": four goroutines broadcast to 200 members, and every member sees the same order.
func TestOneOrder(t *testing.T) {
	t.Parallel()
	const members, senders, each = 200, 4, 50
	h := serve(t, Options{})
	n := h.Of("/")
	clients := make([]*client, members)
	for i := range clients {
		clients[i] = h.dial(t)
		clients[i].connect("/", "")
	}
	var wg sync.WaitGroup
	for g := range senders {
		wg.Go(func() {
			for i := range each {
				if err := n.Emit("x", g, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var first []any
	for i, c := range clients {
		var got []any
		for range senders * each {
			got = append(got, c.next())
		}
		if i == 0 {
			first = got
		}
		if !slices.Equal(got, first) {
			t.Fatalf("member %d saw another order", i)
		}
	}
}

// S-56, S-86, S-87: who leaves, who is told, and what becomes of packets that were on their way.
func TestDisconnect(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	root, chat := h.Of("/"), h.Of("/chat")
	rootSockets, chatSockets := arrivals(root), arrivals(chat)
	rootLeft, chatLeft := leavings(root), leavings(chat)
	entered, goOn := make(chan struct{}), make(chan struct{})
	chat.Handle("x", func(_ context.Context, e *Event) {
		entered <- struct{}{}
		<-goOn
		if err := e.Ack(); !errors.Is(err, ErrDisconnected) {
			t.Errorf("acknowledged after Disconnect: %v", err)
		}
	})
	chat.Handle("y", func(context.Context, *Event) { t.Error("an event was handled after Disconnect") })
	root.Handle("echo", echo)

	c := h.dial(t)
	c.connect("/", "")
	c.connect("/chat", "")
	r, s := within(t, rootSockets), within(t, chatSockets)
	c.send(`2/chat,0["x"]`, `2/chat,["y"]`)
	within(t, entered)
	s.Disconnect(false)
	c.expect("1/chat,")
	close(goOn)
	if reason := within(t, chatLeft); reason != ReasonServerNamespaceDisconnect {
		t.Errorf("left because of %q", reason)
	}
	// The client did not know yet.
	c.send(`2/chat,["y"]`, `3/chat,0[]`, `51-/chat,["y",{"_placeholder":true,"num":0}]`, []byte("a"), `20["echo"]`)
	c.expect("30[]")
	s.Disconnect(true) // of one that has left: nothing
	c.connect("/chat", "")
	s = within(t, chatSockets)

	c.send("1/chat,")
	if reason := within(t, chatLeft); reason != ReasonClientNamespaceDisconnect {
		t.Errorf("left because of %q", reason)
	}
	if s.Connected() || !r.Connected() || chat.Len() != 0 || root.Len() != 1 {
		t.Error("the wrong one has left")
	}
	c.connect("/chat", "")
	within(t, chatSockets)
	r.Disconnect(true)
	if a, b := c.next(), c.next(); a != "1" || b != "1/chat," {
		t.Errorf("told %q and %q", a, b)
	}
	c.expectEnd()
	for _, left := range []<-chan Reason{rootLeft, chatLeft} {
		if reason := within(t, left); reason != ReasonServerNamespaceDisconnect {
			t.Errorf("left because of %q", reason)
		}
	}
}

// S-53, architecture 5: events that were read before the client left are handled, then the hooks run; the rooms are still
// known and the socket is nowhere any more.
func TestLeaving(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	entered, goOn, steps := make(chan struct{}), make(chan struct{}), make(chan string, 10)
	n.Handle("x", func(_ context.Context, e *Event) {
		if err := e.Socket().Join("r", "s"); err != nil {
			t.Error(err)
		}
		entered <- struct{}{}
		<-goOn
	})
	n.Handle("y", func(_ context.Context, e *Event) { steps <- fmt.Sprint("y ", e.Socket().Connected()) })
	n.OnDisconnect(func(_ context.Context, s *Socket, r Reason) {
		_, found := n.Socket(s.ID())
		steps <- fmt.Sprintln(r, s.Rooms()[1:], found, n.Len())
	})
	c := h.dial(t)
	c.connect("/", "")
	c.send(`2["x"]`, `2["y"]`)
	within(t, entered)
	c.send("1", "0")
	c.connected("/") // again, while the old one's events wait
	close(goOn)
	for _, want := range []string{"y false", "client namespace disconnect [r s] false 1\n"} {
		if got := within(t, steps); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
