package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/perch-go/perch/internal/wsframe"
)

const base3 = "http://perch.test/engine.io/?EIO=3&transport=polling"

var older = Options{AllowEIO3: true}

// open3 starts a polling session of protocol 3.
func (f *fixture) open3(query string) (url string, r *recorder) {
	f.t.Helper()
	status, body, _ := f.do("GET", base3+query, "")
	packet, rest, err := cutText3([]byte(body))
	if status != 200 || err != nil || len(rest) > 0 || packet[0] != '0' {
		f.t.Fatalf("handshake: %d %q", status, body)
	}
	return base3 + "&sid=" + openID(f.t, string(packet)), <-f.sessions
}

// dial3 opens a WebSocket of protocol 3.
func (f *fixture) dial3(query string, early ...[]byte) *wsClient {
	f.t.Helper()
	conn, err := f.listener.Dial()
	if err != nil {
		f.t.Fatal(err)
	}
	return dialRequest(f.t, conn, strings.Replace(fmt.Sprintf(wsRequest, query), "EIO=4", "EIO=3", 1), early...)
}

// get3 polls.
func (f *fixture) get3(url string) (body, contentType string) {
	f.t.Helper()
	_, body, h := f.do("GET", url, "")
	return body, h.Get("Content-Type")
}

const (
	text3   = "text/plain; charset=UTF-8"
	binary3 = "application/octet-stream"
)

// Spec 3.3: the payloads of protocol 3, as the reference's parser writes and reads them.
func TestPayload3(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("\U0001f600", 6)
	tests := []struct {
		name    string
		packets []string // binary ones with "b:" before them
		text    string   // the payload of a client without binary
		binary  string   // of one with binary, where that is another
	}{
		{"one", []string{"4hello"}, "6:4hello", ""},
		{"noop", []string{"6"}, "1:6", ""},
		{"several", []string{"4a", "2", "4b:c"}, "2:4a1:24:4b:c", ""},
		{"two bytes a unit", []string{"4\u00e9\u00e9"}, "3:4\u00e9\u00e9", ""},
		{"three", []string{"4\u20ac"}, "2:4\u20ac", ""},
		{"surrogate pairs", []string{"4" + long}, "13:4" + long, ""},
		{"binary", []string{"b:\x00\x01\xff"}, "6:b4AAH/", "\x01\x04\xff\x04\x00\x01\xff"},
		{"empty binary", []string{"b:"}, "2:b4", "\x01\x01\xff\x04"},
		{"both", []string{"4\u20ac", "b:xy"}, "2:4\u20ac6:b4eHk=", "\x00\x04\xff4\u20ac\x01\x03\xff\x04xy"},
		{"two digits", []string{"b:0123456789"}, "18:b4MDEyMzQ1Njc4OQ==", "\x01\x01\x01\xff\x040123456789"},
	}
	for _, tt := range tests {
		box := &outbox{}
		for _, p := range tt.packets {
			var m Message
			if data, ok := strings.CutPrefix(p, "b:"); ok {
				m.AppendBinary([]byte(data))
			} else {
				m.frames = appendText(m.frames, p[0], []byte(p[1:]))
				m.packets++
			}
			box.add(m.frames, m.packets, false)
		}
		for _, text := range []bool{true, false} {
			want, wantType := tt.text, text3
			if !text && tt.binary != "" {
				want, wantType = tt.binary, binary3
			}
			body, contentType := (&protocol3{base64: text}).pollAnswer(&poll{box: box})
			if string(body) != want || contentType != wantType {
				t.Errorf("%s: %q as %s, want %q", tt.name, body, contentType, want)
			}
			got, err := packets3(body, contentType == binary3)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			for i, p := range got {
				if b64, ok := strings.CutPrefix(p, "b4"); ok {
					data, err := base64.StdEncoding.DecodeString(b64)
					if err != nil {
						t.Error(err)
					}
					got[i] = "b:" + string(data)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.packets) {
				t.Errorf("%s: read %q, want %q", tt.name, got, tt.packets)
			}
		}
	}
	for _, tt := range []struct {
		p    poll
		want string
	}{
		{poll{noop: true}, "1:6"}, {poll{last: true}, "1:1"}, {poll{late: true, last: true}, "1:61:1"},
	} {
		if body, contentType := (&protocol3{}).pollAnswer(&tt.p); string(body) != tt.want || contentType != text3 {
			t.Errorf("%q as %s, want %q", body, contentType, tt.want)
		}
	}
}

// packets3 takes a payload apart, binary packets with "b:" before them and without their type.
func packets3(body []byte, binary bool) (packets []string, err error) {
	for len(body) > 0 {
		var packet []byte
		text := true
		if binary {
			packet, text, body, err = cutBinary3(body)
		} else {
			packet, body, err = cutText3(body)
		}
		switch {
		case err != nil:
			return nil, err
		case text:
			packets = append(packets, string(packet))
		case len(packet) == 0:
			return nil, errors.New("no type")
		default:
			packets = append(packets, "b:"+string(packet[1:]))
		}
	}
	return packets, nil
}

// Payloads that are none. Their lengths are bounded by the body, whatever they claim.
func TestInvalidPayload3(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"4hello", "6", ":", "6:4hell", "-1:4", "1e1:4", "0x1:4", " 1:4", "1:4 1:4", "99999999999999999999999:4",
		strings.Repeat("9", 1000) + ":4", "1:\U0001f600", "2:4\U0001f600", "1:4:", "1;4",
	} {
		if got, err := packets3([]byte(body), false); err == nil {
			t.Errorf("text %.30q: %q", body, got)
		}
	}
	for _, body := range []string{
		"\x00", "\x01\xff", "\x02\x01\xff4", "\x00\x01", "\x00\x01\xff", "\x00\x02\xff4", "\x00\x0a\xff4", "1\x01\xff4", "\x00\x02\xff4\xff",
		"\x00" + strings.Repeat("\x09", 400) + "\xff4", "\x01\x01\xff\x04\x01",
	} {
		if got, err := packets3([]byte(body), true); err == nil {
			t.Errorf("binary %.30q: %q", body, got)
		}
	}
}

