package engineio

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// What docs/security.md says of this package, where no other test shows it. The tests are named after its rows.

// Ids cannot be guessed. It is not parallel: the source of randomness is everybody's.
func TestCVE_2017_16031(t *testing.T) {
	ids := map[string]bool{}
	var seen [20]map[byte]bool
	for range 2000 {
		id := newID()
		if len(id) != len(seen) || !validID(id) || ids[id] {
			t.Fatalf("id %q", id)
		}
		ids[id] = true
		for i := range seen {
			if seen[i] == nil {
				seen[i] = map[byte]bool{}
			}
			seen[i][id[i]] = true
		}
	}
	for i, chars := range seen { // 2,000 of 64: that one is missing somewhere has a probability of 10⁻¹⁰
		if len(chars) != 64 {
			t.Errorf("character %d takes %d values: less than 6 bits", i, len(chars))
		}
	}
	cryptotest.SetGlobalRandom(t, 1)
	first := newID()
	cryptotest.SetGlobalRandom(t, 1)
	if second := newID(); first != second {
		t.Errorf("%s and %s: they are not made of what crypto/rand gives", first, second)
	}
}

// A page of another origin is let in only if that is listed, over any transport.
func TestCVE_2020_28481(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, _ := f.openPolling()
	for _, origin := range []string{"https://evil.example", "http://perch.test.evil.example", "http://perch.test:81", "null", "file://"} {
		for method, target := range map[string]string{"GET": base, "POST": base + "&sid=" + sid, "OPTIONS": base} {
			status, _, h := f.do(method, target, "4x", "Origin", origin)
			if status != 403 || h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s from %s: %d %v", method, origin, status, h)
			}
		}
		for _, query := range []string{"", "&sid=" + sid} {
			if resp, body := f.handshake(query, "Origin", origin); resp.StatusCode != 400 || !strings.HasPrefix(body, "Forbidden") {
				t.Errorf("upgrade%s from %s: %s %s", query, origin, resp.Status, body)
			}
		}
	}
	if n := f.server.Sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A body over MaxPayload is not read further than that, however it is announced.
func TestCVE_2020_36048(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, _ := f.openPolling()
	for _, length := range []int64{-1, 1_000_001, 1 << 40} {
		body := &endless{}
		r := httptest.NewRequest("POST", base+"&sid="+sid, body)
		r.ContentLength = length
		w := httptest.NewRecorder()
		f.server.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("length %d: %d", length, w.Code)
		}
		if body.read > 1_000_000+1 || length > 0 && body.read > 0 {
			t.Errorf("length %d: %d bytes were read", length, body.read)
		}
	}
	if status, _, _ := f.do("POST", base+"&sid="+sid, "4x"); status != 200 {
		t.Errorf("the session is gone: %d", status)
	}
}

// endless is a body of which there is always more, up to where a test would take too long.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read > 64_000_000 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = '4'
	}
	e.read += len(p)
	return len(p), nil
}

