//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// What a server sees of it is tested in package e2e.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h histogram
	if h.quantile(.5) != 0 {
		t.Error("an empty one has a median")
	}
	for v := int64(1); v <= 100_000; v++ {
		h.add(v)
	}
	for share, want := range map[float64]int64{0: 1, .0001: 11, .5: 50_000, .99: 99_000, 1: 100_000} {
		if got := h.quantile(share); got > want || got < want-want/64-1 {
			t.Errorf("quantile(%v) is %d, want about %d", share, got, want)
		}
	}
}

func TestResponse(t *testing.T) {
	t.Parallel()
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, tt := range map[string]struct{ answer, body string }{
		"length":  {ok + "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\n2\x1e3", "2\x1e3"},
		"last":    {ok + "content-length:2\r\n\r\nok", "ok"},
		"chunked": {ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0a\r\n0123456789\r\n0\r\n\r\n", "ok0123456789"},
	} {
		for n := range len(tt.answer) {
			if body, length, err := response([]byte(tt.answer[:n])); length != 0 || err != nil {
				t.Errorf("%s, %d bytes of it: %q, %d, %v", name, n, body, length, err)
			}
		}
		body, length, err := response([]byte(tt.answer + "HTTP"))
		if string(body) != tt.body || length != len(tt.answer) || err != nil {
			t.Errorf("%s: %q, %d, %v", name, body, length, err)
		}
	}
	for _, wrong := range []string{"\r\n\r\n", "Content-Length: x\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nx\r\n"} {
		if _, _, err := response([]byte(ok + wrong)); err == nil {
			t.Errorf("%q passes", wrong)
		}
	}
}

// An ack is one only if every byte of it is as it should be.
func TestSlot(t *testing.T) {
	t.Parallel()
	pad := padding(5)
	for mode, acks := range map[string][2]string{ // the first and the last byte of the slot is at a §
		"sio":   {`43/chat,12["` + pad + `"]`, `43/chat,0["` + pad + `"]`},
		"plain": {`{"id":12,"data":"` + pad + `"}`, `{"id":0,"data":"` + pad + `"}`},
		"raw":   {"E0012", "E0000"},
	} {
		d := dialects[mode](&plan{mode: mode, namespace: "/chat", size: 5, window: 13})
		for i, want := range []int{12, 0} {
			ack := acks[i]
			if got, ok := d.slot([]byte(ack)); got != want || !ok {
				t.Errorf("%s: %d, %t for %s", mode, got, ok, ack)
			}
			for _, wrong := range []string{ack + "x", ack[1:], strings.ToUpper(ack[:1]) + "z" + ack[1:], strings.Replace(ack, "0", "x", 1) + "y"} {
				if _, ok := d.slot([]byte(wrong)); ok {
					t.Errorf("%s: %s passes", mode, wrong)
				}
			}
			if _, ok := d.slot([]byte(ack[:len(ack)-1])); ok && mode != "raw" { // a digit less is another one
				t.Errorf("%s: %s passes without its end", mode, ack)
			}
		}
		if n := len(d.echoes); n != 13 {
			t.Errorf("%s: %d events", mode, n)
		}
	}
}

// The lengths of frames at which their heads grow.
func TestFrame(t *testing.T) {
	t.Parallel()
	for n, head := range map[int]int{0: 6, 125: 6, 126: 8, 65_535: 8, 65_536: 14} {
		text := strings.Repeat("x", n)
		b := frame(opText, text)
		if len(b) != head+n || b[0] != final|opText || b[1]&masked == 0 {
			t.Fatalf("%d bytes: a frame of %d that begins with %x", n, len(b), b[:2])
		}
		mask, payload := b[head-4:head], b[head:]
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
		if !bytes.Equal(payload, []byte(text)) {
			t.Errorf("%d bytes: another payload", n)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	if p, err := parse(nil); err != nil || p.scenario != "echo" || p.server.String() != "127.0.0.1:9000" {
		t.Error(p, err)
	}
	for _, wrong := range []string{
		"-scenario=x", "-mode=x", "-mode=raw -scenario=polling", "-c=0", "-w=0", "-w=10000", "-depth=0", "-conc=0", "-size=-1",
		"-mode=raw -size=4", "-addr=x",
	} {
		if _, err := parse(strings.Fields(wrong)); err == nil {
			t.Errorf("%s passes", wrong)
		}
	}
}
