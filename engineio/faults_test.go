package engineio

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wsframe"
)

// lab is a fixture for faults: its sessions are called "session", "session-2" and so on, its HTTP server has the deadlines of
// perch's own, and at the end it looks whether everything was released.
type lab struct {
	*fixture
	log    strings.Builder // of the HTTP server, which reports panics there
	opened int
}

// inLabs runs a test on connections that are written to directly and on such as are not, see stream.Conn.
func inLabs(t *testing.T, o Options, test func(l *lab)) {
	t.Helper()
	inLab(t, o, test)
	inLab(t, o, func(l *lab) {
		l.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.server.ServeHTTP(portableHijacker{w}, r) })
		test(l)
	})
}

// portableHijacker gives away connections that hide what they are.
type portableHijacker struct{ http.ResponseWriter }

func (h portableHijacker) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h portableHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	return struct{ net.Conn }{conn}, rw, err
}

// inLab runs a test in a bubble of fake time, whose end is the proof that no goroutine is left.
func inLab(t *testing.T, o Options, test func(l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := new(lab)
		o.GenerateID = func(*http.Request) (string, error) {
			if l.opened++; l.opened > 1 {
				return fmt.Sprint("session-", l.opened), nil
			}
			return "session", nil
		}
		l.fixture = newFixture(t, o, false, func(s *http.Server) {
			s.ReadHeaderTimeout, s.IdleTimeout = 10*time.Second, 2*time.Minute
			s.ErrorLog = log.New(&l.log, "", 0)
		})
		test(l)
		l.close()
		if got := l.log.String(); strings.Contains(got, "panic") {
			t.Error(got)
		}
	})
}

// expectReleased wants nothing to be left of any session, without the help of Shutdown.
func (l *lab) expectReleased() {
	l.t.Helper()
	synctest.Wait()
	s := l.server
	if n := s.Sessions(); n != 0 {
		l.t.Errorf("%d sessions are left", n)
	}
	for i := range s.sessions.shards {
		if n := len(s.sessions.shards[i].sessions); n != 0 {
			l.t.Errorf("%d ids are left", n)
		}
	}
	// A sweep that was due anyway comes, and finds nobody.
	<-time.After(s.readers.after)
	synctest.Wait()
	for i := range s.readers.shards {
		if n := len(s.readers.shards[i].sockets); n != 0 {
			l.t.Errorf("%d readers are watched", n)
		}
	}
	if n := s.wheel.Len(); n != 0 {
		l.t.Errorf("%d timers are left", n)
	}
	if n := s.goroutines.n.Load(); n != 0 {
		l.t.Errorf("%d goroutines are left", n)
	}
	if s.hold.Load() != nil {
		l.t.Error("a hold is left")
	}
	stats, closed := s.Stats(), uint64(0)
	for _, n := range stats.Closed {
		closed += n
	}
	if closed != stats.Opened {
		l.t.Errorf("%d sessions opened, %d closed", stats.Opened, closed)
	}
}

// expectEnd wants a session to end with that reason, or one that begins so, once, when so much time has passed since begun, less a few ticks of the wheel.
func (l *lab) expectEnd(r *recorder, reason Reason, begun time.Time, after time.Duration) {
	l.t.Helper()
	if got := <-r.closed; !strings.HasPrefix(string(got), string(reason)) {
		l.t.Errorf("reason %q, want %q", got, reason)
	}
	if d := time.Since(begun); d > after || d < after-2*l.server.opts.tick() {
		l.t.Errorf("ended after %v, want %v", d, after)
	}
	synctest.Wait()
	if len(r.closed) != 0 {
		l.t.Error("closed twice")
	}
	r.session.mu.Lock()
	defer r.session.mu.Unlock()
	if s := r.session; s.out != nil || s.poll != nil || s.upgrade != nil || s.room != nil || s.resume != nil || s.state != closed {
		l.t.Errorf("the session holds on to something: %+v", s)
	}
}

