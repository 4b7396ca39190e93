package perchtest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
)

// patience is how long is waited for what must come. In a bubble of testing/synctest that is time on
// the bubble's clock.
const patience = 10 * time.Second

// The address of a server in memory.
const (
	serverURL  = "http://perch.test"
	serverPort = "80"
)

// Server is safe for concurrent use. It is an app that is served in memory until the test ends: there is
// no port, and who has its [Server.DialContext] reaches it under any host name.
type Server struct {
	app    *perch.App
	net    *network
	http   *http.Transport
	logger *slog.Logger
}

// New makes an app, starts it and serves it in memory until the test ends; then it is shut down, after the
// clients of [Server.Dial] have left. Gateways with a port of their own have it in memory, too. An error of
// any of this fails the test.
//
// What the app logs as a warning or an error is in the test's output unless the options say otherwise. In a bubble of testing/synctest
// New has to be called in the bubble.
func New(t testing.TB, options ...perch.Option) *Server {
	t.Helper()
	n, logger := newNetwork(), newLogger(t)
	return serve(t, n, logger, newApp(t, n, logger, options...), nil)
}

// Serve is New for an app that the program has made, and with everything else that is served beside it: handler
// is what the app is mounted on, behind its middleware; nil is the app alone. The app is started unless it is,
// and it is shut down. Ports of its gateways' own are not in memory unless it was made with an option that says so,
// [perch.WithListen].
func Serve(t testing.TB, app *perch.App, handler http.Handler) *Server {
	t.Helper()
	return serve(t, newNetwork(), newLogger(t), app, handler)
}

// newApp makes an app whose own ports are in memory.
func newApp(t testing.TB, n *network, logger *slog.Logger, options ...perch.Option) *perch.App {
	t.Helper()
	app, err := perch.New(slices.Concat([]perch.Option{perch.WithLogger(logger)}, options, []perch.Option{perch.WithListen(n.listen)})...)
	if err != nil {
		t.Fatalf("perchtest: %v", err)
	}
	return app
}

// start starts an app, and shuts it down when the test ends.
func start(t testing.TB, app *perch.App) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("perchtest: the app's Shutdown: %v", err)
		}
	})
	if err := app.Start(t.Context()); err != nil && !errors.Is(err, perch.ErrStarted) {
		t.Fatalf("perchtest: the app's Start: %v", err)
	}
}

func serve(t testing.TB, n *network, logger *slog.Logger, app *perch.App, handler http.Handler) *Server {
	t.Helper()
	s := &Server{app: app, net: n, http: &http.Transport{DialContext: n.dial}, logger: logger}
	if handler == nil {
		mux := http.NewServeMux()
		app.Mount(mux)
		handler = mux
	}
	l, err := n.listen("tcp", net.JoinHostPort("", serverPort))
	if err != nil {
		t.Fatalf("perchtest: %v: choose another port for the gateway", err)
	}
	web := &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)}
	served := make(chan error, 1)
	t.Cleanup(func() { // when the app is shut down
		s.http.CloseIdleConnections()
		_ = web.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("perchtest: the server: %v", err)
		}
		n.cut()
	})
	go func() { served <- web.Serve(l) }()
	start(t, app)
	return s
}

// App is what is served.
func (s *Server) App() *perch.App { return s.app }

// URL is the server's address, without a slash at its end. Gateways with ports of their own are at this
// address with the port. Only what goes through [Server.DialContext] finds it.
func (s *Server) URL() string { return serverURL }

// HTTPClient makes requests to the server, to plain HTTP routes for example. It is the caller's own, and may be
// given a Jar; its Transport is an *http.Transport that all of them share.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: s.http} }

// DialContext makes a connection to the server, whatever the address says but its port: for whoever takes a
// function like a net.Dialer's.
func (s *Server) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return s.net.dial(ctx, network, address)
}

// CloseClientConnections closes all connections at once, as a network does that fails. Clients notice, and
// connect again as their options say.
func (s *Server) CloseClientConnections() { s.net.cut() }

// Client makes a client that is not connected, of a URL relative to the server's: "/chat" is its namespace. It is
// closed when the test ends. Without Transports in o the connection is a WebSocket from the beginning; with
// client.Polling and client.WebSocket, in this order, it is upgraded.
//
// It is for who wants to register handlers first, or the error of Connect. [Server.Dial] is for all others.
func (s *Server) Client(t testing.TB, url string, o client.Options) *Client {
	t.Helper()
	if len(o.Transports) == 0 {
		o.Transports = []client.Transport{client.WebSocket}
	}
	if o.HTTPClient == nil && o.DialContext == nil {
		o.DialContext = s.net.dial
	}
	if o.Logger == nil {
		o.Logger = s.logger
	}
	// The test's context is done before the cleanups run, and would end the client without a goodbye.
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	sock, err := client.New(ctx, resolve(t, url), o)
	if err != nil {
		t.Fatalf("perchtest: %v", err)
	}
	t.Cleanup(func() {
		_ = sock.Close()
		<-sock.Manager().Done()
	})
	return newClient(sock)
}

// Dial is Client that connects, too. A failure fails the test.
func (s *Server) Dial(t testing.TB, url string, o client.Options) *Client {
	t.Helper()
	c := s.Client(t, url, o)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Connect(ctx); err != nil {
		t.Fatalf("perchtest: %s: %v", url, err)
	}
	return c
}

// resolve is a URL relative to the server's.
func resolve(t testing.TB, ref string) string {
	t.Helper()
	base, err := url.Parse(serverURL + "/")
	if err != nil {
		t.Fatalf("perchtest: %v", err)
	}
	u, err := base.Parse(ref)
	if err != nil {
		t.Fatalf("perchtest: %v", err)
	}
	return u.String()
}
