package client

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/socketio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// site is a server of ours behind in-memory pipes, on the clock of a synctest bubble.
type site struct {
	*socketio.Server
	t        *testing.T
	listener *stream.Listener

	mu    sync.Mutex
	conns []net.Conn
	down  bool
}

const siteURL = "http://site.test"

var errDown = errors.New("the site is down")

func newSite(t *testing.T, o socketio.Options) *site {
	t.Helper()
	o.Logger = quiet
	server, err := socketio.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Server: server, t: t, listener: stream.NewListener()}
	web := &http.Server{Handler: server, ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelError)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(s.listener)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		_ = web.Close()
		<-served
		s.cut()
		time.Sleep(time.Second) // requests that the server lets come to an end by themselves
	})
	return s
}

func (s *site) dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, errDown
	}
	c, err := s.listener.Dial()
	if err == nil {
		s.conns = append(s.conns, c)
	}
	return c, err
}

// cut closes every connection from the client's side.
func (s *site) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

// turn cuts, and has further connections refused or, again, accepted.
func (s *site) turn(on bool) {
	s.mu.Lock()
	s.down = !on
	s.mu.Unlock()
	s.cut()
}

// options are those of clients of the site.
func (s *site) options(transports ...Transport) Options {
	return Options{DialContext: s.dial, Logger: quiet, Transports: transports}
}

// client makes a socket that is not connected, and that is closed when the test ends.
func (s *site) client(path string, o Options) *Socket {
	s.t.Helper()
	c, err := New(s.t.Context(), siteURL+path, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			s.t.Errorf("Close: %v", err)
		}
		<-c.Manager().Done()
	})
	return c
}

func connect(t *testing.T, s *Socket) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Connect(ctx); err != nil {
		t.Fatalf("Connect: %v", err)
	}
}

// bubble runs a test on a clock of its own, once for each way to be connected.
func bubble(t *testing.T, test func(t *testing.T, transports []Transport)) {
	for name, transports := range map[string][]Transport{
		"polling": {Polling}, "websocket": {WebSocket}, "upgrade": {Polling, WebSocket},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, transports) })
		})
	}
}

func recoverable() socketio.Options { return socketio.Options{Recovery: &socketio.Recovery{}} }
