package msgpack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// placeholder is a placeholder's JSON.
func placeholder(i int) string { return `{"_placeholder":true,"num":` + strconv.Itoa(i) + `}` }

// Spec 3.5, 3.6: JSON and the MessagePack it becomes, which becomes the same JSON. All of it but floats is what notepack writes.
func TestBothWays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		json, packed string
		attachments  []string
	}{
		{`null`, "c0", nil},
		{`true`, "c3", nil},
		{`false`, "c2", nil},
		{`0`, "00", nil},
		{`127`, "7f", nil},
		{`200`, "ccc8", nil},
		{`70000`, "ce00011170", nil},
		{`-1`, "ff", nil},
		{`-33`, "d0df", nil},
		{`-40000`, "d2ffff63c0", nil},
		{`9007199254740992`, "cf0020000000000000", nil},
		{`9007199254740993`, "cf0020000000000001", nil},
		{`-9007199254740992`, "d3ffe0000000000000", nil},
		{`-9223372036854775808`, "d38000000000000000", nil},
		{`9223372036854775807`, "cf7fffffffffffffff", nil},
		{`18446744073709551615`, "cfffffffffffffffff", nil},
		{`1.5`, "cb3ff8000000000000", nil},
		{`1e-7`, "cb3e7ad7f29abcaf48", nil},
		{`1e+21`, "cb444b1ae4d6e2ef50", nil},
		{`""`, "a0", nil},
		{`"héllo 😀"`, "ab68c3a96c6c6f20f09f9880", nil},
		{`"` + strings.Repeat("x", 33) + `"`, "d921" + strings.Repeat("78", 33), nil},
		{`"a\"\\\n\u0001"`, "a5 61 22 5c 0a 01", nil},
		{`[]`, "90", nil},
		{`{}`, "80", nil},
		{`[[],{},[[1]],{"a":{"b":[]}}]`, "94 90 80 91 91 01 81 a1 61 81 a1 62 90", nil},
		{`{"1":2,"a":[true,false]}`, "82a13102a16192c3c2", nil},
		{`[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]`, "dc0010 0102030405060708090a0b0c0d0e0f10", nil},
		{placeholder(0), "c403010203", []string{"\x01\x02\x03"}},
		{`["e",{"a":` + placeholder(0) + `,"b":[` + placeholder(1) + `]}]`, "92 a165 82 a161 c400 a162 91 c40178", []string{"", "x"}},
		{`{"_placeholder":true,"num":1}`, "82 ac5f706c616365686f6c646572 c3 a36e756d 01", nil}, // there is no such attachment
		{`{"_placeholder":false,"num":0}`, "82 ac5f706c616365686f6c646572 c2 a36e756d 00", nil},
	} {
		var attachments [][]byte
		for _, a := range tt.attachments {
			attachments = append(attachments, []byte(a))
		}
		packed, err := Pack([]byte("x"), []byte(tt.json), attachments)
		if want := append([]byte("x"), unhex(t, tt.packed)...); err != nil || !bytes.Equal(packed, want) {
			t.Errorf("%s: %x, %v, want %x", tt.json, packed, err, want)
			continue
		}
		text, found, err := Unpack([]byte("x"), packed[1:], Limits{})
		if err != nil || string(text) != "x"+tt.json {
			t.Errorf("%x: %s, %v, want %s", packed[1:], text, err, tt.json)
		}
		if len(found) != len(attachments) || string(bytes.Join(found, nil)) != strings.Join(tt.attachments, "") {
			t.Errorf("%x: attachments %q, want %q", packed[1:], found, tt.attachments)
		}
	}
}

