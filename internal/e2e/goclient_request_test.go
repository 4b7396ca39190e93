package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/perch-go/perch/client"
)

// settled waits until a socket's connection is on its last transport.
func (v *visit) settled(s *client.Socket) {
	v.Helper()
	last := goWays[v.way][len(goWays[v.way])-1]
	eventually(v.T, "on the last transport", func() bool { return s.Manager().Transport() == last })
}

// requestCases: what the client's requests look like.
var requestCases = []goCase{
	{"request: headers of the options are on every request (C-2)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.dial(w.web.URL, func(o *client.Options) { o.Header = http.Header{"X-Tag": {"blue"}, "X-List": {"a", "b"}} })
		v.want("the handshake", v.ask(s, "handshake")[0].(map[string]any)["tag"], any("blue"))
		v.settled(s)
		for _, r := range w.requests("") {
			v.want(r.Method+" "+r.URL.String(), []any{r.Header.Values("X-Tag"), r.Header.Values("X-List")}, []any{[]string{"blue"}, []string{"a", "b"}})
		}
	}},
	{"request: what is for one transport is on its requests alone (C-2)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.dial(w.web.URL, func(o *client.Options) {
			o.Header = http.Header{"X-Tag": {"all"}}
			o.PerTransport = map[client.Transport]client.TransportOptions{
				client.Polling:   {Header: http.Header{"X-Tag": {"poll"}}, Query: url.Values{"by": {"poll"}}},
				client.WebSocket: {Header: http.Header{"X-Tag": {"socket"}}, Query: url.Values{"by": {"socket"}}},
			}
		})
		v.ask(s, "echo")
		v.settled(s)
		for transport, want := range map[string]string{"polling": "poll", "websocket": "socket"} {
			for _, r := range w.requests(transport) {
				v.want(transport, []string{r.Header.Get("X-Tag"), r.URL.Query().Get("by")}, []string{want, want})
			}
		}
	}},
	{"request: each names the protocol, the transport and the session (C-3)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.dial(w.web.URL)
		v.ask(s, "echo")
		v.settled(s)
		session := ""
		for i, r := range w.requests("") {
			query := r.URL.Query()
			transport := "polling"
			if isUpgrade(r) {
				transport = "websocket"
			}
			v.want("request", []string{query.Get("EIO"), query.Get("transport"), query.Get("sid"), query.Get("key")}, []string{"4", transport, session, v.key})
			if i == 0 {
				session = s.Manager().SessionID()
			}
		}
	}},
	{"request: polls have a time that differs, WebSockets none (C-4)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.dial(w.web.URL)
		v.ask(s, "echo")
		v.settled(s)
		seen := map[string]bool{}
		for _, r := range w.requests("polling") {
			at := r.URL.Query().Get("t")
			if at == "" || seen[at] {
				v.Errorf("%s %s: time %q", r.Method, r.URL, at)
			}
			seen[at] = true
		}
		for _, r := range w.requests("websocket") {
			v.want("websocket", r.URL.Query().Has("t"), false)
		}
	}},
	{"request: times of another name, for WebSockets too, or none (C-4)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		v.settled(v.dial(w.web.URL, func(o *client.Options) { o.TimestampParam, o.TimestampWebSocket = "at", true }))
		for _, r := range w.requests("") {
			v.want("times", []bool{r.URL.Query().Has("at"), r.URL.Query().Has("t")}, []bool{true, false})
		}
		w = startWindow(v.T, v.at("plain"), false, nil)
		v.settled(v.dial(w.web.URL, func(o *client.Options) { o.NoTimestamps = true }))
		for _, r := range w.requests("") {
			v.want("times", r.URL.Query().Has("t"), false)
		}
	}},
	{"request: bytes as text where that is wanted (C-4)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.dial(w.web.URL, func(o *client.Options) { o.ForceBase64 = true })
		for _, data := range [][]byte{{}, {1, 2, 255}, make([]byte, 5000)} {
			v.want("echo", v.ask(s, "echo", data, "text"), []any{data, "text"})
		}
		v.settled(s)
		v.want("echo", v.ask(s, "echo", map[string]any{"deep": []any{[]byte{7}}}), []any{map[string]any{"deep": []any{[]byte{7}}}})
		for _, r := range w.requests("") {
			opens := r.URL.Query().Get("sid") == "" // a poll of a session cannot say it anew
			v.want("b64", r.URL.Query().Get("b64") == "1", opens || isUpgrade(r))
		}
	}},
	{"request: a jar's cookies go with polls and the upgrade (C-5)", func(v *visit) {
		w := startWindow(v.T, v.at("cookie"), false, nil)
		jar, err := cookiejar.New(nil)
		if err != nil {
			v.Fatal(err)
		}
		at, _ := url.Parse(w.web.URL)
		jar.SetCookies(at, []*http.Cookie{{Name: "user", Value: "me", Path: "/"}})
		web := &http.Transport{}
		v.Cleanup(web.CloseIdleConnections)
		s := v.dial(w.web.URL, func(o *client.Options) { o.HTTPClient = &http.Client{Transport: web, Jar: jar} })
		v.want("user", v.ask(s, "header", "cookie"), []any{"user=me"})
		v.settled(s)
		for i, r := range w.requests("") {
			want := "user=me"
			if i > 0 { // the server's own came with the first answer
				want += "; io=" + s.Manager().SessionID()
			}
			if got := r.Header.Get("Cookie"); got != want && v.way != "websocket" {
				v.Errorf("%s %s: cookies %q, want %q", r.Method, r.URL, got, want)
			}
		}
	}},
	{"request: without a jar there are no cookies (C-5)", func(v *visit) {
		w := startWindow(v.T, v.at("cookie"), false, nil)
		s := v.dial(w.web.URL)
		v.ask(s, "echo")
		v.settled(s)
		for _, r := range w.requests("") {
			v.want("cookies", r.Header.Values("Cookie"), []string(nil))
		}
	}},
	{"websocket: subprotocols are asked for (C-2)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.socket(w.web.URL, func(o *client.Options) { o.Protocols, o.NoReconnection = []string{"first", "second"}, true })
		_ = s.Connect(v.soon()) // whether the server takes one is its business
		if v.way == "upgrade" {
			eventually(v.T, "an upgrade is asked for", func() bool { return len(w.requests("websocket")) > 0 })
		}
		v.want("asked", strings.ReplaceAll(strings.Join(w.requests("websocket")[0].Header.Values("Sec-Websocket-Protocol"), ","), " ", ""), "first,second")
	}},
	{"websocket: what compresses well takes few bytes, if both want it (C-4)", func(v *visit) {
		text := strings.Repeat("the same again, ", 10_000)
		sent := func(configuration string, deflate *client.PerMessageDeflate, compress bool) uint64 {
			r, url := v.through(configuration)
			s := v.dial(url, func(o *client.Options) { o.PerMessageDeflate = deflate })
			v.settled(s)
			before := r.Stats().Up
			v.want("echo", v.ask(s.Compress(compress), "echo", text), []any{text})
			return r.Stats().Up - before
		}
		size := uint64(len(text))
		on := &client.PerMessageDeflate{}
		if n := sent("deflating", on, true); n > size/10 {
			v.Errorf("compressed: %d bytes of %d", n, size)
		}
		if n := sent("deflating", nil, true); n < size {
			v.Errorf("not offered: %d bytes of %d", n, size)
		}
		if n := sent("plain", on, true); n < size {
			v.Errorf("not taken: %d bytes of %d", n, size)
		}
		if n := sent("deflating", on, false); n < size {
			v.Errorf("not for this event: %d bytes of %d", n, size)
		}
		if n := sent("deflating", &client.PerMessageDeflate{Threshold: 1 << 20}, true); n < size {
			v.Errorf("below the threshold: %d bytes of %d", n, size)
		}
	}},
	{"request: an event may say that it is not to be compressed (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		for _, compress := range []bool{true, false} {
			v.want("echo", v.ask(s.Compress(compress), "echo", 1, []byte{2}), []any{1.0, []byte{2}})
		}
	}},
	{"polling: what is sent together goes in as few requests as the server allows (C-19)", func(v *visit) {
		w := startWindow(v.T, v.at("small"), false, nil) // 1,000 bytes at a time
		s := v.dial(w.web.URL)
		echoes := v.heard(s, "echo")
		text := strings.Repeat("x", 200)
		for i := range 50 {
			v.emit(s, "echo", strconv.Itoa(i)+text)
		}
		for i, got := range v.wait("all echoes", echoes, 50) {
			v.want("order", got, any(strconv.Itoa(i)+text))
		}
		posts, bytes := 0, int64(0)
		for _, r := range w.requests("polling") {
			if r.Method == http.MethodPost {
				posts++
				bytes += r.ContentLength
				if r.ContentLength > 1000 {
					v.Errorf("a request of %d bytes", r.ContentLength)
				}
			}
		}
		if posts < 12 || posts > 40 {
			v.Errorf("%d requests of %d bytes", posts, bytes)
		}
	}},
	{"polling: one GET and one POST at a time (C-19)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.dial(w.web.URL)
		echoes := v.heard(s, "echo")
		for i := range 200 {
			v.emit(s, "echo", i)
			if i%50 == 0 {
				v.ask(s, "echo")
			}
		}
		v.want("order", v.wait("all echoes", echoes, 200), numbers(200)) // a second GET would have ended the session
		v.want("session", s.Manager().SessionID() != "", true)
	}},
	{"polling: a request that takes too long ends the connection, which is made again (C-4)", func(v *visit) {
		s := v.dial(v.at("plain"), func(o *client.Options) { o.RequestTimeout = 300 * time.Millisecond })
		life := v.life(s)
		v.until(life, "disconnect: transport error", 1) // nothing comes for so long
		v.back(s)
	}},
	{"request: what is larger than the client takes ends the connection (C-19)", func(v *visit) {
		s := v.dial(v.at("plain"), func(o *client.Options) { o.MaxPayload = 10_000 })
		life := v.life(s)
		v.want("bytes", v.ask(s, "bytes", 5000), []any{[]byte(strings.Repeat("\x07", 5000))})
		v.emit(s, "bytes", 1) // nobody wants an answer
		if _, err := s.EmitWithAck(v.soon(), "bytes", 50_000); err == nil {
			v.Error("it was taken")
		}
		v.until(life, "connect", 1)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
}
