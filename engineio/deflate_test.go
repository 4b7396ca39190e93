package engineio

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch/internal/wsframe"
)

// S-18: an independent client with compression, with and without context takeover on its side, both
// directions, from a WebSocket handshake and from an upgrade.
func TestPerMessageDeflate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("perch on a branch, ", 1000)
	for name, mode := range map[string]websocket.CompressionMode{
		"takeover": websocket.CompressionContextTakeover, "no takeover": websocket.CompressionNoContextTakeover, "off": websocket.CompressionDisabled,
	} {
		for _, transport := range []string{"websocket", "upgrade"} {
			t.Run(name+", "+transport, func(t *testing.T) {
				t.Parallel()
				server, ts, _ := foreign(t, Options{PerMessageDeflate: &Deflate{}}, false, false, func(s *Session) Handler {
					return &recorder{session: s, closed: make(chan Reason, 2), echo: true}
				}, func(*http.Server) {})
				defer ts.Close()
				defer func() { _ = server.Shutdown(context.Background()) }()
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				query := ""
				if transport == "upgrade" {
					resp, err := ts.Client().Get(ts.URL + "/?EIO=4&transport=polling")
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(resp.Body)
					resp.Body.Close()
					query = "&sid=" + openID(t, string(body))
				}
				c, resp, err := websocket.Dial(ctx, ts.URL+"/?EIO=4&transport=websocket"+query,
					&websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				c.SetReadLimit(1 << 20)
				if got := resp.Header.Get("Sec-Websocket-Extensions"); (got == "") != (mode == websocket.CompressionDisabled) {
					t.Errorf("extensions %q", got)
				}
				read := func() string {
					_, b, err := c.Read(ctx)
					if err != nil {
						t.Fatal(err)
					}
					return string(b)
				}
				write := func(op websocket.MessageType, s string) {
					if err := c.Write(ctx, op, []byte(s)); err != nil {
						t.Fatal(err)
					}
				}
				if transport == "upgrade" {
					write(websocket.MessageText, "2probe")
					if got := read(); got != "3probe" {
						t.Fatalf("read %q", got)
					}
					write(websocket.MessageText, "5")
				} else {
					read()
				}
				for range 3 {
					for _, s := range []string{"short", long} {
						write(websocket.MessageText, "4"+s)
						if got := read(); got != "4"+s {
							t.Errorf("text: %d bytes came back as %d", len(s)+1, len(got))
						}
						write(websocket.MessageBinary, s)
						if got := read(); got != s {
							t.Errorf("binary: %d bytes came back as %d", len(s), len(got))
						}
					}
				}
			})
		}
	}
}

// deflating opens a raw connection that has negotiated compression.
func (f *fixture) deflating() (*wsClient, *recorder) {
	f.t.Helper()
	conn, err := f.listener.Dial()
	if err != nil {
		f.t.Fatal(err)
	}
	c := dialWS(f.t, conn, " HTTP/1.1\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nX-Rest:")
	c.read()
	return c, <-f.sessions
}

// deflated is a client's compressed frame.
func deflatedFrame(payload string) []byte {
	frame := append(wsframe.AppendHeader(nil, wsframe.Text, len(payload)), payload...)
	short := wsframe.Deflate(frame, 0, 9)
	_, body, _ := wsframe.Cut(short)
	b := masked(wsframe.Text, string(body))
	b[0] |= short[0] & 0x40
	return b
}

// S-18: a bomb ends its own connection with 1009 and a transport error, and so do the reserved bits
// where they have no meaning; nobody else notices.
func TestDeflateViolations(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{PerMessageDeflate: &Deflate{}}, true)
	defer f.close()
	other, _ := f.deflating()
	for name, tt := range map[string]struct {
		frame []byte
		want  string
	}{
		"bomb":               {deflatedFrame("4" + strings.Repeat("\x00", 50_000_000)), "close:1009"},
		"no deflate":         {append([]byte{0xc1, 0x83, 0, 0, 0, 0}, "\xff\xff\xff"...), "close:1007"},
		"RSV1 on a ping":     {[]byte{0xc9, 0x80, 0, 0, 0, 0}, "close:1002"},
		"RSV2":               {[]byte{0xa1, 0x80, 0, 0, 0, 0}, "close:1002"},
		"RSV1, continuation": {[]byte{0x01, 0x80, 0, 0, 0, 0, 0xc0, 0x80, 0, 0, 0, 0}, "close:1002"},
	} {
		c, r := f.deflating()
		_, _ = c.conn.Write(tt.frame)
		if got := c.read(); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
		if reason := <-r.closed; reason != ReasonTransportError {
			t.Errorf("%s: reason %q", name, reason)
		}
		c.conn.Close()
	}
	// Without negotiation, on a server that would.
	c, r := f.openWS()
	_, _ = c.conn.Write(deflatedFrame("4" + strings.Repeat("x", 100)))
	if got := c.read(); got != "close:1002" {
		t.Errorf("not negotiated: %s", got)
	}
	<-r.closed
	c.conn.Close()
	_, _ = other.conn.Write(deflatedFrame("4" + strings.Repeat("x", 100)))
	if got := other.read(); got != "4"+strings.Repeat("x", 100) {
		t.Errorf("the other one: %s", got)
	}
	other.conn.Close()
}

