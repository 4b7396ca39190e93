package perchfx_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	perchfx "github.com/perch-go/perch/contrib/fx"
)

// History is a service that a gateway needs.
type History struct{ posts atomic.Int64 }

func NewHistory() *History { return &History{} }

// ChatGateway is a gateway with a service.
type ChatGateway struct {
	perch.Base
	history *History
}

func NewChatGateway(h *History) *ChatGateway { return &ChatGateway{history: h} }

func (g *ChatGateway) Options() perch.Options { return perch.Options{Namespace: "chat"} }

func (g *ChatGateway) Register(r *perch.Router) { perch.On(r, "post", g.Post) }

func (g *ChatGateway) Post(context.Context, string) (string, error) {
	return fmt.Sprintf("post %d", g.history.posts.Add(1)), nil
}

// Announcer is a service that has the gateway injected.
type Announcer struct{ chat *ChatGateway }

func NewAnnouncer(c *ChatGateway) *Announcer { return &Announcer{chat: c} }

func (a *Announcer) Announce(text string) error { return a.chat.Server().Emit("said", text) }

// Check 13, N-12, N-13: "A gateway is a special provider". Services are injected into it by its
// constructor, a module manages it, and it is injected elsewhere: the same one that clients talk to.
// Plain constructors and fx do the same.
func TestGatewayIsProvider(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]func(t *testing.T) (url string, h *History, a *Announcer){
		"plain constructors": func(t *testing.T) (string, *History, *Announcer) {
			history := NewHistory()
			gateway := NewChatGateway(history)
			app, err := perch.New(quiet(), perch.WithGateways(gateway))
			if err != nil {
				t.Fatal(err)
			}
			return serve(t, app), history, NewAnnouncer(gateway)
		},
		"fx": func(t *testing.T) (string, *History, *Announcer) {
			var history *History
			var announcer *Announcer
			url, _ := start(t,
				perchfx.Module(quiet()),
				fx.Module("chat", fx.Provide(NewHistory), perchfx.Provide(NewChatGateway)),
				fx.Module("announcements", fx.Provide(NewAnnouncer)),
				fx.Populate(&history, &announcer),
			)
			return url, history, announcer
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, history, announcer := program(t)
			c := dial(t, url+"/chat", client.Options{})
			said := listen(c, "said")
			if got := ask(t, c, "post", "hello"); got != "post 1" || history.posts.Load() != 1 {
				t.Errorf("answered %q, history of %d", got, history.posts.Load())
			}
			if err := announcer.Announce("news"); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, said); got != "news" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Orders is a service that sends, and that a gateway needs: with a gateway in place of the
// Emitter it would be a cycle.
type Orders struct{ live *perch.Emitter }

func NewOrders(e *perch.Emitter) *Orders { return &Orders{live: e} }

func (o *Orders) Ship(id string) error { return o.live.Of("orders").Emit("shipped", id) }

// Check 11: the server is used in an injected service, which has it before the app exists.
func TestEmitterMakesNoCycle(t *testing.T) {
	t.Parallel()
	var orders *Orders
	url, app := start(t,
		perchfx.Module(quiet()),
		fx.Provide(NewOrders),
		perchfx.Provide(func(o *Orders) *Gateway {
			if err := o.Ship("too early"); !errors.Is(err, perch.ErrNotStarted) {
				t.Errorf("before start: %v", err)
			}
			return &Gateway{options: perch.Options{Namespace: "orders"}}
		}),
		fx.Populate(&orders),
	)
	if app.Err() != nil {
		t.Fatal(app.Err())
	}
	shipped := listen(dial(t, url+"/orders", client.Options{}), "shipped")
	if err := orders.Ship("A-1"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, shipped); got != "A-1" {
		t.Errorf("got %q", got)
	}
}

// What fx knows of constructors, Provide knows too: fx.In, errors, further results, services
// private to a module.
func TestConstructors(t *testing.T) {
	t.Parallel()
	type needs struct {
		fx.In
		History *History
		Prefix  string `name:"prefix" optional:"true"`
	}
	type extra struct{ of *ChatGateway }
	var got *extra
	var chat *ChatGateway
	fxtest.New(t,
		perchfx.Module(quiet()),
		fx.Module("chat",
			fx.Provide(NewHistory, fx.Private),
			perchfx.Provide(func(n needs) (*ChatGateway, *extra, error) {
				g := NewChatGateway(n.History)
				return g, &extra{g}, nil
			}),
		),
		fx.Populate(&got, &chat),
	).RequireStart().RequireStop()
	if got.of != chat || chat.history == nil {
		t.Errorf("got %v of %v", got, chat)
	}
}

// Where fx replaces or decorates a gateway, as tests do, the app has the new one.
func TestReplace(t *testing.T) {
	t.Parallel()
	other := NewHistory()
	other.posts.Store(41)
	url, _ := start(t,
		perchfx.Module(quiet()),
		fx.Module("chat", fx.Provide(NewHistory), perchfx.Provide(NewChatGateway)),
		fx.Replace(NewChatGateway(other)),
	)
	if got := ask(t, dial(t, url+"/chat", client.Options{}), "post", "x"); got != "post 42" {
		t.Errorf("got %q", got)
	}
}

// Gateway adds what is provided by other means; a constructor of a perch.Gateway may make
// one of a type that another one has made too.
func TestOtherProviders(t *testing.T) {
	t.Parallel()
	room := func(name string) func(h *History) (perch.Gateway, error) {
		return func(*History) (perch.Gateway, error) {
			return &Gateway{options: perch.Options{Namespace: name}}, nil
		}
	}
	supplied := NewChatGateway(NewHistory())
	url, _ := start(t,
		perchfx.Module(quiet()),
		fx.Supply(supplied), perchfx.Gateway[*ChatGateway](),
		fx.Provide(NewHistory), perchfx.Provide(room("red"), room("blue")),
	)
	for _, namespace := range []string{"/chat", "/red", "/blue"} {
		dial(t, url+namespace, client.Options{})
	}
}

// Guard is a service that the app's options need.
type Guard struct{ word string }

func (g *Guard) Check(ctx context.Context, _ *perch.ExecutionContext) error {
	if perch.SocketFrom(ctx).Handshake().Query().Get("word") != g.word {
		return perch.ErrForbidden
	}
	return nil
}

// With makes options of the app of services; a program's *slog.Logger is the app's.
func TestWith(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	var d diary
	guard := func(who string) func(g *Guard) (perch.Option, error) {
		return func(*Guard) (perch.Option, error) {
			return perch.WithGuards(func(context.Context, *perch.ExecutionContext) error { d.write(who); return nil }), nil
		}
	}
	url, _ := start(t,
		perchfx.Module(perch.WithGuards(func(context.Context, *perch.ExecutionContext) error { d.write("module's"); return nil })),
		fx.Supply(slog.New(slog.NewTextHandler(&text, nil)), &Guard{word: "secret"}),
		perchfx.With(guard("first"), guard("second")),
		perchfx.With(func(g *Guard) perch.Option { return perch.WithGuards(g.Check) }),
		fx.Provide(NewHistory), perchfx.Provide(NewChatGateway),
	)
	if !strings.Contains(text.String(), "perch: subscribed") {
		t.Errorf("the program's log has no line of the app: %s", text.String())
	}
	if got := ask(t, dial(t, url+"/chat?word=secret", client.Options{}), "post", "x"); got != "post 1" {
		t.Errorf("got %q", got)
	}
	if got := fmt.Sprint(d.read()); got != "[module's first second]" {
		t.Errorf("guards ran as %s", got)
	}
	_, err := client.Call[string](t.Context(), dial(t, url+"/chat", client.Options{}), "post", "x")
	if err == nil || !strings.Contains(err.Error(), perch.CodeForbidden) {
		t.Errorf("without the word: %v", err)
	}
}