// FuzzPayload3 reads anything as a payload: what is accepted is written again as it was, but for leading zeros, and its
// lengths are those that JavaScript counts.
func FuzzPayload3(f *testing.F) {
	f.Add([]byte("6:4hello1:2"), false)
	f.Add([]byte("3:4\u20ac\u00e9013:4\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600\U0001f600"), false)
	f.Add([]byte("\x00\x04\xff4\u20ac\x01\x03\xff\x04xy"), true)
	f.Add([]byte("\x01\x00\x01\xff\x04\x00\x00\xff"), true)
	f.Fuzz(func(t *testing.T, body []byte, binary bool) {
		if !binary && !utf8.Valid(body) {
			return
		}
		for rest := body; len(rest) > 0; {
			at, text := rest, true
			var packet, again []byte
			var err error
			if binary {
				packet, text, rest, err = cutBinary3(at)
			} else {
				packet, rest, err = cutText3(at)
			}
			if err != nil {
				return
			}
			if text && !utf8.Valid(packet) {
				t.Fatalf("%q is not UTF-8", packet)
			}
			if n := len(utf16.Encode([]rune(string(packet)))); text && utf16Len(packet) != n {
				t.Fatalf("%q has %d units, not %d", packet, n, utf16Len(packet))
			}
			wire := at[:len(at)-len(rest)]
			switch {
			case !binary:
				again = appendText3(nil, false, packet)
				wire = bytes.TrimLeft(wire[:len(wire)-len(packet)-1], "0")
				again = bytes.TrimLeft(again[:len(again)-len(packet)-1], "0")
			case !text && len(packet) > 0 && packet[0] == 4:
				again = appendBinary3(nil, true, packet[1:])
				wire, again = bytes.TrimLeft(wire[1:], "\x00"), bytes.TrimLeft(again[1:], "\x00")
			default:
				continue
			}
			if !bytes.Equal(wire, again) {
				t.Fatalf("%q was written again as %q", wire, again)
			}
		}
	})
}

