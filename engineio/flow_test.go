package engineio

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// handlerFunc is a Handler that tests build on the spot.
type handlerFunc struct {
	message func(data []byte)
	closed  chan Reason
}

func (h *handlerFunc) HandleMessage(data []byte, _ bool) { h.message(data) }
func (h *handlerFunc) HandleClose(r Reason, _ error)     { h.closed <- r }

// serve starts a fixture whose sessions are handled by what make returns.
func serve(t *testing.T, o Options, make func(s *Session) *handlerFunc) *fixture {
	f := newFixture(t, o, false)
	f.server.accept = func(s *Session) Handler { return make(s) }
	return f
}

// Engine rule 5: what is sent while a batch is handed over leaves in one write; the hold belongs to
// the reader, so a handler that sleeps holds nothing back.
func TestHoldIsLiftedWhileHandlersSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := make(chan string, 16)
		f := serve(t, Options{}, func(s *Session) *handlerFunc {
			go func() {
				for m := range queue {
					if m == "slow" {
						<-time.After(300 * time.Millisecond)
					}
					_ = s.SendText([]byte("ack " + m))
				}
			}()
			return &handlerFunc{func(d []byte) { queue <- string(d) }, make(chan Reason, 1)}
		})
		defer f.close()
		defer close(queue)
		c := f.dial("")
		c.read()
		start := time.Now()
		c.send("4first", "4slow", "4third")
		if got := c.read(); got != "4ack first" || time.Since(start) > 2*time.Millisecond {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		if got := c.read(); got != "4ack slow" || time.Since(start) > 302*time.Millisecond {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		c.read()
		c.conn.Close()
	})
}

// A memory pipe hands over what one write brought, so what one read gets shows the batch.
func TestBatchLeavesInOneWrite(t *testing.T) {
	t.Parallel()
	sessions := make(chan *Session, 8)
	f := serve(t, Options{}, func(s *Session) *handlerFunc {
		sessions <- s
		return &handlerFunc{nil, make(chan Reason, 1)}
	})
	defer f.close()
	a, b := f.dial(""), f.dial("")
	a.read()
	b.read()
	for _, s := range []*Session{<-sessions, <-sessions} {
		s.handler.(*handlerFunc).message = func(d []byte) {
			for other := range f.server.sessions.all() { // a broadcast: every session
				_ = other.SendText(d)
			}
		}
	}
	a.send("4one", "4two", "4three")
	for _, c := range []*wsClient{a, b} {
		buf := make([]byte, 100)
		n, err := c.conn.Read(buf)
		if want := "\x81\x044one\x81\x044two\x81\x064three"; err != nil || string(buf[:n]) != want {
			t.Errorf("first read brought %q, want all three", buf[:n])
		}
		c.conn.Close()
	}
}

// Messages of concurrent senders arrive whole, and each sender's in its order.
func TestConcurrentSenders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{OutboundBytes: 1 << 30, OutboundPackets: 1 << 20}, false)
	defer f.close()
	c, r := f.openWS()
	const senders, each = 8, 2000
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			var large Message
			large.AppendText([]byte(fmt.Sprintf("%d large ", i) + strings.Repeat("x", 9000)))
			for n := range each {
				if err := r.session.SendText(fmt.Appendf(nil, "%d %d", i, n)); err != nil {
					t.Error(err)
				}
				if n%100 == 0 {
					_ = r.session.Send(&large)
				}
			}
		})
	}
	next := make([]int, senders)
	for seen := 0; seen < senders*each; {
		m := c.read()
		if len(m) > 9000 {
			continue
		}
		var i, n int
		if _, err := fmt.Sscanf(m, "4%d %d", &i, &n); err != nil || n != next[i] {
			t.Fatalf("read %q, want number %d (%v)", m, next[i], err)
		}
		next[i]++
		seen++
	}
	wg.Wait()
	eventually(t, "the budget is free again", func() bool {
		bytes, packets := r.session.Buffered()
		return bytes == 0 && packets == 0
	})
	c.conn.Close()
}

