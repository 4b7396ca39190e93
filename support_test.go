package perch_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
)

// patience is for what must come; nothing is waited for that long unless it fails.
const patience = 10 * time.Second

// gateway is a gateway made of functions, for tests that need one of a certain kind.
type gateway struct {
	perch.Base
	options  perch.Options
	register func(r *perch.Router)
}

func (g *gateway) Options() perch.Options { return g.options }

func (g *gateway) Register(r *perch.Router) {
	if g.register != nil {
		g.register(r)
	}
}

// hooked is a gateway with hooks.
type hooked struct {
	gateway
	onConnection func(ctx context.Context, s *perch.Socket) error
	onDisconnect func(ctx context.Context, s *perch.Socket, reason perch.Reason)
}

func (g *hooked) HandleConnection(ctx context.Context, s *perch.Socket) error {
	if g.onConnection == nil {
		return nil
	}
	return g.onConnection(ctx, s)
}

func (g *hooked) HandleDisconnect(ctx context.Context, s *perch.Socket, reason perch.Reason) {
	if g.onDisconnect != nil {
		g.onDisconnect(ctx, s, reason)
	}
}

// handlers is a gateway on / with these handlers.
func handlers(register func(r *perch.Router)) *gateway { return &gateway{register: register} }

// logbook is a logger whose lines can be looked at.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// quiet keeps what tests provoke out of their output.
func quiet() perch.Option { return perch.WithLogger(slog.New(slog.DiscardHandler)) }

// start serves an app of these gateways on a server of the test's own.
func start(t testing.TB, options ...perch.Option) (*perch.App, *httptest.Server) {
	t.Helper()
	app, err := perch.New(append([]perch.Option{quiet()}, options...)...)
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
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		srv.Close()
	})
	return app, srv
}

func serve(t testing.TB, gateways ...perch.Gateway) *httptest.Server {
	t.Helper()
	_, srv := start(t, perch.WithGateways(gateways...))
	return srv
}

// client is a Socket.IO client at the level of packets, over WebSocket.
type client struct {
	t    testing.TB
	conn *websocket.Conn
}

// dial opens a session, without any namespace.
func dial(t testing.TB, srv *httptest.Server) *client {
	t.Helper()
	return dialURL(t, srv.Client(), srv.URL)
}

func dialURL(t testing.TB, h *http.Client, url string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/socket.io/?EIO=4&transport=websocket", &websocket.DialOptions{HTTPClient: h})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	c := &client{t, conn}
	t.Cleanup(c.drop)
	if open := c.packet(); !strings.HasPrefix(open, "0{") {
		t.Fatalf("open packet is %q", open)
	}
	return c
}

// drop cuts the connection without a word.
func (c *client) drop() { _ = c.conn.CloseNow() }

// join dials and connects to a namespace.
func join(t testing.TB, srv *httptest.Server, namespace string) *client {
	t.Helper()
	c := dial(t, srv)
	c.send("40" + prefixed(namespace, ""))
	if reply := c.next(); !strings.HasPrefix(reply, "40"+prefixed(namespace, `{"sid":`)) {
		t.Fatalf("CONNECT was answered by %q", reply)
	}
	return c
}

func prefixed(namespace, rest string) string {
	if namespace == "/" {
		return rest
	}
	return namespace + "," + rest
}

func (c *client) send(text string) {
	c.t.Helper()
	c.write(websocket.MessageText, []byte(text))
}

func (c *client) write(kind websocket.MessageType, data []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, kind, data); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// packet is the next Engine.IO packet but pings; a binary one has "b:" before it.
func (c *client) packet() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		kind, data, err := c.conn.Read(ctx)
		switch {
		case err != nil:
			return "closed: " + err.Error()
		case kind == websocket.MessageBinary:
			return "b:" + string(data)
		case string(data) == "2":
			c.send("3")
		default:
			return string(data)
		}
	}
}

// readToEnd reads on until the server closes.
func (c *client) readToEnd() {
	for {
		if _, _, err := c.conn.Read(context.Background()); err != nil {
			return
		}
	}
}

// next is the next packet, which must not be the end.
func (c *client) next() string {
	c.t.Helper()
	p := c.packet()
	if strings.HasPrefix(p, "closed: ") {
		c.t.Fatalf("no packet but the end: %s", p)
	}
	return p
}

// want reads the next packets and compares.
func (c *client) want(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		if got := c.next(); got != want {
			c.t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

// ask sends and returns the next packet.
func (c *client) ask(text string) string {
	c.t.Helper()
	c.send(text)
	return c.next()
}

// receive waits for what must come.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}
