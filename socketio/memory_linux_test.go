package socketio

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// maxQuiet is what a connection that is quiet may cost, its socket, its request and all, in bytes. What
// net and the runtime keep of one that is not parked would be 900 more.
const maxQuiet = 1200

// Not parallel, because it counts everybody's memory.
func TestIdleConnectionIsSmall(t *testing.T) {
	const n = 1000
	s, err := New(Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s)
	defer ts.Close()
	// The runtime keeps something of every goroutine that there ever was at once, which is not counted either.
	var wg sync.WaitGroup
	hold := make(chan struct{})
	for range 3 * n {
		wg.Go(func() { <-hold })
	}
	close(hold)
	wg.Wait()
	goroutines := runtime.NumGoroutine() // of tests that wait for their turn
	conns := make([]net.Conn, n)
	connect := func(dial func() net.Conn) (cost int64) {
		before := inUse()
		for i := range conns {
			conns[i] = dial()
		}
		eventually(t, "no goroutines are left for them", func() bool { return runtime.NumGoroutine() < goroutines+50 })
		return (inUse() - before) / n
	}
	disconnect := func() {
		for i, c := range conns {
			if c != nil {
				_ = c.Close()
			}
			conns[i] = nil
		}
	}
	// What the clients themselves cost: the system connects them, though nobody accepts.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	clients := connect(func() net.Conn {
		c, err := net.Dial("tcp", silent.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
	disconnect()
	_ = silent.Close()

	const first = 64 // what those cost is not counted: the server makes what it has only once, such as the shards of its wheels
	for range first {
		defer dialIdle(t, ts.Listener.Addr().String()).Close()
	}
	// What else goes on in the process can only add to it, so the least of a few counts.
	cost := int64(math.MaxInt64)
	for tries := 3; cost > maxQuiet && tries > 0; tries-- {
		disconnect()
		eventually(t, "those of the try before are gone", func() bool { return s.Of("/").Len() == first })
		cost = min(cost, connect(func() net.Conn { return dialIdle(t, ts.Listener.Addr().String()) })-clients)
		if got := s.Of("/").Len(); got != n+first {
			t.Fatalf("%d sockets", got)
		}
	}
	if cost > maxQuiet {
		t.Errorf("an idle connection costs %d bytes, want at most %d", cost, maxQuiet)
	}

	disconnect()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func inUse() int64 {
	var m runtime.MemStats
	for range 4 { // pools and finalizers take a while
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) // stacks are those of goroutines, and there are none
}

// dialIdle connects a client that joins "/" and keeps nothing but its socket.
func dialIdle(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	say := func(what, until string) {
		if _, err := fmt.Fprint(conn, what); err != nil {
			t.Fatal(err)
		}
		for buf := make([]byte, 512); !strings.Contains(string(got), until); {
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("%v after %q", err, got)
			}
			got = append(got, buf[:n]...)
		}
	}
	say("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: perch.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n", `"maxPayload"`)
	say("\x81\x82\x00\x00\x00\x0040", `40{"sid"`)
	return conn
}
