package parser

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perch-go/perch/internal/jsonscan"
)

// grammar is the grammar of spec 3.4 once more, written by another hand; its
// last group is the JSON.
var grammar = regexp.MustCompile(`(?s)^(?:[0-4]|[56][0-9]+-)(?:/[^,]*(?:,|$))?[0-9]*(.*)$`)

// asJavaScript makes json/v2 as tolerant as JSON.parse.
var asJavaScript = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// FuzzParse compares Parse with json/v2: what is accepted is well-formed and
// cut where json/v2 cuts it, what is refused for its JSON is not well-formed,
// and an accepted packet encoded again is the same packet.
func FuzzParse(f *testing.F) {
	for _, row := range referenceRows {
		f.Add([]byte(row.input))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		original := bytes.Clone(text)
		var p Packet
		err := Parse(text, &p, Limits{})
		if !bytes.Equal(text, original) {
			t.Fatal("the text was written to")
		}
		match := grammar.FindSubmatch(text)
		if err != nil {
			parseErr, ok := errors.AsType[*Error](err)
			if !ok || parseErr.Offset < 0 || parseErr.Offset > len(text) {
				t.Fatalf("error %v", err)
			}
			aboutJSON := errors.Is(err, ErrJSON) || errors.Is(err, ErrUTF8)
			if aboutJSON && match != nil && utf8.Valid(match[1]) && jsontext.Value(match[1]).IsValid(asJavaScript) {
				t.Fatalf("%q refused (%v), but the JSON is well-formed", text, err)
			}
			return
		}
		if match == nil {
			t.Fatalf("%q accepted against the grammar", text)
		}
		if !utf8.Valid(text) {
			t.Fatalf("%q accepted with invalid UTF-8", text)
		}
		if len(match[1]) > 0 && !jsontext.Value(match[1]).IsValid(asJavaScript) {
			t.Fatalf("%q accepted with malformed JSON", text)
		}
		switch p.Type {
		case Event, BinaryEvent, Ack, BinaryAck:
			checkElements(t, &p, match[1])
			checkRoundTrip(t, &p)
		case Connect, ConnectError:
			if got, want := string(p.Data), string(bytes.TrimRight(match[1], " \t\r\n")); got != want {
				t.Fatalf("%q: data %q, want %q", text, got, want)
			}
		}
	})
}

func checkElements(t *testing.T, p *Packet, payload []byte) {
	dec := jsontext.NewDecoder(bytes.NewReader(payload), asJavaScript)
	if _, err := dec.ReadToken(); err != nil {
		t.Fatal(err)
	}
	if p.first == 1 {
		token, err := dec.ReadToken()
		if err != nil || token.String() != string(p.Event) {
			t.Fatalf("event %q, want %v (%v)", p.Event, token, err)
		}
	}
	for i := range p.NumArgs() {
		value, err := dec.ReadValue()
		if err != nil || !bytes.Equal(value, p.Arg(i)) {
			t.Fatalf("argument %d is %q, want %q (%v)", i, p.Arg(i), value, err)
		}
	}
	if dec.PeekKind() != jsontext.KindEndArray {
		t.Fatalf("%d arguments are too few", p.NumArgs())
	}
}

func checkRoundTrip(t *testing.T, p *Packet) {
	args := make([]any, p.NumArgs())
	for i := range args {
		args[i] = jsontext.Value(p.Arg(i))
	}
	var out []byte
	var err error
	if p.first == 1 {
		out, _, err = AppendEvent(nil, string(p.Namespace), p.ID, p.HasID, string(p.Event), args)
	} else {
		out, _, err = AppendAck(nil, string(p.Namespace), p.ID, args)
	}
	if err != nil {
		t.Fatal(err)
	}
	var again Packet
	if err := Parse(out, &again, Limits{}); err != nil {
		t.Fatalf("encoded again as %q: %v", out, err)
	}
	if !bytes.Equal(again.Namespace, p.Namespace) || !bytes.Equal(again.Event, p.Event) || again.ID != p.ID || again.NumArgs() != len(args) {
		t.Fatalf("encoded again as %q", out)
	}
	for i := range args {
		if !bytes.Equal(again.Arg(i), p.Arg(i)) {
			t.Fatalf("argument %d encoded again as %q, was %q", i, again.Arg(i), p.Arg(i))
		}
	}
}