// Engine rule 6, outbound: the three policies at the bound, and volatile messages (S-67).
func TestOutboundBudget(t *testing.T) {
	t.Parallel()
	kilobyte := []byte(strings.Repeat("x", 1000))
	fill := func(s *Session) (sent int, err error) {
		for range 10_000 {
			if err = s.SendText(kilobyte); err != nil {
				return sent, err
			}
			sent++
		}
		return sent, nil
	}
	t.Run("Disconnect", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, Options{OutboundBytes: 100_000}, false)
		defer f.close()
		c, r := f.openWS()
		defer c.conn.Close()
		if _, err := fill(r.session); !errors.Is(err, ErrOutboundFull) {
			t.Errorf("err %v", err)
		}
		if reason := <-r.closed; reason != ReasonOutboundOverflow {
			t.Errorf("reason %q", reason)
		}
		if f.server.Stats().Closed[ReasonOutboundOverflow] != 1 {
			t.Errorf("%+v", f.server.Stats())
		}
	})
	t.Run("DropNewest", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, Options{OutboundBytes: 100_000, Overflow: DropNewest}, false)
		defer f.close()
		c, r := f.openWS()
		sent, err := fill(r.session)
		if !errors.Is(err, ErrOutboundFull) {
			t.Errorf("err %v", err)
		}
		if bytes, _ := r.session.Buffered(); bytes > 100_000 {
			t.Errorf("%d bytes queued", bytes)
		}
		var volatile Message
		volatile.AppendText([]byte("volatile"))
		if err := r.session.Append(&volatile, true); !errors.Is(err, ErrNotWritable) {
			t.Errorf("volatile to a stalled peer: %v", err)
		}
		// SendWait, while the peer reads on.
		ctx, cancel := context.WithCancel(context.Background())
		var waiting Message
		waiting.AppendText(append(kilobyte, kilobyte...))
		waited := make(chan error, 1)
		go func() { waited <- r.session.SendWait(ctx, &waiting) }()
		for range sent {
			if m := c.read(); len(m) != 1001 {
				t.Fatalf("read %.20q", m)
			}
		}
		if err := <-waited; err != nil {
			t.Errorf("SendWait: %v", err)
		}
		if m := c.read(); len(m) != 2001 {
			t.Errorf("read %.20q", m)
		}
		eventually(t, "the queue is empty", func() bool { n, _ := r.session.Buffered(); return n == 0 })
		if err := r.session.Append(&volatile, true); err != nil {
			t.Errorf("volatile to a writable peer: %v", err)
		}
		r.session.Flush()
		if m := c.read(); m != "4volatile" {
			t.Errorf("read %q", m)
		}
		c.conn.Close()
		<-r.closed
		if err := r.session.SendWait(ctx, &waiting); !errors.Is(err, ErrClosed) {
			t.Errorf("SendWait on a closed session: %v", err)
		}
		c, r = f.openWS()
		_, _ = fill(r.session)
		cancel()
		if err := r.session.SendWait(ctx, &waiting); !errors.Is(err, context.Canceled) {
			t.Errorf("SendWait whose context ends: %v", err)
		}
		c.conn.Close()
	})
	// Who waits for room leaves some for who cannot: the acknowledgement that follows what was sent.
	t.Run("room for who cannot wait", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, Options{OutboundBytes: 100_000}, false)
		defer f.close()
		c, r := f.openWS()
		defer c.conn.Close()
		var m Message
		m.AppendText(kilobyte)
		ctx, cancel := context.WithCancel(context.Background())
		waited := make(chan error)
		go func() {
			for {
				if err := r.session.SendWait(ctx, &m); err != nil {
					waited <- err
					return
				}
			}
		}()
		eventually(t, "the queue is as full as it gets", func() bool { n, _ := r.session.Buffered(); return n > 50_000 })
		cancel()
		if err := <-waited; !errors.Is(err, context.Canceled) {
			t.Errorf("SendWait: %v", err)
		}
		for range 40 {
			if err := r.session.Append(&m, false); err != nil {
				t.Fatalf("Append: %v", err)
			}
		}
	})
	t.Run("DropVolatile", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, Options{OutboundPackets: 10, Overflow: DropVolatile}, false)
		defer f.close()
		sid, r := f.openPolling()
		// A pending poll makes the session writable; nothing leaves until the flush.
		body := make(chan string)
		go func() {
			_, b, _ := f.do("GET", base+"&sid="+sid, "")
			body <- b
		}()
		eventually(t, "the poll is pending", func() bool {
			r.session.mu.Lock()
			defer r.session.mu.Unlock()
			return r.session.poll != nil
		})
		var m, volatile Message
		m.AppendText([]byte("m"))
		volatile.AppendText([]byte("v"))
		for i := range 14 {
			if err := r.session.Append(&m, false); i < 10 && err != nil {
				t.Errorf("message %d: %v", i, err)
			}
			if i < 5 {
				_ = r.session.Append(&volatile, true)
			}
			if i == 9 {
				break
			}
		}
		r.session.Flush()
		if got := <-body; got != strings.TrimSuffix(strings.Repeat("4m\x1e", 10), "\x1e") {
			t.Errorf("poll %q", got)
		}
	})
	t.Run("message larger than the budget", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, Options{OutboundBytes: 1000}, false)
		defer f.close()
		c, r := f.openWS()
		if err := r.session.SendText(append(kilobyte, kilobyte...)); !errors.Is(err, ErrOutboundFull) {
			t.Errorf("err %v", err)
		}
		if err := r.session.SendText([]byte("fits")); err != nil {
			t.Errorf("the peer was blamed: %v", err)
		}
		if m := c.read(); m != "4fits" {
			t.Errorf("read %q", m)
		}
		c.conn.Close()
	})
}

