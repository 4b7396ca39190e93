package perch_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio"
)

type account struct {
	Name string `json:"name"`
}

func (a account) Validate() error {
	if a.Name == "" {
		return errors.New("no name")
	}
	return nil
}

var (
	userKey  = perch.NewKey[account]("user")
	countKey = perch.NewKey[int]("count")
)

// N-18, checks 3 and 4: every gateway of a namespace gets each client once, before
// its messages, and once when it leaves; it is the same socket, with its data.
func TestHooks(t *testing.T) {
	t.Parallel()
	calls := make(chan string, 100)
	lifetime := func(name string) *hooked {
		return &hooked{
			gateway: gateway{options: perch.Options{Namespace: "chat"}},
			onConnection: func(ctx context.Context, s *perch.Socket) error {
				if perch.SocketFrom(ctx) != s {
					t.Error("the context's socket is another")
				}
				countKey.Set(s, countKey.Value(s)+1)
				calls <- name + " connect"
				return s.Join("lobby")
			},
			onDisconnect: func(_ context.Context, s *perch.Socket, reason perch.Reason) {
				if got := s.Rooms(); !slices.Contains(got, "lobby") {
					t.Errorf("rooms at the end: %q", got)
				}
				calls <- name + " " + string(reason)
			},
		}
	}
	a, b := lifetime("a"), lifetime("b")
	a.register = func(r *perch.Router) {
		perch.On(r, "count", func(ctx context.Context, _ perch.None) (int, error) {
			s := perch.SocketFrom(ctx)
			calls <- "message"
			return countKey.Value(s), nil
		})
	}
	c := join(t, serve(t, a, b), "/chat")
	if got := c.ask(`42/chat,1["count"]`); got != `43/chat,1[2]` {
		t.Errorf("got %s", got)
	}
	c.send("41/chat,")
	for _, want := range []string{"a connect", "b connect", "message", "a client namespace disconnect", "b client namespace disconnect"} {
		if got := receive(t, calls); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Architecture section 5, Connect: a refusal is connect_error with message and data;
// gateways that had accepted are told, those not asked any more are not.
func TestRefusal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  func() error
		want string
	}{
		{"an Error", func() error {
			return &perch.Error{Code: "BANNED", Message: "go away", Details: map[string]int{"days": 3}}
		}, `44{"message":"go away","data":{"code":"BANNED","details":{"days":3}}}`},
		{"any other error", func() error { return errors.New("password is 123") },
			`44{"message":"Internal server error","data":{"code":"INTERNAL"}}`},
		{"a panic", func() error { panic("password is 123") },
			`44{"message":"Internal server error","data":{"code":"INTERNAL"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			left := make(chan string, 10)
			leaving := func(name string) func(context.Context, *perch.Socket, perch.Reason) {
				return func(context.Context, *perch.Socket, perch.Reason) { left <- name }
			}
			accepts := &hooked{onDisconnect: leaving("accepts")}
			accepts.onConnection = func(_ context.Context, s *perch.Socket) error { return s.Emit("never", "seen") }
			refuses := &hooked{onDisconnect: leaving("refuses")}
			refuses.onConnection = func(context.Context, *perch.Socket) error { return tt.err() }
			unasked := &hooked{onDisconnect: leaving("unasked")}
			unasked.onConnection = func(context.Context, *perch.Socket) error {
				t.Error("asked after a refusal")
				return nil
			}
			var book logbook
			app, srv := start(t, perch.WithLogger(book.logger()), perch.WithGateways(accepts, refuses, unasked))
			c := dial(t, srv)
			if got := c.ask("40"); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			if n := accepts.Server().Len(); n != 0 {
				t.Errorf("%d sockets in the namespace", n)
			}
			c.drop()
			if err := app.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			close(left)
			if got := slices.Collect(chanSeq(left)); !slices.Equal(got, []string{"accepts"}) {
				t.Errorf("told: %q, want only the one that had accepted", got)
			}
			if strings.Contains(tt.want, "INTERNAL") != strings.Contains(book.String(), "password is 123") {
				t.Errorf("the log says %s", book.String())
			}
		})
	}
}

func chanSeq[T any](ch <-chan T) func(yield func(T) bool) {
	return func(yield func(T) bool) {
		for v := range ch {
			if !yield(v) {
				return
			}
		}
	}
}

// Architecture section 5, Connect: what is sent to a socket in its connection hook,
// by broadcast too, arrives behind the reply; waiting for it there is an error.
func TestSendsInConnectionHook(t *testing.T) {
	t.Parallel()
	waited := make(chan error, 1)
	g := &hooked{}
	g.onConnection = func(ctx context.Context, s *perch.Socket) error {
		_, err := s.EmitWithAck(ctx, "question")
		waited <- err
		return errors.Join(s.Emit("own", 1), s.Join("room"), g.Server().To("room").Emit("broadcast", 2))
	}
	c := join(t, serve(t, g), "/") // checks that the reply is first
	c.want(`42["own",1]`, `42["broadcast",2]`)
	if err := receive(t, waited); !errors.Is(err, socketio.ErrConnecting) {
		t.Errorf("EmitWithAck in the hook: %v", err)
	}
}

// Messages wait for the hook (N-18 is changed, #882).
func TestMessagesWaitForConnectionHook(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g := &hooked{}
	g.onConnection = func(_ context.Context, s *perch.Socket) error {
		<-release
		countKey.Set(s, 7)
		return nil
	}
	g.register = func(r *perch.Router) {
		perch.On(r, "count", func(ctx context.Context, _ perch.None) (int, error) {
			return countKey.Value(perch.SocketFrom(ctx)), nil
		})
	}
	c := dial(t, serve(t, g))
	c.send("40")
	c.send(`421["count"]`)
	close(release)
	if got := c.next(); !strings.HasPrefix(got, `40{"sid":`) {
		t.Errorf("got %s", got)
	}
	c.want(`431[7]`)
}

// A connection hook that takes too long is ended with the connect timeout.
func TestConnectTimeoutBoundsHooks(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	g := &hooked{onConnection: func(ctx context.Context, _ *perch.Socket) error {
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	}}
	_, srv := start(t, perch.WithConnectTimeout(50*time.Millisecond), perch.WithGateways(g))
	c := dial(t, srv)
	c.send("40")
	receive(t, ended)
	if got := c.packet(); !strings.HasPrefix(got, "44") && got != "1" && !strings.HasPrefix(got, "closed") && got != "41" {
		t.Errorf("got %s", got)
	}
}

// Auth is decoded and validated like a payload, and its error is a refusal.
func TestAuth(t *testing.T) {
	t.Parallel()
	g := &hooked{onConnection: func(ctx context.Context, s *perch.Socket) error {
		user, err := perch.Auth[account](ctx)
		if err != nil {
			return err
		}
		userKey.Set(s, user)
		return s.Emit("hello", userKey.Value(s).Name)
	}}
	g.options.Namespace = "in"
	optional := &hooked{onConnection: func(ctx context.Context, s *perch.Socket) error {
		auth, err := perch.Auth[map[string]any](ctx)
		if err != nil {
			return err
		}
		return s.Emit("hello", auth)
	}}
	optional.options.Namespace = "optional"
	srv := serve(t, g, optional)
	for _, tt := range []struct{ send, want string }{
		{`40/in,{"name":"ann"}`, `42/in,["hello","ann"]`},
		{`40/in,{"name":""}`, `44/in,{"message":"no name","data":{"code":"INVALID"}}`},
		{`40/in,`, `44/in,{"message":"no name","data":{"code":"INVALID"}}`},
		{`40/in,{"name":1}`, `44/in,{"message":"the payload does not fit at name: unexpected number","data":{"code":"BAD_PAYLOAD","details":{"path":"name"}}}`},
		{`40/optional,`, `42/optional,["hello",{}]`},
		{`40/optional,{"name":"ann"}`, `42/optional,["hello",{"name":"ann"}]`},
	} {
		t.Run(tt.send, func(t *testing.T) {
			t.Parallel()
			c := dial(t, srv)
			got := c.ask(tt.send)
			if strings.HasPrefix(got, "40") {
				got = c.next()
			}
			if got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// A handler called directly has no socket, and no nil to trip over.
func TestNoSocket(t *testing.T) {
	t.Parallel()
	s := perch.SocketFrom(context.Background())
	if s == nil {
		t.Fatal("nil")
	}
	userKey.Set(s, account{Name: "ann"})
	if v, ok := userKey.Lookup(s); ok || v.Name != "" {
		t.Errorf("a socket without connection keeps %v", v)
	}
	s.Leave("room")
	s.Disconnect(true)
	if s.ID() != "" || s.Namespace() != "" || s.Connected() || s.Rooms() != nil || s.PathValue("x") != "" || s.Transport() != "" || s.Context() == nil {
		t.Error("a socket without connection has something")
	}
	_, ackErr := s.EmitWithAck(t.Context(), "x")
	_, authErr := perch.Auth[account](t.Context())
	for name, err := range map[string]error{
		"Emit": s.Emit("x"), "EmitVolatile": s.EmitVolatile("x"), "Send": s.Send(t.Context(), "x"), "EmitWithAck": ackErr,
		"Join": s.Join("r"), "To": s.To("r").Emit("x"), "Broadcast": s.Broadcast().Emit("x"), "Auth": authErr,
		"Server": s.Server().Emit("x"), "Server, another": s.Server().Of("x").To("r").Emit("x"),
	} {
		if !errors.Is(err, perch.ErrNoSocket) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
