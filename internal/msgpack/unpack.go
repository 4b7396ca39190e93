package msgpack

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tinylib/msgp/msgp"
)

// What Limits means by zero, and its ceiling.
const (
	DefaultMaxDepth = 64
	HighestMaxDepth = 1024
)

// Limits is a plain value: how much a MessagePack value may hold.
type Limits struct {
	// MaxDepth is how deeply arrays and maps may be nested. Zero or less means 64; more than 1,024 means 1,024.
	MaxDepth int
	// MaxAttachments is how many byte sequences there may be. Zero means that the input's length is bound enough; a negative
	// value refuses bytes.
	MaxAttachments int
}

// Unpack appends to dst the JSON of packed, which is one MessagePack value. The attachments alias packed. With an error, which
// is an [*Error], nothing was appended.
func Unpack(dst, packed []byte, l Limits) (text []byte, attachments [][]byte, err error) {
	u := Unpacker{Limits: l}
	text, rest, err := u.Append(dst, packed)
	if err == nil && len(rest) > 0 {
		err = &Error{Offset: len(packed) - len(rest), Err: ErrTrailing}
	}
	if err != nil {
		return dst, nil, err
	}
	return text, u.Attachments, nil
}

// Unpacker reads MessagePack value by value. It must not be used concurrently. Its zero value is ready for use.
type Unpacker struct {
	Limits
	// Attachments are the byte sequences of all values read so far, aliasing what they were read from.
	Attachments [][]byte
}

// Append appends to dst the JSON of the value that packed begins with, and returns what follows the value. With an error,
// which is an [*Error], nothing was appended.
func (u *Unpacker) Append(dst, packed []byte) (text, rest []byte, err error) {
	depth := u.MaxDepth
	if depth <= 0 {
		depth = DefaultMaxDepth
	}
	text, rest, err = u.value(dst, packed, min(depth, HighestMaxDepth))
	if err != nil {
		return dst, packed, &Error{Offset: len(packed) - len(rest), Err: err}
	}
	return text, rest, nil
}

// IsUndefined reports whether the value that packed begins with is JavaScript's undefined, as notepack writes it.
func IsUndefined(packed []byte) bool { return len(packed) >= 3 && packed[0] == 0xd4 && packed[1] == 0 }

// ReadMap reads the beginning of a map: what follows are so many keys, each with its value.
func ReadMap(packed []byte) (members int, rest []byte, err error) {
	if len(packed) > 0 && msgp.NextType(packed) != msgp.MapType {
		return 0, packed, &Error{Err: ErrType}
	}
	n, rest, err := msgp.ReadMapHeaderBytes(packed)
	if err != nil || 2*uint64(n) > uint64(len(rest)) {
		return 0, packed, &Error{Err: ErrTruncated}
	}
	return int(n), rest, nil
}

// ReadString reads a string, which may not be UTF-8; content aliases packed.
func ReadString(packed []byte) (content, rest []byte, err error) {
	if len(packed) > 0 && msgp.NextType(packed) != msgp.StrType {
		return nil, packed, &Error{Err: ErrType}
	}
	if content, rest, err = str(packed); err != nil {
		return nil, packed, &Error{Err: err}
	}
	return content, rest, nil
}

// value reads the value b begins with; depth more arrays and maps may be nested. With an error it returns where that is.
func (u *Unpacker) value(dst, b []byte, depth int) (text, rest []byte, err error) {
	if len(b) == 0 {
		return dst, b, ErrTruncated
	}
	switch c := b[0]; {
	case c < 0x80 || c >= 0xe0, c >= 0xcc && c <= 0xd3:
		return u.integer(dst, b)
	case c < 0x90 || c == 0xde || c == 0xdf:
		return u.object(dst, b, depth)
	case c < 0xa0 || c == 0xdc || c == 0xdd:
		return u.array(dst, b, depth)
	case c < 0xc0 || c >= 0xd9:
		return quote(dst, b)
	case c == 0xc0:
		return append(dst, "null"...), b[1:], nil
	case c == 0xc2:
		return append(dst, "false"...), b[1:], nil
	case c == 0xc3:
		return append(dst, "true"...), b[1:], nil
	case c >= 0xc4 && c <= 0xc6:
		content, rest, err := sized(b, 1<<(c-0xc4), 0)
		if err != nil {
			return dst, b, err
		}
		return u.attach(dst, content, b, rest)
	case c >= 0xc7 && c <= 0xc9:
		content, rest, err := sized(b, 1<<(c-0xc7), 1)
		if err != nil {
			return dst, b, err
		}
		return u.extension(dst, content, b, rest, false)
	case c == 0xca:
		f, rest, err := msgp.ReadFloat32Bytes(b)
		return number(dst, float64(f), b, rest, err)
	case c == 0xcb:
		f, rest, err := msgp.ReadFloat64Bytes(b)
		return number(dst, f, b, rest, err)
	case c >= 0xd4 && c <= 0xd8:
		end := 2 + 1<<(c-0xd4)
		if len(b) < end {
			return dst, b, ErrTruncated
		}
		return u.extension(dst, b[1:end], b, b[end:], true)
	}
	return dst, b, ErrType // 0xc1
}

// sized returns what is behind a length of so many bytes, and extra bytes more than that.
func sized(b []byte, bytes, extra int) (content, rest []byte, err error) {
	start := 1 + bytes
	if len(b) < start {
		return nil, b, ErrTruncated
	}
	var n uint64
	for _, d := range b[1:start] {
		n = n<<8 | uint64(d)
	}
	n += uint64(extra)
	if uint64(len(b)-start) < n {
		return nil, b, ErrTruncated
	}
	end := start + int(n)
	return b[start:end:end], b[end:], nil
}

