package socketio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

// notes is safe for concurrent use: what happened, in order.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
}

// take returns them and begins anew.
func (n *notes) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	got := strings.Join(n.list, " ")
	n.list = nil
	return got
}

func (n *notes) handler(name string) Handler {
	return func(_ context.Context, e *Event) { n.add("%s:%s", name, e.Name()) }
}

func (n *notes) middleware(name string, err error) EventMiddleware {
	return func(context.Context, *Event) error {
		n.add("%s", name)
		return err
	}
}

// S-57, S-58, S-60: catch-all listeners, middlewares and handlers of a namespace and of one of its sockets, the order in which
// they run, and that each can be removed.
func TestListeners(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	sockets, got := arrivals(n), new(notes)
	n.Handle("flush", func(_ context.Context, e *Event) { _ = e.Ack(got.take()) })
	c, other := h.dial(t), h.dial(t)
	c.connect("/", "")
	s := within(t, sockets)
	other.connect("/", "")
	within(t, sockets)
	// said is what happened to an event of c.
	said := func(event string) string {
		t.Helper()
		c.send(`2["`+event+`"]`, `21["flush"]`)
		ack, _ := c.next().(string)
		return strings.TrimSuffix(strings.TrimPrefix(ack, `31["`), `"]`)
	}
	var offs []func()
	register := func(off func()) { offs = append(offs, off) }
	register(n.HandleUnknown(got.handler("unknown")))
	if got := said("x"); got != "unknown:x" {
		t.Errorf("no listener: %q", got)
	}
	register(s.Handle("x", got.handler("own")))
	if got := said("x"); got != "own:x" {
		t.Errorf("a handler of the socket: %q", got)
	}
	register(n.Handle("x", got.handler("ns")))
	register(s.Use(got.middleware("own-use", nil)))
	register(n.UseEvent(got.middleware("ns-use", nil)))
	register(s.OnAny(got.handler("own-any")))
	register(n.OnAny(got.handler("ns-any")))
	register(s.PrependAny(got.handler("own-first")))
	register(n.PrependAny(got.handler("ns-first")))
	all := "ns-first:x ns-any:x own-first:x own-any:x ns-use own-use ns:x own:x"
	flush := strings.Join([]string{"", "ns-first:flush ns-any:flush own-first:flush own-any:flush ns-use own-use"}, " ")
	if got := said("x"); got != all+flush {
		t.Errorf("all listeners:\n%q, want\n%q", got, all+flush)
	}
	if got := said("y"); !strings.Contains(got, "own-use unknown:y") {
		t.Errorf("an event without handler: %q", got)
	}
	// Those of one socket are not those of another.
	other.send(`2["x"]`, `21["flush"]`)
	if got := other.next(); got != `31["ns-first:x ns-any:x ns-use ns:x ns-first:flush ns-any:flush ns-use"]` {
		t.Errorf("the other socket: %q", got)
	}
	for _, off := range offs {
		off()
		off() // again is harmless
	}
	if got := said("x"); got != "" {
		t.Errorf("after removal: %q", got)
	}
	if s.listeners.Load() != nil {
		t.Error("listeners that are gone still cost something")
	}

	s.Once("x", got.handler("once"))
	s.Once("x", got.handler("removed"))()
	if got := said("x") + "|" + said("x"); got != "once:x|" {
		t.Errorf("once: %q", got)
	}
	// A middleware may register what then handles the event.
	defer s.Use(func(_ context.Context, e *Event) error {
		if e.Name() == "x" {
			e.Socket().Once("x", got.handler("late"))
		}
		return nil
	})()
	if got := said("x"); got != "late:x" {
		t.Errorf("registered by a middleware: %q", got)
	}
}

