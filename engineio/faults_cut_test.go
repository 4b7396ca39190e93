package engineio

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wsframe"
)

// A WebSocket that is cut at any byte, of what it says or of what it is told, ends its session, whatever protocol it speaks, at once
// or by the heartbeat. What was complete has been handled, the rest has not.
func TestWebSocketCutAtEveryByte(t *testing.T) {
	t.Parallel()
	const heartbeat = 45 * time.Second
	first := masked(wsframe.Text, "4fo")
	first[0] &^= 0x80
	packets := []string{
		frame("4one"), string(masked(wsframe.Ping, "p")), frame("4two"),
		string(first), string(masked(0, "ur")), string(masked(wsframe.Binary, "five")),
	}
	plain := []string{frame("one"), string(masked(wsframe.Ping, "p")), frame("two"), frame("four"), frame("five")}
	handled := []string{"one", "", "two", "", "four", "five"}
	deflated := Options{PerMessageDeflate: new(Deflate)}
	deflated.PerMessageDeflate.Threshold = 1
	for _, tt := range []struct {
		name    string
		options Options
		request string
		frames  []string
		handled []string
		plain   bool
	}{
		{"protocol 4", Options{}, upgrade(""), packets, handled, false},
		{"protocol 3", Options{AllowEIO3: true}, strings.Replace(upgrade(""), "EIO=4", "EIO=3", 1), append(packets[:5:5], frame("2"),
			string(masked(wsframe.Binary, "\x04five"))), append(handled[:5:5], "", "five"), false},
		{"compressed", deflated, strings.Replace(upgrade(""), "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1),
			packets, handled, false},
		{"plain", Options{}, plainRequest + "\r\n", plain, []string{"one", "", "two", "four", "five"}, true},
	} {
		whole := tt.request + strings.Join(tt.frames, "")
		// run writes so many bytes, has the connection broken, and wants what follows from that: so many sessions end at once.
		run := func(t *testing.T, bytes int, fault func(c *stream.PipeConn), ends int, before func(c *stream.PipeConn)) (answers int) {
			inLabs(t, tt.options, func(l *lab) {
				if tt.plain {
					p := Plain{Accept: func(s *Session, _ *http.Request) (Handler, error) {
						r := &recorder{session: s, messages: make(chan string, 100), closed: make(chan Reason, 2)}
						l.sessions <- r
						return r, nil
					}}
					next := l.http.Handler
					wrap := next != http.Handler(l.server)
					l.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if wrap {
							w = portableHijacker{w}
						}
						l.server.ServePlain(w, r, &p)
					})
				}
				c := l.connect()
				if before != nil {
					before(c.pipe)
				}
				begun := time.Now()
				_, _ = io.WriteString(c.conn, whole[:bytes])
				synctest.Wait()
				var r *recorder
				if len(l.sessions) > 0 {
					r = <-l.sessions
					for _, m := range []string{"an answer", "another"} {
						var message Message
						message.Plain = tt.plain
						message.AppendText([]byte(m))
						_ = r.session.Send(&message)
					}
					synctest.Wait()
				}
				fault(c.pipe)
				synctest.Wait()
				if r != nil {
					if n := len(r.closed); before == nil && n != ends {
						t.Errorf("%d bytes: closed %d times at once", bytes, n)
					}
					<-time.After(heartbeat - time.Since(begun))
					synctest.Wait()
					if len(r.closed) != 1 {
						t.Errorf("%d bytes: closed %d times", bytes, len(r.closed))
					}
					var got []string
					for len(r.messages) > 0 {
						got = append(got, strings.TrimPrefix(<-r.messages, "b:"))
					}
					var want []string
					rest := bytes - len(tt.request)
					for i, f := range tt.frames {
						if rest -= len(f); rest < 0 {
							break
						}
						if tt.handled[i] != "" {
							want = append(want, tt.handled[i])
						}
					}
					if before == nil && fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("%d bytes: handled %q, want %q", bytes, got, want)
					}
				}
				<-time.After(DefaultAnswerTimeout)
				l.expectReleased()
				n, _ := io.Copy(io.Discard, c.r)
				answers = max(answers, int(n))
				_ = c.conn.Close()
			})
			return answers
		}
		closing := func(c *stream.PipeConn) { _ = c.CloseWrite() }
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answers := run(t, len(whole), closing, 1, nil)
			for n := range len(whole) + 1 {
				run(t, n, closing, 1, nil)
				run(t, n, func(c *stream.PipeConn) { c.Reset() }, 1, nil)
				if n >= len(tt.request) { // before that net/http answers without a deadline
					run(t, n, func(c *stream.PipeConn) { c.SetReadBuffer(0) }, 0, nil)
				}
			}
			if answers < 100 {
				t.Errorf("it was answered %d bytes", answers)
			}
			for n := range answers {
				run(t, len(whole), func(*stream.PipeConn) {}, 1, func(c *stream.PipeConn) { c.ResetAfter(n) })
			}
		})
	}
}
