package perch_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/perch-go/perch"
)

// Checks 11 and 12: a service that was made before the app sends by an Emitter.
func TestEmitter(t *testing.T) {
	t.Parallel()
	var zero perch.Emitter
	made := perch.NewEmitter()
	chat := made.Of("chat") // asked for before there is an app
	for name, send := range map[string]func() error{
		"Of":     func() error { return chat.Emit("x") },
		"Emit":   func() error { return zero.Emit("x") },
		"To":     func() error { return zero.To("room").Emit("x") },
		"of the": func() error { return zero.Of("/").Of("chat").Emit("x") },
	} {
		if err := send(); !errors.Is(err, perch.ErrNotStarted) || !strings.Contains(err.Error(), "WithEmitter") {
			t.Errorf("%s without an app: %v", name, err)
		}
	}

	root := handlers(func(r *perch.Router) {
		perch.OnEvent(r, "join", func(ctx context.Context, room string) error { return perch.SocketFrom(ctx).Join(room) })
	})
	_, srv := start(t, perch.WithEmitter(&zero), perch.WithEmitter(made), perch.WithGateways(root, talker()))
	in, out, c := join(t, srv, "/"), join(t, srv, "/"), join(t, srv, "/chat")
	if got := in.ask(`421["join","red"]`); got != "431[]" {
		t.Fatalf("join: %s", got)
	}
	for _, tt := range []struct {
		said string
		send func() error
		to   []*client
	}{
		{"everyone", func() error { return zero.Emit("said", "everyone") }, []*client{in, out}},
		{"to", func() error { return zero.To("red").Emit("said", "to") }, []*client{in}},
		{"in", func() error { return made.In("red").Emit("said", "in") }, []*client{in}},
		{"except", func() error { return made.Except("red").Emit("said", "except") }, []*client{out}},
		{"root", func() error { return chat.Of("/").Emit("said", "root") }, []*client{in, out}},
	} {
		if err := tt.send(); err != nil {
			t.Errorf("%s: %v", tt.said, err)
		}
		for _, to := range tt.to {
			to.want(`42["said","` + tt.said + `"]`)
		}
	}
	if err := errors.Join(chat.Emit("said", "hi"), zero.Of("/chat").To().Emit("said", "again")); err != nil {
		t.Error(err)
	}
	c.want(`42/chat,["said","hi"]`, `42/chat,["said","again"]`) // and nothing of the above
	if chat.Namespace() != "/chat" || chat.Len() != 1 {
		t.Errorf("%s has %d sockets", chat.Namespace(), chat.Len())
	}
	if err := zero.Of("news").Emit("x"); !errors.Is(err, perch.ErrNoNamespace) || !strings.Contains(err.Error(), "/news") {
		t.Errorf("unknown namespace: %v", err)
	}
}

// A namespace is found on whichever server it is; one that is on several is not chosen
// from.
func TestEmitterFindsServer(t *testing.T) {
	t.Parallel()
	var e perch.Emitter
	_, srv := start(t, perch.WithEmitter(&e), perch.WithGateways(
		&gateway{options: perch.Options{Namespace: "chat"}},
		&gateway{options: perch.Options{Namespace: "news", Path: "/other/socket.io"}},
		&gateway{options: perch.Options{Namespace: "chat", Path: "/other/socket.io"}},
	))
	c := dialURL(t, srv.Client(), srv.URL+"/other")
	for _, n := range []string{"news", "chat"} {
		if got := c.ask("40/" + n + ","); !strings.HasPrefix(got, "40/"+n+",{") {
			t.Fatalf("CONNECT to %s: %s", n, got)
		}
	}
	if err := e.Of("news").Emit("said", "news"); err != nil {
		t.Error(err)
	}
	c.want(`42/news,["said","news"]`)

	err := e.Of("chat").Emit("x")
	const want = "perch: the namespace is on several servers: /chat is that of *perch_test.gateway (path /socket.io/)" +
		" and of *perch_test.gateway (path /other/socket.io/): send by the Server of the gateway that is meant"
	if !errors.Is(err, perch.ErrAmbiguousNamespace) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := e.Of("news").Of("chat").Emit("said", "chat"); err != nil { // a way to say which
		t.Error(err)
	}
	c.want(`42/chat,["said","chat"]`)
	// No gateway is on "/", which is therefore nobody's to send to, though clients may be there.
	if err := e.Emit("x"); !errors.Is(err, perch.ErrNoNamespace) {
		t.Errorf("root without gateway: %v", err)
	}
}

// An Emitter belongs to one app, of which New makes sure; a New that fails gives it back.
func TestEmitterBelongsToOneApp(t *testing.T) {
	t.Parallel()
	var e perch.Emitter
	fails := func(want string, options ...perch.Option) {
		t.Helper()
		if _, err := perch.New(append(options, quiet())...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	fails("the same Emitter is given twice", perch.WithEmitter(&e), perch.WithEmitter(&e), perch.WithGateways(handlers(nil)))
	fails("the Emitter is nil", perch.WithEmitter(nil), perch.WithGateways(handlers(nil)))
	fails("the app has no gateway", perch.WithEmitter(&e))

	app, err := perch.New(quiet(), perch.WithEmitter(&e), perch.WithGateways(handlers(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Emit("x"); !errors.Is(err, perch.ErrNotStarted) || strings.Contains(err.Error(), "WithEmitter") {
		t.Errorf("before Start: %v", err)
	}
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Shutdown(context.Background()) }()
	if err := e.Emit("x"); err != nil {
		t.Error(err)
	}
	fails("the Emitter is part of another app already", perch.WithEmitter(&e), perch.WithGateways(handlers(nil)))
	if err := e.Emit("x"); err != nil {
		t.Errorf("after another app wanted it: %v", err)
	}
}
