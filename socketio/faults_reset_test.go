package socketio

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/stream"
)

// heartbeat is when the server knows at the latest that a client has gone, with the defaults.
const heartbeat = 45 * time.Second

// play is what a client does, on one connection or two. It goes on until a connection breaks.
type play struct {
	*lab
	lines   []*line
	heard   []string // what has arrived of the server's events, in order
	polling bool     // a poll is pending on the first line
	moved   bool     // all of the upgrade packet was written
}

var event = regexp.MustCompile(`^42\["heard","(.*)"\]$`)

// take notes events among packets.
func (p *play) take(payload string) {
	for packet := range strings.SplitSeq(payload, "\x1e") {
		if m := event.FindStringSubmatch(packet); m != nil {
			p.heard = append(p.heard, m[1])
		}
	}
}

// overWebSocket is a client that begins there.
func (p *play) overWebSocket() {
	c := p.lines[0]
	if !c.write(openSocket) || c.answer() == "" || c.frame() == "" {
		return
	}
	if !c.write(text("40")) || c.frame() == "" {
		return
	}
	for _, send := range []string{
		text(`42["say","one"]`),
		text(`42["say","two"]`),
		text(`451-["say","three",{"_placeholder":true,"num":0}]`) + attachment("!"),
		text(`42["say","four"]`),
	} {
		if !c.write(send) {
			return
		}
		p.take(c.frame())
	}
}

// upgrading is a client that begins over polling, as those of JavaScript do.
func (p *play) upgrading() {
	a := p.lines[0]
	if !a.write(openPoll) || a.answer() == "" || !a.write(post("40")) || a.answer() == "" || !a.write(nextPoll) || a.answer() == "" {
		return
	}
	if !a.write(post(`42["say","one"]`)) || a.answer() == "" || !a.write(nextPoll) {
		return
	}
	p.take(a.answer())
	if p.polling = a.write(nextPoll); !p.polling {
		return
	}
	synctest.Wait()
	b := p.lines[1]
	if !b.write(otherSocket) || b.answer() == "" || !b.write(text("2probe")) || b.frame() != "3probe" {
		return
	}
	p.take(a.answer())
	if p.polling = false; a.cut {
		return
	}
	if p.moved = b.write(text("5")); !p.moved || !b.write(text(`42["say","two"]`)) {
		return
	}
	p.take(b.frame())
	if !b.write(text(`451-["say","three",{"_placeholder":true,"num":0}]`) + attachment("!")) {
		return
	}
	p.take(b.frame())
}

// perform plays what do does on n lines, of which one is cut after a number of its bytes. What it returns is how many bytes it wrote
// there.
func (l *lab) perform(n int, do func(*play), cut, limit int, fault func(*stream.PipeConn)) *play {
	p := &play{lab: l}
	for i := range n {
		c := l.connect()
		if i == cut {
			c.limit, c.fault = limit, fault
		}
		p.lines = append(p.lines, c)
	}
	do(p)
	synctest.Wait()
	return p
}

var (
	closing   = func(c *stream.PipeConn) { _ = c.Close() }
	resetting = func(c *stream.PipeConn) { c.Reset() }
	vanishing = func(c *stream.PipeConn) { c.SetReadBuffer(0) } // it neither sends nor takes anything any more
)

// close closes what a fault has left.
func (p *play) close() {
	for _, c := range p.lines {
		_ = c.Close()
	}
}

