package parser

import (
	stdjson "encoding/json"
	"reflect"
	"testing"
)

// Values that came from elsewhere are passed on to the last digit, and their attachments with them.
func TestRaw(t *testing.T) {
	t.Parallel()
	const digits = `{"id":12345678901234567890.10, "s":"\u00e9"}`
	a, b, c := []byte("a"), []byte("b"), []byte("c")
	two := Raw{[]byte(` [{"_placeholder":true,"num":1} , {"x":{"num":0,"_placeholder":true}},"_placeholder"]`), [][]byte{a, b}}
	type nested struct {
		First []byte
		Raw   Raw
		More  map[string]any
	}
	for _, tt := range []struct {
		args        []any
		text        string
		attachments [][]byte
	}{
		{[]any{Raw{}}, `2["e",null]`, nil},
		{[]any{Raw{JSON: []byte(digits)}}, `2["e",` + digits + `]`, nil},
		{[]any{c, two, c}, `54-["e",{"_placeholder":true,"num":0},[{"_placeholder":true,"num":1},{"x":{"_placeholder":true,"num":2}},"_placeholder"],{"_placeholder":true,"num":3}]`,
			[][]byte{c, b, a, c}},
		{[]any{nested{First: c, Raw: two}}, `53-["e",{"First":{"_placeholder":true,"num":0},"Raw":[{"_placeholder":true,"num":1},{"x":{"_placeholder":true,"num":2}},"_placeholder"],"More":{}}]`,
			[][]byte{c, b, a}},
		{[]any{map[string]any{"x": []any{two}}}, `52-["e",{"x":[[{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}},"_placeholder"]]}]`,
			[][]byte{b, a}},
		{[]any{&two}, `52-["e",[{"_placeholder":true,"num":0},{"x":{"_placeholder":true,"num":1}},"_placeholder"]]`, [][]byte{b, a}},
		{[]any{nested{Raw: Raw{JSON: []byte("1.50")}}}, `2["e",{"First":null,"Raw":1.50,"More":{}}]`, nil},
	} {
		out, attachments, err := AppendEvent(nil, "/", 0, false, "e", tt.args)
		if err != nil || string(out) != tt.text || !reflect.DeepEqual(attachments, tt.attachments) {
			t.Errorf("%v: %s, %q, want %s, %q", err, out, attachments, tt.text, tt.attachments)
		}
	}
	for _, r := range []Raw{
		{JSON: []byte("[")}, {JSON: []byte("[] 1")},
		{[]byte("["), two.Attachments}, {[]byte("[] 1"), two.Attachments}, {nil, two.Attachments},
		{[]byte(`{"_placeholder":true,"num":2}`), two.Attachments},
	} {
		if out, _, err := AppendEvent(nil, "/", 0, false, "e", []any{r}); err == nil || len(out) > 0 {
			t.Errorf("%s is encoded as %s", r.JSON, out)
		}
		if r.JSON != nil && r.Attachments != nil {
			if _, err := stdjson.Marshal(r); err == nil {
				t.Errorf("%s is encoded without its attachments", r.JSON)
			}
		}
	}
}

func TestDecodeRaw(t *testing.T) {
	t.Parallel()
	in := struct {
		Bytes []byte
		Big   uint64
		None  any
	}{[]byte("bin"), 1<<63 + 1, nil}
	r, err := NewRaw(in)
	if err != nil || len(r.Attachments) != 1 {
		t.Fatalf("%v: %s with %d attachments", err, r.JSON, len(r.Attachments))
	}
	var parts map[string]Raw
	if err := r.Decode(&parts); err != nil {
		t.Fatal(err)
	}
	var bytes []byte
	if err := parts["Bytes"].Decode(&bytes); err != nil || string(bytes) != "bin" {
		t.Errorf("%v, %q", err, bytes)
	}
	if got := string(parts["Big"].JSON); got != "9223372036854775809" {
		t.Errorf("big number: %s", got)
	}
	var list []Raw
	if err := Decode([]byte(`[1e400,null]`), nil, &list); err != nil || string(list[0].JSON) != "1e400" || string(list[1].JSON) != "null" {
		t.Errorf("%v: %s", err, list)
	}
	var v any = 1
	if err := (Raw{}).Decode(&v); err != nil || v != nil {
		t.Errorf("zero: %v, %v", v, err)
	}
	if _, err := NewRaw(make(chan int)); err == nil {
		t.Error("a channel is encoded")
	}
}
