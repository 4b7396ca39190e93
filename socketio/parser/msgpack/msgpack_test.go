package msgpack

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/perch-go/perch/socketio/parser"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// describe is all that a packet says.
func describe(p *parser.Packet) string {
	s := fmt.Sprintf("%s %s", p.Type, p.Namespace)
	if p.HasID {
		s += fmt.Sprintf(" #%d", p.ID)
	}
	if p.Data != nil {
		s += " " + string(p.Data)
	}
	if p.Type == parser.Event {
		s += fmt.Sprintf(" %q", p.Event)
	}
	for i := range p.NumArgs() {
		s += " " + string(p.Arg(i))
	}
	for _, a := range p.Embedded {
		s += fmt.Sprintf(" %x", a)
	}
	return s
}

// Spec 3.6: packets as socket.io-msgpack-parser 3.0.2 encodes them.
func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ packet, want string }{
		{"83a47479706500a464617461d40000a36e7370a12f", `CONNECT `}, // its data is undefined
		{"83a47479706500a46461746181a5746f6b656ea178a36e7370a62f61646d696e", `CONNECT /admin {"token":"x"}`},
		{"82a47479706501a36e7370a62f61646d696e", `DISCONNECT /admin`},
		{"84a47479706502a46461746193a568656c6c6f0181a161c4020102a76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f",
			`EVENT  "hello" 1 {"a":{"_placeholder":true,"num":0}} 0102`},
		{"85a47479706502a46461746191a361736ba76f7074696f6e7381a8636f6d7072657373c3a269640ca36e7370a62f61646d696e", `EVENT /admin #12 "ask"`},
		{"84a47479706503a269640ca46461746192a26f6b92d40000c0a36e7370a12f", `ACK  #12 "ok" [null,null]`},
		{"83a47479706504a46461746182a76d657373616765a26e6fa46461746181a4636f646501a36e7370a12f", `CONNECT_ERROR  {"message":"no","data":{"code":1}}`},
		// Of others: an event named by a number, fields in another order, twice, bytes outside the data, an id that is a float.
		{"83 a36e7370a12f a4646174619105 a47479706502", `EVENT  "5"`},
		{"84 a47479706502 a36e7370a12f a464617461 92a165c40101 a464617461 92a166c40102", `EVENT  "f" {"_placeholder":true,"num":0} 02`},
		{"85 a47479706502 a36e7370a12f a178 92c40101c40102 a464617461 92a165c40103 a179 c40104", `EVENT  "e" {"_placeholder":true,"num":0} 03`},
		{"84 a47479706503 a36e7370a12f a46461746190 a26964cb4028000000000000", `ACK  #12`},
		{"84 a47479706502 a36e7370a12f a26964d40000 a46461746191a165", `EVENT  "e"`},
	} {
		var p parser.Packet
		data := unhex(t, tt.packet)
		text, err := Parser{}.Parse(&p, []byte("before"), data, true, parser.Limits{})
		clear(data) // it is the caller's
		if err != nil || !bytes.HasPrefix(text, []byte("before")) {
			t.Errorf("%s: %q, %v", tt.packet, text, err)
			continue
		}
		if got := describe(&p); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.packet, got, tt.want)
		}
	}
}

