package engineio

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// plainFixture is a fixture whose server serves plain clients, on every path.
type plainFixture struct {
	*fixture
	book errorBook
}

// opener is a recorder that tells when its session is open.
type opener struct {
	*recorder
	opened chan struct{}
}

func (o *opener) HandleOpen() { close(o.opened) }

// newPlain makes one. accept may refuse; nil accepts all.
func newPlain(t *testing.T, o Options, p Plain, accept func(s *Session, r *http.Request) error) *plainFixture {
	t.Helper()
	f := new(plainFixture)
	if o.OnConnectionError == nil {
		o.OnConnectionError = f.book.add
	}
	f.fixture = newFixture(t, o, false)
	p.Accept = func(s *Session, r *http.Request) (Handler, error) {
		if accept != nil {
			if err := accept(s, r); err != nil {
				return nil, err
			}
		}
		rec := &recorder{session: s, messages: make(chan string, 10_000), closed: make(chan Reason, 2)}
		f.sessions <- rec
		return &opener{rec, make(chan struct{})}, nil
	}
	f.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.server.ServePlain(w, r, &p) })
	return f
}

// plainRequest is a handshake as it should be, without the empty line.
const plainRequest = "GET /ws?sid=mine HTTP/1.1\r\nHost: perch.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"

// open opens a plain session, with headers more.
func (f *plainFixture) open(headers string, early ...[]byte) (*wsClient, *recorder) {
	f.t.Helper()
	conn, err := f.listener.Dial()
	if err != nil {
		f.t.Fatal(err)
	}
	return dialRequest(f.t, conn, plainRequest+headers+"\r\n", early...), <-f.sessions
}

// ask sends a request and returns what is answered; without an answer the status is 0.
func (f *plainFixture) ask(request string) (status int, body string, h http.Header) {
	f.t.Helper()
	conn, err := f.listener.Dial()
	if err != nil {
		f.t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, request+"\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, "", nil
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(resp.Body)
		body = string(text)
	}
	return resp.StatusCode, body, resp.Header
}

func plainMessage(text string) *Message {
	m := &Message{Plain: true}
	m.AppendText([]byte(text))
	return m
}

// A plain session is one without open packet and without types; it counts like any other.
func TestPlain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newPlain(t, Options{InitialHeaders: func(h http.Header, _ *http.Request) { h.Set("X-Initial", "yes") }}, Plain{}, nil)
		defer f.close()
		c, r := f.open("", masked(wsframe.Text, "early"))
		if got := <-r.messages; got != "early" {
			t.Errorf("got %q", got)
		}
		if r.session.Protocol() != 0 || r.session.Transport() != WebSocket || f.server.Sessions() != 1 {
			t.Errorf("protocol %d, transport %s, %d sessions", r.session.Protocol(), r.session.Transport(), f.server.Sessions())
		}
		_ = r.session.SendText([]byte("4text"))
		_ = r.session.Send(plainMessage("shared"))
		m := &Message{Plain: true}
		m.AppendBinary([]byte("bytes"))
		_ = r.session.Send(m)
		for _, want := range []string{"4text", "shared", "b:bytes"} {
			if got := c.read(); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		// A fragmented message with a ping inside, then a binary one.
		part := masked(wsframe.Text, "one, ")
		part[0] &^= 0x80
		rest := masked(wsframe.Text, "two")
		rest[0] &^= 0x0f
		_, _ = c.conn.Write(slices.Concat(part, masked(wsframe.Ping, "?"), rest, masked(wsframe.Binary, "b")))
		if got := c.read(); got != "pong:?" {
			t.Errorf("got %q", got)
		}
		for _, want := range []string{"one, two", "b:b"} {
			if got := <-r.messages; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		// To Engine.IO there is no such session.
		w := httptest.NewRecorder()
		f.server.ServeHTTP(w, httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=polling&sid="+r.session.ID(), nil))
		if w.Code != 400 || !strings.Contains(w.Body.String(), "unknown") {
			t.Errorf("by its id: %d %s", w.Code, w.Body)
		}
		r.session.CloseWith(ReasonForcedClose, 4001, strings.Repeat("é", 100))
		op, payload, err := c.next()
		if code, text := wsframe.CloseCode([]byte(payload)); op != wsframe.Close || code != 4001 || err != nil || payload[2:] != strings.Repeat("é", 61) {
			t.Errorf("%v %d %q %v", op, code, text, err)
		}
		_, _ = c.conn.Write(masked(wsframe.Close, "\x0f\xa1"))
		if reason := <-r.closed; reason != ReasonForcedClose {
			t.Errorf("reason %q", reason)
		}
		if got := c.read(); !strings.HasPrefix(got, "error:") {
			t.Errorf("after the end: %q", got)
		}
		synctest.Wait()
		// Pings of WebSocket itself are no packets, as with Engine.IO.
		if s := f.server.Stats(); s.Sessions != 0 || s.Opened != 1 || s.Closed[ReasonForcedClose] != 1 || s.PacketsIn != 3 || s.PacketsOut != 4 {
			t.Errorf("%+v", s)
		}
		if _, _, h := f.ask(plainRequest); h.Get("X-Initial") != "yes" {
			t.Error("a parameter named sid, which is the client's own here, lost the initial headers")
		}
	})
}

