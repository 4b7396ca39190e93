package socketio

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
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
	return pipelineOf(tb, Options{}, h, n, event, ack)
}

func pipelineOf(tb testing.TB, o Options, h Handler, n int, event, ack string) func() {
	tb.Helper()
	s, err := New(o)
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

// allocations are those of the process for each of the events of a round.
func allocations(round func(), each int) float64 {
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
	return float64(after.Mallocs-before.Mallocs) / float64(rounds*each)
}

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
		if got := allocations(round, each); got > tt.most {
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

// crowd connects so many clients, which read what comes and nothing more, and returns their namespace.
func crowd(tb testing.TB, members int) *Namespace {
	tb.Helper()
	s, err := New(Options{})
	if err != nil {
		tb.Fatal(err)
	}
	var readers sync.WaitGroup
	tb.Cleanup(readers.Wait)
	addr := listen(tb, s)
	for range members {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(conn, webSocketRequest+string(frames("0"))); err != nil {
			tb.Fatal(err)
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
	return n
}

const news = "abcdefghijklmnopqrstuvwxyzabcdef"

// Engine rule 10: what is broadcast is encoded and framed once, so a member more is not an allocation more.
func TestNoAllocationsPerMember(t *testing.T) {
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	const members, rounds, most = 100, 100, 10
	n := crowd(t, members)
	broadcast := func() {
		for range rounds {
			if err := n.Volatile().Emit("news", news); err != nil {
				t.Fatal(err)
			}
		}
	}
	broadcast()
	least := math.Inf(1) // of several turns: meanwhile connections are parked, which is not a broadcast's doing
	for range 20 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		broadcast()
		runtime.ReadMemStats(&after)
		if least = min(least, float64(after.Mallocs-before.Mallocs)/rounds); least <= most {
			return
		}
	}
	t.Errorf("%.1f allocations per broadcast to %d, want at most %d", least, members, most)
}

func BenchmarkBroadcast(b *testing.B) {
	for _, members := range []int{10, 200} {
		b.Run(fmt.Sprint(members), func(b *testing.B) {
			n := crowd(b, members)
			b.ReportAllocs()
			for b.Loop() {
				if err := n.Volatile().Emit("news", news); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// listen serves s until the test ends.
func listen(tb testing.TB, s *Server) (addr string) {
	tb.Helper()
	ts := httptest.NewServer(s)
	tb.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
		ts.Close()
	})
	return ts.Listener.Addr().String()
}

// BenchmarkHandshake is what a client costs that connects to /. Over WebSocket that is all of it, on a loopback connection that
// is reset then, with net/http and the client's own dialing; over polling it is what we do in three requests, without net/http
// but with the requests and answers of the test.
func BenchmarkHandshake(b *testing.B) {
	b.Run("WebSocket", func(b *testing.B) {
		s, err := New(Options{})
		if err != nil {
			b.Fatal(err)
		}
		addr := listen(b, s)
		request := []byte(webSocketRequest + string(frames("0")))
		buf := make([]byte, 4<<10)
		b.ReportAllocs()
		for b.Loop() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Fatal(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0) // or the ports are used up
			if _, err := conn.Write(request); err != nil {
				b.Fatal(err)
			}
			for n := 0; !bytes.Contains(buf[:n], []byte(`40{"sid":`)); {
				m, err := conn.Read(buf[n:])
				if err != nil {
					b.Fatal(err)
				}
				n += m
			}
			_ = conn.Close()
		}
	})
	b.Run("polling", func(b *testing.B) {
		s, err := New(Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := s.Shutdown(context.Background()); err != nil {
				b.Error(err)
			}
		})
		ask := func(query, body string) string {
			r := httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=polling"+query, nil)
			if body != "" {
				r = httptest.NewRequest(http.MethodPost, "/?EIO=4&transport=polling"+query, strings.NewReader(body))
			}
			w := httptest.NewRecorder()
			if s.ServeHTTP(w, r); w.Code != http.StatusOK {
				b.Fatalf("%d: %s", w.Code, w.Body)
			}
			return w.Body.String()
		}
		b.ReportAllocs()
		for b.Loop() {
			opened := ask("", "")
			_, sid, _ := strings.Cut(opened, `"sid":"`)
			sid, _, _ = strings.Cut(sid, `"`)
			ask("&sid="+sid, "40")
			if joined := ask("&sid="+sid, ""); !strings.HasPrefix(joined, `40{"sid":`) {
				b.Fatal(joined)
			}
		}
	})
}

// BenchmarkJoinLeave is a socket that goes into a room and out of it, alone there or with others.
func BenchmarkJoinLeave(b *testing.B) {
	s, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	joined := make(chan *Socket, 2)
	s.OnConnection(func(_ context.Context, socket *Socket) error {
		joined <- socket
		return nil
	})
	addr := listen(b, s)
	for range cap(joined) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, webSocketRequest+string(frames("0"))); err != nil {
			b.Fatal(err)
		}
	}
	socket, other := <-joined, <-joined
	if err := other.Join("shared"); err != nil {
		b.Fatal(err)
	}
	for _, room := range []string{"alone", "shared"} {
		b.Run(room, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := socket.Join(room); err != nil {
					b.Fatal(err)
				}
				socket.Leave(room)
			}
		})
	}
}
