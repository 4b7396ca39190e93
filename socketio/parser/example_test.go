package parser_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/perch-go/perch/socketio/parser"
)

func ExampleParse() {
	var p parser.Packet
	if err := parser.Parse([]byte(`2/chat,17["message","hello",{"room":"general"}]`), &p, parser.Limits{}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s in %s, ack %d\n", p.Type, p.Namespace, p.ID)
	fmt.Printf("%s(%s, %s)\n", p.Event, p.Arg(0), p.Arg(1))
	// Output:
	// EVENT in /chat, ack 17
	// message("hello", {"room":"general"})
}

func ExampleParse_refused() {
	var p parser.Packet
	err := parser.Parse([]byte(`511-["upload"]`), &p, parser.Limits{})
	fmt.Println(err)
	fmt.Println(errors.Is(err, parser.ErrTooManyAttachments))
	// Output:
	// parser: too many attachments at offset 1
	// true
}

func ExampleAppendEvent() {
	type Picture struct {
		Name string `json:"name"`
		Data []byte `json:"data"`
	}
	out, attachments, err := parser.AppendEvent(nil, "/", 0, false, "picture", []any{
		Picture{Name: "a.png", Data: []byte("…pixels…")},
	})
	fmt.Println(string(out), err)
	fmt.Printf("%s\n", attachments)
	// Output:
	// 51-["picture",{"name":"a.png","data":{"_placeholder":true,"num":0}}] <nil>
	// […pixels…]
}

func ExampleAppendAck() {
	out, _, err := parser.AppendAck(nil, "/chat", 17, []any{"received", 3})
	fmt.Println(string(out), err)
	// Output: 3/chat,17["received",3] <nil>
}

func ExampleDecode() {
	var picture struct {
		Name string
		Data []byte
	}
	raw := []byte(`{"name":"a.png","data":{"_placeholder":true,"num":0}}`)
	err := parser.Decode(raw, [][]byte{[]byte("…pixels…")}, &picture)
	fmt.Printf("%s %s %v\n", picture.Name, picture.Data, err)
	// Output: a.png …pixels… <nil>
}

func ExampleDecodeError() {
	var user struct {
		Name string
		Tags []string
	}
	err := parser.Decode([]byte(`{"name":"ada","tags":["a",2]}`), nil, &user)
	if decodeErr, ok := errors.AsType[*parser.DecodeError](err); ok {
		fmt.Println(decodeErr.Path, decodeErr.Got)
	}
	fmt.Println(err)
	// Output:
	// tags.1 number
	// parser: cannot decode number at tags.1 into string
}

func ExampleEncodable() {
	type Job struct {
		Name string
		Done chan struct{}
	}
	fmt.Println(parser.Encodable(reflect.TypeFor[Job]()))
	// Output: parser: parser_test.Job.Done (chan struct {}): has no representation in JSON
}

// lines is a parser for clients in other languages: each packet is one JSON object. Bytes follow as they do with Text.
type lines struct{}

type line struct {
	Type  parser.Type     `json:"type"`
	Space string          `json:"nsp"`
	ID    *uint64         `json:"id,omitempty"`
	Bytes int             `json:"attachments,omitempty"`
	Data  json.RawMessage `json:"data,omitempty"`
}

func (lines) Format() string { return "lines" }

func (lines) Parse(p *parser.Packet, buf, data []byte, binary bool, l parser.Limits) ([]byte, error) {
	if binary {
		return buf, parser.ErrBinary
	}
	var in line
	if err := json.Unmarshal(data, &in); err != nil {
		return buf, err
	}
	h := parser.Header{Type: in.Type, Namespace: []byte(in.Space), Attachments: in.Bytes}
	if h.HasID = in.ID != nil; h.HasID {
		h.ID = *in.ID
	}
	start := len(buf)
	buf = append(buf, in.Data...)
	return buf, p.Assemble(h, buf[start:], nil, l)
}

func (lines) Append(dst []byte, o parser.Outgoing) (parser.Encoded, error) {
	payload, err := o.AppendPayload(nil)
	if err != nil {
		return parser.Encoded{Data: dst}, err
	}
	out := line{Type: o.Type, Space: o.Namespace, Bytes: len(payload.Attachments), Data: payload.Data}
	if o.HasID {
		out.ID = &o.ID
	}
	text, err := json.Marshal(out)
	return parser.Encoded{Data: append(dst, text...), Attachments: payload.Attachments}, err
}

// A parser of one's own needs to know the format and nothing else: what arguments are, and what a packet must not be, this
// package knows.
func ExampleParser() {
	var format parser.Parser = lines{}
	out, err := format.Append(nil, parser.Outgoing{Type: parser.Event, Namespace: "/chat", Event: "message", Args: []any{"hello", 1}})
	fmt.Println(string(out.Data), err)

	var p parser.Packet
	_, err = format.Parse(&p, nil, out.Data, false, parser.Limits{})
	fmt.Printf("%s %s(%s, %s) in %s, %v\n", p.Type, p.Event, p.Arg(0), p.Arg(1), p.Namespace, err)

	_, err = format.Parse(&p, nil, []byte(`{"type":2,"nsp":"/","data":[{}]}`), false, parser.Limits{})
	fmt.Println(err)
	// Output:
	// {"type":2,"nsp":"/chat","data":["message","hello",1]} <nil>
	// EVENT message("hello", 1) in /chat, <nil>
	// parser: event name is neither a string nor a number at offset 1
}

// Text is what clients speak unless told otherwise. The offset of a packet is known only when its turn has come, so it is
// written over a stand-in of the same length.
func ExampleEncoded() {
	out, err := parser.Text{}.Append(nil, parser.Outgoing{Type: parser.Event, Event: "news", Args: []any{"x"}, Offset: "00000000"})
	copy(out.Data[out.Offset:], "Q84hqxC0")
	fmt.Println(string(out.Data), err)
	// Output: 2["news","x","Q84hqxC0"] <nil>
}
