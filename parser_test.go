package perch_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio/parser"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

// S-4: gateways do not notice which parser their server has.
func TestWithParser(t *testing.T) {
	t.Parallel()
	g := handlers(func(r *perch.Router) {
		perch.On(r, "sum", func(_ context.Context, in []int) (int, error) { return in[0] + in[1], nil })
	})
	_, srv := start(t, perch.WithGateways(g), perch.WithParser(msgpack.Parser{}))
	c := dial(t, srv)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ask := func(o parser.Outgoing) *parser.Packet {
		t.Helper()
		out, err := msgpack.Parser{}.Append(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.conn.Write(ctx, websocket.MessageBinary, out.Data); err != nil {
			t.Fatal(err)
		}
		kind, data, err := c.conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		p := new(parser.Packet)
		if _, err := (msgpack.Parser{}).Parse(p, nil, data, kind == websocket.MessageBinary, parser.Limits{}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := ask(parser.Outgoing{Type: parser.Connect}); p.Type != parser.Connect || !bytes.Contains(p.Data, []byte(`"sid"`)) {
		t.Errorf("CONNECT was answered by %s %s", p.Type, p.Data)
	}
	p := ask(parser.Outgoing{Type: parser.Event, Event: "sum", ID: 7, HasID: true, Args: []any{[]int{1, 2}}})
	if p.Type != parser.Ack || p.ID != 7 || string(p.Arg(0)) != "3" {
		t.Errorf("answered by %s %d %s", p.Type, p.ID, p.Arg(0))
	}
}
