package perch_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
)

// Rows of docs/from-nestjs.md that no other test here shows.

// N-2: unless told otherwise clients get the timings that Nest's get; nest.test.mjs compares them.
func TestEngineDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		options []perch.Option
		want    string
	}{
		{nil, `"upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`},
		{[]perch.Option{perch.WithEngine(perch.EngineOptions{NoUpgrades: true, MaxPayload: 5000})},
			`"upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":5000}`},
	} {
		_, srv := start(t, append(tt.options, perch.WithGateways(handlers(nil)))...)
		resp, err := srv.Client().Get(srv.URL + "/socket.io/?EIO=4&transport=polling")
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, 200)
		n, _ := resp.Body.Read(body)
		_ = resp.Body.Close()
		if got := string(body[:n]); !strings.HasSuffix(got, tt.want) {
			t.Errorf("got %s, want %s at its end", got, tt.want)
		}
	}
}

// parent is a gateway that others are built on.
type parent struct{ perch.Base }

func (p *parent) Options() perch.Options { return perch.Options{} }

func (p *parent) Register(r *perch.Router) {
	perch.On(r, "name", p.Name)
	perch.On(r, "inherited", func(context.Context, perch.None) (string, error) { return "inherited", nil })
}

func (p *parent) Name(context.Context, perch.None) (string, error) { return "parent", nil }

// child has its parent's handlers because its Register says so, and answers "name" after it.
type child struct{ parent }

func (c *child) Register(r *perch.Router) {
	perch.On(r, "name", c.Name)
	c.parent.Register(r)
}

func (c *child) Name(context.Context, perch.None) (string, error) { return "child", nil }

// heir has them without a word.
type heir struct{ parent }

func (h *heir) Options() perch.Options { return perch.Options{Namespace: "heir"} }

// N-14: a gateway that embeds another has its hooks and handlers, and what it adds.
func TestEmbeddedGateway(t *testing.T) {
	t.Parallel()
	srv := serve(t, &child{}, &heir{})
	for namespace, want := range map[string]string{"/": "child", "/heir": "parent"} {
		c := join(t, srv, namespace)
		for event, want := range map[string]string{"name": want, "inherited": "inherited"} {
			if got := c.ask("42" + prefixed(namespace, `1["`+event+`"]`)); got != "43"+prefixed(namespace, `1["`+want+`"]`) {
				t.Errorf("%s %s: got %s", namespace, event, got)
			}
		}
	}
}

// N-20, and what section 3 of the specification asks for (PR #12284): one handler for several events.
func TestOneHandlerOfSeveralEvents(t *testing.T) {
	t.Parallel()
	c := join(t, serve(t, handlers(func(r *perch.Router) {
		for _, name := range []string{"created", "updated"} {
			perch.OnRaw(r, name, func(_ context.Context, ec *perch.ExecutionContext) (any, error) { return ec.Event(), nil })
		}
	})), "/")
	for _, name := range []string{"created", "updated"} {
		if got := c.ask(`421["` + name + `"]`); got != `431["`+name+`"]` {
			t.Error(got)
		}
	}
}

// N-31: what a guard finds out about an event, whatever its handler takes.
func TestExecutionContext(t *testing.T) {
	t.Parallel()
	tr := new(trail)
	look := func(ctx context.Context, ec *perch.ExecutionContext) error {
		var text string
		if err := ec.Decode(1, &text); err != nil {
			return err
		}
		h := ec.Handler()
		if ec.Socket() != perch.SocketFrom(ctx) || ec.IsConnection() || h.Event != ec.Event() || ec.Payload() != nil {
			t.Errorf("%+v of %s", h, ec.Event())
		}
		tr.add(fmt.Sprintf("%s %d %s %s %v %s", ec.Event(), ec.NumArgs(), ec.Raw(0), text, ec.WantsAck(), h.Kind))
		return nil
	}
	c := join(t, serve(t, handlers(func(r *perch.Router) {
		r.UseGuards(look)
		perch.On(r, "event", func(_ context.Context, n int) (int, error) { return n, nil })
	})), "/")
	if got := c.ask(`421["event",7,"more"]`); got != `431[7]` {
		t.Error(got)
	}
	seen := tr.take()
	if want := []string{"event 2 7 more true request"}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
}

