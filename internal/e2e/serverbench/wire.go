package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wsframe"
)

// wire is a WebSocket server that knows two messages: one that begins with E comes back, one that begins with B goes to
// all. Its connections and frames are those of a Socket.IO server of ours, and like there what one read brings is answered by
// one write.
type wire struct {
	mu    sync.Mutex
	peers map[*peer]struct{}
}

type peer struct {
	mu   sync.Mutex // of writing
	conn stream.Conn
}

// write does not care for a connection that does not keep up: everybody waits for it.
func (p *peer) write(b []byte) {
	if len(b) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.conn.TryWrite([][]byte{b})
	if errors.Is(err, stream.ErrWouldBlock) {
		_, _ = p.conn.Write([][]byte{b[n:]}) // that it is broken is for the reader to find out
	}
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	conn, buffered, _, err := ws.UpgradeHTTP(r, rw)
	if err != nil {
		return // it was answered
	}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	p := &peer{conn: stream.New(conn, nil)}
	w.mu.Lock()
	w.peers[p] = struct{}{}
	w.mu.Unlock()
	go w.read(p, early) // the one that has served the request needs more stack
}

// mostBytes is the longest message.
const mostBytes = 1 << 20

func (w *wire) read(p *peer, early []byte) {
	defer func() {
		w.mu.Lock()
		delete(w.peers, p)
		w.mu.Unlock()
		_ = p.conn.Close()
	}()
	frames := wsframe.Reader{Limit: mostBytes}
	if len(early) > 0 && !w.answer(p, &frames, early) {
		return
	}
	_ = p.conn.ReadEach(func(b *stream.Buffer) bool { return w.answer(p, &frames, b.Bytes()) })
}

// batch is what the messages of one read are answered with.
type batch struct{ own, all []byte }

var batches = sync.Pool{New: func() any { return new(batch) }}

// answer is false when the connection is to end.
func (w *wire) answer(p *peer, frames *wsframe.Reader, b []byte) bool {
	out := batches.Get().(*batch)
	defer batches.Put(out)
	out.own, out.all = out.own[:0], out.all[:0]
	frames.Feed(b)
	for {
		m, ok, err := frames.Next()
		switch {
		case err != nil, m.Op == wsframe.Close:
			return false
		case !ok:
			p.write(out.own)
			w.broadcast(out.all)
			return true
		case m.Op == wsframe.Ping:
			out.own = append(wsframe.AppendHeader(out.own, wsframe.Pong, len(m.Payload)), m.Payload...)
		case len(m.Payload) > 0 && m.Payload[0] == 'E':
			out.own = append(wsframe.AppendHeader(out.own, m.Op, len(m.Payload)), m.Payload...)
		case len(m.Payload) > 0 && m.Payload[0] == 'B':
			out.all = append(wsframe.AppendHeader(out.all, m.Op, len(m.Payload)), m.Payload...)
		}
	}
}

func (w *wire) broadcast(frames []byte) {
	if len(frames) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.peers {
		p.write(frames)
	}
}

// serveWire is that server until ctx is done.
func serveWire(ctx context.Context, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "listening on", l.Addr())
	w := &wire{peers: map[*peer]struct{}{}}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", w)
	mux.HandleFunc("GET /gc", collect)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return web.Close() // the connections end with the process
	}
}

// collect answers with the memory in use after two collections, what is free given back to the system.
func collect(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]uint64{
		"heap_alloc": m.HeapAlloc, "heap_inuse": m.HeapInuse, "stack_inuse": m.StackInuse, "sys": m.Sys,
		"goroutines": uint64(runtime.NumGoroutine()),
	})
}
