package engineio

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// Rows S-79, S-80 and spec 3.2: what is refused, and how.
func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, _ := f.openPolling()
	tests := []struct {
		name, method, query, origin string
		status                      int
		body                        string
	}{
		{"no transport", "GET", "EIO=4", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"unknown transport", "GET", "EIO=4&transport=smoke", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"CVE-2023-31125 __proto__", "GET", "EIO=4&transport=__proto__", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"CVE-2023-31125 constructor", "GET", "EIO=4&transport=constructor", "", 400, `{"code":0,"message":"Transport unknown"}`},
		{"unknown session", "GET", "EIO=4&transport=polling&sid=nope", "", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"CVE-2026-59724 sid naming an object member", "GET", "EIO=4&transport=polling&sid=__proto__", "", 400, `{"code":1,"message":"Session ID unknown"}`},
		{"POST without session", "POST", "EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`},
		{"OPTIONS without CORS", "OPTIONS", "EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`},
		{"websocket without upgrade", "GET", "EIO=4&transport=websocket", "", 400, `{"code":3,"message":"Bad request"}`},
		{"transport differs from the session's", "GET", "EIO=4&transport=websocket&sid=" + sid, "", 400, `{"code":3,"message":"Bad request"}`},
		{"protocol differs from the session's", "GET", "EIO=3&transport=polling&sid=" + sid, "", 400, `{"code":3,"message":"Bad request"}`},
		{"protocol 3", "GET", "EIO=3&transport=polling", "", 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"protocol absent", "GET", "transport=polling", "", 400, `{"code":5,"message":"Unsupported protocol version"}`},
		{"PUT with session", "PUT", "EIO=4&transport=polling&sid=" + sid, "", 400, `{"code":3,"message":"Bad request"}`},
		{"another origin", "GET", "EIO=4&transport=polling", "https://evil.example", 403, `{"code":4,"message":"Forbidden: list this origin in CORS.Origins"}`},
	}
	for _, tt := range tests {
		headers := []string{}
		if tt.origin != "" {
			headers = append(headers, "Origin", tt.origin)
		}
		status, body, h := f.do(tt.method, "http://perch.test/engine.io/?"+tt.query, "", headers...)
		if status != tt.status || body != tt.body || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %d %s", tt.name, status, body, tt.status, tt.body)
		}
	}
	if f.server.Sessions() != 1 || f.server.Stats().Refused != uint64(len(tests)) {
		t.Errorf("sessions %d, refused %d", f.server.Sessions(), f.server.Stats().Refused)
	}
	// The session that was there all the time is none the worse.
	if status, body, _ := f.do("POST", base+"&sid="+sid, "4hi"); status != 200 || body != "ok" {
		t.Errorf("post: %d %q", status, body)
	}
	if _, body, _ := f.do("GET", base+"&sid="+sid, ""); body != "4hi" {
		t.Errorf("poll: %q", body)
	}
}

// Spec 3.1: payloads, base64, the headers of the answers, S-11 and CVE-2026-59725.
func TestPolling(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{MaxPayload: 1000}, true)
	defer f.close()
	sid, r := f.openPolling()
	url := base + "&sid=" + sid
	status, body, h := f.do("POST", url, "4one\x1e4héllo €\x1ebAQIDBA==\x1e4")
	if status != 200 || body != "ok" || h.Get("Content-Type") != "text/html" {
		t.Errorf("post: %d %q %v", status, body, h)
	}
	_, body, h = f.do("GET", url, "")
	if body != "4one\x1e4héllo €\x1ebAQIDBA==\x1e4" {
		t.Errorf("poll: %q", body)
	}
	if h.Get("Content-Type") != "text/plain; charset=UTF-8" || h.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", h)
	}
	// The reference takes base64 without its padding, so some client may send it so.
	f.do("POST", url, "bAQIDBA")
	if _, body, _ = f.do("GET", url, ""); body != "bAQIDBA==" {
		t.Errorf("without padding: %q", body)
	}
	// A body over the limit is refused and the session lives on.
	if status, _, _ = f.do("POST", url, "4"+strings.Repeat("x", 1000)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("body over the limit: %d", status)
	}
	if status, _, _ = f.do("POST", url, "4"+strings.Repeat("x", 999)); status != 200 {
		t.Errorf("body of the limit: %d", status)
	}
	f.do("GET", url, "")
	if status, _, _ = f.do("POST", url, "4x", "Content-Type", "application/octet-stream"); status != 400 {
		t.Errorf("binary body: %d", status)
	}
	if reason := <-r.closed; reason != ReasonTransportError {
		t.Errorf("reason %q", reason)
	}
	if status, body, _ = f.do("GET", url, ""); status != 400 || !strings.Contains(body, `"code":1`) {
		t.Errorf("after the end: %d %q", status, body)
	}
}

