package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/socketio"
)

// The reply to CONNECT is a read of its own for the client, and what a connection hook sent comes in the next: clients
// that begin to listen when they have seen the reply, as the official protocol suite does, lose nothing.
func TestReplyGoesAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, err := socketio.New(socketio.Options{Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		server.Of("/").OnConnection(func(_ context.Context, s *socketio.Socket) error { return s.Emit("hello") })
		listener := stream.NewListener()
		web := &http.Server{Handler: server}
		served := make(chan error)
		go func() { served <- web.Serve(listener) }()
		conn, err := listener.Dial()
		if err != nil {
			t.Fatal(err)
		}
		read := func() string {
			synctest.Wait() // all that can come without time going by is there
			buf := make([]byte, 1<<10)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			return string(buf[:n])
		}
		if _, err := fmt.Fprint(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"+
			"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		read()
		if _, err := conn.Write([]byte("\x81\x82\x00\x00\x00\x0040")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if got := read(); !strings.Contains(got, "40{") || strings.Contains(got, "hello") || time.Since(start) != 0 {
			t.Errorf("%q after %v, want the reply alone and at once", got, time.Since(start))
		}
		if got := read(); !strings.Contains(got, `42["hello"]`) || time.Since(start) > 3*time.Millisecond {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		_ = conn.Close()
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		_ = web.Close()
		<-served
	})
}
