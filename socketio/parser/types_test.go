package parser

import (
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

type tree struct {
	Left, Right *tree
	Children    map[string][]tree
	Content     []byte
}

type embedded struct{ C chan int }

type enumless struct{ A, B int }

type badField struct{ Kind } // json/v2 wants a name for what it cannot spread out

type Kind int

type pointee struct{ F func() }

func (*pointee) MarshalText() ([]byte, error) { panic("called on a zero value") }

func (*pointee) UnmarshalText([]byte) error { panic("called on a zero value") }

// Engine rule 10: a type that cannot be sent or received is found when it is
// registered.
func TestEncodableDecodable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		v              any
		encode, decode string // path of the error; "" if there is none
	}{
		{"", "", ""}, {1, "", ""}, {[]any{}, "", ""}, {map[string]any{}, "", ""}, {map[int]string{}, "", ""}, {[]byte{}, "", ""}, {blob{}, "", ""}, {[4]byte{}, "", ""}, {time.Time{}, "", ""}, {time.Second, "", ""}, {net.IP{}, "", ""}, {jsontext.Value{}, "", ""}, {struct{}{}, "", ""},
		{tree{}, "", ""}, {&tree{}, "", ""}, {wanted{}, "", ""}, {pointee{}, "", ""}, {struct{ P *pointee }{}, "", ""}, {struct{ P pointee }{}, "", ""}, {map[[4]byte]int{}, "", ""}, {map[any]int{}, "", ""}, {map[*int]int{}, "", ""},
		{make(chan int), "chan int", "chan int"}, {func() {}, "func()", "func()"}, {1i, "complex128", "complex128"}, {unsafe.Pointer(nil), "unsafe.Pointer", "unsafe.Pointer"},
		{[]chan int{}, "[]chan int[]", "[]chan int[]"}, {map[bool]int{}, "map[bool]int", "map[bool]int"}, {map[enumless]int{}, "map[parser.enumless]int", "map[parser.enumless]int"},
		{embedded{}, "parser.embedded.C", "parser.embedded.C"}, {&embedded{}, "*parser.embedded.C", "*parser.embedded.C"}, {struct{ embedded }{}, "struct { parser.embedded }.embedded.C", "struct { parser.embedded }.embedded.C"},
		{struct {
			C chan int `json:"-"`
			c chan int
			D int
		}{}, "", ""},
		{struct{ R io.Reader }{}, "", "struct { R io.Reader }.R"},
		{badField{}, "parser.badField", "parser.badField"}, {[]*badField{}, "[]*parser.badField[]", "[]*parser.badField[]"},
		{streamed{}, "", "parser.streamed"}, // no exported field, and a method only for the way out
	} {
		for _, side := range []struct {
			name  string
			check func(reflect.Type) error
			path  string
		}{{"Encodable", Encodable, test.encode}, {"Decodable", Decodable, test.decode}} {
			err := side.check(reflect.TypeOf(test.v))
			typeErr, ok := errors.AsType[*TypeError](err)
			switch {
			case side.path == "" && err != nil, side.path != "" && !ok:
				t.Errorf("%s(%T) = %v, want %q", side.name, test.v, err, side.path)
			case side.path != "" && (typeErr.Path != side.path || typeErr.Err == nil || typeErr.Type == nil):
				t.Errorf("%s(%T) = %v, want path %q", side.name, test.v, err, side.path)
			}
		}
	}
	err := Encodable(reflect.TypeFor[embedded]())
	if want := "parser: parser.embedded.C (chan int): has no representation in JSON"; err.Error() != want || !errors.Is(err, errNoRepresentation) {
		t.Errorf("%q, want %q", err, want)
	}
	if Encodable(nil) != nil || Decodable(nil) != nil {
		t.Error("an untyped nil is refused")
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		v              any
		encode, decode class
	}{
		{"", classPlain, classPlain}, {wanted{}, classAny, classAny}, {chatMessage{}, classPlain, classPlain}, {upload{}, classBytes, classBytes}, {tree{}, classBytes, classBytes},
		{[][]byte{}, classBytes, classBytes}, {blob{}, classAny, classAny}, {[]any{}, classAny, classAny}, {[4]byte{}, classPlain, classAny}, {net.IP{}, classPlain, classPlain},
		{jsontext.Value{}, classPlain, classPlain}, {streamed{}, classAny, classPlain}, {[]enum{}, classPlain, classPlain}, {map[string]*[]upload{}, classBytes, classBytes},
	} {
		for range 2 { // the second time from the cache
			if e, d := classOf(reflect.TypeOf(test.v), encoding), classOf(reflect.TypeOf(test.v), decoding); e != test.encode || d != test.decode {
				t.Errorf("%T: %d and %d, want %d and %d", test.v, e, d, test.encode, test.decode)
			}
		}
	}
}
