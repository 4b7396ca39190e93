package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/plainws"
)

// articleChecks are the acceptance checks of the article about WebSocket gateways that Perch began with, which
// docs/from-nestjs.md lists: checks.test.mjs has a test of each by its number.
var articleChecks = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18}

// TestChecks has the official client, in Node, go through the article. Pages in browsers do it in other suites.
func TestChecks(t *testing.T) {
	article, doomed := startArticle(t), startArticle(t)
	ran := suite(t, "checks.test.mjs", map[string]string{
		"PERCH_URL": article.url, "PERCH_OWN_PORT_URL": article.ownPort, "PERCH_WRAPPED_URL": article.wrapped, "PERCH_DOOMED_URL": doomed.url,
	})
	for _, n := range articleChecks {
		name := fmt.Sprintf("check %d:", n)
		if !slices.ContainsFunc(ran, func(path []string) bool { return strings.HasPrefix(path[0], name) }) {
			t.Errorf("no test of %s", name)
		}
	}
}

// article is a program as the article describes it.
type article struct {
	app     *perch.App
	witness *witness
	url     string
	wrapped string // the same behind a CORS middleware around the whole server
	ownPort string
}

// witness is what the gateways saw, in order, and what was logged.
type witness struct {
	mu   sync.Mutex
	said []string
	log  bytes.Buffer
}

func (w *witness) say(words ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, strings.TrimSpace(fmt.Sprintln(words...)))
}

func (w *witness) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = json.NewEncoder(rw).Encode(map[string]any{"said": w.said, "log": w.log.String()})
}

const (
	openOrigin   = "http://page.example"
	listedOrigin = "https://app.example"
)

// startArticle serves one until the test ends.
func startArticle(t *testing.T) *article {
	t.Helper()
	a := &article{witness: new(witness)}
	var announcer *announcer
	for range 10 { // somebody may take the port before we do
		port := articlePort(t)
		chat := &articleGateway{witness: a.witness, name: "chat", history: new(articleHistory)}
		announcer = newAnnouncer(chat)
		err := a.start(t, perch.WithGateways(
			zeroGateway{}, chat, &articleGateway{witness: a.witness, name: "too"},
			placedGateway{perch.Options{Port: port, Namespace: "events", CORS: articleCORS()}},
			placedGateway{perch.Options{Path: "/listed", CORS: listedCORS()}},
			placedGateway{perch.Options{Path: "/closed"}},
			placedGateway{perch.Options{Path: "/pointless", CORS: &perch.CORS{Origins: []string{"*"}, Credentials: true}}},
		))
		if err == nil {
			a.ownPort = "http://127.0.0.1:" + strconv.Itoa(port)
			break
		}
		t.Log(err)
	}
	if a.ownPort == "" {
		t.Fatal("no port is free")
	}
	mux := http.NewServeMux()
	a.app.Mount(mux)
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
	mux.Handle("GET /witness", a.witness)
	mux.HandleFunc("POST /announce", announcer.announce)
	mux.HandleFunc("POST /shutdown", func(w http.ResponseWriter, r *http.Request) {
		if err := a.app.Shutdown(r.Context()); err != nil {
			a.witness.say("shutdown", err)
		}
		a.witness.ServeHTTP(w, r)
	})
	a.url = serveWhole(t, mux)
	a.wrapped = serveWhole(t, corsAround(mux))
	return a
}

// start makes and starts the app, which ends with the test.
func (a *article) start(t *testing.T, options ...perch.Option) (err error) {
	t.Helper()
	if a.app, err = perch.New(append(options, perch.WithLogger(slog.New(slog.NewTextHandler(a.witness, nil))))...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if err := a.app.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return a.app.Start(t.Context())
}

// articlePort is one that nobody listened on a moment ago.
func articlePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func serveWhole(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// corsAround is the CORS middleware of the program's HTTP routes, around everything.
func corsAround(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Set("Vary", "Origin")
		next.ServeHTTP(w, r)
	})
}

func articleCORS() *perch.CORS {
	return &perch.CORS{Origins: []string{"*"}, Methods: []string{"GET", "POST"}}
}