// raw is one connection of a client that writes bytes.
type raw struct {
	*wsClient
	pipe *stream.PipeConn
}

// connect opens a connection. Bytes may be written to it at once.
func (l *lab) connect(text ...string) *raw {
	l.t.Helper()
	conn, err := l.listener.Dial()
	if err != nil {
		l.t.Fatal(err)
	}
	c := &raw{&wsClient{l.t, conn, bufio.NewReader(conn)}, conn.(*stream.PipeConn)}
	c.write(text...)
	return c
}

func (c *raw) write(text ...string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(strings.Join(text, ""))); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads an answer of HTTP.
func (c *raw) answer() (status int, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if status = resp.StatusCode; status == http.StatusSwitchingProtocols {
		return status, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return status, string(b)
}

// get and post are requests of a polling client.
func get(sid string) string { return "GET " + target(sid) }

func post(sid, body string) string {
	return fmt.Sprintf("POST %sContent-Length: %d\r\n\r\n%s", strings.TrimSuffix(target(sid), "\r\n"), len(body), body)
}

func target(sid string) string {
	if sid != "" {
		sid = "&sid=" + sid
	}
	return "/engine.io/?EIO=4&transport=polling" + sid + " HTTP/1.1\r\nHost: perch.test\r\n\r\n"
}

// upgrade is the request of a WebSocket, for a session or a new one.
func upgrade(sid string) string {
	if sid != "" {
		sid = "&sid=" + sid
	}
	return fmt.Sprintf(wsRequest, sid)
}

func frame(packet string) string { return string(masked(wsframe.Text, packet)) }

// A peer that vanishes without a word, whatever it was in the middle of, is gone at the time of the heartbeat, or at the earlier
// one of what it was in the middle of.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	const heartbeat = 45 * time.Second // the defaults' interval and timeout
	chat := func(l *lab) *raw {        // a polling client that has had its first answer
		c := l.connect(get(""))
		c.answer()
		return c
	}
	socket := func(l *lab) *raw { // a WebSocket that has had its open packet
		c := l.connect(upgrade(""))
		c.answer()
		c.read()
		return c
	}
	for _, tt := range []struct {
		name   string
		vanish func(l *lab) *raw
		reason Reason
		after  time.Duration
	}{
		{"after the polling handshake", chat, ReasonPingTimeout, heartbeat},
		{"before it was answered", func(l *lab) *raw {
			conn := l.connect()
			conn.pipe.SetReadBuffer(0)
			conn.write(get(""))
			return conn
		}, ReasonPingTimeout, heartbeat},
		{"while a poll is pending", func(l *lab) *raw { c := chat(l); c.write(get("session")); return c }, ReasonPingTimeout, heartbeat},
		{"while a poll is pending, taking nothing", func(l *lab) *raw {
			c := chat(l)
			c.pipe.SetReadBuffer(0)
			c.write(get("session"))
			return c
		}, ReasonPingTimeout, heartbeat},
		{"in the middle of a poll's head", func(l *lab) *raw { c := chat(l); c.write(get("session")[:20]); return c }, ReasonPingTimeout, heartbeat},
		{"in the middle of a body", func(l *lab) *raw {
			c := chat(l)
			p := post("session", "4half of it")
			c.write(p[:len(p)-4])
			return c
		}, ReasonTransportError, DefaultBodyTimeout},
		{"in the middle of a body that began late", func(l *lab) *raw {
			c := chat(l)
			<-time.After(20 * time.Second)
			p := post("session", "4half of it")
			c.write(p[:len(p)-4])
			return c
		}, ReasonPingTimeout, heartbeat},
		{"while a large answer is on its way", func(l *lab) *raw {
			c := chat(l)
			c.pipe.SetReadBuffer(100)
			l.send(strings.Repeat("x", 50_000))
			c.write(get("session"))
			return c
		}, ReasonTransportError, DefaultAnswerTimeout},
		{"after the WebSocket handshake", socket, ReasonPingTimeout, heartbeat},
		{"before that was answered", func(l *lab) *raw {
			c := l.connect()
			c.pipe.SetReadBuffer(0)
			c.write(upgrade(""))
			return c
		}, ReasonPingTimeout, heartbeat},
		{"in the middle of a frame's header", func(l *lab) *raw { c := socket(l); c.write(frame("4message")[:3]); return c }, ReasonPingTimeout, heartbeat},
		{"in the middle of a frame", func(l *lab) *raw { c := socket(l); c.write(frame("4message")[:9]); return c }, ReasonPingTimeout, heartbeat},
		{"between two fragments", func(l *lab) *raw {
			c := socket(l)
			first := masked(wsframe.Text, "4mess")
			first[0] &^= 0x80
			c.write(string(first))
			return c
		}, ReasonPingTimeout, heartbeat},
		{"while it is written to", func(l *lab) *raw {
			c := socket(l)
			c.pipe.SetReadBuffer(100)
			l.send(strings.Repeat("x", 50_000))
			return c
		}, ReasonPingTimeout, heartbeat},
		{"while the upgrade is asked for", func(l *lab) *raw { chat(l); return l.connect(upgrade("session")[:40]) }, ReasonPingTimeout, heartbeat},
		{"before the probe", func(l *lab) *raw { chat(l); return l.connect(upgrade("session")) }, ReasonPingTimeout, heartbeat},
		{"in the middle of the probe", func(l *lab) *raw {
			chat(l)
			return l.connect(upgrade("session"), frame("2probe")[:7])
		}, ReasonPingTimeout, heartbeat},
		{"after the probe, not taking the answer", func(l *lab) *raw {
			chat(l)
			c := l.connect()
			c.pipe.SetReadBuffer(0)
			c.write(upgrade("session"), frame("2probe"))
			return c
		}, ReasonPingTimeout, heartbeat},
		{"after the probe, with a poll", func(l *lab) *raw {
			chat(l).write(get("session"))
			return l.connect(upgrade("session"), frame("2probe"))
		}, ReasonPingTimeout, heartbeat},
		{"in the middle of the upgrade packet", func(l *lab) *raw {
			chat(l)
			return l.connect(upgrade("session"), frame("2probe"), frame("5")[:4])
		}, ReasonPingTimeout, heartbeat},
		{"after the upgrade", func(l *lab) *raw {
			chat(l)
			return l.connect(upgrade("session"), frame("2probe"), frame("5"))
		}, ReasonPingTimeout, heartbeat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inLabs(t, Options{}, func(l *lab) {
				begun := time.Now()
				c := tt.vanish(l)
				synctest.Wait()
				l.expectEnd(<-l.sessions, tt.reason, begun, tt.after)
				if d := time.Since(begun); d < DefaultAnswerTimeout+20*time.Second {
					<-time.After(DefaultAnswerTimeout + 20*time.Second - d) // requests have deadlines of their own
				}
				l.expectReleased()
				_ = c.conn.Close()
			})
		})
	}
}

// A request that is not complete opens nothing, and HTTP's deadline ends it.
func TestHalfOpenHandshake(t *testing.T) {
	t.Parallel()
	for _, request := range []string{get(""), upgrade("")} {
		inLab(t, Options{}, func(l *lab) {
			begun := time.Now()
			c := l.connect(request[:len(request)-2])
			if _, err := io.ReadAll(c.r); err != nil {
				t.Error(err)
			}
			if d := time.Since(begun); d != 10*time.Second || len(l.sessions) != 0 {
				t.Errorf("after %v, %d sessions", d, len(l.sessions))
			}
			l.expectReleased()
			_ = c.conn.Close()
		})
	}
}

// send sends a message to the session of the lab.
func (l *lab) send(text string) {
	l.t.Helper()
	if err := l.server.sessions.find("session").SendText([]byte(text)); err != nil {
		l.t.Fatal(err)
	}
}
