package engineio

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// handshake asks for a WebSocket and returns the answer, with the body of a refusal read.
func (f *fixture) handshake(query string, headers ...string) (*http.Response, string) {
	f.t.Helper()
	conn, err := f.listener.Dial()
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	request := strings.TrimSuffix(fmt.Sprintf(wsRequest, query), "\r\n")
	for i := 0; i < len(headers); i += 2 {
		request += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	_, _ = io.WriteString(conn, request+"\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, ""
	}
	body, _ := io.ReadAll(resp.Body)
	return resp, string(body)
}

// errorBook keeps what OnConnectionError heard.
type errorBook struct {
	mu     sync.Mutex
	errors []ConnectionError
}

func (b *errorBook) add(e *ConnectionError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = append(b.errors, *e)
}

// take returns what came since the last call.
func (b *errorBook) take() []ConnectionError {
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := b.errors
	b.errors = nil
	return errs
}

// S-15, S-64: the hook is asked for handshakes only; what it says is what the client hears.
func TestAllowRequest(t *testing.T) {
	t.Parallel()
	var book errorBook
	denied := errors.New(`not "today"`)
	f := newFixture(t, Options{
		OnConnectionError: book.add,
		AllowRequest: func(r *http.Request) error {
			if param(r.URL.RawQuery, "sid") != "" {
				t.Error("asked for a request with a sid")
			}
			if r.Header.Get("X-Deny") != "" {
				return denied
			}
			return nil
		},
	}, true)
	defer f.close()
	sid, _ := f.openPolling()
	if status, _, _ := f.do("POST", base+"&sid="+sid, "4x", "X-Deny", "1"); status != 200 {
		t.Errorf("post: %d", status)
	}
	status, body, h := f.do("GET", base, "", "X-Deny", "1")
	if status != 403 || body != `{"code":4,"message":"not \"today\""}` || h.Get("Content-Type") != "application/json" {
		t.Errorf("polling: %d %s %v", status, body, h)
	}
	resp, body := f.handshake("", "X-Deny", "1")
	if resp.StatusCode != 400 || body != `not "today"` || resp.Header.Get("Content-Type") != "text/html" {
		t.Errorf("websocket: %d %s %v", resp.StatusCode, body, resp.Header)
	}
	if resp, _ := f.handshake(""); resp.StatusCode != 101 {
		t.Errorf("websocket: %d", resp.StatusCode)
	}
	if resp, _ := f.handshake("&sid="+sid, "X-Deny", "1"); resp.StatusCode != 101 {
		t.Errorf("upgrade: %d", resp.StatusCode)
	}
	errs := book.take()
	if len(errs) != 2 {
		t.Errorf("%d errors", len(errs))
	}
	for _, e := range errs {
		if e.Code != CodeForbidden || e.Message != denied.Error() || !errors.Is(&e, denied) || e.Request == nil {
			t.Errorf("%+v", e)
		}
	}
}

// S-15: the hook may take its time, and nobody else waits for it.
func TestAllowRequestWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{AllowRequest: func(r *http.Request) error {
			select {
			case <-time.After(10 * time.Millisecond):
				return nil
			case <-r.Context().Done():
				return r.Context().Err()
			}
		}}, true)
		defer f.close()
		began := time.Now()
		parallel(10, func(int) { f.do("GET", base, "") })
		if d := time.Since(began); d < 10*time.Millisecond || d > 20*time.Millisecond {
			t.Errorf("ten handshakes took %v", d)
		}
		// A client that does not wait is not made a session.
		conn, err := f.listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: perch.test\r\n\r\n")
		conn.Close()
		synctest.Wait()
		<-time.After(time.Second)
		if n := f.server.Sessions(); n != 10 {
			t.Errorf("%d sessions", n)
		}
	})
}

