package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/engineio"
)

// gated is a server that reads the bodies of POSTs one by one, as the test says.
func gated(t *testing.T, posted, answers chan string) *fixture {
	return newServer(t, script{get: never, post: func(w http.ResponseWriter, r *http.Request, body string) {
		posted <- body
		select {
		case a := <-answers:
			fmt.Fprint(w, a)
		case <-r.Context().Done():
		}
	}}.serve(t))
}

func TestQueueBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		posted, answers := make(chan string, 10), make(chan string, 10)
		f := gated(t, posted, answers)
		defer f.close()
		config := f.config(Polling)
		config.MaxPackets, config.MaxBytes = 3, 100
		c := dial(t, config)
		buffered := func(packets, bytes int) {
			t.Helper()
			if p, b := c.Buffered(); p != packets || b != bytes {
				t.Errorf("buffered %d packets, %d bytes; want %d, %d", p, b, packets, bytes)
			}
		}
		full := func(m ...Message) {
			t.Helper()
			if err := c.Send(false, m...); !errors.Is(err, ErrFull) {
				t.Errorf("Send: %v", err)
			}
		}
		one := Message{Data: []byte("x")}

		if !c.Writable() || c.Send(false) != nil {
			t.Error("not writable at first")
		}
		c.text(t, "a")
		expect(t, posted, "4a")
		if c.Writable() {
			t.Error("writable while something is being written")
		}
		buffered(1, 2)
		// All of them or none; what is over the bound is taken together.
		if err := c.Send(false, one, Message{Data: []byte("bb")}, one); err != nil {
			t.Error(err)
		}
		buffered(4, 2+2+3+2)
		full(one, one)
		full(one)
		if err := c.Send(true, one); err != nil {
			t.Errorf("forced: %v", err)
		}
		buffered(5, 11)

		// Wait is for what is below the bounds, Flush for nothing at all.
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errHandler)
		if err := c.Wait(ctx); !errors.Is(err, errHandler) {
			t.Errorf("Wait: %v", err)
		}
		if err := c.Flush(ctx); !errors.Is(err, errHandler) {
			t.Errorf("Flush: %v", err)
		}
		cancel()
		waited, flushed := make(chan error), make(chan error)
		go func() { waited <- c.Wait(t.Context()) }()
		go func() { flushed <- c.Flush(t.Context()) }()
		answers <- "ok"
		expect(t, posted, "4x\x1e4bb\x1e4x\x1e4x")
		synctest.Wait()
		full(one) // four are being written
		answers <- "ok"
		if err := <-waited; err != nil {
			t.Errorf("Wait: %v", err)
		}
		if err := <-flushed; err != nil {
			t.Errorf("Flush: %v", err)
		}
		buffered(0, 0)

		// One that is larger than the bound is taken, or it could never be sent.
		c.text(t, strings.Repeat("y", 500))
		<-posted
		full(one)
		go func() { waited <- c.Wait(t.Context()) }()
		go func() { flushed <- c.Flush(t.Context()) }()
		synctest.Wait()
		c.cancel()
		_ = c.ended(t, ForcedClose)
		if err := <-waited; !errors.Is(err, ErrClosed) {
			t.Errorf("Wait: %v", err)
		}
		if err := <-flushed; !errors.Is(err, ErrClosed) {
			t.Errorf("Flush: %v", err)
		}
		buffered(0, 0)
	})
}

// TestBatches shows how much a POST carries (C-19): what fits into the server's maxPayload, one packet at least.
func TestBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		posted, answers := make(chan string, 10), make(chan string, 10)
		f := gated(t, posted, answers)
		defer f.close()
		c := dial(t, f.config(Polling))
		c.text(t, "first")
		expect(t, posted, "4first")
		half := strings.Repeat("h", 499)
		c.text(t, half, half[1:])
		if err := c.Send(false, Message{Data: []byte("long" + half + half)}, Message{Data: []byte("\x00"), Binary: true}); err != nil {
			t.Error(err)
		}
		c.text(t, "end")
		for range 5 {
			answers <- "ok"
		}
		expect(t, posted, "4"+half+"\x1e4"+half[1:], "4long"+half+half, "bAA==\x1e4end")
		c.stop(t)
	})
}

// TestBurst sends much at once to a server that does not read yet: it arrives complete and in order, and an idle queue holds nothing.
func TestBurst(t *testing.T) {
	t.Parallel()
	eachWay(t, engineio.Options{}, false, func(t *testing.T, f *fixture, config Config) {
		c := dial(t, config)
		p := <-f.peers
		const n = 20_000
		go func() {
			for i := range n {
				c.text(t, fmt.Sprint(i))
			}
		}()
		for i := range n {
			expect(t, p.messages, fmt.Sprint(i))
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		_ = c.await(t.Context(), func() (bool, error) { return !c.writing, nil })
		c.mu.Lock()
		if c.queue.in != nil || c.queue.out != nil {
			t.Error("an idle connection keeps room for packets")
		}
		c.mu.Unlock()
		c.stop(t)
	})
}

// TestQueueForgets shows that what was sent can be collected.
func TestQueueForgets(t *testing.T) {
	t.Parallel()
	var q queue
	for range 3 {
		q.add(item{Message: Message{Data: []byte("x")}})
	}
	out := q.take()
	q.add(item{Message: Message{Data: []byte("y")}})
	q.wrote(2)
	if out[0].Data != nil || out[1].Data != nil || out[2].Data == nil || q.packets != 2 || q.bytes != 4 {
		t.Errorf("%+v, %+v", q, out)
	}
	if left := q.take(); len(left) != 1 {
		t.Errorf("%d left", len(left))
	}
	q.wrote(1)
	if left := q.take(); len(left) != 1 || string(left[0].Data) != "y" {
		t.Errorf("%v left", left)
	}
	q.drop()
	q.wrote(1)
	if q.packets != 0 || q.bytes != 0 || !q.lost {
		t.Errorf("%+v", q)
	}
}

// TestPings has a server that pings all the time and reads nothing: what waits for it stays bounded.
func TestPings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newServer(t, script{
			get: func(w http.ResponseWriter, r *http.Request, n int) {
				if n > 9 {
					never(w, r, n)
				}
				fmt.Fprint(w, "2"+strings.Repeat("\x1e2", 9))
			},
			post: func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() },
		}.serve(t))
		defer f.close()
		c := dial(t, f.config(Polling))
		for range 100 {
			<-c.pings
		}
		if p, _ := c.Buffered(); p != maxPongs {
			t.Errorf("%d packets wait", p)
		}
		c.stop(t)
	})
}
