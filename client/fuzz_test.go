package client

import (
	"context"
	"testing"

	"github.com/perch-go/perch/socketio/parser"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

// FuzzMessages has a socket hear anything at all, in each of its states: whatever a server says, the worst is an error.
func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		`0{"sid":"a"}`, `0{"sid":"a","pid":"p"}`, `0`, `0[]`, `0{"sid":1}`, `1`, `2["n",1,"offset"]`, `2["n"]`, `20["ask"]`, `30[]`, `30["x"]`,
		`4{"message":"no","data":{"a":1}}`, `4"no"`, `4`, `51-["n",{"_placeholder":true,"num":0}]`, `61-0[{"_placeholder":true,"num":0}]`,
		`2/other,["n"]`, `99999999999999999999999["x"]`, `2["connect"]`, "\x81\xa4type\x02", `2["n","` + "\xff" + `"]`,
	} {
		f.Add([]byte(s), []byte("attachment"), true, false)
		f.Add([]byte(s), []byte(s), false, true)
	}
	f.Fuzz(func(t *testing.T, first, second []byte, secondBinary, packed bool) {
		var p parser.Parser = parser.Text{}
		if packed {
			p = msgpack.Parser{}
		}
		for state := idle; state <= connected; state++ {
			m, err := NewManager(t.Context(), siteURL, Options{Logger: quiet, Parser: p})
			if err != nil {
				t.Fatal(err)
			}
			s, err := m.Socket("/", nil)
			if err != nil {
				t.Fatal(err)
			}
			s.OnAny(func(_ context.Context, e *Event) {
				var v any
				for i := range e.NumArgs() {
					_ = e.Decode(i, &v)
				}
			})
			wanted := newPending()
			s.state, s.pid, s.acks = state, "pid", map[uint64]*pending{0: wanted}
			l := &link{manager: m, ctx: m.ctx}
			if l.Message(first, packed) == nil {
				_ = l.Message(second, secondBinary)
			}
			select {
			case <-wanted.done:
				if wanted.in != nil {
					r := &Reply{wanted.in}
					_ = r.Err()
				}
			default:
			}
			m.mu.Lock()
			s.state = idle // there is no connection to say good-bye on
			m.mu.Unlock()
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			<-m.Done()
		}
	})
}
