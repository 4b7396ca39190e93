package engine

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want packet
		err  string
	}{
		{"4", packet{kind: packetMessage, data: []byte{}}, ""},
		{"4hello", packet{kind: packetMessage, data: []byte("hello")}, ""},
		{"0{}", packet{kind: packetOpen, data: []byte("{}")}, ""},
		{"1", packet{kind: packetClose, data: []byte{}}, ""},
		{"2", packet{kind: packetPing, data: []byte{}}, ""},
		{"3probe", packet{kind: packetPong, data: []byte("probe")}, ""},
		{"5", packet{kind: packetUpgrade, data: []byte{}}, ""},
		{"6", packet{kind: packetNoop, data: []byte{}}, ""},
		{"bAAEC", packet{kind: packetMessage, binary: true, data: []byte{0, 1, 2}}, ""},
		{"bAA==", packet{kind: packetMessage, binary: true, data: []byte{0}}, ""},
		{"bAA", packet{kind: packetMessage, binary: true, data: []byte{0}}, ""},
		{"b", packet{kind: packetMessage, binary: true}, ""},
		{"b!", packet{}, "binary packet"},
		{"bAAE", packet{kind: packetMessage, binary: true, data: []byte{0, 1}}, ""},
		{"bA", packet{}, "binary packet"},
		{"", packet{}, "empty packet"},
		{"7", packet{}, "unknown packet type '7'"},
		{"é", packet{}, "unknown packet type"},
	} {
		got, err := decodeText([]byte(tt.text), nil)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: error %v, want %q", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestDecodeOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want open
		err  string
	}{
		{`0{"sid":"s","upgrades":["websocket","webtransport"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`,
			open{"s", []Transport{WebSocket, "webtransport"}, 25 * time.Second, 20 * time.Second, 1_000_000}, ""},
		{`0{"sid":"s","pingInterval":0.5,"pingTimeout":1e300,"maxPayload":1e300,"new":{}}`,
			open{"s", nil, 500 * time.Microsecond, maxPing, 1<<31 - 1}, ""},
		{`0{"sid":"s","upgrades":null,"pingInterval":1,"pingTimeout":1,"maxPayload":-1}`, open{"s", nil, time.Millisecond, time.Millisecond, 0}, ""},
		{"", open{}, "empty packet"},
		{"1", open{}, "instead of the open packet"},
		{"4hello", open{}, "instead of the open packet"},
		{"bAAAA", open{}, "instead of the open packet"},
		{"<html>", open{}, "unknown packet type"},
		{"0", open{}, "open packet"},
		{"0{", open{}, "open packet"},
		{"0[]", open{}, "open packet"},
		{"0null", open{}, "lacks"},
		{"0{}", open{}, "lacks"},
		{`0{"sid":7}`, open{}, "open packet"},
		{`0{"sid":"","pingInterval":1,"pingTimeout":1}`, open{}, "lacks"},
		{`0{"sid":"s","pingInterval":0,"pingTimeout":1}`, open{}, "lacks"},
		{`0{"sid":"s","pingInterval":1,"pingTimeout":-1}`, open{}, "lacks"},
		{`0{"sid":"s","pingInterval":"1","pingTimeout":1}`, open{}, "open packet"},
		{`0{"sid":"s","pingInterval":1,"pingTimeout":1,"upgrades":"websocket"}`, open{}, "open packet"},
		{`0{"sid":"s","pingInterval":1,"pingTimeout":1}x`, open{}, "open packet"},
	} {
		got, err := decodeOpen([]byte(tt.text))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: error %v, want %q", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}
}

// TestEncodePayload shows where a body ends.
func TestEncodePayload(t *testing.T) {
	t.Parallel()
	text := func(n int) item {
		return item{Message: Message{Data: bytes.Repeat([]byte("x"), n)}, kind: packetMessage}
	}
	binary := func(n int) item {
		return item{Message: Message{Data: make([]byte, n), Binary: true}, kind: packetMessage}
	}
	pong := item{kind: packetPong}
	for _, tt := range []struct {
		name  string
		items []item
		limit int64
		n     int
		size  int
	}{
		{"one", []item{text(5)}, 100, 1, 6},
		{"one over the limit", []item{text(500), pong}, 100, 1, 501},
		{"all", []item{text(5), pong, binary(3)}, 100, 3, 6 + 1 + 1 + 1 + 5},
		{"exactly", []item{text(49), text(49)}, 101, 2, 101},
		{"one byte too much", []item{text(49), text(49)}, 100, 1, 50},
		{"base64 counts", []item{text(49), binary(49)}, 110, 1, 50},
		{"no limit known", []item{text(maxPost - 2), pong, pong}, 0, 1, maxPost - 1},
		{"a limit larger than ours", []item{text(maxPost - 3), pong, pong}, 1 << 30, 2, maxPost},
	} {
		body, n := encodePayload(tt.items, tt.limit)
		if n != tt.n || len(body) != tt.size || cap(body) != tt.size {
			t.Errorf("%s: %d packets, %d bytes of %d; want %d, %d", tt.name, n, len(body), cap(body), tt.n, tt.size)
		}
	}
}

// FuzzPayload decodes what might come as the body of a poll; what is accepted is the same after it was encoded.
func FuzzPayload(f *testing.F) {
	for _, body := range []string{
		"", "4", "4hello\x1e2\x1e6", "bAAEC\x1e4x", "bAA\x1ebAA==", "0{\"sid\":\"a\",\"pingInterval\":1,\"pingTimeout\":1}\x1e40", "1", "3probe",
		"\x1e", "4\x1e", "4\x1e\x1e4", "9", "b\x1eb\n", "b====", "4\xff", "é",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		original := bytes.Clone(body)
		_, _ = decodeOpen(body)
		var items []item
		scratch := make([]byte, 0, 8)
		for rest, more := body, true; more; {
			var text []byte
			text, rest, more = cutPayload(rest)
			p, err := decodeText(text, scratch)
			if err != nil {
				return
			}
			if p.binary && p.kind != packetMessage {
				t.Fatalf("%q: a binary packet of type %q", text, p.kind)
			}
			items = append(items, item{Message: Message{Data: bytes.Clone(p.data), Binary: p.binary}, kind: p.kind})
		}
		if !bytes.Equal(body, original) {
			t.Fatal("the body was written to")
		}
		for left := items; len(left) > 0; {
			encoded, n := encodePayload(left, int64(len(body)/2))
			for i, more := 0, true; more; i++ {
				var text []byte
				text, encoded, more = cutPayload(encoded)
				p, err := decodeText(text, nil)
				if want := left[i]; err != nil || p.kind != want.kind || p.binary != want.Binary || !bytes.Equal(p.data, want.Data) {
					t.Fatalf("%+v became %+v, %v", want, p, err)
				}
				if !more && i != n-1 {
					t.Fatalf("%d packets encoded, %d in the body", n, i+1)
				}
			}
			left = left[n:]
		}
	})
}
