package parser

import (
	"bytes"
	"reflect"
	"sync/atomic"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// commonOptions are what encoding and decoding share. Invalid UTF-8 in a
// program's string, and a lone surrogate in a client's, become U+FFFD; names
// may repeat as they may in JSON.parse; durations are nanoseconds.
var commonOptions = json.JoinOptions(
	jsontext.AllowInvalidUTF8(true),
	jsontext.AllowDuplicateNames(true),
	jsonv1.FormatDurationAsNano(true),
)

// plainDecoding decodes what holds no attachment.
var plainDecoding = []json.Options{commonOptions, json.MatchCaseInsensitiveNames(true)}

// freeList keeps up to 32 states for reuse, without a lock and for good:
// building a state, and the marshaler cache in it, costs more than most values
// cost to encode, so they shall not go with every collection as those of a
// sync.Pool do.
type freeList[T any] struct {
	slots [32]atomic.Pointer[T]
}

func (l *freeList[T]) take() *T {
	for i := range l.slots {
		if l.slots[i].Load() == nil {
			continue
		}
		if s := l.slots[i].Swap(nil); s != nil {
			return s
		}
	}
	return nil
}

func (l *freeList[T]) put(s *T) {
	for i := range l.slots {
		if l.slots[i].Load() == nil && l.slots[i].CompareAndSwap(nil, s) {
			return
		}
	}
}

// encodeState is what one call of json/v2 needs to append to a buffer and to
// collect attachments. Which options go with a value, its class says.
type encodeState struct {
	buffer      bytes.Buffer
	attachments [][]byte
	inline      bool // as the encoder's
	scratch     []byte
	options     [classAny + 1][]json.Options
}

// keptScratch is the largest scratch that is kept: base64 text may be long.
const keptScratch = 16 << 10

var encodeStates freeList[encodeState]

func takeEncodeState() *encodeState {
	if s := encodeStates.take(); s != nil {
		return s
	}
	s := new(encodeState)
	s.options[classPlain] = []json.Options{commonOptions}
	s.options[classBytes] = []json.Options{commonOptions, json.WithMarshalers(json.MarshalToFunc(s.writeBytes))}
	s.options[classAny] = []json.Options{commonOptions, json.WithMarshalers(json.MarshalToFunc(s.writeAny))}
	return s
}

func (s *encodeState) release() {
	s.buffer = bytes.Buffer{}
	s.attachments = nil
	if cap(s.scratch) > keptScratch {
		s.scratch = nil
	}
	encodeStates.put(s)
}

// writeBytes writes what stands for b. Nil bytes
// are null: an unset field shall not cost a message.
func (s *encodeState) writeBytes(enc *jsontext.Encoder, b []byte) error {
	if b == nil {
		return enc.WriteToken(jsontext.Null)
	}
	e := encoder{attachments: s.attachments, inline: s.inline}
	s.scratch = e.put(s.scratch[:0], b)
	s.attachments = e.attachments
	return enc.WriteValue(s.scratch)
}

// writeAny is called for every value inside one that may hold bytes of a type
// known only at run time; v points to it.
func (s *encodeState) writeAny(enc *jsontext.Encoder, v any) error {
	if b, ok := v.(*[]byte); ok {
		return s.writeBytes(enc, *b)
	}
	if r, ok := v.(*Raw); ok {
		return s.writeRaw(enc, *r)
	}
	if t := reflect.TypeOf(v).Elem(); t.Kind() == reflect.Slice && isBytes(t, encoding) {
		return s.writeBytes(enc, reflect.ValueOf(v).Elem().Bytes())
	}
	return errSkip
}

func (s *encodeState) writeRaw(enc *jsontext.Encoder, r Raw) error {
	e := encoder{attachments: s.attachments, inline: s.inline}
	var err error
	if s.scratch, err = e.appendRawValue(s.scratch[:0], r); err != nil {
		return err
	}
	s.attachments = e.attachments
	return enc.WriteValue(s.scratch)
}

// decodeState is what one call of json/v2 needs to find attachments.
type decodeState struct {
	attachments [][]byte
	options     [classAny + 1][]json.Options
}

var decodeStates freeList[decodeState]

func takeDecodeState() *decodeState {
	if s := decodeStates.take(); s != nil {
		return s
	}
	s := new(decodeState)
	s.options[classPlain] = plainDecoding
	s.options[classBytes] = append(plainDecoding[:2:2], json.WithUnmarshalers(json.UnmarshalFromFunc(s.readBytes)))
	s.options[classAny] = append(plainDecoding[:2:2], json.WithUnmarshalers(json.UnmarshalFromFunc(s.readAny)))
	return s
}

func (s *decodeState) release() {
	s.attachments = nil
	decodeStates.put(s)
}

func (s *decodeState) readBytes(dec *jsontext.Decoder, v *[]byte) (err error) {
	*v, err = readBytes(dec, s.attachments)
	return err
}

// readAny is called for every value inside one that may hold bytes of a type
// known only at run time; v points to where it goes.
func (s *decodeState) readAny(dec *jsontext.Decoder, v any) (err error) {
	switch v := v.(type) {
	case *[]byte:
		*v, err = readBytes(dec, s.attachments)
		return err
	case *any:
		*v, err = readAny(dec, s.attachments)
		return err
	case *Raw:
		text, err := dec.ReadValue()
		*v = Raw{append([]byte{}, text...), s.attachments}
		return err
	}
	t := reflect.TypeOf(v).Elem()
	if k := t.Kind(); k != reflect.Slice && k != reflect.Array || !isBytes(t, decoding) {
		return errSkip
	}
	b, err := readBytes(dec, s.attachments)
	if err != nil {
		return err
	}
	return setBytes(reflect.ValueOf(v), b)
}
