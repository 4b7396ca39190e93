package socketio

import (
	"context"
	"strings"
	"testing"

	"github.com/perch-go/perch/socketio/parser"
)

// shouting is a parser whose packets begin with an exclamation mark, and that takes text as well as binary messages.
type shouting struct{ parser.Text }

func (shouting) Format() string { return "shouting" }

func (s shouting) Parse(p *parser.Packet, buf, data []byte, _ bool, l parser.Limits) ([]byte, error) {
	if string(data) == "!panic" {
		panic("oops") // a program's own parser may: it ends the connection and nothing else
	}
	if len(data) == 0 || data[0] != '!' {
		return buf, &parser.Error{Err: parser.ErrType}
	}
	return s.Text.Parse(p, buf, data[1:], false, l)
}

func (s shouting) Append(dst []byte, o parser.Outgoing) (parser.Encoded, error) {
	start := len(dst)
	out, err := s.Text.Append(append(dst, '!'), o)
	if err != nil {
		out.Data = out.Data[:start]
	}
	out.Binary = o.Type == parser.Ack
	return out, err
}

// S-4: everything that is sent and received goes through the server's parser.
func TestParser(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Parser: shouting{}})
	n := h.Of("/chat")
	left := leavings(n)
	n.Use(func(_ context.Context, s *Socket) error {
		if string(s.Handshake().RawAuth()) == `{"as":"nobody"}` {
			return &ConnectError{Message: "no"}
		}
		return nil
	})
	n.Handle("echo", echo)
	n.Handle("late", func(_ context.Context, e *Event) { _ = e.Acker().Ack("late") })
	n.Handle("shout", func(_ context.Context, e *Event) { _ = n.Emit("shouted", []byte("x")) })
	n.Handle("kick", func(_ context.Context, e *Event) { e.Socket().Disconnect(false) })

	c := h.dial(t)
	c.send(`!0/chat,{"as":"nobody"}`)
	c.expect(`!4/chat,{"message":"no"}`)
	c.send(`!0/nowhere,`)
	c.expect(`!4/nowhere,{"message":"Invalid namespace"}`)
	c.send(`!0/chat,`)
	if reply, _ := c.next().(string); len(reply) != len(`!0/chat,{"sid":""}`)+20 {
		t.Fatalf("reply %q", reply)
	}
	c.send(`!2/chat,1["echo",1]`)
	c.expect([]byte(`!3/chat,1[1]`))
	c.send([]byte(`!2/chat,2["echo",2]`))
	c.expect([]byte(`!3/chat,2[2]`))
	c.send(`!51-/chat,3["echo",{"_placeholder":true,"num":0}]`, []byte("bytes"))
	c.expect([]byte(`!61-/chat,3[{"_placeholder":true,"num":0}]`), []byte("bytes"))
	c.send(`!2/chat,4["late"]`)
	c.expect([]byte(`!3/chat,4["late"]`))
	c.send(`!2/chat,["shout"]`)
	c.expect(`!51-/chat,["shouted",{"_placeholder":true,"num":0}]`, []byte("x"))
	c.send(`!2/chat,["kick"]`)
	c.expect(`!1/chat,`)
	within(t, left)
	c.send(`2["no mark"]`)
	c.expectEnd()

	c = h.dial(t, `!0/chat,`)
	c.next()
	c.send(`2/chat,["no mark"]`)
	if r := within(t, left); r != ReasonForcedClose { // S-93
		t.Errorf("left because of %q", r)
	}

	c = h.dial(t, `!0/chat,`)
	c.next()
	c.send(`!panic`) // nothing that a client sends ends the program
	if r := within(t, left); r != ReasonForcedClose || !strings.Contains(h.log.String(), "oops") {
		t.Errorf("left because of %q", r)
	}
}
