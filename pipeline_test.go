package perch_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
)

// trail is what was called, in order.
type trail struct {
	mu    sync.Mutex
	steps []string
}

func (tr *trail) add(step string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.steps = append(tr.steps, step)
}

func (tr *trail) take() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	steps := tr.steps
	tr.steps = nil
	return steps
}

func (tr *trail) guard(name string) perch.Guard {
	return func(context.Context, *perch.ExecutionContext) error {
		tr.add("guard " + name)
		return nil
	}
}

func (tr *trail) interceptor(name string) perch.Interceptor {
	return func(ctx context.Context, _ *perch.ExecutionContext, next func(context.Context) (any, error)) (any, error) {
		tr.add("in " + name)
		v, err := next(ctx)
		tr.add("out " + name)
		return v, err
	}
}

func (tr *trail) pipe(name string) perch.Pipe {
	return perch.PipeFunc(func(context.Context, *perch.ExecutionContext, any) error {
		tr.add("pipe " + name)
		return nil
	})
}

func (tr *trail) middleware(name string) perch.Middleware {
	return func(ctx context.Context, _ *perch.ExecutionContext, next func(context.Context) error) error {
		tr.add("middleware " + name)
		return next(ctx)
	}
}

func (tr *trail) filter(name string) perch.Filter {
	return func(_ context.Context, _ *perch.ExecutionContext, err error) error {
		tr.add("filter " + name)
		return err
	}
}

