package parser

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func mustParse(t *testing.T, text string) *Packet {
	t.Helper()
	p := new(Packet)
	if err := Parse([]byte(text), p, Limits{}); err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return p
}

// refused checks that every text is refused for the reason want.
func refused(t *testing.T, l Limits, want error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		var p Packet
		err := Parse([]byte(text), &p, l)
		parseErr, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, want) {
			t.Errorf("Parse(%.60q) = %v, want %v", text, err, want)
			continue
		}
		if parseErr.Offset < 0 || parseErr.Offset > len(text) {
			t.Errorf("Parse(%.60q): offset %d of %d", text, parseErr.Offset, len(text))
		}
		if p.NumArgs() != 0 || p.Arg(0) != nil {
			t.Errorf("Parse(%.60q): arguments after an error", text)
		}
	}
}

func args(p *Packet) []string {
	var out []string
	for i := range p.NumArgs() {
		out = append(out, string(p.Arg(i)))
	}
	return out
}

func TestParseEvent(t *testing.T) {
	t.Parallel()
	p := mustParse(t, `2/chat,17["message", {"a":[1,2,{"b":"]}"}]} ,"x\"y",-1.5e3,null,[[],{}],true ]`+"\n")
	if p.Type != Event || string(p.Namespace) != "/chat" || !p.HasID || p.ID != 17 || string(p.Event) != "message" || p.Data != nil {
		t.Errorf("got %+v", p)
	}
	want := []string{`{"a":[1,2,{"b":"]}"}]}`, `"x\"y"`, `-1.5e3`, `null`, `[[],{}]`, `true`}
	if got := args(p); !slices.Equal(got, want) {
		t.Errorf("args %q, want %q", got, want)
	}
	if p.Arg(-1) != nil || p.Arg(6) != nil {
		t.Error("an argument that does not exist is not nil")
	}
}

func TestParseConnect(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`0`: "", `0/admin`: "", `0/admin,`: "",
		`0{"token":"x"}`:          `{"token":"x"}`,
		`0/admin,{"a":{"b":[]}} `: `{"a":{"b":[]}}`,
	} {
		p := mustParse(t, text)
		if string(p.Data) != want || (p.Data == nil) != (want == "") {
			t.Errorf("%q: data %q, want %q", text, p.Data, want)
		}
		if wantNamespace := strings.HasPrefix(text, "0/"); (string(p.Namespace) == "/admin") != wantNamespace {
			t.Errorf("%q: namespace %q", text, p.Namespace)
		}
	}
	if p := mustParse(t, `0/,{}`); p.Namespace != nil {
		t.Errorf("namespace / is %q, want nil", p.Namespace)
	}
	if p := mustParse(t, `4"no"`); string(p.Data) != `"no"` {
		t.Errorf("CONNECT_ERROR data %q", p.Data)
	}
}

// A packet with more arguments than fit the Packet itself, and a Packet used
// again after it.
func TestParseManyArguments(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, inlineSpans - 2, inlineSpans - 1, inlineSpans, 50_000} {
		p := mustParse(t, `2["e"`+strings.Repeat(",7", n)+`]`)
		if p.NumArgs() != n {
			t.Fatalf("%d arguments, want %d", p.NumArgs(), n)
		}
		for i := range n {
			if string(p.Arg(i)) != "7" {
				t.Fatalf("argument %d of %d is %q", i, n, p.Arg(i))
			}
		}
		if err := Parse([]byte(`31["x"]`), p, Limits{}); err != nil || p.NumArgs() != 1 || string(p.Arg(0)) != `"x"` || p.Event != nil {
			t.Errorf("after %d arguments: %v, %q", n, err, args(p))
		}
		if cap(p.more) > keptSpans {
			t.Errorf("a reused packet keeps room for %d elements", cap(p.more))
		}
	}
}

