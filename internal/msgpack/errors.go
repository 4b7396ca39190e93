package msgpack

import (
	"errors"
	"fmt"

	"github.com/perch-go/perch/internal/jsonscan"
)

// What can be wrong with the input; compare with [errors.Is].
var (
	ErrJSON               = jsonscan.ErrJSON
	ErrTruncated          = errors.New("value is cut off")
	ErrTrailing           = errors.New("bytes behind the value")
	ErrType               = errors.New("no such type")
	ErrKey                = errors.New("key is neither a string nor an integer")
	ErrUTF8               = jsonscan.ErrUTF8
	ErrDepth              = jsonscan.ErrDepth
	ErrTooManyAttachments = errors.New("too many byte sequences")
	ErrTooLong            = errors.New("too long for MessagePack")
)

// Error says what is wrong with the input of [Pack], [Unpack] or an [Unpacker], and where. It is a plain value without state
// and may be used from any goroutine.
type Error struct {
	Offset int   // index into the input
	Err    error // one of the Err… values of this package
}

func (e *Error) Error() string { return fmt.Sprintf("msgpack: %v at offset %d", e.Err, e.Offset) }

// Unwrap returns the Err… value.
func (e *Error) Unwrap() error { return e.Err }
