package engineio

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// wrappedListener hands out connections of a type of its own, as metrics and PROXY protocol do.
type wrappedListener struct{ net.Listener }

type wrappedConn struct{ net.Conn }

func (l wrappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return wrappedConn{c}, nil
}

// foreign serves on a user's own http.Server, over real TCP.
func foreign(t *testing.T, o Options, withTLS, wrapped bool, handler func(*Session) Handler, configure func(*http.Server)) (*Server, *httptest.Server, func() net.Conn) {
	t.Helper()
	o.Logger = quiet()
	server, err := New(o, handler)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewUnstartedServer(server)
	configure(ts.Config)
	if wrapped {
		ts.Listener = wrappedListener{ts.Listener}
	}
	if withTLS {
		ts.StartTLS()
	} else {
		ts.Start()
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", ts.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if withTLS {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		}
		return c
	}
	return server, ts, dial
}

// Engine rule 12: the timeouts of somebody else's server end neither a poll nor a connection, and
// Shutdown is prompt with polls pending.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		tls, wrapped bool
	}{{"plain", false, false}, {"wrapped", false, true}, {"tls", true, false}, {"tls wrapped", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			handler := func(s *Session) Handler {
				return &recorder{session: s, closed: make(chan Reason, 2), echo: true}
			}
			server, ts, dial := foreign(t, Options{}, tt.tls, tt.wrapped, handler, func(s *http.Server) {
				s.WriteTimeout, s.ReadTimeout, s.ReadHeaderTimeout = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
			})
			defer ts.Close()
			client := ts.Client()
			get := func(url string) string {
				resp, err := client.Get(url)
				if err != nil {
					return err.Error()
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					return err.Error()
				}
				return string(b)
			}
			url := ts.URL + "/engine.io/?EIO=4&transport=polling"
			url += "&sid=" + openID(t, get(url))
			polled := make(chan string, 1)
			go func() { polled <- get(url) }()
			c := dialWS(t, dial(), "")
			defer c.conn.Close()
			c.read()
			<-time.After(700 * time.Millisecond) // real time: the deadlines are the kernel's
			resp, err := client.Post(url, "text/plain", strings.NewReader("4late"))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := <-polled; got != "4late" {
				t.Errorf("poll: %q", got)
			}
			c.send("4late")
			if got := c.read(); got != "4late" {
				t.Errorf("websocket: %q", got)
			}
			go func() { polled <- get(url) }()
			session := server.sessions.find(url[strings.LastIndex(url, "=")+1:])
			eventually(t, "the poll is pending", func() bool {
				session.mu.Lock()
				defer session.mu.Unlock()
				return session.poll != nil
			})
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			go func() { // a client that answers the close
				for !strings.HasPrefix(c.read(), "error") {
				}
				c.conn.Close()
			}()
			start := time.Now()
			if err := server.Shutdown(ctx); err != nil || time.Since(start) > time.Second {
				t.Errorf("Shutdown: %v after %v", err, time.Since(start))
			}
			if got := <-polled; got != "1" {
				t.Errorf("pending poll at shutdown: %q", got)
			}
			if got := get(ts.URL + "/engine.io/?EIO=4&transport=polling"); got != "server is shutting down" {
				t.Errorf("request after Shutdown: %q", got)
			}
		})
	}
}

// Engine rule 5, peer G: a reader that stalls delays nobody, over plain TCP and over TLS.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	for _, withTLS := range []bool{false, true} {
		name := map[bool]string{false: "tcp", true: "tls"}[withTLS]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sessions := make(chan *Session, 3)
			handler := func(s *Session) Handler {
				r := &recorder{session: s, closed: make(chan Reason, 2), messages: make(chan string, 10)}
				sessions <- s
				return r
			}
			server, ts, dial := foreign(t, Options{OutboundBytes: 64 << 20, OutboundPackets: 1 << 20}, withTLS, false, handler, func(*http.Server) {})
			defer ts.Close()
			stalled, lively := dialWS(t, dial(), ""), dialWS(t, dial(), "")
			defer stalled.conn.Close()
			defer lively.conn.Close()
			stalled.read()
			lively.read()
			members := []*Session{<-sessions, <-sessions}
			var worst time.Duration
			for i := range 400 {
				var m Message
				m.AppendText([]byte(strings.Repeat("x", 50_000)))
				start := time.Now()
				for _, s := range members { // a broadcast: append to all, then flush all
					if err := s.Append(&m, false); err != nil {
						t.Fatalf("broadcast %d: %v", i, err)
					}
				}
				for _, s := range members {
					s.Flush()
				}
				if got := lively.read(); len(got) != 50_001 {
					t.Fatalf("read %.50q", got)
				}
				worst = max(worst, time.Since(start))
			}
			queued := 0
			for _, s := range members {
				n, _ := s.Buffered()
				queued = max(queued, n)
			}
			if queued < 5<<20 {
				t.Errorf("only %d bytes queued for the stalled reader; the test shows nothing", queued)
			}
			if worst > time.Second {
				t.Errorf("a broadcast took %v to reach the lively member", worst)
			}
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // cut the stalled one off
			_ = server.Shutdown(ctx)
			eventually(t, "all goroutines have ended", func() bool { return server.goroutines.n.Load() == 0 })
		})
	}
}

// 1,000 dirty disconnects leave nothing behind (peer Z's goroutine leak); TestMain sees leaks.
func TestDirtyDisconnects(t *testing.T) {
	t.Parallel()
	handler := func(s *Session) Handler {
		return &recorder{session: s, closed: make(chan Reason, 2), messages: make(chan string, 10)}
	}
	server, ts, dial := foreign(t, Options{PingInterval: time.Second, PingTimeout: time.Second, UpgradeTimeout: 500 * time.Millisecond},
		false, false, handler, func(*http.Server) {})
	defer ts.Close()
	reset := func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	parallel(10, func(worker int) {
		for i := range 100 {
			switch i % 4 {
			case 0: // reset
				c := dialWS(t, dial(), "")
				c.read()
				reset(c.conn)
			case 1: // reset in the middle of a frame
				c := dialWS(t, dial(), "", []byte{0x81, 0xff, 0, 0})
				reset(c.conn)
			case 2: // a session that is never polled
				resp, err := ts.Client().Get(ts.URL + "/engine.io/?EIO=4&transport=polling")
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			case 3: // an unfinished upgrade and an abandoned poll
				resp, err := ts.Client().Get(ts.URL + "/engine.io/?EIO=4&transport=polling")
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				sid := openID(t, string(body))
				c := dialWS(t, dial(), "&sid="+sid)
				c.send("2probe")
				poll := dial()
				_, _ = io.WriteString(poll, "GET /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: x\r\n\r\n")
				reset(poll)
				if i%8 == 3 {
					reset(c.conn)
				} else {
					defer reset(c.conn)
				}
			}
		}
	})
	eventually(t, "every session is gone", func() bool { return server.Sessions() == 0 })
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