// The heartbeat is WebSocket's: a client that answers stays, one that says something else instead has its time once more, one that does
// not answer is cut.
func TestPlainHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newPlain(t, Options{PingInterval: 10 * time.Second, PingTimeout: 4 * time.Second}, Plain{}, nil)
		defer f.close()
		c, r := f.open("")
		_, _ = c.conn.Write(masked(wsframe.Pong, "nobody asked"))
		began := time.Now()
		ping := func(after time.Duration) {
			t.Helper()
			op, payload, err := c.next()
			if d := time.Since(began); op != wsframe.Ping || payload != "" || err != nil || d < after || d > after+500*time.Millisecond {
				t.Fatalf("%v %q %v after %v", op, payload, err, d)
			}
		}
		for range 3 {
			ping(10 * time.Second)
			_, _ = c.conn.Write(masked(wsframe.Pong, ""))
			synctest.Wait()
			began = time.Now()
		}
		ping(10 * time.Second)
		<-time.After(3 * time.Second)
		c.send("alive")
		<-time.After(3 * time.Second)
		_, _ = c.conn.Write(masked(wsframe.Pong, "late"))
		synctest.Wait()
		began = time.Now()
		ping(10 * time.Second)
		c.send("and again")
		for range 3 { // but only once
			<-time.After(time.Second)
			c.send("alive")
		}
		if reason := <-r.closed; reason != ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if d := time.Since(began); d < 14*time.Second || d > 15*time.Second {
			t.Errorf("cut after %v", d)
		}
		if s := f.server.Stats(); s.Closed[ReasonPingTimeout] != 1 || s.Sessions != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Whoever is refused is told why by an HTTP status, and nobody is asked about a request that could not be answered anyway.
func TestPlainRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		f := newPlain(t, Options{
			CORS: &CORS{Origins: []string{"https://app.example", "null"}},
			AllowRequest: func(r *http.Request) error {
				if r.URL.Path == "/forbidden" {
					return errors.New("not today")
				}
				return nil
			},
			Headers: func(h http.Header, _ *http.Request) { h.Set("X-All", "yes") },
		}, Plain{Subprotocols: []string{"v2", "v1"}}, func(_ *Session, r *http.Request) error {
			asked++
			switch r.URL.Path {
			case "/refused":
				return &Refusal{Status: 401, Body: []byte(`{"message":"who?"}`), Err: errors.New("no token")}
			case "/wrapped":
				return fmt.Errorf("wrapped: %w", &Refusal{Status: 403, Body: []byte(`{}`)})
			case "/empty":
				return &Refusal{}
			case "/broken":
				return errors.New("the database is down")
			}
			return nil
		})
		defer f.close()
		f.server.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/teapot":
					w.WriteHeader(http.StatusTeapot)
				case "/silent":
				case "/panic":
					panic("in a middleware") // rule 11: what the user's code may do
				default:
					next.ServeHTTP(w, r)
				}
			})
		})
		replace := func(old, with string) string { return strings.Replace(plainRequest, old, with, 1) }
		for _, c := range []struct {
			name, request string
			status        int
			body          string
			header        string // and its value
			asked         int
		}{
			{"a page", "GET /ws HTTP/1.1\r\nHost: perch.test\r\n", 426, "this path is for WebSocket clients", "Upgrade: websocket", 0},
			{"a form", "POST /ws HTTP/1.1\r\nHost: perch.test\r\nContent-Length: 0\r\n", 426, "this path is for WebSocket clients", "Upgrade: websocket", 0},
			{"no GET", replace("GET", "POST"), 405, "must be GET over HTTP/1.1", "Allow: GET", 0},
			{"HTTP/1.0", replace("HTTP/1.1", "HTTP/1.0"), 405, "must be GET over HTTP/1.1", "", 0},
			{"no version", replace("Version: 13", "Other: 13"), 426, "WebSocket version must be 13", "Sec-WebSocket-Version: 13", 0},
			{"no key", replace("-Key:", "-Other:"), 400, "Sec-WebSocket-Key is not 16 bytes in base64", "", 0},
			{"a short key", replace("MDEy", ""), 400, "Sec-WebSocket-Key is not 16 bytes in base64", "", 0},
			{"subprotocols", plainRequest + "Sec-WebSocket-Protocol: v0, v3\r\n", 400, "none of the subprotocols offered is spoken here, but v2, v1", "", 0},
			{"refused", replace("/ws", "/refused"), 401, `{"message":"who?"}`, "Content-Type: application/json", 1},
			{"wrapped", replace("/ws", "/wrapped"), 403, `{}`, "X-All: yes", 1},
			{"without a status", replace("/ws", "/empty"), 403, "", "", 1},
			{"broken", replace("/ws", "/broken"), 500, `{"message":"Internal server error"}`, "Cache-Control: no-store", 1},
			{"AllowRequest", replace("/ws", "/forbidden"), 403, "not today", "", 0},
			{"a middleware", replace("/ws", "/teapot"), 418, "", "", 0},
			{"a middleware without answer", replace("/ws", "/silent"), 400, "Bad request", "", 0},
			{"a middleware that panics", replace("/ws", "/panic"), 400, "Bad request", "", 0},
			{"another origin", plainRequest + "Origin: https://other.example\r\n", 403, forbiddenOrigin, "", 0},
			{"preflight", "OPTIONS /ws HTTP/1.1\r\nHost: perch.test\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n", 204, "", "Access-Control-Allow-Origin: https://app.example", 0},
		} {
			asked = 0
			status, body, h := f.ask(c.request)
			if status != c.status || body != c.body || asked != c.asked {
				t.Errorf("%s: %d %q, asked %d times", c.name, status, body, asked)
			}
			if name, value, _ := strings.Cut(c.header, ": "); c.header != "" && h.Get(name) != value {
				t.Errorf("%s: %s is %q", c.name, name, h.Get(name))
			}
			errs := f.book.take()
			if c.name == "preflight" {
				continue
			}
			if len(errs) != 1 {
				t.Errorf("%s: %d errors were told of", c.name, len(errs))
			}
		}
		for _, c := range []struct{ headers, protocol string }{
			{"", ""},
			{"Sec-WebSocket-Protocol: v1,v0\r\nSec-WebSocket-Protocol: ,v2\r\n", "v2"},
			{"Sec-WebSocket-Protocol: v0,v1\r\n", "v1"},
			{"Origin: https://app.example\r\n", ""},
			{"Origin: null\r\n", ""},
			{"Origin: http://perch.test\r\n", ""},
		} {
			status, _, h := f.ask(plainRequest + c.headers)
			if status != 101 || h.Get("Sec-Websocket-Protocol") != c.protocol || h.Get("X-All") != "yes" {
				t.Errorf("%q: %d %v", c.headers, status, h)
			}
		}
		synctest.Wait()
		if s := f.server.Stats(); s.Sessions != 0 || s.Opened != 6 || s.Closed[ReasonTransportClose] != 6 || s.Refused != 17 {
			t.Errorf("%+v", s)
		}
		// Without CORS the page's own origin is all that may.
		own := newPlain(t, Options{}, Plain{}, nil)
		defer own.close()
		for origin, want := range map[string]int{"http://perch.test": 101, "https://perch.test:80": 403, "null": 403, "http://app.example": 403} {
			if status, body, _ := own.ask(plainRequest + "Origin: " + origin + "\r\n"); status != want {
				t.Errorf("%s: %d %s", origin, status, body)
			}
		}
		if status, _, _ := own.ask("OPTIONS /ws HTTP/1.1\r\nHost: perch.test\r\n"); status != 426 {
			t.Errorf("preflight without CORS: %d", status)
		}
	})
}

