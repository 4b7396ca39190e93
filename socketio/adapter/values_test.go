package adapter

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/perch-go/perch/socketio/parser"
)

// reply is what a client answers: all its arguments share the attachments.
type reply struct {
	args        []string
	attachments [][]byte
}

func (r reply) NumArgs() int     { return len(r.args) }
func (r reply) Raw(i int) []byte { return []byte(r.args[i]) }
func (r reply) Decode(i int, v any) error {
	return parser.Decode(r.Raw(i), r.attachments, v)
}

// What a client has answered crosses to another process as it is.
func TestValues(t *testing.T) {
	t.Parallel()
	values, err := ValuesOf(reply{[]string{`{"_placeholder":true,"num":1}`, "12345678901234567890", "null"}, [][]byte{[]byte("a"), []byte("b")}})
	if err != nil || values.NumArgs() != 3 {
		t.Fatalf("%v, %v", values, err)
	}
	var bytes []byte
	var number uint64
	if err := errors.Join(values.Decode(0, &bytes), values.Decode(1, &number)); err != nil || string(bytes) != "b" || number != 12345678901234567890 {
		t.Errorf("%q, %d, %v", bytes, number, err)
	}
	if string(values.Raw(1)) != "12345678901234567890" || values.Raw(3) != nil || values.Raw(-1) != nil {
		t.Errorf("%s, %s", values.Raw(1), values.Raw(3))
	}
	if err := values.Decode(3, &bytes); !errors.Is(err, ErrNoArgument) {
		t.Errorf("%v", err)
	}
	if again, err := ValuesOf(values); err != nil || &again[0] != &values[0] {
		t.Errorf("values are made again: %v", err)
	}
	if none, err := ValuesOf(nil); err != nil || len(none) != 0 {
		t.Errorf("%v, %v", none, err)
	}
	var e *parser.EncodeError
	if _, err := NewValues(1, make(chan int)); !errors.As(err, &e) || e.Argument != 1 {
		t.Errorf("%v", err)
	}
	if text := (&IncompleteError{Answers: 2, Missing: 1, Cause: errors.New("cause")}).Error(); !strings.Contains(text, "1 of 3") || !strings.Contains(text, "cause") {
		t.Error(text)
	}
}

// S-50: a handshake as Node has it, and what it may hold that we have not.
func TestHandshake(t *testing.T) {
	t.Parallel()
	var h Handshake
	in := `{"headers":{"cookie":"a=1; b=2","set-cookie":["a","b"],"x":5},"time":"…","address":"192.0.2.1","xdomain":1,"secure":true,"issued":1795394836868,"url":"/","query":{"a":["1","2"],"b":"3"},"auth":{"n":12345678901234567890},"more":{}}`
	if err := json.Unmarshal([]byte(in), &h); err != nil {
		t.Fatal(err)
	}
	if h.Header.Get("Cookie") != "a=1; b=2" || len(h.Header["Set-Cookie"]) != 2 || h.Header.Get("X") != "5" || h.Address != "192.0.2.1" ||
		!h.Secure || h.Query.Get("b") != "3" || len(h.Query["a"]) != 2 || string(h.Auth) != `{"n":12345678901234567890}` {
		t.Errorf("%+v", h)
	}
	h.Header["Cookie"] = []string{"a=1", "b=2"} // as HTTP/2 has it
	h.Auth = nil
	out, err := json.Marshal(h)
	want := `{"headers":{"cookie":"a=1; b=2","set-cookie":["a","b"],"x":"5"},"time":"Mon Nov 23 2026 00:47:16 GMT+0000 (Coordinated Universal Time)","address":"192.0.2.1",` +
		`"xdomain":false,"secure":true,"issued":1795394836868,"url":"/","query":{"a":["1","2"],"b":"3"},"auth":{}}`
	if err != nil || string(out) != want {
		t.Errorf("%v\n got %s\nwant %s", err, out, want)
	}
	if err := json.Unmarshal([]byte("{"), &h); err == nil {
		t.Error("half an object is read")
	}
	if err := json.Unmarshal([]byte("[]"), &h); err != nil {
		t.Errorf("an array costs the others: %v", err)
	}
}

// S-51: the data of a member is decoded alike, wherever the member is.
func TestInfoDecode(t *testing.T) {
	t.Parallel()
	type account struct {
		Name string
		Key  []byte
	}
	raw, err := parser.NewRaw(account{"a", []byte("k")})
	if err != nil {
		t.Fatal(err)
	}
	info := Info{Data: map[string]any{"here": account{"a", []byte("k")}, "elsewhere": raw, "never": make(chan int)}}
	for _, key := range []string{"here", "elsewhere"} {
		var got account
		if ok, err := info.Decode(key, &got); !ok || err != nil || got.Name != "a" || string(got.Key) != "k" {
			t.Errorf("%s: %v, %v, %v", key, got, ok, err)
		}
	}
	if ok, err := info.Decode("never", new(account)); !ok || err == nil {
		t.Errorf("a channel is decoded: %v", err)
	}
	if ok, err := info.Decode("none", new(account)); ok || err != nil {
		t.Errorf("nothing is decoded: %v", err)
	}
}
