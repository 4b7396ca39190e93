package perch

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/internal/unit"
	"github.com/perch-go/perch/socketio"
)

// The codes that Perch itself puts into an [Error]. Applications choose their own
// beside them.
const (
	CodeError        = "ERROR"         // an Error without a code
	CodeInternal     = "INTERNAL"      // any error that is not an Error: its text stays on the server
	CodeBadPayload   = "BAD_PAYLOAD"   // the argument is missing or does not fit the handler's type
	CodeInvalid      = "INVALID"       // the payload's Validate refused it
	CodeForbidden    = "FORBIDDEN"     // a guard has refused
	CodeTimeout      = "TIMEOUT"       // the handler took longer than its WithTimeout
	CodeUnknownEvent = "UNKNOWN_EVENT" // no handler for the event, and the client asked for an ack
	CodeRateLimited  = "RATE_LIMITED"  // the client sends more than WithRateLimit lets it
)

// Errors of calls that were made at the wrong time.
var (
	// ErrNotStarted is what sends return before the app they belong to was started.
	ErrNotStarted = errors.New("perch: the app is not started")
	// ErrStarted is what a second Start returns.
	ErrStarted = errors.New("perch: the app is started already")
	// ErrStopped is what Start returns after Shutdown or after a Start that failed.
	ErrStopped = errors.New("perch: the app is stopped")
	// ErrNoSocket is what a [Socket] returns that stands for no connection: the one
	// SocketFrom finds in a context that belongs to no event.
	ErrNoSocket = unit.ErrNoSocket
	// ErrAcked is what an [Ack] returns the second time.
	ErrAcked = socketio.ErrAcked
	// ErrNoAck is what an [Ack] returns if the client asked for no answer.
	ErrNoAck = socketio.ErrNoAck
	// ErrTooManyAcks is what calls that await a client's ack return when Limits.MaxPendingAcks
	// of its acks are awaited.
	ErrTooManyAcks = socketio.ErrTooManyAcks
	// ErrTooManyRooms is what [Socket.Join] returns beyond Limits.MaxRooms.
	ErrTooManyRooms = socketio.ErrTooManyRooms
	// ErrNoNamespace is what sends to a namespace return in which no gateway lives.
	ErrNoNamespace = errors.New("perch: no gateway has this namespace")
	// ErrNobodyHere is what a question to one namespace of a pattern returns in a cluster
	// while no socket of this node is in it: the node does not know which others have one.
	ErrNobodyHere = errors.New("perch: no socket of this node is in the namespace, ask on a node that has one")
	// ErrPattern is what a [Server] returns that is for all namespaces of a pattern, if
	// only one of them can do it, or the other way about.
	ErrPattern = errors.New("perch: not with a pattern")
)

// Error is a plain value: it may be shared as long as nobody changes it. It is what a
// handler, a hook or a Validate method returns to say something to the client: it is
// sent as {"status":"error", code, message, details}, as the only
// argument of the ack if the client asked for one, else as the event "exception".
// Returned from HandleConnection it refuses the client: message and {code, details}
// are what the client's connect_error carries.
//
// Any other error reaches the client as CodeInternal with a fixed message, and the
// log with its own. An Error wrapped in others (%w) is found; what wraps it stays on
// the server.
type Error struct {
	Code    string // empty: CodeError
	Message string
	Details any // nil: none; anything that can be sent
}

// Error is the code and the message.
func (e *Error) Error() string { return e.code() + ": " + e.Message }

func (e *Error) code() string {
	if e.Code == "" {
		return CodeError
	}
	return e.Code
}

// Errorf makes an [Error] whose message, unlike that of other errors, the client
// gets to see.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// InvalidField makes the [Error] of a Validate method that does not like one field: CodeInvalid,
// with {path} as its details, as a payload that does not fit its type has. The path is from
// the payload on, such as "lines[2].text"; the message is the client's to see.
func InvalidField(path, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Message: fmt.Sprintf(format, args...), Details: payloadDetails{Path: path}}
}

// exception is the event that carries an error nobody asked an ack for (N-35).
const exception = "exception"

// failure is an Error on the wire.
type failure struct {
	Status  string `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Details any    `json:"details,omitzero"`
	Cause   *cause `json:"cause,omitzero"`
}

func (e *Error) wire() failure {
	return failure{Status: "error", Code: e.code(), Message: e.Message, Details: e.Details}
}

// refusalData is what a client refused by a hook finds in its connect_error's data.
type refusalData struct {
	Code    string `json:"code"`
	Details any    `json:"details,omitzero"`
}

func (e *Error) refusal() *socketio.ConnectError {
	return &socketio.ConnectError{Message: e.Message, Data: refusalData{Code: e.code(), Details: e.Details}, Status: e.status()}
}

// status is the HTTP status of a plain WebSocket client's refusal.
func (e *Error) status() int {
	switch code := e.code(); {
	case code == CodeInternal:
		return http.StatusInternalServerError
	case code == CodeBadPayload, code == CodeInvalid:
		return http.StatusBadRequest
	case code == CodeRateLimited:
		return http.StatusTooManyRequests
	case code == CodeTimeout:
		return http.StatusServiceUnavailable
	case strings.EqualFold(code, "unauthorized"):
		return http.StatusUnauthorized
	}
	return http.StatusForbidden
}

// internal is all that a client learns of an error that is not an Error.
var internal = &Error{Code: CodeInternal, Message: "Internal server error"}

// public is the part of err meant for the client; known is false if there is none
// and the log is the only place that may have err's text.
func public(err error) (e *Error, known bool) {
	if errors.As(err, &e) && e != nil {
		return e, true
	}
	return internal, false
}

// badPayload tells the client which part of its argument did not fit.
func badPayload(err error) *Error {
	e := &Error{Code: CodeBadPayload}
	var path string
	if e.Message, path = payload.Misfit(err); path != "" {
		e.Details = payloadDetails{Path: path}
	}
	return e
}

type payloadDetails struct {
	Path string `json:"path"`
}

// panicked is a panic of user code on its way through the same channels as an error.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func (p *panicked) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

// recovered turns a panic into the error of the function that defers it.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &panicked{value: v, stack: debug.Stack()}
	}
}

func isPanic(err error) bool {
	var p *panicked
	return errors.As(err, &p)
}

// causeAttrs is err for the log, with the stack if it was a panic.
func causeAttrs(err error) []slog.Attr {
	attrs := []slog.Attr{slog.Any("error", err)}
	var p *panicked
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	return attrs
}

// GatewayError is a plain value: one mistake in a gateway that [New] or Start found. It
// is part of a joined error, of which errors.As finds the first.
type GatewayError struct {
	Gateway string // the gateway's type, and its namespace if that is known
	At      string // file:line of the registration, where it is about a handler
	Err     error  // what is wrong, and what to change
}

// Error names the gateway, and the line where its handler was registered.
func (e *GatewayError) Error() string {
	s := "perch: gateway " + e.Gateway
	if e.At != "" {
		s += " (" + e.At + ")"
	}
	return s + ": " + e.Err.Error()
}

func (e *GatewayError) Unwrap() error { return e.Err }
