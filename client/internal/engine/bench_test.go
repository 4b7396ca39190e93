package engine

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/perch-go/perch/engineio"
)

// replier is a server's side that answers each message with the same one.
type replier struct {
	session *engineio.Session
	answer  engineio.Message
}

func (r *replier) HandleMessage([]byte, bool)         { _ = r.session.Send(&r.answer) }
func (r *replier) HandleClose(engineio.Reason, error) {}

// counter is a Handler that counts down.
type counter struct {
	client
	got chan struct{}
	n   int
}

func (c *counter) Message([]byte, bool) error {
	if c.n--; c.n == 0 {
		c.got <- struct{}{}
	}
	return nil
}

// dialEcho connects to our own server over loopback, where each message is answered.
func dialEcho(tb testing.TB) (conn *Conn, h *counter, stop func()) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server, err := engineio.New(engineio.Options{}, func(s *engineio.Session) engineio.Handler {
		r := &replier{session: s}
		r.answer.AppendText([]byte(`2["message","hello"]`))
		return r
	})
	if err != nil {
		tb.Fatal(err)
	}
	httpServer := &http.Server{Handler: server}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = httpServer.Serve(listener)
	}()
	conn, err = Dial(tb.Context(), Config{
		URL:        &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/engine.io/"},
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Transports: []Transport{WebSocket},
	})
	if err != nil {
		tb.Fatal(err)
	}
	h = &counter{got: make(chan struct{})}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = conn.Serve(context.Background(), h)
	}()
	return conn, h, func() {
		conn.Close()
		<-over
		_ = server.Shutdown(context.Background())
		_ = httpServer.Close()
		<-served
	}
}

// BenchmarkEcho sends messages and waits for as many: one at a time, and many at once. What the server allocates counts too.
func BenchmarkEcho(b *testing.B) {
	for _, bb := range []struct {
		name  string
		burst int
	}{{"one", 1}, {"burst", 1000}} {
		b.Run(bb.name, func(b *testing.B) {
			conn, h, stop := dialEcho(b)
			defer stop()
			m := Message{Data: []byte(`2["message","hello"]`)}
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= bb.burst {
				n := min(left, bb.burst)
				h.n = n
				for range n {
					_ = conn.Send(true, m)
				}
				<-h.got
			}
			b.StopTimer()
		})
	}
}
