package e2e

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch"
)

// TestNest plays scripts against gateways of NestJS and against ours, which are told to speak as those do: what clients
// see has to be the same, except where a script declares the difference.
func TestNest(t *testing.T) {
	suite(t, "nest.test.mjs", map[string]string{
		"PERCH_REFERENCE_URL": run(t, exec.Command("node", "nest/reference.mjs")),
		"PERCH_OURS_URL":      startNest(t),
	})
}

// startNest serves what nest/reference.mjs serves.
func startNest(t *testing.T) (url string) {
	t.Helper()
	g := &nestGateway{left: map[string]perch.Reason{}}
	app, err := perch.New(
		perch.WithGateways(g, &openGateway{}),
		perch.WithErrors(perch.Errors{Nest: true, Delivery: perch.DeliverException, Cause: true}),
		perch.WithGuards(g.guard("app")), perch.WithInterceptors(g.interceptor("app")), perch.WithPipes(g.pipe("app")),
		perch.WithLogger(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		srv.Close()
	})
	return srv.URL
}

// openGateway has the article's object, on a path of its own so that the other has none.
type openGateway struct{ perch.Base }

func (g *openGateway) Options() perch.Options {
	return perch.Options{Path: "/open", Namespace: "chat", CORS: &perch.CORS{Origins: []string{"*"}, Methods: []string{"GET", "POST"}}}
}

func (g *openGateway) Register(r *perch.Router) {
	perch.On(r, "echo", func(_ context.Context, data string) (string, error) { return data, nil })
}

// nestGateway is the class Main of the reference.
type nestGateway struct {
	perch.Base

	mu    sync.Mutex
	left  map[string]perch.Reason // by the key of a client's auth
	trail []string
}

func (g *nestGateway) Options() perch.Options { return perch.Options{} }

var knownAs = perch.NewKey[string]("user")

// nestAuth is what clients bring along.
type nestAuth struct {
	Slow bool   `json:"slow"`
	Key  string `json:"key"`
}

func (g *nestGateway) HandleConnection(ctx context.Context, s *perch.Socket) error {
	auth, err := perch.Auth[nestAuth](ctx)
	if auth.Slow {
		<-time.After(200 * time.Millisecond)
		knownAs.Set(s, "known")
	}
	return err
}

func (g *nestGateway) HandleDisconnect(ctx context.Context, _ *perch.Socket, reason perch.Reason) {
	auth, _ := perch.Auth[nestAuth](ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left[auth.Key] = reason
}

// nestBox is what "data" answers.
type nestBox struct {
	Data any `json:"data"`
}

func (g *nestGateway) Register(r *perch.Router) {
	r.UseGuards(g.guard("gateway"))
	r.UseInterceptors(g.interceptor("gateway"))
	r.UsePipes(g.pipe("gateway"))
	g.registerArguments(r)
	g.registerResults(r)
	g.registerStages(r)
}

// registerArguments is N-18 to N-25 and N-27.
func (g *nestGateway) registerArguments(r *perch.Router) {
	perch.On(r, "sync", nestResult(1))
	perch.On(r, "who", func(ctx context.Context, _ perch.None) (map[string]string, error) {
		user, ok := knownAs.Lookup(perch.SocketFrom(ctx))
		if !ok {
			user = "unknown"
		}
		return map[string]string{"user": user}, nil
	})
	perch.On(r, "why", func(_ context.Context, key string) (string, error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if reason, ok := g.left[key]; ok {
			return string(reason), nil
		}
		return "not yet", nil
	})
	perch.On(r, "data", func(_ context.Context, data any) (nestBox, error) { return nestBox{data}, nil })
	perch.On2(r, "two", func(_ context.Context, a, b any) (nestBox, error) { return nestBox{[]any{a, b}}, nil })
	perch.On(r, "optional", func(_ context.Context, data *string) (map[string]string, error) {
		if data == nil {
			return map[string]string{}, nil
		}
		return map[string]string{"data": *data}, nil
	})
	perch.On(r, "key", func(_ context.Context, in struct {
		K int `json:"k"`
	}) (int, error) {
		return in.K * 2, nil
	})
	perch.OnAck(r, "ack", func(_ context.Context, data any, ack perch.Ack[nestBox]) error {
		time.AfterFunc(20*time.Millisecond, func() { _ = ack(nestBox{data}) })
		return nil
	})
	perch.OnAck(r, "ackAndReturn", func(_ context.Context, _ perch.None, ack perch.Ack[string]) error {
		return ackIfAsked(ack, "acked")
	})
	perch.OnAck(r, "ackAndReply", func(ctx context.Context, _ perch.None, ack perch.Ack[string]) error {
		return errors.Join(ackIfAsked(ack, "acked"), perch.SocketFrom(ctx).Emit("replied", "reply"))
	})
	for i, name := range []string{"first", "second"} {
		perch.On(r, "both", func(ctx context.Context, _ perch.None) (string, error) {
			return name, perch.SocketFrom(ctx).Emit("ran", i+1)
		})
	}
	slow := func(context.Context, perch.None) (string, error) {
		<-time.After(200 * time.Millisecond)
		return "slow", nil
	}
	perch.On(r, "slow", slow)
	perch.On(r, "aside", slow, perch.Concurrent())
	perch.On(r, "fast", nestResult("fast"))
}

func ackIfAsked[T any](ack perch.Ack[T], v T) error {
	if err := ack(v); !errors.Is(err, perch.ErrNoAck) {
		return err
	}
	return nil
}

func nestResult[T any](v T) func(context.Context, perch.None) (T, error) {
	return func(context.Context, perch.None) (T, error) { return v, nil }
}

// registerResults is N-26 and N-37.
func (g *nestGateway) registerResults(r *perch.Router) {
	perch.OnEvent(r, "returns undefined", func(context.Context, perch.None) error { return nil })
	perch.On(r, "returns null", nestResult[*int](nil))
	perch.On(r, "returns zero", nestResult(0))
	perch.On(r, "returns empty text", nestResult(""))
	perch.On(r, "returns false", nestResult(false))
	perch.On(r, "returns text", nestResult("text"))
	perch.On(r, "returns array", nestResult([]int{1, 2}))
	perch.On(r, "returns empty array", nestResult([]int{}))
	perch.On(r, "returns object", nestResult(map[string]int{"a": 1}))
	perch.On(r, "returns promise", nestResult("later"))
	perch.On(r, "returns response", nestResult(perch.Reply[map[string]int]{Event: "replied", Data: map[string]int{"a": 1}}))
	perch.On(r, "returns response without data", nestResult(perch.Reply[perch.None]{Event: "replied"}))
	perch.On(r, "returns response of more", nestResult(map[string]any{"event": "replied", "data": 1, "more": 2}))
	perch.On(r, "returns response without event", nestResult(map[string]any{"event": "", "data": 1}))
	perch.OnStream(r, "returns stream", nestStream(func(i int) perch.Reply[int] { return perch.Reply[int]{Event: "stream", Data: i} }))
	perch.OnStream(r, "returns stream of values", nestStream(func(i int) int { return i }))
	perch.OnStream(r, "returns stream that fails", func(context.Context, perch.None) iter.Seq2[perch.Reply[int], error] {
		return func(yield func(perch.Reply[int], error) bool) {
			if yield(perch.Reply[int]{Event: "stream", Data: 0}, nil) {
				yield(perch.Reply[int]{}, &perch.Error{Message: "no more"})
			}
		}
	})
}

// nestStream makes a stream of what item makes of 0 to 2.
func nestStream[T any](item func(i int) T) func(context.Context, perch.None) iter.Seq2[T, error] {
	return func(context.Context, perch.None) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			for i := range 3 {
				if !yield(item(i), nil) {
					return
				}
			}
		}
	}
}