// S-93, spec 3.6 and security 5: what ends the connection.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const root = "a36e7370a12f"
	for _, tt := range []struct {
		packet string
		l      parser.Limits
		want   error
	}{
		{"", parser.Limits{}, ErrMalformed},
		{"c0", parser.Limits{}, ErrMalformed},
		{"93010203", parser.Limits{}, ErrMalformed},
		{"dfffffffff", parser.Limits{}, ErrMalformed},
		{"82a47479706501" + root + "c0", parser.Limits{}, ErrMalformed}, // a byte too many
		{"82a474797065", parser.Limits{}, ErrMalformed},
		{"820101" + root, parser.Limits{}, ErrMalformed}, // a field called 1
		{"81a47479706501", parser.Limits{}, parser.ErrNamespace},
		{"82a47479706501a36e73700a", parser.Limits{}, ErrMalformed},
		{"82a47479706501a36e7370a163", parser.Limits{}, parser.ErrNamespace},
		{"82a47479706501a36e7370a22fff", parser.Limits{}, parser.ErrNamespace},
		{"81" + root, parser.Limits{}, parser.ErrType},
		{"82a47479706505" + root, parser.Limits{}, parser.ErrType}, // the binary types are of the text format
		{"82a474797065ff" + root, parser.Limits{}, parser.ErrType},
		{"82a474797065a131" + root, parser.Limits{}, parser.ErrType},
		{"82a474797065cb3ff8000000000000" + root, parser.Limits{}, parser.ErrType},
		{"83a47479706500a464617461c0" + root, parser.Limits{}, parser.ErrPayload},
		{"83a47479706500a464617461a178" + root, parser.Limits{}, parser.ErrPayload},
		{"83a47479706501a46461746180" + root, parser.Limits{}, parser.ErrPayload},
		{"82a47479706502" + root, parser.Limits{}, parser.ErrPayload},
		{"83a47479706502a46461746180" + root, parser.Limits{}, parser.ErrPayload},
		{"83a47479706502a46461746190" + root, parser.Limits{}, parser.ErrEventName},
		{"83a47479706502a4646174619180" + root, parser.Limits{}, parser.ErrEventName},
		{"83a47479706502a46461746191c40165" + root, parser.Limits{}, parser.ErrEventName},
		{"83a47479706502a46461746191a7636f6e6e656374" + root, parser.Limits{}, parser.ErrReserved},
		{"83a47479706503a464617461a178" + root, parser.Limits{}, parser.ErrPayload},
		{"84a47479706503a46461746190a26964ff" + root, parser.Limits{}, parser.ErrID},
		{"84a47479706503a46461746190a26964c0" + root, parser.Limits{}, parser.ErrID},
		{"84a47479706503a46461746190a26964cf0020000000000001" + root, parser.Limits{}, parser.ErrID},
		{"84a47479706503a46461746190a26964a131" + root, parser.Limits{}, parser.ErrID},
		{"83a47479706502a464617461 92a165" + strings.Repeat("91", 64) + "c0" + root, parser.Limits{}, parser.ErrDepth},
		{"83a47479706502a464617461 92a165a1ff" + root, parser.Limits{}, parser.ErrUTF8},
		{"83a47479706502a464617461 92a165c400" + root, parser.Limits{MaxAttachments: -1}, parser.ErrTooManyAttachments},
		// A placeholder of the client's own making, beside bytes, that names none of them (CVE-2022-2421).
		{"83a47479706502a464617461 93a165c400 82ac5f706c616365686f6c646572c3a36e756d09" + root, parser.Limits{}, parser.ErrPlaceholder},
	} {
		var p parser.Packet
		_, err := Parser{}.Parse(&p, nil, unhex(t, tt.packet), true, tt.l)
		if _, ok := errors.AsType[*parser.Error](err); !ok || !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.packet, err, tt.want)
		}
	}
	if _, err := (Parser{}).Parse(new(parser.Packet), nil, []byte(`2["e"]`), false, parser.Limits{}); !errors.Is(err, ErrText) {
		t.Errorf("text: %v", err)
	}
	many := unhex(t, "83a36e7370a12fa47479706502a464617461 dd00001002 a165"+strings.Repeat("c400", 4097))
	if _, err := (Parser{}).Parse(new(parser.Packet), nil, many, true, parser.Limits{}); !errors.Is(err, parser.ErrTooManyAttachments) {
		t.Errorf("4,097 byte sequences: %v", err)
	}
	if _, err := (Parser{MaxAttachments: 5000}).Parse(new(parser.Packet), nil, many, true, parser.Limits{}); err != nil {
		t.Errorf("5,000 allowed: %v", err)
	}
}

