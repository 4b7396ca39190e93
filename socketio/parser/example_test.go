package parser_test

import (
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