// S-63: middlewares see every request, upgrades included, and may add to its answer or refuse it.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	type key struct{}
	var book errorBook
	f := newFixture(t, Options{OnConnectionError: book.add, CORS: &CORS{Origins: []string{"https://a.example"}}}, true)
	defer f.close()
	var mu sync.Mutex
	seen := map[string]int{}
	f.server.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen[r.Method]++
			mu.Unlock()
			w.Header().Set("X-Order", "first")
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "value")))
		})
	})
	f.server.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Order", w.Header().Get("X-Order")+",second")
			w.Header().Set("Sec-WebSocket-Accept", "nonsense")
			switch r.Header.Get("X-Fault") {
			case "answers":
				http.Error(w, "no", http.StatusUnauthorized)
			case "silent":
			case "aborts":
				panic(http.ErrAbortHandler) // is passed on
			case "panics":
				panic("oh") // refuses the request and ends nothing else
			default:
				next.ServeHTTP(w, r)
			}
		})
	})

	status, body, h := f.do("GET", base, "")
	r := <-f.sessions
	if status != 200 || h.Get("X-Order") != "first,second" || r.session.Handshake().Context().Value(key{}) != "value" {
		t.Errorf("%d %s %v", status, body, h)
	}
	f.do("POST", base+"&sid="+r.session.ID(), "4x")
	f.do("OPTIONS", base, "", "Origin", "https://a.example") // answered before
	f.do("GET", base, "", "Origin", "https://b.example")     // refused before
	resp, _ := f.handshake("")
	if resp.StatusCode != 101 || resp.Header.Get("X-Order") != "first,second" || len(resp.Header.Values("Sec-Websocket-Accept")) != 1 {
		t.Errorf("101: %v", resp.Header)
	}
	if seen["GET"] != 2 || seen["POST"] != 1 || seen["OPTIONS"] != 0 {
		t.Errorf("requests seen: %v", seen)
	}
	book.take()

	for fault, want := range map[string]struct {
		status int
		body   string
	}{
		"answers": {401, "no\n"},
		"silent":  {400, `{"code":3,"message":"Bad request"}`},
		"panics":  {400, `{"code":3,"message":"Bad request"}`},
	} {
		status, body, h := f.do("GET", base, "", "X-Fault", fault, "Origin", "https://a.example")
		if status != want.status || body != want.body || h.Get("Access-Control-Allow-Origin") == "" {
			t.Errorf("%s: %d %s %v", fault, status, body, h)
		}
		resp, body := f.handshake("", "X-Fault", fault)
		if fault != "answers" {
			want.body = "Bad request"
		}
		if resp.StatusCode != want.status || body != want.body {
			t.Errorf("%s, websocket: %d %s", fault, resp.StatusCode, body)
		}
		errs := book.take()
		if len(errs) != 2 || errs[0].Context != ContextMiddlewareFailure || errs[0].Code != CodeBadRequest || (errs[1].Err != nil) != (fault == "panics") {
			t.Errorf("%s: %+v", fault, errs)
		}
	}

	defer func() {
		if v := recover(); v != http.ErrAbortHandler || len(book.take()) != 0 {
			t.Errorf("aborted: %v", v)
		}
	}()
	r.session.Close(ReasonForcedClose)
	aborted := httptest.NewRequest("GET", base, nil)
	aborted.Header.Set("X-Fault", "aborts")
	f.server.ServeHTTP(httptest.NewRecorder(), aborted)
	t.Error("not aborted")
}

// S-81: the hooks for headers.
func TestHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{
		Headers:        func(h http.Header, r *http.Request) { h.Set("X-Every", h.Get("X-First")+r.Method) },
		InitialHeaders: func(h http.Header, r *http.Request) { h.Set("X-First", "1") },
	}, true)
	defer f.close()
	_, body, h := f.do("GET", base, "")
	if h.Get("X-Every") != "1GET" || h.Get("X-First") != "1" {
		t.Errorf("handshake: %v", h)
	}
	sid := openID(t, body)
	if _, _, h = f.do("POST", base+"&sid="+sid, "4x"); h.Get("X-Every") != "POST" || h.Get("X-First") != "" {
		t.Errorf("post: %v", h)
	}
	if _, _, h = f.do("GET", base+"&sid="+sid, ""); h.Get("X-Every") != "GET" || h.Get("X-First") != "" {
		t.Errorf("poll: %v", h)
	}
	if _, _, h = f.do("GET", base+"&sid=x", ""); h.Get("X-Every") != "GET" {
		t.Errorf("error: %v", h)
	}
	if resp, _ := f.handshake(""); resp.Header.Get("X-Every") != "1GET" || resp.Header.Get("X-First") != "1" {
		t.Errorf("101: %v", resp.Header)
	}
	if resp, _ := f.handshake("&sid=" + sid); resp.Header.Get("X-Every") != "GET" || resp.Header.Get("X-First") != "" {
		t.Errorf("101 of an upgrade: %v", resp.Header)
	}
}

