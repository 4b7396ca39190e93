package engineio

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wsframe"
)

// transcript is a Handler that writes down what it gets, binary with "b:" before it.
type transcript struct {
	messages []string
	ended    int
}

func (h *transcript) HandleMessage(data []byte, binary bool) {
	s := string(data)
	if binary {
		s = "b:" + s
	}
	h.messages = append(h.messages, s)
}

func (h *transcript) HandleClose(Reason, error) { h.ended++ }

// FuzzPayload has a session get anything as a polling body, of protocol 4, or of 3 as text or binary, and compares with readers
// that were written for nothing but to be plain: the messages up to the first offence, what the session ends with, and that the
// messages come out of a payload of ours as they went in.
func FuzzPayload(f *testing.F) {
	for _, body := range []string{"", "4hello\x1e4\x1eb\x1ebAQID\x1e3", "4a\x1e1\x1e4b", "4a\x1e2", "b!", "bAQI", "\x1e", "6\x1e0{}\x1e5x", "4\xff", "4é€😀"} {
		f.Add([]byte(body), false, false)
	}
	for _, body := range []string{"6:4hello1:2", "3:4😀0:4:b4AQ1:1", "2:b3", "1:3", "99999999999999999999:4", "2:4😀"} {
		f.Add([]byte(body), true, false)
	}
	for _, body := range []string{"\x00\x04\xff4\u20ac\x01\x03\xff\x04xy", "\x01\x00\x02\xff\x04x", "\x00\x00\xff\x00\x01\xff2", "\x01\x01\xff\x05"} {
		f.Add([]byte(body), true, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, third, binary bool) {
		query, read := "/?EIO=4&transport=polling", read4
		switch {
		case !third && !utf8.Valid(body):
			return // refused before
		case third && binary:
			query, read = "/?EIO=3&transport=polling", read3Binary
		case third:
			query, read = "/?EIO=3&transport=polling&b64=1", read3Text
		}
		h := new(transcript)
		server, err := New(Options{Logger: quiet(), AllowEIO3: true}, func(*Session) Handler { return h })
		if err != nil {
			t.Fatal(err)
		}
		defer server.wheel.Close()
		r := httptest.NewRequest(http.MethodGet, query, nil)
		s := server.newSession(r, Polling, "id")
		s.speak(r)
		if !server.openSession(s, &ticket{server: server}) {
			t.Fatal("not open")
		}
		original := bytes.Clone(body)
		reason, err := s.handleBody(body, binary)
		if !bytes.Equal(body, original) {
			t.Fatal("the body was written to")
		}
		want, wantReason := read(body)
		if !slices.Equal(h.messages, want) || reason != wantReason || (err != nil) != (reason != "" && reason != ReasonTransportClose) {
			t.Fatalf("%q: %q, %q, %v; want %q, %q", body, h.messages, reason, err, want, wantReason)
		}
		s.end(ReasonTransportClose, nil)
		if h.ended != 1 || server.Sessions() != 0 {
			t.Fatalf("ended %d times, %d sessions left", h.ended, server.Sessions())
		}
		var m Message
		for _, message := range want {
			if data, binary := strings.CutPrefix(message, "b:"); binary {
				m.AppendBinary([]byte(data))
			} else if strings.Contains(message, "\x1e") && !third {
				t.Fatalf("%q has a separator", message)
			} else {
				m.AppendText([]byte(message))
			}
		}
		if len(want) == 0 {
			return
		}
		out := appendPayload(nil, m.frames)
		if third {
			out = nil
			for rest := m.frames; len(rest) > 0; {
				var op wsframe.Op
				var packet []byte
				op, packet, rest = wsframe.Cut(rest)
				if binary {
					out = appendBinary3(out, op == wsframe.Binary, packet)
				} else {
					out = appendText3(out, op == wsframe.Binary, packet)
				}
			}
		}
		if again, reason := read(out); !slices.Equal(again, want) || reason != "" {
			t.Fatalf("%q came back as %q, %q", want, again, reason)
		}
	})
}

