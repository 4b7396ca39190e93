package msgpack_test

import (
	"fmt"

	"github.com/perch-go/perch/socketio/parser"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

// A server is given the parser as socketio.Options{Parser: msgpack.Parser{}}, and calls it.
func ExampleParser() {
	var p parser.Parser = msgpack.Parser{}
	out, err := p.Append(nil, parser.Outgoing{Type: parser.Event, Event: "upload", Args: []any{"a.png", []byte("…pixels…")}})
	fmt.Println(out.Binary, len(out.Attachments), err)

	var packet parser.Packet
	_, err = p.Parse(&packet, nil, out.Data, true, parser.Limits{})
	fmt.Printf("%s(%s, %s) %s %v\n", packet.Event, packet.Arg(0), packet.Arg(1), packet.Embedded, err)
	// Output:
	// true 0 <nil>
	// upload("a.png", {"_placeholder":true,"num":0}) […pixels…] <nil>
}
