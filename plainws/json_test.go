package plainws_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/perch-go/perch/internal/jsonscan"
	"github.com/perch-go/perch/plainws"
	"github.com/perch-go/perch/socketio/parser"
)

// text is how a part of a message looks here: "-" if it is nil.
func text(b []byte) string {
	if b == nil {
		return "-"
	}
	return string(b)
}

func TestJSONParse(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for frame, want := range map[string]string{ // event, id and data, or the error
		`{"event":"x","id":1,"data":{"a":[1]}}`:                     `x|1|{"a":[1]}`,
		" \t\r\n{ \"event\" : \"x\" , \"data\" : [ ] } \n":          `x|-|[ ]`,
		`{"data":null,"event":""}`:                                  `|-|null`,
		`{"event":"\u0065\n\ud83d\ude00\ud800","id":"\u0031"}`:      "e\n😀\uFFFD|\"\\u0031\"|-",
		`{"\u0065vent":"x","i\u0064":false,"d\u0061ta":1e9}`:        `x|false|1e9`,
		`{"event":"x","event":"y","id":1,"id":2,"data":1,"data":2}`: `y|2|2`,
		`{"event":1,"id":[],"event":"y","id":2}`:                    `y|2|-`,
		`{"Event":"no","event":"x","ID":1,"eventx":2,"":3,"\"":4}`:  `x|-|-`,
		`{"id":null}`: `-|null|-`,
		`{"id":"` + strings.Repeat("x", 10_000) + `"}`: `-|"` + strings.Repeat("x", 10_000) + `"|-`,
		`{"data":1}`:                            `-|-|1`, // which the caller refuses
		`{"event":"x","data":` + deep(63) + `}`: `x|-|` + deep(63),
		`{"event":"x","data":` + deep(64) + `}`: jsonscan.ErrDepth.Error(),
		`{"event":null}`:                        plainws.ErrFrame.Error(),
		`{"event":["x"]}`:                       plainws.ErrFrame.Error(),
		`{"event":"x","event":1}`:               plainws.ErrFrame.Error(),
		`{}`:                                    plainws.ErrFrame.Error(),
		`{ }`:                                   plainws.ErrFrame.Error(),
		`[]`:                                    plainws.ErrFrame.Error(),
		`"event"`:                               plainws.ErrFrame.Error(),
		``:                                      plainws.ErrFrame.Error(),
		` `:                                     plainws.ErrFrame.Error(),
		`{`:                                     jsonscan.ErrJSON.Error(),
		`{"event"`:                              jsonscan.ErrJSON.Error(),
		`{"event":`:                             jsonscan.ErrJSON.Error(),
		`{"event":"x"`:                          jsonscan.ErrJSON.Error(),
		`{"event":"x",`:                         jsonscan.ErrJSON.Error(),
		`{"event":"x",}`:                        jsonscan.ErrJSON.Error(),
		`{"event":"x"}}`:                        jsonscan.ErrJSON.Error(),
		`{"event":"x"} x`:                       jsonscan.ErrJSON.Error(),
		`{"event":"x";"id":1}`:                  jsonscan.ErrJSON.Error(),
		`{event:"x"}`:                           jsonscan.ErrJSON.Error(),
		`{"event":"x","id":01}`:                 jsonscan.ErrJSON.Error(),
		`{"event":"\x"}`:                        jsonscan.ErrJSON.Error(),
		"{\"event\":\"\xff\"}":                  jsonscan.ErrUTF8.Error(),
		"{\"event\":\"\n\"}":                    jsonscan.ErrJSON.Error(),
	} {
		var m plainws.Message
		before := strings.Clone(frame)
		err := plainws.JSON{}.Parse(&m, []byte(frame), false)
		got := text(m.Event) + "|" + text(m.ID) + "|" + text(m.Data)
		if err != nil {
			got = err.Error()
		}
		if got != want || frame != before {
			t.Errorf("%s: %s, want %s", frame, got, want)
		}
	}
	if err := (plainws.JSON{}).Parse(new(plainws.Message), []byte(`{"event":"x"}`), true); !errors.Is(err, plainws.ErrKind) {
		t.Errorf("binary: %v", err)
	}
}

func TestJSONAppend(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]plainws.Message{
		`{"id":1}`:                            {ID: []byte("1")},
		`{"id":"x","data":[1]}`:               {ID: []byte(`"x"`), Data: []byte("[1]")},
		`{"event":"","data":1}`:               {Event: []byte{}, Data: []byte("1")},
		`{"id":null,"event":"a\"b\\\u0001<"}`: {ID: []byte("null"), Event: []byte("a\"b\\\x01<")},
		`{"event":"` + "\uFFFD" + `"}`:        {Event: []byte("\xff")},
	} {
		frame, binary, err := plainws.JSON{}.Append([]byte("before"), &m)
		if string(frame) != "before"+want || binary || err != nil {
			t.Errorf("%s: %s %t %v", want, frame, binary, err)
		}
	}
	if frame, _, err := (plainws.JSON{}).Append([]byte("before"), &plainws.Message{Data: []byte("1")}); !errors.Is(err, plainws.ErrFrame) || string(frame) != "before" {
		t.Errorf("neither event nor id: %s %v", frame, err)
	}
}