func listedCORS() *perch.CORS {
	return &perch.CORS{
		Origins: []string{listedOrigin, "https://other.example"}, AllowedHeaders: []string{"my-custom-header"}, Credentials: true,
	}
}

// zeroGateway is check 1's: it says nothing of itself.
type zeroGateway struct{}

func (zeroGateway) Options() perch.Options { return perch.Options{} }

func (zeroGateway) Register(r *perch.Router) { perch.On(r, "message", echoText) }

func echoText(_ context.Context, text string) (string, error) { return text, nil }

// placedGateway is at a place of its own.
type placedGateway struct{ options perch.Options }

func (g placedGateway) Options() perch.Options { return g.options }

func (g placedGateway) Register(r *perch.Router) { perch.On(r, "message", echoText) }

// articleHistory is a service.
type articleHistory struct {
	mu       sync.Mutex
	messages []string
}

func (h *articleHistory) add(text string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, text)
	return len(h.messages)
}

// articleGateway is the article's.
type articleGateway struct {
	perch.Base
	witness *witness
	name    string
	history *articleHistory // nil: it has hooks only

	mu      sync.Mutex
	sockets map[*perch.Socket]bool // connected
}

var (
	_ perch.OnGatewayInit       = (*articleGateway)(nil)
	_ perch.OnGatewayConnection = (*articleGateway)(nil)
	_ perch.OnGatewayDisconnect = (*articleGateway)(nil)
)

func (g *articleGateway) Options() perch.Options {
	return perch.Options{
		Namespace: "chat", CORS: articleCORS(),
		Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/chat")}, // check 10
	}
}

func (g *articleGateway) AfterInit(s *perch.Server) error {
	g.witness.say(g.name, "init", s == g.Server())
	return nil
}

func (g *articleGateway) HandleConnection(_ context.Context, s *perch.Socket) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sockets == nil {
		g.sockets = make(map[*perch.Socket]bool)
	}
	g.sockets[s] = true
	g.witness.say(g.name, "connection", s.ID())
	return nil
}

func (g *articleGateway) HandleDisconnect(_ context.Context, s *perch.Socket, reason perch.Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.witness.say(g.name, "disconnect", s.ID(), "same:", g.sockets[s], reason)
	delete(g.sockets, s)
}

// chatMessage is what a client says.
type chatMessage struct {
	Group string `json:"group"`
	Text  string `json:"text"`
}

func (g *articleGateway) Register(r *perch.Router) {
	if g.history == nil {
		return
	}
	perch.OnEvent(r, "join", func(ctx context.Context, group string) error { return perch.SocketFrom(ctx).Join(group) })
	perch.On(r, "message", g.message)
	perch.OnEvent(r, "tour", g.tour)
}

func (g *articleGateway) message(ctx context.Context, m chatMessage) (int, error) {
	g.witness.say("message", perch.SocketFrom(ctx).ID(), m.Text)
	return g.history.add(m.Text), g.Server().To(m.Group).Emit("message", m.Text)
}

// tour uses what else there is to send by (check 12).
func (g *articleGateway) tour(ctx context.Context, group string) error {
	s, all := perch.SocketFrom(ctx), g.Server()
	_, found := all.Socket(s.ID())
	sockets, err := all.In(group).FetchSockets(ctx)
	if !found || len(sockets) != 2 {
		err = errors.Join(err, perch.Errorf("ODD", "found %v, %d in the group", found, len(sockets)))
	}
	return errors.Join(err,
		all.Except(group).Emit("except"), all.To(group).Except(s.ID()).Volatile().Emit("others"), s.To(group).Emit("to"),
		all.In(group).SocketsJoin("second"), all.To("second").Emit("second"), all.To("second").SocketsLeave("second"), all.To("second").Emit("nobody"),
		all.Emit("everybody"), all.Of("/").Emit("elsewhere"),
	)
}

// announcer is a service that is given the gateway (check 13).
type announcer struct{ chat *articleGateway }

func newAnnouncer(chat *articleGateway) *announcer { return &announcer{chat} }

func (a *announcer) announce(w http.ResponseWriter, r *http.Request) {
	if err := a.chat.Server().Emit("announcement", r.FormValue("text")); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