// S-16: the cookie of a polling handshake.
func TestCookie(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		cookie *http.Cookie
		want   string // %s is the id
	}{
		{"none", nil, ""},
		{"default", &http.Cookie{}, "io=%s; Path=/; HttpOnly; SameSite=Lax"},
		{"attributes", &http.Cookie{Name: "sticky", Path: "/live", Domain: "a.example", MaxAge: 60, Secure: true, SameSite: http.SameSiteNoneMode},
			"sticky=%s; Path=/live; Domain=a.example; Max-Age=60; HttpOnly; Secure; SameSite=None"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, Options{Cookie: tt.cookie}, true)
			defer f.close()
			_, body, h := f.do("GET", base, "")
			sid := openID(t, body)
			want := tt.want
			if want != "" {
				want = fmt.Sprintf(want, sid)
			}
			if got := h.Get("Set-Cookie"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			f.do("POST", base+"&sid="+sid, "4x")
			if _, _, h = f.do("GET", base+"&sid="+sid, ""); h.Get("Set-Cookie") != "" {
				t.Errorf("poll: %v", h)
			}
			if resp, _ := f.handshake(""); resp.Header.Get("Set-Cookie") != "" {
				t.Errorf("websocket: %v", resp.Header)
			}
		})
	}
}

// S-82: ids of the user's own making.
func TestGenerateID(t *testing.T) {
	t.Parallel()
	var book errorBook
	failure := errors.New("no id today")
	f := newFixture(t, Options{OnConnectionError: book.add, GenerateID: func(r *http.Request) (string, error) {
		if id := r.Header.Get("X-Id"); id != "fail" {
			return id, nil
		}
		return "", failure
	}}, true)
	defer f.close()
	if _, body, _ := f.do("GET", base, "", "X-Id", "node-1:a.b~c_d"); openID(t, body) != "node-1:a.b~c_d" {
		t.Errorf("open packet %s", body)
	}
	r := <-f.sessions
	if status, _, _ := f.do("POST", base+"&sid="+r.session.ID(), "4x"); status != 200 {
		t.Errorf("post: %d", status)
	}
	for _, id := range []string{"fail", "node-1:a.b~c_d", "", `a"b`, "a b", "é", strings.Repeat("x", 129)} {
		if status, body, _ := f.do("GET", base, "", "X-Id", id); status != 400 || body != `{"code":3,"message":"Bad request"}` {
			t.Errorf("%q: %d %s", id, status, body)
		}
		if resp, body := f.handshake("", "X-Id", id); resp.StatusCode != 400 || body != "Bad request" {
			t.Errorf("%q, websocket: %d %s", id, resp.StatusCode, body)
		}
		errs := book.take()
		if len(errs) != 2 || errs[0].Context != ContextIDGenerationError || errs[0].Err == nil || errors.Is(&errs[0], failure) != (id == "fail") {
			t.Errorf("%q: %+v", id, errs)
		}
	}
	// Once its session has ended an id is free again, and so is one whose handshake failed later.
	f.do("GET", base+"&sid="+r.session.ID(), "")
	r.session.Close(ReasonForcedClose)
	f.do("GET", base+"&sid="+r.session.ID(), "")
	noKey, _, _ := f.do("GET", strings.Replace(base, "polling", "websocket", 1), "", "Connection", "Upgrade", "Upgrade", "websocket", "X-Id", "another")
	if resp, _ := f.handshake("", "X-Id", "another"); noKey == 101 || resp.StatusCode != 101 {
		t.Errorf("without key %d, then %d", noKey, resp.StatusCode)
	}
	eventually(t, "the id is free", func() bool {
		resp, _ := f.handshake("", "X-Id", r.session.ID())
		return resp.StatusCode == 101
	})
}

// S-79: what OnConnectionError hears of refusals that need no hook.
func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	var book errorBook
	f := newFixture(t, Options{OnConnectionError: book.add}, true)
	defer f.close()
	sid, _ := f.openPolling()
	for _, tt := range []struct {
		method, query, origin string
		code                  Code
		context               string
	}{
		{"GET", "EIO=4&transport=smoke", "", CodeUnknownTransport, ""},
		{"GET", "EIO=4&transport=polling&sid=x", "", CodeUnknownSession, ""},
		{"POST", "EIO=4&transport=polling", "", CodeBadHandshakeMethod, ""},
		{"GET", "EIO=4&transport=websocket", "", CodeBadRequest, ContextTransportHandshakeError},
		{"GET", "EIO=4&transport=websocket&sid=" + sid, "", CodeBadRequest, ContextTransportMismatch},
		{"GET", "EIO=3&transport=polling&sid=" + sid, "", CodeBadRequest, ContextProtocolMismatch},
		{"GET", "EIO=4&transport=polling", "https://b.example", CodeForbidden, ContextInvalidOrigin},
		{"GET", "EIO=2&transport=polling", "", CodeUnsupportedProtocol, ""},
	} {
		f.do(tt.method, "http://perch.test/engine.io/?"+tt.query, "", "Origin", tt.origin)
		errs := book.take()
		message := tt.code.String()
		if tt.context == ContextInvalidOrigin {
			message += ": list this origin in CORS.Origins"
		}
		if len(errs) != 1 || errs[0].Code != tt.code || errs[0].Context != tt.context || errs[0].Message != message ||
			errs[0].Request.URL.RawQuery != tt.query || !strings.Contains(errs[0].Error(), tt.context) {
			t.Errorf("%s: %+v", tt.query, errs)
		}
	}
	if s := Code(17).String(); s != "Code(17)" {
		t.Error(s)
	}
}

