package socketio

import (
	"testing"
	"testing/synctest"
	"time"
)

// A client that vanishes without a word, whatever it was in the middle of, is gone at the time of the heartbeat, with all its sockets,
// rooms and half packets.
func TestHalfOpenClient(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		vanish func(l *lab) *line
	}{
		{"after CONNECT", (*lab).join},
		{"in the middle of an event", func(l *lab) *line { c := l.join(); c.write(text(`42["say","one"]`)[:9]); return c }},
		{"before the attachments", func(l *lab) *line {
			c := l.join()
			c.write(text(`452-["say","a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`))
			return c
		}},
		{"between two attachments", func(l *lab) *line {
			c := l.join()
			c.write(text(`452-["say","a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`) + attachment("one"))
			return c
		}},
		{"in the middle of an attachment", func(l *lab) *line {
			c := l.join()
			c.write(text(`451-["say","a",{"_placeholder":true,"num":0}]`) + attachment("one and a half")[:12])
			return c
		}},
		{"with an event that is handled", func(l *lab) *line { c := l.join(); c.write(text(`42["say","one"]`)); return c }},
		{"with an answer that is awaited", func(l *lab) *line {
			c := l.join()
			for s := range l.Of("/").Sockets() {
				go func() {
					if _, err := s.EmitWithAck(l.ctx, "well?"); err != ErrDisconnected {
						l.t.Errorf("who waits for an answer hears %v", err)
					}
				}()
			}
			return c
		}},
		{"in two namespaces", func(l *lab) *line { l.Of("/other"); c := l.join(); c.write(text("40/other,")); return c }},
		{"with its first poll", func(l *lab) *line { return unpolled(l) }},
		{"with attachments over polling", func(l *lab) *line {
			c := unpolled(l)
			c.write(post(`451-["say","a",{"_placeholder":true,"num":0}]`))
			return c
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inLab(t, Options{}, func(l *lab) {
				begun := time.Now()
				c := tt.vanish(l)
				<-time.After(heartbeat - 30*time.Millisecond)
				synctest.Wait()
				early := l.engine.Sessions()
				<-time.After(30 * time.Millisecond)
				synctest.Wait()
				if late := l.engine.Sessions(); early != 1 || late != 0 {
					t.Errorf("%d sessions before %v, %d after it", early, heartbeat, late)
				}
				if d := time.Since(begun); d != heartbeat {
					t.Errorf("%v", d)
				}
				if n := l.Of("/other").Len(); n != 0 {
					t.Errorf("%d sockets in the other namespace", n)
				}
				l.expectReleased(0, ReasonPingTimeout)
				_ = c.Close()
			})
		})
	}
}
