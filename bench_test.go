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

// BenchmarkEcho is an event from the socket through a typed handler to its ack, over
// a loopback connection. The client allocates nothing, so what is counted is the
// server's.
func BenchmarkEcho(b *testing.B) {
	g := handlers(func(r *perch.Router) {
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
	srv := serve(b, g)
	text := strings.Repeat("x", 32)
	for _, bb := range []struct{ name, packet, answer string }{
		{"string", `421["string","` + text + `"]`, `431["` + text + `"]`},
		{"number", `421["number",1234567]`, `431[1234567]`},
		{"struct", `421["struct",{"x":12,"y":34}]`, `431[{"x":12,"y":34}]`},
		{"guarded", `421["guarded",{"x":12,"y":34}]`, `431[{"x":12,"y":34}]`},
		{"event", `421["event","` + text + `"]`, `431[]`},
	} {
		b.Run(bb.name, func(b *testing.B) {
			conn, r := dialRaw(b, srv.URL)
			var batch []byte
			for range inFlight {
				batch = appendFrame(batch, bb.packet)
			}
			want := make([]byte, inFlight*(2+len(bb.answer)))
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += inFlight {
				if _, err := conn.Write(batch); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(r, want); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if got := string(want[2 : 2+len(bb.answer)]); got != bb.answer {
				b.Fatalf("got %s", got)
			}
		})
	}
}

// dialRaw opens a WebSocket session joined to / on a plain connection.
func dialRaw(b *testing.B, url string) (net.Conn, *bufio.Reader) {
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
	if _, err := conn.Write(appendFrame(nil, "40")); err != nil {
		b.Fatal(err)
	}
	for _, prefix := range []string{"0{", "40{"} {
		if got := readFrame(b, r); !strings.HasPrefix(got, prefix) {
			b.Fatalf("got %q, want %s", got, prefix)
		}
	}
	return conn, r
}

// appendFrame appends a client's text frame, masked with zeroes.
func appendFrame(dst []byte, text string) []byte {
	if len(text) > 125 {
		panic("too long for this helper")
	}
	dst = append(dst, 0x81, 0x80|byte(len(text)), 0, 0, 0, 0)
	return append(dst, text...)
}

func readFrame(b *testing.B, r *bufio.Reader) string {
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
