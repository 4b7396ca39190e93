package parser

import (
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestAssembleData(t *testing.T) {
	t.Parallel()
	event := Header{Type: Event}
	for _, c := range []struct {
		header      Header
		event, data string // "-" is nil
		limits      Limits
		err         error
		offset      int
	}{
		{header: event, event: "x", data: `{"a":1}`},
		{header: event, event: "", data: "-"},
		{header: event, event: "x", data: " \n[1, 2]\t"},
		{header: Header{Type: Ack, HasID: true, ID: 7}, event: "-", data: "null"},
		{header: Header{Type: Event, HasID: true, ID: MaxID}, event: "x", data: "-"},
		{header: event, event: "connect", data: "1", err: ErrReserved},
		{header: Header{Type: Ack}, event: "connect", data: "1"},
		{header: Header{Type: Connect}, event: "-", data: "{}", err: ErrType},
		{header: Header{Type: BinaryEvent}, event: "x", data: "1", err: ErrType},
		{header: Header{Type: 9}, event: "x", data: "1", err: ErrType},
		{header: Header{Type: Event, HasID: true, ID: MaxID + 1}, event: "x", data: "1", err: ErrID},
		{header: event, event: "x", data: "", err: ErrJSON},
		{header: event, event: "x", data: " ", err: ErrJSON, offset: 1},
		{header: event, event: "x", data: "1 2", err: ErrJSON, offset: 2},
		{header: event, event: "x", data: `"\xff"`, err: ErrJSON, offset: 1},
		{header: event, event: "x", data: "\"\xff\"", err: ErrUTF8, offset: 1},
		{header: event, event: "x", data: "[[1]]", limits: Limits{MaxDepth: 1}, err: ErrDepth, offset: 1},
	} {
		var p Packet
		bytes := func(s string) []byte {
			if s == "-" {
				return nil
			}
			return append([]byte{}, s...)
		}
		err := p.AssembleData(c.header, bytes(c.event), bytes(c.data), c.limits)
		if c.err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, c.err) || e.Offset != c.offset || p.NumArgs() != 0 {
				t.Errorf("%+v: %v, %d arguments", c, err, p.NumArgs())
			}
			continue
		}
		if err != nil || (p.NumArgs() == 1) != (c.data != "-") || string(p.Arg(0)) != strings.TrimSpace(strings.TrimPrefix(c.data, "-")) || p.Type != c.header.Type || p.ID != c.header.ID {
			t.Errorf("%+v: %v, %q, %+v", c, err, p.Arg(0), p.Header)
		}
	}
}

// Spread is undone by Gather, and each may be called twice.
func TestSpread(t *testing.T) {
	t.Parallel()
	var p Packet
	for data, want := range map[string]string{
		`[]`: "", `[ ]`: "", ` [1 , "a,]" ,{"b":[1]}, [2]] `: `1|"a,]"|{"b":[1]}|[2]`,
		`[1,2,3,4,5,6,7,8,9,10]`: "1|2|3|4|5|6|7|8|9|10", `1`: "1", `{"a":1}`: `{"a":1}`, `"[1]"`: `"[1]"`, `[[1,2]]`: "[1,2]",
	} {
		if err := p.AssembleData(Header{Type: Event}, []byte("x"), []byte(data), Limits{}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for range 2 {
				p.Spread()
				var args []string
				for i := range p.NumArgs() {
					args = append(args, string(p.Arg(i)))
				}
				if got := strings.Join(args, "|"); got != want {
					t.Errorf("%s: %s", data, got)
				}
			}
			for range 2 {
				p.Gather()
				if p.NumArgs() != 1 || string(p.Arg(0)) != strings.TrimSpace(data) {
					t.Errorf("%s: gathered as %q", data, p.Arg(0))
				}
			}
		}
	}
	if err := p.AssembleData(Header{Type: Event}, []byte("x"), nil, Limits{}); err != nil {
		t.Fatal(err)
	}
	p.Spread()
	p.Gather()
	if p.NumArgs() != 0 {
		t.Error("nothing was spread")
	}
	for _, text := range []string{`2["x",[1,2],3]`, `2["x"]`} {
		if err := Parse([]byte(text), &p, Limits{}); err != nil {
			t.Fatal(err)
		}
		n := p.NumArgs()
		p.Spread()
		p.Gather()
		if p.NumArgs() != n {
			t.Errorf("%s: %d arguments", text, p.NumArgs())
		}
	}
}

