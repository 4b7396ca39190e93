package wsframe

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Op is a frame's opcode.
type Op = ws.OpCode

const (
	Text   = ws.OpText
	Binary = ws.OpBinary
	Close  = ws.OpClose
	Ping   = ws.OpPing
	Pong   = ws.OpPong
)

// Close codes of RFC 6455 section 7.4.1 that we send.
const (
	StatusNormal    = uint16(ws.StatusNormalClosure)
	StatusGoingAway = uint16(ws.StatusGoingAway)
	StatusProtocol  = uint16(ws.StatusProtocolError)
	StatusInvalid   = uint16(ws.StatusInvalidFramePayloadData)
	StatusPolicy    = uint16(ws.StatusPolicyViolation)
	StatusTooBig    = uint16(ws.StatusMessageTooBig)
)

// Error is a violation of the protocol. The connection is to be closed with Code.
type Error struct {
	Code   uint16
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("websocket: %s (close code %d)", e.Reason, e.Code) }

var (
	errIncomplete = errors.New("incomplete header")
	errText       = &Error{StatusInvalid, "text is not valid UTF-8"}
)

// maxFragments bounds how many frames a message may come in where the reader has no other number, so that empty ones cannot go
// on forever (CVE-2026-48779). Where messages may be large it is one for each 64 bytes of their limit.
const maxFragments = 16384

// ErrFragments is an *Error for a message that comes in more frames than Reader.Fragments.
var ErrFragments error = &Error{StatusTooBig, "message comes in too many fragments"}

// Message is one complete data message or control frame.
type Message struct {
	Op      Op
	Payload []byte
}

// Reader turns the bytes of one connection into messages. It keeps nothing while no message is under
// way, and what has arrived of one in a single buffer however it was fragmented. The zero value needs
// Limit. It belongs to the connection's reader.
type Reader struct {
	// Limit is the largest message accepted, in bytes; a longer one is close code 1009.
	Limit int64
	// Fragments is how many frames a message may come in. Zero means 16,384, or one for each 64 bytes of Limit if that is more.
	Fragments int

	in      []byte // what is left of the bytes fed
	head    [ws.MaxHeaderSize]byte
	headLen int8 // bytes of a split header kept in head

	inFrame bool
	done    bool // message is complete and was handed out
	frame   ws.Header
	left    int64 // payload bytes of the frame still to come
	message []byte
	checked int // bytes of message that are known to be whole characters

	// Deflated is whether permessage-deflate was negotiated. Limit holds before and after inflation.
	Deflated bool

	messageOp Op   // of the message under way, 0 when there is none
	deflated  bool // it is compressed
	fragments int
	control   []byte // payload of a control frame that came in pieces
}

// Feed gives the reader the next bytes. It unmasks them in place, and the messages that Next returns
// may alias them, so they must stay as they are until Next has reported that it needs more.
func (r *Reader) Feed(b []byte) { r.in = b }

// Next returns the next message; ok is false when more bytes are needed. The payload is valid until
// the following call. After an error, which is always an *Error, the reader is of no further use.
func (r *Reader) Next() (m Message, ok bool, err error) {
	if r.done {
		r.done = false
		r.release()
	}
	for {
		if !r.inFrame {
			if err := r.header(); err == errIncomplete {
				r.in = nil // it is somebody else's buffer
				return Message{}, false, nil
			} else if err != nil {
				r.release()
				return Message{}, false, err
			}
		}
		if len(r.in) == 0 && r.left > 0 {
			r.in = nil
			return Message{}, false, nil
		}
		n := int(min(int64(len(r.in)), r.left))
		part := r.in[:n]
		r.in = r.in[n:]
		unmask(part, r.frame.Mask, int(r.frame.Length-r.left))
		r.left -= int64(n)
		whole := n == int(r.frame.Length) // the frame's payload lies in one piece in the input

		if r.frame.OpCode.IsControl() {
			if !whole {
				r.control = append(r.control, part...)
				part = r.control
			}
			if r.left > 0 {
				continue
			}
			r.inFrame, r.control = false, nil
			return Message{r.frame.OpCode, part}, true, nil
		}

		if whole && r.frame.Fin && r.frame.OpCode != ws.OpContinuation {
			r.inFrame, r.messageOp = false, 0
			return r.finish(r.frame.OpCode, part)
		}
		r.grow(n)
		r.message = append(r.message, part...)
		if r.messageOp == Text && !r.deflated && !r.check() {
			r.release()
			return Message{}, false, errText
		}
		if r.left > 0 {
			continue
		}
		r.inFrame = false
		if !r.frame.Fin {
			continue
		}
		op := r.messageOp
		r.messageOp, r.fragments, r.done = 0, 0, true
		return r.finish(op, r.message)
	}
}

