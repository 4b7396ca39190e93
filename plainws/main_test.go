package plainws_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/plainws"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is for what must come; nothing is waited for that long unless it fails.
const patience = 10 * time.Second

// both are the platforms of nearly every test here.
var both = []perch.Platform{perch.SocketIO(), plainws.At("/ws")}

// gateway is a gateway made of functions.
type gateway struct {
	perch.Base
	options  perch.Options
	register func(r *perch.Router)
	connect  func(ctx context.Context, s *perch.Socket) error
	leave    func(s *perch.Socket, reason perch.Reason)
}

func (g *gateway) Options() perch.Options {
	if g.options.Platforms == nil {
		g.options.Platforms = both
	}
	return g.options
}

func (g *gateway) Register(r *perch.Router) {
	if g.register != nil {
		g.register(r)
	}
}

func (g *gateway) HandleConnection(ctx context.Context, s *perch.Socket) error {
	if g.connect == nil {
		return nil
	}
	return g.connect(ctx, s)
}

func (g *gateway) HandleDisconnect(_ context.Context, s *perch.Socket, reason perch.Reason) {
	if g.leave != nil {
		g.leave(s, reason)
	}
}

// serve serves an app with gateways on / and what else is given.
func serve(t testing.TB, g perch.Gateway, options ...perch.Option) (*httptest.Server, *perch.App) {
	t.Helper()
	app, err := perch.New(append([]perch.Option{perch.WithLogger(slog.New(slog.DiscardHandler)), perch.WithGateways(g)}, options...)...)
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
	return srv, app
}

// plain is a WebSocket client as any language has one.
type plain struct {
	t    testing.TB
	conn *websocket.Conn
}

func dial(t testing.TB, srv *httptest.Server, path string, o *websocket.DialOptions) *plain {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http")+path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &plain{t, conn}
}

// refused is the answer to a handshake that must fail.
func refused(t testing.TB, srv *httptest.Server, path string, o *websocket.DialOptions) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, answer, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http")+path, o)
	if err == nil {
		_ = conn.CloseNow()
		t.Fatal("it was let in")
	}
	if answer == nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func (p *plain) send(frame string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *plain) read() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	_, frame, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatal("nothing came: ", err)
	}
	return string(frame)
}

// settle waits until the client is a member of its namespace, which it is not told: an event is answered after that.
func (p *plain) settle() {
	p.t.Helper()
	p.send(`{"event":"is anybody there?","id":"settled"}`)
	if got := p.read(); !strings.HasPrefix(got, `{"id":"settled","event":"exception"`) {
		p.t.Fatalf("got %s", got)
	}
}

func (p *plain) expect(want string) {
	p.t.Helper()
	if got := p.read(); got != want {
		p.t.Errorf("got %s, want %s", got, want)
	}
}

// expectClose reads the end, and nothing before it.
func (p *plain) expectClose(code int, text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	_, frame, err := p.conn.Read(ctx)
	if err == nil {
		p.t.Fatalf("got %s instead of the end", frame)
	}
	var closed websocket.CloseError
	if !errors.As(err, &closed) || int(closed.Code) != code || !strings.Contains(closed.Reason, text) {
		p.t.Errorf("got %v, want code %d %q", err, code, text)
	}
}

// connect is a client that speaks Socket.IO.
func connect(t testing.TB, srv *httptest.Server, namespace string) *client.Socket {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s, err := client.Dial(ctx, srv.URL+namespace, client.Options{})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); cancel() })
	return s
}

// heard collects the first arguments of an event, as JSON.
func heard(s *client.Socket, event string) <-chan string {
	c := make(chan string, 16)
	s.On(event, func(_ context.Context, e *client.Event) {
		text, _ := json.Marshal(json.RawMessage(e.Raw(0)))
		c <- string(text)
	})
	return c
}

func next(t testing.TB, c <-chan string) string {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		return ""
	}
}

type clientEvent = client.Event

func dialIO(ctx context.Context, url string) (*client.Socket, error) {
	return client.Dial(ctx, url, client.Options{})
}
