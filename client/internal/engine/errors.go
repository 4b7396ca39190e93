package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

var (
	// ErrClosed is returned once the connection has ended or Close was called.
	ErrClosed = errors.New("engine: the connection is closed")
	// ErrFull is returned by Send when what is queued has reached a bound.
	ErrFull = errors.New("engine: the queue is full")
	// ErrStuck is what a Handler's Message returns after it has blocked for [Conn.Patience]: the server, whose pings stand behind
	// the message, must have given up. It ends the connection with PingTimeout.
	ErrStuck = errors.New("engine: a message was not handled")
)

// Reason says why a connection ended, in the reference's words. It is a value.
type Reason string

const (
	PingTimeout    Reason = "ping timeout"
	TransportClose Reason = "transport close"
	TransportError Reason = "transport error"
	ParseError     Reason = "parse error"
	ForcedClose    Reason = "forced close"
)

// HandshakeError is the server's refusal to open a connection: an answer that is not what a handshake is answered with. It is
// immutable.
type HandshakeError struct {
	Status  int    // of the HTTP response
	Code    int    // the engine's, -1 if the body was not its {"code","message"}
	Message string // the engine's, or the beginning of the body
}

func (e *HandshakeError) Error() string {
	s := fmt.Sprintf("engine: the server refused the connection: %d %s", e.Status, http.StatusText(e.Status))
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Code >= 0 {
		s += fmt.Sprintf(" (code %d)", e.Code)
	}
	return s
}

const (
	maxRefusal        = 4 << 10 // of a body that says why
	maxRefusalMessage = 200
)

// refusal reads why a request was refused.
func refusal(status int, body io.Reader) *HandshakeError {
	e := &HandshakeError{Status: status, Code: -1}
	if body == nil {
		return e
	}
	b, _ := io.ReadAll(io.LimitReader(body, maxRefusal))
	var said struct {
		Code    *int    `json:"code"`
		Message *string `json:"message"`
	}
	if json.Unmarshal(b, &said) == nil && said.Code != nil && said.Message != nil {
		e.Code, e.Message = *said.Code, *said.Message
		return e
	}
	text := strings.ToValidUTF8(strings.TrimSpace(string(b)), "")
	if len(text) > maxRefusalMessage {
		text = strings.ToValidUTF8(text[:maxRefusalMessage], "") + "…"
	}
	e.Message = text
	return e
}

// withoutURL takes the address out of an error of net/http: its query has ids, and may have secrets, that logs need not have.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
