package e2e

import (
	"bytes"
	"encoding/hex"

	"github.com/perch-go/perch/client"
)

// pattern is n bytes.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// binaryCases: bytes, wherever they are.
var binaryCases = []goCase{
	comesBack("binary: bytes come back (C-20)", []byte{}, []byte{0}, []byte{4, 0x1e, 0xff, 0}, pattern(1000)),
	comesBack("binary: from anywhere in a value (C-20)",
		object{"deep": []any{object{"a": []byte{1}, "list": []any{[]byte{2}, "b", []any{[]byte{3, 4}}}}}, "empty": []byte{}, "text": "t", "none": nil},
		[]any{[]byte{1}, []byte{1}, "x"},
	),
	comesBack("binary: large ones (C-19)", pattern(70_000), object{"a": pattern(300_000), "b": pattern(200_000)}),
	comesBack("binary: beside what looks like a placeholder (C-20)", []any{object{"_placeholder": false, "num": 0.0}, []byte{1}, object{"num": 0.0}}),
	{"binary: arrives at the server as bytes, in order (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.want("shape", v.ask(s, "shape", []byte{1, 2, 255}, object{"a": []byte{3}}, "010203"), []any{"<0102ff>", object{"a": "<03>"}, "010203"})
	}},
	{"binary: types of bytes are bytes, numbers are not (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		type digest []byte
		v.want("shape", v.ask(s, "shape", digest{1, 2}, struct{ Sum digest }{digest{3}}, []int{1, 2}),
			[]any{"<0102>", object{"Sum": "<03>"}, []any{1.0, 2.0}})
	}},
	{"binary: nil is null (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		got := v.ask(s, "shape", []byte(nil), nil)
		if first := got[0]; first != nil && first != "<>" {
			v.Errorf("a nil slice arrives as %v", first)
		}
		v.want("nil", got[1], nil)
	}},
	{"binary: the server's bytes arrive (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		for _, n := range []int{0, 1, 1000, 100_000} {
			v.want("bytes", v.ask(s, "bytes", n), []any{bytes.Repeat([]byte{7}, n)})
		}
		came := v.heard(s, "picture")
		v.ask(s, "emit", "picture", "name", pattern(10), object{"more": pattern(3)})
		v.want("picture", v.wait("the picture", came, 1), []any{[]any{"name", pattern(10), object{"more": pattern(3)}}})
	}},
	{"binary: as many attachments as a packet may have (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		list := make([]any, 10)
		for i := range list {
			list[i] = pattern(i * 100)
		}
		v.want("echo", v.ask(s, "echo", list), []any{list})
	}},
	{"binary: more than the client takes end the connection, which is made again (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"), func(o *client.Options) { o.MaxAttachments = 3 })
		came := v.heard(s, "attachments")
		v.settled(s)
		life := v.life(s)
		v.emit(s, "attachments", 3)
		v.want("three", len(v.wait("three", came, 1)[0].([]any)), 3)
		v.emit(s, "attachments", 4)
		v.want("life", v.wait("back", life, 2), []any{"disconnect: parse error", "connect"})
		v.want("came", len(came.all()), 1)
	}},
	{"binary: more than the default end the connection, or are taken if that is wanted (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		life := v.life(s)
		v.settled(s)
		v.emit(s, "attachments", 11)
		v.want("life", v.wait("back", life, 2), []any{"disconnect: parse error", "connect"})
		s = v.dial(v.at("plain"), func(o *client.Options) { o.MaxAttachments = 50 })
		came := v.heard(s, "attachments")
		v.emit(s, "attachments", 50)
		v.want("fifty", len(v.wait("fifty", came, 1)[0].([]any)), 50)
	}},
	{"binary: keeps its order among texts (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		echoes := v.heard(s, "echo")
		const count = 300
		value := func(i int) any {
			if i%3 == 0 {
				return []any{[]byte{byte(i)}, float64(i), []byte{}}
			}
			return float64(i)
		}
		for i := range count {
			v.emit(s, "echo", value(i))
		}
		for i, got := range v.wait("echoes", echoes, count) {
			v.want("echo", got, value(i))
		}
	}},
	{"binary: in an answer to the server (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		s.On("question", acked([]byte{1, 2}, object{"a": []byte{3}}, "t"))
		v.want("answer", v.ask(s, "ask", object{}, "question", []byte{9}),
			[]any{object{"answer": []any{[]byte{1, 2}, object{"a": []byte{3}}, "t"}}})
	}},
	{"binary: may be decoded as text is, and into structs (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		reply, err := s.EmitWithAck(v.soon(), "echo", object{"name": "n", "data": pattern(5), "list": []any{pattern(2)}})
		if err != nil {
			v.Fatal(err)
		}
		var file struct {
			Name string
			Data []byte
			List [][]byte
		}
		if err := reply.Decode(0, &file); err != nil {
			v.Fatal(err)
		}
		v.want("file", []any{file.Name, hex.EncodeToString(file.Data), file.List}, []any{"n", hex.EncodeToString(pattern(5)), [][]byte{pattern(2)}})
	}},
	{"binary: an argument may be changed once Emit has returned (C-20)", func(v *visit) {
		s := v.socket(v.at("plain"))
		echoes := v.heard(s, "echo")
		data := []byte{1, 2, 3}
		v.emit(s, "echo", data) // waits for the connection
		data[0] = 9
		v.connect(s)
		data[0] = 4
		v.emit(s, "echo", data)
		data[0] = 9
		v.want("echoes", v.wait("both", echoes, 2), []any{[]byte{1, 2, 3}, []byte{4, 2, 3}})
	}},
}
