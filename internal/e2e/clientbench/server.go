package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/parser"
)

// The events. Whoever sends "echo" gets the argument back in the acknowledgement; "count" is counted; "sync" is
// acknowledged, when all before it has been handled; "burst" is answered by as many ticks as its argument says.
const (
	payloadSize = 32
	largeSize   = 1 << 10
	// burst is how many ticks are asked for at once, and how many counts are sent between two syncs.
	burst = 1000
)

var payload = strings.Repeat("x", payloadSize)

// usage is what the server says of itself at /usage.
type usage struct {
	Seconds float64 `json:"seconds"` // since it began
	CPU     float64 `json:"cpu"`     // seconds
	Events  int64   `json:"events"`  // "count" that have come
}

// serve is the server until ctx or in ends: it does not outlive who started it.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	// A burst to a client that has not begun to read is no reason to give it up.
	engine := engineio.Options{OutboundPackets: 1 << 20, OutboundBytes: 1 << 30}
	srv, err := socketio.New(socketio.Options{Engine: engine})
	if err != nil {
		return err
	}
	begin := time.Now()
	var counted atomic.Int64
	root := srv.Of("/")
	root.Handle("echo", func(_ context.Context, e *socketio.Event) { _ = e.Ack(parser.Raw{JSON: e.Raw(0)}) })
	root.Handle("count", func(context.Context, *socketio.Event) { counted.Add(1) })
	root.Handle("sync", func(_ context.Context, e *socketio.Event) { _ = e.Ack() })
	tick := parser.Raw{JSON: []byte(`"` + payload + `"`)}
	root.Handle("burst", func(ctx context.Context, e *socketio.Event) {
		var n int
		if e.Decode(0, &n) != nil {
			return
		}
		for range n {
			if e.Socket().Send(ctx, "tick", tick) != nil {
				return
			}
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.HandleFunc("GET /usage", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(usage{time.Since(begin).Seconds(), processTime(), counted.Load()})
	})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "http://"+l.Addr().String())
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served, orphaned := make(chan error, 1), make(chan struct{})
	go func() { served <- web.Serve(l) }()
	go func() {
		defer close(orphaned)
		_, _ = io.Copy(io.Discard, in)
	}()
	select {
	case err = <-served:
	case <-orphaned:
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, srv.Shutdown(closing), web.Shutdown(closing))
}

// processTime is what this process has used, in seconds.
func processTime() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
