package plainws_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/plainws"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

// Shutdown awaits a guard, whose client is told that the server goes.
func TestShutdownDuringGuard(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	srv, app := serve(t, &gateway{register: func(r *perch.Router) {
		r.UseConnectionGuards(func(context.Context, *perch.ExecutionContext) error {
			close(entered)
			<-leave
			return nil
		})
	}})
	answered := make(chan int)
	go func() {
		_, resp, err := websocket.Dial(context.Background(), srv.URL+"/ws", nil)
		if err == nil || resp == nil {
			t.Error(resp, err)
			answered <- 0
			return
		}
		answered <- resp.StatusCode
	}()
	<-entered
	done := make(chan error)
	go func() { done <- app.Shutdown(context.Background()) }()
	for status := 0; status != http.StatusServiceUnavailable; { // until it has begun
		resp, err := http.Get(srv.URL + "/ws")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		status = resp.StatusCode
	}
	close(leave)
	if status := <-answered; status != 503 {
		t.Errorf("answered with %d", status)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What is set for the engine concerns plain handshakes as any other.
func TestEngineHooks(t *testing.T) {
	t.Parallel()
	g := &gateway{register: handlers, options: perch.Options{CORS: &perch.CORS{Origins: []string{"https://app.example"}, Credentials: true}}}
	srv, _ := serve(t, g, perch.WithEngine(perch.EngineOptions{
		AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Has("deny") {
				return errors.New("not today")
			}
			return nil
		},
		Headers:        func(h http.Header, _ *http.Request) { h.Set("X-All", "yes") },
		InitialHeaders: func(h http.Header, _ *http.Request) { h.Set("X-Initial", "yes") },
	}), perch.WithEngineMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("user") {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, r.URL.Query().Get("user"))))
				return
			}
			http.Error(w, "log in", http.StatusUnauthorized)
		})
	}))
	g.connect = func(ctx context.Context, s *perch.Socket) error { return s.Emit("you", ctx.Value(userKey{})) }
	if status, body := refused(t, srv, "/ws", nil); status != 401 || body != "log in\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, body := refused(t, srv, "/ws?user=ann&deny", nil); status != 403 || body != "not today" {
		t.Errorf("%d %s", status, body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, srv.URL+"/ws?user=ann&sid=7", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://app.example"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for name, want := range map[string]string{"X-All": "yes", "X-Initial": "yes", "Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Credentials": "true", "Vary": "Origin"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	p := &plain{t, conn}
	p.expect(`{"event":"you","data":"ann"}`)
}

type userKey struct{}

// Over TLS, on a server that speaks HTTP/2 as well, beside other routes of a mux, and before the app is started.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	app, err := perch.New(perch.WithLogger(slog.New(slog.DiscardHandler)), perch.WithGateways(&gateway{
		register: handlers, options: perch.Options{Platforms: []perch.Platform{plainws.At("/ws/{id}")}}}))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("page " + r.URL.Path)) })
	srv := httptest.NewUnstartedServer(mux)
	srv.Config.WriteTimeout, srv.Config.ReadTimeout = 200*time.Millisecond, 200*time.Millisecond
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	defer func() { _ = app.Shutdown(context.Background()) }()
	get := func(method, path string) int {
		r, _ := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
		resp, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("HTTP/%d", resp.ProtoMajor)
		}
		return resp.StatusCode
	}
	if status := get("GET", "/ws/1"); status != 503 {
		t.Errorf("before the start: %d", status)
	}
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for request, want := range map[[2]string]int{{"GET", "/ws/1"}: 426, {"POST", "/ws/1"}: 426, {"OPTIONS", "/ws/1"}: 426, {"GET", "/ws/"}: 200, {"GET", "/ws/1/2"}: 200, {"POST", "/ws"}: 200} {
		if status := get(request[0], request[1]); status != want {
			t.Errorf("%s: %d", request, status)
		}
	}
	h1 := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}}
	defer h1.CloseIdleConnections()
	conn, _, err := websocket.Dial(t.Context(), srv.URL+"/ws/1", &websocket.DialOptions{HTTPClient: h1})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	p := &plain{t, conn}
	for range 2 {
		p.send(`{"event":"echo","data":1,"id":1}`)
		p.expect(`{"id":1,"data":1}`)
		<-time.After(300 * time.Millisecond) // longer than the server's timeouts
	}
}

// Frames stay JSON whatever clients of Socket.IO speak.
func TestBesideMessagePack(t *testing.T) {
	t.Parallel()
	g := &gateway{register: handlers}
	srv, _ := serve(t, g, perch.WithParser(msgpack.Parser{}), perch.WithEngine(engineio.Options{}))
	p := dial(t, srv, "/ws", nil)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := client.Dial(ctx, srv.URL, client.Options{Parser: msgpack.Parser{}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all := heard(s, "all")
	if err := g.Server().Emit("all", item{ID: 1, Blob: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	p.expect(`{"event":"all","data":{"id":1,"blob":"AQ=="}}`)
	next(t, all)
	p.send(`{"event":"item","data":{"id":2,"blob":"AgM="},"id":1}`)
	p.expect(`{"id":1,"data":{"id":2,"blob":"AgM="}}`)
	answer, err := s.EmitWithAck(ctx, "item", item{ID: 3, Blob: []byte{4}})
	var got item
	if err != nil || answer.Decode(0, &got) != nil || got.ID != 3 || string(got.Blob) != "\x04" {
		t.Errorf("%+v %v", got, err)
	}
}
