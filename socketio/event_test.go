package socketio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/perch-go/perch/socketio/parser"
)

// Spec 3.4: events, their arguments, and which handlers run.
func TestEvents(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/chat")
	got := make(chan string, 10)
	n.Handle("x", func(ctx context.Context, e *Event) {
		var s string
		var point struct{ X, Y int }
		if err := errors.Join(e.Decode(0, &s), e.Decode(1, &point)); err != nil {
			t.Error(err)
		}
		got <- fmt.Sprint("first ", e.Name(), " ", e.NumArgs(), s, point, string(e.Raw(1)), e.Raw(2) == nil, e.Raw(-1) == nil, e.WantsAck())
		if err := e.Decode(2, &s); !errors.Is(err, ErrNoArgument) {
			t.Errorf("missing argument: %v", err)
		}
		var de *parser.DecodeError
		if err := e.Decode(0, &point); !errors.As(err, &de) {
			t.Errorf("argument of another type: %v", err)
		}
		if err := e.Ack(); !errors.Is(err, ErrNoAck) {
			t.Errorf("ack nobody wants: %v", err)
		}
		if err := e.Acker().Ack(); !errors.Is(err, ErrNoAck) {
			t.Errorf("ack nobody wants: %v", err)
		}
	})
	n.Handle("x", func(_ context.Context, e *Event) { got <- "second " + e.Name() })
	n.HandleUnknown(func(_ context.Context, e *Event) { got <- "unknown " + e.Name() })
	c := h.dial(t)
	c.connect("/chat", "")
	c.send(`2/chat,["x","\u00e9",{"x":1,"y":2}]`, `2/chat,[7]`, `2/chat,["y\n"]`)
	for _, want := range []string{`first x 2é{1 2}{"x":1,"y":2}true true false`, "second x", "unknown 7", "unknown y\n"} {
		if got := within(t, got); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// S-72: an event is acknowledged once, by the handler or later.
func TestAck(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	ackers := make(chan *Acker, 10)
	n.Handle("echo", echo)
	n.Handle("twice", func(_ context.Context, e *Event) {
		if err := e.Ack(math.NaN()); err == nil || errors.Is(err, ErrAcked) {
			t.Errorf("unencodable: %v", err)
		}
		if err := e.Ack("ok"); err != nil {
			t.Error(err)
		}
		if err := e.Ack("again"); !errors.Is(err, ErrAcked) {
			t.Errorf("second: %v", err)
		}
		if err := e.Acker().Ack("again"); !errors.Is(err, ErrAcked) {
			t.Errorf("third: %v", err)
		}
	})
	n.Handle("later", func(_ context.Context, e *Event) { ackers <- e.Acker() })
	n.Handle("both", func(_ context.Context, e *Event) {
		a := e.Acker()
		if err := errors.Join(a.Ack(1)); err != nil || !errors.Is(e.Ack(2), ErrAcked) || a != e.Acker() {
			t.Error("an acker and its event do not agree")
		}
	})
	c := h.dial(t)
	c.connect("/", "")
	c.send(`20["echo"]`, `21["echo",1,"<&>",null]`, `22["twice"]`, `29007199254740992["both"]`, `23["later"]`)
	c.expect("30[]", `31[1,"<&>",null]`, `32["ok"]`, `39007199254740992[1]`)
	a := within(t, ackers)
	if err := a.Ack(make(chan int)); err == nil {
		t.Error("unencodable was acknowledged")
	}
	if err := a.Ack([]byte("bin")); err != nil {
		t.Error(err)
	}
	c.expect(`61-3[{"_placeholder":true,"num":0}]`, []byte("bin"))
	c.send(`24["later"]`)
	a = within(t, ackers)
	c.close()
	within(t, a.socket.Done())
	if err := a.Ack(); !errors.Is(err, ErrDisconnected) {
		t.Errorf("after the client has left: %v", err)
	}
}

type upload struct {
	Name string   `json:"name"`
	Data blob     `json:"data"`
	More [][]byte `json:"more"`
}

type blob []byte

// Attachments anywhere in a value, both ways, never base64 (peers, Z "Silent encode loss").
func TestAttachments(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	kept := make(chan upload, 1)
	n.Handle("up", func(_ context.Context, e *Event) {
		var u upload
		if err := e.Decode(0, &u); err != nil {
			t.Error(err)
		}
		kept <- u
		if err := errors.Join(e.Socket().Emit("up", u), n.Emit("all", map[string]any{"b": u.Data}), e.Ack(u.More)); err != nil {
			t.Error(err)
		}
	})
	c, other := h.dial(t), h.dial(t)
	c.connect("/", "")
	other.connect("/", "")
	const ph = `{"_placeholder":true,"num":%d}`
	// Attachment 1 is referred to first, 3 never.
	c.send(fmt.Sprintf(`54-7["up",{"name":"n","data":`+ph+`,"more":[`+ph+`,`+ph+`]}]`, 1, 0, 2),
		[]byte("zero"), []byte("one"), []byte{}, []byte("unused"))
	u := within(t, kept)
	if u.Name != "n" || string(u.Data) != "one" || len(u.More) != 2 || string(u.More[0]) != "zero" || len(u.More[1]) != 0 {
		t.Errorf("got %+v", u)
	}
	c.expect(fmt.Sprintf(`53-["up",{"name":"n","data":`+ph+`,"more":[`+ph+`,`+ph+`]}]`, 0, 1, 2), []byte("one"), []byte("zero"), []byte{})
	all := fmt.Sprintf(`51-["all",{"b":`+ph+`}]`, 0)
	c.expect(all, []byte("one"))
	other.expect(all, []byte("one"))
	c.expect(fmt.Sprintf(`62-7[[`+ph+`,`+ph+`]]`, 0, 1), []byte("zero"), []byte{})
}

// S-93, S-94 and "It must show": whatever is no valid packet, or comes at the wrong time, ends that connection and no other.
func TestInvalidPackets(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	n.Handle("echo", echo)
	left := leavings(n)
	n.Handle("x", func(context.Context, *Event) { t.Error("an invalid packet was handled") })
	bystander := h.dial(t)
	bystander.connect("/", "")
	ack := 0
	for name, tt := range map[string]struct {
		packets []any
		reason  Reason
	}{
		"empty":                        {[]any{""}, ReasonForcedClose},
		"unknown type":                 {[]any{"9"}, ReasonForcedClose},
		"event name is an object":      {[]any{`2[{"toString":"x"}]`}, ReasonForcedClose},
		"reserved event name":          {[]any{`2["disconnect"]`}, ReasonForcedClose},
		"no payload":                   {[]any{"2"}, ReasonForcedClose},
		"empty array":                  {[]any{"2[]"}, ReasonForcedClose},
		"payload of DISCONNECT":        {[]any{"1{}"}, ReasonForcedClose},
		"CONNECT_ERROR":                {[]any{`4{"message":"x"}`}, ReasonForcedClose},
		"no attachments":               {[]any{`50-["x"]`}, ReasonForcedClose},
		"11 attachments":               {[]any{`511-["x"]`}, ReasonForcedClose},
		"placeholder out of range":     {[]any{`51-["x",{"_placeholder":true,"num":1}]`, []byte("a")}, ReasonForcedClose},
		"placeholder is no number":     {[]any{`51-["x",{"_placeholder":true,"num":"splice"}]`, []byte("a")}, ReasonForcedClose},
		"nested too deep":              {[]any{`2["x",` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "]"}, ReasonForcedClose},
		"unannounced attachment":       {[]any{[]byte("a")}, ReasonForcedClose},
		"text instead of attachment":   {[]any{`51-["x",{"_placeholder":true,"num":0}]`, `2["x"]`}, ReasonForcedClose},
		"one attachment too many":      {[]any{`51-["echo",{"_placeholder":true,"num":0}]`, []byte("a"), []byte("b")}, ReasonForcedClose},
		"second CONNECT":               {[]any{"0"}, ReasonForcedServerClose},
		"namespace not joined":         {[]any{`2/chat,["x"]`}, ReasonForcedServerClose},
		"ack to namespace not joined":  {[]any{`3/chat,1[]`}, ReasonForcedServerClose},
		"binary to one not joined":     {[]any{`51-/chat,["x",{"_placeholder":true,"num":0}]`, []byte("a")}, ReasonForcedServerClose},
		"DISCONNECT without CONNECT":   {[]any{"1/chat,"}, ReasonForcedServerClose},
		"packet after the one too bad": {[]any{"9", `2["x"]`, []byte("a"), "0/chat,"}, ReasonForcedClose},
	} {
		c := h.dial(t)
		c.connect("/", "")
		c.send(tt.packets...)
		for m := c.next(); m != nil; m = c.next() {
			t.Errorf("%s: answered with %q", name, m)
		}
		if r := within(t, left); r != tt.reason {
			t.Errorf("%s: left because of %q, want %q", name, r, tt.reason)
		}
		bystander.send(fmt.Sprintf(`2%d["echo","`+name+`"]`, ack))
		bystander.expect(fmt.Sprintf(`3%d["`+name+`"]`, ack))
		ack++
	}
	if n.Len() != 1 {
		t.Errorf("%d members are left", n.Len())
	}
}

// A handler that panics, or ends its goroutine, ends nothing else.
func TestPanic(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	n.Handle("panic", func(context.Context, *Event) { panic("oops") })
	n.Handle("panic", echo)
	n.Handle("exit", func(context.Context, *Event) { new(testing.T).FailNow() }) // runtime.Goexit
	n.Handle("echo", echo)
	n.OnConnection(func(_ context.Context, s *Socket) error {
		if string(s.Handshake().RawAuth()) == `{"exit":true}` {
			new(testing.T).FailNow()
		}
		return nil
	})
	n.OnDisconnect(func(context.Context, *Socket, Reason) { panic("oops again") })
	left := leavings(n)
	c := h.dial(t)
	c.send(`0{"exit":true}`)
	c.expect(`4{"message":"internal server error"}`)
	c.connect("/", "")
	c.send(`20["panic",1]`, `21["exit"]`, `22["echo",2]`)
	c.expect("30[1]", "32[2]")
	if log := h.log.String(); !strings.Contains(log, "oops") || !strings.Contains(log, "level=ERROR msg=\"socketio: panic in a handler\"") || !strings.Contains(log, "event_test.go") {
		t.Error("the panic is not in the log, or not where it happened")
	}
	c.send("1")
	if r := within(t, left); r != ReasonClientNamespaceDisconnect {
		t.Errorf("left because of %q", r)
	}
}

// S-34, engine rule 11: what cannot be sent is an error, and nothing is sent.
func TestEmitErrors(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	sockets := arrivals(n)
	c := h.dial(t)
	c.connect("/", "")
	s := within(t, sockets)
	for name, emit := range map[string]func(event string, args ...any) error{
		"socket":    s.Emit,
		"send":      func(event string, args ...any) error { return s.Send(t.Context(), event, args...) },
		"volatile":  s.Volatile().Emit,
		"namespace": n.Emit,
		"room":      n.To("r", s.ID()).Emit,
		"request": func(event string, args ...any) error {
			_, err := s.EmitWithAck(t.Context(), event, args...)
			return err
		},
	} {
		err := emit("disconnect")
		if !errors.Is(err, ErrReserved) || err.Error() != `"disconnect" is a reserved event name` {
			t.Errorf("%s: reserved: %v", name, err)
		}
		if err := emit("x", math.NaN()); err == nil || !strings.Contains(err.Error(), `event "x"`) {
			t.Errorf("%s: NaN: %v", name, err)
		}
		if err := emit("x", func() {}); err == nil {
			t.Errorf("%s: func: %v", name, err)
		}
	}
	if err := errors.Join(s.Emit("done"), s.Send(t.Context(), "sent")); err != nil {
		t.Error(err)
	}
	c.expect(`2["done"]`, `2["sent"]`)
	s.Disconnect(false)
	for name, err := range map[string]error{
		"emit":     s.Emit("x"),
		"volatile": s.Volatile().Emit("x"),
		"join":     s.Join("r"),
		"bytes":    s.Emit("x", []byte{1}),
	} {
		if !errors.Is(err, ErrDisconnected) {
			t.Errorf("%s after leaving: %v", name, err)
		}
	}
	c.expect("1")
}

// S-67: a volatile event is dropped when the client cannot be written to now, and whole: a header never without its attachment.
func TestVolatile(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	sockets := arrivals(n)
	p := h.poll(t)
	p.post("0")
	s := within(t, sockets)
	if got, want := p.get(), `40{"sid":"`+s.ID()+`"}`; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
	// No poll is pending.
	if err := errors.Join(s.Volatile().Emit("a"), s.Volatile().Emit("b", []byte{1}), n.Volatile().Emit("c", []byte{2}), s.Emit("d")); err != nil {
		t.Error(err)
	}
	if got := p.get(); got != `42["d"]` {
		t.Errorf("got %q", got)
	}
	p.follow()

	c := h.dial(t)
	c.connect("/", "")
	s = within(t, sockets)
	if err := errors.Join(s.Volatile().Emit("a", []byte{1})); err != nil {
		t.Error(err)
	}
	c.expect(`51-["a",{"_placeholder":true,"num":0}]`, []byte{1})
}

// Data of a socket (S-51) and its owner.
func TestData(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	sockets := arrivals(h.Of("/"))
	h.dial(t).connect("/", "")
	s := within(t, sockets)
	if _, ok := s.Load("k"); ok || s.Owner() != nil {
		t.Error("something from nothing")
	}
	s.Store("k", 1)
	s.SetOwner("o")
	if v, ok := s.Load("k"); v != 1 || !ok || s.Owner() != "o" {
		t.Errorf("%v, %v", v, s.Owner())
	}
	if !bytes.Equal(s.Handshake().RawAuth(), []byte("{}")) || s.Namespace() != h.Of("/") || s.Namespace().Server() != h.Server {
		t.Error("not where it is")
	}
}

// N-27: what runs aside does not keep the socket's next event waiting; the disconnect hooks wait for it, and it may answer.
func TestEventGo(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	release, done := make(chan struct{}), make(chan string, 10)
	n.Handle("slow", func(_ context.Context, e *Event) {
		e.Go(func() {
			<-release
			var n int
			err := e.Decode(0, &n)
			done <- fmt.Sprint(e.Name(), n, err, e.Ack(n), errors.Is(e.Ack(n), ErrAcked))
			panic("aside")
		})
	})
	n.Handle("next", func(_ context.Context, e *Event) { _ = e.Ack() })
	n.OnDisconnect(func(context.Context, *Socket, Reason) { done <- "left" })
	c := h.dial(t)
	c.connect("/", "")
	c.send(`21["slow",5]`, `22["next"]`)
	c.expect(`32[]`)
	close(release)
	c.expect(`31[5]`)
	c.send("1")
	for _, want := range []string{"slow5 <nil> <nil> true", "left"} {
		if got := within(t, done); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