// S-66: a middleware's error ends the event and nothing else. Unlike with Node's server the client's acknowledgement comes.
func TestEventMiddlewareRefuses(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	n.Handle("echo", echo)
	n.Handle("x", func(context.Context, *Event) { t.Error("a refused event was handled") })
	for name, err := range map[string]error{
		"plain":      errors.New("not for clients"),
		"full":       &EventError{Code: "RATE", Message: "slow down", Details: map[string]int{"seconds": 3}},
		"wrapped":    fmt.Errorf("not for clients: %w", &EventError{Message: "no"}),
		"unfit":      &EventError{Message: "no", Details: math.NaN()},
		"answered":   &EventError{Message: "too late"},
		"panic":      nil,
		"disconnect": nil,
	} {
		n.UseEvent(func(_ context.Context, e *Event) error {
			var what string
			if e.Name() != "x" || e.Decode(0, &what) != nil || what != name {
				return nil
			}
			switch name {
			case "answered":
				_ = e.Ack("by the middleware")
			case "panic":
				panic("oh") // is its error, of which the client learns nothing
			case "disconnect":
				e.Socket().Disconnect(false)
			}
			return err
		})
	}
	c := h.dial(t)
	c.connect("/", "")
	for i, tt := range []struct{ name, ack string }{
		{"plain", `{"status":"error","code":"INTERNAL","message":"internal server error"}`},
		{"full", `{"status":"error","code":"RATE","message":"slow down","details":{"seconds":3}}`},
		{"wrapped", `{"status":"error","code":"ERROR","message":"no"}`},
		{"unfit", `{"status":"error","code":"ERROR","message":"no"}`},
		{"answered", `"by the middleware"`},
		{"panic", `{"status":"error","code":"INTERNAL","message":"internal server error"}`},
	} {
		c.send(fmt.Sprintf(`2%d["x","%s"]`, i, tt.name), fmt.Sprintf(`2["x","%s"]`, tt.name))
		c.expect(fmt.Sprintf(`3%d[%s]`, i, tt.ack))
	}
	c.send(`277["echo"]`)
	c.expect(`377[]`)
	if log := h.log.String(); !strings.Contains(log, "level=ERROR msg=\"socketio: a middleware refused an event\"") ||
		!strings.Contains(log, "level=DEBUG msg=\"socketio: a middleware refused an event\"") {
		t.Error("what the middlewares returned is not in the log")
	}
	type failure struct {
		event string
		err   error
	}
	failures := make(chan failure, 2)
	off := n.OnError(func(_ context.Context, e *Event, err error) { failures <- failure{e.Name(), err} })
	c.send(`2["x","full"]`)
	var ee *EventError
	if f := within(t, failures); f.event != "x" || !errors.As(f.err, &ee) || ee.Code != "RATE" {
		t.Errorf("OnError got %+v", f)
	}
	off()
	c.send(`2["x","disconnect"]`)
	c.expect("1")
}

// S-59: outgoing listeners hear of emits and broadcasts, once for each socket, and not of acknowledgements.
func TestOnAnyOutgoing(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"plain": {}, "recoverable": {Recovery: new(Recovery)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testOnAnyOutgoing(t, serve(t, o))
		})
	}
}