// registerStages is N-29 to N-35.
func (g *nestGateway) registerStages(r *perch.Router) {
	perch.On(r, "staged", func(context.Context, string) (string, error) {
		g.trail = append(g.trail, "handler")
		return "done", nil
	}, perch.WithGuards(g.guard("handler 1"), g.guard("handler 2")), perch.WithInterceptors(g.interceptor("handler")), perch.WithPipes(g.pipe("handler")))
	perch.On(r, "stages", func(context.Context, perch.None) ([]string, error) {
		trail := g.trail
		g.trail = nil
		return trail, nil
	})
	perch.On(r, "refused", func(context.Context, any) (string, error) { return "not refused", nil },
		perch.WithGuards(func(context.Context, *perch.ExecutionContext) error { return perch.ErrForbidden }))
	filter := func(name string) perch.Filter {
		return func(_ context.Context, ec *perch.ExecutionContext, err error) error {
			var e *perch.Error
			if !errors.As(err, &e) {
				return err
			}
			if sent := ec.Socket().Emit("filtered", name, e.Message); sent != nil || name == "handler 1" {
				return sent
			}
			return err
		}
	}
	perch.OnEvent(r, "filtered", func(context.Context, perch.None) error { return &perch.Error{Message: "for filters"} },
		perch.WithFilters(filter("handler 1"), filter("handler 2")))
	perch.OnEvent(r, "handled", func(context.Context, perch.None) error { return &perch.Error{Message: "dealt with"} },
		perch.WithFilters(func(context.Context, *perch.ExecutionContext, error) error { return nil }))
	perch.OnEvent(r, "fail", func(_ context.Context, kind string) error {
		switch kind {
		case "text":
			return &perch.Error{Message: "Invalid credentials."}
		case "empty text":
			return &perch.Error{}
		case "number":
			return &perch.Error{Details: 42}
		case "object":
			return &perch.Error{Details: map[string]string{"status": "error", "code": "CODE", "message": "m"}}
		case "array":
			return &perch.Error{Details: []any{"a", map[string]int{"b": 1}}}
		default:
			return errors.New("a secret")
		}
	})
	perch.OnEvent(r, "fail bytes", func(context.Context, any) error { return &perch.Error{Message: "Invalid credentials."} })
}

func (g *nestGateway) pass(ec *perch.ExecutionContext, name string) {
	if ec.Event() == "staged" { // of one script, and its events come one at a time
		g.trail = append(g.trail, name)
	}
}

func (g *nestGateway) guard(name string) perch.Guard {
	return func(_ context.Context, ec *perch.ExecutionContext) error {
		g.pass(ec, "guard "+name)
		return nil
	}
}

func (g *nestGateway) interceptor(name string) perch.Interceptor {
	return func(ctx context.Context, ec *perch.ExecutionContext, next func(context.Context) (any, error)) (any, error) {
		g.pass(ec, "in "+name)
		defer g.pass(ec, "out "+name)
		return next(ctx)
	}
}

func (g *nestGateway) pipe(name string) perch.Pipe {
	return perch.PipeFunc(func(_ context.Context, ec *perch.ExecutionContext, _ any) error {
		g.pass(ec, "pipe "+name)
		return nil
	})
}
