package perch_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch"
)

// What docs/security.md says of the server that an app runs. The tests are named after its rows.

// pipes is a listener in memory, so that a test may have a clock of its own.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours
}

// served is an app that serves these pipes until the function is called.
func served(t *testing.T) (*pipes, func()) {
	t.Helper()
	app, err := perch.New(quiet(), perch.WithGateways(&gateway{}))
	if err != nil {
		t.Fatal(err)
	}
	p, ended := newPipes(), make(chan error, 1)
	go func() { ended <- app.Serve(p) }()
	return p, func() {
		if err := app.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}
}

// Slow loris: headers have to come within ten seconds, however many bytes come now and then; and a connection that is not used
// is closed after two minutes.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]struct {
		bytes string
		least time.Duration
		most  time.Duration
	}{
		"headers":  {"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nX-A: a", 9 * time.Second, 11 * time.Second},
		"no bytes": {"", 9 * time.Second, 11 * time.Second},
		"idle":     {"GET /socket.io/ HTTP/1.1\r\nHost: x\r\n\r\n", time.Minute, 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, stop := served(t)
				defer stop()
				conn := p.dial()
				start, ended := time.Now(), make(chan struct{})
				go func() {
					defer close(ended)
					_, _ = io.Copy(io.Discard, conn)
				}()
				_, _ = io.WriteString(conn, begin.bytes)
				var trickle sync.WaitGroup
				defer trickle.Wait()
				if name == "headers" {
					trickle.Go(func() {
						for { // until the connection is closed
							<-time.After(time.Second)
							if _, err := io.WriteString(conn, "a"); err != nil {
								return
							}
						}
					})
				}
				select {
				case <-ended:
				case <-time.After(time.Hour):
					t.Error("it is still open")
				}
				if took := time.Since(start); took < begin.least || took > begin.most {
					t.Errorf("closed after %v", took)
				}
				_ = conn.Close()
			})
		})
	}
}

// Many headers are many headers, and too much of them is refused.
func TestCVE_2024_37890(t *testing.T) {
	t.Parallel()
	p, stop := served(t)
	defer stop()
	const upgrade = " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
	for _, tt := range []struct {
		target          string
		headers, status int
		line            string
	}{
		{"/socket.io/?EIO=4&transport=websocket", 500, http.StatusSwitchingProtocols, "X-%d: %[1]d\r\n"},
		{"/socket.io/?EIO=4&transport=websocket", 500, http.StatusSwitchingProtocols, "Connection: a%d\r\n"},
		{"/socket.io/?EIO=4&transport=websocket", 20_000, http.StatusRequestHeaderFieldsTooLarge, "X-%d: %[1]d\r\n"},
		{"/elsewhere", 20_000, http.StatusRequestHeaderFieldsTooLarge, "X-%d: %[1]d\r\n"}, // the engine does not see it
	} {
		var request strings.Builder
		request.WriteString("GET " + tt.target + upgrade)
		for i := range tt.headers {
			fmt.Fprintf(&request, tt.line, i)
		}
		request.WriteString("\r\n")
		conn := p.dial()
		go func() { _, _ = io.WriteString(conn, request.String()) }()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != tt.status {
			t.Errorf("%d of %q: %s", tt.headers, tt.line, resp.Status)
		}
		_ = conn.Close()
	}
}

// What is not found is not shown.
func TestNoReflection(t *testing.T) {
	t.Parallel()
	srv := serve(t, &gateway{})
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	mark := url.PathEscape("<script>alert(1)</script>")
	for _, path := range []string{"/" + mark, "/socket.io/" + mark, "/socket.io/" + mark + ".js", "//" + mark + "/../x", "/socket.io/socket.io.js?" + mark} {
		resp, err := c.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		redirect := resp.StatusCode/100 == 3 // net/http escapes its link
		if strings.Contains(string(body), "<script") || !redirect && (resp.Header.Get("X-Content-Type-Options") != "nosniff" || strings.Contains(resp.Header.Get("Content-Type"), "html")) {
			t.Errorf("%s: %s %v %s", path, resp.Status, resp.Header, body)
		}
	}
}
