package socketio

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/engineio"
)

// A room of a thousand with one that reads nothing: the others get everything at the moment it is sent, in order, what is kept for the
// one is bounded, and what the policy does about it is seen in counters and in the reason that its socket leaves with.
func TestSlowReaderInRoom(t *testing.T) {
	t.Parallel()
	const (
		members  = 1000
		messages = 24
		size     = 1000
		budget   = 10_000
	)
	for _, tt := range []struct {
		name   string
		policy engineio.Overflow
		stall  func(l *lab) *line // joins and stops reading
		volatile,
		cut bool
	}{
		{"Disconnect", engineio.Disconnect, stalled, false, true},
		{"DropNewest", engineio.DropNewest, stalled, false, false},
		{"DropVolatile", engineio.DropVolatile, stalled, false, true},
		{"DropVolatile, volatile events", engineio.DropVolatile, stalled, true, false},
		{"Disconnect, polling", engineio.Disconnect, unpolled, false, true},
		{"DropNewest, polling", engineio.DropNewest, unpolled, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inLab(t, Options{Engine: engineio.Options{OutboundBytes: budget, Overflow: tt.policy}}, func(l *lab) {
				var sent time.Time
				got := make([]int, members-1)
				var others []*line
				for i := range got {
					c := l.join()
					others = append(others, c)
					go func() {
						for {
							m, err := readFrame(c.r)
							if err != nil {
								return
							}
							if m == "2" {
								_, _ = c.Write([]byte(text("3")))
								continue
							}
							if !strings.HasPrefix(m.(string), `42["news",`+strconv.Itoa(got[i])+",") || !time.Now().Equal(sent) {
								t.Errorf("%.30q after %v, want number %d", m, time.Since(sent), got[i])
							}
							got[i]++
						}
					}()
				}
				slow := tt.stall(l)
				var session *engineio.Session
				for s := range l.Of("/").Sockets() {
					_ = s.Join("room")
					if id := fmt.Sprint("session-", members); s.Conn().ID() == id {
						session = s.Conn()
					}
				}
				synctest.Wait()
				payload, most := strings.Repeat("x", size), 0
				for i := range messages {
					sent = time.Now()
					room := l.Of("/").To("room")
					if tt.volatile {
						room = room.Volatile()
					}
					if err := room.Emit("news", i, payload); err != nil {
						t.Fatal(err)
					}
					bytes, _ := session.Buffered()
					most = max(most, bytes)
					synctest.Wait()
					<-time.After(2 * time.Millisecond)
				}
				for i, n := range got {
					if n != messages {
						t.Fatalf("member %d got %d of %d", i, n, messages)
					}
				}
				stats := l.Engine().Stats()
				if most > budget || most < size || stats.Closed[engineio.ReasonOutboundOverflow] != uint64(one(tt.cut)) {
					t.Errorf("%d bytes were queued, %v", most, stats.Closed)
				}
				if n := len(l.reasons); n != one(tt.cut) || n > 0 && l.reasons[0] != ReasonOutboundOverflow {
					t.Errorf("left: %q", l.reasons)
				}
				dropped := stats.NewestDropped
				if tt.volatile {
					dropped = stats.VolatileDropped
				}
				if (dropped > messages/2 && dropped < messages) == tt.cut {
					t.Errorf("%d were dropped", dropped)
				}
				for _, c := range append(others, slow) {
					_ = c.Close()
				}
				reasons := []Reason{ReasonTransportClose, ReasonTransportError, ReasonPingTimeout}
				if tt.cut {
					reasons = append(reasons, ReasonOutboundOverflow)
				}
				l.expectReleased(heartbeat, reasons...)
			})
		})
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// join connects a client over WebSocket.
func (l *lab) join() *line {
	l.t.Helper()
	c := l.connect()
	if !c.write(openSocket) || c.answer() == "" || c.frame() == "" || !c.write(text("40")) || c.frame() == "" {
		l.t.Fatal("not connected")
	}
	return c
}

func stalled(l *lab) *line {
	c := l.join()
	c.SetReadBuffer(0)
	return c
}

func unpolled(l *lab) *line {
	c := l.connect()
	sid := "sid=session"
	if l.joined > 0 {
		sid += fmt.Sprint("-", l.joined+1)
	}
	for _, request := range []string{openPoll, post("40"), nextPoll} {
		if !c.write(strings.Replace(request, "sid=session", sid, 1)) || c.answer() == "" {
			l.t.Fatal("not connected")
		}
	}
	return c
}

// Whatever the policy, a client is not left in the dark about which namespaces it is in: what it cannot be told ends its connection.
func TestClientIsNotLeftInTheDark(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(c *line, s *Socket)
	}{
		{"DISCONNECT", func(_ *line, s *Socket) { s.Disconnect(false) }},
		{"the answer to CONNECT", func(c *line, _ *Socket) { c.write(text("40/other,")) }},
		{"CONNECT_ERROR", func(c *line, _ *Socket) { c.write(text("40/nowhere,")) }},
	} {
		for _, room := range []bool{true, false} {
			inLab(t, Options{Engine: engineio.Options{OutboundBytes: 2000, Overflow: engineio.DropNewest}}, func(l *lab) {
				l.Of("/other")
				c := stalled(l)
				var socket *Socket
				for s := range l.Of("/").Sockets() {
					socket = s
				}
				for room := socket; !room.full(); {
					_ = room.Emit("x", strings.Repeat("x", 200))
				}
				for !room && socket.Emit("") == nil {
				}
				tt.do(c, socket)
				synctest.Wait()
				ended := l.Engine().Stats().Closed[engineio.ReasonOutboundOverflow] == 1
				if ended == room {
					t.Errorf("%s: ended is %t, there was room: %t", tt.name, ended, room)
				}
				c.SetReadBuffer(1 << 16)
				_ = c.Close()
				_, _ = io.Copy(io.Discard, c.r)
				l.expectReleased(heartbeat, ReasonOutboundOverflow, ReasonTransportClose, ReasonTransportError, ReasonServerNamespaceDisconnect)
			})
		}
	}
}

// full reports whether there is no room for 250 bytes more.
func (s *Socket) full() bool {
	n, _ := s.Conn().Buffered()
	return n > s.conn.server.opts.Engine.OutboundBytes-250
}
