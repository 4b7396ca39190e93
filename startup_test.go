package perch_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/perch-go/perch"
)

// byValue is a gateway whose methods a value has too, and which must not be one.
type byValue struct {
	perch.Base
	perch.Gateway
}

type nilBase struct{ *perch.Base }

func (*nilBase) Options() perch.Options { return perch.Options{} }
func (*nilBase) Register(*perch.Router) {}

// misspelled has a hook's name with Nest's signature.
type misspelled struct{ gateway }

func (*misspelled) HandleConnection(s *perch.Socket) {}

func nop(context.Context, perch.None) error { return nil }

// Each mistake is found by New, says which gateway has it and what to change.
func TestStartUpErrors(t *testing.T) {
	t.Parallel()
	at := func(o perch.Options) []perch.Option {
		return []perch.Option{perch.WithGateways(&gateway{options: o})}
	}
	registering := func(register func(r *perch.Router)) []perch.Option {
		return []perch.Option{perch.WithGateways(handlers(register))}
	}
	two := func(a, b perch.Options) []perch.Option {
		return []perch.Option{perch.WithGateways(&gateway{options: a}, &hooked{gateway: gateway{options: b}})}
	}
	cors := func(origins ...string) *perch.CORS { return &perch.CORS{Origins: origins} }
	asked := &perch.CORS{AllowOrigin: func(string, *http.Request) bool { return true }}
	same := handlers(nil)
	shared := &perch.Base{}
	certified := func() *tls.Config { return &tls.Config{Certificates: make([]tls.Certificate, 1)} }

	tests := []struct {
		name    string
		options []perch.Option
		want    []string // parts of the message
	}{
		{"no gateway", nil, []string{"no gateway", "WithGateways"}},
		{"nil", []perch.Option{perch.WithGateways(nil)}, []string{"gateway 1", "nil"}},
		{"nil pointer", []perch.Option{perch.WithGateways((*gateway)(nil))}, []string{"*perch_test.gateway", "nil pointer"}},
		{"value that embeds Base", []perch.Option{perch.WithGateways(byValue{Gateway: handlers(nil)})}, []string{"perch_test.byValue", "pass a pointer"}},
		{"nil Base", []perch.Option{perch.WithGateways(&nilBase{})}, []string{"*perch_test.nilBase", "embed perch.Base"}},
		{"one Base in two gateways", []perch.Option{perch.WithGateways(&nilBase{shared}, &nilBase{shared})}, []string{"shares its perch.Base"}},
		{"one instance twice (N-12)", []perch.Option{perch.WithGateways(same, same)}, []string{"*perch_test.gateway", "given twice"}},
		{"hook of another signature", []perch.Option{perch.WithGateways(&misspelled{})}, []string{"*perch_test.misspelled", "HandleConnection(ctx context.Context, s *perch.Socket) error"}},

		{"namespace with a comma", at(perch.Options{Namespace: "a,b"}), []string{`namespace "a,b"`, "choose another"}},
		{"namespace with white space", at(perch.Options{Namespace: "a b"}), []string{`namespace "a b"`, "white space"}},
		{"namespace with a query", at(perch.Options{Namespace: "/a?b"}), []string{`namespace "/a?b"`}},
		{"namespace with a control character", at(perch.Options{Namespace: "a\x00"}), []string{"namespace"}},
		{"namespace that is not UTF-8", at(perch.Options{Namespace: "a\xff"}), []string{"UTF-8"}},
		{"namespace with half a wildcard", at(perch.Options{Namespace: "/room-{id}"}), []string{`*perch_test.gateway (namespace /room-{id}): namespace "/room-{id}": a wildcard is a whole segment`}},
		{"namespace with wildcards of one name", at(perch.Options{Namespace: "/{a}/{a}"}), []string{"two wildcards are called a"}},
		{"namespace pattern with white space", at(perch.Options{Namespace: "/{a b}"}), []string{"white space"}},
		{"patterns for the same names", two(perch.Options{Namespace: "/room/{id}"}, perch.Options{Namespace: "room/{name}"}),
			[]string{"*perch_test.hooked (namespace /room/{name}): its namespace stands for the same ones as that of *perch_test.gateway (namespace /room/{id}): write both alike"}},
		{"patterns of which neither is narrower", two(perch.Options{Namespace: "/room/{id}"}, perch.Options{Namespace: "/{kind}/42"}),
			[]string{"*perch_test.hooked (namespace /{kind}/42): some names match its namespace and that of *perch_test.gateway (namespace /room/{id}), and neither is the narrower"}},
		{"fewer than no namespaces", append(at(perch.Options{}), perch.WithMaxNamespaces(-1)), []string{"MaxNamespaces is negative"}},
		{"path pattern", at(perch.Options{Path: "/{x}/"}), []string{"patterns are not supported"}},
		{"path with a query", at(perch.Options{Path: "/a?b"}), []string{`path "/a?b"`}},
		{"path with dots", at(perch.Options{Path: "/a/../b"}), []string{"dot segments"}},
		{"port out of range", at(perch.Options{Port: 65536}), []string{"port 65536", "1 to 65535"}},
		{"negative port", at(perch.Options{Port: -1}), []string{"port -1"}},
		{"TLS on the shared port", at(perch.Options{TLS: certified()}), []string{"TLS is set without a Port"}},
		{"TLS without certificate", at(perch.Options{Port: 1, TLS: &tls.Config{}}), []string{"no certificate"}},

		{"reserved event", registering(func(r *perch.Router) { perch.OnEvent(r, "disconnect", nop) }),
			[]string{"*perch_test.gateway (namespace /)", "startup_test.go:", `"disconnect" is a reserved event name`, "HandleDisconnect"}},
		{"empty event", registering(func(r *perch.Router) { perch.OnEvent(r, "", nop) }), []string{"no name"}},
		{"nil handler", registering(func(r *perch.Router) { perch.On[string, string](r, "x", nil) }), []string{"startup_test.go:", `handler of "x" is nil`}},
		{"nil event handler", registering(func(r *perch.Router) { perch.OnEvent[string](r, "x", nil) }), []string{`handler of "x" is nil`}},
		{"payload that cannot be received", registering(func(r *perch.Router) {
			perch.OnEvent(r, "x", func(context.Context, struct{ F func() }) error { return nil })
		}), []string{`payload of "x"`, "parameter"}},
		{"result that cannot be sent", registering(func(r *perch.Router) {
			perch.On(r, "x", func(context.Context, string) (map[string]chan int, error) { return nil, nil })
		}), []string{`result of "x"`, "result"}},

		{"CORS differs (N-6)", two(perch.Options{CORS: cors("https://a.example")}, perch.Options{Namespace: "b", CORS: cors("https://b.example")}),
			[]string{"*perch_test.hooked (namespace /b)", "CORS differs from that of *perch_test.gateway (namespace /)"}},
		{"CORS differs, path spelled differently (N-5)", two(perch.Options{CORS: cors("*")}, perch.Options{Path: "socket.io", CORS: cors()}), []string{"CORS differs"}},
		{"CORS with a function in both (N-6, S-17)", two(perch.Options{CORS: asked}, perch.Options{CORS: asked}), []string{"CORS differs"}},
		{"TLS differs", two(perch.Options{Port: 1, TLS: certified()}, perch.Options{Port: 1, Path: "/b", TLS: certified()}), []string{"TLS differs"}},
		{"WithCORS and WithEngine", append(at(perch.Options{}), perch.WithCORS(*cors("*")), perch.WithEngine(perch.EngineOptions{CORS: cors()})), []string{"WithCORS", "WithEngine"}},
		{"engine option", append(at(perch.Options{}), perch.WithEngine(perch.EngineOptions{PingInterval: -1})), []string{"PingInterval"}},
		{"origin with a path", at(perch.Options{CORS: cors("https://a.example/")}), []string{"https://a.example/"}},
		{"client bundle of another directory", append(at(perch.Options{}), perch.WithClientBundle(fstest.MapFS{})), []string{"WithClientBundle", "socket.io.esm.min.js", "node_modules/socket.io-client/dist"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			app, err := perch.New(append([]perch.Option{quiet()}, tt.options...)...)
			if err == nil {
				_ = app.Shutdown(t.Context())
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
		})
	}
}

// All of it at once.
func TestStartUpErrorsAreJoined(t *testing.T) {
	t.Parallel()
	_, err := perch.New(quiet(), perch.WithGateways(
		&gateway{options: perch.Options{Namespace: "a b"}, register: func(r *perch.Router) {
			perch.OnEvent(r, "connect", nop)
			perch.OnEvent[string](r, "x", nil)
		}},
		byValue{Gateway: handlers(nil)},
	))
	if err == nil {
		t.Fatal("no error")
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 4 {
		t.Errorf("%d errors, want 4:\n%v", n, err)
	}
	var g *perch.GatewayError
	if !errors.As(err, &g) || !strings.Contains(g.Gateway, "*perch_test.gateway") {
		t.Errorf("no GatewayError: %v", err)
	}
}

// N-5, N-6, N-7: settings are merged, spellings do not matter, nor does the order.
func TestGatewaysThatAgree(t *testing.T) {
	t.Parallel()
	cors := &perch.CORS{Origins: []string{"https://a.example", "https://b.example"}, Methods: []string{"GET", "POST"}}
	like := &perch.CORS{Origins: []string{"https://b.example", "https://A.example"}, Methods: []string{"POST", "GET"}}
	app, err := perch.New(quiet(), perch.WithGateways(
		&gateway{},
		&gateway{options: perch.Options{Namespace: "a", Path: "/socket.io", CORS: cors}},
		&gateway{options: perch.Options{Namespace: "/a", Path: "socket.io/", CORS: like}},
		&gateway{options: perch.Options{Path: "/other", CORS: &perch.CORS{Origins: []string{"*"}}}},
	))
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A gateway of an app that was not made may be used for the next; one of an app that
// was may not.
func TestGatewayBelongsToOneApp(t *testing.T) {
	t.Parallel()
	g := handlers(nil)
	if _, err := perch.New(quiet(), perch.WithGateways(g, nil)); err == nil {
		t.Fatal("no error")
	}
	app, err := perch.New(quiet(), perch.WithGateways(g))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Shutdown(t.Context()) }()
	if _, err := perch.New(quiet(), perch.WithGateways(g)); err == nil || !strings.Contains(err.Error(), "another app") {
		t.Errorf("got %v", err)
	}
}

// A router is of no use once Register has returned, and says so.
func TestRegisterTooLate(t *testing.T) {
	t.Parallel()
	var book logbook
	var kept *perch.Router
	app, err := perch.New(perch.WithLogger(book.logger()), perch.WithGateways(handlers(func(r *perch.Router) { kept = r })))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = app.Shutdown(t.Context()) }()
	perch.OnEvent(kept, "late", nop)
	if !strings.Contains(book.String(), "after Register returned") {
		t.Errorf("the log says %q", book.String())
	}
}
