package perch_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/perch-go/perch"
)

// inFlight is how many events one write of the benchmarks' client carries.
const inFlight = 64

// echoes has handlers of several types, which ack what they get.
func echoes() perch.Gateway {
	return handlers(func(r *perch.Router) {
		perch.On(r, "string", func(_ context.Context, s string) (string, error) { return s, nil })
		perch.On(r, "number", func(_ context.Context, n int) (int, error) { return n, nil })
		perch.On(r, "struct", func(_ context.Context, p point) (point, error) { return p, nil })
		perch.OnEvent(r, "event", func(context.Context, string) error { return nil })
		guard := func(_ context.Context, ec *perch.ExecutionContext) error {
			if !ec.Socket().Connected() {
				return perch.ErrForbidden
			}
			return nil
		}
		perch.On(r, "guarded", func(_ context.Context, p point) (point, error) { return p, nil }, perch.WithGuards(guard))
	})
}

var text32 = strings.Repeat("x", 32)

var echoed = []struct {
	name, packet, ack string
	allocations       float64
}{
	{"string", `421["string","` + text32 + `"]`, `431["` + text32 + `"]`, 2},
	{"number", `421["number",1234567]`, `431[1234567]`, 1},
	{"struct", `421["struct",{"x":12,"y":34}]`, `431[{"x":12,"y":34}]`, 0},
	{"guarded", `421["guarded",{"x":12,"y":34}]`, `431[{"x":12,"y":34}]`, 0},
	{"event", `421["event","` + text32 + `"]`, `431[]`, 1},
}

// BenchmarkEcho is an event from the socket through a typed handler to its ack, over
// a loopback connection. The client allocates nothing, so what is counted is the
// server's.
func BenchmarkEcho(b *testing.B) {
	srv := serve(b, echoes())
	for _, e := range echoed {
		b.Run(e.name, func(b *testing.B) {
			round, answer := pipelined(b, srv.URL, e.packet, len(e.ack))
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += inFlight {
				round()
			}
			b.StopTimer()
			if got := answer(); got != e.ack {
				b.Fatalf("got %s", got)
			}
		})
	}
}

// pipelined opens a connection and returns what sends inFlight events in one write and waits for
// their acks, each of that length, and what shows the first of them.
func pipelined(b testing.TB, url, packet string, length int) (round func(), answer func() string) {
	b.Helper()
	conn, r := dialRaw(b, url)
	var batch []byte
	for range inFlight {
		batch = appendFrame(b, batch, packet)
	}
	acks := make([]byte, inFlight*(2+length))
	round = func() {
		if _, err := conn.Write(batch); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(r, acks); err != nil {
			b.Fatal(err)
		}
	}
	return round, func() string { return string(acks[2 : 2+length]) }
}

// dialRaw opens a WebSocket session joined to / on a plain connection.
func dialRaw(b testing.TB, url string) (net.Conn, *bufio.Reader) {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	_, _ = fmt.Fprint(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n"+
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		b.Fatal(resp, err)
	}
	if _, err := conn.Write(appendFrame(b, nil, "40")); err != nil {
		b.Fatal(err)
	}
	for _, prefix := range []string{"0{", "40{"} {
		if got := readFrame(b, r); !strings.HasPrefix(got, prefix) {
			b.Fatalf("got %q, want %s", got, prefix)
		}
	}
	return conn, r
}

// appendFrame appends a client's text frame of up to 125 bytes, masked with zeroes.
func appendFrame(tb testing.TB, dst []byte, text string) []byte {
	if len(text) > 125 {
		tb.Fatalf("%d bytes are too long for a short frame", len(text))
	}
	dst = append(dst, 0x81, 0x80|byte(len(text)), 0, 0, 0, 0)
	return append(dst, text...)
}

func readFrame(b testing.TB, r *bufio.Reader) string {
	b.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		b.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(r, head); err != nil {
			b.Fatal(err)
		}
		n = int(head[0])<<8 | int(head[1])
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		b.Fatal(err)
	}
	return string(text)
}