func TestParseEventName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`2["message"]`: "message", `2[""]`: "", `2["é😀"]`: "é😀",
		`2["a\u0062\n\/\ud83d\ude00"]`: "ab\n/😀",
		`2["\ud800x"]`:                 "\ufffdx",
		`2[1]`:                         "1", `2[-1.50e2,0]`: "-1.50e2",
	} {
		if p := mustParse(t, text); string(p.Event) != want {
			t.Errorf("%s: event %q, want %q", text, p.Event, want)
		}
	}
	refused(t, Limits{}, ErrEventName, `2[]`, `2[null]`, `2[[]]`, `51-[{"_placeholder":true,"num":0}]`)
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		refused(t, Limits{}, ErrReserved, `2["`+name+`"]`, `51-["`+name+`"]`, `2["\u00`+hex(name[0])+name[1:]+`"]`)
		if !Reserved(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	if Reserved("error") || Reserved("connection") || Reserved("Connect") || Reserved("") {
		t.Error("a name is reserved that is not")
	}
}

func hex(c byte) string { return string([]byte{"0123456789abcdef"[c>>4], "0123456789abcdef"[c&15]}) }

func TestParseReasons(t *testing.T) {
	t.Parallel()
	refused(t, Limits{}, ErrType, "", "7", "x", "abc", "\xff")
	refused(t, Limits{}, ErrNamespace, "0/\xff", "2/a\xc3,[\"a\"]")
	refused(t, Limits{}, ErrID, `29007199254740993["a"]`, `2`+strings.Repeat("9", 1000)+`["a"]`)
	refused(t, Limits{}, ErrPayload, `1{}`, `0[]`, `2{}`, `2`, `3`, `4`, `4[]`, `2/chat["a"]`, `2 ["a"]`, `0"x"`)
	refused(t, Limits{}, ErrJSON, `2["a"`, `2["a"]]`, `2["a",]`, `2["a`, `0{`, `0{"a"`, `0{"a":`, `2["a",{"b":1]`, `2["a",tru]`)
	refused(t, Limits{}, ErrUTF8, "2[\"a\xff\"]", "2[\"a\",\"\xed\xa0\x80\"]", "2[\"a\",\"\xc0\x80\"]", "2[\"a\",{\"\xf5\":1}]", "2[\"a\",\"12345678\xe2\x82\"]")
}

// Every prefix of a packet is refused or a packet of its own, and no offset
// lies outside.
func TestParseTruncated(t *testing.T) {
	t.Parallel()
	text := `52-/chat,17["me\u0041ss€age",{"a":[1.5e-7,{"_placeholder":true,"num":1}],"b":null},"x",true,{"_placeholder":true,"num":0}]`
	mustParse(t, text)
	for n := range text {
		refused(t, Limits{}, nonNil(Parse([]byte(text[:n]), new(Packet), Limits{})), text[:n])
	}
}

func nonNil(err error) error {
	if parseErr, ok := errors.AsType[*Error](err); ok {
		return parseErr.Err
	}
	return errors.New("accepted")
}

// Security table 5.2, JSON depth: refused at the limit, without a stack as
// deep as the sender likes.
func TestParseDepth(t *testing.T) {
	t.Parallel()
	objects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, l := range []struct{ limit, depth int }{{0, 64}, {-1, 64}, {1, 1}, {2, 2}, {63, 63}, {65, 65}, {130, 130}, {1024, 1024}, {5000, 1024}} {
		limits := Limits{MaxDepth: l.limit}
		for _, build := range []func(int) string{nested, objects} {
			var p Packet
			inner := build(l.depth - 1)
			if l.depth == 1 {
				inner = "1"
			}
			if err := Parse([]byte(`2["a",`+inner+`]`), &p, limits); err != nil {
				t.Errorf("limit %d, depth %d: %v", l.limit, l.depth, err)
			}
			refused(t, limits, ErrDepth, `2["a",`+build(l.depth)+`]`, `2["a",`+build(100_000)+`]`, `0`+objects(l.depth+1))
		}
		refused(t, limits, ErrDepth, `2["a",`+strings.Repeat("[", 100_000), `0`+strings.Repeat(`{"a":`, 100_000))
	}
}