// Row S-91: a poll that its client gives up ends the session.
func TestAbortedPoll(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, r := f.openPolling()
	ctx, abort := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"&sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() {
		_, err := f.client.Do(req)
		answered <- err
	}()
	eventually(t, "the poll is pending", func() bool {
		r.session.mu.Lock()
		defer r.session.mu.Unlock()
		return r.session.poll != nil
	})
	abort()
	if err := <-answered; err == nil {
		t.Error("the poll was answered")
	}
	if reason := <-r.closed; reason != ReasonTransportError {
		t.Errorf("reason %q", reason)
	}
}

// Rows S-91 and S-92: what ends a session, over both transports.
func TestInvalidPackets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, packet string
		reason       Reason
	}{
		{"unknown type", "abc", ReasonParseError},
		{"digit beyond the last type", "7", ReasonParseError},
		{"empty packet", "", ReasonParseError},
		{"broken base64", "b!!", ReasonParseError},
		{"client ping", "2", ReasonTransportError},
		{"close", "1", ReasonTransportClose},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, Options{}, false)
			defer f.close()
			sid, r := f.openPolling()
			f.do("POST", base+"&sid="+sid, "4before\x1e"+tt.packet)
			if got := <-r.messages; got != "before" {
				t.Errorf("message %q", got)
			}
			if got := <-r.closed; got != tt.reason {
				t.Errorf("polling: reason %q, want %q", got, tt.reason)
			}
			c, r := f.openWS()
			c.send("4before", tt.packet, "4after")
			if got := <-r.messages; got != "before" {
				t.Errorf("message %q", got)
			}
			if got := <-r.closed; got != tt.reason {
				t.Errorf("websocket: reason %q, want %q", got, tt.reason)
			}
			if got := c.read(); !strings.HasPrefix(got, "close:") {
				t.Errorf("read %q, want a close frame", got)
			}
			if len(r.messages) != 0 {
				t.Errorf("%q was handled after the end", <-r.messages)
			}
			c.conn.Close()
		})
	}
	t.Run("body that is not UTF-8", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, Options{}, false)
		defer f.close()
		sid, r := f.openPolling()
		if status, _, _ := f.do("POST", base+"&sid="+sid, "4\xff\xfe"); status != 400 {
			t.Errorf("status %d", status)
		}
		if got := <-r.closed; got != ReasonParseError {
			t.Errorf("reason %q", got)
		}
	})
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{MaxPayload: 1000}, true)
	defer f.close()
	c, r := f.openWS()
	c.send("4hello", "bAQID", "4")
	if _, err := c.conn.Write(masked(wsframe.Binary, "\x01\x02")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"4hello", "b:\x01\x02\x03", "4", "b:\x01\x02"} {
		if got := c.read(); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
	}
	_, _ = c.conn.Write(masked(wsframe.Ping, "p"))
	if got := c.read(); got != "pong:p" {
		t.Errorf("read %q", got)
	}
	// S-11: a message over the limit is close code 1009 and a transport error.
	c.send("4" + strings.Repeat("x", 1000))
	if got := c.read(); got != "close:1009" {
		t.Errorf("read %q", got)
	}
	if reason := <-r.closed; reason != ReasonTransportError {
		t.Errorf("reason %q", reason)
	}
	c.conn.Close()

	// The peer's close frame is answered with its own code.
	c, r = f.openWS()
	_, _ = c.conn.Write(masked(wsframe.Close, "\x0b\xb8bye"))
	if got := c.read(); got != "close:3000" {
		t.Errorf("read %q", got)
	}
	if reason := <-r.closed; reason != ReasonTransportClose {
		t.Errorf("reason %q", reason)
	}
	if got := c.read(); !strings.HasPrefix(got, "error:") {
		t.Errorf("read %q after the close handshake", got)
	}

	// b64=1 on WebSocket turns binary into text (C-4).
	c = f.dial("&b64=1")
	c.read()
	_, _ = c.conn.Write(masked(wsframe.Binary, "\x01\x02\x03"))
	if got := c.read(); got != "bAQID" {
		t.Errorf("read %q", got)
	}
	c.conn.Close()
}

