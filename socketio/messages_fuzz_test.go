package socketio

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/perch-go/perch/socketio/parser"
)

// FuzzMessages has a connection that is in "/" and "/a" send any messages at all, one after the other, and compares with the rules
// of spec 3.4 and section 5 for a whole connection: which events are handled, with which arguments and attachments, and what ends
// it. Whatever it does, its neighbour is served. A message is whether it is binary, its length and its bytes.
func FuzzMessages(f *testing.F) {
	for _, messages := range [][]any{
		// What the official client 4.8 has sent.
		{`0{"token":"x"}`, `0/chat,{"t":1}`}, {`2["text","hello",1,[null,true],{"k\"":"é😀"}]`, `20["ask","x"]`, "1/chat,", "1"},
		{`52-1["bin",{"d":{"_placeholder":true,"num":0},"e":{"_placeholder":true,"num":1}}]`, []byte{0, 255, 30}, []byte("more"), `2/a,0["ask","x"]`},
		// And what it does not.
		{`51-["b",{"_placeholder":true,"num":0}]`, `2["text"]`}, {[]byte("nothing")}, {"1/a,", "0/a,", `2/a,["x"]`, "0/a,"}, {"1/a,", `2/a,["x"]`},
		{`61-5[{"_placeholder":true,"num":0}]`, []byte("x"), "30[]", `3/nowhere,0[]`}, {"4{}"}, {`51-/nowhere,["x"]`}, {`52-["x"]`, []byte{}, []byte{}, `2["y"]`},
	} {
		var in []byte
		for _, m := range messages {
			switch m := m.(type) {
			case string:
				in = append(append(in, 0, byte(len(m))), m...)
			case []byte:
				in = append(append(in, 1, byte(len(m))), m...)
			}
		}
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		synctest.Test(t, func(t *testing.T) { exchange(t, in) })
	})
}

func exchange(t *testing.T, in []byte) {
	server, err := New(Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, server: server, joined: map[string]*visit{}}
	var got []string
	for _, name := range []string{"/", "/a"} {
		server.Of(name).HandleUnknown(func(_ context.Context, e *Event) {
			line := fmt.Sprintf("%s %q", name, e.Name())
			for i := range e.NumArgs() {
				line += fmt.Sprintf(" %s", e.Raw(i))
			}
			got = append(got, line+fmt.Sprintf(" %q", e.attachments))
		})
	}
	echoed := 0
	server.Of("/").Handle("neighbour", func(context.Context, *Event) { echoed++ })
	var peers [2]*peer
	for i := range peers {
		p := w.newPeer()
		p.socket = p.dial()
		p.ended, p.deaf = true, true
		go p.read(p.socket)
		synctest.Wait()
		peers[i] = p
	}
	peers[1].send(0, "0")
	synctest.Wait()

	rules := rulebook{joined: map[string]bool{"/": true, "/a": true}}
	stranger := server.Engine().Sessions()
	conn := peers[0].socket
	write := func(op byte, payload string) {
		peers[0].write(conn, masked(op, payload))
		synctest.Wait()
	}
	write(1, "40")
	write(1, "40/a,")
	for len(in) > 1 && !rules.over {
		n := min(int(in[1]), len(in)-2)
		data := in[2:][:n]
		binary := in[0]%2 == 1
		in = in[2+n:]
		rules.message(slices.Clone(data), binary)
		if binary {
			write(2, string(data))
		} else {
			write(1, "4"+string(data))
		}
	}
	if left := server.Engine().Sessions(); (left < stranger) != rules.over {
		t.Errorf("%d sessions of %d, want the end: %t", left, stranger, rules.over)
	}
	if !slices.Equal(got, rules.handled) {
		t.Errorf("handled %q, want %q", got, rules.handled)
	}
	peers[1].send(0, `2["neighbour"]`)
	synctest.Wait()
	if echoed != 1 {
		t.Errorf("the neighbour's event was handled %d times", echoed)
	}
	for _, p := range peers {
		_ = p.conn().Close()
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// rulebook says what has to come of messages.
type rulebook struct {
	joined  map[string]bool
	handled []string
	over    bool

	awaited *parser.Packet // whose attachments are to come
	got     [][]byte
}

func (r *rulebook) message(data []byte, binary bool) {
	if binary {
		if r.awaited == nil {
			r.over = true
			return
		}
		if r.got = append(r.got, data); len(r.got) == r.awaited.Attachments {
			r.take(r.awaited, r.got)
			r.awaited, r.got = nil, nil
		}
		return
	}
	p := new(parser.Packet)
	if err := parser.Parse(data, p, parser.Limits{}); err != nil || r.awaited != nil {
		r.over = true
		return
	}
	name := namespaceOf(p)
	switch known := r.joined[name]; {
	case p.Type == parser.Connect && (name == "/" || name == "/a"):
		r.over = known
		r.joined[name] = true
	case p.Type == parser.Connect: // refused
	case !known, p.Type == parser.ConnectError:
		r.over = true
	case p.Type == parser.Disconnect:
		delete(r.joined, name)
	case p.Attachments > 0:
		r.awaited = p
	default:
		r.take(p, nil)
	}
}

func (r *rulebook) take(p *parser.Packet, attachments [][]byte) {
	if p.Type != parser.Event && p.Type != parser.BinaryEvent {
		return
	}
	line := fmt.Sprintf("%s %q", namespaceOf(p), p.Event)
	for i := range p.NumArgs() {
		line += fmt.Sprintf(" %s", p.Arg(i))
	}
	r.handled = append(r.handled, line+fmt.Sprintf(" %q", attachments))
}

func namespaceOf(p *parser.Packet) string {
	if len(p.Namespace) == 0 {
		return "/"
	}
	return string(p.Namespace)
}
