package msgpack

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// FuzzPack compares Pack with encoding/json: both refuse the same, and what comes back from MessagePack is the same value.
func FuzzPack(f *testing.F) {
	for _, text := range []string{
		`null`, `[1,-2,3.5,1e999,18446744073709551616]`, `{"a":{"b":[true,false,{}]},"":"\u00e9\ud800\n"}`, ` [ ] `, `{"_placeholder":true,"num":0}`,
		`[{"num":1,"_placeholder":true},{"_placeholder":true,"num":0,"x":1}]`, `[1,]`, `{"a" 1}`, `"`, `-0`, `{"a":1,"a":[]}`,
	} {
		f.Add([]byte(text), []byte("attachment"))
	}
	f.Fuzz(func(t *testing.T, text, data []byte) {
		original := bytes.Clone(text)
		packed, err := Pack(nil, text, [][]byte{data})
		if !bytes.Equal(text, original) {
			t.Fatal("the text was written to")
		}
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Offset < 0 || e.Offset > len(text) {
				t.Fatalf("%q: %v", text, err)
			}
			if json.Valid(text) && !errors.Is(err, ErrDepth) {
				t.Fatalf("%q refused: %v", text, err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q accepted", text)
		}
		back, attachments, err := Unpack(nil, packed, Limits{MaxDepth: HighestMaxDepth})
		if err != nil {
			t.Fatalf("%q, packed %x: %v", text, packed, err)
		}
		for _, a := range attachments {
			if !bytes.Equal(a, data) {
				t.Fatalf("attachment %q", a)
			}
		}
		if len(attachments) > 0 {
			return // they are numbered anew
		}
		again, err := Pack(nil, back, nil)
		if err != nil {
			t.Fatalf("%q came back as %q: %v", text, back, err)
		}
		// Numbers may be written in another way the first time, null for the infinite, but then it stays.
		third, _, err := Unpack(nil, again, Limits{MaxDepth: HighestMaxDepth})
		if err != nil || !bytes.Equal(third, back) {
			t.Fatalf("%q, then %q: %v", back, third, err)
		}
	})
}

// FuzzUnpack reads anything: it never panics, what it makes is JSON, and packing that gives the same JSON again.
func FuzzUnpack(f *testing.F) {
	for _, packed := range []string{
		"c0", "92a165c403010203", "82a161d40000a16201", "d7000000019b76daaaa6", "c70cff00000000ffffffffffffffff", "c70300010203", "d5050102",
		"dc0010" + "0102030405060708090a0b0c0d0e0f10", "ddffffffff", "dfffffffff", "dbffffffff61", "81c301", "cb7ff8000000000000", "cfffffffffffffffff", "a1ff", "8190c0",
	} {
		f.Add(unhex(f, packed))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		original := bytes.Clone(packed)
		text, attachments, err := Unpack(nil, packed, Limits{})
		if !bytes.Equal(packed, original) {
			t.Fatal("the input was written to")
		}
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Offset < 0 || e.Offset > len(packed) {
				t.Fatalf("%x: %v", packed, err)
			}
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%x became %q", packed, text)
		}
		if len(text) > 64*len(packed) {
			t.Fatalf("%d bytes became %d", len(packed), len(text))
		}
		again, err := Pack(nil, text, attachments)
		if err != nil {
			t.Fatalf("%x became %q: %v", packed, text, err)
		}
		back, _, err := Unpack(nil, again, Limits{})
		if err != nil || len(attachments) == 0 && !bytes.Equal(back, text) {
			t.Fatalf("%q, then %q: %v", text, back, err)
		}
	})
}
