package wsframe

import (
	"bytes"
	"compress/flate"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// S-18: what is offered and what is answered.
func TestNegotiateDeflate(t *testing.T) {
	t.Parallel()
	const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for header, want := range map[string]string{
		"":                       "",
		"x-webkit-deflate-frame": "",
		"permessage-deflate":     plain,
		"permessage-deflate; client_max_window_bits":                               plain,
		"permessage-deflate;client_max_window_bits=10":                             plain,
		`permessage-deflate; client_max_window_bits="10"`:                          plain,
		"permessage-deflate ; server_no_context_takeover ; client_max_window_bits": plain,
		"permessage-deflate; client_no_context_takeover":                           plain,
		"permessage-deflate; server_max_window_bits=15":                            plain + "; server_max_window_bits=15",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":        plain,
		"foo; bar=1, permessage-deflate":                                           plain,
		", ,permessage-deflate,":                                                   plain,
		// Offers that are not ours to take.
		"permessage-deflate; server_max_window_bits=10":                              "",
		"permessage-deflate; server_max_window_bits":                                 "",
		"permessage-deflate; client_max_window_bits=16":                              "",
		"permessage-deflate; client_max_window_bits=7":                               "",
		"permessage-deflate; client_max_window_bits=010":                             "",
		"permessage-deflate; client_max_window_bits=x":                               "",
		"permessage-deflate; server_no_context_takeover=1":                           "",
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover": "",
		"permessage-deflate; unknown":                                                "",
		"permessage-deflate; __proto__":                                              "", // GHSA-5v72-xg48-5rpm
		"constructor, __proto__; toString":                                           "",
		"Permessage-Deflate":                                                         "",
	} {
		if got, err := NegotiateDeflate([]string{header}); got != want || err != nil {
			t.Errorf("%q: %q, %v", header, got, err)
		}
	}
	if got, err := NegotiateDeflate([]string{"foo", "permessage-deflate"}); got != plain || err != nil {
		t.Errorf("two headers: %q, %v", got, err)
	}
	for _, header := range []string{
		"permessage-deflate; client_max_window_bits=", ";", "a b", "a;", "a;;b", "a;b=", `a;b="`, `a;b=""`, `a;b="c`, `a;b="c d"`, "a=b", "a;b c", "a\x00", "é",
		`permessage-deflate; client_max_window_bits="1"0`, "a;b=c=d",
		strings.Repeat("a,", 100_000) + "=", strings.Repeat("a;b ", 100_000), // CVE-2021-32640: linear
	} {
		if got, err := NegotiateDeflate([]string{"permessage-deflate," + header}); err == nil {
			t.Errorf("%.40q: %q", header, got)
		}
	}
}

// compressed builds a client's frame with a compressed message.
func compressed(fin bool, op Op, payload string) []byte {
	frame := client(fin, op, string(deflate([]byte(payload), 6)))
	frame[0] |= rsv1
	return frame
}

// Compressed messages arrive as they were, in one frame or several, between others.
func TestInflate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("perch ", 10_000)
	short := string(deflate([]byte(long), 9))
	first := client(false, Text, short[:10])
	first[0] |= rsv1
	// "Hello" as RFC 7692, sections 7.2.3.1 to 7.2.3.5, writes it.
	hello := func(payload string) []byte {
		f := client(true, Text, payload)
		f[0] |= rsv1
		return f
	}
	random := make([]byte, 5000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	in := join(
		compressed(true, Text, "one"),
		client(true, Text, "plain"),
		first, client(true, Ping, "p"), client(false, ws.OpContinuation, short[10:20]), client(true, ws.OpContinuation, short[20:]),
		compressed(true, Binary, ""),
		compressed(true, Binary, string(random)),
		hello("\xf2\x48\xcd\xc9\xc9\x07\x00"),
		hello("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
		hello("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
		hello("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
		client(true, Text, "last"),
	)
	want := []Message{{Text, []byte("one")}, {Text, []byte("plain")}, {Ping, []byte("p")}, {Text, []byte(long)}, {Binary, nil}, {Binary, random},
		{Text, []byte("Hello")}, {Text, []byte("Hello")}, {Text, []byte("Hello")}, {Text, []byte("Hello")}, {Text, []byte("last")}}
	for _, size := range []int{1, 7, 1 << 20} {
		got, err := readAll(&Reader{Limit: 60_000, Deflated: true}, in, size)
		if err != nil || len(got) != len(want) {
			t.Fatalf("pieces of %d: %d messages, %v", size, len(got), err)
		}
		for i := range want {
			if got[i].Op != want[i].Op || !bytes.Equal(got[i].Payload, want[i].Payload) {
				t.Errorf("pieces of %d: message %d is %v %.20q", size, i, got[i].Op, got[i].Payload)
			}
		}
	}
}

// The bit where it has no meaning, streams that are none, and bombs.
func TestInflateViolations(t *testing.T) {
	t.Parallel()
	marked := func(b []byte, bits byte) []byte { b[0] |= bits; return b }
	final := func() string {
		var b bytes.Buffer
		w, _ := flate.NewWriter(&b, 6)
		_, _ = w.Write([]byte("end"))
		_ = w.Close()
		return b.String()
	}()
	bomb := string(deflate(make([]byte, 100_000_000), 9))
	for _, tt := range []struct {
		name    string
		in      []byte
		without bool // negotiation
		code    uint16
	}{
		{"not negotiated", compressed(true, Text, "x"), true, StatusProtocol},
		{"RSV1 on a ping", marked(client(true, Ping, "x"), rsv1), false, StatusProtocol},
		{"RSV1 on a close", marked(client(true, Close, ""), rsv1), false, StatusProtocol},
		{"RSV1 on a continuation", join(compressed(false, Text, "x"), marked(client(true, ws.OpContinuation, "x"), rsv1)), false, StatusProtocol},
		{"RSV1 on a continuation of a plain message", join(client(false, Text, "x"), marked(client(true, ws.OpContinuation, "x"), rsv1)), false, StatusProtocol},
		{"RSV2", marked(client(true, Text, "x"), 0x20), false, StatusProtocol},
		{"RSV1 and RSV3", marked(client(true, Text, "x"), rsv1|0x10), false, StatusProtocol},
		{"no deflate", marked(client(true, Text, "\xff\xff\xff"), rsv1), false, StatusInvalid},
		{"cut short", marked(client(true, Text, string(deflate([]byte("something longer"), 6)[:5])), rsv1), false, StatusInvalid},
		{"more behind the end", marked(client(true, Text, final+"more"), rsv1), false, StatusInvalid},
		{"invalid UTF-8 inside", compressed(true, Text, "\xff\xfe"), false, StatusInvalid},
		{"a byte over the limit", compressed(true, Binary, strings.Repeat("x", 1_000_001)), false, StatusTooBig},
		{"bomb", marked(client(true, Binary, bomb), rsv1), false, StatusTooBig},
		{"bomb in fragments", join(marked(client(false, Binary, bomb[:1000]), rsv1), client(true, ws.OpContinuation, bomb[1000:])), false, StatusTooBig},
	} {
		_, err := readAll(&Reader{Limit: 1_000_000, Deflated: !tt.without}, tt.in, 1<<20)
		var violation *Error
		if !errors.As(err, &violation) || violation.Code != tt.code {
			t.Errorf("%s: %v, want close code %d", tt.name, err, tt.code)
		}
	}
	if got, err := readAll(&Reader{Limit: 1_000_000, Deflated: true}, compressed(true, Binary, strings.Repeat("x", 1_000_000)), 1<<20); err != nil || len(got[0].Payload) != 1_000_000 {
		t.Errorf("a message of the limit: %v", err)
	}
}

// Deflate rewrites only the frames that are worth it.
func TestDeflate(t *testing.T) {
	t.Parallel()
	frame := func(op Op, payload string) []byte {
		return append(AppendHeader(nil, op, len(payload)), payload...)
	}
	long := strings.Repeat("perch ", 1000)
	var noise [2000]byte
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	frames := join(frame(Text, long), frame(Text, "short"), frame(Binary, string(noise[:])), frame(Binary, long), AppendClose(nil, 1000, "bye"))
	for level := 1; level <= 9; level++ {
		got := Deflate(frames, 1000, level)
		var flags []bool
		for rest := got; len(rest) > 0; {
			first := rest[0]
			flags = append(flags, first&rsv1 != 0)
			var payload []byte
			_, payload, rest = Cut(rest)
			if first&rsv1 == 0 {
				continue
			}
			if plain, err := inflate(payload, 1e6); err != nil || string(plain) != long {
				t.Errorf("level %d: %.20q, %v", level, plain, err)
			}
		}
		if len(flags) != 5 || !flags[0] || flags[1] || flags[2] || !flags[3] || flags[4] {
			t.Errorf("level %d: %v", level, flags)
		}
	}
}

// FuzzInflate: whatever a client compresses comes back, what it sends instead never panics and never
// gets over the limit.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("hello"))
	f.Add(deflate([]byte(strings.Repeat("a", 5000)), 6))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"))
	f.Add([]byte("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1000
		if out, err := inflate(data, limit); err == nil && len(out) > limit {
			t.Errorf("%d bytes", len(out))
		} else if err != nil && out != nil {
			t.Error("bytes with an error")
		}
		out, err := inflate(deflate(data, 1), limit)
		if len(data) > limit {
			var violation *Error
			if !errors.As(err, &violation) || violation.Code != StatusTooBig {
				t.Errorf("%d bytes: %v", len(data), err)
			}
		} else if err != nil || !bytes.Equal(out, data) {
			t.Errorf("%q came back as %q, %v", data, out, err)
		}
	})
}

// FuzzNegotiateDeflate: a header is an offer, no offer, or an error.
func FuzzNegotiateDeflate(f *testing.F) {
	f.Add(`permessage-deflate; client_max_window_bits="10", x;y=z`)
	f.Fuzz(func(t *testing.T, header string) {
		answer, err := NegotiateDeflate([]string{header})
		if answer == "" {
			return
		}
		if err != nil || !strings.Contains(header, "permessage-deflate") {
			t.Errorf("%q: %q, %v", header, answer, err)
		}
		if again, err := NegotiateDeflate([]string{answer}); again != answer || err != nil {
			t.Errorf("our own answer %q is not accepted: %q, %v", answer, again, err)
		}
	})
}
