package parser

import (
	stdjson "encoding/json"
	"strings"
	"testing"
)

// The payloads of the project's own benchmark: an acked event of 32 bytes, and
// of a kilobyte.
var (
	echo32 = []byte(`20["echo","` + strings.Repeat("x", 32) + `"]`)
	echo1k = []byte(`20["echo","` + strings.Repeat("x", 1024) + `"]`)
)

type chatMessage struct {
	Room string   `json:"room"`
	Text string   `json:"text"`
	Sent int64    `json:"sent"`
	Tags []string `json:"tags"`
}

type upload struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

var echoRaw = stdjson.RawMessage(`{"room":"general","sent":1767225600000}`)

var aMessage = chatMessage{Room: "general", Text: "hello, everyone in here", Sent: 1767225600000, Tags: []string{"a", "b"}}

func BenchmarkParse(b *testing.B) {
	for _, bm := range []struct {
		name string
		text []byte
	}{
		{"echo32", echo32},
		{"echo1k", echo1k},
		{"cyrillic1k", []byte(`20["echo","` + strings.Repeat("я", 512) + `"]`)},
		{"struct", []byte(`2/chat,17["message",{"room":"general","text":"hello, everyone in here","sent":1767225600000,"tags":["a","b"]}]`)},
		{"connect", []byte(`0/admin,{"token":"123456789"}`)},
		{"ack", []byte(`317[]`)},
		{"binary", []byte(`51-["upload",{"name":"a.png","data":{"_placeholder":true,"num":0}}]`)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			var p Packet
			b.SetBytes(int64(len(bm.text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Parse(bm.text, &p, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendAck(b *testing.B) {
	for _, bm := range []struct {
		name string
		args []any
	}{
		{"none", nil},
		{"string32", []any{strings.Repeat("x", 32)}},
		{"string1k", []any{strings.Repeat("x", 1024)}},
		{"int", []any{42}},
		{"raw", []any{echoRaw}},
		{"struct", []any{aMessage}},
		{"structPointer", []any{&aMessage}},
		{"map", []any{map[string]any{"room": "general", "sent": 1767225600000, "ok": true}}},
		{"bytes", []any{[]byte("0123456789")}},
		{"structWithBytes", []any{&upload{"a.png", []byte("0123456789")}}},
		{"structWithAny", []any{&struct {
			Name string
			V    any
		}{"a", 1.5}}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			dst := make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := AppendAck(dst, "/", 17, bm.args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	run := func(name, raw string, attachments [][]byte, v any) {
		b.Run(name, func(b *testing.B) {
			text := []byte(raw)
			b.ReportAllocs()
			for b.Loop() {
				if err := Decode(text, attachments, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("string32", `"`+strings.Repeat("x", 32)+`"`, nil, new(string))
	run("int", `1767225600000`, nil, new(int))
	run("raw", `{"room":"general","sent":1767225600000}`, nil, new(stdjson.RawMessage))
	run("struct", `{"room":"general","text":"hello, everyone in here","sent":1767225600000,"tags":["a","b"]}`, nil, new(chatMessage))
	run("any", `{"room":"general","text":"hello, everyone in here","sent":1767225600000,"tags":["a","b"]}`, nil, new(any))
	ph := `{"name":"a.png","data":{"_placeholder":true,"num":0}}`
	data := [][]byte{[]byte("0123456789")}
	run("bytes", `{"_placeholder":true,"num":0}`, data, new([]byte))
	run("structWithBytes", ph, data, new(upload))
	run("anyWithBytes", ph, data, new(any))
}
