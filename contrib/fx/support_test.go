package perchfx_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	perchfx "github.com/perch-go/perch/contrib/fx"
	"github.com/perch-go/perch/event"
)

// patience is for what must come; nothing is waited for that long unless it fails.
const patience = 10 * time.Second

// diary is what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

// hooks writes a component's start and stop into the diary.
func (d *diary) hooks(lc fx.Lifecycle, who string) {
	lc.Append(fx.StartStopHook(func() { d.write(who + " starts") }, func() { d.write(who + " stops") }))
}

// Gateway is a gateway made of functions.
type Gateway struct {
	perch.Base
	options      perch.Options
	register     func(r *perch.Router)
	afterInit    func()
	onDisconnect func(s *perch.Socket)
}

func (g *Gateway) Options() perch.Options { return g.options }

func (g *Gateway) Register(r *perch.Router) {
	if g.register != nil {
		g.register(r)
	}
}

func (g *Gateway) AfterInit(*perch.Server) error {
	if g.afterInit != nil {
		g.afterInit()
	}
	return nil
}

func (g *Gateway) HandleDisconnect(_ context.Context, s *perch.Socket, _ perch.Reason) {
	if g.onDisconnect != nil {
		g.onDisconnect(s)
	}
}

// quiet keeps what tests provoke out of their output.
func quiet() perch.Option { return perch.WithLogger(discard()) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start runs a program on a port of its own until the test ends, and returns its URL.
func start(t *testing.T, options ...fx.Option) (url string, app *fxtest.App) {
	t.Helper()
	var server *perchfx.Server
	app = fxtest.New(t, append(options, perchfx.Serve("127.0.0.1:0"), fx.Populate(&server))...)
	app.RequireStart()
	t.Cleanup(app.RequireStop)
	return urlOf(server.Addr()), app
}

func urlOf(a net.Addr) string { return "http://" + a.String() }

// create makes a program that is not expected to work.
func create(options ...fx.Option) *fx.App { return fx.New(append(options, fx.NopLogger)...) }

// dial connects to a namespace.
func dial(t *testing.T, url string, o client.Options) *client.Socket {
	t.Helper()
	o.NoReconnection = true
	c, err := client.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// listen is where events of one string arrive.
func listen(c *client.Socket, name event.Event[string]) <-chan string {
	got := make(chan string, 16)
	client.On(c, name, func(_ context.Context, text string) { got <- text })
	return got
}

// ask calls an event of strings.
func ask(t *testing.T, c *client.Socket, name event.Request[string, string], in string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := client.Call(ctx, c, name, in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// receive waits for what must come.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// request is one on a connection of its own; it returns the status.
func request(t *testing.T, method, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// serve serves an app without fx until the test ends.
func serve(t *testing.T, app *perch.App) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	t.Cleanup(func() {
		if err := app.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-served
	})
	return urlOf(l.Addr())
}
