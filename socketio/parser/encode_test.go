package parser

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"iter"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type blob []byte

type enum uint8

type node struct {
	Next *node `json:"next,omitzero"`
}

type loop []loop

type streamed struct{ inner any }

func (s streamed) MarshalJSONTo(enc *jsontext.Encoder) error {
	return json.MarshalEncode(enc, s.inner)
}

func list(args ...any) []any { return args }

func TestAppendEvent(t *testing.T) {
	t.Parallel()
	one, two := []byte{1, 2, 3}, blob{4, 5}
	s := "x"
	for _, test := range []struct {
		name        string
		args        []any
		want        string
		attachments [][]byte
	}{
		{"no argument", nil, `2["e"]`, nil},
		{"scalars", list(nil, true, false, "a", 1, -2, int64(3), uint64(math.MaxUint64), 1.5, int8(-8), uint16(16), float32(0.1), int32(5), uint(6), uint32(7)),
			`2["e",null,true,false,"a",1,-2,3,18446744073709551615,1.5,-8,16,0.1,5,6,7]`, nil},
		{"floats as in JavaScript", list(0.0, math.Copysign(0, -1), 1e-6, 1e-7, 1e20, 1e21, 1.5e300, -2.5e-10, 100.0, math.MaxFloat64),
			`2["e",0,0,0.000001,1e-7,100000000000000000000,1e+21,1.5e+300,-2.5e-10,100,1.7976931348623157e+308]`, nil},
		{"pointers", list(&s, (*string)(nil), &one), `51-["e","x",null,{"_placeholder":true,"num":0}]`, [][]byte{one}},
		{"strings", list("<a href=\"&'\">\u2028", "a\\b\b\f\n\r\t\x00\x1f\x7f", "é€😀", "\xff\xc3", "0123456\"0123456789"),
			"2[\"e\",\"<a href=\\\"&'\\\">\u2028\",\"a\\\\b\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\",\"é€😀\",\"\ufffd\ufffd\",\"0123456\\\"0123456789\"]", nil},
		{"any trees", list([]any{}, []any{1, []any{"x"}}, map[string]any{}, map[string]any{"a\n": []any{nil}}), `2["e",[],[1,["x"]],{},{"a\n":[null]}]`, nil},
		{"typed collections", list([]int(nil), []string{"a"}, map[int]bool{1: true}, [2]int{1, 2}), `2["e",[],["a"],{"1":true},[1,2]]`, nil},
		{"structs", list(struct {
			A string `json:"a"`
			B *int   `json:"b,omitzero"`
		}{A: "<x>"}), `2["e",{"a":"<x>"}]`, nil},
		{"duration is nanoseconds", list(time.Second, map[string]time.Duration{"d": 1}), `2["e",1000000000,{"d":1}]`, nil},
		{"time is text", list(time.Unix(0, 0).UTC()), `2["e","1970-01-01T00:00:00Z"]`, nil},
		{"raw JSON", list(stdjson.RawMessage(` {"a": [1]} `), jsontext.Value(`1e3`), jsontext.Value(nil), stdjson.RawMessage("\"\xff\"")), "2[\"e\", {\"a\": [1]} ,1e3,null,\"\ufffd\"]", nil},

		{"bytes", list(one), `51-["e",{"_placeholder":true,"num":0}]`, [][]byte{one}},
		{"empty bytes, nil bytes", list([]byte{}, []byte(nil), blob(nil)), `51-["e",{"_placeholder":true,"num":0},null,null]`, [][]byte{{}}},
		{"named bytes", list(two, 1, one), `52-["e",{"_placeholder":true,"num":0},1,{"_placeholder":true,"num":1}]`, [][]byte{two, one}},
		{"bytes in any", list([]any{one, []any{two}}, map[string]any{"k": one}),
			`53-["e",[{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1}]],{"k":{"_placeholder":true,"num":2}}]`, [][]byte{one, two, one}},
		{"bytes in structs", list(struct {
			A []byte
			B blob
			C *[]byte
			D any
			E []byte `json:",omitempty"`
			F string
		}{one, two, &one, two, nil, "f"}), `54-["e",{"A":{"_placeholder":true,"num":0},"B":{"_placeholder":true,"num":1},"C":{"_placeholder":true,"num":2},"D":{"_placeholder":true,"num":3},"F":"f"}]`, [][]byte{one, two, one, two}},
		{"bytes only in one field", list(upload{"a", one}, &upload{"b", nil}, []upload{{"c", two}}),
			`52-["e",{"name":"a","data":{"_placeholder":true,"num":0}},{"name":"b","data":null},[{"name":"c","data":{"_placeholder":true,"num":1}}]]`, [][]byte{one, two}},
		{"bytes in typed collections", list([][]byte{one}, map[string]blob{"k": two}, [1][]byte{one}),
			`53-["e",[{"_placeholder":true,"num":0}],{"k":{"_placeholder":true,"num":1}},[{"_placeholder":true,"num":2}]]`, [][]byte{one, two, one}},
		{"types that marshal themselves", list(net.IPv4(127, 0, 0, 1), map[string]any{"ip": net.IPv4(10, 0, 0, 1)}, streamed{"s"}, struct{ S streamed }{streamed{two}}),
			`51-["e","127.0.0.1",{"ip":"10.0.0.1"},"s",{"S":{"_placeholder":true,"num":0}}]`, [][]byte{two}},
		{"arrays of bytes are base64 text, slices of named bytes numbers", list([3]byte{1, 2, 3}, []enum{1, 2}), `2["e","AQID",[1,2]]`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, attachments, err := AppendEvent(nil, "", 0, false, "e", test.args)
			if err != nil {
				t.Fatal(err)
			}
			if string(out) != test.want {
				t.Errorf("got  %s\nwant %s", out, test.want)
			}
			if !slices.EqualFunc(attachments, test.attachments, bytes.Equal) {
				t.Errorf("attachments %v, want %v", attachments, test.attachments)
			}
			if err := Parse(out, new(Packet), Limits{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAppendHeaders(t *testing.T) {
	t.Parallel()
	dst := []byte("kept")
	event := func(namespace string, id uint64, hasID bool, args ...any) string {
		out, _, err := AppendEvent(dst, namespace, id, hasID, "a\"b", args)
		if err != nil {
			t.Error(err)
		}
		return string(out)
	}
	ack := func(namespace string, id uint64, args ...any) string {
		out, _, err := AppendAck(dst, namespace, id, args)
		if err != nil {
			t.Error(err)
		}
		return string(out)
	}
	eleven := slices.Repeat(list([]byte{1}), 11)
	for _, test := range []struct{ got, want string }{
		{event("", 0, false), `2["a\"b"]`},
		{event("/", 0, true), `20["a\"b"]`},
		{event("/chat", 12, true, 1), `2/chat,12["a\"b",1]`},
		{event("/chat", 12, true, []byte{1}), `51-/chat,12["a\"b",{"_placeholder":true,"num":0}]`},
		{event("", 0, false, eleven...)[:10], `511-["a\"b`},
		{ack("/", 0), `30[]`},
		{ack("/chat", 1<<53, "x", nil), `3/chat,9007199254740992["x",null]`},
		{ack("", 7, []byte{1}), `61-7[{"_placeholder":true,"num":0}]`},
		{string(AppendDisconnect(dst, "/")), `1`},
		{string(AppendDisconnect(dst, "/chat")), `1/chat,`},
	} {
		if want := "kept" + test.want; test.got != want && !strings.HasPrefix(want, test.got) {
			t.Errorf("got %s, want %s", test.got, want)
		}
	}
}

func TestAppendConnect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		payload any
		connect string
		refuse  string
	}{
		{nil, "0/c,", ""},
		{map[string]any{"sid": "x"}, `0/c,{"sid":"x"}`, `4/c,{"sid":"x"}`},
		{struct {
			SID string `json:"sid"`
		}{"x"}, `0/c,{"sid":"x"}`, `4/c,{"sid":"x"}`},
		{stdjson.RawMessage("\n {}"), `0/c,{}`, `4/c,{}`},
		{"no", "", `4/c,"no"`},
		{[]any{}, "", ""}, {1, "", ""}, {true, "", ""}, {(*node)(nil), "", ""},
		{math.NaN(), "", ""}, {map[string]any{"b": []byte{1}}, "", ""},
	} {
		for _, side := range []struct {
			append func([]byte, string, any) ([]byte, error)
			want   string
		}{{AppendConnect, test.connect}, {AppendConnectError, test.refuse}} {
			out, err := side.append([]byte("kept"), "/c", test.payload)
			if string(out) != "kept"+side.want || (err == nil) != (side.want != "") {
				t.Errorf("%v: %q, %v; want %q", test.payload, out, err, side.want)
			}
			if _, ok := errors.AsType[*EncodeError](err); err != nil && !ok {
				t.Errorf("%v: %T", test.payload, err)
			}
		}
	}
}

// Defect of a peer: Emit of NaN sent an event without payload and returned
// nil. An encode failure is an error, and leaves nothing behind.
func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	cyclic := map[string]any{}
	cyclic["self"] = []any{cyclic}
	ring := &node{}
	ring.Next = ring
	self := make(loop, 1)
	self[0] = self
	for name, arg := range map[string]any{
		"NaN": math.NaN(), "Inf": math.Inf(-1), "NaN deep down": map[string]any{"a": []any{math.NaN()}}, "float32": float32(math.Inf(1)),
		"NaN in a struct": struct{ F float64 }{math.NaN()}, "channel": make(chan int), "function": func() {}, "complex": 1i,
		"channel in any": []any{make(chan int)}, "channel in a struct": struct{ V any }{make(chan int)},
		"raw JSON": stdjson.RawMessage(`{`), "two raw values": jsontext.Value(`1 2`), "empty raw": stdjson.RawMessage{}, "raw in a struct": struct{ R jsontext.Value }{jsontext.Value(`]`)},
		"cycle of maps": cyclic, "cycle of pointers": ring, "cycle of slices": self, "error of a method": failing{},
	} {
		out, attachments, err := AppendEvent([]byte("kept"), "/", 0, false, "e", list(1, []byte{1}, arg))
		encodeErr, ok := errors.AsType[*EncodeError](err)
		if !ok || encodeErr.Argument != 2 || encodeErr.Err == nil || string(out) != "kept" || attachments != nil {
			t.Errorf("%s: %q, %v, %v", name, out, attachments, err)
		}
	}
	_, _, err := AppendAck(nil, "/", 0, list("x", failing{}))
	if !errors.Is(err, errFailing) || !strings.HasPrefix(err.Error(), "parser: cannot encode argument 1: ") {
		t.Errorf("the cause is not to be found in %v", err)
	}
}

var errFailing = errors.New("failing")

type failing struct{}

func (failing) MarshalJSON() ([]byte, error) { return nil, errFailing }

// States are shared between goroutines one at a time, and forget what they
// held.
func TestAppendConcurrently(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			content := bytes.Repeat([]byte{byte(i)}, 8)
			for range 200 {
				out, attachments, err := AppendEvent(nil, "/", 0, false, "e", list(&upload{"a", content}, struct{ V any }{blob(content)}))
				if err != nil || len(attachments) != 2 {
					t.Error(attachments, err)
					return
				}
				var p Packet
				if err := Parse(out, &p, Limits{}); err != nil {
					t.Error(err)
					return
				}
				var u upload
				var v struct{ V any }
				if err := errors.Join(Decode(p.Arg(0), attachments, &u), Decode(p.Arg(1), attachments, &v)); err != nil || !bytes.Equal(u.Data, content) || !bytes.Equal(v.V.([]byte), content) {
					t.Error(u, v, err)
					return
				}
			}
		})
	}
	group.Wait()
	for s := range taken(t, &encodeStates) {
		if s.attachments != nil || s.buffer.Cap() != 0 {
			t.Error("a free state holds on to what it encoded")
		}
	}
}

