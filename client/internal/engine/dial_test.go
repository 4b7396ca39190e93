package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/engineio"
)

// TestRequests shows what requests look like (C-2, C-4, C-5).
func TestRequests(t *testing.T) {
	t.Parallel()
	requests := make(chan *http.Request, 100)
	f := newFixture(t, engineio.Options{Cookie: &http.Cookie{}}, true, nil)
	defer f.close()
	base := f.http.Handler
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Clone(context.Background())
		base.ServeHTTP(w, r)
	})
	g := newServer(t, inner)
	defer g.close()

	config := g.config(Polling, WebSocket)
	config.URL = &url.URL{Scheme: "http", Host: "perch.test", Path: "/a b/", RawQuery: "token=x%26y&EIO=3&sid=stale&t=mine", Fragment: "f"}
	config.Header = http.Header{"x-all": {"1"}, "X-Both": {"all"}, "Host": {"other.test"}}
	config.PerTransport = map[Transport]TransportOptions{
		Polling:   {Query: url.Values{"token": {"polled"}, "p": {"1"}}, Header: http.Header{"X-Both": {"polling"}}},
		WebSocket: {Header: http.Header{"X-Both": {"websocket"}}},
	}
	config.Protocols = []string{"one", "two"}
	config.TimestampPolling, config.ForceBase64 = true, true
	config.HTTPClient.Jar, _ = cookiejar.New(nil)
	config.HTTPClient.Timeout = time.Nanosecond

	c := dial(t, config)
	if err := c.Send(false, Message{Data: []byte{1}, Binary: true}); err != nil {
		t.Error(err)
	}
	expect(t, c.messages, "b:\x01")
	<-c.upgraded
	if err := c.Send(false, Message{Data: []byte{2}, Binary: true}); err != nil {
		t.Error(err)
	}
	expect(t, c.messages, "b:\x02")
	c.stop(t)

	stamps := map[string]bool{}
	for opening := true; len(requests) > 0; opening = false {
		r := <-requests
		q := r.URL.Query()
		is := func(name, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s %s: %s is %q, want %q", r.Method, r.URL, name, got, want)
			}
		}
		is("path", r.URL.Path, "/a b/")
		is("EIO", strings.Join(q["EIO"], ","), "4")
		is("X-All", r.Header.Get("X-All"), "1")
		sid := c.ID()
		if opening {
			sid = ""
		}
		is("sid", strings.Join(q["sid"], ","), sid)
		cookie := ""
		if !opening {
			cookie = "io=" + c.ID()
		}
		is("Cookie", r.Header.Get("Cookie"), cookie)
		if q.Get("transport") == "websocket" {
			is("token", q.Get("token"), "x&y")
			is("X-Both", strings.Join(r.Header["X-Both"], ","), "websocket")
			is("host", r.Host, "other.test")
			is("b64", q.Get("b64"), "1")
			is("t", q.Get("t"), "mine")
			is("subprotocols", r.Header.Get("Sec-WebSocket-Protocol"), "one,two")
			continue
		}
		is("token", q.Get("token"), "polled")
		is("p", q.Get("p"), "1")
		is("X-Both", strings.Join(r.Header["X-Both"], ","), "polling")
		is("host", r.Host, "other.test")
		is("Accept", r.Header.Get("Accept"), "*/*")
		is("b64", q.Get("b64"), map[bool]string{true: "1"}[opening])
		if r.Method == http.MethodPost {
			is("Content-Type", r.Header.Get("Content-Type"), "text/plain;charset=UTF-8")
		}
		if stamps[q.Get("t")] {
			t.Errorf("two requests with the timestamp %q", q.Get("t"))
		}
		stamps[q.Get("t")] = true
	}
	if config.URL.Fragment == "" || config.Header.Get("Accept") != "" {
		t.Error("the config was changed")
	}
}

func TestTimestamps(t *testing.T) {
	t.Parallel()
	c := Config{URL: &url.URL{Scheme: "https", Host: "h", Path: "/p/"}, TimestampWebSocket: true, TimestampParam: "ts"}
	c.setDefaults()
	if a, b := c.address(WebSocket, "s", 1), c.address(WebSocket, "s", 2); a == b || !strings.Contains(a, "&ts=") {
		t.Errorf("%s, %s", a, b)
	}
	if a := c.address(Polling, "s", 1); a != "https://h/p/?EIO=4&sid=s&transport=polling" {
		t.Error(a)
	}
}

