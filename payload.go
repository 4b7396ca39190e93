package perch

import (
	"errors"

	"github.com/perch-go/perch/event"
)

// None is the payload type of a handler that takes none, and the result type of one
// that acks with no argument. It is the one that descriptions of package event use.
type None = event.None

// Validator is what a payload type implements to be checked. Validate is called on
// every payload after it was decoded and before the handler sees it, on the value or
// on a pointer to it. Its error is the client's answer, as CodeInvalid with the
// error's text, or as it is if it is an [*Error]. Fields are the type's own business:
// only the payload's own Validate is called.
type Validator interface {
	Validate() error
}

// invalid is a Validate's error for the client, who is the one to mend it.
func invalid(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Code: CodeInvalid, Message: err.Error()}
}