// The time a payload takes grows with its length and not with the square of it.
func TestCVE_2020_36049(t *testing.T) {
	t.Parallel()
	server, err := New(Options{Logger: quiet()}, func(*Session) Handler { return discard{} })
	if err != nil {
		t.Fatal(err)
	}
	post := func(target, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("POST", target, strings.NewReader(body))
		if body == "" {
			r.Method = "GET"
		}
		server.ServeHTTP(w, r)
		return w
	}
	target := base + "&sid=" + openID(t, post(base, "").Body.String())
	linear(t, "packets of a payload", func(n int) func() {
		payload := strings.Repeat("4x\x1e", n) + "4x"
		return func() {
			if w := post(target, payload); w.Code != 200 {
				t.Error(w.Code)
			}
		}
	})
	for session := range server.sessions.all() {
		session.end(ReasonForcedClose, nil) // nobody polls to hear of it
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

type discard struct{}

func (discard) HandleMessage([]byte, bool) {}
func (discard) HandleClose(Reason, error)  {}

// Headers of an upgrade are read in time that grows with their length and not with the square of it.
func TestCVE_2021_32640(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func(n int) string{
		"space":  func(n int) string { return "a" + strings.Repeat(" ", n) },
		"middle": func(n int) string { return "a" + strings.Repeat(" ", n) + "b" },
		"list":   func(n int) string { return strings.Repeat("a,", n) },
		"params": func(n int) string { return "a" + strings.Repeat(";a", n) },
	} {
		linear(t, name, func(n int) func() {
			h := http.Header{"Sec-Websocket-Protocol": {header(n)}}
			p := Plain{Subprotocols: []string{"x"}}
			return func() {
				subprotocol(h)
				p.negotiate(h)
				_, _ = wsframe.NegotiateDeflate(h["Sec-Websocket-Protocol"])
			}
		})
	}
}

// linear wants what is done to 64 times as much to take less than 1,024 times as long: the square of it were 4,096.
func linear(t *testing.T, name string, of func(n int) func()) {
	t.Helper()
	best := func(work func()) time.Duration {
		least := time.Hour
		for range 7 {
			start := time.Now()
			work()
			least = min(least, time.Since(start))
		}
		return least
	}
	const few, many = 500, 64 * 500
	var small, large time.Duration
	for range 3 { // the machine may have other things to do
		if small, large = best(of(few)), best(of(many)); large < 1024*small {
			return
		}
	}
	t.Errorf("%s: %d take %v, %d take %v", name, few, small, many, large)
}

// Frames that are none, behind the request or later, end the connection they came on.
func TestCVE_2022_21676(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, polling := f.openPolling()
	bad := map[string][]byte{
		"unmasked":       {0x81, 1, '2'},
		"reserved bits":  {0xf1, 0x80, 0, 0, 0, 0},
		"unknown opcode": {0x83, 0x80, 0, 0, 0, 0},
		"too long":       {0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
	}
	for name, frame := range bad {
		c := f.dial("", frame)
		if open := c.read(); open[0] != '0' {
			t.Errorf("%s: %s", name, open)
		}
		if end := c.read(); !strings.HasPrefix(end, "close:10") {
			t.Errorf("%s: %s", name, end)
		}
		if reason := <-(<-f.sessions).closed; reason != ReasonTransportError {
			t.Errorf("%s: %s", name, reason)
		}
		c.conn.Close()
		probe := f.dial("&sid="+sid, frame)
		if end := probe.read(); !strings.HasPrefix(end, "close:10") {
			t.Errorf("%s, while upgrading: %s", name, end)
		}
		probe.conn.Close()
		eventually(t, "the upgrade is given up", func() bool {
			polling.session.mu.Lock()
			defer polling.session.mu.Unlock()
			return polling.session.upgrade == nil
		})
	}
	f.do("POST", base+"&sid="+sid, "4still")
	if _, body, _ := f.do("GET", base+"&sid="+sid, ""); body != "4still" {
		t.Errorf("the session that they wanted: %q", body)
	}
}

// A client that resets the connection when its upgrade is refused is nobody's problem.
func TestCVE_2022_41940(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	ws := strings.Replace(base, "polling", "websocket", 1)
	for _, target := range []string{ws, ws + "&sid=none", strings.Replace(ws, "EIO=4", "EIO=3", 1), "http://perch.test/engine.io/"} {
		r := httptest.NewRequest("GET", target, nil)
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		w := &reset{httptest.NewRecorder()}
		f.server.ServeHTTP(w, r)
		if w.Code < 400 || w.Body.Len() > 0 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	sid, _ := f.openPolling()
	upgrading := f.dial("&sid=" + sid)
	for range 20 { // refused once they are taken over
		conn, err := f.listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, wsRequest, "&sid="+sid)
		_ = conn.Close()
	}
	upgrading.send("2probe")
	if got := upgrading.read(); got != "3probe" {
		t.Errorf("the first one: %s", got)
	}
	upgrading.conn.Close()
}

// reset is a ResponseWriter whose client is gone.
type reset struct{ *httptest.ResponseRecorder }

func (*reset) Write([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

// objectMembers are names that every object of JavaScript has.
var objectMembers = []string{"__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "__defineGetter__"}

// A transport is one of those that are served.
func TestCVE_2023_31125(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	for _, name := range append(objectMembers, "Polling", "polling ", "webtransport", "", "polling,websocket", "polling%00") {
		if status, body, _ := f.do("GET", "http://perch.test/engine.io/?EIO=4&transport="+url.QueryEscape(name), ""); status != 400 || body != `{"code":0,"message":"Transport unknown"}` {
			t.Errorf("%q: %d %s", name, status, body)
		}
	}
	if n := f.server.Sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// A session is one that there is.
func TestCVE_2026_59724(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	for _, sid := range append(objectMembers, "0", strings.Repeat("x", 10_000)) {
		for _, method := range []string{"GET", "POST"} {
			if status, body, _ := f.do(method, base+"&sid="+sid, "4x"); status != 400 || body != `{"code":1,"message":"Session ID unknown"}` {
				t.Errorf("%s %.20q: %d %s", method, sid, status, body)
			}
		}
		if resp, body := f.handshake("&sid=" + sid); resp.StatusCode != 400 || body != "Session ID unknown" {
			t.Errorf("upgrade %.20q: %s %s", sid, resp.Status, body)
		}
	}
}

// A body that protocol 4 does not have is answered, and so is one that does not come.
func TestCVE_2026_59725(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"application/octet-stream", "Application/Octet-Stream; charset=x"} {
		f := newFixture(t, Options{}, true)
		sid, r := f.openPolling()
		if status, body, _ := f.do("POST", base+"&sid="+sid, "4x", "Content-Type", kind); status != 400 || body != `{"code":3,"message":"Bad request"}` {
			t.Errorf("%s: %d %s", kind, status, body)
		}
		if reason := <-r.closed; reason != ReasonTransportError {
			t.Errorf("%s: %s", kind, reason)
		}
		f.close()
	}
}

// No part of the cookie brings attributes of its own, or a header.
func TestCVE_2024_47764(t *testing.T) {
	t.Parallel()
	for _, c := range []*http.Cookie{
		{Name: "a b"}, {Name: "a=b"}, {Name: "a;Domain=x"}, {Name: "a\r\nX: y"}, {Path: "/;x"}, {Path: "/\nX: y"}, {Domain: "a;b"}, {Domain: "a b"}, {Domain: "a\r\nX: y"},
	} {
		if _, err := New(Options{Cookie: c}, nil); err == nil || !strings.Contains(err.Error(), "Cookie") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	f := newFixture(t, Options{Cookie: &http.Cookie{Value: "a; Domain=x"}}, true) // the value is ours
	defer f.close()
	_, body, h := f.do("GET", base, "")
	if got, want := h.Values("Set-Cookie"), "io="+openID(t, body)+"; Path=/; HttpOnly; SameSite=Lax"; len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Event flood: pings of WebSocket, which are answered, count in the budget of a client that takes no answers.
func TestPingFlood(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{OutboundBytes: 100_000}, false)
	defer f.close()
	c, r := f.openWS()
	defer c.conn.Close()
	ping := masked(wsframe.Ping, strings.Repeat("x", 125))
	for range 20_000 {
		if _, err := c.conn.Write(ping); err != nil {
			if reason := <-r.closed; reason != ReasonOutboundOverflow {
				t.Errorf("reason %s", reason)
			}
			return
		}
	}
	bytes, packets := r.session.Buffered()
	t.Errorf("20,000 are taken: %d bytes in %d packets wait", bytes, packets)
}

// No answer hands a browser what the client has sent as HTML or as a script.
func TestNoReflection(t *testing.T) {
	t.Parallel()
	const mark = "<script>alert(1)</script>"
	escaped := url.QueryEscape(mark)
	f := newFixture(t, Options{AllowEIO3: true, CORS: &CORS{Origins: []string{"*"}}, AllowRequest: func(r *http.Request) error {
		if token := r.URL.Query().Get("token"); token != "" {
			return errors.New("no such token: " + token)
		}
		return nil
	}}, true)
	defer f.close()
	sid, _ := f.openPolling()
	check := func(what, body string, h http.Header) {
		t.Helper()
		if strings.Contains(body, "<script") || strings.Contains(body, "alert(") && strings.Contains(h.Get("Content-Type"), "script") {
			t.Errorf("%s: %q as %s", what, body, h.Get("Content-Type"))
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") == "" {
			t.Errorf("%s: headers %v", what, h)
		}
	}
	for what, query := range map[string]string{
		"transport": "EIO=4&transport=" + escaped, "sid": "EIO=4&transport=polling&sid=" + escaped, "protocol": "EIO=" + escaped + "&transport=polling",
		"token": "EIO=4&transport=polling&token=" + escaped, "j": "EIO=3&transport=polling&j=" + escaped, "post": "EIO=4&transport=polling&sid=" + sid,
		"j without protocol 3": "EIO=4&transport=polling&j=" + escaped, "a parameter of nobody": "EIO=4&transport=polling&" + escaped + "=" + escaped,
	} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			if what == "post" && method == "GET" {
				continue // it waits
			}
			status, body, h := f.do(method, "http://perch.test/engine.io/?"+query, mark)
			check(fmt.Sprint(what, " ", method, " ", status), body, h)
		}
	}
	for _, query := range []string{"&token=" + escaped, "&sid=" + escaped} {
		resp, body := f.handshake(query)
		if resp.StatusCode != 400 {
			t.Errorf("upgrade %s: %s", query, resp.Status)
		}
		check("upgrade "+query, body, resp.Header)
	}
	_, body, _ := f.do("GET", "http://perch.test/engine.io/?EIO=3&transport=polling&j="+url.QueryEscape(`0]=alert;x["2`), "")
	if !strings.HasPrefix(body, `___eio[02]("`) {
		t.Errorf("a script of the client's: %s", body)
	}
}
