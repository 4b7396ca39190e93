package socketio

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
)

// Connections of all shards, some with a socket and some without, come while the server shuts down, plain clients among them: Shutdown
// finds each that was let in, ends it, and awaits its hooks.
func TestShutdownFindsAll(t *testing.T) {
	t.Parallel()
	const dialers = 8
	for range 5 {
		h := servePlain(t, Options{})
		var arrived, left, ended atomic.Int64
		n := h.Of("/")
		n.Hook(Hooks{
			Connection: func(context.Context, *Socket) error { arrived.Add(1); return nil },
			Disconnect: func(context.Context, *Socket, Reason) { left.Add(1) },
		})
		var dialing sync.WaitGroup
		for i := range dialers {
			dialing.Go(func() {
				for h.dialUntilRefused(t, i, &ended) {
				}
			})
		}
		eventually(t, "there are clients", func() bool { return n.Len() > 10*dialers && len(h.conns.all()) > n.Len() })
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err := h.Shutdown(ctx)
		cancel()
		if err != nil {
			t.Error(err)
		}
		if a, l := arrived.Load(), left.Load(); a != l || a == 0 {
			t.Errorf("%d sockets arrived and %d have left", a, l)
		}
		dialing.Wait()
		if conns, live := len(h.conns.all()), h.live.Load(); conns != 0 || live != 0 {
			t.Errorf("%d connections and %d sockets are left", conns, live)
		}
		eventually(t, "every client hears of it", func() bool { return ended.Load() == 0 })
	}
}

// A handshake that was under way when draining began gets a connection, but no socket that nobody would wait for.
func TestConnectedWhileDraining(t *testing.T) {
	t.Parallel()
	var h *harness
	h = serve(t, Options{Engine: engineio.Options{AllowRequest: func(*http.Request) error { return h.Drain(t.Context()) }}})
	arrived := arrivals(h.Of("/"))
	c := h.dial(t, "0")
	c.send("0/other,")
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	c.expectEnd()
	if len(arrived) != 0 {
		t.Error("a socket arrived")
	}
}

// dialUntilRefused connects a client, and reports whether the server let it in. open is the number of those that have not ended.
func (h *harness) dialUntilRefused(t *testing.T, i int, open *atomic.Int64) bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Error(err)
		return false
	}
	path := []string{"/ws", "/socket.io/?EIO=4&transport=websocket"}[i%2]
	request := "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	var early []byte
	if i%4 == 1 {
		early = frames("0")
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = conn.Write(append([]byte(request), early...))
	if err != nil {
		t.Error(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		_ = conn.Close()
		return false
	}
	open.Add(1)
	go func() {
		defer open.Add(-1)
		defer conn.Close()
		if _, err := io.Copy(io.Discard, r); err != nil && !errors.Is(err, net.ErrClosed) && isTimeout(err) {
			t.Errorf("a connection was left open: %v", err)
		}
	}()
	return true
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