// N-33: pipes see payloads and nothing else, each argument by itself; one for a type sees those of the type.
func TestPipesSeePayloads(t *testing.T) {
	t.Parallel()
	tr := new(trail)
	c := join(t, serve(t, handlers(func(r *perch.Router) {
		r.UsePipes(
			perch.PipeFunc(func(_ context.Context, _ *perch.ExecutionContext, payload any) error {
				tr.add(fmt.Sprintf("%T", payload))
				return nil
			}),
			perch.PipeFor(func(_ context.Context, s *string) error { *s = strings.ToUpper(*s); return nil }),
		)
		perch.OnAck(r, "two", func(_ context.Context, s string, ack perch.Ack[string]) error { return ack(s) })
		perch.On2(r, "pair", func(_ context.Context, n int, s string) (string, error) { return fmt.Sprint(n, s), nil })
		perch.On(r, "none", func(context.Context, perch.None) (int, error) { return 0, nil })
	})), "/")
	for _, tt := range []struct{ send, want string }{
		{`421["two","a"]`, `431["A"]`}, {`422["pair",1,"b"]`, `432["1B"]`}, {`423["none"]`, `433[0]`},
	} {
		if got := c.ask(tt.send); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	seen := tr.take()
	if want := []string{"*string", "*int", "*string"}; !slices.Equal(seen, want) {
		t.Errorf("%q, want %q", seen, want)
	}
}

// N-46: a prefix of the program's routes is none of the gateways', and middleware around the mux is around them too.
func TestPrefixedRoutes(t *testing.T) {
	t.Parallel()
	app, srv := start(t, perch.WithGateways(handlers(answers)))
	api := http.NewServeMux()
	app.Mount(api)
	prefixed := http.NewServeMux()
	prefixed.Handle("/api/", http.StripPrefix("/api", api))
	for path, want := range map[string]int{"/api/socket.io/": http.StatusOK, "/socket.io/": http.StatusNotFound} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path+"?EIO=4&transport=polling", nil)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		prefixed.ServeHTTP(rec, req)
		if rec.Code != want {
			t.Errorf("%s: %d, want %d", path, rec.Code, want)
		}
	}
	if got := join(t, srv, "/").ask(`421["echo","a"]`); got != `431["a"]` {
		t.Error(got)
	}
}

// N-47: Start says what is subscribed to, where, and by whom; of clients that come and go nothing is said.
func TestSubscriptionsAreLogged(t *testing.T) {
	t.Parallel()
	var book logbook
	g := &gateway{options: perch.Options{Namespace: "chat", Path: "/realtime"}, register: func(r *perch.Router) {
		perch.On(r, "message", func(context.Context, perch.None) (int, error) { return 1, nil })
	}}
	_, srv := start(t, perch.WithLogger(book.logger()), perch.WithGateways(g, handlers(answers)))
	want := `level=INFO msg="perch: subscribed" gateway="*perch_test.gateway (namespace /chat)" event=message path=/realtime/`
	if !strings.Contains(book.String(), want) {
		t.Errorf("the log lacks %s:\n%s", want, book.String())
	}
	before := book.String()
	c := join(t, srv, "/")
	c.ask(`421["echo","a"]`)
	if got := strings.TrimPrefix(book.String(), before); got != "" {
		t.Errorf("of a client is logged %s", got)
	}
}

// Section 3 of the specification, #7249: a hundred gateways of one namespace are nothing special.
func TestManyGateways(t *testing.T) {
	t.Parallel()
	var gateways []perch.Gateway
	for i := range 100 {
		gateways = append(gateways, handlers(func(r *perch.Router) {
			perch.On(r, "same", func(context.Context, perch.None) (int, error) { return i, nil })
			perch.On(r, event.Request[perch.None, int](fmt.Sprint("own ", i)), func(context.Context, perch.None) (int, error) { return i, nil })
		}))
	}
	c := join(t, serve(t, gateways...), "/")
	for i := range gateways {
		if got, want := c.ask(fmt.Sprintf(`421["own %d"]`, i)), fmt.Sprintf(`431[%d]`, i); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := c.ask(`421["same"]`); got != `431[0]` {
		t.Error(got)
	}
}

// What docs/from-nestjs.md shows beside TypeScript does what it says.
func TestFromNestJS(t *testing.T) {
	t.Parallel()
	app, srv := start(t, perch.WithGateways(NewPosts(Settings{Origins: []string{"https://a.example"}})), perch.WithInterceptors(timing))
	c := join(t, srv, "/posts")
	for _, tt := range []struct {
		send string
		want []string
	}{
		{`1["find",7]`, []string{`431[{"id":7,"title":"post 7"}]`}},
		{`2["find",-1]`, []string{`432[{"status":"error","code":"NOT_FOUND","message":"there is no post -1"}]`}},
		{`3["create",{"title":" hello "}]`, []string{`42["created",{"id":1,"title":"hello"}]`, `433[]`}},
		{`4["create",{"title":" "}]`, []string{`434[{"status":"error","code":"INVALID","message":"a post needs a title"}]`}},
		{`5["move",1,2]`, []string{`435["1 to 2"]`}},
		{`6["later",1]`, []string{`436["accepted 1"]`}},
		{`7["list",2]`, []string{`42["list",{"id":1,"title":"post 1"}]`, `42["list",{"id":2,"title":"post 2"}]`, `437[]`}},
		{`8["remove",1]`, []string{`438[{"status":"error","code":"FORBIDDEN","message":"Forbidden resource"}]`}},
		{`9["join","readers"]`, []string{`439[]`}},
		{`10["announce","hi"]`, []string{`42["announcement","hi"]`, `4310[]`}},
		{`11["broken"]`, []string{`4311[{"status":"error","code":"UNAVAILABLE","message":"try again later"}]`}},
	} {
		c.send("42/posts," + tt.send)
		for _, want := range tt.want {
			if got := c.next(); got != want[:2]+"/posts,"+want[2:] {
				t.Errorf("%s: got %s, want %s", tt.send, got, want)
			}
		}
	}
	if got := preflight(t, srv, "https://a.example").Header.Get("Access-Control-Allow-Credentials"); got != "true" {
		t.Errorf("credentials %q", got)
	}
	if n := len(app.Handlers()); n != 9 {
		t.Errorf("%d handlers", n)
	}
}
