package wsframe

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client builds a frame as a client sends it.
func client(fin bool, op Op, payload string) []byte {
	h := ws.Header{Fin: fin, OpCode: op, Masked: true, Mask: [4]byte{1, 2, 3, 4}, Length: int64(len(payload))}
	var b bytes.Buffer
	_ = ws.WriteHeader(&b, h) // a bytes.Buffer takes everything
	masked := []byte(payload)
	ws.Cipher(masked, h.Mask, 0)
	b.Write(masked)
	return b.Bytes()
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// readAll feeds b in pieces of at most size bytes and collects what comes out.
func readAll(r *Reader, b []byte, size int) (got []Message, err error) {
	for len(b) > 0 {
		n := min(size, len(b))
		r.Feed(bytes.Clone(b[:n]))
		b = b[n:]
		for {
			m, ok, err := r.Next()
			if err != nil {
				return got, err
			}
			if !ok {
				break
			}
			got = append(got, Message{m.Op, bytes.Clone(m.Payload)})
		}
	}
	return got, nil
}

// The messages are the same however the bytes are cut, and whatever stands between fragments.
func TestMessages(t *testing.T) {
	t.Parallel()
	long := string(bytes.Repeat([]byte("a"), 70_000))
	stream := join(
		client(true, Text, "one"),
		client(true, Binary, ""),
		client(true, Text, string(bytes.Repeat([]byte("b"), 200))),
		client(false, Text, "héll"),
		client(true, Ping, "are you there"),
		client(false, ws.OpContinuation, ""),
		client(true, ws.OpContinuation, "o wörld"),
		client(true, Binary, long),
		client(true, Text, "last"),
	)
	want := []Message{
		{Text, []byte("one")}, {Binary, nil}, {Text, bytes.Repeat([]byte("b"), 200)},
		{Ping, []byte("are you there")}, {Text, []byte("héllo wörld")},
		{Binary, []byte(long)}, {Text, []byte("last")},
	}
	for _, size := range []int{1, 2, 3, 7, 100, 16 << 10, 1 << 20} {
		got, err := readAll(&Reader{Limit: 1e6}, stream, size)
		if err != nil {
			t.Fatalf("pieces of %d: %v", size, err)
		}
		if len(got) != len(want) {
			t.Fatalf("pieces of %d: %d messages, want %d", size, len(got), len(want))
		}
		for i := range want {
			if got[i].Op != want[i].Op || !bytes.Equal(got[i].Payload, want[i].Payload) {
				t.Errorf("pieces of %d: message %d is %v %.20q", size, i, got[i].Op, got[i].Payload)
			}
		}
	}
}

// Each violation has its close code (RFC 6455 section 7.4.1).
func TestViolations(t *testing.T) {
	t.Parallel()
	unmasked := []byte{0x81, 0x02, 'h', 'i'}
	reserved := client(true, Text, "x")
	reserved[0] |= 0x40
	overlong := []byte{0x81, 0x80 | 126, 0, 5, 1, 2, 3, 4}
	negative := []byte{0x82, 0x80 | 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}
	fragments := client(false, Text, "")
	for range maxFragments {
		fragments = append(fragments, client(false, ws.OpContinuation, "")...)
	}
	tests := []struct {
		name string
		in   []byte
		code uint16
	}{
		{"unmasked frame", unmasked, StatusProtocol},
		{"reserved bit", reserved, StatusProtocol},
		{"unknown opcode", client(true, 0x3, "x"), StatusProtocol},
		{"continuation of nothing", client(true, ws.OpContinuation, "x"), StatusProtocol},
		{"text inside a fragmented message", join(client(false, Text, "a"), client(true, Text, "b")), StatusProtocol},
		{"fragmented ping", client(false, Ping, ""), StatusProtocol},
		{"ping of 126 bytes", client(true, Ping, string(make([]byte, 126))), StatusProtocol},
		{"length not in its shortest form", overlong, StatusProtocol},
		{"length beyond 63 bits", negative, StatusProtocol},
		{"invalid UTF-8", client(true, Text, "\xff\xfe"), StatusInvalid},
		{"UTF-8 cut by the end of the message", client(true, Text, "\xc3"), StatusInvalid},
		{"surrogate in UTF-8", client(true, Text, "\xed\xa0\x80"), StatusInvalid},
		{"too big", client(true, Text, string(make([]byte, 1001))), StatusTooBig},
		{"too big in fragments", join(client(false, Binary, string(make([]byte, 600))), client(true, ws.OpContinuation, string(make([]byte, 600)))), StatusTooBig},
		{"too many fragments (CVE-2026-48779)", fragments, StatusTooBig},
	}
	for _, tt := range tests {
		for _, size := range []int{1, 1 << 20} {
			_, err := readAll(&Reader{Limit: 1000}, tt.in, size)
			var violation *Error
			if !errors.As(err, &violation) || violation.Code != tt.code {
				t.Errorf("%s, in pieces of %d: %v, want code %d", tt.name, size, err, tt.code)
			}
		}
	}
	if got, err := readAll(&Reader{Limit: 1000}, client(true, Text, string(make([]byte, 1000))), 1<<20); err != nil || len(got) != 1 {
		t.Errorf("a message of exactly the limit: %v", err)
	}
}

// A text fails at the octet that makes it none, and at none before; what is only cut is waited for.
func TestTextFailsAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		bad  int // the octet
	}{
		{"aé€𐍈\xff", 10}, {"é\xc3", -1}, {"\xf0\x90\x8d", -1}, {"€\xf4\x90", 4}, {"\xed\xa0", 1}, {"\xf0\x9f\x98\x80\x80", 4}, {"é\xc0", 2},
	} {
		whole := client(false, Text, tt.text)
		head := len(whole) - len(tt.text)
		var fragments []byte
		for i := range len(tt.text) {
			op := Op(Text)
			if i > 0 {
				op = ws.OpContinuation
			}
			fragments = append(fragments, client(false, op, tt.text[i:i+1])...)
		}
		// In one frame, which it does not fill, or a frame for each octet.
		whole[1]++
		for name, in := range map[string]struct {
			frames    []byte
			head, per int
		}{"a frame": {whole, head, 1}, "fragments": {fragments, 0, head + 1}} {
			r, failed := &Reader{Limit: 100}, -1
			for i := range in.frames {
				r.Feed([]byte{in.frames[i]})
				if _, _, err := r.Next(); err != nil {
					failed = (i - in.head) / in.per
					break
				}
			}
			if failed != tt.bad {
				t.Errorf("%q in %s: failed at octet %d, want %d", tt.text, name, failed, tt.bad)
			}
		}
	}
}