// Spec 3.1 to 3.3 over polling: text of any width, base64, binary bodies, what ends a session.
func TestPolling3(t *testing.T) {
	t.Parallel()
	f := newFixture(t, older, true)
	defer f.close()
	url, r := f.open3("")
	if r.session.Protocol() != 3 {
		t.Errorf("protocol %d", r.session.Protocol())
	}
	post := func(body string, headers ...string) {
		t.Helper()
		if status, answer, _ := f.do("POST", url, body, headers...); status != 200 || answer != "ok" {
			t.Fatalf("post %q: %d %q", body, status, answer)
		}
	}
	post("3:4\U0001f6002:4a")
	if body, contentType := f.get3(url); body != "3:4\U0001f6002:4a" || contentType != text3 {
		t.Errorf("%q as %s", body, contentType)
	}
	post("0:6:b4AQID1:2") // an empty packet is nothing; the ping is answered in turn
	if body, contentType := f.get3(url); body != "\x01\x04\xff\x04\x01\x02\x03\x00\x01\xff3" || contentType != binary3 {
		t.Errorf("%q as %s", body, contentType)
	}
	post("\x00\x04\xff4\u20ac\x01\x03\xff\x04xy", "Content-Type", "application/octet-stream")
	if body, contentType := f.get3(url); body != "\x00\x04\xff4\u20ac\x01\x03\xff\x04xy" || contentType != binary3 {
		t.Errorf("%q as %s", body, contentType)
	}
	post("1:1")
	if reason := <-r.closed; reason != ReasonTransportClose {
		t.Errorf("reason %q", reason)
	}

	url, _ = f.open3("&b64=1")
	post("\x01\x03\xff\x04xy", "Content-Type", "application/octet-stream")
	if body, contentType := f.get3(url); body != "6:b4eHk=" || contentType != text3 {
		t.Errorf("%q as %s", body, contentType)
	}

	for _, tt := range []struct {
		body, contentType string
		reason            Reason
	}{
		{"", "text/plain", ReasonParseError},
		{"4hello", "text/plain", ReasonParseError},
		{"2:4\xff", "text/plain", ReasonParseError},
		{"2:9x", "text/plain", ReasonParseError},
		{"1:b", "text/plain", ReasonParseError},
		{"2:b3", "text/plain", ReasonParseError},
		{"4:b4!!", "text/plain", ReasonParseError},
		{"1:3", "text/plain", ReasonTransportError}, // the heartbeat runs the other way
		{"", binary3, ReasonParseError},
		{"6:4hello", binary3, ReasonParseError},
		{"\x01\x00\xff", binary3, ReasonParseError},
		{"\x01\x02\xff\x02x", binary3, ReasonParseError},
		{"\x00\x02\xff4\xff", binary3, ReasonParseError},
	} {
		url, r := f.open3("")
		status, _, _ := f.do("POST", url, tt.body, "Content-Type", tt.contentType)
		if reason := <-r.closed; status != 400 || reason != tt.reason {
			t.Errorf("%q: %d, %q, want %q", tt.body, status, reason, tt.reason)
		}
	}
	// Bodies are bounded as those of protocol 4, and the session survives (S-11).
	small := newFixture(t, Options{AllowEIO3: true, MaxPayload: 10}, true)
	defer small.close()
	url, _ = small.open3("")
	if status, _, _ := small.do("POST", url, "9:4too long"); status != 413 {
		t.Errorf("status %d", status)
	}
	if status, _, _ := small.do("POST", url, "3:4hi"); status != 200 {
		t.Errorf("status %d", status)
	}
}

// Spec 3.3 over WebSocket: binary frames have a type, or are text where the client asked for that.
func TestWebSocket3(t *testing.T) {
	t.Parallel()
	f := newFixture(t, older, true)
	defer f.close()
	for _, tt := range []struct{ query, in, want string }{
		{"", "", "b:\x04\x01\x02\x03"},
		{"", "b4AQID", "b:\x04\x01\x02\x03"},
		{"&b64=1", "", "b4AQID"},
		{"", "4text \U0001f600", "4text \U0001f600"},
	} {
		c := f.dial3(tt.query)
		if open := c.read(); open[0] != '0' {
			t.Fatalf("open packet %q", open)
		}
		r := <-f.sessions
		if tt.in != "" {
			c.send(tt.in)
		} else if _, err := c.conn.Write(masked(wsframe.Binary, "\x04\x01\x02\x03")); err != nil {
			t.Fatal(err)
		}
		if got := c.read(); got != tt.want {
			t.Errorf("read %q, want %q", got, tt.want)
		}
		c.send("2")
		if got := c.read(); got != "3" {
			t.Errorf("pong %q", got)
		}
		// A broadcast is queued in the neutral form and shared; each takes it in its own.
		var m Message
		m.AppendText([]byte("[" + strings.Repeat("x", shareFrom) + "]"))
		m.AppendBinary(bytes.Repeat([]byte{7}, shareFrom))
		before := bytes.Clone(m.frames)
		_ = r.session.Send(&m)
		if got := c.read(); len(got) != shareFrom+3 {
			t.Errorf("%d bytes of text", len(got))
		}
		got := c.read()
		if data, ok := strings.CutPrefix(got, "b4"); ok != (tt.query != "") || !ok && !strings.HasPrefix(got, "b:\x04\x07") || ok && data[:4] != "BwcH" {
			t.Errorf("binary %.10q", got)
		}
		if !bytes.Equal(before, m.frames) {
			t.Error("the shared message was changed")
		}
		if b, p := r.session.Buffered(); b != 0 || p != 0 {
			t.Errorf("%d bytes of %d packets are left in the budget", b, p)
		}
		c.conn.Close()
	}
	for _, frame := range [][]byte{
		masked(wsframe.Binary, ""), masked(wsframe.Binary, "\x02"), masked(wsframe.Binary, "4x"), masked(wsframe.Text, ""),
		masked(wsframe.Text, "3"), masked(wsframe.Text, "b4?"), masked(wsframe.Text, "x"),
	} {
		c := f.dial3("", frame)
		c.read()
		if got := c.read(); got != "close:1002" {
			t.Errorf("after %q: %q", frame, got)
		}
		c.conn.Close()
	}
}

