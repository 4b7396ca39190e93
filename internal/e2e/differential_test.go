package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

// TestDifferential plays scripts against npm's socket.io and against ours: what clients see has to be the same, down to
// the order, except where a script declares the difference.
func TestDifferential(t *testing.T) {
	ran := suite(t, "differential.test.mjs", map[string]string{
		"PERCH_REFERENCE_URL": run(t, exec.Command("node", "differential/reference.mjs")),
		"PERCH_OURS_URL":      startTwins(t),
	})
	if !slices.ContainsFunc(ran, func(path []string) bool { return path[0] == "together they have seen" }) {
		t.Error("nobody has looked at what the scripts have seen together")
	}
}

// twins are the servers that scripts have asked for.
type twins struct {
	t       *testing.T
	mu      sync.Mutex
	servers map[string]*twin // by URL
}

// startTwins serves what differential/reference.mjs serves: servers on request.
func startTwins(t *testing.T) (control string) {
	t.Helper()
	all := &twins{t: t, servers: map[string]*twin{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /server", all.serve)
	mux.HandleFunc("GET /journal", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(all.of(r).journal.of(r.FormValue("key")))
	})
	mux.HandleFunc("GET /shutdown", func(w http.ResponseWriter, r *http.Request) {
		if err := all.of(r).server.Shutdown(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return web.URL
}

func (a *twins) of(r *http.Request) *twin {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.servers[r.FormValue("server")]
}

// serve starts a server of one configuration, which ends with the test.
func (a *twins) serve(w http.ResponseWriter, r *http.Request) {
	c, err := configure(r.FormValue("configuration"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	twin := &twin{journal: &journal{entries: map[string][][]any{}}}
	c.Engine.OnConnectionError = twin.refused
	srv, err := socketio.New(c.Options)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	twin.server = srv
	if c.middleware != nil {
		srv.Engine().Use(c.middleware)
	}
	for _, name := range []string{"/", "/one", "/two", "/guarded", "/chain"} {
		twin.speak(srv.Of(name))
	}
	twin.guard(srv.Of("/guarded"))
	twin.chain(srv.Of("/chain"))
	twin.dynamic()
	mux := http.NewServeMux()
	mux.Handle(c.path, srv)
	mux.Handle(c.path+"/", srv)
	url := listen(a.t, srv, mux)
	a.mu.Lock()
	a.servers[url] = twin
	a.mu.Unlock()
	fmt.Fprint(w, url)
}

// configuration is a server as a script asks for it.
type configuration struct {
	socketio.Options
	path       string
	middleware func(http.Handler) http.Handler
}

// configure names the configurations of differential/reference.mjs.
func configure(name string) (c configuration, err error) {
	c.path, c.Client = "/socket.io", os.DirFS("node_modules/socket.io-client/dist")
	c.Logger = slog.New(slog.DiscardHandler) // most of what is played here is worth a warning
	engine := &c.Engine
	quick := func() {
		engine.PingInterval, engine.PingTimeout = 300*time.Millisecond, 500*time.Millisecond
		engine.UpgradeTimeout = 300 * time.Millisecond
	}
	switch name {
	case "plain", "slashless", "cleaning":
	case "quick":
		quick()
	case "hasty":
		engine.UpgradeTimeout = 200 * time.Millisecond
	case "impatient":
		quick()
		c.ConnectTimeout = 400 * time.Millisecond
	case "small":
		engine.MaxPayload = 1000
	case "polling":
		engine.Transports = []engineio.Transport{engineio.Polling}
	case "websocket":
		engine.Transports = []engineio.Transport{engineio.WebSocket}
	case "still":
		engine.NoUpgrades = true
	case "elsewhere":
		c.path = "/else/where"
	case "unserved":
		c.NoClient = true
	case "shared":
		engine.CORS = &engineio.CORS{
			Origins: []string{"http://good.example", "http://fine.example"}, Methods: []string{"GET", "POST"}, Credentials: true,
			AllowedHeaders: []string{"X-Token", "X-Other"}, ExposedHeaders: []string{"X-Seen"}, MaxAge: 600 * time.Second,
		}
	case "open":
		engine.CORS = &engineio.CORS{Origins: []string{"*"}}
	case "cookie":
		engine.Cookie = &http.Cookie{}
	case "biscuit":
		engine.Cookie = &http.Cookie{
			Name: "biscuit", Path: "/custom", SameSite: http.SameSiteStrictMode, Secure: true, MaxAge: 60, Domain: "good.example",
		}
	case "doorman":
		engine.AllowRequest = func(r *http.Request) error {
			if r.URL.Query().Get("door") == "shut" {
				return errors.New("the door is shut")
			}
			return nil
		}
	case "deflating":
		engine.PerMessageDeflate = &engineio.Deflate{Threshold: 1}
	case "old":
		engine.AllowEIO3 = true
	case "oldopen":
		engine.AllowEIO3, engine.CORS = true, &engineio.CORS{Origins: []string{"*"}}
	case "oldquick":
		quick()
		engine.AllowEIO3 = true
	case "keeping":
		c.KeepEmptyNamespaces = true
	case "recovering":
		c.Recovery = &socketio.Recovery{}
	case "careful":
		c.Recovery = &socketio.Recovery{RunMiddlewares: true}
	case "forgetful":
		c.Recovery = &socketio.Recovery{MaxDisconnection: 100 * time.Millisecond}
	case "steady", "steady msgpack":
		engine.PingInterval, engine.PingTimeout = 2*time.Second, 3*time.Second
		if name == "steady msgpack" {
			c.Parser = msgpack.Parser{}
		}
	case "lasting":
		engine.PingInterval, engine.PingTimeout = time.Second, 2*time.Second
		c.Recovery = &socketio.Recovery{}
	case "brisk":
		quick()
		c.Recovery = &socketio.Recovery{}
	case "msgpack":
		c.Parser = msgpack.Parser{}
	case "uncompressed":
		engine.NoHTTPCompression = true
	case "middle":
		c.middleware = middle
	case "headed":
		engine.InitialHeaders = func(h http.Header, _ *http.Request) { h.Set("X-First", "first") }
		engine.Headers = func(h http.Header, _ *http.Request) { h.Set("X-Every", "every") }
	case "named":
		n := new(atomic.Int64)
		engine.GenerateID = func(r *http.Request) (string, error) {
			if r.URL.Query().Get("id") == "fail" {
				return "", errors.New("no id")
			}
			return fmt.Sprintf("session-number-%05d", n.Add(1)), nil
		}
	default:
		err = fmt.Errorf("no configuration %q", name)
	}
	return c, err
}

// middle marks every answer, stops a request or answers it itself, as the query says (S-63).
func middle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Middle", "was here")
		switch r.URL.Query().Get("middle") {
		case "stop": // without an answer
		case "answer":
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusTeapot)
			fmt.Fprint(w, "short and stout")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// greetings is how many events a client wants when it connects.
func greetings(s *socketio.Socket) int {
	n, _ := strconv.Atoi(s.Handshake().Query().Get("greet"))
	return n
}

// tick is what a burst carries: now and then bytes.
func tick(i int) any {
	if i%3 == 0 {
		return []byte{byte(i), byte(i >> 8)}
	}
	return "text " + strconv.Itoa(i)
}