// A large message may come in as many fragments as a small one in proportion.
func TestManyFragments(t *testing.T) {
	t.Parallel()
	const n = 4 * maxFragments
	in := client(false, Text, "x")
	for range n - 2 {
		in = append(in, client(false, ws.OpContinuation, "x")...)
	}
	in = append(in, client(true, ws.OpContinuation, "x")...)
	if got, err := readAll(&Reader{Limit: 64 * n}, in, 1<<20); err != nil || len(got) != 1 || len(got[0].Payload) != n {
		t.Errorf("%d messages, %v", len(got), err)
	}
	if _, err := readAll(&Reader{Limit: 64*n - 64}, in, 1<<20); err == nil {
		t.Error("one too many is taken")
	}
}

// What is announced costs nothing; only what has arrived does.
func TestAnnouncedLengthIsNotAllocated(t *testing.T) {
	header := []byte{0x82, 0x80 | 127, 0, 0, 0, 0, 0x3b, 0x9a, 0xca, 0, 1, 2, 3, 4} // 1 GB
	allocated := testing.AllocsPerRun(10, func() {
		r := Reader{Limit: 1 << 40}
		r.Feed(header)
		if _, ok, err := r.Next(); ok || err != nil {
			t.Fatal(ok, err)
		}
		if cap(r.message) != 0 {
			t.Fatalf("%d bytes held for a message that has not begun", cap(r.message))
		}
	})
	if allocated > 1 {
		t.Errorf("%v allocations", allocated)
	}
}