// Engine rule 1 and peer Z's lost CONNECT: frames sent together with the handshake are not lost.
func TestBytesRightBehindTheHandshake(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	parallel(8, func(int) {
		for range 50 {
			c := f.dial("", masked(wsframe.Text, "4early"))
			if got := c.read(); got[0] != '0' {
				t.Errorf("read %q", got)
			}
			if got := c.read(); got != "4early" {
				t.Errorf("read %q", got)
			}
			c.conn.Close()
		}
	})
}

// Rows S-8 and S-9, spec 3.1: ping, pong, timeout; S-8's one refresh by other packets.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, false)
		defer f.close()
		start := time.Now()
		c, r := f.openWS()
		for i := range 3 {
			if got := c.read(); got != "2" {
				t.Fatalf("read %q", got)
			}
			due := time.Duration(i+1) * 25 * time.Second
			if early := due - time.Since(start); early < 0 || early > 100*time.Millisecond {
				t.Errorf("ping %d came %v early", i, early)
			}
			c.send("3")
		}
		if got := c.read(); got != "2" {
			t.Fatalf("read %q", got)
		}
		pinged := time.Now()
		<-time.After(10 * time.Second)
		c.send("4still here") // refreshes
		<-r.messages
		<-time.After(15 * time.Second)
		c.send("4once more") // does not
		<-r.messages
		if reason := <-r.closed; reason != ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if d := time.Since(pinged); d < 29*time.Second || d > 31*time.Second {
			t.Errorf("ping timeout after %v, want 30 s", d)
		}
		if got := c.read(); !strings.HasPrefix(got, "error:") {
			t.Errorf("read %q", got)
		}

		sid, r := f.openPolling()
		if _, body, _ := f.do("GET", base+"&sid="+sid, ""); body != "2" {
			t.Errorf("poll %q", body)
		}
		if reason := <-r.closed; reason != ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if f.server.Stats().Closed[ReasonPingTimeout] != 2 || f.server.Sessions() != 0 {
			t.Errorf("%+v", f.server.Stats())
		}
	})
}

// Spec 3.1: how a polling session hears that it is over, with a poll pending and without.
func TestServerCloseOverPolling(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, false)
	defer f.close()
	sid, r := f.openPolling()
	go r.session.Close(ReasonForcedClose)
	if _, body, _ := f.do("GET", base+"&sid="+sid, ""); body != "1" && body != "6\x1e1" {
		t.Errorf("pending poll: %q", body)
	}
	if reason := <-r.closed; reason != ReasonForcedClose {
		t.Errorf("reason %q", reason)
	}
	sid, r = f.openPolling()
	r.session.Close(ReasonForcedServerClose)
	<-r.closed
	if err := r.session.Send(&Message{}); err != ErrClosed {
		t.Errorf("send after Close: %v", err)
	}
	if _, body, _ := f.do("GET", base+"&sid="+sid, ""); body != "6\x1e1" {
		t.Errorf("final poll: %q", body)
	}
	eventually(t, "the session is gone", func() bool { return f.server.Sessions() == 0 })
	// What was queued before the close leaves with it.
	sid, r = f.openPolling()
	_ = r.session.SendText([]byte("last words"))
	r.session.Close(ReasonForcedClose)
	for _, want := range []string{"4last words", "6\x1e1"} {
		if _, body, _ := f.do("GET", base+"&sid="+sid, ""); body != want {
			t.Errorf("poll %q, want %q", body, want)
		}
	}
}

func TestOverlappingRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, false)
	defer f.close()
	sid, r := f.openPolling()
	url := base + "&sid=" + sid
	first := make(chan string)
	go func() {
		_, body, _ := f.do("GET", url, "")
		first <- body
	}()
	eventually(t, "the poll is pending", func() bool {
		r.session.mu.Lock()
		defer r.session.mu.Unlock()
		return r.session.poll != nil
	})
	if status, body, _ := f.do("GET", url, ""); status != 400 {
		t.Errorf("second poll: %d %q", status, body)
	}
	if body := <-first; body != "1" {
		t.Errorf("first poll: %q", body)
	}
	if reason := <-r.closed; reason != ReasonTransportError {
		t.Errorf("reason %q", reason)
	}
	if status, _, _ := f.do("GET", url, ""); status != 400 {
		t.Errorf("third poll: %d", status)
	}
}

