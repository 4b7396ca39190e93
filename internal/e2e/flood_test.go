package e2e

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio"
)

// Engine rule 6: a client that sends faster than its events are handled is read no further than the inbound bound, and
// loses nothing. While its handler sleeps and while it catches up, the server's memory does not grow with what is sent.
func TestPipelinedFlood(t *testing.T) {
	const (
		size  = 64 << 10
		bound = 1 << 20  // engineio.Options.InboundBytes
		slack = 2 << 20  // the test's own, and buffers on the way
		waste = 64 << 20 // what the collector has not got to yet while events rush through
	)
	release := make(chan struct{})
	var handled atomic.Int64
	_, address := serve(t, socketio.Options{}, func(srv *socketio.Server) {
		srv.Of("/").Handle("work", func(_ context.Context, e *socketio.Event) {
			<-release
			handled.Add(int64(len(e.Raw(0))))
		})
		srv.Of("/").Handle("done", func(_ context.Context, e *socketio.Event) { _ = e.Ack() })
	})
	w := member(t, address, nil)
	if err := w.SetDeadline(time.Now().Add(10 * patience)); err != nil {
		t.Fatal(err)
	}
	event := frame(nil, opText, `42["work","`+strings.Repeat("x", size)+`"]`)
	before := heap()

	var sent atomic.Int64
	failed := make(chan error, 1)
	go func() {
		for range flood / size {
			if _, err := w.Write(event); err != nil {
				failed <- err
				return
			}
			sent.Add(size)
		}
		_, err := w.Write(frame(nil, opText, `427["done"]`))
		failed <- err
	}()
	// The client cannot write any more: the server has stopped reading and the system's buffers are full.
	last, still := int64(-1), 0
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for still < 25 {
		<-tick.C
		if n := sent.Load(); n != last {
			last, still = n, 0
			continue
		}
		still++
	}
	if last >= flood {
		t.Fatal("everything was read though nothing was handled")
	}
	if grown := heap() - before; grown > bound+slack {
		t.Errorf("%d bytes while the handler sleeps, after %d were sent", grown, last)
	}

	close(release)
	var most int64
	acked := make(chan error, 1)
	go func() {
		for {
			switch text, err := w.text(); {
			case err != nil:
				acked <- err
				return
			case text == "437[]":
				acked <- nil
				return
			}
		}
	}()
	var err error
	for done := false; !done; {
		select {
		case err = <-acked:
			done = true
		case <-tick.C:
			most = max(most, allocated()-before)
		}
	}
	if err := errors.Join(err, <-failed); err != nil {
		t.Fatal(err)
	}
	if n := handled.Load(); n < flood/size*size {
		t.Errorf("%d bytes handled of %d", n, flood)
	}
	if most > bound+waste {
		t.Errorf("%d bytes more at the most while %d were handled", most, flood)
	}
}

// heap is what is in use when everything that can be is collected.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	return allocated()
}

func allocated() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