// GHSA-5v72-xg48-5rpm: a header that is none is refused where it would be read, and ignored where not.
func TestDeflateHeader(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		options Options
		header  string
		status  int
		answer  string
	}{
		{Options{PerMessageDeflate: &Deflate{}}, "permessage-deflate; client_max_window_bits=", 400, ""},
		{Options{PerMessageDeflate: &Deflate{}}, "permessage-deflate; server_max_window_bits=9", 101, ""},
		{Options{PerMessageDeflate: &Deflate{}}, "permessage-deflate; __proto__, permessage-deflate", 101,
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{Options{}, "permessage-deflate; client_max_window_bits=", 101, ""},
		{Options{}, "permessage-deflate", 101, ""},
	} {
		f := newFixture(t, tt.options, true)
		resp, _ := f.handshake("", "Sec-WebSocket-Extensions", tt.header)
		if resp.StatusCode != tt.status || resp.Header.Get("Sec-Websocket-Extensions") != tt.answer {
			t.Errorf("%s: %d %v", tt.header, resp.StatusCode, resp.Header)
		}
		f.close()
	}
	for _, d := range []*Deflate{{Threshold: -1}, {Level: 10}, {Level: -2}} {
		if _, err := New(Options{PerMessageDeflate: d}, nil); err == nil || !strings.Contains(err.Error(), "PerMessageDeflate") {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

// raw returns the next frame as it came.
func (c *wsClient) raw() (first byte, payload []byte) {
	c.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:2]); err != nil {
		c.t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		_, _ = io.ReadFull(c.r, head[2:4])
		n = int(binary.BigEndian.Uint16(head[2:]))
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		c.t.Fatal(err)
	}
	return head[0], payload
}

// A broadcast is compressed once and the frame shared; who has no compression gets the other one,
// and NoCompress, short messages and noise leave as they are.
func TestDeflateIsShared(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{PerMessageDeflate: &Deflate{Threshold: 100}}, true)
	defer f.close()
	var clients []*wsClient
	var sessions []*Session
	for range 3 {
		c, r := f.deflating()
		clients, sessions = append(clients, c), append(sessions, r.session)
	}
	plain, r := f.openWS()
	sessions = append(sessions, r.session)
	sid, r := f.openPolling()
	sessions = append(sessions, r.session)

	long := strings.Repeat("x", 10_000)
	var m Message
	m.AppendText([]byte(long))
	m.AppendBinary([]byte("short"))
	for _, s := range sessions {
		_ = s.Append(&m, false)
	}
	if m.deflated.Load() != nil {
		t.Error("compressed before it was written")
	}
	for _, s := range sessions {
		s.Flush()
	}
	short := m.compressed(nil) // no options: it is there
	for i, c := range clients {
		first, payload := c.raw()
		if first != 0xc1 || !bytes.Contains(short, payload) || len(payload) > 100 {
			t.Errorf("client %d: %x, %d bytes", i, first, len(payload))
		}
		if first, payload := c.raw(); first != 0x82 || string(payload) != "short" {
			t.Errorf("client %d: %x, %q", i, first, payload)
		}
	}
	if got := plain.read(); got != "4"+long {
		t.Errorf("without compression: %d bytes", len(got))
	}
	if _, body, _ := f.do("GET", base+"&sid="+sid, ""); body != "4"+long+"\x1ebc2hvcnQ=" {
		t.Errorf("polling: %d bytes", len(body))
	}
	if bytes, packets := sessions[0].Buffered(); bytes != 0 || packets != 0 {
		t.Errorf("%d bytes and %d packets are left in the budget", bytes, packets)
	}

	no := Message{NoCompress: true}
	no.AppendText([]byte(long))
	_ = sessions[0].Send(&no)
	if first, payload := clients[0].raw(); first != 0x81 || len(payload) != 10_001 {
		t.Errorf("NoCompress: %x, %d bytes", first, len(payload))
	}
	_ = sessions[0].SendText([]byte(long))
	if first, payload := clients[0].raw(); first != 0xc1 || len(payload) > 100 {
		t.Errorf("SendText: %x, %d bytes", first, len(payload))
	}
	for _, c := range append(clients, plain) {
		c.conn.Close()
	}
}

func BenchmarkDeflateBroadcast(b *testing.B) {
	d, _ := (&Deflate{}).withDefaults()
	text := []byte(strings.Repeat(`{"user":"somebody","text":"hello"},`, 100))
	b.ReportAllocs()
	for b.Loop() {
		var m Message
		m.AppendText(text)
		for range 100 { // members
			var o outbox
			o.addMessage(&m, false, d)
			o.deflate(d)
		}
	}
}
