package perch_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/perch-go/perch"
)

// initial is a gateway with AfterInit.
type initial struct {
	gateway
	afterInit func(s *perch.Server) error
}

func (g *initial) AfterInit(s *perch.Server) error { return g.afterInit(s) }

// Check 2, N-15, N-16: AfterInit is called once, in order, with what Server returns,
// before anyone is let in.
func TestStart(t *testing.T) {
	t.Parallel()
	var order []string
	var srv *httptest.Server
	status := func() int { // of a request that only a started server refuses for what it is
		resp, err := srv.Client().Get(srv.URL + "/socket.io/?EIO=4&transport=none")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	first := &initial{}
	first.afterInit = func(s *perch.Server) error {
		order = append(order, "first")
		if s != first.Server() {
			t.Error("AfterInit has another server than Server()")
		}
		if got := status(); got != http.StatusServiceUnavailable {
			t.Errorf("status while starting: %d", got)
		}
		return s.Emit("to", "nobody")
	}
	second := &initial{afterInit: func(*perch.Server) error { order = append(order, "second"); return nil }}
	second.options.Namespace = "second"

	app, err := perch.New(quiet(), perch.WithGateways(first, second))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	srv = httptest.NewServer(mux)
	defer srv.Close()
	if got := status(); got != http.StatusServiceUnavailable {
		t.Errorf("status before Start: %d", got)
	}
	if err := first.Server().Emit("x"); !errors.Is(err, perch.ErrNotStarted) {
		t.Errorf("Emit before Start: %v", err)
	}
	if first.Server().Len() != 0 {
		t.Error("sockets before Start")
	}
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := status(); got != http.StatusBadRequest {
		t.Errorf("status after Start: %d", got)
	}
	if !slices.Equal(order, []string{"first", "second"}) {
		t.Errorf("order %q", order)
	}
	if err := app.Start(t.Context()); !errors.Is(err, perch.ErrStarted) {
		t.Errorf("second Start: %v", err)
	}
	if err := app.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := app.Start(t.Context()); !errors.Is(err, perch.ErrStopped) {
		t.Errorf("Start after Shutdown: %v", err)
	}
	if got := status(); got != http.StatusServiceUnavailable {
		t.Errorf("status after Shutdown: %d", got)
	}
}

// N-16 is changed: an error or a panic of AfterInit ends Start, and the app.
func TestAfterInitFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*perch.Server) error{
		"error": func(*perch.Server) error { return errors.New("no database") },
		"panic": func(*perch.Server) error { panic("no database") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := perch.New(quiet(), perch.WithGateways(&initial{afterInit: fail}))
			if err != nil {
				t.Fatal(err)
			}
			err = app.Start(t.Context())
			var g *perch.GatewayError
			if !errors.As(err, &g) || !strings.Contains(err.Error(), "*perch_test.initial (namespace /): AfterInit: ") || !strings.Contains(err.Error(), "no database") {
				t.Errorf("got %v", err)
			}
			if err := app.ListenAndServe("127.0.0.1:0"); !errors.Is(err, perch.ErrStopped) {
				t.Errorf("ListenAndServe afterwards: %v", err)
			}
		})
	}
}

// Architecture section 5, Stop; N-42: clients are told, handlers and HandleDisconnect
// are awaited.
func TestShutdownWaits(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	var handled, left atomic.Bool
	reasons := make(chan perch.Reason, 1)
	g := &hooked{onDisconnect: func(_ context.Context, _ *perch.Socket, reason perch.Reason) {
		if !handled.Load() {
			t.Error("left before the last event was handled")
		}
		left.Store(true)
		reasons <- reason
	}}
	g.register = func(r *perch.Router) {
		perch.OnEvent(r, "slow", func(context.Context, perch.None) error {
			close(entered)
			<-release
			handled.Store(true)
			return nil
		})
	}
	app, srv := start(t, perch.WithGateways(g))
	c := join(t, srv, "/")
	c.send(`42["slow"]`)
	receive(t, entered)

	stopped := make(chan error, 1)
	go func() { stopped <- app.Shutdown(context.Background()) }()
	for !errors.Is(app.Start(context.Background()), perch.ErrStopped) { // refusal has not begun
		runtime.Gosched()
	}
	close(release)
	c.readToEnd()
	if err := receive(t, stopped); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if !left.Load() {
		t.Error("Shutdown did not wait for HandleDisconnect")
	}
	if got := receive(t, reasons); got != "server shutting down" {
		t.Errorf("reason %q", got)
	}
	if err := app.Shutdown(context.Background()); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
}

// A handler that does not end costs Shutdown its deadline, not more.
func TestShutdownDeadline(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	g := handlers(func(r *perch.Router) {
		perch.OnEvent(r, "slow", func(context.Context, perch.None) error {
			close(entered)
			<-release
			return nil
		})
	})
	app, err := perch.New(quiet(), perch.WithGateways(g))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := join(t, srv, "/")
	c.send(`42["slow"]`)
	receive(t, entered)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := app.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(release)
}

// Check 8: one listener serves HTTP routes, polling and upgrade; others are untouched.
func TestMount(t *testing.T) {
	t.Parallel()
	app, err := perch.New(quiet(), perch.WithGateways(
		handlers(answers),
		&gateway{options: perch.Options{Path: "/realtime"}, register: answers},
	))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("page")) })
	app.Mount(mux)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	defer func() { _ = app.Shutdown(context.Background()) }()
	for path, open := range map[string]bool{
		"/": false, "/socket.iox": false, "/real": false,
		"/socket.io/": true, "/socket.io": true, "/realtime/": true, "/realtime": true,
	} {
		resp, err := srv.Client().Get(srv.URL + path + "?EIO=4&transport=none")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := resp.StatusCode == http.StatusBadRequest; got != open {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	c := join(t, srv, "/")
	if got := c.ask(`421["echo","hi"]`); got != `431["hi"]` {
		t.Errorf("got %s", got)
	}
	c.drop()
}

// The client's files are found under every server's path; see socketio for the rest.
func TestClientBundle(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"socket.io.esm.min.js": {Data: []byte("export {}")}}
	_, srv := start(t, perch.WithClientBundle(files), perch.WithCORS(perch.CORS{Origins: []string{"*"}}), perch.WithGateways(handlers(nil)))
	resp, err := srv.Client().Get(srv.URL + "/socket.io/socket.io.esm.min.js")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/javascript") {
		t.Errorf("got %s %v", resp.Status, resp.Header)
	}
}

// ListenAndServe does it all, and returns when Shutdown is done.
func TestListenAndServe(t *testing.T) {
	t.Parallel()
	app, err := perch.New(quiet(), perch.WithGateways(handlers(answers)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(l) }()
	c := dialURL(t, http.DefaultClient, "http://"+l.Addr().String())
	if got := c.ask("40"); !strings.HasPrefix(got, "40{") {
		t.Errorf("got %s", got)
	}
	go c.readToEnd()
	if err := app.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := receive(t, served); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// A taken port is an error that ends the app.
func TestListenAndServeTakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	app, err := perch.New(quiet(), perch.WithGateways(handlers(nil)))
	if err != nil {
		t.Fatal(err)
	}
	var op *net.OpError
	if err := app.ListenAndServe(l.Addr().String()); !errors.As(err, &op) {
		t.Errorf("got %v", err)
	}
	if err := app.Start(t.Context()); !errors.Is(err, perch.ErrStopped) {
		t.Errorf("Start afterwards: %v", err)
	}
}
