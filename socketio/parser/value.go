package parser

import (
	"bytes"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/perch-go/perch/internal/jsonscan"
)

// maxEncodeDepth is where nested maps and slices are taken for a cycle.
const maxEncodeDepth = 1000

var (
	errNotFinite = errors.New("JSON has no NaN and no infinity")
	errCycle     = errors.New("value is nested too deeply, or contains itself")
)

// encoder appends JSON and collects the bytes it meets.
type encoder struct {
	attachments [][]byte
	inline      bool // bytes are base64 text, of which nothing is collected
	offset      int  // Encoded.Offset
}

// append appends v. The types that make up most payloads are written right
// here; all others are json/v2's.
func (e *encoder) append(dst []byte, v any, depth int) ([]byte, error) {
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		return jsonscan.AppendString(dst, x), nil
	case bool:
		return strconv.AppendBool(dst, x), nil
	case int:
		return strconv.AppendInt(dst, int64(x), 10), nil
	case int64:
		return strconv.AppendInt(dst, x, 10), nil
	case int32:
		return strconv.AppendInt(dst, int64(x), 10), nil
	case uint:
		return strconv.AppendUint(dst, uint64(x), 10), nil
	case uint64:
		return strconv.AppendUint(dst, x, 10), nil
	case uint32:
		return strconv.AppendUint(dst, uint64(x), 10), nil
	case float64:
		return appendFloat(dst, x)
	case []byte:
		return e.appendBytes(dst, x), nil
	case stdjson.RawMessage:
		return e.appendRaw(dst, x, v)
	case Raw:
		return e.appendRawValue(dst, x)
	// What a handler has returned, where it stands: boxing it would be an allocation. Nil is for json/v2 to write.
	case *string:
		if x != nil {
			return jsonscan.AppendString(dst, *x), nil
		}
	case *int:
		if x != nil {
			return strconv.AppendInt(dst, int64(*x), 10), nil
		}
	case *int64:
		if x != nil {
			return strconv.AppendInt(dst, *x, 10), nil
		}
	case *float64:
		if x != nil {
			return appendFloat(dst, *x)
		}
	case *bool:
		if x != nil {
			return strconv.AppendBool(dst, *x), nil
		}
	case *[]byte:
		if x != nil {
			return e.appendBytes(dst, *x), nil
		}
	case []any:
		return e.appendArray(dst, x, depth)
	case map[string]any:
		return e.appendObject(dst, x, depth)
	}
	return e.appendOther(dst, v)
}

// appendBytes makes b an attachment. Nil bytes are null: an unset field shall
// not cost a message.
func (e *encoder) appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, "null"...)
	}
	return e.put(dst, b)
}

// put appends what stands for b.
func (e *encoder) put(dst, b []byte) []byte {
	if e.inline {
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), b)
		return append(dst, '"')
	}
	dst = appendPlaceholder(dst, len(e.attachments))
	e.attachments = append(e.attachments, b)
	return dst
}

// appendRaw appends JSON that was written elsewhere, v being the same in its
// own type. It is not trusted: a malformed packet would cost the connection.
// Invalid UTF-8 in it is left to json/v2, which repairs it.
func (e *encoder) appendRaw(dst, raw []byte, v any) ([]byte, error) {
	if raw == nil {
		return append(dst, "null"...), nil
	}
	end, err := jsonscan.Value(raw, jsonscan.SkipSpace(raw, 0), 0, HighestMaxDepth)
	if err == nil && jsonscan.SkipSpace(raw, end) == len(raw) {
		return append(dst, raw...), nil
	}
	return e.marshal(dst, v, classPlain)
}

func (e *encoder) appendArray(dst []byte, array []any, depth int) ([]byte, error) {
	if depth++; depth > maxEncodeDepth {
		return dst, errCycle
	}
	dst = append(dst, '[')
	for i, v := range array {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = e.append(dst, v, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (e *encoder) appendObject(dst []byte, object map[string]any, depth int) ([]byte, error) {
	if depth++; depth > maxEncodeDepth {
		return dst, errCycle
	}
	dst = append(dst, '{')
	first := true
	for name, v := range object {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(jsonscan.AppendString(dst, name), ':')
		var err error
		if dst, err = e.append(dst, v, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// appendOther appends values of all other types.
func (e *encoder) appendOther(dst []byte, v any) ([]byte, error) {
	// Not in the switch of append: in a Go whose own JSON is json/v2 both
	// kinds of raw JSON are one type.
	if raw, ok := v.(jsontext.Value); ok {
		return e.appendRaw(dst, raw, v)
	}
	t := reflect.TypeOf(v)
	class := classOf(t, encoding)
	if class == classAny && isBytes(t, encoding) {
		return e.appendBytes(dst, reflect.ValueOf(v).Bytes()), nil
	}
	return e.marshal(dst, v, class)
}

// marshal has json/v2 append v, with the marshalers that its class calls for.
func (e *encoder) marshal(dst []byte, v any, class class) ([]byte, error) {
	s := takeEncodeState()
	s.buffer = *bytes.NewBuffer(dst)
	s.attachments, s.inline = e.attachments, e.inline
	err := json.MarshalWrite(&s.buffer, v, s.options[class]...)
	if err == nil {
		dst, e.attachments = s.buffer.Bytes(), s.attachments
	}
	s.release()
	return dst, err
}

// appendFloat writes f as JavaScript does.
func appendFloat(dst []byte, f float64) ([]byte, error) {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return dst, errNotFinite
	case f == 0:
		return append(dst, '0'), nil
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-2] == '0' && dst[n-4] == 'e' { // e-07 is written e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, nil
}
