package engine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is the server's side of a connection in a test: it passes on what it gets, or echoes it.
type peer struct {
	*engineio.Session
	echo     bool
	messages chan string // text as it came, binary with "b:" before it
	closed   chan engineio.Reason
}

func (p *peer) HandleMessage(data []byte, binary bool) {
	if p.echo {
		p.send(string(data), binary)
		return
	}
	s := string(data)
	if binary {
		s = "b:" + s
	}
	p.messages <- s
}

func (p *peer) HandleClose(reason engineio.Reason, err error) { p.closed <- reason }

func (p *peer) send(data string, binary bool) {
	var m engineio.Message
	if binary {
		m.AppendBinary([]byte(data))
	} else {
		m.AppendText([]byte(data))
	}
	_ = p.Session.Send(&m)
}

// fixture is our own server on a listener, and what a client needs to reach it.
type fixture struct {
	t        *testing.T
	listener net.Listener
	http     *http.Server
	engine   *engineio.Server
	client   *http.Client
	peers    chan *peer
	served   chan struct{}
	mu       sync.Mutex
	idle     sync.Cond
	requests int // being handled
}

// newFixture serves on an in-memory listener, so that fake time works on all of it, or on the one given.
func newFixture(t *testing.T, o engineio.Options, echo bool, listener net.Listener) *fixture {
	t.Helper()
	f := &fixture{t: t, listener: listener, peers: make(chan *peer, 1000), served: make(chan struct{})}
	o.Logger = slog.New(slog.DiscardHandler)
	var err error
	f.engine, err = engineio.New(o, func(s *engineio.Session) engineio.Handler {
		p := &peer{s, echo, make(chan string, 10_000), make(chan engineio.Reason, 1)}
		f.peers <- p
		return p
	})
	if err != nil {
		t.Fatal(err)
	}
	f.serve(f.engine)
	return f
}

// newServer serves whatever a test says, in memory.
func newServer(t *testing.T, h http.HandlerFunc) *fixture {
	f := &fixture{t: t, served: make(chan struct{})}
	f.serve(h)
	return f
}

func (f *fixture) serve(h http.Handler) {
	transport := &http.Transport{}
	if f.listener == nil {
		memory := stream.NewListener()
		f.listener = memory
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return memory.Dial() }
	} else {
		address := f.listener.Addr()
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, address.Network(), address.String())
		}
	}
	f.client = &http.Client{Transport: transport}
	f.idle.L = &f.mu
	tracked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.count(1)
		defer f.count(-1)
		h.ServeHTTP(w, r)
	})
	f.http = &http.Server{Handler: tracked, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() {
		defer close(f.served)
		_ = f.http.Serve(f.listener)
	}()
}

// close ends everything; a test under synctest must call it before it returns.
func (f *fixture) close() {
	if f.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := f.engine.Shutdown(ctx); err != nil {
			f.t.Errorf("shutdown: %v", err)
		}
	}
	f.client.CloseIdleConnections()
	_ = f.http.Close()
	<-f.served
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.requests > 0 {
		f.idle.Wait()
	}
}

func (f *fixture) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests += n
	f.idle.Broadcast()
}

func loopback(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// config is how to connect to the fixture over these transports; the first of several upgrades to the others.
func (f *fixture) config(transports ...Transport) Config {
	return Config{
		URL:        &url.URL{Scheme: "http", Host: "perch.test", Path: "/engine.io/"},
		HTTPClient: f.client,
		Transports: transports,
		Upgrade:    true,
	}
}

// client is the client's side of a connection in a test.
type client struct {
	*Conn
	messages chan string
	pings    chan struct{}
	upgraded chan Transport
	failed   chan error
	handle   func(data []byte, binary bool) error // instead of messages
	cancel   context.CancelFunc
	over     chan struct{}
	reason   Reason
	err      error
}

func (c *client) Message(data []byte, binary bool) error {
	if c.handle != nil {
		return c.handle(data, binary)
	}
	s := string(data)
	if binary {
		s = "b:" + s
	}
	c.messages <- s
	return nil
}
func (c *client) Ping()                  { c.pings <- struct{}{} }
func (c *client) Upgraded(t Transport)   { c.upgraded <- t }
func (c *client) UpgradeError(err error) { c.failed <- err }

// dial connects and begins to serve.
func dial(t *testing.T, config Config) *client {
	t.Helper()
	return dialWith(t, config, nil)
}

func dialWith(t *testing.T, config Config, handle func(data []byte, binary bool) error) *client {
	t.Helper()
	conn, err := Dial(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{
		Conn: conn, messages: make(chan string, 10_000), pings: make(chan struct{}, 1000), upgraded: make(chan Transport, 10),
		failed: make(chan error, 10), handle: handle, over: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go func() {
		defer close(c.over)
		c.reason, c.err = conn.Serve(ctx, c)
	}()
	return c
}

// ended waits for the end and compares its reason.
func (c *client) ended(t *testing.T, want Reason) error {
	t.Helper()
	<-c.over
	c.cancel()
	if c.reason != want {
		t.Errorf("ended with %q (%v), want %q", c.reason, c.err, want)
	}
	if err := c.Send(true, Message{Data: []byte("late")}); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after the end: %v", err)
	}
	if c.Writable() {
		t.Error("writable after the end")
	}
	return c.err
}

// stop closes the connection and waits for its end.
func (c *client) stop(t *testing.T) {
	t.Helper()
	c.Close()
	if err := c.ended(t, ForcedClose); err != nil {
		t.Errorf("closed: %v", err)
	}
}

func (c *client) text(t *testing.T, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if err := c.Send(false, Message{Data: []byte(m)}); err != nil {
			t.Errorf("send %.20q: %v", m, err)
		}
	}
}

// expect compares what comes with what should.
func expect(t *testing.T, from chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := <-from; got != w {
			t.Fatalf("got %.100q, want %.100q", got, w)
		}
	}
}

func drain(r io.Reader) string {
	b, _ := io.ReadAll(r)
	return string(b)
}
