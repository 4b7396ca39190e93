package parser

import (
	stdjson "encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perch-go/perch/internal/jsonscan"
)

var errNoTarget = errors.New("the target must be a pointer, and not nil")

// Decode decodes one argument, as [Packet.Arg] returns it, into what v points
// to, in one pass. attachments are all those of the packet, in order; they end
// up in v uncopied, so the caller may not use them for anything else after.
//
// The rules are json/v2's, and these: names of objects match those of fields
// whatever their case; a name given twice counts the last time; a duration is
// a number of nanoseconds; a lone surrogate becomes U+FFFD; where bytes are
// wanted an attachment or base64 text will do, and an attachment in an any is
// a []byte. null sets the zero value.
//
// The error is a [*DecodeError].
func Decode(raw []byte, attachments [][]byte, v any) error {
	switch v := v.(type) {
	case *string:
		if s, ok := plainString(raw); ok {
			*v = string(s)
			return nil
		}
	case *int:
		if n, ok := shortInt(raw); ok && int64(int(n)) == n {
			*v = int(n)
			return nil
		}
	case *int64:
		if n, ok := shortInt(raw); ok {
			*v = n
			return nil
		}
	case *float64:
		if n, ok := shortInt(raw); ok {
			*v = float64(n)
			return nil
		}
	case *bool:
		switch string(raw) {
		case "true", "false":
			*v = raw[0] == 't'
			return nil
		}
	case *stdjson.RawMessage:
		if wellFormed(raw) {
			*v = append((*v)[:0], raw...)
			return nil
		}
	}
	// Not in the switch: in a Go whose own JSON is json/v2 both kinds of raw
	// JSON are one type.
	if v, ok := v.(*jsontext.Value); ok && wellFormed(raw) {
		*v = append((*v)[:0], raw...)
		return nil
	}
	return decode(raw, attachments, v)
}

func decode(raw []byte, attachments [][]byte, v any) error {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer || reflect.ValueOf(v).IsNil() {
		return &DecodeError{Type: t, Err: errNoTarget}
	}
	class := classPlain
	if len(attachments) > 0 {
		class = classOf(t.Elem(), decoding)
	}
	var err error
	if class == classPlain {
		err = json.Unmarshal(raw, v, plainDecoding...)
	} else {
		s := takeDecodeState()
		s.attachments = attachments
		err = json.Unmarshal(raw, v, s.options[class]...)
		s.release()
	}
	if err != nil {
		return decodeError(err)
	}
	return nil
}

// plainString returns the content of a JSON string without escapes.
func plainString(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	if end, err := jsonscan.String(raw, 0); err != nil || end != len(raw) {
		return nil, false
	}
	content := raw[1 : len(raw)-1]
	return content, !jsonscan.HasEscape(content)
}

// shortInt reads an integer of up to 15 digits, which fits an int64, and a
// float64 exactly.
func shortInt(raw []byte) (int64, bool) {
	digits := raw
	negative := len(raw) > 0 && raw[0] == '-'
	if negative {
		digits = raw[1:]
	}
	if len(digits) == 0 || len(digits) > 15 || digits[0] == '0' && len(raw) > 1 {
		return 0, false // -0 too: it is a float of its own
	}
	var n int64
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	if negative {
		n = -n
	}
	return n, true
}

func wellFormed(raw []byte) bool {
	end, err := jsonscan.Value(raw, 0, 0, HighestMaxDepth)
	return err == nil && end == len(raw)
}

// decodeError restates an error of json/v2 in terms of this package.
func decodeError(err error) *DecodeError {
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return &DecodeError{
			Path: path(semantic.JSONPointer),
			Got:  kindNames[semantic.JSONKind],
			Type: semantic.GoType,
			Err:  semantic.Err,
		}
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return &DecodeError{Path: path(syntactic.JSONPointer), Err: syntactic.Err}
	}
	return &DecodeError{Err: err}
}

var kindNames = map[jsontext.Kind]string{
	jsontext.KindNull:        "null",
	jsontext.KindTrue:        "boolean",
	jsontext.KindFalse:       "boolean",
	jsontext.KindString:      "string",
	jsontext.KindNumber:      "number",
	jsontext.KindBeginObject: "object",
	jsontext.KindBeginArray:  "array",
}

func path(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return b.String()
}
