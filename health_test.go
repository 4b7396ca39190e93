package perch_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
)

// pinged is an adapter whose broker can be out of reach.
type pinged struct {
	*adapter.Memory
	down *atomic.Bool
}

func (p *pinged) Ping(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("it may take for ever")
	}
	if p.down.Load() {
		return errors.New("dial tcp 10.0.0.7:6379: connection refused")
	}
	return nil
}

func probe(t *testing.T, h http.Handler, method string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	return strings.TrimSuffix(http.StatusText(w.Code)+": "+w.Body.String(), "\n")
}

// Issue 7, Build 6: ready is who lets clients in and reaches the others, and alive who answers. Neither says more than that, whoever asks.
func TestProbes(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var log logbook
	var app *perch.App
	want := func(when, ready string) {
		t.Helper()
		if got := probe(t, app.ReadinessHandler(), http.MethodGet); got != ready {
			t.Errorf("%s: %q, want %q", when, got, ready)
		}
		if got := probe(t, app.LivenessHandler(), http.MethodHead); got != "OK: live" {
			t.Errorf("%s: %q", when, got)
		}
	}
	leaving, stay := make(chan struct{}), make(chan struct{})
	g := &hooked{onDisconnect: func(context.Context, *perch.Socket, perch.Reason) {
		close(leaving)
		<-stay
	}}
	slow := &initial{afterInit: func(*perch.Server) error {
		want("in AfterInit", "Service Unavailable: starting")
		return nil
	}}
	slow.options.Namespace = "slow"
	app, err := perch.New(perch.WithLogger(log.logger()), perch.WithGateways(g, slow),
		perch.WithAdapter(func(h adapter.Host) adapter.Adapter { return &pinged{adapter.NewMemory(h), &down} }))
	if err != nil {
		t.Fatal(err)
	}
	want("before Start", "Service Unavailable: starting")
	mux := http.NewServeMux()
	app.Mount(mux)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	want("after Start", "OK: ready")
	join(t, srv, "/")

	down.Store(true)
	want("without the broker", "Service Unavailable: adapter unreachable")
	want("still without it", "Service Unavailable: adapter unreachable")
	if n := strings.Count(log.String(), "10.0.0.7"); n != 1 {
		t.Errorf("logged %d times why:\n%s", n, log.String())
	}
	down.Store(false)
	want("with the broker", "OK: ready")

	stopped := make(chan error, 1)
	go func() { stopped <- app.Shutdown(context.Background()) }()
	receive(t, leaving)
	want("during Shutdown", "Service Unavailable: stopping")
	close(stay)
	if err := receive(t, stopped); err != nil {
		t.Error(err)
	}
	want("after Shutdown", "Service Unavailable: stopping")
}

// With as many sessions as there may be, new clients had better go elsewhere.
func TestNotReadyWhenFull(t *testing.T) {
	t.Parallel()
	app, srv := start(t, perch.WithGateways(handlers(nil)), perch.WithEngine(perch.EngineOptions{Limits: engineio.Limits{MaxSessions: 1}}))
	join(t, srv, "/")
	if got := probe(t, app.ReadinessHandler(), http.MethodGet); got != "Service Unavailable: full" {
		t.Error(got)
	}
}