// What JSON can say in more than one way.
func TestPack(t *testing.T) {
	t.Parallel()
	attachment := [][]byte{[]byte("x")}
	for _, tt := range []struct{ json, packed string }{
		{" [ 1 , { \"a\" : \t2\n} ]\r", "92 01 81 a161 02"},
		{`"\u00e9\ud83d\ude00\/"`, "a7c3a9f09f98802f"},
		{`"\ud800"`, "a3efbfbd"},
		{"\"\xff\"", "a3efbfbd"},
		{`-0`, "cb8000000000000000"},
		{`1.0`, "cb3ff0000000000000"},
		{`1e999`, "cb7ff0000000000000"},
		{`18446744073709551616`, "cb43f0000000000000"},
		{`-9223372036854775809`, "cbc3e0000000000000"},
		{` { "num" : 0 , "_placeholder" : true } `, "c40178"},
		{`[{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, "92 c40178 c40178"},
		{`{"_placeholder":true,"num":0,"a":1}`, "83 ac5f706c616365686f6c646572 c3 a36e756d 00 a161 01"},
		{`{"_placeholder":true,"num":-1}`, "82 ac5f706c616365686f6c646572 c3 a36e756d ff"},
		{`{"_placeholder":true,"num":[0]}`, "82 ac5f706c616365686f6c646572 c3 a36e756d 91 00"},
		{`{"_placeholder":true,"a":{"num":0}}`, "82 ac5f706c616365686f6c646572 c3 a161 81 a36e756d 00"},
		{`{"a":1,"a":2}`, "82 a161 01 a161 02"},
	} {
		got, err := Pack(nil, []byte(tt.json), attachment)
		if want := unhex(t, tt.packed); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v, want %x", tt.json, got, err, want)
		}
	}
	for _, text := range []string{
		``, ` `, `[`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `]`, `[}`, `{]`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{1:2}`, `{,}`,
		`1 2`, `[] []`, `tru`, `nul`, `x`, `01`, `-`, `1.`, `1e`, `+1`, `.5`, `"`, `"\`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\n\"", `NaN`, `[1}`, `{"a":1]`,
	} {
		got, err := Pack([]byte("kept"), []byte(text), nil)
		if !errors.Is(err, ErrJSON) || string(got) != "kept" {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.Offset < 0 || e.Offset > len(text) {
			t.Errorf("%q: %v", text, err)
		}
	}
	deep := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if _, err := Pack(nil, deep(maxPackDepth), nil); err != nil {
		t.Error(err)
	}
	if _, err := Pack(nil, deep(maxPackDepth+1), nil); !errors.Is(err, ErrDepth) {
		t.Errorf("too deep: %v", err)
	}
}

// Spec 3.5: what the JavaScript encoders make of values that MessagePack, or JSON, does not have.
func TestUnpack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ packed, json string }{
		{"d40000", `null`},
		{"92d4000001", `[null,1]`},
		{"82a161d40000a16201", `{"b":1}`},
		{"82a16101a162d40000", `{"a":1}`},
		{"81a161d40000", `{}`},
		{"d7000000019b76daaaa6", `"2026-01-01T00:00:00.678Z"`},
		{"d700ffffffffffffffff", `"1969-12-31T23:59:59.999Z"`},
		{"d7007fffffffffffffff", `null`},
		{"d700001eb208c2dc0000", `"+275760-09-13T00:00:00.000Z"`},
		{"d700ffe14df73d240000", `"-271821-04-20T00:00:00.000Z"`},
		{"d6ff69557a80", `"2025-12-31T19:33:20.000Z"`},
		{"d7ff a1a5d600 69557a80", `"2025-12-31T19:33:20.678Z"`},
		{"d7ff 00000004 00000000", `"1970-01-01T00:00:00.000000001Z"`},
		{"c70cff 00000000 ffffffffffffffff", `"1969-12-31T23:59:59.000Z"`},
		{"c70cff 3b9aca00 0000000000000000", `null`}, // a billion nanoseconds
		{"c70300010203", placeholder(0)},
		{"c7010007", placeholder(0)},
		{"c8000100 07", placeholder(0)},
		{"c90000000100 07", placeholder(0)},
		{"d5050102", `[5,` + placeholder(0) + `]`},
		{"c703fb010203", `[-5,` + placeholder(0) + `]`},
		{"d80001020304050607080910111213141516", `[0,` + placeholder(0) + `]`},
		{"c5000161", placeholder(0)},
		{"c60000000161", placeholder(0)},
		{"cb7ff8000000000000", `null`},
		{"cbfff0000000000000", `null`},
		{"ca3fc00000", `1.5`},
		{"cb4008000000000000", `3`},
		{"cb8000000000000000", `0`},
		{"d90161", `"a"`}, {"da000161", `"a"`}, {"db0000000161", `"a"`},
		{"d1ff00", `-256`}, {"d2ffffff00", `-256`}, {"d3ffffffffffffff00", `-256`}, {"cd0100", `256`}, {"d000", `0`},
		{"dd0000000101", `[1]`},
		{"df00000001a16101", `{"a":1}`}, {"de0001a16101", `{"a":1}`},
		{"84 01a161 ff01 c301 c002", `{"1":"a","-1":1,"true":1,"null":2}`},
		{"81cfffffffffffffffff01", `{"18446744073709551615":1}`},
	} {
		text, _, err := Unpack(nil, unhex(t, tt.packed), Limits{})
		if err != nil || string(text) != tt.json {
			t.Errorf("%s: %s, %v, want %s", tt.packed, text, err, tt.json)
		}
	}
}

// Malformed input, and input that announces more than there is.
func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("91", 64) + "c0"
	for _, tt := range []struct {
		packed string
		l      Limits
		want   error
		offset int
	}{
		{"", Limits{}, ErrTruncated, 0},
		{"c1", Limits{}, ErrType, 0},
		{"92c0c1", Limits{}, ErrType, 2},
		{"c0c0", Limits{}, ErrTrailing, 1},
		{"a261", Limits{}, ErrTruncated, 0},
		{"d9", Limits{}, ErrTruncated, 0}, {"d9ff61", Limits{}, ErrTruncated, 0}, {"dbffffffff61", Limits{}, ErrTruncated, 0},
		{"c4", Limits{}, ErrTruncated, 0}, {"c403", Limits{}, ErrTruncated, 0}, {"c6ffffffff00", Limits{}, ErrTruncated, 0},
		{"c7", Limits{}, ErrTruncated, 0}, {"c700", Limits{}, ErrTruncated, 0}, {"c9ffffffff00", Limits{}, ErrTruncated, 0},
		{"d4", Limits{}, ErrTruncated, 0}, {"d400", Limits{}, ErrTruncated, 0}, {"d7ff00", Limits{}, ErrTruncated, 0}, {"d8", Limits{}, ErrTruncated, 0},
		{"ca00", Limits{}, ErrTruncated, 0}, {"cb00", Limits{}, ErrTruncated, 0}, {"cc", Limits{}, ErrTruncated, 0}, {"cf00", Limits{}, ErrTruncated, 0}, {"d3", Limits{}, ErrTruncated, 0},
		{"91", Limits{}, ErrTruncated, 0}, {"dc", Limits{}, ErrTruncated, 0}, {"ddffffffff c0c0", Limits{}, ErrTruncated, 0},
		{"81a161", Limits{}, ErrTruncated, 3}, {"81", Limits{}, ErrTruncated, 0}, {"dfffffffff c0c0", Limits{}, ErrTruncated, 0}, {"de", Limits{}, ErrTruncated, 0},
		{"8190c0", Limits{}, ErrKey, 1}, {"81c40161c0", Limits{}, ErrKey, 1}, {"81cb3ff8000000000000c0", Limits{}, ErrKey, 1}, {"81ccc0", Limits{}, ErrTruncated, 3},
		{"a1ff", Limits{}, ErrUTF8, 0}, {"91a3eda080", Limits{}, ErrUTF8, 1}, {"81a1ffc0", Limits{}, ErrUTF8, 1},
		{deep, Limits{}, nil, 0},
		{"91" + deep, Limits{}, ErrDepth, 64},
		{"81a161" + deep, Limits{}, ErrDepth, 66},
		{deep, Limits{MaxDepth: 63}, ErrDepth, 63},
		{"92c400c400", Limits{MaxAttachments: 2}, nil, 0},
		{"93c400c400c400", Limits{MaxAttachments: 2}, ErrTooManyAttachments, 5},
		{"c400", Limits{MaxAttachments: -1}, ErrTooManyAttachments, 0},
	} {
		text, attachments, err := Unpack([]byte("kept"), unhex(t, tt.packed), tt.l)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.packed, err, tt.want)
			continue
		}
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.Offset != tt.offset {
			t.Errorf("%s: %v, want offset %d", tt.packed, err, tt.offset)
		}
		if string(text) != "kept" || attachments != nil {
			t.Errorf("%s: left %q, %q", tt.packed, text, attachments)
		}
	}
}

// An Unpacker goes on where a value ended, and counts attachments on.
func TestUnpacker(t *testing.T) {
	t.Parallel()
	var u Unpacker
	b := unhex(t, "c40161 d40000 92c40162c0")
	var text []byte
	var err error
	for len(b) > 0 {
		if IsUndefined(b) {
			b = b[3:]
			continue
		}
		if text, b, err = u.Append(text, b); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := string(text), placeholder(0)+"["+placeholder(1)+",null]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if string(bytes.Join(u.Attachments, []byte(","))) != "a,b" {
		t.Errorf("attachments %q", u.Attachments)
	}
}

// Neither way allocates when the buffer is large enough.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	text := []byte(`["message",{"room":"general","text":"escaped \"here\"","n":[1,2.5,-3,true,null]}]`)
	packed, err := Pack(nil, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { _, _ = Pack(buf, text, nil) }); n > 0.5 {
		t.Errorf("Pack: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = Unpack(buf, packed, Limits{}) }); n > 0.5 {
		t.Errorf("Unpack: %v allocations", n)
	}
}

func BenchmarkPack(b *testing.B) {
	text := []byte(`["message",{"room":"general","text":"hello","n":[1,2.5,-3,true,null]}]`)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Pack(buf, text, nil)
	}
}

func BenchmarkUnpack(b *testing.B) {
	packed, _ := Pack(nil, []byte(`["message",{"room":"general","text":"hello","n":[1,2.5,-3,true,null]}]`), nil)
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		_, _, _ = Unpack(buf, packed, Limits{})
	}
}
