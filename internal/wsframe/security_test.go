package wsframe

import (
	"errors"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// What docs/security.md says of this package. The tests are named after its rows.

// wantTooBig reads what a client sends and wants it refused for its size.
func wantTooBig(t *testing.T, what string, in []byte) {
	t.Helper()
	_, err := readAll(&Reader{Limit: 100_000, Deflated: true}, in, 1<<20)
	var violation *Error
	if !errors.As(err, &violation) || violation.Code != StatusTooBig {
		t.Errorf("%s: %v", what, err)
	}
}

// A message is bounded as it arrives, in pieces, and after inflation.
func TestCVE_2016_10542(t *testing.T) {
	t.Parallel()
	half := string(make([]byte, 60_000))
	wantTooBig(t, "announced", client(true, Binary, half+half)[:14])
	wantTooBig(t, "in pieces", join(client(false, Binary, half), client(true, ws.OpContinuation, half)))
	wantTooBig(t, "inflated", compressed(true, Binary, half+half))
	short := string(deflate([]byte(strings.Repeat("x", 1_000_000)), 9))
	first := client(false, Text, short[:5])
	first[0] |= rsv1
	wantTooBig(t, "inflated, in pieces", join(first, client(true, ws.OpContinuation, short[5:])))
	if got, err := readAll(&Reader{Limit: 100_000, Deflated: true}, compressed(true, Binary, half), 1<<20); err != nil || len(got) != 1 {
		t.Errorf("a message within the limit: %v", err)
	}
}

// Fragments cost what they bring, and there is an end to them.
func TestCVE_2026_48779(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"", "x"} {
		in := client(false, Binary, payload)
		for range maxFragments {
			in = append(in, client(false, ws.OpContinuation, payload)...)
		}
		wantTooBig(t, "fragments of "+payload, in)
	}
	r := &Reader{Limit: 100_000}
	in := client(false, Binary, "x")
	for range 9999 {
		in = append(in, client(false, ws.OpContinuation, "x")...)
	}
	if _, err := readAll(r, in, 1<<20); err != nil {
		t.Fatal(err)
	}
	if len(r.message) != 10_000 || cap(r.message) > 20_000 {
		t.Errorf("10,000 fragments of a byte are kept in %d bytes", cap(r.message))
	}
}

// An extension and its parameters are those that we know, whatever members objects have elsewhere.
func TestGHSA_5v72_xg48_5rpm(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"} {
		for _, header := range []string{name, name + "; " + name, "permessage-deflate; " + name, "permessage-deflate; " + name + "=1"} {
			if answer, err := NegotiateDeflate([]string{header}); answer != "" || err != nil {
				t.Errorf("%s: %q, %v", header, answer, err)
			}
		}
	}
	for _, header := range []string{"permessage-deflate;", "permessage-deflate; ;", "permessage-deflate=", "permessage-deflate; a=", "=", "{}", `permessage-deflate; a="`} {
		if answer, err := NegotiateDeflate([]string{header}); err == nil {
			t.Errorf("%s: %q", header, answer)
		}
	}
}