// Spec 3.1 and 3.3, peers #497 and #560: during an upgrade every poll gets its noop, as text though the client supports
// binary; what was queued leaves on the WebSocket in the form that this one asked for.
func TestUpgrade3(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ polling, ws, want string }{
		{"", "", "b:\x04xy"},
		{"&b64=1", "&b64=1", "b4eHk="},
		{"&b64=1&j=0", "", "b:\x04xy"}, // JSONP knows no binary, the WebSocket after it does
	} {
		t.Run(tt.polling+tt.ws, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, Options{AllowEIO3: true, CORS: &CORS{Origins: []string{"*"}}}, true)
			defer f.close()
			_, body, _ := f.do("GET", base3+tt.polling, "")
			_, open, _ := strings.Cut(strings.NewReplacer(`\"`, `"`, `");`, "").Replace(body), ":")
			sid, r := openID(t, open), <-f.sessions
			url := base3 + "&sid=" + sid
			if strings.Contains(tt.polling, "j=") {
				url += "&j=0"
			}
			c := f.dial3(tt.ws + "&sid=" + sid)
			c.send("2probe")
			if got := c.read(); got != "3probe" {
				t.Fatalf("read %q", got)
			}
			for range 3 {
				if body, contentType := f.get3(url); body != "1:6" && body != `___eio[0]("1:6");` || contentType == binary3 {
					t.Errorf("a poll during the upgrade: %q as %s", body, contentType)
				}
			}
			var m Message
			m.AppendBinary([]byte("xy"))
			_ = r.session.Send(&m)
			c.send("5", "4hello", "2")
			for _, want := range []string{tt.want, "4hello", "3"} {
				if got := c.read(); got != want {
					t.Errorf("read %q, want %q", got, want)
				}
			}
			if status, body, _ := f.do("GET", url, ""); status != 400 || !strings.Contains(body, `"code":3`) {
				t.Errorf("poll after the upgrade: %d %q", status, body)
			}
			c.conn.Close()
		})
	}
}

// S-8, S-9, spec 3.3: the client pings and the server pongs; without a ping the session ends after interval and timeout,
// whatever else the client sends, and after an upgrade too.
func TestHeartbeat3(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, older, false)
		defer f.close()
		c := f.dial3("")
		c.read()
		r := <-f.sessions
		for range 3 {
			<-time.After(44 * time.Second)
			c.send("2")
			if got := c.read(); got != "3" {
				t.Fatalf("read %q", got)
			}
		}
		last := time.Now()
		<-time.After(30 * time.Second)
		c.send("4no ping")
		<-r.messages
		if reason := <-r.closed; reason != ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if d := time.Since(last); d < 45*time.Second || d > 46*time.Second {
			t.Errorf("ping timeout after %v, want 45 s", d)
		}
		if got := c.read(); !strings.HasPrefix(got, "error:") {
			t.Errorf("the server said %q", got)
		}

		url, r := f.open3("")
		start := time.Now()
		<-time.After(40 * time.Second)
		f.do("POST", url, "1:2")
		if body, _ := f.get3(url); body != "1:3" {
			t.Errorf("poll %q", body)
		}
		ws := f.dial3("&sid=" + url[strings.Index(url, "sid=")+4:])
		ws.send("2probe", "5")
		ws.read()
		if reason := <-r.closed; reason != ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if d := time.Since(start); d < 85*time.Second || d > 86*time.Second {
			t.Errorf("ping timeout after %v, want 85 s", d)
		}
		if f.server.Sessions() != 0 {
			t.Errorf("%d sessions", f.server.Sessions())
		}
	})
}

