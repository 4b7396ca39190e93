package engineio

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// chat opens the lab's session over polling and returns the connection and the server's side.
func (l *lab) chat() (*raw, *recorder) {
	l.t.Helper()
	c := l.connect(get(""))
	if status, body := c.answer(); status != 200 || body[0] != '0' {
		l.t.Fatalf("handshake: %d %q", status, body)
	}
	return c, <-l.sessions
}

// expect wants that answer on a connection.
func (c *raw) expect(want string) {
	c.t.Helper()
	status, body := c.answer()
	if status == 400 { // only its code matters
		body, _, _ = strings.Cut(strings.TrimPrefix(body, `{"code":`), ",")
	}
	if got := fmt.Sprint(status, " ", body); got != want {
		c.t.Errorf("answer %q, want %q", got, want)
	}
}

// Polls and posts that come early, late, twice or never. Each case ends with nothing left, at the time that is given.
func TestPollsOutOfOrder(t *testing.T) {
	t.Parallel()
	const heartbeat = 45 * time.Second
	for _, tt := range []struct {
		name   string
		run    func(l *lab, a *raw, r *recorder)
		reason Reason
		after  time.Duration
	}{
		{"the poll before its post", func(l *lab, a *raw, r *recorder) {
			b := l.connect()
			a.write(get("session"))
			synctest.Wait()
			b.write(post("session", "4question"))
			b.expect("200 ok")
			l.send("answer to " + <-r.messages)
			a.expect("200 4answer to question")
		}, ReasonPingTimeout, heartbeat},
		{"the post before its poll", func(l *lab, a *raw, r *recorder) {
			a.write(post("session", "4question"))
			a.expect("200 ok")
			l.send("answer to " + <-r.messages)
			<-time.After(20 * time.Second)
			a.write(get("session"))
			a.expect("200 4answer to question")
		}, ReasonPingTimeout, heartbeat},
		{"both in one write", func(l *lab, a *raw, r *recorder) {
			l.send("first")
			a.write(get("session"), post("session", "4one\x1e4two"), get("session"))
			a.expect("200 4first")
			a.expect("200 ok")
			l.send(<-r.messages + " " + <-r.messages)
			a.expect("200 4one two")
		}, ReasonPingTimeout, heartbeat},
		{"a second poll while one is pending", func(l *lab, a *raw, r *recorder) {
			a.write(get("session"))
			synctest.Wait()
			b := l.connect(get("session"))
			b.expect("400 3")
			a.expect("200 1")
		}, ReasonTransportError, 0},
		{"a third after that", func(l *lab, a *raw, r *recorder) {
			a.write(get("session"))
			synctest.Wait()
			b := l.connect(get("session"), get("session"), post("session", "4late"))
			b.expect("400 3")
			b.expect("400 1")
			b.expect("400 1")
			a.expect("200 1")
			if len(r.messages) != 0 {
				l.t.Error("a session that is over has handled something")
			}
		}, ReasonTransportError, 0},
		{"a second post while one is on its way", func(l *lab, a *raw, r *recorder) {
			p := post("session", "4first")
			a.write(p[:len(p)-2])
			synctest.Wait()
			b := l.connect(post("session", "4second"))
			b.expect("400 3")
			a.write(p[len(p)-2:])
			synctest.Wait()
			if len(r.messages) != 0 {
				l.t.Error("a session that is over has handled something")
			}
		}, ReasonTransportError, 0},
		{"a post during the upgrade", func(l *lab, a *raw, r *recorder) {
			b := l.connect(upgrade("session"), frame("2probe"))
			b.answer()
			if got := b.read(); got != "3probe" {
				l.t.Errorf("read %q", got)
			}
			a.write(post("session", "4meanwhile"))
			a.expect("200 ok")
			b.write(frame("5"), frame("4then"))
			if got := <-r.messages + " " + <-r.messages; got != "meanwhile then" {
				l.t.Error(got)
			}
			a.write(post("session", "4late")) // is refused, and harms nobody
			a.expect("400 3")
			l.send("goes on")
			if got := b.read(); got != "4goes on" {
				l.t.Errorf("read %q", got)
			}
		}, ReasonPingTimeout, heartbeat},
		{"a post that is half there when the upgrade completes", func(l *lab, a *raw, r *recorder) {
			p := post("session", "4first")
			a.write(p[:len(p)-2])
			synctest.Wait()
			b := l.connect(upgrade("session"), frame("2probe"), frame("5"))
			b.answer()
			synctest.Wait()
			a.write(p[len(p)-2:])
			a.expect("200 ok")
			if got := <-r.messages; got != "first" {
				l.t.Error(got)
			}
		}, ReasonPingTimeout, heartbeat},
		{"a poll whose client goes", func(l *lab, a *raw, r *recorder) {
			a.write(get("session"))
			synctest.Wait()
			_ = a.conn.Close()
		}, ReasonTransportError, 0},
		{"a poll that is reset", func(l *lab, a *raw, r *recorder) {
			a.write(get("session"))
			synctest.Wait()
			a.pipe.Reset()
		}, ReasonTransportError, 0},
		{"an answer that was lost, and a client that goes on", func(l *lab, a *raw, r *recorder) {
			l.send("lost")
			a.pipe.SetReadBuffer(0)
			a.write(get("session"))
			synctest.Wait()
			a.pipe.Reset()
			synctest.Wait()
			l.send("kept")
			b := l.connect(get("session"))
			b.expect("200 4kept")
		}, ReasonPingTimeout, heartbeat},
		{"a large answer that was lost", func(l *lab, a *raw, r *recorder) {
			l.send(strings.Repeat("x", 10_000))
			a.pipe.SetReadBuffer(500)
			a.write(get("session"))
			synctest.Wait()
			a.pipe.Reset()
		}, ReasonTransportError, 0},
		{"a pong that comes before its ping", func(l *lab, a *raw, r *recorder) {
			a.write(post("session", "3"))
			a.expect("200 ok")
		}, ReasonPingTimeout, heartbeat},
		{"a pong that comes late", func(l *lab, a *raw, r *recorder) {
			<-time.After(44 * time.Second)
			a.write(get("session"), post("session", "3"))
			a.expect("200 2")
			a.expect("200 ok")
		}, ReasonPingTimeout, 44*time.Second + heartbeat},
		{"a pong that comes too late", func(l *lab, a *raw, r *recorder) {
			<-time.After(46 * time.Second)
			a.write(post("session", "3"), get("session"))
			a.expect("400 1")
			a.expect("400 1")
		}, ReasonPingTimeout, heartbeat},
		{"a client that posts and does not poll", func(l *lab, a *raw, r *recorder) {
			for range 10 {
				<-time.After(4 * time.Second)
				a.write(post("session", "4still here"))
				a.expect("200 ok")
			}
		}, ReasonPingTimeout, 48 * time.Second}, // what came at 28 s has given it more time, once
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inLab(t, Options{}, func(l *lab) {
				begun := time.Now()
				a, r := l.chat()
				tt.run(l, a, r)
				synctest.Wait()
				if ran := time.Since(begun); tt.after <= ran { // it ended while that ran, or ends with it
					begun = time.Now().Add(-tt.after)
				}
				l.expectEnd(r, tt.reason, begun, tt.after)
				<-time.After(DefaultBodyTimeout)
				l.expectReleased()
			})
		})
	}
}