func testOnAnyOutgoing(t *testing.T, h *harness) {
	n := h.Of("/")
	sockets, got := arrivals(n), new(notes)
	n.Handle("echo", echo)
	listener := func(name string) OutgoingListener {
		return func(_ *Socket, event string, args []any) { got.add("%s:%s%v", name, event, args) }
	}
	var clients [2]*client
	var all [2]*Socket
	for i := range clients {
		clients[i] = h.dial(t)
		clients[i].send("0")
		clients[i].next() // with recovery there is a pid in it
		all[i] = within(t, sockets)
	}
	a, b := all[0], all[1]
	offs := []func(){
		a.OnAnyOutgoing(listener("a")), a.PrependAnyOutgoing(listener("first")),
		b.OnAnyOutgoing(func(s *Socket, event string, args []any) {
			if s != b {
				t.Error("told of another socket")
			}
			got.add("b:%s%v", event, args)
			panic("in a listener") // stops neither the event nor other listeners
		}),
	}
	for _, tt := range []struct {
		emit func() error
		want string
	}{
		{func() error { return a.Emit("x", 1, "two") }, "first:x[1 two] a:x[1 two]"},
		{func() error { return b.Send(t.Context(), "x") }, "b:x[]"},
		{func() error { return n.Emit("all", 1) }, "a:all[1] b:all[1] first:all[1]"},
		{func() error { return a.Broadcast().Emit("others") }, "b:others[]"},
		{func() error { return a.Volatile().Emit("v") }, "first:v[] a:v[]"},
		{func() error { return a.Compress(false).Emit("c", []byte("b")) }, "first:c[[98]] a:c[[98]]"},
		{func() error { clients[0].send(`21["echo"]`); clients[0].expect(); return nil }, ""},
		{func() error { _ = a.Emit("connect"); _ = n.Emit("x", make(chan int)); return nil }, ""},
	} {
		if err := tt.emit(); err != nil {
			t.Error(err)
		}
		list := strings.Split(got.take(), " ")
		if strings.HasPrefix(tt.want, "a:all") {
			slices.Sort(list) // the order of members is not defined
		}
		if got := strings.Join(list, " "); got != tt.want {
			t.Errorf("heard %q, want %q", got, tt.want)
		}
	}
	for _, off := range offs {
		off()
	}
	offs = []func(){n.OnAnyOutgoing(listener("n")), n.PrependAnyOutgoing(listener("n0"))}
	if err := n.Emit("x"); err != nil || got.take() != "n0:x[] n:x[] n0:x[] n:x[]" {
		t.Error("a listener of the namespace does not hear once for each socket", err)
	}
	if _, err := a.Timeout(1).EmitWithAck(t.Context(), "ask"); !errors.Is(err, ErrTimeout) || got.take() != "n0:ask[] n:ask[]" {
		t.Error("a listener does not hear of questions", err)
	}
	for _, off := range offs {
		off()
	}
	if err := n.Emit("x"); err != nil || got.take() != "" {
		t.Error("removed listeners hear", err)
	}

	// Told before the client is: what a listener sends goes ahead of the event.
	off := a.OnAnyOutgoing(func(s *Socket, event string, _ []any) {
		if event != "first" {
			_ = s.Emit("first")
		}
	})
	defer off()
	for _, emit := range []func() error{
		func() error { return a.Emit("second") },
		func() error { return a.Send(t.Context(), "second") },
		func() error { return n.Emit("second") },
	} {
		if err := emit(); err != nil {
			t.Error(err)
		}
		for heard := ""; !strings.HasPrefix(heard, `2["second"`); {
			last := heard
			if heard = fmt.Sprint(clients[0].next()); strings.HasPrefix(heard, `2["second"`) && !strings.HasPrefix(last, `2["first"`) {
				t.Errorf("%s came after %s", heard, last)
			}
		}
	}
}

// S-61: while the disconnecting hooks run, the socket is in its rooms.
func TestDisconnecting(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	sockets, got := arrivals(n), new(notes)
	n.OnDisconnecting(func(_ context.Context, s *Socket, r Reason) {
		_, found := n.Socket(s.ID())
		got.add("disconnecting %q %q %v", r, s.Rooms()[1:], found)
		if err := s.To("r").Emit("bye"); err != nil {
			t.Error(err)
		}
		panic("in a hook") // the other hooks run, and the socket leaves
	})
	n.Hook(Hooks{
		Connection: func(_ context.Context, s *Socket) error {
			if string(s.Handshake().RawAuth()) == `{"no":1}` {
				return errors.New("refused")
			}
			return nil
		},
		Disconnecting: func(context.Context, *Socket, Reason) { got.add("paired") },
	})
	done := make(chan struct{}, 1)
	n.OnDisconnect(func(_ context.Context, s *Socket, r Reason) {
		_, found := n.Socket(s.ID())
		got.add("disconnect %q %q %v", r, s.Rooms()[1:], found)
		done <- struct{}{}
	})
	c, other := h.dial(t), h.dial(t)
	for _, c := range []*client{c, other} {
		c.connect("/", "")
		if err := within(t, sockets).Join("r"); err != nil {
			t.Fatal(err)
		}
	}
	c.send("1")
	other.expect(`2["bye"]`)
	within(t, done)
	if got := got.take(); got != `disconnecting "client namespace disconnect" ["r"] true paired disconnect "client namespace disconnect" ["r"] false` {
		t.Error(got)
	}
	c.send(`0{"no":1}`)
	if answer, _ := c.next().(string); !strings.HasPrefix(answer, "4") {
		t.Errorf("not refused: %q", answer)
	}
	if err := other.conn.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, done)
	if got := got.take(); strings.Count(got, "disconnecting") != 1 {
		t.Errorf("one that was refused has the hook run: %s", got)
	}
}
