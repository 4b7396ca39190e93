package parser

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"math/big"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

type wanted struct {
	Name     string        `json:"name"`
	UserID   int           `json:"userId"`
	Wait     time.Duration `json:"wait"`
	Tags     []string      `json:"tags"`
	Inner    *wanted       `json:"inner"`
	Whatever any           `json:"whatever"`
}

func ptr[T any](v T) *T { return &v }

func TestDecode(t *testing.T) {
	t.Parallel()
	a, b := []byte{1, 2, 3}, []byte{}
	both := [][]byte{a, b}
	for _, test := range []struct {
		raw         string
		attachments [][]byte
		want        any // decoded into a new value of its type
	}{
		{`"abc"`, nil, "abc"}, {`"a\u0062\n"`, nil, "ab\n"}, {`""`, nil, ""}, {`null`, nil, ""}, {`"\ud800x"`, nil, "\ufffdx"}, {`"\ud83d\ude00"`, nil, "😀"},
		{`12`, nil, 12}, {`-0`, nil, 0}, {`9223372036854775807`, nil, int64(1<<63 - 1)}, {`-9223372036854775808`, nil, int64(-1 << 63)}, {`null`, nil, 0}, {`200`, nil, uint8(200)},
		{`12`, nil, 12.0}, {`1.5e3`, nil, 1500.0}, {`123456789012345`, nil, 123456789012345.0}, {`1234567890123456789`, nil, 1234567890123456789.0}, {`true`, nil, true}, {`false`, nil, false}, {`null`, nil, false},
		{`{"a": 1}`, nil, stdjson.RawMessage(`{"a": 1}`)}, {`[1]`, nil, jsontext.Value(`[1]`)},
		{`{"name":"n","userId":7,"wait":1000000000,"tags":["x"],"inner":{"name":"i"},"whatever":[1,"s",null,true,{"k":2}]}`, nil,
			wanted{"n", 7, time.Second, []string{"x"}, &wanted{Name: "i"}, []any{1.0, "s", nil, true, map[string]any{"k": 2.0}}}},
		{`{"NAME":"n","UserID":7,"unknown":{}}`, nil, wanted{Name: "n", UserID: 7}},
		{`{"name":"first","name":"last"}`, nil, wanted{Name: "last"}},
		{`{"a":1,"a":2}`, nil, ptr[any](map[string]any{"a": 2.0})},
		{`"127.0.0.1"`, both, net.IPv4(127, 0, 0, 1)}, {`123456789012345678901234567890`, nil, *bigInt("123456789012345678901234567890")},

		{`"AQID"`, nil, a}, {`"AQID"`, both, a}, {`"AQID"`, both, blob(a)}, {`"AQID"`, nil, blob(a)}, {`null`, both, []byte(nil)}, {`null`, nil, blob(nil)},
		{`{"_placeholder":true,"num":0}`, both, a}, {`{"num":1,"_placeholder":true}`, both, b}, {`{"_placeholder":true,"num":0}`, both, blob(a)},
		{`{"_placeholder":true,"num":0}`, both, [3]byte{1, 2, 3}}, {`"AQID"`, both, [3]byte{1, 2, 3}}, {`null`, both, [3]byte{}},
		{`{"_placeholder":true,"num":0}`, both, ptr(a)}, {`null`, both, (*[]byte)(nil)},
		{`{"_placeholder":true,"num":0}`, both, ptr[any](a)},
		{`[{"_placeholder":true,"num":1},{"_placeholder":false,"num":0},{"k":{"_placeholder":true,"num":0}},1.5,"s",null,false]`, both,
			ptr[any]([]any{b, map[string]any{"_placeholder": false, "num": 0.0}, map[string]any{"k": a}, 1.5, "s", nil, false})},
		{`{"name":"n","whatever":{"_placeholder":true,"num":0},"inner":{"whatever":[{"_placeholder":true,"num":1}]}}`, both,
			wanted{Name: "n", Whatever: a, Inner: &wanted{Whatever: []any{b}}}},
		{`{"name":"n","data":{"_placeholder":true,"num":0}}`, both, upload{"n", a}}, {`{"NAME":"n","DATA":"AQID"}`, both, upload{"n", a}},
		{`[{"_placeholder":true,"num":0},null]`, both, [][]byte{a, nil}}, {`{"k":{"_placeholder":true,"num":0}}`, both, map[string]blob{"k": a}},
		{`{"_placeholder":true,"num":0}`, nil, map[string]any{"_placeholder": true, "num": 0.0}},
		{`{"_placeholder":true,"num":0}`, both, stdjson.RawMessage(`{"_placeholder":true,"num":0}`)},
		{`{"_placeholder":true,"num":0}`, both, struct{ Num int }{0}},
		{`{"x":1}`, both, chatMessage{}}, {`"s"`, both, "s"}, {`7`, both, 7},
	} {
		v := reflect.New(reflect.TypeOf(test.want))
		if err := Decode([]byte(test.raw), test.attachments, v.Interface()); err != nil {
			t.Errorf("%s into %T: %v", test.raw, test.want, err)
			continue
		}
		if got := v.Elem().Interface(); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %#v, want %#v", test.raw, got, test.want)
		}
	}
}

