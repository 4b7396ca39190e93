package socketio

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
)

// What sends and acknowledgements may return. A full outbound budget is engineio.ErrOutboundFull, a value
// that cannot be encoded an error of package parser.
var (
	// ErrDisconnected: the socket has left, so nothing is sent and no acknowledgement will come.
	ErrDisconnected = adapter.ErrLeft
	// ErrClosed: the server was shut down and has handed over what it kept for recovery, so the event is lost.
	ErrClosed = adapter.ErrClosed
	// ErrShuttingDown: Drain or Shutdown was called, so nobody new is let in.
	ErrShuttingDown = errors.New("socketio: server is shutting down")
	// ErrFull: there are as many sessions as Engine.Limits.MaxSessions allows, so nobody new is let in for now.
	ErrFull = errors.New("socketio: no more sessions, see Engine.Limits.MaxSessions")
	// ErrConnecting: the socket's CONNECT is not answered yet, so it cannot do that yet.
	ErrConnecting = errors.New("socketio: socket is not connected yet")
	// ErrTimeout: the client did not acknowledge within Timeout.
	ErrTimeout = errors.New("socketio: operation has timed out")
	// ErrAcked: the event was acknowledged before.
	ErrAcked = errors.New("socketio: event was already acknowledged")
	// ErrNoAck: the client asked for no acknowledgement.
	ErrNoAck = errors.New("socketio: the client wants no acknowledgement")
	// ErrNoArgument: the event or the acknowledgement has fewer arguments.
	ErrNoArgument = adapter.ErrNoArgument
	// ErrNoNamespace: there is no namespace of that name, and no parent that would make it.
	ErrNoNamespace = errors.New("socketio: no such namespace")
	// ErrTooManyAcks: as many acknowledgements of the socket are awaited as Limits.MaxPendingAcks says.
	ErrTooManyAcks = errors.New("socketio: too many acknowledgements of the client are awaited, see Limits.MaxPendingAcks")
	// ErrTooManyRooms: the socket would be in more rooms than Limits.MaxRooms says.
	ErrTooManyRooms = errors.New("socketio: socket would be in too many rooms, see Limits.MaxRooms")
	// ErrReserved: the event name belongs to the protocol (S-34).
	ErrReserved = errors.New("reserved event name")
)

// ConnectError is a plain value. A middleware or a connection hook returns one to refuse a socket: the client's
// connect_error gets its message and data (S-65). Of any other error the client learns nothing.
type ConnectError struct {
	Message string
	Data    any // encoded as JSON; nil is left out
	// Status is that of the HTTP answer to a plain WebSocket client that is refused before its handshake is answered. 0 is 403,
	// and so is what is not between 400 and 599.
	Status int
}

func (e *ConnectError) payload() connectErrorPayload { return connectErrorPayload{e.Message, e.Data} }

// ErrInvalidNamespace is what a client is told of a namespace that does not exist (S-74), and what a middleware may say of one that
// is not to exist for it. It must not be changed.
var ErrInvalidNamespace = &ConnectError{Message: messageInvalidNamespace, Status: http.StatusNotFound}

func (e *ConnectError) Error() string { return e.Message }

// connectErrorPayload is what CONNECT_ERROR carries.
type connectErrorPayload struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitzero"`
}

// EventError is a plain value. A middleware returns one to refuse an event: the acknowledgement that the client asked for says
// {"status":"error", code, message, details}, to a plain WebSocket client as the event "exception" with the id.
type EventError struct {
	Code    string // empty: "ERROR"
	Message string
	Details any // nil: none
}

func (e *EventError) Error() string { return e.Message }

// eventErrorPayload is that acknowledgement.
type eventErrorPayload struct {
	Status  string `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Details any    `json:"details,omitzero"`
}

// exception is the event of errors, see Event.AckError.
const exception = "exception"

const (
	codeError    = "ERROR"
	codeInternal = "INTERNAL"
)

const (
	messageInvalidNamespace = "Invalid namespace"     // S-74
	messageInternal         = "internal server error" // stands for whatever is nobody's business
)

// reservedError says what Node's server says (S-34).
type reservedError string

func (e reservedError) Error() string { return fmt.Sprintf("%q is a reserved event name", string(e)) }

func (e reservedError) Is(target error) bool { return target == ErrReserved }

// encodeError says what could not be encoded. Nothing was sent.
type encodeError struct {
	what string
	err  error
}

// errOtherType: what is stored under a key is of another type than the key.
var errOtherType = errors.New("socketio: stored value is of another type")

var errEncode = errors.New("socketio: cannot be encoded")

func (e encodeError) Error() string { return "socketio: " + e.what + ": " + e.err.Error() }

func (e encodeError) Unwrap() error { return e.err }

func (e encodeError) Is(target error) bool { return target == errEncode }

// sendError turns what a session says into what a caller of this package knows.
func sendError(err error) error {
	if errors.Is(err, engineio.ErrClosed) {
		return ErrDisconnected
	}
	return err
}