// S-21: what is sent while a session is accepted follows the open packet.
func TestFirstMessage(t *testing.T) {
	t.Parallel()
	server, err := New(Options{Logger: quiet()}, func(s *Session) Handler {
		_ = s.SendText([]byte("welcome"))
		return &recorder{session: s, closed: make(chan Reason, 2), echo: true}
	})
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, Options{}, true)
	defer f.close()
	defer func() { _ = server.Shutdown(t.Context()) }()
	f.http.Handler = server
	if _, body, _ := f.do("GET", base, ""); !strings.HasPrefix(body, "0{") || !strings.HasSuffix(body, "}\x1e4welcome") {
		t.Errorf("polling: %q", body)
	}
	c := f.dial("")
	if open, first := c.read(), c.read(); open[0] != '0' || first != "4welcome" {
		t.Errorf("websocket: %q %q", open, first)
	}
	c.conn.Close()
}

// S-17: patterns, a function, and the preflight's options.
func TestCORSOptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{CORS: &CORS{
		Origins:         []string{"https://*.app.example", "http://*.local:8080"},
		AllowOrigin:     func(origin string, r *http.Request) bool { return origin == r.Header.Get("X-Allowed") },
		PreflightStatus: 200,
	}}, true)
	defer f.close()
	for origin, ok := range map[string]bool{
		"https://a.app.example": true, "https://A.b.APP.example": true, "http://x.local:8080": true, "https://fn.example": true,
		"https://app.example": false, "https://.app.example": false, "https://evilapp.example": false, "http://a.app.example": false,
		"https://a.app.example.evil": false, "https://a.app.example:8443": false, "https://other.example": false,
	} {
		status, _, h := f.do("GET", base, "", "Origin", origin, "X-Allowed", "https://fn.example")
		allow := ""
		if ok {
			allow = origin
		}
		if (status == 200) != ok || h.Get("Access-Control-Allow-Origin") != allow || h.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", origin, status, h)
		}
		if resp, _ := f.handshake("", "Origin", origin, "X-Allowed", "https://fn.example"); (resp.StatusCode == 101) != ok {
			t.Errorf("%s, websocket: %d", origin, resp.StatusCode)
		}
	}
	status, _, h := f.do("OPTIONS", base, "", "Origin", "https://a.app.example", "Access-Control-Request-Headers", "x-a, x-b")
	if status != 200 || h.Get("Access-Control-Allow-Methods") != "GET,HEAD,PUT,PATCH,POST,DELETE" || h.Get("Content-Length") != "0" ||
		h.Get("Access-Control-Allow-Headers") != "x-a, x-b" || strings.Join(h.Values("Vary"), ",") != "Origin,Access-Control-Request-Headers" {
		t.Errorf("preflight: %d %v", status, h)
	}
	for _, o := range []string{"https://*", "https://*app.example", "*.example", "https://a.*.example", "https://*.*.example", "https://*./"} {
		if _, err := New(Options{CORS: &CORS{Origins: []string{o}}}, nil); err == nil {
			t.Errorf("%s is accepted", o)
		}
	}
	if _, err := New(Options{CORS: &CORS{PreflightStatus: 404}}, nil); err == nil {
		t.Error("a preflight's status of 404 is accepted")
	}
}

// S-1, S-12: the path is the mux's. S-22: an upgrade request for a path that nobody serves is answered
// at once; there is nothing to destroy after a second.
func TestAnyPath(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	mux := http.NewServeMux()
	for _, path := range []string{"/{$}", "/live", "/live/", "/a/b/c"} {
		mux.Handle(path, f.server)
	}
	f.http.Handler = mux
	if resp, _ := f.handshake(""); resp.StatusCode != http.StatusNotFound { // to /engine.io/
		t.Errorf("a path that nobody serves: %d", resp.StatusCode)
	}
	for _, path := range []string{"/", "/live", "/live/", "/a/b/c"} {
		if status, _, _ := f.do("GET", "http://perch.test"+path+"?EIO=4&transport=polling", ""); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
	}
}
