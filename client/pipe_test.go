package client_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio"
)

// What docs/client.md says of tests without a port: all of it runs on a bubble's clock.
func TestPipe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		io, err := socketio.New(socketio.Options{})
		if err != nil {
			t.Fatal(err)
		}
		io.Handle("echo", func(_ context.Context, e *socketio.Event) { _ = e.Ack("echo") })
		l, server := newPipe(), &http.Server{Handler: io}
		go server.Serve(l)
		defer server.Close()
		defer io.Shutdown(t.Context())
		var line net.Conn
		s, err := client.Dial(t.Context(), "http://anywhere.example", client.Options{
			Transports: []client.Transport{client.WebSocket}, // one line
			DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
				line, err = l.DialContext(ctx, network, addr)
				return line, err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		time.Sleep(time.Hour) // heartbeats
		if got, err := client.Call[string](t.Context(), s, "echo", event.None{}); got != "echo" || err != nil || !s.Connected() {
			t.Error(got, err)
		}
		_ = line.Close()
		synctest.Wait()
		start := time.Now()
		if err := s.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 500*time.Millisecond || d > 1500*time.Millisecond {
			t.Errorf("connected again after %v", d)
		}
	})
}