var frames = []string{
	`{"event":"x","id":1,"data":{"a":[1,"\u00e9"]}}`, ` { "data" : [ 1 , 2 ] , "event" : "\ud800\n" } `, `{"id":"\"","data":null}`,
	`{"event":"a","event":2}`, `{"event":2,"event":"a"}`, `{"\u0065vent":"x","id":-0.0e-1}`, `{"id":{}}`, `{"id":[1]}`, `{}`, `[]`, `{"a":{"event":"x"}}`, `{"event":"connect"}`,
	`{"event":"x","data":[[],{},[1,2,3,4,5,6,7,8,9,10]]}`, `{"event":"x","data":[` + strings.Repeat(`[`, 70) + strings.Repeat(`]`, 70) + `]}`,
	"{\"event\":\"\xff\"}", `{"event":"x"}{`, `{"id":9007199254740993}`, `{"event":"","id":12345678901234567890123}`,
}

// FuzzJSON compares the codec with encoding/json, and reads what it has written.
func FuzzJSON(f *testing.F) {
	for _, frame := range frames {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		original := bytes.Clone(frame)
		var m plainws.Message
		err := plainws.JSON{}.Parse(&m, frame, false)
		if !bytes.Equal(frame, original) {
			t.Fatal("the frame was written to")
		}
		var members map[string]json.RawMessage
		wellFormed := utf8.Valid(frame) && json.Unmarshal(frame, &members) == nil && members != nil
		var event string
		raw, named := members["event"]
		isString := named && raw[0] == '"'
		if isString {
			_ = json.Unmarshal(raw, &event)
		}
		switch {
		case errors.Is(err, jsonscan.ErrDepth):
			return
		case err != nil:
			if wellFormed && len(members) > 0 && (isString || !named) {
				t.Fatalf("%q refused: %v", frame, err)
			}
			return
		case !wellFormed || named && !isString:
			t.Fatalf("%q accepted", frame)
		}
		if (m.Event != nil) != named || string(m.Event) != event {
			t.Fatalf("%q: event %q, want %q", frame, m.Event, event)
		}
		for name, got := range map[string][]byte{"id": m.ID, "data": m.Data} {
			if want, ok := members[name]; (got != nil) != ok || !bytes.Equal(got, want) {
				t.Fatalf("%q: %s is %q, want %q", frame, name, got, want)
			}
		}
		if m.Event == nil && m.ID == nil {
			return
		}
		out, _, err := plainws.JSON{}.Append(nil, &m)
		if err != nil {
			t.Fatal(err)
		}
		var again plainws.Message
		if err := (plainws.JSON{}).Parse(&again, out, false); err != nil || text(again.Event) != text(m.Event) || text(again.ID) != text(m.ID) || text(again.Data) != text(m.Data) {
			t.Fatalf("%q became %q: %v", frame, out, err)
		}
	})
}

// FuzzFrame has frames of anybody's go the way of a connection's: whatever comes is an event, an answer or an error, an event's id comes
// back as it was, and its arguments are the elements of its data.
func FuzzFrame(f *testing.F) {
	for _, frame := range frames {
		f.Add([]byte(frame), false)
	}
	f.Add([]byte{0}, true)
	p := plainws.ParserOf(plainws.JSON{})
	f.Fuzz(func(t *testing.T, frame []byte, binary bool) {
		var packet parser.Packet
		buf, err := p.Parse(&packet, []byte("kept"), frame, binary, parser.Limits{})
		if string(buf[:4]) != "kept" {
			t.Fatal("what was in the buffer is lost")
		}
		var members map[string]json.RawMessage
		if err != nil {
			if _, ok := errors.AsType[*parser.Error](err); !ok {
				t.Fatalf("error %T", err)
			}
			return
		}
		if binary || json.Unmarshal(frame, &members) != nil {
			t.Fatalf("%q accepted", frame)
		}
		clear(frame) // it is the connection's
		o := parser.Outgoing{Type: parser.Ack, RawID: packet.RawID, HasID: true}
		switch packet.Type {
		case parser.Event:
			if packet.HasID != (packet.RawID != nil) || packet.HasID && !bytes.Equal(packet.RawID, members["id"]) {
				t.Fatalf("id %q, want %q", packet.RawID, members["id"])
			}
			if parser.Reserved(string(packet.Event)) {
				t.Fatalf("event %q", packet.Event)
			}
		case parser.Ack:
			if packet.ID > parser.MaxID || members["event"] != nil {
				t.Fatalf("%+v", packet.Header)
			}
		default:
			t.Fatalf("type %v", packet.Type)
		}
		if data := members["data"]; (packet.NumArgs() == 1) != (data != nil) || !bytes.Equal(packet.Arg(0), data) {
			t.Fatalf("argument %q, want %q", packet.Arg(0), data)
		}
		var list []json.RawMessage
		isList := len(members["data"]) > 0 && members["data"][0] == '[' && json.Unmarshal(members["data"], &list) == nil
		packet.Spread()
		if isList {
			if packet.NumArgs() != len(list) {
				t.Fatalf("%d arguments of %d", packet.NumArgs(), len(list))
			}
			for i, want := range list {
				if !bytes.Equal(packet.Arg(i), want) {
					t.Fatalf("argument %d is %q, want %q", i, packet.Arg(i), want)
				}
			}
		}
		packet.Gather()
		if !bytes.Equal(packet.Arg(0), members["data"]) {
			t.Fatalf("gathered as %q", packet.Arg(0))
		}
		if packet.RawID == nil {
			return
		}
		out, err := p.Append(nil, o)
		if want := `{"id":` + string(packet.RawID) + `}`; err != nil || string(out.Data) != want || out.Binary {
			t.Fatalf("answer %q %v", out.Data, err)
		}
	})
}