func TestCloseCode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		payload string
		want    uint16
	}{
		{"", StatusNormal}, {"\x03\xe8", 1000}, {"\x03\xe8bye", 1000}, {"\x0b\xb8", 3000},
		{"\x03\xf4", 1012}, {"\x03\xf6", 1014}, // registered after RFC 6455
		{"\x03", StatusProtocol}, {"\x03\xed", StatusProtocol}, {"\x03\xf7", StatusProtocol}, {"\x00\x01", StatusProtocol},
		{"\x13\x88", StatusProtocol}, {"\x03\xe8\xff", StatusProtocol},
	}
	for _, tt := range tests {
		if got, _ := CloseCode([]byte(tt.payload)); got != tt.want {
			t.Errorf("CloseCode(%q) = %d, want %d", tt.payload, got, tt.want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	var b []byte
	sizes := []int{0, 1, 125, 126, 65535, 65536}
	for _, n := range sizes {
		before := len(b)
		b = append(AppendHeader(b, Binary, n), make([]byte, n)...)
		if got := Size(n); got != len(b)-before {
			t.Errorf("Size(%d) = %d, want %d", n, got, len(b)-before)
		}
	}
	for _, n := range sizes {
		var op Op
		var payload []byte
		if op, payload, b = Cut(b); op != Binary || len(payload) != n {
			t.Fatalf("cut %v of %d bytes, want %d", op, len(payload), n)
		}
	}
	if len(b) != 0 {
		t.Errorf("%d bytes left", len(b))
	}
}

// FuzzReader feeds arbitrary bytes in arbitrary pieces: no panic, no message beyond the limit, and
// the result does not depend on how the bytes were cut.
func FuzzReader(f *testing.F) {
	f.Add(client(true, Text, "hello"), uint64(1))
	f.Add(join(client(false, Text, "a"), client(true, Ping, "p"), client(true, ws.OpContinuation, "b")), uint64(2))
	f.Add([]byte{0x81, 0x02, 'h', 'i'}, uint64(3))
	f.Add(client(true, Binary, string(make([]byte, 300))), uint64(4))
	f.Add([]byte{0x88, 0x82, 0, 0, 0, 0, 3, 0xe8}, uint64(5))
	f.Add(compressed(true, Text, "hello hello hello"), uint64(7))
	f.Add(join(compressed(false, Text, "hello"), client(true, Ping, "p"), client(true, ws.OpContinuation, "")), uint64(9))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		const limit = 256
		deflated := seed%2 == 1
		whole, wholeErr := readAll(&Reader{Limit: limit, Deflated: deflated}, in, len(in)+1)
		size := 1 + int(rand.New(rand.NewPCG(seed, 0)).Uint32N(16))
		cut, cutErr := readAll(&Reader{Limit: limit, Deflated: deflated}, in, size)
		if (wholeErr == nil) != (cutErr == nil) || len(whole) != len(cut) {
			t.Fatalf("whole: %d messages, %v; cut by %d: %d messages, %v", len(whole), wholeErr, size, len(cut), cutErr)
		}
		for i := range whole {
			if whole[i].Op != cut[i].Op || !bytes.Equal(whole[i].Payload, cut[i].Payload) {
				t.Fatalf("message %d differs", i)
			}
			if len(whole[i].Payload) > limit {
				t.Fatalf("message of %d bytes", len(whole[i].Payload))
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	var batch []byte
	for range 16 {
		batch = append(batch, client(true, Text, `420["echo","0123456789abcdef0123456789abcdef"]`)...)
	}
	buf := make([]byte, len(batch))
	r := Reader{Limit: 1e6}
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, batch)
		r.Feed(buf)
		for {
			if _, ok, err := r.Next(); err != nil {
				b.Fatal(err)
			} else if !ok {
				break
			}
		}
	}
}

// Every length, beginning in every place of the mask, as gobwas/ws does it.
func TestUnmask(t *testing.T) {
	t.Parallel()
	mask := [4]byte{0x11, 0x82, 0xf3, 0x04}
	for length := range 600 {
		for at := range 9 {
			got, want := make([]byte, length), make([]byte, length)
			for i := range got {
				got[i] = byte(i * 7)
			}
			copy(want, got)
			unmask(got, mask, at)
			ws.Cipher(want, mask, at)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes from %d: %x, want %x", length, at, got, want)
			}
		}
	}
}

// A large message costs its own size or two on the way, and nothing once others were as large. Not in parallel, because it counts
// what the process allocates.
func TestLargeMessagesAllocateLittle(t *testing.T) {
	const size, piece = 900 << 10, 4 << 10
	frame := func(op byte, final bool) []byte {
		b := []byte{op, 0x80 | 126, piece >> 8, piece & 0xff, 0, 0, 0, 0}
		if final {
			b[0] |= 0x80
		}
		return append(b, make([]byte, piece)...)
	}
	message := func() {
		r := Reader{Limit: 1 << 20}
		for sent := 0; sent < size; sent += piece {
			op := byte(ws.OpContinuation)
			if sent == 0 {
				op = byte(Binary)
			}
			r.Feed(frame(op, sent+piece >= size))
			m, ok, err := r.Next()
			if last := sent+piece >= size; err != nil || ok != last || last && len(m.Payload) != size {
				t.Fatal(len(m.Payload), ok, err)
			}
		}
		r.Reset()
	}
	allocated := func() uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		message()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc - size // the frames themselves
	}
	if first := allocated(); first > 5*size/2 {
		t.Errorf("a message of %d bytes allocates %d", size, first)
	}
	// The pool may lose it to a collection, or under the race detector on purpose.
	again := allocated()
	for tries := 5; tries > 0 && again > size/2; tries-- {
		again = allocated()
	}
	if again > size/2 {
		t.Errorf("another one allocates %d", again)
	}
}