// Architecture section 6: one list for polling, preflight and WebSocket.
func TestOrigins(t *testing.T) {
	t.Parallel()
	listed := &CORS{Origins: []string{"https://app.example"}, Methods: []string{"GET", "POST"}, Credentials: true, AllowedHeaders: []string{"X-Token"}, MaxAge: time.Minute}
	tests := []struct {
		name, origin string
		cors         *CORS
		ok           bool
		allow, vary  string
	}{
		{"no origin", "", nil, true, "", ""},
		{"same origin", "http://perch.test", nil, true, "", ""},
		{"same origin behind TLS", "https://perch.test", nil, true, "", ""},
		{"same host, other port", "http://perch.test:8080", nil, false, "", ""},
		{"other", "https://app.example", nil, false, "", ""},
		{"null", "null", nil, false, "", ""},
		{"listed", "https://app.example", listed, true, "https://app.example", "Origin"},
		{"listed in another case", "https://APP.example", listed, true, "https://APP.example", "Origin"},
		{"not listed", "https://app.example.evil", listed, false, "", "Origin"},
		{"null not listed", "null", listed, false, "", "Origin"},
		{"everything", "https://any.example", &CORS{Origins: []string{"*"}}, true, "*", ""},
		{"null with everything", "null", &CORS{Origins: []string{"*"}}, true, "*", ""},
		{"null listed", "null", &CORS{Origins: []string{"null"}}, true, "null", "Origin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, Options{CORS: tt.cors}, true)
			defer f.close()
			status, _, h := f.do("GET", base, "", "Origin", tt.origin)
			if ok := status == 200; ok != tt.ok {
				t.Errorf("polling: %d", status)
			}
			if got := h.Values("Access-Control-Allow-Origin"); strings.Join(got, "|") != tt.allow {
				t.Errorf("Access-Control-Allow-Origin %q, want %q", got, tt.allow)
			}
			if got := h.Get("Vary"); got != tt.vary {
				t.Errorf("Vary %q, want %q", got, tt.vary)
			}
			conn, err := f.listener.Dial()
			if err != nil {
				t.Fatal(err)
			}
			request := strings.Replace(wsRequest, "%s", "", 1)
			_, _ = conn.Write([]byte(strings.Replace(request, "\r\n\r\n", "\r\nOrigin: "+tt.origin+"\r\n\r\n", 1)))
			line := make([]byte, len("HTTP/1.1 101"))
			_, _ = conn.Read(line)
			if ok := string(line) == "HTTP/1.1 101"; ok != tt.ok {
				t.Errorf("websocket: %s", line)
			}
			conn.Close()
		})
	}

	f := newFixture(t, Options{CORS: listed}, true)
	defer f.close()
	status, _, h := f.do("OPTIONS", base, "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST")
	if status != 204 || h.Get("Access-Control-Allow-Methods") != "GET,POST" || h.Get("Access-Control-Allow-Credentials") != "true" ||
		h.Get("Access-Control-Allow-Headers") != "X-Token" || h.Get("Access-Control-Max-Age") != "60" {
		t.Errorf("preflight: %d %v", status, h)
	}
	r, _ := http.NewRequest("GET", base, nil)
	r.Header.Set("Origin", "http://a.example\x01")
	w := httptest.NewRecorder()
	f.server.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), `"code":3`) {
		t.Errorf("invalid characters in Origin: %d %s", w.Code, w.Body)
	}
}

// A CORS middleware around the whole server leaves one header of each (spec nest section 4, 14 ii).
func TestCORSHeadersAreSet(t *testing.T) {
	t.Parallel()
	h := http.Header{"Access-Control-Allow-Origin": {"https://b.example"}, "Vary": {"Accept-Encoding, origin"}}
	r, _ := http.NewRequest("GET", "http://perch.test/", nil)
	r.Header.Set("Origin", "https://a.example")
	(&CORS{Origins: []string{"https://a.example"}}).Allow(h, r)
	if got := h.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "https://a.example" {
		t.Errorf("Access-Control-Allow-Origin %q", got)
	}
	if got := h.Values("Vary"); len(got) != 1 {
		t.Errorf("Vary %q", got)
	}
}

func TestOptionsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		PingInterval: -1, MaxPayload: -1, Transports: []Transport{"smoke"}, Overflow: 9,
		CORS: &CORS{Origins: []string{"app.example"}},
	}, nil)
	for _, name := range []string{"PingInterval", "MaxPayload", "smoke", "Overflow", "CORS.Origins"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}

// S-13 and S-14: transports can be left out, and the upgrade alone.
func TestTransports(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name               string
		options            Options
		polling, websocket int // answers to a handshake
		upgrades           string
		upgrade            int // answer to an upgrade of a polling session
	}{
		{"both", Options{}, 200, 101, `"upgrades":["websocket"]`, 101},
		{"no upgrades", Options{NoUpgrades: true}, 200, 101, `"upgrades":[]`, 400},
		{"polling only", Options{Transports: []Transport{Polling}}, 200, 400, `"upgrades":[]`, 400},
		{"websocket only", Options{Transports: []Transport{WebSocket}}, 400, 101, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, tt.options, true)
			defer f.close()
			webSocket := func(query string) int {
				conn, err := f.listener.Dial()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_, _ = fmt.Fprintf(conn, wsRequest, query)
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode
			}
			if got := webSocket(""); got != tt.websocket {
				t.Errorf("websocket: %d", got)
			}
			status, body, _ := f.do("GET", base, "")
			if status != tt.polling || !strings.Contains(body, tt.upgrades) {
				t.Errorf("polling: %d %s", status, body)
			}
			if status == 200 {
				if got := webSocket("&sid=" + openID(t, body)); got != tt.upgrade {
					t.Errorf("upgrade: %d", got)
				}
			}
		})
	}
}

// S-50, architecture section 6: the handshake, and whose forwarding headers count.
func TestHandshake(t *testing.T) {
	t.Parallel()
	request := func(remote string, headers ...string) *http.Request {
		r, _ := http.NewRequest("GET", "http://perch.test/engine.io/?EIO=4&transport=polling&token=a%20b", nil)
		r.RemoteAddr = remote
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		return r
	}
	h := newHandshake(request("192.0.2.1:999", "Origin", "https://a.example", "X-Two", "1", "X-Two", "2: 3"), nil, new(atomic.Pointer[bareContext]))
	if h.Query().Get("token") != "a b" || h.URL().Path != "/engine.io/" || h.Header().Get("Host") != "perch.test" ||
		strings.Join(h.Header().Values("X-Two"), "|") != "1|2: 3" || !h.CrossDomain() || h.Secure() || h.RemoteAddr() != "192.0.2.1:999" {
		t.Errorf("handshake %q", h.block)
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	tests := []struct {
		name, remote string
		headers      []string
		want         string
		secure       bool
	}{
		{"untrusted sender", "192.0.2.1:9", []string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-Proto", "https"}, "192.0.2.1:9", false},
		{"trusted", "10.0.0.1:9", []string{"X-Forwarded-For", "1.1.1.1", "X-Forwarded-Proto", "https"}, "1.1.1.1", true},
		{"two trusted hops", "[::1]:9", []string{"X-Forwarded-For", "6.6.6.6, 1.1.1.1, 10.0.0.2"}, "1.1.1.1", false},
		{"two headers", "10.0.0.1:9", []string{"X-Forwarded-For", "6.6.6.6", "X-Forwarded-For", "1.1.1.1"}, "1.1.1.1", false},
		{"nonsense", "10.0.0.1:9", []string{"X-Forwarded-For", "unknown"}, "10.0.0.1:9", false},
		{"Forwarded", "10.0.0.1:9", []string{"Forwarded", `for=6.6.6.6, for="[2001:db8::1]:80";proto=https`}, "[2001:db8::1]:80", false},
		{"nothing forwarded", "10.0.0.1:9", nil, "10.0.0.1:9", false},
	}
	for _, tt := range tests {
		h := newHandshake(request(tt.remote, tt.headers...), trusted, new(atomic.Pointer[bareContext]))
		if h.RemoteAddr() != tt.want || h.Secure() != tt.secure {
			t.Errorf("%s: %s %v", tt.name, h.RemoteAddr(), h.Secure())
		}
	}
}
