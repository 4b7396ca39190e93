package jsonscan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is the highest limit that Value may be given.
const MaxDepth = 1024

// What can be wrong.
var (
	ErrJSON  = errors.New("malformed JSON")
	ErrUTF8  = errors.New("invalid UTF-8")
	ErrDepth = errors.New("nested too deeply")
)

// Value reads one value. It has depth arrays and objects around it, of at
// most limit altogether.
func Value(b []byte, i, depth, limit int) (int, error) {
	if i == len(b) {
		return i, ErrJSON
	}
	switch b[i] {
	case '"':
		return String(b, i)
	case '[', '{':
		return nested(b, i, depth, limit)
	default:
		return Scalar(b, i)
	}
}

// nested reads the array or object that opens at i. It does not recurse: a
// bit per level tells objects from arrays, so that no packet grows the stack.
func nested(b []byte, i, depth, limit int) (int, error) {
	var objects [MaxDepth/64 + 1]uint64
	base := depth
	var err error
	for {
		// A value begins at i.
		if i == len(b) {
			return i, ErrJSON
		}
		switch b[i] {
		case '"':
			i, err = String(b, i)
		case '[', '{':
			if depth++; depth > limit {
				return i, ErrDepth
			}
			word, bit := &objects[depth/64], uint64(1)<<(depth%64)
			if b[i] == '[' {
				*word &^= bit
				if i = SkipSpace(b, i+1); i == len(b) || b[i] != ']' {
					continue
				}
			} else {
				*word |= bit
				if i = SkipSpace(b, i+1); i == len(b) || b[i] != '}' {
					if i, err = Key(b, i); err != nil {
						return i, err
					}
					continue
				}
			}
			i++
			depth--
		default:
			i, err = Scalar(b, i)
		}
		if err != nil {
			return i, err
		}

		// A value ended at i: close what closes until another value follows.
		for {
			if depth == base {
				return i, nil
			}
			if i = SkipSpace(b, i); i == len(b) {
				return i, ErrJSON
			}
			object := objects[depth/64]&(1<<(depth%64)) != 0
			c := b[i]
			if c == ',' {
				i = SkipSpace(b, i+1)
				if object {
					if i, err = Key(b, i); err != nil {
						return i, err
					}
				}
				break
			}
			if object && c != '}' || !object && c != ']' {
				return i, ErrJSON
			}
			i++
			depth--
		}
	}
}

// Key reads a member's name, the colon, and the space around it.
func Key(b []byte, i int) (int, error) {
	if i == len(b) || b[i] != '"' {
		return i, ErrJSON
	}
	i, err := String(b, i)
	if err != nil {
		return i, err
	}
	if i = SkipSpace(b, i); i == len(b) || b[i] != ':' {
		return i, ErrJSON
	}
	return SkipSpace(b, i+1), nil
}

// Scalar reads a number, true, false or null.
func Scalar(b []byte, i int) (int, error) {
	var word string
	switch b[i] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	case 'n':
		word = "null"
	default:
		return Number(b, i)
	}
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return i, ErrJSON
	}
	return i + len(word), nil
}

// Number reads a number.
func Number(b []byte, i int) (int, error) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	end := digits(b, i)
	if end == i || b[i] == '0' && end > i+1 {
		return i, ErrJSON
	}
	if i = end; i < len(b) && b[i] == '.' {
		if end = digits(b, i+1); end == i+1 {
			return end, ErrJSON
		}
		i = end
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if end = digits(b, i); end == i {
			return i, ErrJSON
		}
		i = end
	}
	return i, nil
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// String reads the string whose quote opens at i. Escaped surrogates need
// no partner: JavaScript strings may hold lone ones, and JSON.parse takes them.
func String(b []byte, i int) (int, error) {
	i++
	for {
		i = SkipPlain(b, i)
		if i == len(b) {
			return i, ErrJSON
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c >= utf8.RuneSelf:
			for i < len(b) && b[i] >= utf8.RuneSelf {
				r, size := utf8.DecodeRune(b[i:])
				if r == utf8.RuneError && size == 1 {
					return i, ErrUTF8
				}
				i += size
			}
		case c == '\\':
			size := EscapeSize(b[i:])
			if size == 0 {
				return i, ErrJSON
			}
			i += size
		default: // a control character
			return i, ErrJSON
		}
	}
}

// EscapeSize is the length of the escape sequence b begins with, 0 if it is
// none.
func EscapeSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if d := c - '0'; d > 9 {
				if d := (c | 0x20) - 'a'; d > 5 {
					return 0
				}
			}
		}
		return 6
	}
	return 0
}

// SkipPlain returns the index of the first byte from i on that is not plain
// text inside a JSON string: a quote, a backslash, a control character, or the
// beginning of something beyond ASCII. It looks at eight bytes at a time; the
// lowest mark is exact, those above it may be carried over from it.
func SkipPlain(b []byte, i int) int {
	for len(b)-i >= 32 { // four at a time, because a branch costs more than they do
		four := b[i : i+32 : i+32]
		w0, w1 := binary.LittleEndian.Uint64(four), binary.LittleEndian.Uint64(four[8:])
		w2, w3 := binary.LittleEndian.Uint64(four[16:]), binary.LittleEndian.Uint64(four[24:])
		if (marks(w0)|marks(w1)|marks(w2)|marks(w3))&highs != 0 {
			break
		}
		i += 32
	}
	for len(b)-i >= 8 {
		if m := marks(binary.LittleEndian.Uint64(b[i:])) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	for i < len(b) {
		if c := b[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// marks sets the highest bit of bytes that are not plain, the lowest of which is exact.
func marks(w uint64) uint64 {
	return (w - 0x20*ones) | ((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | w
}

// SkipSpace returns the index of the first byte from i on that is not space.
func SkipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// HasEscape reports whether a string has an escape sequence in it.
func HasEscape(b []byte) bool { return bytes.IndexByte(b, '\\') >= 0 }