// Spec 3.6: what the clients get. A CONNECT without data and a DISCONNECT have no such field: they would refuse one.
func TestAppend(t *testing.T) {
	t.Parallel()
	type picture struct {
		Name string `json:"name"`
		Data []byte `json:"data"`
	}
	for _, tt := range []struct {
		o    parser.Outgoing
		want string
	}{
		{parser.Outgoing{Type: parser.Connect}, "82a47479706500a36e7370a12f"},
		{parser.Outgoing{Type: parser.Connect, Namespace: "/admin", Data: map[string]string{"sid": "abc"}}, "83a47479706500a36e7370a62f61646d696ea46461746181a3736964a3616263"},
		{parser.Outgoing{Type: parser.Disconnect, Namespace: "/"}, "82a47479706501a36e7370a12f"},
		{parser.Outgoing{Type: parser.ConnectError, Data: map[string]string{"message": "no"}}, "83a47479706504a36e7370a12fa46461746181a76d657373616765a26e6f"},
		{parser.Outgoing{Type: parser.Event, Event: "e"}, "83a47479706502a36e7370a12fa46461746191a165"},
		{parser.Outgoing{Type: parser.Event, Event: "e", ID: 0, HasID: true, Args: []any{int64(math.MaxInt64), uint64(math.MaxUint64), []byte("x"), 1.5}},
			"84a47479706502a36e7370a12fa2696400a46461746195a165cf7fffffffffffffffcfffffffffffffffffc40178cb3ff8000000000000"},
		{parser.Outgoing{Type: parser.Event, Event: "e", Args: []any{picture{"a", []byte{1}}}, Offset: "00000000"},
			"83a47479706502a36e7370a12fa46461746193a16582a46e616d65a161a464617461c40101a83030303030303030"},
		{parser.Outgoing{Type: parser.Ack, ID: 12, HasID: true, Args: []any{"ok", nil}}, "84a47479706503a36e7370a12fa269640ca46461746192a26f6bc0"},
	} {
		e, err := Parser{}.Append([]byte("before"), tt.o)
		got := string(e.Data)
		if want := "before" + string(unhex(t, tt.want)); err != nil || got != want || !e.Binary || e.Attachments != nil {
			t.Errorf("%+v:\n got %x, %v\nwant %x", tt.o, got, err, want)
		}
		if n := len(tt.o.Offset); n > 0 && got[e.Offset:e.Offset+n] != tt.o.Offset {
			t.Errorf("%x: offset at %d", got, e.Offset)
		}
		var p parser.Packet
		if _, err := (Parser{}).Parse(&p, nil, e.Data[len("before"):], true, parser.Limits{}); err != nil {
			t.Errorf("%x: not read back: %v", got, err)
		}
	}
	for _, o := range []parser.Outgoing{
		{Type: parser.Event, Event: "e", Args: []any{math.NaN()}},
		{Type: parser.Event, Event: "e", Args: []any{make(chan int)}},
		{Type: parser.Connect, Data: []byte("bytes")},
		{Type: parser.BinaryEvent, Event: "e"},
	} {
		e, err := Parser{}.Append([]byte("kept"), o)
		if _, ok := errors.AsType[*parser.EncodeError](err); !ok || string(e.Data) != "kept" {
			t.Errorf("%+v: %q, %v", o, e.Data, err)
		}
	}
}

// The path of an event and its ack allocates nothing of its own.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	event, err := Parser{}.Append(nil, parser.Outgoing{Type: parser.Event, Event: "message", ID: 17, HasID: true, Args: []any{"hello", 5}})
	if err != nil {
		t.Fatal(err)
	}
	var p parser.Packet
	buf, dst, args := make([]byte, 0, 512), make([]byte, 0, 512), []any{"hello", 5}
	if n := testing.AllocsPerRun(100, func() { _, _ = Parser{}.Parse(&p, buf, event.Data, true, parser.Limits{}) }); n > 0.5 {
		t.Errorf("Parse: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		_, _ = Parser{}.Append(dst, parser.Outgoing{Type: parser.Ack, ID: 17, HasID: true, Args: args})
	}); n > 0.5 {
		t.Errorf("Append: %v allocations", n)
	}
}

// FuzzParse reads anything: what is accepted is a packet of well-formed JSON, which encoded again is the same packet.
func FuzzParse(f *testing.F) {
	for _, packet := range []string{
		"83a47479706500a464617461d40000a36e7370a12f", "84a47479706502a46461746193a568656c6c6f0181a161c4020102a76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f",
		"84a47479706503a269640ca46461746192a26f6b92d40000c0a36e7370a12f", "82a47479706501a36e7370a62f61646d696e", "dfffffffff", "83a47479706502a46461746191a36e6f77a36e7370d9012f",
	} {
		f.Add(unhex(f, packet))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		original := bytes.Clone(data)
		var p, again parser.Packet
		_, err := Parser{}.Parse(&p, nil, data, true, parser.Limits{})
		if !bytes.Equal(data, original) {
			t.Fatal("the message was written to")
		}
		if err != nil {
			if e, ok := errors.AsType[*parser.Error](err); !ok || e.Offset < 0 {
				t.Fatalf("%x: %v", data, err)
			}
			return
		}
		o := parser.Outgoing{Type: p.Type, Namespace: string(p.Namespace), ID: p.ID, HasID: p.HasID, Event: string(p.Event)}
		for i := range p.NumArgs() {
			if !json.Valid(p.Arg(i)) {
				t.Fatalf("%x: argument %s", data, p.Arg(i))
			}
			o.Args = append(o.Args, json.RawMessage(p.Arg(i)))
		}
		if p.Data != nil {
			o.Data = json.RawMessage(p.Data)
		}
		if len(p.Embedded) > 0 {
			return // raw JSON cannot bring them along
		}
		e, err := Parser{}.Append(nil, o)
		if err != nil {
			t.Fatalf("%s: %v", describe(&p), err)
		}
		if _, err := (Parser{}).Parse(&again, nil, e.Data, true, parser.Limits{}); err != nil || describe(&again) != describe(&p) {
			t.Fatalf("%s came back as %s, %v", describe(&p), describe(&again), err)
		}
	})
}