func bigInt(s string) *big.Int {
	n, _ := new(big.Int).SetString(s, 10)
	return n
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	data := [][]byte{{1}}
	for _, test := range []struct {
		raw         string
		attachments [][]byte
		v           any
		path, got   string
	}{
		{`"x"`, nil, new(int), "", "string"}, {`1.5`, nil, new(int), "", "number"}, {`300`, nil, new(uint8), "", "number"}, {`12`, nil, new(string), "", "number"}, {`{}`, nil, new([]int), "", "object"}, {`[]`, nil, new(wanted), "", "array"}, {`"true"`, nil, new(bool), "", "string"},
		{`99999999999999999999`, nil, new(int), "", "number"}, {`"x"`, nil, new(float64), "", "string"},
		{`{"inner":{"tags":["a",2]}}`, nil, new(wanted), "inner.tags.1", "number"},
		{`{"inner":{"userId":"2"}}`, data, new(wanted), "inner.userId", "string"},
		{`{"a":1e999}`, nil, new(any), "a", "number"}, {`{"a":1e999}`, data, new(any), "", ""},
		{`{"_placeholder":true,"num":0}`, nil, new([]byte), "", "object"}, {`{"_placeholder":true,"num":1}`, data, new([]byte), "", ""}, {`{"_placeholder":true,"num":-1}`, data, new(any), "", ""},
		{`{"_placeholder":true,"num":0.5}`, data, new(any), "", ""}, {`{"_placeholder":true,"num":1e300}`, data, new(any), "", ""}, {`{"_placeholder":true}`, data, new(blob), "", ""}, {`{"_placeholder":true,"num":"0"}`, data, new(any), "", ""},
		{`{"data":{"_placeholder":true,"num":7}}`, data, new(upload), "data", ""}, {`{"data":{}}`, data, new(upload), "data", ""}, {`{"data":[1]}`, data, new(upload), "data", ""}, {`{"data":7}`, nil, new(upload), "data", "number"},
		{`"!"`, nil, new([]byte), "", "string"}, {`"!"`, data, new([]byte), "", ""}, {`{"_placeholder":true,"num":0}`, data, new([3]byte), "", ""},
		{`{`, nil, new(any), "", ""}, {``, nil, new(string), "", ""}, {`"a`, nil, new(string), "", ""}, {`"a"x`, nil, new(string), "", ""}, {"\"\x01\"", nil, new(string), "", ""}, {`1 2`, nil, new(int), "", ""}, {`tru`, nil, new(bool), "", ""}, {`[1,]`, nil, new(jsontext.Value), "1", ""}, {`[`, data, new(any), "", ""}, {`{"a":`, data, new(any), "a", ""}, {`{"a"`, data, new(any), "a", ""}, {`{"num":`, data, new(blob), "num", ""}, {`{"num"`, data, new(blob), "num", ""}, {`{7`, data, new([]byte), "", ""}, {`[1,}`, data, new(any), "", ""}, {`}`, data, new([]byte), "", ""},
		{`1`, nil, nil, "", ""}, {`1`, nil, 1, "", ""}, {`1`, nil, (*wanted)(nil), "", ""}, {`"x"`, nil, ptr(make(chan int)), "", ""},
	} {
		err := Decode([]byte(test.raw), test.attachments, test.v)
		decodeErr, ok := errors.AsType[*DecodeError](err)
		if !ok {
			t.Errorf("%s into %T: %v", test.raw, test.v, err)
			continue
		}
		if decodeErr.Path != test.path || test.got != "" && decodeErr.Got != test.got {
			t.Errorf("%s into %T: path %q, got %q, want %q and %q (%v)", test.raw, test.v, decodeErr.Path, decodeErr.Got, test.path, test.got, err)
		}
		if !strings.HasPrefix(decodeErr.Error(), "parser: cannot decode") {
			t.Errorf("%v", decodeErr)
		}
	}
	err := Decode([]byte(`{"inner":{"tags":["a",2]}}`), nil, new(wanted))
	if errors.Unwrap(err) != nil {
		t.Errorf("more about it: %v", errors.Unwrap(err))
	}
	if want := "parser: cannot decode number at inner.tags.1 into string"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

// What is decoded owns its memory, but for attachments, which are handed over
// with no room to append into.
func TestDecodeAliasing(t *testing.T) {
	t.Parallel()
	raw := []byte(`"text"`)
	var s string
	var r stdjson.RawMessage
	if err := errors.Join(Decode(raw, nil, &s), Decode(raw, nil, &r)); err != nil {
		t.Fatal(err)
	}
	copy(raw, "xxxxxx")
	if s != "text" || string(r) != `"text"` {
		t.Errorf("got %q and %q", s, r)
	}
	data := [][]byte{[]byte("content")[:4]}
	var b []byte
	var v any
	placeholder := []byte(`{"_placeholder":true,"num":0}`)
	if err := errors.Join(Decode(placeholder, data, &b), Decode(placeholder, data, &v)); err != nil {
		t.Fatal(err)
	}
	if &b[0] != &data[0][0] || cap(b) != 4 || cap(v.([]byte)) != 4 || !bytes.Equal(b, data[0]) {
		t.Errorf("got %q with room for %d", b, cap(b))
	}
	for s := range taken(t, &decodeStates) {
		if s.attachments != nil {
			t.Error("a free state holds on to attachments")
		}
	}
}
