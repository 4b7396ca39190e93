package perch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio"
)

// S-76, S-77: a client that was lost finds its rooms and the data of typed keys again, and what
// it missed; the hook sees it, and decides once more.
func TestRecovery(t *testing.T) {
	t.Parallel()
	calls := make(chan string, 10)
	g := &hooked{
		onConnection: func(ctx context.Context, s *perch.Socket) error {
			auth, err := perch.Auth[struct{ Token string }](ctx)
			if err != nil || auth.Token == "expired" {
				return perch.Errorf("UNAUTHENTICATED", "token expired")
			}
			if !s.Recovered() {
				userKey.Set(s, account{Name: "Ann"})
				calls <- "fresh"
				return s.Join("lobby")
			}
			calls <- fmt.Sprintf("recovered %s %t", userKey.Value(s).Name, slices.Contains(s.Rooms(), "lobby"))
			return nil
		},
		onDisconnect: func(_ context.Context, s *perch.Socket, r perch.Reason) { calls <- string(r) },
	}
	expect := func(want string) {
		t.Helper()
		if got := receive(t, calls); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	_, srv := start(t, perch.WithGateways(g), perch.WithRecovery(perch.Recovery{}))

	c := dial(t, srv)
	var reply struct{ SID, PID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(c.ask(`40{"token":"good"}`), "40")), &reply); err != nil || reply.PID == "" {
		t.Fatalf("reply %+v, %v", reply, err)
	}
	expect("fresh")
	if _, ok := g.Server().Socket(reply.SID); !ok {
		t.Fatal("no such socket")
	}
	c.drop()
	expect("transport close")
	if err := g.Server().To("lobby").Emit("missed", 1); err != nil {
		t.Fatal(err)
	}

	refused := dial(t, srv)
	if got := refused.ask(fmt.Sprintf(`40{"pid":%q,"token":"expired"}`, reply.PID)); !strings.HasPrefix(got, `44{"message":"token expired"`) {
		t.Fatalf("got %s", got)
	}
	refused.drop()

	c = dial(t, srv)
	if got := c.ask(fmt.Sprintf(`40{"pid":%q,"token":"new"}`, reply.PID)); !strings.HasPrefix(got, `42["missed",1,"`) {
		t.Fatalf("got %s, want the event that was missed", got)
	}
	expect("recovered Ann true")
	c.want(fmt.Sprintf(`40{"sid":%q,"pid":%q}`, reply.SID, reply.PID))
	s, ok := g.Server().Socket(reply.SID)
	if !ok || !s.Recovered() {
		t.Fatalf("socket %v, %t: it has come back", s, ok)
	}
}

// A client comes back over a restart of the process, whether its server is the app's or has a path of its own. A start that fails, as
// of a process that is started too early, does not lose what clients need.
func TestRecoveryOverRestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "recovery")
	var g, own *hooked
	join := func(_ context.Context, s *perch.Socket) error {
		if s.Recovered() {
			return nil
		}
		userKey.Set(s, account{Name: "Ann"})
		return s.Join("lobby")
	}
	options := func(more ...perch.Option) []perch.Option {
		g = &hooked{onConnection: join, onDisconnect: func(_ context.Context, s *perch.Socket, r perch.Reason) {
			if err := g.Server().To("lobby").Emit("left", string(r)); err != nil {
				t.Error(err)
			}
		}}
		own = &hooked{gateway: gateway{options: perch.Options{Path: "/own"}}, onConnection: join}
		return append(more, quiet(), perch.WithGateways(g, own), perch.WithRecovery(perch.Recovery{Store: perch.FileStore(file)}))
	}
	// connect is by the app's path, and by the other.
	type session struct{ SID, PID string }
	connect := func(c *client) (s session) {
		if err := json.Unmarshal([]byte(strings.TrimPrefix(c.ask(`40`), "40")), &s); err != nil || s.PID == "" {
			t.Fatalf("session %+v, %v", s, err)
		}
		return s
	}
	dialOwn := func(srv *httptest.Server) *client {
		conn, _, err := websocket.Dial(t.Context(), srv.URL+"/own/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{t, conn}
		t.Cleanup(c.drop)
		c.next()
		return c
	}
	app, srv := start(t, options()...)
	reply, other := connect(dial(t, srv)), connect(dialOwn(srv))
	if err := app.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Server().To("lobby").Emit("lost"); !errors.Is(err, socketio.ErrClosed) {
		t.Errorf("emitted too late: %v", err)
	}

	taken := func(string, string) (net.Listener, error) { return nil, errors.New("in use") }
	failing, err := perch.New(options(perch.WithListen(taken))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := failing.ListenAndServe(":1"); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("ListenAndServe: %v", err)
	}

	_, srv = start(t, options()...)
	c := dial(t, srv)
	if got := c.ask(fmt.Sprintf(`40{"pid":%q}`, reply.PID)); !strings.HasPrefix(got, `42["left","server shutting down","`) {
		t.Fatalf("got %s, want the event that was missed", got)
	}
	c.want(fmt.Sprintf(`40{"sid":%q,"pid":%q}`, reply.SID, reply.PID))
	s, ok := g.Server().Socket(reply.SID)
	if !ok || !s.Recovered() || userKey.Value(s).Name != "Ann" {
		t.Errorf("socket %v, %t", s, ok)
	}
	if got, want := dialOwn(srv).ask(fmt.Sprintf(`40{"pid":%q}`, other.PID)), fmt.Sprintf(`40{"sid":%q,"pid":%q}`, other.SID, other.PID); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What cannot be loaded is logged, and the app starts without it.
func TestRecoveryFileOfSomethingElse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "diary")
	if err := os.WriteFile(file, []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log logbook
	app, err := perch.New(perch.WithLogger(log.logger()), perch.WithGateways(&gateway{}),
		perch.WithRecovery(perch.Recovery{Store: perch.FileStore(file)}))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(app.Start(t.Context()), app.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "choose another path for FileStore") {
		t.Errorf("logged:\n%s", log.String())
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "dear diary" {
		t.Errorf("the file is now %q, %v", b, err)
	}
}