// TestRedirect shows that requests follow redirects as those of an http.Client do.
func TestRedirect(t *testing.T) {
	t.Parallel()
	f := newFixture(t, engineio.Options{}, true, nil)
	defer f.close()
	inner := f.http.Handler
	g := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/engine.io/" {
			http.Redirect(w, r, "/moved/?"+r.URL.RawQuery, http.StatusPermanentRedirect)
			return
		}
		inner.ServeHTTP(w, r)
	})
	defer g.close()
	c := dial(t, g.config(Polling, WebSocket))
	c.text(t, "one")
	expect(t, c.messages, "one")
	<-c.upgraded
	c.stop(t)
}

// opening is a server that opens nothing, and what Dial says.
type opening struct {
	name   string
	answer func(w http.ResponseWriter, r *http.Request)
	want   HandshakeError // if it is one
	err    string         // otherwise
}

func answer(status int, body string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// both are answers that are wrong for either transport.
var both = []opening{
	{"the engine's refusal", answer(400, `{"code":1,"message":"Session ID unknown"}`), HandshakeError{400, 1, "Session ID unknown"}, ""},
	{"forbidden", answer(403, `{"code":4,"message":"no"}`), HandshakeError{403, 4, "no"}, ""},
	{"the code alone", answer(400, `{"code":4}`), HandshakeError{400, -1, `{"code":4}`}, ""},
	{"text", answer(400, " Transport unknown\n"), HandshakeError{400, -1, "Transport unknown"}, ""},
	{"nothing", answer(500, ""), HandshakeError{500, -1, ""}, ""},
	{"a long page", answer(502, strings.Repeat("é", 5000)), HandshakeError{502, -1, strings.Repeat("é", maxRefusalMessage/2) + "…"}, ""},
	{"no content", answer(204, ""), HandshakeError{204, -1, ""}, ""},
	{"a redirect to nowhere", answer(302, ""), HandshakeError{302, -1, ""}, ""},
	{"no HTTP", func(w http.ResponseWriter, _ *http.Request) { cut(w, "SSH-2.0-OpenSSH_9\r\n") }, HandshakeError{}, "malformed HTTP"},
	{"nothing at all", func(w http.ResponseWriter, _ *http.Request) { cut(w, "") }, HandshakeError{}, "EOF"},
	{"half a head", func(w http.ResponseWriter, _ *http.Request) { cut(w, "HTTP/1.1 200 OK\r\nContent-") }, HandshakeError{}, "malformed MIME header"},
}

func TestRefusedOpening(t *testing.T) {
	t.Parallel()
	says := func(frames ...[]byte) func(w http.ResponseWriter, r *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			s := hijack(t, w, r)
			defer s.conn.Close()
			for _, f := range frames {
				_, _ = s.conn.Write(f)
			}
			if len(frames) > 0 {
				s.linger()
			}
		}
	}
	for transport, rows := range map[Transport][]opening{
		Polling: append([]opening{
			{"a page", answer(200, "<html>"), HandshakeError{}, "unknown packet type '<'"},
			{"an empty body", answer(200, ""), HandshakeError{}, "empty packet"},
			{"another packet", answer(200, "1"), HandshakeError{}, "instead of the open packet"},
			{"a bad open packet", answer(200, "0{}"), HandshakeError{}, "lacks sid"},
			{"too much", answer(200, openPacket+strings.Repeat("\x1e6", 2000)), HandshakeError{}, "larger than MaxPayload"},
			{"half a body", func(w http.ResponseWriter, _ *http.Request) {
				cut(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+openPacket[:50])
			}, HandshakeError{}, "unexpected EOF"},
		}, both...),
		WebSocket: append([]opening{
			{"an answer without upgrade", answer(200, openPacket), HandshakeError{200, -1, openPacket}, ""},
			{"a wrong key", func(w http.ResponseWriter, r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "x"); says()(w, r) }, HandshakeError{}, "Sec-WebSocket-Accept"},
			{"a binary message", says(frame(opBinary, openPacket)), HandshakeError{}, "a binary message instead"},
			{"another packet", says(frame(opText, "6")), HandshakeError{}, "instead of the open packet"},
			{"a bad open packet", says(frame(opText, "0{")), HandshakeError{}, "the open packet"},
			{"an empty message", says(frame(opText, "")), HandshakeError{}, "empty packet"},
			{"too much", says(frame(opText, openPacket+strings.Repeat(" ", 2000))), HandshakeError{}, "read limited"},
			{"a close frame", says(frame(opClose, "\x03\xf0go away")), HandshakeError{}, "closed the websocket: 1008 go away"},
			{"the end", says(), HandshakeError{}, "EOF"},
			{"half a frame", says(frame(opText, openPacket)[:20], nil), HandshakeError{}, ""},
		}, both...),
	} {
		for _, tt := range rows {
			t.Run(string(transport)+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newServer(t, tt.answer)
					defer f.close()
					config := f.config(transport)
					config.MaxPayload = 2000
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
					defer cancel()
					_, err := Dial(ctx, config)
					if err == nil {
						t.Fatal("a connection")
					}
					refused, ok := errors.AsType[*HandshakeError](err)
					switch {
					case ok != (tt.want.Status != 0), ok && *refused != tt.want, !ok && !strings.Contains(err.Error(), tt.err):
						t.Errorf("%v (%#v), want %+v or %q", err, refused, tt.want, tt.err)
					case tt.err == "" && !ok && !errors.Is(err, context.DeadlineExceeded):
						t.Errorf("%v, want the context's error", err)
					case strings.Contains(err.Error(), "EIO="):
						t.Errorf("%v has the query", err)
					}
				})
			})
		}
	}
}