func (r *Reader) finish(op Op, payload []byte) (Message, bool, error) {
	if r.deflated {
		var err error
		if payload, err = inflate(payload, r.Limit); err != nil {
			return Message{}, false, err
		}
	}
	if op == Text && !utf8.Valid(payload[r.checked:]) {
		return Message{}, false, errText
	}
	r.checked = 0
	return Message{op, payload}, true, nil
}

// check looks at what has arrived of a text since it looked last, but for a character of which there is only the
// beginning, so that a text that is none ends at once (RFC 6455 section 8.1), and no byte is looked at twice.
func (r *Reader) check() bool {
	b := r.message[r.checked:]
	for i := len(b) - 1; i >= 0 && i > len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				b = b[:i]
			}
			break
		}
	}
	r.checked += len(b)
	return utf8.Valid(b)
}

// header reads the next frame's header, which may be spread over several feeds, and judges it.
func (r *Reader) header() error {
	h, n, err := parseHeader(r.in)
	if r.headLen > 0 || err == errIncomplete && len(r.in) > 0 {
		// Rare: the header is split. Complete it in head.
		had := int(r.headLen)
		took := copy(r.head[had:], r.in)
		h, n, err = parseHeader(r.head[:had+took])
		if err == errIncomplete {
			r.headLen = int8(had + took)
			r.in = r.in[took:]
			return err
		}
		n -= had
		r.headLen = 0
	}
	if err != nil {
		return err
	}
	r.in = r.in[n:]

	state := ws.StateServerSide
	if r.messageOp != 0 {
		state |= ws.StateFragmented
	}
	// The bit has a meaning on the first frame of a data message, and is an error anywhere else.
	deflated := r.Deflated && h.Rsv == rsv1>>4 && (h.OpCode == Text || h.OpCode == Binary)
	if deflated {
		h.Rsv = 0
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return &Error{StatusProtocol, err.Error()}
	}
	if !h.OpCode.IsControl() {
		if h.Length > r.Limit-int64(len(r.message)) {
			return &Error{StatusTooBig, fmt.Sprintf("message exceeds the limit of %d bytes", r.Limit)}
		}
		if h.OpCode != ws.OpContinuation {
			r.messageOp, r.deflated = h.OpCode, deflated
		}
		if r.fragments++; r.fragments > cmp.Or(r.Fragments, max(maxFragments, int(r.Limit/64))) {
			return ErrFragments
		}
		if h.Fin && h.OpCode != ws.OpContinuation {
			r.fragments = 0
		}
	}
	r.frame, r.left, r.inFrame = h, h.Length, true
	return nil
}

// parseHeader reads a frame header from the start of b and returns its length.
func parseHeader(b []byte) (h ws.Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, errIncomplete
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] & 0x70 >> 4
	h.OpCode = ws.OpCode(b[0] & 0x0f)
	h.Masked = b[1]&0x80 != 0
	n = 2
	switch length := b[1] & 0x7f; length {
	case 126:
		if len(b) < 4 {
			return h, 0, errIncomplete
		}
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
		n = 4
		if h.Length < 126 {
			return h, 0, &Error{StatusProtocol, "length is not in its shortest form"}
		}
	case 127:
		if len(b) < 10 {
			return h, 0, errIncomplete
		}
		long := binary.BigEndian.Uint64(b[2:])
		if long>>63 != 0 || long < 1<<16 {
			return h, 0, &Error{StatusProtocol, "length is not in its shortest form"}
		}
		h.Length = int64(long)
		n = 10
	default:
		h.Length = int64(length)
	}
	if h.Masked {
		if len(b) < n+4 {
			return h, 0, errIncomplete
		}
		copy(h.Mask[:], b[n:])
		n += 4
	}
	return h, n, nil
}

