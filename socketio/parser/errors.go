package parser

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/perch-go/perch/internal/jsonscan"
)

// What can be wrong with a packet; compare with [errors.Is]. Parse returns
// them inside an [*Error], which adds the offset.
var (
	ErrType               = errors.New("unknown packet type")
	ErrAttachments        = errors.New("illegal attachment count")
	ErrTooManyAttachments = errors.New("too many attachments")
	ErrNamespace          = errors.New("namespace is not valid UTF-8")
	ErrID                 = errors.New("ack id out of range")
	ErrPayload            = errors.New("payload does not fit the packet type")
	ErrEventName          = errors.New("event name is neither a string nor a number")
	ErrReserved           = errors.New("event name is reserved")
	ErrJSON               = jsonscan.ErrJSON
	ErrUTF8               = jsonscan.ErrUTF8
	ErrDepth              = jsonscan.ErrDepth
	ErrPlaceholder        = errors.New("illegal attachment placeholder")
	ErrBinary             = errors.New("binary message without a packet that announces it")
)

// Error says what is wrong with a packet, and where. It is a plain value
// without state and may be used from any goroutine.
type Error struct {
	Offset int   // index into the text of the byte that is wrong, or its length when something is missing
	Err    error // one of the Err… values of this package
}

func (e *Error) Error() string {
	return fmt.Sprintf("parser: %v at offset %d", e.Err, e.Offset)
}

// Unwrap returns the Err… value.
func (e *Error) Unwrap() error { return e.Err }

// EncodeError says which argument of a packet could not be encoded. It is a
// plain value without state and may be used from any goroutine.
type EncodeError struct {
	Argument int   // counted from 0; the payload of a CONNECT or CONNECT_ERROR is argument 0
	Err      error // why
}

func (e *EncodeError) Error() string {
	return fmt.Sprintf("parser: cannot encode argument %d: %v", e.Argument, e.Err)
}

// Unwrap returns why.
func (e *EncodeError) Unwrap() error { return e.Err }

// DecodeError says which part of an argument did not fit its Go type. It is a
// plain value without state and may be used from any goroutine.
//
// Path and Got describe the sender's own JSON and may be told to the sender.
// Type and Err name things of the program and should not leave it.
type DecodeError struct {
	Path string       // where, such as "user.tags.2"; empty: the argument itself
	Got  string       // what stood there: null, boolean, number, string, array or object; empty if unknown
	Type reflect.Type // the Go type it should have become; nil if unknown
	Err  error        // more about it; may be nil
}

func (e *DecodeError) Error() string {
	var b strings.Builder
	b.WriteString("parser: cannot decode")
	if e.Got != "" {
		b.WriteString(" " + e.Got)
	}
	if e.Path != "" {
		b.WriteString(" at " + e.Path)
	}
	if e.Type != nil {
		b.WriteString(" into " + e.Type.String())
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns what is known beyond path and types, which may be nil.
func (e *DecodeError) Unwrap() error { return e.Err }

// TypeError says why values of a Go type can never be sent or received. It is
// a plain value without state and may be used from any goroutine.
type TypeError struct {
	Path string       // from the type asked about to the offending one, such as "chat.Message.Done"
	Type reflect.Type // the offending type
	Err  error        // why
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("parser: %s (%v): %v", e.Path, e.Type, e.Err)
}

// Unwrap returns why.
func (e *TypeError) Unwrap() error { return e.Err }