// TestDialContext shows that the context bounds opening, and only that.
func TestDialContext(t *testing.T) {
	t.Parallel()
	for _, transport := range []Transport{Polling, WebSocket} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var hang atomic.Bool
				hang.Store(true)
				f := newServer(t, func(w http.ResponseWriter, r *http.Request) {
					if hang.Load() {
						<-r.Context().Done()
						return
					}
					script{
						get: never,
						websocket: func(s *socket, _ *http.Request) {
							s.say(openPacket)
							s.linger()
						},
					}.serve(t)(w, r)
				})
				defer f.close()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				start := time.Now()
				if _, err := Dial(ctx, f.config(transport)); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 20*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				cancel()
				hang.Store(false)
				ctx, cancel = context.WithCancel(t.Context())
				conn, err := Dial(ctx, f.config(transport))
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				conn.Close()
				if reason, err := conn.Serve(t.Context(), &client{}); reason != ForcedClose || err != nil {
					t.Errorf("%q, %v", reason, err)
				}
			})
		})
	}
}

// TestTryAll shows which transport a connection opens on (C-3).
func TestTryAll(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		transports []Transport
		broken     Transport
		tryAll     bool
		want       Transport // "" for an error
		errors     int
	}{
		{"the first", []Transport{Polling, WebSocket}, "", true, Polling, 0},
		{"the first alone", []Transport{Polling, WebSocket}, Polling, false, "", 1},
		{"the second", []Transport{Polling, WebSocket}, Polling, true, WebSocket, 0},
		{"the second, and no upgrade to the first", []Transport{WebSocket, Polling}, WebSocket, true, Polling, 0},
		{"none", []Transport{WebSocket, WebSocket}, WebSocket, true, "", 2},
		{"an unknown one", []Transport{"webtransport", Polling}, "", true, Polling, 0},
		{"only an unknown one", []Transport{"webtransport"}, "", true, "", 1},
		{"no transports", nil, "", true, "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newServer(t, func(w http.ResponseWriter, r *http.Request) {
					transport := Transport(r.URL.Query().Get("transport"))
					if transport == WebSocket && r.URL.Query().Get("sid") != "" && tt.broken == WebSocket {
						t.Error("an upgrade to what has failed")
					}
					if transport == tt.broken {
						http.Error(w, "no", http.StatusBadRequest)
						return
					}
					script{get: never, websocket: func(s *socket, _ *http.Request) {
						s.say(openPacket)
						s.linger()
					}}.serve(t)(w, r)
				})
				defer f.close()
				config := f.config(tt.transports...)
				config.TryAll, config.Upgrade = tt.tryAll, tt.broken != ""
				conn, err := Dial(t.Context(), config)
				if tt.want == "" {
					if err == nil || strings.Count(err.Error(), "\n")+1 != tt.errors {
						t.Errorf("error %v", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if conn.Transport() != tt.want {
					t.Errorf("on %q", conn.Transport())
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if reason, err := conn.Serve(ctx, &client{}); reason != ForcedClose || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%q, %v", reason, err)
				}
			})
		})
	}
}

// TestUnserved shows that a connection that nobody serves can be closed.
func TestUnserved(t *testing.T) {
	t.Parallel()
	eachWayTimed(t, engineio.Options{}, false, func(t *testing.T, f *fixture, config Config) {
		conn, err := Dial(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Send(false, Message{Data: []byte("hello")}); err != nil {
			t.Error(err)
		}
		conn.Close()
		p := <-f.peers
		expect(t, p.messages, "hello")
		if reason := <-p.closed; reason != engineio.ReasonTransportClose {
			t.Errorf("the server says %q", reason)
		}
	})
}
