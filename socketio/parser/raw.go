package parser

import (
	"errors"
	"reflect"
	"strconv"

	"github.com/perch-go/perch/internal/jsonscan"
)

// Raw is immutable and safe for concurrent use: a value that is JSON already, as
// it came from elsewhere. Wherever it stands in a value that is encoded, it is
// written as it is, its numbers to the last digit; wherever a Raw is decoded
// into, it is taken as it is, together with its attachments. The zero value is
// null.
type Raw struct {
	// JSON is the value, with a placeholder for each of its attachments.
	JSON []byte
	// Attachments are what the placeholders stand for. There may be more than
	// the value uses.
	Attachments [][]byte
}

// NewRaw encodes v. The error is an [*EncodeError].
func NewRaw(v any) (Raw, error) {
	var e encoder
	text, err := e.append(nil, v, 0)
	if err != nil {
		return Raw{}, &EncodeError{Err: err}
	}
	return Raw{text, e.attachments}, nil
}

// Decode decodes the value into what v points to, as [Decode] does.
func (r Raw) Decode(v any) error {
	if r.JSON == nil {
		return Decode([]byte("null"), nil, v)
	}
	return Decode(r.JSON, r.Attachments, v)
}

var errRawAttachments = errors.New("raw JSON with attachments cannot be encoded without them")

// MarshalJSON returns the JSON, for encoders that know nothing of attachments.
func (r Raw) MarshalJSON() ([]byte, error) {
	switch {
	case r.JSON == nil:
		return []byte("null"), nil
	case len(r.Attachments) > 0:
		return nil, errRawAttachments
	}
	return r.JSON, nil
}

// UnmarshalJSON takes a copy of the JSON.
func (r *Raw) UnmarshalJSON(text []byte) error {
	*r = Raw{JSON: append([]byte{}, text...)}
	return nil
}

var rawType = reflect.TypeFor[Raw]()

// appendRawValue appends r, whose attachments join those there are already.
func (e *encoder) appendRawValue(dst []byte, r Raw) ([]byte, error) {
	if len(r.Attachments) == 0 {
		return e.appendRaw(dst, r.JSON, r)
	}
	start := jsonscan.SkipSpace(r.JSON, 0)
	end, err := jsonscan.Value(r.JSON, start, 0, HighestMaxDepth)
	if err != nil {
		return dst, err
	}
	if jsonscan.SkipSpace(r.JSON, end) != len(r.JSON) {
		return dst, ErrJSON
	}
	if _, err := checkPlaceholders(r.JSON, start, len(r.Attachments)); err != nil {
		return dst, err
	}
	dst, _ = e.renumber(dst, r, start)
	return dst, nil
}

// renumber appends the value at r.JSON[i], which was checked, and gives its
// placeholders the numbers that their attachments have among those of e, or
// puts these in their place.
func (e *encoder) renumber(dst []byte, r Raw, i int) ([]byte, int) {
	b := r.JSON
	if b[i] != '{' && b[i] != '[' {
		end, _ := jsonscan.Value(b, i, 0, HighestMaxDepth)
		return append(dst, b[i:end]...), end
	}
	object, start, before := b[i] == '{', len(dst), len(e.attachments)
	marked, index := false, 0
	dst = append(dst, b[i])
	for i = jsonscan.SkipSpace(b, i+1); b[i] != '}' && b[i] != ']'; i = jsonscan.SkipSpace(b, i) {
		if b[i] == ',' {
			dst = append(dst, ',')
			i = jsonscan.SkipSpace(b, i+1)
		}
		var key []byte
		if object {
			at := i
			i, _ = jsonscan.Key(b, i)
			key = b[at:i]
			dst = append(dst, key...)
		}
		at := i
		dst, i = e.renumber(dst, r, i)
		switch {
		case keyIs(key, placeholderKey):
			marked = string(b[at:i]) == "true"
		case keyIs(key, indexKey):
			index, _ = strconv.Atoi(string(b[at:i]))
		}
	}
	if !marked {
		return append(dst, b[i]), i + 1
	}
	e.attachments = e.attachments[:before]
	return e.put(dst[:start], r.Attachments[index]), i + 1
}
