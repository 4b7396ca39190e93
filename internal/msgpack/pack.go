package msgpack

import (
	"bytes"
	"math"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tinylib/msgp/msgp"

	"github.com/perch-go/perch/internal/jsonscan"
)

// maxPackDepth bounds what Pack takes. It is more than Unpack does by default: what is packed is our own program's.
const maxPackDepth = 1024

// Pack appends to dst the MessagePack of text, which is one JSON value, with attachments where its placeholders stand. With an
// error, which is an [*Error], nothing was appended.
func Pack(dst, text []byte, attachments [][]byte) ([]byte, error) {
	p := packers.Get().(*packer)
	defer p.release()
	p.text, p.attachments = text, attachments
	if i, err := p.survey(); err != nil {
		return dst, &Error{Offset: i, Err: err}
	}
	return p.write(dst), nil
}

// packer goes over the text twice: a MessagePack array or map begins with its length, which JSON tells at its end.
type packer struct {
	text        []byte
	attachments [][]byte
	sizes       []uint32 // of arrays and objects, in the order they open; or that an object is a placeholder, and of what
	open        []container
	scratch     []byte
}

// isPlaceholder marks in packer.sizes an object that stands for an attachment.
const isPlaceholder = 1 << 31

// container is an array or object that is open during the survey.
type container struct {
	index  int // in sizes
	object bool
	marked bool   // "_placeholder" is true
	named  bool   // "num" is an integer …
	number uint32 // … this one
}

var packers = sync.Pool{New: func() any { return new(packer) }}

const keepSizes = 4096 // larger ones are not kept for reuse

func (p *packer) release() {
	if cap(p.sizes) > keepSizes {
		p.sizes = nil
	}
	if cap(p.scratch) > keepSizes {
		p.scratch = nil
	}
	p.text, p.attachments, p.sizes, p.open = nil, nil, p.sizes[:0], p.open[:0]
	packers.Put(p)
}

// survey checks that the text is one well-formed value and fills sizes. It returns where the error is.
func (p *packer) survey() (int, error) {
	b := p.text
	if uint64(len(b)) >= isPlaceholder {
		return 0, ErrTooLong
	}
	for _, a := range p.attachments {
		if uint64(len(a)) > math.MaxUint32 {
			return 0, ErrTooLong
		}
	}
	var key []byte // of the member whose value begins at i
	var err error
	for i := jsonscan.SkipSpace(b, 0); ; {
		if i == len(b) {
			return i, ErrJSON
		}
		start := i
		n := len(p.open)
		if n > 0 {
			p.sizes[p.open[n-1].index]++
		}
		if c := b[i]; c == '[' || c == '{' {
			if n == maxPackDepth {
				return i, ErrDepth
			}
			p.open = append(p.open, container{index: len(p.sizes), object: c == '{'})
			p.sizes = append(p.sizes, 0)
			if i = jsonscan.SkipSpace(b, i+1); i == len(b) || b[i] != c+2 { // not empty
				if key, i, err = p.member(i); err != nil {
					return i, err
				}
				continue
			}
		} else {
			if c == '"' {
				i, err = scanString(b, i)
			} else {
				i, err = jsonscan.Scalar(b, i)
			}
			if err != nil {
				return i, err
			}
			if n > 0 && key != nil {
				p.open[n-1].note(key, b[start:i])
			}
		}
		more := false
		if i, more, err = p.finish(i); err != nil || !more {
			return i, err
		}
		if key, i, err = p.member(i); err != nil {
			return i, err
		}
	}
}

// member reads what stands before a value: nothing in an array, its name in an object.
func (p *packer) member(i int) (key []byte, next int, err error) {
	if !p.open[len(p.open)-1].object {
		return nil, i, nil
	}
	b := p.text
	if i == len(b) || b[i] != '"' {
		return nil, i, ErrJSON
	}
	end, err := scanString(b, i)
	if err != nil {
		return nil, end, err
	}
	colon := jsonscan.SkipSpace(b, end)
	if colon == len(b) || b[colon] != ':' {
		return nil, colon, ErrJSON
	}
	return b[i:end], jsonscan.SkipSpace(b, colon+1), nil
}