// plainBase64 decodes as Go does, with padding where the length says so.
func plainBase64(s string) ([]byte, bool) {
	e := base64.StdEncoding
	if len(s)%4 != 0 {
		e = base64.RawStdEncoding
	}
	b, err := e.DecodeString(s)
	return b, err == nil
}

func read4(body []byte) (messages []string, reason Reason) {
	for _, packet := range strings.Split(string(body), "\x1e") {
		if packet == "" {
			return messages, ReasonParseError
		}
		switch rest := packet[1:]; packet[:1] {
		case "4":
			messages = append(messages, rest)
		case "b":
			b, ok := plainBase64(rest)
			if !ok {
				return messages, ReasonParseError
			}
			messages = append(messages, "b:"+string(b))
		case "1":
			return messages, ReasonTransportClose
		case "2":
			return messages, ReasonTransportError
		case "0", "3", "5", "6":
		default:
			return messages, ReasonParseError
		}
	}
	return messages, ""
}

// packet3 is a text packet of protocol 3.
func packet3(packet string, messages []string) ([]string, Reason) {
	switch packet[:1] {
	case "3": // the heartbeat runs the other way
		return messages, ReasonTransportError
	case "2":
		return messages, ""
	case "b":
		if b, ok := plainBase64(strings.TrimPrefix(packet, "b4")); ok && strings.HasPrefix(packet, "b4") {
			return append(messages, "b:"+string(b)), ""
		}
		return messages, ReasonParseError
	}
	more, reason := read4([]byte(strings.ReplaceAll(packet, "\x1e", "\x00")))
	if len(more) > 0 {
		messages = append(messages, packet[1:])
	}
	return messages, reason
}

func read3Text(body []byte) (messages []string, reason Reason) {
	if len(body) == 0 || !utf8.Valid(body) {
		return nil, ReasonParseError
	}
	units := utf16.Encode([]rune(string(body))) // as JavaScript has it
	for len(units) > 0 {
		n, digits := 0, 0
		for digits < len(units) && '0' <= units[digits] && units[digits] <= '9' {
			n = min(n*10+int(units[digits]-'0'), 1<<30)
			digits++
		}
		if digits == 0 || digits == len(units) || units[digits] != ':' || len(units)-digits-1 < n {
			return messages, ReasonParseError
		}
		packet := units[digits+1:][:n]
		units = units[digits+1+n:]
		if n > 0 && utf16.IsSurrogate(rune(packet[n-1])) && packet[n-1] < 0xdc00 {
			return messages, ReasonParseError // half a character
		}
		if n == 0 {
			continue
		}
		if messages, reason = packet3(string(utf16.Decode(packet)), messages); reason != "" {
			return messages, reason
		}
	}
	return messages, ""
}

func read3Binary(body []byte) (messages []string, reason Reason) {
	if len(body) == 0 {
		return nil, ReasonParseError
	}
	for len(body) > 0 {
		head, rest, ok := bytes.Cut(body, []byte{0xff})
		if !ok || len(head) < 2 || head[0] > 1 {
			return messages, ReasonParseError
		}
		n := 0
		for _, digit := range head[1:] {
			if digit > 9 {
				return messages, ReasonParseError
			}
			n = min(n*10+int(digit), 1<<30)
		}
		if n > len(rest) {
			return messages, ReasonParseError
		}
		packet := string(rest[:n])
		body = rest[n:]
		switch {
		case head[0] == 1 && strings.HasPrefix(packet, "\x04"):
			messages = append(messages, "b:"+packet[1:])
		case head[0] == 1, !utf8.ValidString(packet):
			return messages, ReasonParseError
		case packet != "":
			if messages, reason = packet3(packet, messages); reason != "" {
				return messages, reason
			}
		}
	}
	return messages, ""
}

