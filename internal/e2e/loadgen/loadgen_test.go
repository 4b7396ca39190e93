//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

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
		"-mode=raw -size=4", "-addr=x", "-active=-1", "-active=1 -w=2", "-active=1 -rate=1", "-rate=-1", "-rate=1e9", "-members=-1", "-c=2 -members=3", "-mode=raw -members=3",
		"-members=3 -size=0", "-stalled=-1", "-stalled=1 -mode=plain",
	} {
		if _, err := parse(strings.Fields(wrong)); err == nil {
			t.Errorf("%s passes", wrong)
		}
	}
}

// More connections than the process may have descriptors are refused before the first one is made.
func TestEnoughFiles(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), []string{"-c", "2000000000", "-addr", "127.0.0.1:1"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "ulimit -Hn 2000000064") {
		t.Error(err)
	}
}

// An event counts from when it was due: one that had to wait, one that nobody answers, and one that was never sent.
func TestOpen(t *testing.T) {
	t.Parallel()
	g := &generator{plan: &plan{rate: 1e4, window: 2}, dialect: &dialect{echoes: make([][]byte, 2)}, start: time.Now(), out: map[string]any{}}
	c := &connection{state: ready}
	g.ring = []*connection{c}
	g.openEcho()
	g.due = func(n int) int64 { return int64(n + 1) }
	if g.release(); g.released != 2 || !slices.Equal(c.sent, []int64{1, 2}) {
		t.Errorf("%d were sent while the server gets warm, due at %v", g.released, c.sent)
	}
	if g.took(&g.times, 1, 2); g.times.n+g.lag.n > 0 {
		t.Error("times count while the server gets warm")
	}
	g.from, g.to = 2, 10
	c.sent[0] = 0
	g.acked++
	if g.release(); g.released != 3 || c.sent[0] != 3 || g.lag.n != 1 {
		t.Errorf("%d were sent, %d times are known, due at %v", g.released, g.lag.n, c.sent)
	}
	g.took(&g.times, 1, 11)
	g.took(&g.times, 9, 11)
	g.took(&g.times, 10, 11)
	if g.times.n != 1 {
		t.Errorf("%d times", g.times.n)
	}
	g.err = errors.New("no turn")
	if err := g.finish(1, 1); !errors.Is(err, g.err) {
		t.Error(err)
	}
	const waiting = 8 // two that were sent, due at 2 and 3, and those due from 4 to 9
	if g.out["unanswered"] != waiting || g.times.n != 1+waiting || g.out["behind"] != true || g.out["asked"] != 1e4 {
		t.Errorf("%d times, %v", g.times.n, g.out)
	}
}