// unmask undoes the masking of a part of a payload, which begins at the given place of it.
func unmask(p []byte, mask [4]byte, at int) {
	const long = 256 // from here on vector instructions are worth their call
	if len(p) >= long {
		ws.Cipher(p, mask, at)
		return
	}
	m := bits.RotateLeft32(binary.LittleEndian.Uint32(mask[:]), -8*(at%4))
	for wide := uint64(m)<<32 | uint64(m); len(p) >= 8; p = p[8:] {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
	}
	for i := range p {
		p[i] ^= byte(m >> (8 * (i % 4)))
	}
}

// Idle reports whether all that was fed has been handed out, and no message is under way.
func (r *Reader) Idle() bool {
	return !r.inFrame && r.headLen == 0 && r.messageOp == 0 && len(r.in) == 0
}

// Fragmented reports whether a data message is under way.
func (r *Reader) Fragmented() bool { return r.messageOp != 0 }

// Reset makes r as good as new, Limit and Deflated included.
func (r *Reader) Reset() {
	r.release()
	*r = Reader{}
}

// IsFrame reports whether b is exactly one frame of a client's with that payload, which is less than 126 bytes long.
func IsFrame(b []byte, op Op, payload string) bool {
	const head = 2 + 4 // with the mask
	if len(b) != head+len(payload) || b[0] != 0x80|byte(op) || b[1] != 0x80|byte(len(payload)) {
		return false
	}
	for i := range len(payload) {
		if b[head+i]^b[2+i%4] != payload[i] {
			return false
		}
	}
	return true
}

// AppendHeader appends the header of an unmasked, unfragmented frame.
func AppendHeader(dst []byte, op Op, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length < 126:
		return append(dst, byte(length))
	case length < 1<<16:
		return append(dst, 126, byte(length>>8), byte(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
	}
}

// Size is the length of an unmasked frame with a payload of the given length.
func Size(length int) int {
	switch {
	case length < 126:
		return 2 + length
	case length < 1<<16:
		return 4 + length
	default:
		return 10 + length
	}
}

// AppendClose appends a close frame.
func AppendClose(dst []byte, code uint16, reason string) []byte {
	reason = reason[:min(len(reason), 123)]
	dst = AppendHeader(dst, Close, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, code), reason...)
}

// CloseCode reads the payload of a close frame and returns the code to answer with: the peer's own,
// or what is wrong with it (RFC 6455 sections 5.5.1 and 7.4).
func CloseCode(payload []byte) (code uint16, reason string) {
	if len(payload) == 0 {
		return StatusNormal, ""
	}
	if len(payload) == 1 {
		return StatusProtocol, ""
	}
	code, text := binary.BigEndian.Uint16(payload), payload[2:]
	if !mayClose(code) || !utf8.Valid(text) {
		return StatusProtocol, ""
	}
	return code, string(text)
}

// mayClose reports whether a close frame may carry a code: those that are registered, of which some came after RFC 6455 and some
// are for programs only, and the ranges for libraries and applications.
func mayClose(code uint16) bool {
	switch code {
	case 1004, 1005, 1006:
		return false
	}
	return 1000 <= code && code <= 1014 || 3000 <= code && code <= 4999
}

// Cut splits the first frame off b, which must be a sequence of whole frames built by AppendHeader.
func Cut(b []byte) (op Op, payload, rest []byte) {
	h, n, err := parseHeader(b)
	if err != nil || int64(len(b)-n) < h.Length {
		return 0, nil, nil
	}
	end := n + int(h.Length)
	return h.OpCode, b[n:end], b[end:]
}