// taken takes all states from a list, and puts them back when it is done.
func taken[T any](t *testing.T, l *freeList[T]) iter.Seq[*T] {
	t.Helper()
	return func(yield func(*T) bool) {
		for s := l.take(); s != nil; s = l.take() {
			defer l.put(s)
			if !yield(s) {
				return
			}
		}
	}
}

// Acks are built past Outgoing, and scalars where they stand: with the same result.
func TestAppendAckShortcuts(t *testing.T) {
	t.Parallel()
	text, n, n64, f, yes, data := "a\"b", -1, int64(1)<<40, 1.5, true, []byte("b")
	var noText *string
	var noInt *int
	var noInt64 *int64
	var noFloat *float64
	var noBool *bool
	var noBytes *[]byte
	for _, args := range [][2][]any{
		{{&text, &n, &n64, &f, &yes, &data}, {text, n, n64, f, yes, data}},
		{{noText, noInt, noInt64, noFloat, noBool, noBytes}, {nil, nil, nil, nil, nil, nil}},
		{{}, {}},
	} {
		want, err := Text{}.Append(nil, Outgoing{Type: Ack, Namespace: "/n", ID: 7, HasID: true, Args: args[1]})
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range args {
			got, attachments, err := AppendAck([]byte("x"), "/n", 7, list)
			if err != nil || string(got) != "x"+string(want.Data) || len(attachments) != len(want.Attachments) {
				t.Errorf("%v: %s, %v; want %s", list, got, err, want.Data)
			}
		}
	}
	if out, _, err := AppendAck([]byte("x"), "/", 1, []any{make(chan int)}); err == nil || string(out) != "x" {
		t.Errorf("got %q, %v", out, err)
	}
}
