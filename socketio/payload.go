package socketio

import (
	"reflect"

	"github.com/perch-go/perch/socketio/parser"
)

// Parser turns packets into messages and back: parser.Text, msgpack.Parser, or one of the program's own.
type Parser = parser.Parser

// DecodeError says which part of an argument did not fit its Go type, and how.
type DecodeError = parser.DecodeError

// Encodable reports why values of type t cannot be sent, or nil. A layer that knows its types beforehand asks once, before
// the first of them is lost (engine rule 10).
func Encodable(t reflect.Type) error { return parser.Encodable(t) }

// Decodable reports why values of type t cannot be received, or nil.
func Decodable(t reflect.Type) error { return parser.Decodable(t) }

// Reserved reports whether an event name belongs to the protocol (S-34): nobody can send such an event.
func Reserved(event string) bool { return parser.Reserved(event) }