// Engine rule 6, inbound: reading stops at the bound and the pong clock with it; it goes on when half
// is handled.
func TestInboundBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var charged, peak atomic.Int64
		release := make(chan struct{})
		var session *Session
		closed := make(chan Reason, 1)
		f := serve(t, Options{InboundBytes: 100_000}, func(s *Session) *handlerFunc {
			session = s
			return &handlerFunc{func(d []byte) {
				s.Charge(1, len(d))
				peak.Store(max(peak.Load(), charged.Add(int64(len(d)))))
				go func() {
					<-release
					charged.Add(-int64(len(d)))
					s.Discharge(1, len(d))
				}()
			}, closed}
		})
		defer f.close()
		c := f.dial("")
		c.read()
		sent := make(chan struct{})
		go func() { // 10 MB into 64 KiB of pipe and 100 kB of budget
			for range 1000 {
				c.send("4" + strings.Repeat("x", 10_000))
			}
			c.send("3")
			close(sent)
		}()
		synctest.Wait()
		if n := charged.Load(); n < 100_000 || n > 110_001 {
			t.Errorf("%d bytes accepted, want the bound and one message more", n)
		}
		// Two minutes without reading: no ping timeout, for it is we who do not read.
		<-time.After(2 * time.Minute)
		if len(closed) != 0 {
			t.Fatalf("session ended: %s", <-closed)
		}
		close(release)
		go func() { // answer pings
			for {
				if strings.HasPrefix(c.read(), "error") {
					return
				}
				select {
				case <-sent:
					_, _ = c.conn.Write(masked(wsframe.Text, "3"))
				default:
				}
			}
		}()
		<-sent
		synctest.Wait()
		if charged.Load() != 0 || peak.Load() > 130_000 {
			t.Errorf("%d left, peak %d", charged.Load(), peak.Load())
		}
		session.Close(ReasonForcedClose)
		<-closed
		c.conn.Close()
	})
}

// Only while a handler awaits the peer's answer does reading go on, to twice the bound.
func TestInboundBudgetWhileAwaiting(t *testing.T) {
	t.Parallel()
	seen, closed := make(chan string, 100), make(chan Reason, 1)
	sessions := make(chan *Session, 1)
	f := serve(t, Options{InboundEvents: 10}, func(s *Session) *handlerFunc {
		sessions <- s
		return &handlerFunc{func(d []byte) {
			if string(d) != "answer" {
				s.Charge(1, 1)
			}
			seen <- string(d)
		}, closed}
	})
	defer f.close()
	c := f.dial("")
	c.read()
	session := <-sessions
	for range 15 {
		c.send("4e")
	}
	c.send("4answer")
	for range 11 {
		<-seen
	}
	session.Await()
	for range 4 {
		<-seen
	}
	if m := <-seen; m != "answer" {
		t.Errorf("got %q", m)
	}
	session.Resume()
	for range 15 {
		session.Discharge(1, 1)
	}
	session.Await()
	for range 25 {
		c.send("4e")
	}
	if reason := <-closed; reason != ReasonInboundOverflow {
		t.Errorf("reason %q", reason)
	}
	if f.server.Stats().Closed[ReasonInboundOverflow] != 1 {
		t.Errorf("%+v", f.server.Stats())
	}
	c.conn.Close()
}

// A peer that pipelines and takes no answers is slowed down through its inbound budget, and is gone when
// it has taken nothing for as long as a pong may be missing.
func TestAwaitRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan Reason, 1)
		events := make(chan []byte, 1<<16)
		var ended sync.WaitGroup
		f := serve(t, Options{InboundBytes: 100_000, OutboundBytes: 200_000}, func(s *Session) *handlerFunc {
			ended.Go(func() {
				for d := range events {
					s.AwaitRoom(nil)
					_ = s.SendText(d)
					s.Discharge(1, len(d))
				}
			})
			return &handlerFunc{func(d []byte) {
				s.Charge(1, len(d))
				events <- append([]byte(nil), d...)
			}, closed}
		})
		defer f.close()
		c := f.dial("")
		c.read()
		go func() {
			event := masked(wsframe.Text, "4"+strings.Repeat("x", 10_000))
			for {
				if _, err := c.conn.Write(event); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		if reason := <-closed; reason != ReasonPingTimeout {
			t.Errorf("reason %q", reason)
		}
		if d := time.Since(start); d < 40*time.Second || d > 70*time.Second {
			t.Errorf("ended after %v", d)
		}
		if n := f.server.Stats().Closed[ReasonOutboundOverflow]; n != 0 {
			t.Errorf("%d outbound overflows", n)
		}
		c.conn.Close()
		close(events)
		ended.Wait()
	})
}