type named []byte

type holder struct {
	B    []byte            `json:"b"`
	N    named             `json:"n"`
	A    [2]byte           `json:"a"`
	Any  any               `json:"any"`
	Map  map[string][]byte `json:"map"`
	Raw  Raw               `json:"raw"`
	Text stdjson.RawMessage
}

// Bytes are base64 text wherever they are, whoever encodes them, and nothing of the program's is taken for them.
func TestAppendData(t *testing.T) {
	t.Parallel()
	raw := Raw{JSON: []byte(` {"_placeholder":true,"num":1} `), Attachments: [][]byte{[]byte("unused"), []byte("used")}}
	nested := Raw{JSON: []byte(`[{"_placeholder":true,"num":0}, {"x" : {"num":0,"_placeholder":true}}]`), Attachments: [][]byte{{}}}
	mine := stdjson.RawMessage(`{"_placeholder":true,"num":0}`)
	for want, args := range map[string][]any{
		"":                        nil,
		`"AQ=="`:                  {[]byte{1}},
		`null`:                    {[]byte(nil)},
		`""`:                      {[]byte{}},
		`[1,"AQ==",[]]`:           {1, named{1}, []int{}},
		`{"k":["AQ==",null]}`:     {map[string]any{"k": []any{[]byte{1}, nil}}},
		`"dXNlZA=="`:              {raw},
		`["",{"x" : ""}]`:         {nested},
		`["dXNlZA==","dXNlZA=="]`: {raw, &raw},
		`[{"_placeholder":true,"num":0},"AQ==",{"_placeholder":true,"num":0}]`: {mine, []byte{1}, jsontext.Value(mine)},
		`["AQ==",{"_placeholder":true,"num":0}]`: {[]byte{1}, struct {
			P bool `json:"_placeholder"`
			N int  `json:"num"`
		}{true, 0}},
		`{"b":"AQ==","n":"Ag==","a":"AwQ=","any":"BQ==","map":{"k":"Bg=="},"raw":"dXNlZA==","Text":{"_placeholder":true,"num":0}}`: {
			holder{[]byte{1}, named{2}, [2]byte{3, 4}, []byte{5}, map[string][]byte{"k": {6}}, raw, mine}},
		`[{"b":null,"n":null,"a":"AAA=","any":null,"map":{},"raw":null,"Text":null},"AQ=="]`: {&holder{}, []byte{1}},
	} {
		got, err := (Outgoing{Type: Event, Event: "x", Args: args}).AppendData([]byte("before "))
		if err != nil || string(got) != "before "+want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	big := make([]byte, 100_000)
	got, err := (Outgoing{Args: []any{big}}).AppendData(nil)
	if err != nil || string(got) != `"`+base64.StdEncoding.EncodeToString(big)+`"` {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, args := range [][]any{{make(chan int)}, {1, func() {}}, {Raw{JSON: []byte(`{"_placeholder":true,"num":1}`), Attachments: [][]byte{{}}}}, {[]any{[]byte{1}, func() {}}}} {
		got, err := (Outgoing{Args: args}).AppendData([]byte("before"))
		if e, ok := errors.AsType[*EncodeError](err); !ok || string(got) != "before" || e.Argument != len(args)-1 {
			t.Errorf("%v: %q, %v", args, got, err)
		}
	}
	// An encoder that was used for it is the next one's as it was.
	text, attachments, err := AppendEvent(nil, "/", 0, false, "x", []any{holder{B: []byte{1}}})
	if err != nil || len(attachments) != 1 || !strings.Contains(string(text), `{"_placeholder":true,"num":0}`) {
		t.Errorf("%s, %d attachments, %v", text, len(attachments), err)
	}
}
