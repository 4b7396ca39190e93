package plainws_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/plainws"
)

// pieces is a binary format: the event, the id and the data, each behind its length in two bytes. An event's length is one more than it
// is, so that 0 is none.
type pieces struct{}

func (pieces) Format() string { return "pieces" }

var errShort = errors.New("pieces: the frame ends too early")

func (pieces) Parse(m *plainws.Message, frame []byte, binary bool) error {
	if !binary {
		return plainws.ErrKind
	}
	var event []byte
	var err error
	if event, frame, err = cut(frame, 1); err != nil {
		return err
	}
	m.Event = event
	if m.ID, frame, err = cut(frame, 0); err != nil {
		return err
	}
	if string(m.Event) == "panic" {
		panic("in a codec")
	}
	m.Data, _, err = cut(frame, 0)
	return err
}

// cut takes a piece off a frame, whose length is more than it has by that much.
func cut(frame []byte, more int) (piece, rest []byte, err error) {
	if len(frame) < 2 {
		return nil, nil, errShort
	}
	n := int(binary.BigEndian.Uint16(frame)) - more
	frame = frame[2:]
	switch {
	case n < 0:
		return nil, frame, nil
	case n > len(frame):
		return nil, nil, errShort
	}
	return frame[:n:n], frame[n:], nil
}

var errUnspeakable = errors.New("pieces: cannot be said")

func (pieces) Append(dst []byte, m *plainws.Message) ([]byte, bool, error) {
	switch string(m.Event) {
	case "unspeakable":
		return dst, true, errUnspeakable
	case "panic":
		panic("in a codec")
	}
	if m.Event == nil {
		dst = binary.BigEndian.AppendUint16(dst, 0)
	} else {
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(1+len(m.Event))), m.Event...)
	}
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(m.ID))), m.ID...)
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(m.Data))), m.Data...), true, nil
}

// piece is a frame of the test's: - is no event.
func piece(event, id, data string) string {
	m := &plainws.Message{ID: []byte(id), Data: []byte(data)}
	if event != "-" {
		m.Event = []byte(event)
	}
	b, _, _ := pieces{}.Append(nil, m)
	return string(b)
}

func (p *plain) sendBinary(frame string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageBinary, []byte(frame)); err != nil {
		p.t.Fatal(err)
	}
}

// A codec of the program's own speaks both ways, beside the package's and Socket.IO in the same rooms.
func TestCodec(t *testing.T) {
	t.Parallel()
	emitted := make(chan error, 1)
	g := &gateway{
		options: perch.Options{Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws"), plainws.At("/pieces", plainws.WithCodec(pieces{})), plainws.At("/nil", plainws.WithCodec(nil))}},
		register: func(r *perch.Router) {
			handlers(r)
			perch.OnEvent(r, "say", func(ctx context.Context, name string) error {
				emitted <- perch.SocketFrom(ctx).Emit(name, 1)
				return nil
			})
		},
		connect: func(ctx context.Context, s *perch.Socket) error {
			if s.Handshake().Query().Has("refuse") {
				return perch.ErrForbidden
			}
			return nil
		},
	}
	srv, _ := serve(t, g)
	p, text, none, s := dial(t, srv, "/pieces", nil), dial(t, srv, "/ws", nil), dial(t, srv, "/nil", nil), connect(t, srv, "/")
	heard := heard(s, "all")
	for _, c := range []struct{ event, id, data, want string }{
		{"echo", "1", `{"a":1}`, piece("-", "1", `{"a":1}`)},
		{"echo", `"x"`, `"é"`, piece("-", `"x"`, `"é"`)},
		{"void", "2", "", piece("-", "2", "")},
		{"sum", "3", "[1,2]", piece("-", "3", "3")},
		{"item", "4", `{"id":1,"blob":"AQ=="}`, piece("-", "4", `{"id":1,"blob":"AQ=="}`)},
		{"fail", "5", "", piece("exception", "5", `{"status":"error","code":"NO","message":"no.","details":{"n":1}}`)},
		{"fail", "", "", piece("exception", "", `{"status":"error","code":"NO","message":"no.","details":{"n":1}}`)},
	} {
		p.sendBinary(piece(c.event, c.id, c.data))
		p.expect(c.want)
	}
	p.sendBinary(piece("ask", "6", `"?"`))
	question := p.read()
	_, rest, _ := cut([]byte(question), 1)
	id, _, _ := cut(rest, 0)
	if question != piece("question", string(id), `"?"`) {
		t.Fatalf("asked %q", question)
	}
	p.sendBinary(piece("-", string(id), `"!"`))
	p.expect(piece("-", "6", `"!"`))

	if err := g.Server().Emit("all", []byte{1}); err != nil {
		t.Fatal(err)
	}
	p.expect(piece("all", "", `"AQ=="`))
	text.expect(`{"event":"all","data":"AQ=="}`)
	none.expect(`{"event":"all","data":"AQ=="}`)
	next(t, heard)

	p.sendBinary(piece("say", "", `"unspeakable"`))
	if err := <-emitted; !errors.Is(err, errUnspeakable) {
		t.Errorf("Emit returned %v", err)
	}
	if err := g.Server().Emit("unspeakable"); !errors.Is(err, errUnspeakable) {
		t.Errorf("broadcast returned %v", err)
	}
	p.sendBinary(piece("say", "7", `"panic"`))
	p.expect(piece("exception", "7", `{"status":"error","code":"INTERNAL","message":"Internal server error"}`))

	for frame, want := range map[string]int{"": 1007, "\x00": 1007, piece("echo", "{}", ""): 1007, piece("echo", "1", "nonsense"): 1007, piece("-", "", "1"): 1007, piece("disconnect", "", ""): 1007, "\x00\x06panic\x00\x00": 1007} {
		p := dial(t, srv, "/pieces", nil)
		p.sendBinary(frame)
		p.expectClose(want, "")
	}
	p.send("text")
	p.expectClose(1003, "")
	p = dial(t, srv, "/pieces?refuse", nil)
	p.expect(piece("connect_error", "", `{"message":"Forbidden resource","data":{"code":"FORBIDDEN"}}`))
	p.expectClose(1008, "Forbidden resource")
}

// Messages of both kinds, of all sizes, with compression.
func TestDeflate(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, &gateway{register: handlers}, perch.WithEngine(perch.EngineOptions{PerMessageDeflate: &engineio.Deflate{}}))
	p := dial(t, srv, "/ws", &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1})
	p.conn.SetReadLimit(1 << 20)
	for _, n := range []int{1, 1000, 100_000} {
		data := `"` + strings.Repeat("x", n) + `"`
		p.send(`{"event":"echo","id":1,"data":` + data + `}`)
		p.expect(`{"id":1,"data":` + data + `}`)
	}
}

func TestInvalidSubprotocols(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a b", "a,b", "a\r\nX: y", "é"} {
		_, err := perch.New(perch.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
			perch.WithGateways(&gateway{options: perch.Options{Platforms: []perch.Platform{plainws.At("/ws", plainws.WithSubprotocols("ok", name))}}}))
		if err == nil || !strings.Contains(err.Error(), "subprotocol") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
