package plainws_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// wireClient is a connection that allocates nothing once it is open, so that what is counted is the server's.
type wireClient struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dialWire(t testing.TB, srv *httptest.Server, path string) *wireClient {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n", path)
	r := bufio.NewReaderSize(conn, 1<<16)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	return &wireClient{t, conn, r}
}

// masked is a client's text frame; the mask is zero.
func masked(text string) []byte {
	if len(text) > 125 {
		panic("too long for this helper")
	}
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// until reads frames until one begins with prefix.
func (c *wireClient) until(prefix string) {
	c.t.Helper()
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(c.r, head); err != nil {
			c.t.Fatal(err)
		}
		text := make([]byte, head[1])
		if head[1] == 126 {
			_, _ = io.ReadFull(c.r, head)
			text = make([]byte, int(head[0])<<8|int(head[1]))
		}
		if _, err := io.ReadFull(c.r, text); err != nil {
			c.t.Fatal(err)
		}
		if strings.HasPrefix(string(text), prefix) {
			return
		}
	}
}

// burst is how many events one write carries.
const burst = 64

// echo makes what has an event handled burst times over and reads the answers.
func (c *wireClient) echo(event, answer string) func() {
	batch := []byte(strings.Repeat(string(masked(event)), burst))
	want := make([]byte, burst*(2+len(answer)))
	return func() {
		if _, err := c.conn.Write(batch); err != nil {
			c.t.Fatal(err)
		}
		if _, err := io.ReadFull(c.r, want); err != nil {
			c.t.Fatal(err)
		}
		if got := string(want[len(want)-len(answer):]); got != answer {
			c.t.Fatalf("got %s, want %s", got, answer)
		}
	}
}

// echoes are the same event with its ack on both platforms.
func echoes(t testing.TB) (io, plain func()) {
	srv, _ := serve(t, &gateway{register: handlers})
	c := dialWire(t, srv, "/socket.io/?EIO=4&transport=websocket")
	if _, err := c.conn.Write(masked("40")); err != nil {
		t.Fatal(err)
	}
	c.until("40{")
	text := strings.Repeat("x", 32)
	return c.echo(`421["text","`+text+`"]`, `431["`+text+`"]`),
		dialWire(t, srv, "/ws").echo(`{"event":"text","data":"`+text+`","id":1}`, `{"id":1,"data":"`+text+`"}`)
}

// What a plain client's event costs beside that of a client of Socket.IO. Not parallel, because AllocsPerRun counts everybody's.
func TestAllocations(t *testing.T) {
	io, plain := echoes(t)
	measure := func(run func()) float64 {
		for range 10 {
			run()
		}
		return testing.AllocsPerRun(100, run) / burst
	}
	of, got := measure(io), measure(plain)
	t.Logf("Socket.IO %.2f, plain %.2f", of, got)
	if got > of+1 && !raceEnabled { // whose pools forget at random
		t.Errorf("%.2f allocations, of Socket.IO %.2f", got, of)
	}
}

func BenchmarkEcho(b *testing.B) {
	io, plain := echoes(b)
	for name, run := range map[string]func(){"socket.io": io, "plain": plain} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for done := 0; done < b.N; done += burst {
				run()
			}
		})
	}
}