// Engine rule 6: pings of a client that takes no answers do not pile up.
func TestPingFlood3(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{AllowEIO3: true, OutboundPackets: 100}, false)
	defer f.close()
	url, r := f.open3("")
	f.do("POST", url, strings.Repeat("1:2", 200))
	if reason := <-r.closed; reason != ReasonOutboundOverflow {
		t.Errorf("reason %q", reason)
	}
}

// S-20, spec 3.2: any EIO but 4 is 3, which is refused with code 5 unless allowed; a session keeps its protocol. A refused
// WebSocket is refused before the upgrade (S-80), not after a 101 as by the reference.
func TestProtocols(t *testing.T) {
	t.Parallel()
	ask := func(f *fixture, query string, upgrade bool) (status int, body string) {
		conn, err := f.listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r := httptest.NewRequest("GET", "/engine.io/?"+query, nil)
		if upgrade {
			r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"MDEyMzQ1Njc4OWFiY2RlZg=="}}
		}
		w := httptest.NewRecorder()
		f.server.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	refusing, allowing := newFixture(t, Options{}, true), newFixture(t, older, true)
	defer refusing.close()
	defer allowing.close()
	for _, eio := range []string{"", "EIO=3&", "EIO=2&", "EIO=5&", "EIO=&", "EIO=4x&"} {
		if status, body := ask(refusing, eio+"transport=polling", false); status != 400 || body != `{"code":5,"message":"Unsupported protocol version"}` {
			t.Errorf("%q refused: %d %s", eio, status, body)
		}
		if status, body := ask(refusing, eio+"transport=websocket", true); status != 400 || body != "Unsupported protocol version" {
			t.Errorf("%q refused over WebSocket: %d %s", eio, status, body)
		}
		status, body, _ := allowing.do("GET", "http://perch.test/engine.io/?"+eio+"transport=polling", "")
		if status != 200 || (<-allowing.sessions).session.Protocol() != 3 {
			t.Errorf("%q allowed: %d %s", eio, status, body)
		}
	}
	url3, _ := allowing.open3("")
	sid4, r4 := allowing.openPolling()
	if r4.session.Protocol() != 4 {
		t.Errorf("protocol %d", r4.session.Protocol())
	}
	for _, url := range []string{strings.Replace(url3, "EIO=3", "EIO=4", 1), base3 + "&sid=" + sid4, strings.Replace(base, "EIO=4&", "", 1) + "&sid=" + sid4} {
		if status, body, _ := allowing.do("GET", url, ""); status != 400 || body != `{"code":3,"message":"Bad request"}` {
			t.Errorf("%s: %d %s", url, status, body)
		}
	}
	// Protocol 4 has neither binary bodies nor JSONP, though 3 is allowed.
	if status, _, _ := allowing.do("POST", base+"&sid="+sid4, "4x", "Content-Type", binary3); status != 400 {
		t.Errorf("binary body: %d", status)
	}
	if _, body, _ := allowing.do("GET", base+"&j=0", ""); body[0] != '0' {
		t.Errorf("JSONP: %q", body)
	}
}

// Sessions of protocol 3 that end anyhow leave nothing behind; TestMain sees goroutines.
func TestDirtyDisconnects3(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{
		AllowEIO3: true, CORS: &CORS{Origins: []string{"*"}},
		PingInterval: time.Second, PingTimeout: time.Second, UpgradeTimeout: 500 * time.Millisecond,
	}, true)
	defer f.close()
	parallel(8, func(worker int) {
		for i := range 12 {
			switch i % 4 {
			case 0:
				c := f.dial3("", masked(wsframe.Binary, "\x04xy")[:4])
				c.read()
				c.conn.Close()
			case 1: // silence
				f.do("GET", base3+"&j="+strconv.Itoa(i), "")
			case 2: // silence on a WebSocket
				c := f.dial3("&b64=1")
				defer c.conn.Close()
			case 3: // an unfinished upgrade
				_, body, _ := f.do("GET", base3, "")
				_, open, _ := strings.Cut(body, ":")
				c := f.dial3("&sid=" + openID(t, open))
				c.send("2probe")
				defer c.conn.Close()
			}
		}
	})
	eventually(t, "every session is gone", func() bool { return f.server.Sessions() == 0 })
	eventually(t, "all goroutines have ended", func() bool { return f.server.goroutines.n.Load() == 0 })
}