// N-29, N-30, N-34: the order of stages and scopes is Nest's, wherever in Register a stage was added.
func TestPipelineOrder(t *testing.T) {
	t.Parallel()
	tr := new(trail)
	g := handlers(func(r *perch.Router) {
		perch.On(r, "event", func(_ context.Context, p checked) (int, error) {
			tr.add("handler")
			if p.Fail {
				return 0, perch.Errorf("NO", "no")
			}
			return 1, nil
		}, perch.WithGuards(tr.guard("handler 1"), tr.guard("handler 2")), perch.WithInterceptors(tr.interceptor("handler")),
			perch.WithPipes(tr.pipe("handler")), perch.WithMiddleware(tr.middleware("handler")),
			perch.WithFilters(tr.filter("handler 1"), tr.filter("handler 2")))
		r.UseGuards(tr.guard("gateway"))
		r.UseInterceptors(tr.interceptor("gateway"))
		r.UsePipes(tr.pipe("gateway"))
		r.Use(tr.middleware("gateway"))
		r.UseFilters(tr.filter("gateway"))
	})
	_, srv := start(t, perch.WithGateways(g), perch.WithGuards(tr.guard("app")), perch.WithInterceptors(tr.interceptor("app")),
		perch.WithPipes(tr.pipe("app")), perch.WithMiddleware(tr.middleware("app")), perch.WithFilters(tr.filter("app")))
	c := join(t, srv, "/")
	if got := c.ask(`421["event",{}]`); got != `431[1]` {
		t.Error(got)
	}
	inward := []string{
		"middleware app", "middleware gateway", "middleware handler",
		"guard app", "guard gateway", "guard handler 1", "guard handler 2",
		"in app", "in gateway", "in handler",
		"pipe app", "pipe gateway", "pipe handler",
		"handler", "out handler", "out gateway", "out app",
	}
	if got := tr.take(); !slices.Equal(got, inward) {
		t.Errorf("got  %q\nwant %q", got, inward)
	}
	if got := c.ask(`422["event",{"fail":true}]`); got != `432[{"status":"error","code":"NO","message":"no"}]` {
		t.Error(got)
	}
	want := append(inward, "filter handler 2", "filter handler 1", "filter gateway", "filter app")
	if got := tr.take(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// checked is a payload.
type checked struct {
	Name string
	Fail bool
}

// What each stage may do to an event, and what the client gets of it (N-32, N-35).
func TestStages(t *testing.T) {
	t.Parallel()
	role := func(_ context.Context, ec *perch.ExecutionContext) error {
		if ec.Metadata("role") == "admin" {
			return perch.ErrForbidden
		}
		return nil
	}
	trim := perch.PipeFor(func(_ context.Context, p *checked) error {
		p.Name = strings.TrimSpace(p.Name)
		if p.Name == "" {
			return perch.Errorf(perch.CodeInvalid, "no name")
		}
		return nil
	})
	echo := func(_ context.Context, p checked) (string, error) { return p.Name, nil }
	fails := func(context.Context, perch.None) (int, error) { return 0, errors.New("secret") }
	g := handlers(func(r *perch.Router) {
		r.UseGuards(role)
		r.SetMetadata("role", "user")
		perch.On(r, "guarded", echo, perch.WithMetadata("role", "admin"))
		perch.On(r, "piped", echo, perch.WithPipes(trim))
		perch.On(r, "guard panics", echo, perch.WithGuards(func(context.Context, *perch.ExecutionContext) error { panic("secret") }))
		perch.On(r, "pipe fails", echo, perch.WithPipes(perch.PipeFunc(func(context.Context, *perch.ExecutionContext, any) error {
			return errors.New("secret")
		})))
		perch.On(r, "replaced", echo, perch.WithInterceptors(func(ctx context.Context, ec *perch.ExecutionContext, next func(context.Context) (any, error)) (any, error) {
			v, err := next(ctx)
			return fmt.Sprintf("<%v %s %d %v>", v, ec.Payload().(*checked).Name, ec.NumArgs(), ec.WantsAck()), err
		}))
		perch.On(r, "other type", echo, perch.WithInterceptors(func(ctx context.Context, _ *perch.ExecutionContext, next func(context.Context) (any, error)) (any, error) {
			v, err := next(ctx)
			return map[string]any{"data": v}, err
		}))
		perch.On(r, "cached", echo, perch.WithInterceptors(func(context.Context, *perch.ExecutionContext, func(context.Context) (any, error)) (any, error) {
			return "cached", nil
		}))
		perch.OnEvent(r, "valued", func(context.Context, perch.None) error { return nil },
			perch.WithInterceptors(func(ctx context.Context, _ *perch.ExecutionContext, next func(context.Context) (any, error)) (any, error) {
				v, err := next(ctx)
				return v == nil, err
			}))
		perch.On(r, "stopped", echo, perch.WithMiddleware(func(context.Context, *perch.ExecutionContext, func(context.Context) error) error {
			return perch.Errorf("STOP", "stopped")
		}))
		perch.On(r, "translated", fails, perch.WithFilters(func(context.Context, *perch.ExecutionContext, error) error {
			return perch.Errorf("TRANSLATED", "told")
		}))
		perch.On(r, "dealt with", fails, perch.WithFilters(func(context.Context, *perch.ExecutionContext, error) error { return nil }))
		perch.On(r, "filter panics", fails, perch.WithFilters(func(context.Context, *perch.ExecutionContext, error) error { panic("secret") }))
	})
	c := join(t, serve(t, g), "/")
	const internal = `[{"status":"error","code":"INTERNAL","message":"Internal server error"}]`
	for i, tt := range []struct{ event, want string }{
		{`"guarded",{}`, `[{"status":"error","code":"FORBIDDEN","message":"Forbidden resource"}]`},
		{`"piped",{"name":" x "}`, `["x"]`},
		{`"piped",{"name":"  "}`, `[{"status":"error","code":"INVALID","message":"no name"}]`},
		{`"guard panics",{}`, internal},
		{`"pipe fails",{}`, internal},
		{`"replaced",{"name":"n"}`, `["<n n 1 true>"]`},
		{`"other type",{"name":"n"}`, `[{"data":"n"}]`},
		{`"cached",{"name":"n"}`, `["cached"]`},
		{`"valued"`, `[true]`},
		{`"stopped",{}`, `[{"status":"error","code":"STOP","message":"stopped"}]`},
		{`"translated"`, `[{"status":"error","code":"TRANSLATED","message":"told"}]`},
		{`"dealt with"`, `[]`},
		{`"filter panics"`, internal},
	} {
		if got := c.ask(fmt.Sprintf(`42%d[%s]`, i, tt.event)); got != fmt.Sprintf("43%d%s", i, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.event, got, tt.want)
		}
	}
}

// Section 3, guards on connect: the app's first, then each gateway's before its HandleConnection; a refusal has message and
// data, and filters see it without being able to let somebody in.
func TestConnectionGuards(t *testing.T) {
	t.Parallel()
	tr := new(trail)
	signedIn := func(ctx context.Context, ec *perch.ExecutionContext) error {
		auth, err := perch.Auth[struct{ Token string }](ctx)
		if err != nil {
			return err
		}
		if !ec.IsConnection() || ec.Event() != "" || ec.Handler() != nil || ec.NumArgs() != 0 || ec.Payload() != nil || ec.WantsAck() {
			t.Error("an event")
		}
		if perch.SocketFrom(ctx) != ec.Socket() {
			t.Error("another socket")
		}
		tr.add("guard " + auth.Token)
		if auth.Token != "good" {
			return &perch.Error{Code: "UNAUTHORIZED", Message: "sign in", Details: auth.Token}
		}
		return nil
	}
	g := &hooked{
		gateway: gateway{register: func(r *perch.Router) {
			r.UseConnectionGuards(signedIn)
			r.UseFilters(func(_ context.Context, ec *perch.ExecutionContext, err error) error {
				tr.add(fmt.Sprintf("filter %v %v", ec.IsConnection(), err))
				return nil
			})
		}},
		onConnection: func(context.Context, *perch.Socket) error {
			tr.add("hook")
			return nil
		},
		onDisconnect: func(context.Context, *perch.Socket, perch.Reason) { panic("at the end") },
	}
	_, srv := start(t, perch.WithGateways(g), perch.WithConnectionGuards(tr.guard("app")))
	c := dial(t, srv)
	if got := c.ask(`40{"token":"bad"}`); got != `44{"message":"sign in","data":{"code":"UNAUTHORIZED","details":"bad"}}` {
		t.Error(got)
	}
	want := []string{"guard app", "guard bad", "filter true UNAUTHORIZED: sign in"}
	if got := tr.take(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.ask(`40{"token":"good"}`); !strings.HasPrefix(got, `40{"sid"`) {
		t.Error(got)
	}
	if got, want := tr.take(), []string{"guard app", "guard good", "hook"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c.send("41")
	deadline := time.Now().Add(patience)
	for want := "filter true panic: at the end"; ; {
		if got := tr.take(); slices.Contains(got, want) {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// wsResponse looks like Nest's, and is just data.
type wsResponse struct {
	Event string `json:"event"`
	Data  string `json:"data"`
}

const counting event.Stream[int, int] = "count"

// Handlers of every kind (N-21 to N-26, N-37).
func TestHandlerKinds(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	g := handlers(func(r *perch.Router) {
		perch.On2(r, "two", func(_ context.Context, a int, b string) (string, error) { return fmt.Sprint(a, b), nil })
		perch.On3(r, "three", func(_ context.Context, a, b int, c []byte) (int, error) { return a + b + len(c), nil })
		perch.OnAck(r, "ack", func(_ context.Context, n int, ack perch.Ack[int]) error {
			if n < 0 {
				return perch.Errorf("NEGATIVE", "negative")
			}
			go func() {
				if err := errors.Join(ack(n + 1)); err != nil {
					t.Error(err)
				}
				if err := ack(0); !errors.Is(err, perch.ErrAcked) {
					t.Error(err)
				}
			}()
			return nil
		})
		perch.OnRaw(r, "raw", func(_ context.Context, ec *perch.ExecutionContext) (any, error) {
			if ec.NumArgs() == 0 {
				return nil, nil
			}
			var last any
			err := ec.Decode(ec.NumArgs()-1, &last)
			return last, err
		})
		perch.OnStream(r, counting, func(_ context.Context, n int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for i := range n {
					if !yield(i, nil) {
						return
					}
				}
				if n > 2 {
					yield(0, perch.Errorf("MANY", "too many"))
				}
			}
		})
		perch.OnStreamFunc(r, "push", func(_ context.Context, n int, send func(int) error) error {
			for i := range n {
				if err := send(i); err != nil {
					return err
				}
			}
			return nil
		})
		perch.OnStream(r, "boom", func(context.Context, perch.None) iter.Seq2[int, error] {
			return func(func(int, error) bool) { panic("secret") }
		})
		perch.OnStream(r, "replies", func(context.Context, perch.None) iter.Seq2[perch.Reply[int], error] {
			return func(yield func(perch.Reply[int], error) bool) { yield(perch.Reply[int]{Event: "item", Data: 5}, nil) }
		})
		perch.On(r, "reply", func(context.Context, perch.None) (perch.Reply[string], error) {
			return perch.Reply[string]{Event: "replied", Data: "x"}, nil
		})
		perch.On(r, "same", func(context.Context, perch.None) (perch.Reply[perch.None], error) {
			return perch.Reply[perch.None]{}, nil
		})
		perch.On(r, "event field", func(context.Context, perch.None) (wsResponse, error) {
			return wsResponse{"x", "y"}, nil
		})
		perch.On(r, "slow", func(context.Context, perch.None) (int, error) { <-released; return 1, nil }, perch.Concurrent())
		perch.OnEvent(r, "release", func(context.Context, perch.None) error { close(released); return nil })
	})
	c := join(t, serve(t, g), "/")
	const missing = `{"status":"error","code":"BAD_PAYLOAD","message":"`
	for i, tt := range []struct {
		send string
		want []string
	}{
		{`420["two",1,"b"]`, []string{`430["1b"]`}},
		{`421["two",1]`, []string{`431[` + missing + `2 arguments are wanted, there are 1"}]`}},
		{`422["two",1,"b",3]`, []string{`432[` + missing + `2 arguments are wanted, there are 3"}]`}},
		{`423["two",1,2]`, []string{`433[` + missing + `argument 2: the payload does not fit: unexpected number"}]`}},
		{`420["three",1,2,"YWJj"]`, []string{`430[6]`}},
		{`420["ack",1]`, []string{`430[2]`}},
		{`421["ack",-1]`, []string{`431[{"status":"error","code":"NEGATIVE","message":"negative"}]`}},
		{`420["raw"]`, []string{`430[]`}},
		{`420["raw",1,"x"]`, []string{`430["x"]`}},
		{`420["count",2]`, []string{`42["count",0]`, `42["count",1]`, `430[]`}},
		{`42["count",1]`, []string{`42["count",0]`}},
		{`421["count",3]`, []string{`42["count",0]`, `42["count",1]`, `42["count",2]`, `431[{"status":"error","code":"MANY","message":"too many"}]`}},
		{`420["push",2]`, []string{`42["push",0]`, `42["push",1]`, `430[]`}},
		{`420["boom"]`, []string{`430[{"status":"error","code":"INTERNAL","message":"Internal server error"}]`}},
		{`420["replies"]`, []string{`42["item",5]`, `430[]`}},
		{`420["reply"]`, []string{`42["replied","x"]`, `430[]`}},
		{`42["same"]`, []string{`42["same"]`}},
		{`420["event field"]`, []string{`430[{"event":"x","data":"y"}]`}},
	} {
		c.send(tt.send)
		for _, want := range tt.want {
			if got := c.next(); got != want {
				t.Errorf("%d %s: got %s, want %s", i, tt.send, got, want)
			}
		}
	}
	// N-27: a concurrent handler does not keep the next event waiting.
	c.send(`421["slow"]`)
	c.send(`422["release"]`)
	answers := []string{c.next(), c.next()}
	slices.Sort(answers)
	if !slices.Equal(answers, []string{`431[1]`, `432[]`}) {
		t.Errorf("%q", answers)
	}
}

// A handler's context ends when its time is over, and when its client leaves; HandleDisconnect waits for what runs aside.
func TestHandlerContext(t *testing.T) {
	t.Parallel()
	tr := new(trail)
	begun := make(chan struct{}, 2)
	left := make(chan struct{})
	g := &hooked{
		gateway: gateway{register: func(r *perch.Router) {
			wait := func(ctx context.Context, _ perch.None) (int, error) {
				begun <- struct{}{}
				<-ctx.Done()
				return 0, context.Cause(ctx)
			}
			perch.On(r, "brief", func(ctx context.Context, _ perch.None) (int, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			}, perch.WithTimeout(time.Millisecond))
			perch.On(r, "leave", func(ctx context.Context, in perch.None) (int, error) {
				_, err := wait(ctx, in)
				tr.add(fmt.Sprint("leave ", err))
				return 0, err
			}, perch.CancelOnLeave(), perch.Concurrent())
			perch.OnStream(r, "stream", func(ctx context.Context, in perch.None) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) {
					_, err := wait(ctx, in)
					tr.add(fmt.Sprint("stream ", err))
					yield(0, err)
				}
			})
		}},
		onDisconnect: func(context.Context, *perch.Socket, perch.Reason) {
			tr.add("left")
			close(left)
		},
	}
	c := join(t, serve(t, g), "/")
	if got := c.ask(`421["brief"]`); got != `431[{"status":"error","code":"TIMEOUT","message":"the handler took too long"}]` {
		t.Error(got)
	}
	c.send(`42["leave"]`)
	c.send(`42["stream"]`)
	<-begun
	<-begun
	c.send(`41`)
	<-left
	got := tr.take()
	if len(got) != 3 || got[2] != "left" || !slices.Contains(got, "leave context canceled") || !slices.Contains(got, "stream context canceled") {
		t.Errorf("%q", got)
	}
}

// What is registered can be looked at.
func TestHandlersInfo(t *testing.T) {
	t.Parallel()
	g := &gateway{options: perch.Options{Namespace: "chat", Path: "/x"}, register: func(r *perch.Router) {
		r.SetMetadata("a", 1)
		perch.On(r, "request", func(context.Context, int) (string, error) { return "", nil }, perch.WithMetadata("b", 2))
		perch.OnEvent(r, "event", func(context.Context, perch.None) error { return nil })
		perch.OnStream(r, counting, func(context.Context, int) iter.Seq2[int, error] { return nil })
		perch.On2(r, "two", func(context.Context, int, string) (perch.Reply[bool], error) { return perch.Reply[bool]{}, nil })
		perch.OnAny(r, func(context.Context, *perch.ExecutionContext) error { return nil })
	}}
	app, _ := start(t, perch.WithGateways(g))
	var got []string
	for _, h := range app.Handlers() {
		if h.Namespace != "/chat" || h.Path != "/x/" || !strings.HasPrefix(h.At, "pipeline_test.go:") || h.Metadata["a"] != 1 {
			t.Errorf("%+v", h)
		}
		got = append(got, fmt.Sprint(h.Kind, " ", h.Event, " ", h.In, " ", h.Out, " ", h.Metadata["b"]))
	}
	want := []string{
		"request request [int] string 2", "event event [] <nil> <nil>", "stream count [int] int <nil>",
		"request two [int string] bool <nil>", "any  [] <nil> <nil>",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Catch-all listeners hear of every event and keep none from its handlers.
func TestOnAny(t *testing.T) {
	t.Parallel()
	tr := new(trail)
	g := handlers(func(r *perch.Router) {
		perch.OnAny(r, func(_ context.Context, ec *perch.ExecutionContext) error {
			tr.add(ec.Event())
			if ec.Event() == "refused" {
				return perch.Errorf("ANY", "not that")
			}
			return nil
		})
		perch.On(r, "refused", func(context.Context, perch.None) (int, error) { return 1, nil })
	})
	c := join(t, serve(t, g), "/")
	c.send(`420["refused"]`)
	for _, want := range []string{`42["exception",{"status":"error","code":"ANY","message":"not that"}]`, `430[1]`} {
		if got := c.next(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := c.ask(`421["unknown"]`); !strings.Contains(got, "UNKNOWN_EVENT") {
		t.Error(got)
	}
	if got := tr.take(); !slices.Equal(got, []string{"refused", "unknown"}) {
		t.Errorf("%q", got)
	}
}

// N-35, N-36: where and how errors are told is the app's choice.
func TestErrors(t *testing.T) {
	t.Parallel()
	fail := func(_ context.Context, kind string) (int, error) {
		switch kind {
		case "details":
			return 0, &perch.Error{Message: "m", Details: []int{1}}
		case "field":
			return 0, perch.InvalidField("lines[2].text", "text is %s", "empty")
		case "other":
			return 0, errors.New("secret")
		}
		return 0, perch.Errorf("CODE", "Invalid credentials.")
	}
	for _, tt := range []struct {
		name   string
		errors perch.Errors
		arg    string
		want   []string
	}{
		{"default", perch.Errors{}, "error", []string{`430[{"status":"error","code":"CODE","message":"Invalid credentials."}]`}},
		{"both", perch.Errors{Delivery: perch.DeliverBoth}, "error", []string{
			`430[{"status":"error","code":"CODE","message":"Invalid credentials."}]`, `42["exception",{"status":"error","code":"CODE","message":"Invalid credentials."}]`,
		}},
		{"cause", perch.Errors{Cause: true}, "error", []string{
			`430[{"status":"error","code":"CODE","message":"Invalid credentials.","cause":{"pattern":"fail","data":"error"}}]`,
		}},
		{"Nest", perch.Errors{Nest: true, Delivery: perch.DeliverException, Cause: true}, "error", []string{
			`42["exception",{"status":"error","message":"Invalid credentials.","cause":{"pattern":"fail","data":"error"}}]`,
		}},
		{"Nest, an object", perch.Errors{Nest: true, Delivery: perch.DeliverException}, "details", []string{`42["exception",[1]]`}},
		{"a field", perch.Errors{}, "field", []string{`430[{"status":"error","code":"INVALID","message":"text is empty","details":{"path":"lines[2].text"}}]`}},
		{"Nest, a field", perch.Errors{Nest: true, Delivery: perch.DeliverException}, "field", []string{`42["exception",{"status":"error","message":"text is empty"}]`}},
		{"Nest, any other", perch.Errors{Nest: true, Delivery: perch.DeliverException}, "other", []string{
			`42["exception",{"status":"error","message":"Internal server error"}]`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := handlers(func(r *perch.Router) { perch.On(r, "fail", fail) })
			_, srv := start(t, perch.WithGateways(g), perch.WithErrors(tt.errors))
			c := join(t, srv, "/")
			c.send(`420["fail","` + tt.arg + `"]`)
			for _, want := range tt.want {
				if got := c.next(); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
			c.send(`42["fail","done"]`) // nothing else came
			if got := c.next(); !strings.HasPrefix(got, `42["exception"`) {
				t.Errorf("an answer too many: %s", got)
			}
		})
	}
}

// Mistakes are found by New, all at once, with the line of the call.
func TestPipelineMistakes(t *testing.T) {
	t.Parallel()
	g := handlers(func(r *perch.Router) {
		h := func(context.Context, int) (int, error) { return 0, nil }
		r.UseGuards(nil)
		perch.On(r, "pipe", h, perch.WithPipes(perch.PipeFor(func(context.Context, *string) error { return nil })))
		perch.On(r, "filter", h, perch.WithFilters(nil))
		perch.On(r, "timeout", h, perch.WithTimeout(-1))
		perch.On2(r, "chan", func(context.Context, int, chan int) (int, error) { return 0, nil })
		perch.OnAny(r, nil)
		perch.OnStream[int, int](r, "stream", nil)
		perch.On(r, "reply", func(context.Context, int) (perch.Reply[func()], error) { return perch.Reply[func()]{}, nil })
	})
	_, err := perch.New(perch.WithGateways(g), perch.WithInterceptors(nil), quiet())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"a guard is nil", "a pipe of \"pipe\" is for string, which the handler does not take", "a filter is nil", "the timeout of \"timeout\" is negative",
		`the payload of "chan" cannot be received`, `the handler of "" is nil`, `the handler of "stream" is nil`, `the result of "reply" cannot be sent`,
		"an interceptor is nil", "pipeline_test.go:",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

// A Reply goes to the client, to rooms, or to everyone.
func TestReplyTo(t *testing.T) {
	t.Parallel()
	g := handlers(func(r *perch.Router) {
		perch.OnEvent(r, "join", func(ctx context.Context, room string) error { return perch.SocketFrom(ctx).Join(room) })
		perch.On(r, "room", func(_ context.Context, n int) (perch.Reply[int], error) {
			return perch.Reply[int]{Event: "said", Data: n, To: []string{"a", "b"}}, nil
		})
		perch.On(r, "all", func(_ context.Context, n int) (perch.Reply[int], error) {
			return perch.Reply[int]{Event: "said", Data: n, Everyone: true}, nil
		})
	})
	srv := serve(t, g)
	a, b, c := join(t, srv, "/"), join(t, srv, "/"), join(t, srv, "/")
	for client, room := range map[*client]string{a: "a", b: "b"} {
		if got := client.ask(`420["join","` + room + `"]`); got != `430[]` {
			t.Fatal(got)
		}
	}
	if got := c.ask(`421["room",1]`); got != `431[]` {
		t.Error(got)
	}
	a.send(`42["all",2]`)
	a.want(`42["said",1]`, `42["said",2]`)
	b.want(`42["said",1]`, `42["said",2]`)
	c.want(`42["said",2]`)
}
