package engineio

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wheel"
)

// What the policy at the end of the outbound budget does is counted, by policy.
func TestOverflowIsCounted(t *testing.T) {
	t.Parallel()
	message := func(n int) *Message {
		m := new(Message)
		m.AppendText([]byte(strings.Repeat("x", n)))
		m.AppendBinary([]byte("attachment"))
		return m
	}
	type counts struct{ newest, volatile, evicted, large, closed uint64 }
	for _, tt := range []struct {
		policy Overflow
		want   counts
	}{
		{Disconnect, counts{large: 1, closed: 1}},
		{DropNewest, counts{newest: 5, volatile: 1, large: 1}},
		{DropVolatile, counts{volatile: 3, evicted: 3, large: 1, closed: 1}},
	} {
		inLabs(t, Options{OutboundBytes: 1000, Overflow: tt.policy}, func(l *lab) {
			c, r := l.webSocket()
			s := r.session
			for range 3 { // a broadcast has them queued, and nothing has left
				if err := s.Append(message(100), true); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Append(message(1000), false); !errors.Is(err, ErrOutboundFull) {
				t.Errorf("too large: %v", err)
			}
			full := false
			for i := range 5 {
				err := s.Append(message(700), false)
				ended := full && tt.policy != DropNewest && errors.Is(err, ErrClosed) // on a goroutine of its own, maybe already
				if ok := err == nil; ok != (tt.policy == DropVolatile && i == 0) || !ok && !errors.Is(err, ErrOutboundFull) && !ended {
					t.Errorf("%d: message %d: %v", tt.policy, i, err)
				}
				full = full || err != nil
			}
			c.pipe.SetReadBuffer(0)
			s.Flush()
			synctest.Wait()
			if err := s.Append(message(1), true); !errors.Is(err, ErrNotWritable) && !errors.Is(err, ErrClosed) {
				t.Errorf("volatile: %v", err)
			}
			got := l.server.Stats()
			if g := (counts{got.NewestDropped, got.VolatileDropped, got.VolatileEvicted, got.TooLarge, got.Closed[ReasonOutboundOverflow]}); g != tt.want {
				t.Errorf("policy %d: %+v, want %+v", tt.policy, g, tt.want)
			}
			if len(r.closed) > 0 {
				if reason := <-r.closed; reason != ReasonOutboundOverflow {
					t.Errorf("reason %q", reason)
				}
			}
			_ = c.conn.Close()
		})
	}
}

// A peer that takes nothing costs its budget and little more, however much is sent to it, in whatever sizes.
func TestStalledMemory(t *testing.T) {
	t.Parallel()
	const budget = 256 << 10
	for _, size := range []int{0, 10, 100, 3000, shareFrom, 100_000} {
		inLabs(t, Options{OutboundBytes: budget, OutboundPackets: 1 << 20, Overflow: DropNewest}, func(l *lab) {
			c, r := l.webSocket()
			c.pipe.SetReadBuffer(1)
			s := r.session
			var m Message
			m.AppendText([]byte(strings.Repeat("x", size)))
			if err := s.Send(&m); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // it stalls with that in its hand
			sent, refused := 0, 0
			for sent < 10*budget {
				if err := s.Send(&m); err != nil {
					refused++
				}
				sent += m.Len()
			}
			synctest.Wait()
			s.mu.Lock()
			costs := len(s.out.parts) * 100
			shared := map[*byte]bool{}
			for _, p := range s.out.parts {
				if p.shared != nil && !shared[&p.shared[0]] {
					shared[&p.shared[0]] = true
					costs += cap(p.shared)
				}
			}
			costs += cap(s.out.buf)
			s.mu.Unlock()
			if costs > budget*3/2 || refused == 0 {
				t.Errorf("messages of %d bytes: %d bytes are kept, %d messages were refused", size, costs, refused)
			}
			if bytes, _ := s.Buffered(); bytes > budget || bytes < budget/2 {
				t.Errorf("messages of %d bytes: %d bytes are queued", size, bytes)
			}
			_ = c.conn.Close()
			<-r.closed
			l.expectReleased()
		})
	}
}

// When everything has stood still for an hour, a laptop that slept or a process that was stopped, each session is asked for a
// sign of life once, and those that answer live on.
func TestHourInOneStep(t *testing.T) {
	t.Parallel()
	const sessions = 200
	inLab(t, Options{}, func(l *lab) {
		live := make([]*recorder, 0, 2*sessions)
		dead := make([]*recorder, 0, sessions)
		pings := make(chan time.Time, 1<<16)
		answer := func(c *raw) {
			for {
				switch got := c.read(); {
				case got == "2":
					pings <- time.Now()
					c.send("3")
				case strings.HasPrefix(got, "error"):
					_ = c.conn.Close()
					return
				}
			}
		}
		var clients []*raw
		for i := range 2 * sessions {
			c, r := l.webSocket()
			clients = append(clients, c)
			if i%2 == 0 {
				go answer(c)
				live = append(live, r)
				continue
			}
			dead = append(dead, r)
		}
		_, polling := l.chat()
		dead = append(dead, polling)
		<-time.After(10 * time.Second)
		woken := make(chan bool)
		l.server.wheel.Schedule(new(wheel.Timer), 0, func() { <-time.After(time.Hour); close(woken) })
		<-woken
		begun := time.Now()
		synctest.Wait()
		if n := len(pings); n != len(live) {
			t.Errorf("%d pings to %d clients", n, len(live))
		}
		for len(pings) > 0 {
			if d := (<-pings).Sub(begun); d != 0 {
				t.Errorf("a ping after %v", d)
			}
		}
		for _, r := range dead {
			l.expectEnd(r, ReasonPingTimeout, begun, l.server.opts.PingTimeout)
		}
		<-time.After(50 * time.Second) // two more of each
		if n := len(pings); n != 2*len(live) {
			t.Errorf("%d pings to %d clients", n, len(live))
		}
		for _, r := range live {
			if len(r.closed) > 0 {
				t.Errorf("one that answers has ended: %s", <-r.closed)
			}
		}
		if stats := l.server.Stats(); stats.Closed[ReasonPingTimeout] != uint64(len(dead)) || stats.Sessions != len(live) {
			t.Errorf("%+v", stats)
		}
		for _, c := range clients {
			_ = c.conn.Close()
		}
		synctest.Wait()
		l.expectReleased()
	})
}
