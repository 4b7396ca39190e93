package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/engineio"
)

// parrot says what it hears.
type parrot struct{ perch.Base }

func (g *parrot) Options() perch.Options { return perch.Options{} }

func (g *parrot) Register(r *perch.Router) {
	perch.On(r, "echo", func(_ context.Context, s string) (string, error) { return s, nil })
}

// wrapped is a listener as limiters and loggers make them: its connections hide what they wrap, so that there is no
// descriptor to be had.
type wrapped struct{ net.Listener }

func (l wrapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return struct{ net.Conn }{c}, nil
}

// Engine rule 12: on somebody else's server, whose WriteTimeout is shorter than a poll waits, behind a listener of theirs,
// with and without TLS.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	const writeTimeout = time.Second
	for _, secure := range []bool{false, true} {
		for _, wrap := range []bool{false, true} {
			t.Run(name("plain", "tls", secure)+", "+name("bare", "wrapped", wrap), func(t *testing.T) {
				t.Parallel()
				g := &parrot{}
				app, err := perch.New(perch.WithGateways(g), perch.WithLogger(quiet),
					perch.WithEngine(engineio.Options{PingInterval: 2 * writeTimeout}))
				if err != nil {
					t.Fatal(err)
				}
				mux := http.NewServeMux()
				app.Mount(mux)
				if err := app.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				polls := make(chan struct{}, 16)
				web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet && r.URL.Query().Has("sid") {
						polls <- struct{}{}
					}
					mux.ServeHTTP(w, r)
				}))
				web.Config.WriteTimeout = writeTimeout
				web.Config.ReadTimeout = writeTimeout
				if wrap {
					web.Listener = wrapped{web.Listener}
				}
				config := begin(web, secure)
				defer web.Close()
				address := web.Listener.Addr().String()

				// The timeouts have passed when the first ping comes, and the session goes on.
				socket := member(t, address, config)
				polling := pollingMember(t, address, config)
				ping, err := polling.request(http.MethodGet, "")
				if err != nil || ping != "2" {
					t.Fatalf("a poll over the server's WriteTimeout: %q, %v", ping, err)
				}
				if _, err := polling.request(http.MethodPost, "3"); err != nil {
					t.Fatal(err)
				}
				if err := socket.send(`421["echo","over a WebSocket"]`); err != nil {
					t.Fatal(err)
				}
				if err := socket.expect(`431["over a WebSocket"]`); err != nil {
					t.Fatal(err)
				}
				if _, err := polling.request(http.MethodPost, `421["echo","over polling"]`); err != nil {
					t.Fatal(err)
				}
				if got, err := polling.request(http.MethodGet, ""); err != nil || got != `431["over polling"]` {
					t.Fatalf("%q, %v", got, err)
				}

				// A waiting poll and an open WebSocket hold nothing up. Where the poll comes a moment too late, it is refused.
				for len(polls) > 0 {
					<-polls
				}
				if err := polling.write(http.MethodGet, ""); err != nil {
					t.Fatal(err)
				}
				<-polls
				farewell := make(chan error, 1)
				go func() {
					text, err := socket.text()
					for err == nil && text == "41" {
						text, err = socket.text()
					}
					farewell <- err
				}()
				begin := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := errors.Join(app.Shutdown(ctx), web.Config.Shutdown(ctx)); err != nil {
					t.Error(err)
				}
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("shutdown took %v", took)
				}
				if err := <-farewell; !errors.Is(err, io.EOF) {
					t.Errorf("the WebSocket was not closed: %v", err)
				}
				if resp, err := http.ReadResponse(polling.in, nil); err != nil {
					t.Errorf("the poll that waited: %v", err)
				} else if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
					t.Errorf("the poll that waited: %s", resp.Status)
				}
			})
		}
	}
}

func name(no, yes string, is bool) string {
	if is {
		return yes
	}
	return no
}

// pollingMember is member over polling.
func pollingMember(t *testing.T, address string, config *tls.Config) *poller {
	t.Helper()
	p, err := poll(address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}
