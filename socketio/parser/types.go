package parser

import (
	stdencoding "encoding"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// direction says which way a type is looked at: a type may marshal itself and
// not unmarshal itself.
type direction int

const (
	encoding direction = iota
	decoding
)

// class is what is known of a type in advance about attachments in its values.
// The lower it is, the less has to be looked at when one is encoded.
type class int

const (
	classPlain class = iota // no attachments
	classBytes              // only as []byte
	classAny                // as any type of bytes, or in an interface
)

var (
	byteType  = reflect.TypeFor[byte]()
	bytesType = reflect.TypeFor[[]byte]()

	// streamMethods write to the encoder, or read from the decoder, and so may
	// well meet bytes.
	streamMethods = [...]reflect.Type{
		encoding: reflect.TypeFor[json.MarshalerTo](),
		decoding: reflect.TypeFor[json.UnmarshalerFrom](),
	}
	// bufferMethods give or take finished JSON.
	bufferMethods = [...][]reflect.Type{
		encoding: {
			reflect.TypeFor[stdjson.Marshaler](),
			reflect.TypeFor[stdencoding.TextMarshaler](),
			reflect.TypeFor[stdencoding.TextAppender](),
		},
		decoding: {
			reflect.TypeFor[stdjson.Unmarshaler](),
			reflect.TypeFor[stdencoding.TextUnmarshaler](),
		},
	}
)

// streams reports whether values of t are written by a method that is given
// the encoder, or read by one that is given the decoder.
func streams(t reflect.Type, d direction) bool {
	return t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(streamMethods[d])
}

// opaque reports whether t has any say itself in how its values look as JSON.
func opaque(t reflect.Type, d direction) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false // json/v2 looks at what is behind
	}
	p := reflect.PointerTo(t)
	for _, method := range bufferMethods[d] {
		if p.Implements(method) {
			return true
		}
	}
	return p.Implements(streamMethods[d])
}

// isBytes reports whether values of t, a slice type, or an array type that is
// decoded into, can be attachments. Bytes with methods, such as a net.IP or
// raw JSON, are what their methods make of them; arrays are sent as base64
// text, as hashes and ids are wanted.
func isBytes(t reflect.Type, d direction) bool {
	if t == bytesType {
		return true
	}
	k := t.Kind()
	return (k == reflect.Slice || k == reflect.Array && d == decoding) && t.Elem() == byteType && !opaque(t, d)
}

var classes [2]sync.Map // of reflect.Type to class, per direction

func classOf(t reflect.Type, d direction) class {
	if c, ok := classes[d].Load(t); ok {
		return c.(class)
	}
	w := walker{direction: d, seen: make(map[reflect.Type]bool)}
	w.walk(t, "")
	classes[d].Store(t, w.class)
	return w.class
}

// Encodable reports whether values of type t can be sent, so that a type which
// cannot is found when a program starts (engine rule 10). The error is a
// [*TypeError] that names the path to the offender: a channel, a function, a
// complex number, a key that is no text, a tag json/v2 refuses. What an
// interface will hold cannot be known.
func Encodable(t reflect.Type) error { return check(t, encoding) }

// Decodable reports whether arguments can be decoded into type t, as
// [Encodable] does for the other way. An interface with methods is an
// offender here: nothing says which type it should become.
func Decodable(t reflect.Type) error { return check(t, decoding) }

func check(t reflect.Type, d direction) error {
	if t == nil {
		return nil // an untyped nil
	}
	w := walker{direction: d, thorough: true, seen: make(map[reflect.Type]bool)}
	w.walk(t, t.String())
	if w.err != nil {
		return w.err
	}
	return nil
}

// walker walks all types that values of a type are made of.
type walker struct {
	direction direction
	thorough  bool // look for types without representation too
	seen      map[reflect.Type]bool
	class     class
	err       *TypeError // the first found
}

var (
	errNoRepresentation = errors.New("has no representation in JSON")
	errInterface        = errors.New("interface with methods: no telling what to decode into")
	errKey              = errors.New("cannot be the key of an object")
)

func (w *walker) walk(t reflect.Type, path string) {
	if w.seen[t] || w.err != nil {
		return
	}
	w.seen[t] = true
	if t == rawType {
		w.class = classAny
		return
	}
	if isBytes(t, w.direction) {
		if t == bytesType {
			w.class = max(w.class, classBytes)
		} else {
			w.class = classAny
		}
		return
	}
	if streams(t, w.direction) {
		w.class = classAny
		return
	}
	if opaque(t, w.direction) {
		return
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		w.fail(t, path, errNoRepresentation)
	case reflect.Interface:
		w.class = classAny
		if w.direction == decoding && t.NumMethod() > 0 {
			w.fail(t, path, errInterface)
		}
	case reflect.Pointer:
		w.walk(t.Elem(), path)
	case reflect.Slice, reflect.Array:
		w.walk(t.Elem(), path+"[]")
	case reflect.Map:
		if !isKey(t.Key(), w.direction) {
			w.fail(t.Key(), path, errKey)
		}
		w.walk(t.Elem(), path+"[]")
	case reflect.Struct:
		w.walkStruct(t, path)
	}
}

func (w *walker) walkStruct(t reflect.Type, path string) {
	for field := range t.Fields() {
		tag := field.Tag.Get("json")
		if tag == "-" || !field.IsExported() && !field.Anonymous {
			continue
		}
		w.walk(field.Type, path+"."+field.Name)
	}
	if w.thorough && w.err == nil {
		if err := tryStruct(t); err != nil {
			w.fail(t, path, err)
		}
	}
}

func (w *walker) fail(t reflect.Type, path string, err error) {
	if w.thorough && w.err == nil {
		w.err = &TypeError{Path: path, Type: t, Err: err}
	}
}

// isKey reports whether json/v2 can make a member's name of a t.
func isKey(t reflect.Type, d direction) bool {
	switch k := t.Kind(); {
	case k == reflect.Pointer:
		return isKey(t.Elem(), d)
	case opaque(t, d), k == reflect.Interface, k == reflect.String:
		return true
	case k == reflect.Array:
		return t.Elem() == byteType
	default:
		return k >= reflect.Int && k <= reflect.Float64
	}
}

// tryStruct has json/v2 look at the fields and tags of t by encoding its zero
// value, in which methods of the program's are not called. If t marshals
// itself and is only to be decoded, an empty object must do.
func tryStruct(t reflect.Type) error {
	zero := reflect.New(t).Interface()
	if opaque(t, encoding) {
		return structError(json.Unmarshal([]byte("{}"), zero, plainDecoding...))
	}
	noMethods := json.MarshalToFunc(func(enc *jsontext.Encoder, v any) error {
		inner := reflect.TypeOf(v).Elem()
		if inner != t && (opaque(inner, encoding) || opaque(inner, decoding)) {
			return enc.WriteToken(jsontext.Null)
		}
		return errSkip
	})
	_, err := json.Marshal(zero, commonOptions, json.WithMarshalers(noMethods))
	return structError(err)
}

// structError is what json/v2 has to say of a struct, without its own account
// of where, which would only repeat the path.
func structError(err error) error {
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok && semantic.Err != nil {
		return semantic.Err
	}
	return err
}