// taken is the http.ResponseWriter of a connection that may be taken over.
type taken struct {
	*httptest.ResponseRecorder
	conn *stream.PipeConn
	used bool
}

func (w *taken) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.used = true
	return w.conn, bufio.NewReadWriter(bufio.NewReaderSize(w.conn, 16), bufio.NewWriterSize(w.conn, 16)), nil
}

// FuzzHandshake has a server get anything that net/http takes for a request: it opens a session if that is a handshake by rules
// that are written down here once more, and otherwise refuses it in words of its own.
func FuzzHandshake(f *testing.F) {
	for _, request := range []string{
		"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: perch.test\r\nOrigin: https://app.example\r\n\r\n",
		"GET /?transport=websocket&EIO=4 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: x, y\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n\x81\x80\x00\x00\x00\x00",
		"OPTIONS /?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nAccess-Control-Request-Headers: x\r\n\r\n",
		"POST /?transport=polling&sid=x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n4",
		"GET /?EIO=3&transport=polling&j=0<script> HTTP/1.1\r\nHost: a\r\nReferer: https://app.example/page\r\n\r\n",
		"GET /?EIO=4&EIO=3&transport=%70olling&transport=x&sid= HTTP/1.0\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, x\r\nForwarded: for=\"[::1]:1\"\r\n\r\n",
		"GET /?EIO=4&transport=polling HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\nOrigin: null\r\n\r\n",
	} {
		f.Add([]byte(request))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1234"
		checkHandshake(t, r)
		handler := new(transcript)
		server, err := New(Options{
			Logger: quiet(), AllowEIO3: true, PerMessageDeflate: new(Deflate), Cookie: new(http.Cookie), NoHTTPCompression: true,
			CORS: &CORS{Origins: []string{"https://app.example"}, Credentials: true},
		}, func(*Session) Handler { return handler })
		if err != nil {
			t.Fatal(err)
		}
		client, conn := stream.Pipe()
		w := &taken{httptest.NewRecorder(), conn, false}
		server.ServeHTTP(w, r)
		status, header, body := w.Code, w.Header(), w.Body.Bytes()
		if w.used {
			resp, err := http.ReadResponse(bufio.NewReader(client), r)
			if err != nil {
				t.Fatal(err)
			}
			status, header = resp.StatusCode, resp.Header
		}
		opened := server.Sessions()
		switch {
		case (opened == 1) != opens(r), opened > 1:
			t.Errorf("%q: %d sessions, status %d %s", raw, opened, status, body)
		case opened == 1 && w.used:
			checkAccepted(t, r, status, header)
		case opened == 1:
			if status != http.StatusOK || !bytes.Contains(bytes.ReplaceAll(body, []byte{'\\'}, nil), []byte(`0{"sid":"`)) || len(header.Values("Set-Cookie")) != 1 {
				t.Errorf("opened by %d %q %v", status, body, header)
			}
		default:
			checkRefused(t, r, status, header, body)
		}
		if origin := header.Get("Access-Control-Allow-Origin"); origin != "" && !strings.EqualFold(origin, "https://app.example") {
			t.Errorf("origin %q is let in", origin)
		}
		for s := range server.sessions.all() {
			s.end(ReasonForcedClose, nil)
		}
		_ = client.Close()
		if err := server.Shutdown(context.Background()); err != nil || handler.ended != opened {
			t.Errorf("%v, told %d times", err, handler.ended)
		}
	})
}

