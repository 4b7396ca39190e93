package socketio

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch/socketio/adapter"
)

// S-44: events of other processes are handled in order, by every handler there is; a panic ends one handler and nothing else.
func TestHandleServerSide(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	got, kept, answered := new(notes), make(chan *ServerEvent, 10), make(chan any, 10)
	off := n.HandleServerSide("x", func(_ context.Context, e *ServerEvent) {
		var i int
		if err := e.Decode(0, &i); err != nil || e.NumArgs() != 1 || !errors.Is(e.Decode(1, &i), ErrNoArgument) {
			t.Errorf("%v, %d arguments", err, e.NumArgs())
		}
		got.add("%s%d", e.Name(), i)
		panic("in a handler") // the next handler runs all the same
	})
	n.HandleServerSide("x", func(ctx context.Context, e *ServerEvent) {
		got.add("%s", e.Raw(0))
		if ctx.Err() != nil {
			t.Error(ctx.Err())
		}
		kept <- e
	})
	n.HandleServerSide("y", func(context.Context, *ServerEvent) { t.Error("the wrong handler") })
	emit := func(event string, arg any, answer func(any) error) {
		values, err := adapter.NewValues(arg)
		if err != nil {
			t.Fatal(err)
		}
		(*host)(n).ServerSideEvent(adapter.ServerEvent{Event: event, Arguments: values, Answer: answer})
	}
	for i := range 5 {
		emit("x", i, nil)
	}
	for range 5 {
		e := within(t, kept)
		if err := e.Ack(1); e.WantsAck() || !errors.Is(err, ErrNoAck) {
			t.Errorf("nobody waits, %v", err)
		}
	}
	if got := got.take(); got != "x0 0 x1 1 x2 2 x3 3 x4 4" {
		t.Error(got)
	}
	off()
	off()
	emit("z", 0, nil)
	emit("x", 7, func(v any) error {
		answered <- v
		return nil
	})
	e := within(t, kept)
	if err := e.Ack(make(chan int)); !e.WantsAck() || !errors.Is(err, errEncode) {
		t.Errorf("unencodable: %v", err)
	}
	if err := errors.Join(e.Ack([]byte("ok"))); err != nil || !errors.Is(e.Ack(1), ErrAcked) {
		t.Error(err)
	}
	var bin []byte
	if err := within(t, answered).(interface{ Decode(any) error }).Decode(&bin); err != nil || string(bin) != "ok" || got.take() != "7" {
		t.Errorf("%q, %v", bin, err)
	}
}

// A handler that waits for something is told when the server ends.
func TestServerSideContext(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	entered, ended := make(chan struct{}), make(chan struct{})
	h.HandleServerSide("x", func(ctx context.Context, _ *ServerEvent) {
		close(entered)
		<-ctx.Done()
		close(ended)
	})
	(*host)(h.Of("/")).ServerSideEvent(adapter.ServerEvent{Event: "x"})
	within(t, entered)
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	within(t, ended)
}

// S-44, S-45: what is refused, and that without a cluster nobody answers.
func TestServerSideEmitAlone(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	for _, event := range []string{"connect", "connection", "new_namespace"} {
		if err := h.ServerSideEmit(event); !errors.Is(err, ErrReserved) {
			t.Errorf("%s: %v", event, err)
		}
	}
	if err := h.ServerSideEmit("x", make(chan int)); !errors.Is(err, errEncode) {
		t.Errorf("unencodable: %v", err)
	}
	h.HandleServerSide("x", func(context.Context, *ServerEvent) { t.Error("told of its own event") })
	answers, err := h.ServerSideEmitWithAck(t.Context(), "x", 1)
	if err := errors.Join(err, h.ServerSideEmit("x")); err != nil || len(answers) != 0 {
		t.Errorf("%v, %v", answers, err)
	}
	if log := h.log.String(); strings.Contains(log, "server-side") {
		t.Error(log)
	}
}

// S-28, S-29: a server speaks for "/", and tells of the namespaces that are made.
func TestServerIsMainNamespace(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	var made []string
	off := h.OnNamespace(func(n *Namespace) {
		made = append(made, n.Name())
		n.Handle("echo", echo)
	})
	h.Of("/")
	h.Of("a")
	h.Of("/a")
	h.Of("/b")
	off()
	h.Of("/c")
	if !slices.Equal(made, []string{"/a", "/b"}) {
		t.Errorf("told of %q", made)
	}
	h.Handle("echo", echo)
	h.Use(func(_ context.Context, s *Socket) error { s.Store("used", true); return nil })
	left := make(chan Reason, 1)
	h.OnDisconnect(func(_ context.Context, _ *Socket, r Reason) { left <- r })
	clients, sockets := gather(t, h, 1)
	if used, _ := sockets[0].Load("used"); used != true {
		t.Error("the middleware has not run")
	}
	clients[0].connect("/b", "")
	clients[0].send(`2/b,0["echo"]`)
	clients[0].expect("3/b,0[]")
	clients[0].send(`20["echo"]`)
	clients[0].expect("30[]")
	for i, emit := range []func(string, ...any) error{
		h.Emit, h.To(sockets[0].ID()).Emit, h.In(sockets[0].ID()).Emit, h.Except("r").Emit, h.Local().Emit, h.Volatile().Emit,
	} {
		if err := emit("x", i); err != nil {
			t.Error(err)
		}
		if got := clients[0].next(); got != `2["x",`+string(rune('0'+i))+"]" {
			t.Errorf("emit %d: %q", i, got)
		}
	}
	if got := slices.Collect(h.Sockets()); len(got) != 1 || got[0] != sockets[0] {
		t.Errorf("sockets %v", got)
	}
	if err := errors.Join(h.SocketsJoin("r", "s"), h.SocketsLeave("s")); err != nil || !slices.Equal(sockets[0].Rooms(), []string{sockets[0].ID(), "r"}) {
		t.Error(err, sockets[0].Rooms())
	}
	if err := h.DisconnectSockets(true); err != nil {
		t.Error(err)
	}
	if r := within(t, left); r != ReasonServerNamespaceDisconnect {
		t.Errorf("left because of %q", r)
	}
}

// S-73: what becomes of rooms.
func TestObserveRooms(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	got := new(notes)
	n := h.Of("/")
	n.ObserveRooms(RoomEvents{
		Create: func(room string) { got.add("create:%.1s", room) }, Delete: func(room string) { got.add("delete:%.1s", room) },
		Join: func(room, id string) { got.add("join:%.1s", room) }, Leave: func(room, id string) { got.add("leave:%.1s", room) },
	})
	n.OnConnection(func(_ context.Context, s *Socket) error {
		got.take() // its own room
		return s.Join("r")
	})
	_, sockets := gather(t, h, 1)
	sockets[0].Leave("r", "s")
	if got := got.take(); got != "create:r join:r leave:r delete:r" {
		t.Error(got)
	}
	if n.Adapter().Len() != 1 {
		t.Error("another adapter")
	}
}
