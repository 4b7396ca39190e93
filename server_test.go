package perch_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio"
)

// talker has a handler for each way of sending.
func talker() *gateway {
	g := &gateway{options: perch.Options{Namespace: "chat"}}
	g.register = func(r *perch.Router) {
		perch.OnEvent(r, "join", func(ctx context.Context, room string) error { return perch.SocketFrom(ctx).Join(room) })
		perch.OnEvent(r, "leave", func(ctx context.Context, room string) error {
			perch.SocketFrom(ctx).Leave(room)
			return nil
		})
		perch.OnEvent(r, "all", func(_ context.Context, text string) error { return g.Server().Emit("said", text) })
		perch.OnEvent(r, "room", func(_ context.Context, room string) error { return g.Server().To(room).Emit("said", room) })
		perch.OnEvent(r, "others", func(ctx context.Context, room string) error {
			return perch.SocketFrom(ctx).To(room).Emit("said", room)
		})
		perch.OnEvent(r, "except", func(_ context.Context, room string) error { return g.Server().Except(room).Emit("said", room) })
		perch.OnEvent(r, "volatile", func(_ context.Context, text string) error {
			return g.Server().In().Volatile().Local().Emit("said", text)
		})
		perch.On(r, "ask", func(ctx context.Context, what string) (string, error) {
			answer, err := perch.SocketFrom(ctx).EmitWithAck(ctx, "question", what)
			if err != nil {
				return "", err
			}
			var text string
			return text, errors.Join(answer.Decode(0, &text), nil)
		})
		perch.On(r, "id", func(ctx context.Context, _ perch.None) (string, error) { return perch.SocketFrom(ctx).ID(), nil })
		perch.OnEvent(r, "to id", func(_ context.Context, id string) error {
			s, ok := g.Server().Socket(id)
			if !ok {
				return perch.Errorf("NOBODY", "nobody")
			}
			return s.Emit("said", "for you")
		})
	}
	return g
}

// Checks 11 and 12: the server's sends reach exactly those they are for.
func TestBroadcast(t *testing.T) {
	t.Parallel()
	g := talker()
	srv := serve(t, g)
	a, b, c := join(t, srv, "/chat"), join(t, srv, "/chat"), join(t, srv, "/chat")
	for _, in := range []*client{a, b} {
		if got := in.ask(`42/chat,1["join","red"]`); got != `43/chat,1[]` {
			t.Fatalf("join: %s", got)
		}
	}
	everyone := []*client{a, b, c}
	for _, tt := range []struct {
		send string
		said string
		to   []*client
	}{
		{`42/chat,["all","hi"]`, "hi", everyone},
		{`42/chat,["room","red"]`, "red", []*client{a, b}},
		{`42/chat,["others","red"]`, "red", []*client{b}},
		{`42/chat,["except","red"]`, "red", []*client{c}},
		{`42/chat,["volatile","v"]`, "v", everyone},
		{`42/chat,["room","nobody"]`, "", nil},
	} {
		a.send(tt.send)
		for _, to := range tt.to {
			to.want(`42/chat,["said","` + tt.said + `"]`)
		}
		// Nothing else has come: the next is the answer to a question of each one's own.
		for _, who := range everyone {
			if got := who.ask(`42/chat,2["join","blue"]`); got != `43/chat,2[]` {
				t.Fatalf("%s: unexpected %s", tt.send, got)
			}
		}
	}

	if n := g.Server().Len(); n != 3 {
		t.Errorf("%d sockets", n)
	}
	n := 0
	for s := range g.Server().Sockets() {
		if n++; s.Namespace() != "/chat" || !s.Connected() || s.Transport() != "websocket" {
			t.Errorf("socket %s is in %s over %s", s.ID(), s.Namespace(), s.Transport())
		}
	}
	if n != 3 {
		t.Errorf("%d sockets in Sockets", n)
	}
}

// A handler that asks the client that called it gets its answer (engine rule 6).
func TestAskBack(t *testing.T) {
	t.Parallel()
	c := join(t, serve(t, talker()), "/chat")
	c.send(`42/chat,1["ask","why"]`)
	c.want(`42/chat,0["question","why"]`)
	c.send(`43/chat,0["because"]`)
	c.want(`43/chat,1["because"]`)
}

func TestSocketByID(t *testing.T) {
	t.Parallel()
	srv := serve(t, talker())
	a, b := join(t, srv, "/chat"), join(t, srv, "/chat")
	var id []string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(a.ask(`42/chat,1["id"]`), `43/chat,1`)), &id); err != nil {
		t.Fatal(err)
	}
	b.send(`42/chat,["to id","` + id[0] + `"]`)
	a.want(`42/chat,["said","for you"]`)
	if got := b.ask(`42/chat,3["to id","x"]`); got != `43/chat,3[{"status":"error","code":"NOBODY","message":"nobody"}]` {
		t.Errorf("got %s", got)
	}
}

// Base.Server is never nil; Of finds the namespaces of other gateways only.
func TestServerOf(t *testing.T) {
	t.Parallel()
	chat, news := talker(), &gateway{options: perch.Options{Namespace: "news"}}
	other := chat.Server().Of("news") // asked for before there is an app
	if err := other.Emit("x"); !errors.Is(err, perch.ErrNotStarted) {
		t.Errorf("before New: %v", err)
	}
	srv := serve(t, chat, news)
	c := join(t, srv, "/news")
	if err := other.Emit("said", "news"); err != nil {
		t.Error(err)
	}
	c.want(`42/news,["said","news"]`)
	if err := other.Of("chat").Of("/news").To().Emit("said", "again"); err != nil {
		t.Error(err)
	}
	c.want(`42/news,["said","again"]`)
	if err := chat.Server().Of("elsewhere").Emit("x"); !errors.Is(err, perch.ErrNoNamespace) {
		t.Errorf("unknown namespace: %v", err)
	}
	if got := dial(t, srv).ask("40/elsewhere,"); got != `44/elsewhere,{"message":"Invalid namespace"}` {
		t.Errorf("asking for a namespace has made it: %s", got)
	}
	if got, want := chat.Server().Namespace()+other.Namespace(), "/chat/news"; got != want {
		t.Errorf("names %s, want %s", got, want)
	}
}

// Every send returns its error (engine rule 11).
func TestSendErrors(t *testing.T) {
	t.Parallel()
	g := talker()
	c := join(t, serve(t, g), "/chat")
	if err := g.Server().Emit("connect"); !errors.Is(err, socketio.ErrReserved) {
		t.Errorf("reserved name: %v", err)
	}
	if err := g.Server().Emit("x", make(chan int)); err == nil {
		t.Error("a channel was sent")
	}
	if got := c.ask(`42/chat,1["join","room"]`); got != `43/chat,1[]` {
		t.Errorf("something was sent: %s", got)
	}
}

// N-9: the root namespace takes clients though no gateway is there, and answers.
func TestRootWithoutGateway(t *testing.T) {
	t.Parallel()
	c := join(t, serve(t, talker()), "/")
	if got := c.ask(`421["x"]`); !strings.Contains(got, "UNKNOWN_EVENT") {
		t.Errorf("got %s", got)
	}
}
