package socketio

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const webSocketRequest = "GET /?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// pipeline opens a connection whose client costs nothing but system calls, and returns a function that sends n events in one
// write and waits for their acknowledgements, which all have the length of ack.
func pipeline(tb testing.TB, h Handler, n int, event, ack string) func() {
	tb.Helper()
	s, err := New(Options{})
	if err != nil {
		tb.Fatal(err)
	}
	s.Of("/").Handle("x", h)
	ts := httptest.NewServer(s)
	conn, err := net.Dial("tcp", strings.TrimPrefix(ts.URL, "http://"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = conn.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
		ts.Close()
	})
	if _, err := io.WriteString(conn, webSocketRequest+string(frames("0"))); err != nil {
		tb.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	for got := ""; !strings.Contains(got, `40{"sid":`); {
		m, err := conn.Read(buf)
		if err != nil {
			tb.Fatal(err)
		}
		got += string(buf[:m])
	}
	out := []byte(strings.Repeat(string(frames(event)), n))
	in := n * len(frames(ack)[4:]) // ours are not masked
	return func() {
		if _, err := conn.Write(out); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf[:in]); err != nil {
			tb.Fatal(err)
		}
	}
}

func ackNothing(_ context.Context, e *Event) { _ = e.Ack() }

func emitConstant(_ context.Context, e *Event) { _ = e.Socket().Emit("y", "abc") }

func ackString(_ context.Context, e *Event) {
	var s string
	if e.Decode(0, &s) == nil {
		_ = e.Ack(s)
	}
}

const (
	echoEvent = `27["x","abcdefghijklmnopqrstuvwxyzabcdef"]`
	echoAck   = `37["abcdefghijklmnopqrstuvwxyzabcdef"]`
)

// Engine rule 10: from the frame to the acknowledgement nothing is allocated, but for what the handler decodes.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	for name, tt := range map[string]struct {
		h    Handler
		ack  string
		most float64
	}{
		"nothing decoded": {ackNothing, "37[]", 0.5}, // the collector empties pools now and then
		"a string":        {ackString, echoAck, 3.5}, // the string, the variable, and what it is boxed in
		"an emit":         {emitConstant, `2["y","abc"]`, 0.5},
	} {
		const each = 64
		round := pipeline(t, tt.h, each, echoEvent, tt.ack)
		for range 100 {
			round()
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const rounds = 200
		for range rounds {
			round()
		}
		runtime.ReadMemStats(&after)
		if got := float64(after.Mallocs-before.Mallocs) / (rounds * each); got > tt.most {
			t.Errorf("%s: %.2f allocations per event, want at most %v", name, got, tt.most)
		}
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, bb := range []struct {
		name string
		n    int
	}{{"1", 1}, {"16", 16}} {
		b.Run(bb.name, func(b *testing.B) {
			round := pipeline(b, ackString, bb.n, echoEvent, echoAck)
			b.ReportAllocs()
			for b.Loop() {
				round()
			}
			b.ReportMetric(float64(b.N*bb.n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func BenchmarkBroadcast(b *testing.B) {
	for _, members := range []int{10, 200} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			s, err := New(Options{})
			if err != nil {
				b.Fatal(err)
			}
			ts := httptest.NewServer(s)
			var readers sync.WaitGroup
			b.Cleanup(func() {
				if err := s.Shutdown(context.Background()); err != nil {
					b.Error(err)
				}
				ts.Close()
				readers.Wait()
			})
			for range members {
				conn, err := net.Dial("tcp", strings.TrimPrefix(ts.URL, "http://"))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.WriteString(conn, webSocketRequest+string(frames("0"))); err != nil {
					b.Fatal(err)
				}
				readers.Go(func() {
					_, _ = io.Copy(io.Discard, conn)
					_ = conn.Close()
				})
			}
			n := s.Of("/")
			for n.Len() < members {
				runtime.Gosched()
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := n.Volatile().Emit("news", "abcdefghijklmnopqrstuvwxyzabcdef"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