// FuzzDecode decodes anything into everything, and compares with json/v2 where
// no attachment is concerned: the fast paths must not be noticed.
func FuzzDecode(f *testing.F) {
	for _, raw := range []string{
		`"text"`, `"\ud800\n"`, `-12`, `1e5`, `0`, `-0`, `007`, `true`, `null`, `{}`, `[]`, ` 1`, `"`, `{"Name":"x","data":"AQID"}`,
		`{"_placeholder":true,"num":0}`, `[{"_placeholder":true,"num":1},{"k":{"num":-1,"_placeholder":true}}]`, `{"data":{"_placeholder":true,"num":0},"inner":{"whatever":[1,{}]}}`,
	} {
		f.Add([]byte(raw), []byte("attachment"))
	}
	f.Fuzz(func(t *testing.T, raw, data []byte) {
		original := bytes.Clone(raw)
		attachments := [][]byte{data, nil}
		for _, kind := range []reflect.Type{
			reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[int64](), reflect.TypeFor[float64](), reflect.TypeFor[bool](), reflect.TypeFor[uint8](),
			reflect.TypeFor[stdjson.RawMessage](), reflect.TypeFor[jsontext.Value](), reflect.TypeFor[any](), reflect.TypeFor[[]byte](), reflect.TypeFor[blob](), reflect.TypeFor[[3]byte](),
			reflect.TypeFor[wanted](), reflect.TypeFor[upload](), reflect.TypeFor[[]upload](), reflect.TypeFor[map[string]blob](), reflect.TypeFor[map[string]any](),
		} {
			got, want := reflect.New(kind), reflect.New(kind)
			err := Decode(raw, nil, got.Interface())
			wantErr := json.Unmarshal(raw, want.Interface(), plainDecoding...)
			if _, ok := errors.AsType[*DecodeError](err); (err == nil) != (wantErr == nil) || err != nil && !ok {
				t.Fatalf("%q into %v: %v, want %v", raw, kind, err, wantErr)
			}
			if err == nil && !reflect.DeepEqual(got.Interface(), want.Interface()) {
				t.Fatalf("%q into %v: %v, want %v", raw, kind, got.Elem(), want.Elem())
			}
			_ = Decode(raw, attachments, got.Interface()) // must only not panic
		}
		if !bytes.Equal(raw, original) {
			t.Fatal("the argument was written to")
		}
	})
}

// FuzzString compares the way a string is written with json/v2's.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "plain", "12345678\"", "\x00\b\t\n\f\r\x1f\\/<>&\u2028", "é€😀", "\xff\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, _ := jsontext.AppendQuote(nil, s)
		if got := jsonscan.AppendString(nil, s); !bytes.Equal(got, want) {
			t.Fatalf("%q: got %s, want %s", s, got, want)
		}
	})
}

// FuzzAssembleData compares what a plain frame's data become with json/v2: one argument, and the elements of an array when it is spread.
func FuzzAssembleData(f *testing.F) {
	for _, data := range []string{`[1,"two",{"a":[3]},[],[[4]]]`, ` [ ] `, `{}`, `"[1]"`, `[1,2,3,4,5,6,7,8,9,10,11]`, `[`, `[1,]`, `nul`, "", "\"\xff\"", `[{"_placeholder":true,"num":0}]`} {
		f.Add("name", []byte(data))
	}
	f.Fuzz(func(t *testing.T, event string, data []byte) {
		original := bytes.Clone(data)
		var p Packet
		err := p.AssembleData(Header{Type: Event}, []byte(event), data, Limits{})
		switch parseErr, ok := errors.AsType[*Error](err); {
		case err != nil && (!ok || parseErr.Offset < 0 || parseErr.Offset > len(data)):
			t.Fatalf("error %v", err)
		case errors.Is(err, ErrReserved) && Reserved(event), errors.Is(err, ErrDepth):
			return
		case (err == nil) != (data == nil || utf8.Valid(data) && jsontext.Value(data).IsValid(asJavaScript)):
			t.Fatalf("%q: %v", data, err)
		case err != nil:
			return
		}
		whole := bytes.Trim(data, " \t\r\n")
		for range 2 {
			if !bytes.Equal(p.Arg(0), whole) {
				t.Fatalf("argument %q, want %q", p.Arg(0), whole)
			}
			p.Spread()
			if len(whole) > 0 && whole[0] == '[' {
				dec := jsontext.NewDecoder(bytes.NewReader(whole), asJavaScript)
				_, _ = dec.ReadToken()
				for i := range p.NumArgs() {
					if value, err := dec.ReadValue(); err != nil || !bytes.Equal(value, p.Arg(i)) {
						t.Fatalf("%q: argument %d is %q, want %q (%v)", data, i, p.Arg(i), value, err)
					}
				}
				if dec.PeekKind() != jsontext.KindEndArray {
					t.Fatalf("%q: %d arguments are too few", data, p.NumArgs())
				}
			}
			p.Gather()
		}
		if !bytes.Equal(data, original) {
			t.Fatal("the data were written to")
		}
		var args []any
		if data != nil {
			args = []any{jsontext.Value(data)}
		}
		if out, err := (Outgoing{Args: args}).AppendData(nil); err != nil || !bytes.Equal(out, data) {
			t.Fatalf("%q encoded as %q: %v", data, out, err)
		}
	})
}