// However a handshake ends while its session is being accepted, the Handler hears of it once, and nothing is left.
func TestPlainEndsWhileAccepted(t *testing.T) {
	t.Parallel()
	type step func(f *plainFixture, s *Session, r *http.Request) error
	shut := func(f *plainFixture) error { return f.server.Shutdown(context.Background()) }
	for name, c := range map[string]struct {
		accept  step
		options Options
		status  int
		reason  Reason // of HandleClose; "" if there is no Handler
	}{
		"closed": {accept: func(_ *plainFixture, s *Session, _ *http.Request) error {
			s.CloseWith(ReasonForcedServerClose, 4000, "")
			s.Close(ReasonForcedClose) // too late
			return nil
		}, status: 503, reason: ReasonForcedServerClose},
		"closed and heard of": {accept: func(_ *plainFixture, s *Session, _ *http.Request) error {
			s.Close(ReasonForcedServerClose)
			synctest.Wait()
			return nil
		}, status: 503, reason: ReasonForcedServerClose},
		"closed and refused": {accept: func(_ *plainFixture, s *Session, _ *http.Request) error {
			s.Close(ReasonForcedServerClose)
			return &Refusal{Status: 403}
		}, status: 403},
		"shut down": {accept: func(f *plainFixture, _ *Session, _ *http.Request) error {
			return shut(f)
		}, status: 503, reason: ReasonForcedClose},
		"shut down and refused": {accept: func(f *plainFixture, _ *Session, _ *http.Request) error {
			if err := shut(f); err != nil {
				return err
			}
			return &Refusal{Status: 403}
		}, status: 403},
		"a hook panics": {options: Options{Headers: func(http.Header, *http.Request) { panic(http.ErrAbortHandler) }}, reason: ReasonTransportError}, // rule 11
		"sent too early": {accept: func(_ *plainFixture, s *Session, _ *http.Request) error {
			m := plainMessage("x")
			if err := errors.Join(s.SendText([]byte("x")), s.Send(m), s.Append(m, true), s.SendWait(context.Background(), m)); !errors.Is(err, ErrClosed) {
				return err
			}
			s.Flush()
			return nil
		}, status: 101, reason: ReasonTransportClose},
		"a panic": {accept: func(*plainFixture, *Session, *http.Request) error { panic(http.ErrAbortHandler) }}, // rule 11
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var f *plainFixture
				f = newPlain(t, c.options, Plain{}, func(s *Session, r *http.Request) error {
					if c.accept == nil {
						return nil
					}
					return c.accept(f, s, r)
				})
				defer f.close()
				if status, body, _ := f.ask(plainRequest); status != c.status {
					t.Errorf("%d %s", status, body)
				}
				synctest.Wait()
				var reasons []Reason
				if c.reason != "" {
					reasons = []Reason{c.reason}
				}
				select {
				case r := <-f.sessions:
					close(r.closed)
					if got := slices.Collect(func(yield func(Reason) bool) {
						for reason := range r.closed {
							yield(reason)
						}
					}); !slices.Equal(got, reasons) {
						t.Errorf("HandleClose heard %q", got)
					}
				default:
					if c.reason != "" {
						t.Error("no session")
					}
				}
				s := f.server.Stats()
				var closed uint64
				for _, n := range s.Closed {
					closed += n
				}
				if s.Sessions != 0 || s.Opened != closed {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// Servers and middlewares that do not let connections be taken over.
func TestPlainNoHijack(t *testing.T) {
	t.Parallel()
	f := newPlain(t, Options{}, Plain{}, nil)
	defer f.close()
	r := httptest.NewRequest("GET", "/ws", nil)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder() // cannot be
	f.http.Handler.ServeHTTP(w, r)
	if reason := <-(<-f.sessions).closed; w.Code != 501 || reason != ReasonTransportError {
		t.Errorf("%d %s, %q", w.Code, w.Body, reason)
	}
	w = httptest.NewRecorder()
	f.http.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/ws", nil))
	if w.Code != 426 || w.Header().Get("Connection") != "Upgrade" {
		t.Errorf("%d %v", w.Code, w.Header())
	}

	ts := httptest.NewUnstartedServer(f.http.Handler)
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	resp, err := ts.Client().Get(ts.URL + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 426 || resp.Header.Get("Upgrade") != "" {
		t.Errorf("HTTP/2: %s %v", resp.Status, resp.Header) // where these headers make an answer malformed
	}
}

// permessage-deflate, for messages of one client, for shared ones, and for what the client sends.
func TestPlainDeflate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newPlain(t, Options{PerMessageDeflate: &Deflate{Threshold: 100}, MaxPayload: 10_000}, Plain{}, nil)
		defer f.close()
		c, r := f.open("Sec-WebSocket-Extensions: permessage-deflate\r\n")
		long := strings.Repeat("perch on a branch, ", 100)
		_ = r.session.SendText([]byte(long))
		_ = r.session.SendText([]byte("short"))
		_ = r.session.Send(plainMessage(long))
		for i, want := range []string{long, "short", long} {
			var head [2]byte
			_, _ = io.ReadFull(c.r, head[:])
			n := int(head[1])
			if n == 126 {
				_, _ = io.ReadFull(c.r, head[:])
				n = int(head[0])<<8 | int(head[1])
			}
			b := make([]byte, n)
			_, _ = io.ReadFull(c.r, b)
			if short := len(want) < 100; short != (n == len(want)) || !short && n > 100 {
				t.Errorf("message %d of %d bytes is a frame of %d", i, len(want), n)
			}
		}
		_, _ = c.conn.Write(deflatedFrame(long))
		if got := <-r.messages; got != long {
			t.Errorf("got %q", got)
		}
		_, _ = c.conn.Write(deflatedFrame(strings.Repeat("x", 20_000)))
		if got := c.read(); got != "close:1009" {
			t.Errorf("a bomb: %s", got)
		}
		c.conn.Close()
		<-r.closed
	})
}

// A client that takes nothing is cut at the budget; frames that break the protocol, and the end of a connection, are told as they are.
func TestPlainEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newPlain(t, Options{OutboundBytes: 100_000, MaxPayload: 1000}, Plain{}, nil)
		defer f.close()
		_, r := f.open("")
		var err error
		for range 1000 {
			if err = r.session.SendText(make([]byte, 1000)); err != nil {
				break
			}
		}
		if reason := <-r.closed; !errors.Is(err, ErrOutboundFull) || reason != ReasonOutboundOverflow {
			t.Errorf("%v, %q", err, reason)
		}
		for _, c := range []struct {
			send   []byte
			want   string
			reason Reason
		}{
			{masked(wsframe.Text, strings.Repeat("x", 1001)), "close:1009", ReasonTransportError},
			{masked(wsframe.Text, "\xff"), "close:1007", ReasonTransportError},
			{wsframe.AppendHeader(nil, wsframe.Text, 0), "close:1002", ReasonTransportError}, // without a mask
			{masked(wsframe.Close, "\x03\xe9"), "close:1001", ReasonTransportClose},
		} {
			client, r := f.open("")
			_, _ = client.conn.Write(c.send)
			if got := client.read(); got != c.want {
				t.Errorf("%q: got %s", c.send[:2], got)
			}
			if reason := <-r.closed; reason != c.reason {
				t.Errorf("%q: %q", c.send[:2], reason)
			}
			client.conn.Close()
		}
		client, r := f.open("")
		client.conn.Close()
		if reason := <-r.closed; reason != ReasonTransportClose {
			t.Errorf("gone: %q", reason)
		}
		c, r := f.open("")
		done := make(chan error)
		go func() { done <- f.server.Shutdown(context.Background()) }()
		if got := c.read(); got != "close:1000" {
			t.Errorf("shut down: %s", got)
		}
		c.conn.Close()
		if err, reason := <-done, <-r.closed; err != nil || reason != ReasonForcedClose {
			t.Errorf("shut down: %v, %q", err, reason)
		}
		if status, _, _ := f.ask(plainRequest); status != 503 {
			t.Errorf("afterwards: %d", status)
		}
	})
}

func TestCloseText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "",
		"plain":                         "plain",
		"\xff":                          "\uFFFD",
		strings.Repeat("x", 123):        strings.Repeat("x", 123),
		strings.Repeat("x", 124):        strings.Repeat("x", 123),
		"x" + strings.Repeat("€", 41):   "x" + strings.Repeat("€", 40),
		strings.Repeat("x", 120) + "😀b": strings.Repeat("x", 120),
	} {
		if got := closeText(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