// finish goes from the end of a value to where the next member or element begins, if more is true, or to the end of the text.
func (p *packer) finish(i int) (next int, more bool, err error) {
	b := p.text
	for {
		i = jsonscan.SkipSpace(b, i)
		n := len(p.open)
		if n == 0 {
			if i < len(b) {
				return i, false, ErrJSON
			}
			return i, false, nil
		}
		if i == len(b) {
			return i, false, ErrJSON
		}
		c := &p.open[n-1]
		switch {
		case b[i] == ',':
			return jsonscan.SkipSpace(b, i+1), true, nil
		case b[i] == '}' && c.object:
			if p.sizes[c.index] == 2 && c.marked && c.named && int64(c.number) < int64(len(p.attachments)) {
				p.sizes[c.index] = isPlaceholder | c.number
			}
		case b[i] != ']' || c.object:
			return i, false, ErrJSON
		}
		p.open = p.open[:n-1]
		i++
	}
}

// note looks whether a member makes the object a placeholder.
func (c *container) note(key, value []byte) {
	switch string(key) {
	case `"_placeholder"`:
		c.marked = string(value) == "true"
	case `"num"`:
		n, err := strconv.ParseUint(string(value), 10, 31)
		c.number, c.named = uint32(n), err == nil
	}
}

// write appends the surveyed text. What a value belongs to, its place says, so that there is no nesting here.
func (p *packer) write(dst []byte) []byte {
	b := p.text
	next := 0 // in sizes
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '[':
			dst = msgp.AppendArrayHeader(dst, p.sizes[next])
			next++
			i++
		case '{':
			size := p.sizes[next]
			next++
			if size&isPlaceholder == 0 {
				dst = msgp.AppendMapHeader(dst, size)
				i++
				continue
			}
			dst = msgp.AppendBytes(dst, p.attachments[size&^isPlaceholder])
			i += bytes.IndexByte(b[i:], '}') + 1 // nothing in it is called that
		case '"':
			end, _ := scanString(b, i)
			dst = p.appendString(dst, b[i:end])
			i = end
		case 't':
			dst = msgp.AppendBool(dst, true)
			i += len("true")
		case 'f':
			dst = msgp.AppendBool(dst, false)
			i += len("false")
		case 'n':
			dst = msgp.AppendNil(dst)
			i += len("null")
		case ' ', '\t', '\r', '\n', ',', ':', ']', '}':
			i++
		default:
			end, _ := jsonscan.Number(b, i)
			dst = appendNumber(dst, b[i:end])
			i = end
		}
	}
	return dst
}

func (p *packer) appendString(dst, quoted []byte) []byte {
	content := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(content, '\\') >= 0 || !utf8.Valid(content) {
		// What it complains of, it has replaced.
		p.scratch, _ = jsontext.AppendUnquote(p.scratch[:0], quoted)
		content = p.scratch
	}
	return msgp.AppendStringFromBytes(dst, content)
}

// appendNumber appends a well-formed number.
func appendNumber(dst, text []byte) []byte {
	integer := len(text) <= len("-9223372036854775808") && !bytes.ContainsAny(text, ".eE")
	if integer && text[0] == '-' {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n != 0 {
			return msgp.AppendInt64(dst, n)
		}
	} else if integer {
		if n, err := strconv.ParseUint(string(text), 10, 64); err == nil {
			return msgp.AppendUint64(dst, n)
		}
	}
	f, _ := strconv.ParseFloat(string(text), 64) // what is too large is infinite, as with JSON.parse
	return msgp.AppendFloat64(dst, f)
}

// scanString is [jsonscan.String] for text that need not be UTF-8: what is not becomes U+FFFD.
func scanString(b []byte, i int) (int, error) {
	for i++; ; {
		if i = jsonscan.SkipPlain(b, i); i == len(b) {
			return i, ErrJSON
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c >= utf8.RuneSelf:
			i++
		case c == '\\':
			n := jsonscan.EscapeSize(b[i:])
			if n == 0 {
				return i, ErrJSON
			}
			i += n
		default: // a control character
			return i, ErrJSON
		}
	}
}
