package client

import (
	"errors"
	"fmt"

	"github.com/perch-go/perch/client/internal/engine"
	"github.com/perch-go/perch/socketio/parser"
)

// What calls may return. A value that cannot be encoded or decoded is an error of package parser.
var (
	// ErrClosed: the socket or its manager was closed, or its context is done.
	ErrClosed = errors.New("client: closed")
	// ErrDisconnected: the connection was lost, or the socket has left, before the acknowledgement came.
	ErrDisconnected = errors.New("client: socket has been disconnected")
	// ErrTimeout: there was no acknowledgement in time.
	ErrTimeout = errors.New("client: operation has timed out")
	// ErrBufferFull: what waits to be sent has reached the limits of [Options].
	ErrBufferFull = errors.New("client: buffer is full")
	// ErrNotWritable: the volatile event was dropped because it could not be sent at once. [Emitter.Emit] does not return it.
	ErrNotWritable = errors.New("client: not writable, volatile event dropped")
	// ErrReserved: the event's name belongs to the protocol.
	ErrReserved = errors.New("client: reserved event name")
	// ErrNoArgument: the event or the acknowledgement has fewer arguments.
	ErrNoArgument = errors.New("client: no such argument")
	// ErrNoAck: the server asked for no acknowledgement.
	ErrNoAck = errors.New("client: the server wants no acknowledgement")
	// ErrAcked: the event was acknowledged before.
	ErrAcked = errors.New("client: event was already acknowledged")
	// ErrOldServer: the server speaks the protocol of Socket.IO 2.x, which this package does not (C-13).
	ErrOldServer = errors.New("client: the server is one of Socket.IO 2.x, which this client does not speak to: update the server")
	// ErrReconnectionFailed: all attempts allowed by [Options.ReconnectionAttempts] have failed.
	ErrReconnectionFailed = errors.New("client: reconnection failed")
	// ErrOpenTimeout: the connection was not open in [Options.Timeout].
	ErrOpenTimeout = errors.New("client: timeout while opening the connection")
	// ErrConnectionLost: the connection was lost before the server had answered CONNECT.
	ErrConnectionLost = errors.New("client: connection lost while connecting")
	// ErrAuth: there is no payload for CONNECT, because AuthFunc failed or what there is is no JSON object.
	ErrAuth = errors.New("client: auth")
)

// HandshakeError is a plain value: the server, or something before it, has refused to open a connection.
type HandshakeError = engine.HandshakeError

// ConnectError is a plain value: a middleware or a connection hook of the server has refused the socket, which is not retried (C-11).
type ConnectError struct {
	Message string
	Data    parser.Raw // what the server said besides; the zero Raw if nothing
}

func (e *ConnectError) Error() string { return "client: refused by the server: " + e.Message }

// Error is a plain value: an acknowledgement {"status":"error", code, message, details}, as servers of Perch answer what they
// cannot do. A handler of [OnRequest] returns one to answer the server so.
type Error struct {
	Code    string
	Message string
	Details parser.Raw // the zero Raw if there are none
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes an [Error] without details.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Reason is why a socket is not connected any more, in the words of the official client (C-12).
type Reason string

// The reasons. After the first two, and after ForcedClose by [Manager.Close] or [Manager.Disconnect], there is no reconnection.
const (
	ServerDisconnect Reason = "io server disconnect" // the server has disconnected the socket
	ClientDisconnect Reason = "io client disconnect" // Disconnect or Close was called
	PingTimeout      Reason = "ping timeout"         // nothing was heard of the server for longer than it had announced
	TransportClose   Reason = "transport close"      // the connection was closed
	TransportError   Reason = "transport error"      // the connection broke
	ParseError       Reason = "parse error"          // the server sent what is no packet
	ForcedClose      Reason = "forced close"         // the manager was closed, or its context is done
)

// panicError is what a handler panicked with.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("client: handler panicked: %v", e.value) }

func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}