// opens is whether a request is to open a session.
func opens(r *http.Request) bool {
	get := func(name string) string { return param(r.URL.RawQuery, name) }
	upgrades := headerHas(r.Header, "Connection", "upgrade") && headerHas(r.Header, "Upgrade", "websocket")
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	same := err == nil && u.Host != "" && sameOrigin(origin, r.Host)
	key, keyErr := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	_, offerErr := wsframe.NegotiateDeflate(r.Header["Sec-Websocket-Extensions"])
	switch {
	case r.Method != http.MethodGet || get("sid") != "" || !validOrigin(origin):
		return false
	case origin != "" && !same && !strings.EqualFold(origin, "https://app.example"):
		return false
	case get("EIO") != "4" && get("j") != "" && !fromListedPage(r):
		return false
	case get("transport") == "polling":
		return !upgrades
	case get("transport") == "websocket":
		return upgrades && r.ProtoAtLeast(1, 1) && r.Header.Get("Sec-Websocket-Version") == "13" && keyErr == nil && len(key) == 16 && offerErr == nil
	}
	return false
}

// fromListedPage is whether a request of JSONP comes from where it may.
func fromListedPage(r *http.Request) bool {
	page, err := url.Parse(r.Referer())
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") == "same-origin" || err == nil && page.Host != "" &&
		(sameOrigin(page.Scheme+"://"+page.Host, r.Host) || strings.EqualFold(page.Scheme+"://"+page.Host, "https://app.example"))
}

// checkHandshake compares what is kept of a request with the request.
func checkHandshake(t *testing.T, r *http.Request) {
	h := newHandshake(r, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, new(atomic.Pointer[bareContext]))
	want := r.Header.Clone()
	want["Host"] = append([]string{r.Host}, want["Host"]...)
	if got := h.Header(); !reflect.DeepEqual(got, want) {
		t.Errorf("headers %q, want %q", got, want)
	}
	if got, want := h.Query(), r.URL.Query(); r.RequestURI[0] == '/' && !reflect.DeepEqual(got, want) {
		t.Errorf("%s: query %q, want %q", r.RequestURI, got, want)
	}
	if h.RemoteAddr() != r.RemoteAddr && parseAddress(h.RemoteAddr()) == (netip.Addr{}) {
		t.Errorf("address %q", h.RemoteAddr())
	}
}

// checkAccepted looks at the answer to an upgrade, which has no headers but its own.
func checkAccepted(t *testing.T, r *http.Request, status int, h http.Header) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	offered := strings.Join(r.Header["Sec-Websocket-Extensions"], ",")
	switch extension, protocol := h.Get("Sec-Websocket-Extensions"), h.Get("Sec-Websocket-Protocol"); {
	case status != http.StatusSwitchingProtocols, h.Get("Sec-Websocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]),
		extension != "" && !strings.Contains(offered, "permessage-deflate"),
		!strings.Contains(r.Header.Get("Sec-Websocket-Protocol"), protocol):
		t.Errorf("accepted by %d %q", status, h)
	}
	for name := range h {
		if !slices.Contains([]string{
			"Connection", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol",
			"Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
		}, name) {
			t.Errorf("header %s of the answer: %q", name, h[name])
		}
	}
}

// checkRefused looks at any other answer: it is an error, in words of the server's.
func checkRefused(t *testing.T, r *http.Request, status int, h http.Header, body []byte) {
	if status == http.StatusNoContent && r.Method == http.MethodOptions {
		return
	}
	var said struct {
		Code    *Code
		Message string
	}
	switch {
	case status < 400 || status >= 500 && status != http.StatusNotImplemented:
		t.Errorf("refused by %d %q", status, body)
	case h.Get("Content-Type") != "application/json":
		said.Message = string(body)
	case json.Unmarshal(body, &said) != nil || said.Code == nil || *said.Code < 0 || int(*said.Code) >= len(codeMessages):
		t.Errorf("refused by %q", body)
	}
	known := append(codeMessages[:], forbiddenOrigin, forbiddenPage, "must be GET over HTTP/1.1", "WebSocket version must be 13", "Sec-WebSocket-Key is not 16 bytes in base64",
		"invalid Sec-WebSocket-Extensions header")
	if !slices.Contains(known, said.Message) && !strings.HasPrefix(said.Message, "websocket: ") {
		t.Errorf("refused by %q", said.Message)
	}
}