// Strings are scanned eight bytes at a time: whatever stands at whatever place
// is seen.
func TestScanStringAlignment(t *testing.T) {
	t.Parallel()
	for before := range 20 {
		for after := range 20 {
			for middle, want := range map[string]error{
				"": nil, "é": nil, "€€": nil, "😀": nil, `\n`: nil, `\"`: nil, `\\`: nil, `\u00e9`: nil, "\x7f": nil, " !#[]^": nil,
				"\x00": ErrJSON, "\x1f": ErrJSON, "\n": ErrJSON, `\x`: ErrJSON, `\u00g0`: ErrJSON, `"`: ErrJSON,
				"\xff": ErrUTF8, "\x80": ErrUTF8, "é\xc3": ErrUTF8, "\xed\xa0\x80": ErrUTF8,
			} {
				text := `2["` + strings.Repeat("a", before) + middle + strings.Repeat("z", after) + `"]`
				if err := Parse([]byte(text), new(Packet), Limits{}); !errors.Is(err, want) {
					t.Fatalf("%q: %v, want %v", text, err, want)
				}
			}
		}
	}
}

// CVE-2022-2421: an attachment index that is no index.
func TestCVE_2022_2421(t *testing.T) {
	t.Parallel()
	for _, num := range []string{`"splice"`, `"0"`, `-1`, `2`, `0.5`, `1e0`, `null`, `{}`, `[0]`, `true`, `99999999999999999999`} {
		refused(t, Limits{}, ErrPlaceholder,
			`52-["a",{"_placeholder":true,"num":`+num+`}]`,
			`62-1[[{"x":{"num":`+num+`,"_placeholder":true}}]]`,
			`52-["a",{"_placeh\u006flder":true,"\u006eum":`+num+`}]`,
			`52-["a",{"num":0,"_placeholder":true,"num":`+num+`}]`)
	}
	refused(t, Limits{}, ErrPlaceholder, `51-["a",{"_placeholder":true}]`)
	for _, text := range []string{
		`52-["a",{"_placeholder":true,"num":1}]`,
		`52-["a",{"_placeholder":true,"num":7,"num":1}]`,
		`52-["a",{"_placeholder":false,"num":7},{"_placeholder":1},{"num":8}]`,
		`52-["a",{"_placeholder":true,"_placeholder":null,"num":7}]`,
		`52-["a","{\"_placeholder\":true}"]`,
		`2["a",{"_placeholder":true,"num":7}]`, // no binary packet: just data
	} {
		mustParse(t, text)
	}
}

// CVE-2023-32695: an event name that is an object, with methods of the
// sender's choice.
func TestCVE_2023_32695(t *testing.T) {
	t.Parallel()
	refused(t, Limits{}, ErrEventName, `2[{"toString":"foo"}]`, `2[{}]`, `2[true]`, `2[["a"]]`, `51-[{"_placeholder":true,"num":0}]`)
}

// CVE-2026-33151: as many announced attachments as one likes.
func TestCVE_2026_33151(t *testing.T) {
	t.Parallel()
	refused(t, Limits{}, ErrTooManyAttachments, `511-["a"]`, `61000000-1[]`, `5`+strings.Repeat("9", 400)+`-["a"]`)
	refused(t, Limits{MaxAttachments: 2}, ErrTooManyAttachments, `53-["a"]`)
	refused(t, Limits{MaxAttachments: -1}, ErrTooManyAttachments, `51-["a"]`)
	if p := mustParse(t, `510-["a"]`); p.Attachments != 10 || p.Type != BinaryEvent {
		t.Errorf("got %+v", p)
	}
	if err := Parse([]byte(`5300-["a"]`), new(Packet), Limits{MaxAttachments: 300}); err != nil {
		t.Error(err)
	}
}

// CVE-2026-69185: a binary packet of no attachments, which is never complete.
func TestCVE_2026_69185(t *testing.T) {
	t.Parallel()
	refused(t, Limits{}, ErrAttachments, `50-["a"]`, `60-1[]`, `5000-["a"]`, `5-["a"]`, `5["a"]`, `5`, `51`, `5-1-["a"]`, `51.5-["a"]`, `5 1-["a"]`, `6/a,1[]`)
	refused(t, Limits{MaxAttachments: -1}, ErrAttachments, `50-["a"]`)
}

func TestTypeString(t *testing.T) {
	t.Parallel()
	if BinaryAck.String() != "BINARY_ACK" || Connect.String() != "CONNECT" || Type(9).String() != "UNKNOWN" {
		t.Error("wrong names")
	}
}
