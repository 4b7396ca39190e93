package wsframe

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// FuzzFrames compares Reader with a reader that knows nothing but RFC 6455 and 7692 and has all bytes before it: the same
// messages, and the same close code for the first violation.
func FuzzFrames(f *testing.F) {
	f.Add(join(client(false, Text, "h\xc3"), client(true, Ping, "p"), client(true, ws.OpContinuation, "\xa9")), false)
	f.Add(join(client(true, Text, "masked"), []byte("\x81\x08unmasked")), false)
	f.Add(join(compressed(true, Text, "hello hello hello"), client(true, Binary, string(make([]byte, 200)))), true)
	f.Add([]byte("\x82\xfe\x01\x01\x00\x00\x00\x00"), false)
	f.Add([]byte("\x88\xfe\x00\x7e\x00\x00\x00\x00"), false)
	f.Fuzz(func(t *testing.T, in []byte, deflated bool) {
		const limit = 256
		want, code := readPlainly(in, limit, deflated)
		got, err := readAll(&Reader{Limit: limit, Deflated: deflated}, in, 7)
		var violation *Error
		if errors.As(err, &violation) != (code != 0) || violation != nil && violation.Code != code {
			t.Fatalf("%x: %v, want close code %d", in, err, code)
		}
		if len(got) != len(want) {
			t.Fatalf("%x: %d messages, want %d", in, len(got), len(want))
		}
		for i := range got {
			if got[i].Op != want[i].Op || !bytes.Equal(got[i].Payload, want[i].Payload) {
				t.Fatalf("%x: message %d is %v %q, want %v %q", in, i, got[i].Op, got[i].Payload, want[i].Op, want[i].Payload)
			}
		}
	})
}

// readPlainly reads what a client sends, up to the first violation, whose close code it returns.
func readPlainly(in []byte, limit int, deflates bool) (messages []Message, code uint16) {
	var message []byte
	var op Op // 0 without message
	squeezed := false
	for {
		if len(in) < 2 {
			return messages, 0
		}
		fin, rsv, opcode := in[0]&0x80 != 0, in[0]&0x70, Op(in[0]&15)
		long, n := in[1]&0x7f, uint64(in[1]&0x7f)
		head := 2
		switch long {
		case 126:
			head = 4
		case 127:
			head = 10
		}
		if len(in) < head {
			return messages, 0
		}
		switch long {
		case 126:
			n = uint64(binary.BigEndian.Uint16(in[2:]))
		case 127:
			n = binary.BigEndian.Uint64(in[2:])
		}
		if long == 126 && n < 126 || long == 127 && (n < 1<<16 || n > 1<<63-1) {
			return messages, StatusProtocol
		}
		masked := in[1]&0x80 != 0
		if masked {
			head += 4
		}
		if len(in) < head {
			return messages, 0
		}
		first := opcode == Text || opcode == Binary
		control := opcode == Close || opcode == Ping || opcode == Pong
		switch {
		case !masked, !first && !control && opcode != ws.OpContinuation:
			return messages, StatusProtocol
		case rsv != 0 && !(rsv == 0x40 && deflates && first):
			return messages, StatusProtocol
		case control && (!fin || n > 125):
			return messages, StatusProtocol
		case first && op != 0, opcode == ws.OpContinuation && op == 0:
			return messages, StatusProtocol
		case !control && n > uint64(limit-len(message)):
			return messages, StatusTooBig
		}
		if first {
			op, squeezed = opcode, rsv != 0
		}
		payload := bytes.Clone(in[head:][:min(n, uint64(len(in)-head))])
		for i := range payload {
			payload[i] ^= in[head-4+i%4]
		}
		whole := uint64(len(payload)) == n
		// A text that is none ends at once (RFC 6455 section 8.1), one that was compressed when it is whole.
		if !control && op == Text && !squeezed && (!whole || !fin) && !beginsText(append(bytes.Clone(message), payload...)) {
			return messages, StatusInvalid
		}
		if !whole {
			return messages, 0
		}
		in = in[head+int(n):]
		if control {
			messages = append(messages, Message{opcode, payload})
			continue
		}
		if message = append(message, payload...); !fin {
			continue
		}
		if squeezed {
			if message, code = inflatePlainly(message, limit); code != 0 {
				return messages, code
			}
		}
		if op == Text && !utf8.Valid(message) {
			return messages, StatusInvalid
		}
		messages = append(messages, Message{op, message})
		op, message = 0, nil
	}
}

// beginsText reports whether b is the beginning of some text.
func beginsText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(b)
		}
		b = b[n:]
	}
	return true
}

// inflatePlainly undoes compression as RFC 7692 section 7.2.2 says.
func inflatePlainly(b []byte, limit int) ([]byte, uint16) {
	const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff" // the block that was not sent, and a last one
	in := bytes.NewReader(append(bytes.Clone(b), tail...))
	out, err := io.ReadAll(io.LimitReader(flate.NewReader(in), int64(limit)+1))
	behind := max(in.Len()-len(tail), 0)
	switch {
	case len(out) > limit:
		return nil, StatusTooBig
	case err != nil, behind > 1, behind == 1 && b[len(b)-1] != 0: // section 7.2.3.4 has a zero behind the last block
		return nil, StatusInvalid
	}
	return out, 0
}
