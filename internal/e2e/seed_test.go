package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/perch-go/perch"
)

// TestSeed is what Perch was begun for: a page of one origin, a gateway on another, on the port of HTTP routes that have
// a CORS middleware already, and a client without options. It is played in two browsers, and what they are sent is read
// off the wire: acceptance checks 5, 6 and 14 to 17.
func TestSeed(t *testing.T) {
	sites := newSeedSites(t)
	page := sites.page
	local := strings.Replace(page, "127.0.0.1", "localhost", 1) // another site to browsers, not only another origin
	listed := &perch.CORS{Origins: []string{page, local}, Methods: []string{"GET", "POST"}, AllowedHeaders: []string{"X-Token"}}
	trusted := &perch.CORS{Origins: []string{page}, Credentials: true}
	anybody := corsHeaders{origin: "*"}
	known := corsHeaders{origin: page, credentials: true}

	sites.open("listed, set", anybody.set, chatWith(listed))
	sites.open("listed, added", anybody.add, chatWith(listed))
	sites.open("article", corsHeaders{origin: page}.add,
		chatWith(&perch.CORS{Origins: []string{"*"}, Methods: []string{"GET", "POST"}}))
	sites.open("credentials, set", known.set, chatWith(trusted))
	sites.open("credentials, added", known.add, chatWith(trusted))
	sites.open("forgotten", anybody.set, chatWith(nil))
	sites.open("forgotten, no middleware", unchanged, chatWith(nil))
	sites.open("second", anybody.set, &seedGateway{options: perch.Options{Namespace: "first"}}, chatWith(listed))
	sites.open("careless", unchanged, chatWith(&perch.CORS{Origins: []string{"*"}, Credentials: true}))
	sites.openOwnPort("own port", "beside own port", anybody.set, listed)

	urls, err := json.Marshal(sites.urls)
	if err != nil {
		t.Fatal(err)
	}
	env := browserEnv(t)
	env["PERCH_SEED_PAGE"], env["PERCH_SEED_SITES"] = page, string(urls)
	suite(t, "seed.test.mjs", env)
}

// seedGateway is the article's, as far as it matters here.
type seedGateway struct {
	perch.Base
	options perch.Options
}

func chatWith(cors *perch.CORS) *seedGateway {
	return &seedGateway{options: perch.Options{Namespace: "chat", CORS: cors}}
}

func (g *seedGateway) Options() perch.Options { return g.options }

func (g *seedGateway) Register(r *perch.Router) {
	perch.On(r, "message", func(_ context.Context, text string) (int, error) {
		return len(text), g.Server().Emit("message", text)
	})
	perch.On(r, "cookie", func(ctx context.Context, _ perch.None) (string, error) {
		return perch.SocketFrom(ctx).Handshake().Header().Get("Cookie"), nil
	})
}

// corsHeaders is what a program's own CORS middleware says.
type corsHeaders struct {
	origin      string
	credentials bool
}

func (c corsHeaders) write(write func(name, value string), preflight bool) {
	write("Access-Control-Allow-Origin", c.origin)
	write("Vary", "Origin")
	if c.credentials {
		write("Access-Control-Allow-Credentials", "true")
	}
	if preflight {
		write("Access-Control-Allow-Methods", "GET, PUT")
		write("Access-Control-Allow-Headers", "X-Token")
	}
}

// set is a CORS middleware as it stands in most programs: it sets, and answers every OPTIONS request by itself.
func (c corsHeaders) set(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.write(w.Header().Set, r.Method == http.MethodOptions)
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// add is one that adds, to what it shares with its other requests if need be, and lets preflights through, as rs/cors does
// with OptionsPassthrough.
func (c corsHeaders) add(next http.Handler) http.Handler {
	shared := []string{c.origin}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.write(w.Header().Add, r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "")
		w.Header()["Access-Control-Allow-Origin"] = shared
		next.ServeHTTP(w, r)
	})
}

func unchanged(next http.Handler) http.Handler { return next }

// routes are a program's own, whatever they are for.
func routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/hello", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"hello":"world"}`)) })
	mux.HandleFunc("GET /api/login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "s3cret", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		_, _ = w.Write([]byte(`{}`))
	})
	return mux
}

// seedSites are a host of a page and programs that the page may talk to, each with a log that /log/{site} of the host shows.
type seedSites struct {
	t    *testing.T
	page string
	urls map[string]string
	logs map[string]*logbook
}

func newSeedSites(t *testing.T) *seedSites {
	t.Helper()
	s := &seedSites{t: t, urls: map[string]string{}, logs: map[string]*logbook{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><title>Page</title><script src="/client/socket.io.min.js"></script>`))
	})
	dist := os.DirFS(filepath.Join(packages(t), "socket.io-client", "dist"))
	mux.Handle("GET /client/", http.StripPrefix("/client/", http.FileServerFS(dist)))
	mux.HandleFunc("GET /log/{site}", func(w http.ResponseWriter, r *http.Request) {
		if book := s.logs[r.PathValue("site")]; book != nil {
			_, _ = w.Write(book.text())
		}
	})
	host := httptest.NewServer(mux)
	t.Cleanup(host.Close)
	s.page = host.URL
	return s
}

// open serves gateways and routes on one port, with around around both.
func (s *seedSites) open(name string, around func(http.Handler) http.Handler, gateways ...perch.Gateway) {
	s.t.Helper()
	s.logs[name] = &logbook{}
	app, err := perch.New(perch.WithLogger(s.logs[name].logger()), perch.WithGateways(gateways...))
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	if err := app.Start(s.t.Context()); err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	s.urls[name] = s.serve(app, around)
}

func (s *seedSites) serve(app *perch.App, around func(http.Handler) http.Handler) (url string) {
	mux := routes()
	app.Mount(mux)
	web := httptest.NewServer(around(mux))
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			s.t.Errorf("shutdown: %v", err)
		}
		web.Close()
	})
	return web.URL
}

// openOwnPort serves a gateway on a port of its own, own, and the routes with what else the app has on another, beside.
func (s *seedSites) openOwnPort(own, beside string, around func(http.Handler) http.Handler, cors *perch.CORS) {
	s.t.Helper()
	s.logs[own] = &logbook{}
	for attempt := 1; ; attempt++ {
		port := freePort(s.t)
		app, err := perch.New(perch.WithLogger(s.logs[own].logger()), perch.WithGateways(
			&seedGateway{options: perch.Options{Port: port, Namespace: "chat", CORS: cors}},
			&seedGateway{options: perch.Options{Path: "/other"}},
		))
		if err != nil {
			s.t.Fatal(err)
		}
		err = app.Start(s.t.Context())
		if taken := new(net.OpError); errors.As(err, &taken) && attempt < 10 {
			continue // by somebody else, since it was free
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.urls[own] = "http://127.0.0.1:" + strconv.Itoa(port)
		s.urls[beside] = s.serve(app, around)
		return
	}
}

// freePort is a port that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// logbook keeps what is logged.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logbook) text() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.buf.Bytes())
}
