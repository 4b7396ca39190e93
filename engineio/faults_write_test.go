package engineio

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// sizes are places in a stream of n bytes: all where frames are small, and some of those inside a large one.
func sizes(n int) (at []int) {
	for i := 0; i <= n; i++ {
		if i < 300 || i > n-40 || i%97 == 0 {
			at = append(at, i)
		}
	}
	return at
}

// script is what the server says: frames that are copied together, one that is shared, and some behind it.
func script(s *Session) (stream string, err error) {
	large := strings.Repeat("large", shareFrom/5+1)
	var all Message
	for i := range 8 {
		err = errors.Join(err, s.SendText(fmt.Appendf(nil, "small %d", i)))
		all.AppendText(fmt.Appendf(nil, "small %d", i))
	}
	var m Message
	m.AppendText([]byte(large))
	m.AppendBinary([]byte{1, 2, 3})
	err = errors.Join(err, s.Send(&m))
	all.AppendText([]byte(large))
	all.AppendBinary([]byte{1, 2, 3})
	for i := range 3 {
		err = errors.Join(err, s.SendText(fmt.Appendf(nil, "last %d", i)))
		all.AppendText(fmt.Appendf(nil, "last %d", i))
	}
	return string(all.frames), err
}

// A connection that takes any number of bytes at a time, and then nothing until they are read, gets every byte once and in order.
func TestPartialWrites(t *testing.T) {
	t.Parallel()
	var whole string
	inLab(t, Options{}, func(l *lab) { whole, _ = script(l.socket().session) })
	inLabs(t, Options{}, func(l *lab) {
		for _, size := range sizes(len(whole)) {
			c, r := l.webSocket()
			c.pipe.SetReadBuffer(size)
			if _, err := script(r.session); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // it has taken what it takes
			if size < len(whole) {
				if bytes, _ := r.session.Buffered(); bytes == 0 {
					t.Errorf("%d: nothing waits", size)
				}
				var volatile Message
				volatile.AppendText([]byte("volatile"))
				if err := r.session.Append(&volatile, true); !errors.Is(err, ErrNotWritable) {
					t.Errorf("%d: volatile: %v", size, err)
				}
			}
			if size == 0 {
				c.pipe.SetReadBuffer(1)
			}
			got := make([]byte, len(whole))
			if _, err := io.ReadFull(c.r, got); err != nil || string(got) != whole {
				t.Fatalf("%d: %v, something else came", size, err)
			}
			synctest.Wait()
			if bytes, packets := r.session.Buffered(); bytes != 0 || packets != 0 {
				t.Errorf("%d: %d bytes, %d packets left in the budget", size, bytes, packets)
			}
			_ = c.conn.Close()
			<-r.closed
		}
		l.expectReleased()
	})
}

// A connection that breaks at any byte of what is written to it ends the session at once.
func TestResetWhileWriting(t *testing.T) {
	t.Parallel()
	var whole string
	inLab(t, Options{}, func(l *lab) { whole, _ = script(l.socket().session) })
	for _, buffer := range []int{64 << 10, 7} { // at a direct write, and at one that waits
		inLabs(t, Options{}, func(l *lab) {
			for _, at := range sizes(len(whole) - 1) {
				c, r := l.webSocket()
				c.pipe.ResetAfter(at)
				c.pipe.SetReadBuffer(buffer)
				begun := time.Now()
				_, _ = script(r.session) // it may have ended on the way
				_, _ = io.CopyN(io.Discard, c.r, int64(at))
				l.expectEnd(r, "transport", begun, 0) // error or close, whoever notices first
				_ = c.conn.Close()
			}
			l.expectReleased()
		})
	}
}

// The same for the answers to polls: what comes in pieces is whole, and one that breaks ends the session, unless it was so
// small that only the heartbeat can notice.
func TestPartialPolls(t *testing.T) {
	t.Parallel()
	inLab(t, Options{}, func(l *lab) {
		for _, size := range []int{1, 2, 3, 5, 8, 13, 100, 1000, 4000} {
			c, r := l.chat()
			c.pipe.SetReadBuffer(size)
			if _, err := script(r.session); err != nil {
				t.Fatal(err)
			}
			c.write(get(r.session.ID()))
			_, body := c.answer()
			if got := strings.Split(body, "\x1e"); len(got) != 13 || got[9] != "bAQID" || got[12] != "4last 2" {
				t.Errorf("%d: %.200q", size, got)
			}
			synctest.Wait()
			if bytes, packets := r.session.Buffered(); bytes != 0 || packets != 0 {
				t.Errorf("%d: %d bytes, %d packets left in the budget", size, bytes, packets)
			}
			_ = c.conn.Close()
		}
		<-time.After(45 * time.Second)
		l.expectReleased()
	})
	inLab(t, Options{}, func(l *lab) {
		for at := 0; at < 4000; at += 31 {
			c, r := l.chat()
			if _, err := script(r.session); err != nil {
				t.Fatal(err)
			}
			c.pipe.ResetAfter(at)
			begun := time.Now()
			c.write(get(r.session.ID()))
			l.expectEnd(r, ReasonTransportError, begun, 0)
			_ = c.conn.Close()
		}
		l.expectReleased()
	})
}

// A peer that pings while it takes nothing is not answered when the budget is used up, but it is heard all the same.
func TestPingOverBudget(t *testing.T) {
	t.Parallel()
	for _, policy := range []Overflow{DropNewest, DropVolatile, Disconnect} {
		inLabs(t, Options{OutboundBytes: 1000, Overflow: policy}, func(l *lab) {
			c, r := l.webSocket()
			c.pipe.SetReadBuffer(0)
			l.fill(r.session)
			c.write(string(masked(wsframe.Ping, strings.Repeat("p", 100))), frame("4heard"))
			synctest.Wait()
			if policy != DropNewest {
				l.expectEnd(r, ReasonOutboundOverflow, time.Now(), 0)
				return
			}
			if len(r.messages) != 1 || len(r.closed) != 0 {
				t.Errorf("%d messages, %d ends", len(r.messages), len(r.closed))
			}
			c.pipe.SetReadBuffer(1 << 10)
			var got []string
			for len(got) == 0 || got[len(got)-1] != "4it goes on" {
				if got = append(got, c.read()); len(got) == 10 {
					l.send("it goes on")
				}
			}
			if slices.ContainsFunc(got, func(m string) bool { return strings.HasPrefix(m, "pong") }) {
				t.Error("the ping was answered over the budget")
			}
			_ = c.conn.Close()
		})
	}
}

// fill uses up all of the budget but less than a hundred bytes.
func (l *lab) fill(s *Session) {
	l.t.Helper()
	for {
		if n, _ := s.Buffered(); n > s.server.opts.OutboundBytes-100 {
			return
		}
		if err := s.SendText([]byte(strings.Repeat("x", 90))); err != nil {
			l.t.Fatal(err)
		}
	}
}

// webSocket opens a session over WebSocket.
func (l *lab) webSocket() (*raw, *recorder) {
	l.t.Helper()
	c := l.connect(upgrade(""))
	c.answer()
	if open := c.read(); open[0] != '0' {
		l.t.Fatalf("open packet %q", open)
	}
	return c, <-l.sessions
}

func (l *lab) socket() *recorder {
	c, r := l.webSocket()
	go func() { _, _ = io.Copy(io.Discard, c.r); _ = c.conn.Close() }()
	return r
}