// A connection that is cut at any byte of what a client sends, properly, by a reset or without a word, or of what it is sent, ends what depends on it, at
// once or by the heartbeat. What was complete before has been handled, once and in order; the rest has not.
func TestCutAtEveryByte(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name string
		do   func(*stream.PipeConn)
	}{{"closed", closing}, {"reset", resetting}, {"silent", vanishing}, {"reset while it is written to", nil}} {
		for _, client := range []struct {
			name  string
			lines int
			do    func(*play)
		}{{"WebSocket", 1, (*play).overWebSocket}, {"polling", 2, (*play).upgrading}} {
			t.Run(fault.name+"/"+client.name, func(t *testing.T) {
				t.Parallel()
				bytes, answers := 0, 0
				inLab(t, Options{}, func(l *lab) {
					p := l.perform(client.lines, client.do, -1, 0, nil)
					bytes, answers = p.lines[0].wrote, int(p.lines[0].read)
					if got := len(p.heard); got < 3 || got != len(l.said) {
						t.Fatalf("heard %q, said %q", p.heard, l.said)
					}
					p.close()
					l.expectReleased(0, ReasonTransportClose)
				})
				perform := func(l *lab, limit int) *play {
					return l.perform(client.lines, client.do, 0, limit, fault.do)
				}
				if fault.do == nil {
					bytes = answers
					perform = func(l *lab, limit int) *play {
						return l.perform(client.lines, func(p *play) { p.lines[0].ResetAfter(limit); client.do(p) }, -1, 0, nil)
					}
				}
				for limit := range bytes {
					inLab(t, Options{}, func(l *lab) {
						p := perform(l, limit)
						if !slices.Equal(l.said[:len(p.heard)], p.heard) || len(l.said) > len(p.heard)+1 {
							t.Errorf("%d: said %q, heard %q", limit, l.said, p.heard)
						}
						if !strings.HasPrefix("one two three! four ", strings.Join(append(slices.Clone(l.said), ""), " ")) {
							t.Errorf("%d: said %q", limit, l.said)
						}
						within := heartbeat
						if l.joined == 0 { // ConnectTimeout is as long, and the client is still to hear of it
							within += 30 * time.Second
						}
						l.expectReleased(within, ReasonPingTimeout, ReasonTransportClose, ReasonTransportError)
						if p.close(); t.Failed() {
							t.Errorf("that was after %d bytes", limit)
						}
					})
				}
			})
		}
	}
}

// An upgrade that is cut at any byte, from either side, leaves the session on polling, where nothing is lost; once it is complete the
// session ends with its connection.
func TestUpgradeCutAtEveryByte(t *testing.T) {
	t.Parallel()
	bytes := 0
	inLab(t, Options{}, func(l *lab) {
		p := l.perform(2, (*play).upgrading, -1, 0, nil)
		bytes = p.lines[1].wrote
		p.close()
	})
	for _, fault := range []struct {
		name string
		do   func(*stream.PipeConn)
	}{{"closed", closing}, {"reset", resetting}, {"silent", vanishing}} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			for limit := range bytes {
				inLab(t, Options{}, func(l *lab) {
					p := l.perform(2, (*play).upgrading, 1, limit, fault.do)
					p.goOn(limit)
				})
			}
		})
	}
	// What the server writes on the new connection.
	for at := range len("HTTP/1.1 101 Switching Protocols\r\n") + 200 {
		inLab(t, Options{}, func(l *lab) {
			p := l.perform(2, func(p *play) {
				p.lines[1].ResetAfter(at)
				p.upgrading()
			}, -1, 0, nil)
			p.goOn(at)
		})
	}
}

// goOn is what follows a cut of the second line.
func (p *play) goOn(limit int) {
	l, t := p.lab, p.t
	defer p.close()
	if p.moved {
		l.expectReleased(heartbeat, ReasonPingTimeout, ReasonTransportClose, ReasonTransportError)
		return
	}
	synctest.Wait()
	var session *engineio.Session
	for s := range l.Of("/").Sockets() {
		session = s.Conn()
		if err := s.Emit("heard", "still there"); err != nil {
			t.Error(err)
		}
	}
	if session == nil || session.Transport() != engineio.Polling {
		t.Errorf("%d: the session is not on polling any more", limit)
		return
	}
	a := p.lines[0]
	if p.polling {
		p.take(a.answer())
	}
	for _, say := range []string{"two", "three"} {
		if !a.write(post(fmt.Sprintf(`42["say",%q]`, say))) || a.answer() != "ok" {
			t.Errorf("%d: the post failed", limit)
		}
	}
	for until := time.Now().Add(10 * time.Second); len(p.heard) < 4 && time.Now().Before(until) && a.write(nextPoll); {
		p.take(a.answer())
	}
	if got := strings.Join(p.heard, ", "); got != "one, still there, two, three" {
		t.Errorf("%d: heard %s", limit, got)
	}
	if got := strings.Join(l.said, ", "); got != "one, two, three" {
		t.Errorf("%d: said %s", limit, got)
	}
	l.expectReleased(heartbeat+time.Minute, ReasonPingTimeout)
}
