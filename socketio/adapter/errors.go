package adapter

import (
	"errors"
	"fmt"
)

// ErrLeft is the answer of a member that has left, or of a process that has gone.
var ErrLeft = errors.New("socketio: socket has been disconnected")

// IncompleteError is a plain value: a call ended before everybody had answered.
type IncompleteError struct {
	// Answers is how many there were, those that came too late aside.
	Answers int
	// Members are the ids of members of which nothing was heard, as far as they are known.
	Members []string
	// Nodes are the processes of which too little was heard, as far as they are known.
	Nodes []string
	// Missing is how many answers are missing: of members, or of processes. It is at least 1.
	Missing int
	// Cause is why the call ended, mostly the context's.
	Cause error
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("adapter: %d of %d answers are missing: %v", e.Missing, e.Missing+e.Answers, e.Cause)
}

// Unwrap returns the cause.
func (e *IncompleteError) Unwrap() error { return e.Cause }