func (u *Unpacker) array(dst, b []byte, depth int) (text, rest []byte, err error) {
	n, rest, err := msgp.ReadArrayHeaderBytes(b)
	switch {
	case err != nil, uint64(n) > uint64(len(rest)): // an element takes a byte at least
		return dst, b, ErrTruncated
	case depth == 0:
		return dst, b, ErrDepth
	}
	text = append(dst, '[')
	for i := range n {
		if i > 0 {
			text = append(text, ',')
		}
		if text, rest, err = u.value(text, rest, depth-1); err != nil {
			return dst, rest, err
		}
	}
	return append(text, ']'), rest, nil
}

func (u *Unpacker) object(dst, b []byte, depth int) (text, rest []byte, err error) {
	n, rest, err := ReadMap(b)
	switch {
	case err != nil:
		return dst, b, ErrTruncated
	case depth == 0:
		return dst, b, ErrDepth
	}
	text = append(dst, '{')
	for range n {
		before := len(text)
		if before > len(dst)+1 {
			text = append(text, ',')
		}
		if text, rest, err = key(text, rest); err != nil {
			return dst, rest, err
		}
		if IsUndefined(rest) {
			text, rest = text[:before], rest[3:]
			continue
		}
		text = append(text, ':')
		if text, rest, err = u.value(text, rest, depth-1); err != nil {
			return dst, rest, err
		}
	}
	return append(text, '}'), rest, nil
}

// key reads a member's name.
func key(dst, b []byte) (text, rest []byte, err error) {
	if len(b) == 0 {
		return dst, b, ErrTruncated
	}
	switch c := b[0]; {
	case c >= 0xa0 && c < 0xc0, c >= 0xd9 && c <= 0xdb:
		return quote(dst, b)
	case c < 0x80, c >= 0xe0, c >= 0xcc && c <= 0xd3, c == 0xc0, c == 0xc2, c == 0xc3:
		text, rest, err = new(Unpacker).value(append(dst, '"'), b, 0)
		if err != nil {
			return dst, rest, err
		}
		return append(text, '"'), rest, nil
	}
	return dst, b, ErrKey
}

// str reads a string.
func str(b []byte) (content, rest []byte, err error) {
	if len(b) == 0 {
		return nil, b, ErrTruncated
	}
	if c := b[0]; c >= 0xc0 {
		return sized(b, 1<<(c-0xd9), 0)
	}
	end := 1 + int(b[0]&31)
	if len(b) < end {
		return nil, b, ErrTruncated
	}
	return b[1:end], b[end:], nil
}

// quote reads a string and writes it as JSON.
func quote(dst, b []byte) (text, rest []byte, err error) {
	content, rest, err := str(b)
	if err != nil {
		return dst, b, err
	}
	if text, err = jsontext.AppendQuote(dst, content); err != nil {
		return dst, b, ErrUTF8
	}
	return text, rest, nil
}

func (u *Unpacker) integer(dst, b []byte) (text, rest []byte, err error) {
	if b[0] == 0xcf {
		n, rest, err := msgp.ReadUint64Bytes(b)
		if err != nil {
			return dst, b, ErrTruncated
		}
		return strconv.AppendUint(dst, n, 10), rest, nil
	}
	n, rest, err := msgp.ReadInt64Bytes(b)
	if err != nil {
		return dst, b, ErrTruncated
	}
	return strconv.AppendInt(dst, n, 10), rest, nil
}

// number writes f, which ended at rest, as JavaScript does.
func number(dst []byte, f float64, b, rest []byte, err error) ([]byte, []byte, error) {
	if err != nil {
		return dst, b, ErrTruncated
	}
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...), rest, nil
	case f == 0:
		return append(dst, '0'), rest, nil
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64), rest, nil
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-2] == '0' && dst[n-4] == 'e' { // e-07 is written e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, rest, nil
}

// attach makes bytes, which began at b and ended at rest, an attachment.
func (u *Unpacker) attach(dst, content, b, rest []byte) ([]byte, []byte, error) {
	n := len(u.Attachments)
	if u.MaxAttachments != 0 && n >= u.MaxAttachments {
		return dst, b, ErrTooManyAttachments
	}
	u.Attachments = append(u.Attachments, content[:len(content):len(content)])
	dst = append(dst, `{"_placeholder":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '}'), rest, nil
}

// extension reads what began at b and ended at rest; content begins with its type. fixed says that its length was not written.
func (u *Unpacker) extension(dst, content, b, rest []byte, fixed bool) ([]byte, []byte, error) {
	kind, content := int8(content[0]), content[1:]
	switch {
	case kind == 0 && !fixed: // an ArrayBuffer
		return u.attach(dst, content, b, rest)
	case kind == 0 && len(content) == 1: // undefined
		return append(dst, "null"...), rest, nil
	case kind == 0 && len(content) == 8:
		return appendMillis(dst, int64(binary.BigEndian.Uint64(content))), rest, nil
	case kind == -1 && len(content) == 4:
		return appendDate(dst, int64(binary.BigEndian.Uint32(content)), 0), rest, nil
	case kind == -1 && len(content) == 8:
		n := binary.BigEndian.Uint64(content)
		return appendDate(dst, int64(n&(1<<34-1)), uint32(n>>34)), rest, nil
	case kind == -1 && len(content) == 12:
		return appendDate(dst, int64(binary.BigEndian.Uint64(content[4:])), binary.BigEndian.Uint32(content)), rest, nil
	}
	dst = append(dst, '[')
	dst = strconv.AppendInt(dst, int64(kind), 10)
	dst, rest, err := u.attach(append(dst, ','), content, b, rest)
	return append(dst, ']'), rest, err
}
