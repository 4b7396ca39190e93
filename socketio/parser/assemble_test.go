package parser

import (
	"errors"
	"strings"
	"testing"
)

// S-4: what a parser of another format has read is checked as Parse checks it.
func TestAssemble(t *testing.T) {
	t.Parallel()
	one := [][]byte{[]byte("bytes")}
	for _, tt := range []struct {
		name     string
		header   Header
		payload  string
		embedded [][]byte
		want     error
	}{
		{"event", Header{Type: Event, Namespace: []byte("/chat"), ID: 7, HasID: true}, `["e",1,{"a":[2]}]`, nil, nil},
		{"embedded", Header{Type: Event}, `["e",{"_placeholder":true,"num":0}]`, one, nil},
		{"embedded and following", Header{Type: BinaryEvent, Attachments: 1}, `["e",{"_placeholder":true,"num":1}]`, one, nil},
		{"many embedded", Header{Type: Event}, `["e"]`, make([][]byte, 100), nil},
		{"no such attachment", Header{Type: Event}, `["e",{"_placeholder":true,"num":1}]`, one, ErrPlaceholder},
		{"ack", Header{Type: Ack, HasID: true, ID: MaxID}, `[]`, nil, nil},
		{"connect", Header{Type: Connect}, ``, nil, nil},
		{"connect with auth", Header{Type: Connect}, `{"token":1}`, nil, nil},
		{"disconnect", Header{Type: Disconnect, Namespace: []byte("/")}, ``, nil, nil},
		{"type", Header{Type: BinaryAck + 1}, `[]`, nil, ErrType},
		{"namespace", Header{Type: Disconnect, Namespace: []byte("chat")}, ``, nil, ErrNamespace},
		{"namespace of one letter", Header{Type: Disconnect, Namespace: []byte("c")}, ``, nil, ErrNamespace},
		{"namespace in UTF-8", Header{Type: Disconnect, Namespace: []byte("/\xff")}, ``, nil, ErrNamespace},
		{"id", Header{Type: Ack, HasID: true, ID: MaxID + 1}, `[]`, nil, ErrID},
		{"attachments", Header{Type: BinaryEvent, Attachments: -1}, `["e"]`, nil, ErrAttachments},
		{"too many attachments", Header{Type: BinaryEvent, Attachments: 11}, `["e"]`, nil, ErrTooManyAttachments},
		{"connect with a text", Header{Type: Connect}, `"x"`, nil, ErrPayload},
		{"connect with bytes", Header{Type: Connect}, `{"token":{"_placeholder":true,"num":0}}`, one, ErrPayload},
		{"disconnect with a payload", Header{Type: Disconnect}, `{}`, nil, ErrPayload},
		{"event without payload", Header{Type: Event}, ``, nil, ErrPayload},
		{"reserved", Header{Type: Event}, `["disconnect"]`, nil, ErrReserved},
		{"two values", Header{Type: Event}, `["e"][]`, nil, ErrJSON},
		{"deep", Header{Type: Event}, `["e",` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `]`, nil, ErrDepth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &Packet{Embedded: make([][]byte, 9)} // used before
			err := p.Assemble(tt.header, []byte(tt.payload), tt.embedded, Limits{})
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err != nil {
				if p.NumArgs() != 0 {
					t.Errorf("%d arguments of a packet that is none", p.NumArgs())
				}
				return
			}
			if p.ID != tt.header.ID || p.Type != tt.header.Type || len(p.Embedded) != len(tt.embedded) {
				t.Errorf("assembled %+v", p)
			}
			if tt.name == "event" && (string(p.Event) != "e" || string(p.Arg(1)) != `{"a":[2]}` || string(p.Namespace) != "/chat") {
				t.Errorf("assembled %s %s of %s", p.Event, p.Arg(1), p.Namespace)
			}
			if tt.name == "disconnect" && p.Namespace != nil {
				t.Error("the root has a name")
			}
		})
	}
}

// S-4: the default parser is this package's functions.
func TestText(t *testing.T) {
	t.Parallel()
	var p Packet
	data := []byte(`2/chat,7["e","x"]`)
	text, err := Text{}.Parse(&p, []byte("before"), data, false, Limits{})
	clear(data)
	if err != nil || string(text) != `before2/chat,7["e","x"]` || string(p.Arg(0)) != `"x"` {
		t.Errorf("text %s, argument %s, %v", text, p.Arg(0), err)
	}
	if _, err := (Text{}).Parse(&p, nil, []byte("x"), true, Limits{}); !errors.Is(err, ErrBinary) {
		t.Errorf("binary: %v", err)
	}
	out, err := Text{}.Append([]byte("before"), Outgoing{Type: Type(9)})
	if !errors.Is(err, ErrType) || string(out.Data) != "before" {
		t.Errorf("type 9: %q, %v", out.Data, err)
	}
}

// S-78: the offset is the last argument, and where it stands can be written to.
func TestOffset(t *testing.T) {
	t.Parallel()
	const offset = "AAAAAAAA"
	for _, tt := range []struct {
		args []any
		want string
	}{
		{nil, `2/chat,["e","BBBBBBBB"]`},
		{[]any{1, "x"}, `2/chat,["e",1,"x","BBBBBBBB"]`},
		{[]any{[]byte("x")}, `51-/chat,["e",{"_placeholder":true,"num":0},"BBBBBBBB"]`},
	} {
		out, err := Text{}.Append([]byte("before"), Outgoing{Type: Event, Namespace: "/chat", Event: "e", Args: tt.args, Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(out.Data[out.Offset : out.Offset+len(offset)]); got != offset {
			t.Errorf("%s: %q stands at the offset", out.Data, got)
		}
		copy(out.Data[out.Offset:], "BBBBBBBB")
		if got := string(out.Data); got != "before"+tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
