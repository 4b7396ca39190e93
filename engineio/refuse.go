package engineio

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Code is a value: why a request was refused, as the client is told (S-79).
type Code int

const (
	CodeUnknownTransport    Code = iota // the transport is unknown or switched off
	CodeUnknownSession                  // no session has that sid
	CodeBadHandshakeMethod              // a handshake is a GET
	CodeBadRequest                      // see ConnectionError.Context
	CodeForbidden                       // refused by CORS or Options.AllowRequest
	CodeUnsupportedProtocol             // the protocol version is not served
)

var codeMessages = [...]string{
	CodeUnknownTransport:    "Transport unknown",
	CodeUnknownSession:      "Session ID unknown",
	CodeBadHandshakeMethod:  "Bad handshake method",
	CodeBadRequest:          "Bad request",
	CodeForbidden:           "Forbidden",
	CodeUnsupportedProtocol: "Unsupported protocol version",
}

// String returns the code's message on the wire.
func (c Code) String() string {
	if c < 0 || int(c) >= len(codeMessages) {
		return "Code(" + strconv.Itoa(int(c)) + ")"
	}
	return codeMessages[c]
}

// What ConnectionError.Context says where the reference server has a name for it (S-79).
const (
	ContextInvalidOrigin           = "INVALID_ORIGIN"
	ContextTransportMismatch       = "TRANSPORT_MISMATCH"
	ContextProtocolMismatch        = "PROTOCOL_MISMATCH"
	ContextTransportHandshakeError = "TRANSPORT_HANDSHAKE_ERROR"
	ContextIDGenerationError       = "ID_GENERATION_ERROR"
	ContextMiddlewareFailure       = "MIDDLEWARE_FAILURE"
)

// ConnectionError is for one goroutine at a time, the one that Options.OnConnectionError is called on.
// It tells of a request that was refused: it did not become a session, or did not belong to one.
type ConnectionError struct {
	// Request is the request refused. It must not be kept.
	Request *http.Request
	Code    Code
	// Message is what the client was told: the code's own message, what AllowRequest said, or which
	// setting lets an origin in.
	Message string
	// Context is one of the Context names, a few words of ours where the reference has no name, or
	// empty where the code says it all.
	Context string
	// Err is what a function of Options returned, or what was wrong with the connection. It may be nil.
	Err error

	plain  bool // a request of ServePlain
	status int  // of the answer, where the code does not say it
}

func (e *ConnectionError) Error() string {
	s := fmt.Sprintf("engineio: request refused: %s (code %d)", e.Message, e.Code)
	if e.Context != "" {
		s += ": " + e.Context
	}
	if e.Err != nil && e.Err.Error() != e.Message {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *ConnectionError) Unwrap() error { return e.Err }

// refuse answers a request that does not become, or does not belong to, a session (S-80).
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, c Code, context string) {
	s.refuseFor(w, &ConnectionError{Request: r, Code: c, Message: c.String(), Context: context})
}

// What is said to pages that CORS does not let in, for who looks at the browser's list of requests
// and not at our log. The origin itself stays out of it.
const (
	forbiddenOrigin = "Forbidden: list this origin in CORS.Origins"
	forbiddenPage   = "Forbidden: list the page's origin in CORS.Origins, and let it send a Referer"
)

// refuseOrigin is refuse for CORS.
func (s *Server) refuseOrigin(w http.ResponseWriter, r *http.Request, message string) {
	s.refuseFor(w, &ConnectionError{Request: r, Code: CodeForbidden, Message: message, Context: ContextInvalidOrigin})
}

// noMarkup keeps what AllowRequest says, in which there may be something of the client's, from being read as HTML.
var noMarkup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// refuseFor is refuse with more to say.
func (s *Server) refuseFor(w http.ResponseWriter, e *ConnectionError) {
	s.report(e)
	if e.plain {
		s.writeBody(w, e.Request, e.httpStatus(), "text/plain; charset=utf-8", e.Message)
		return
	}
	if isUpgrade(e.Request) {
		// An upgrade request gets plain words: nobody parses the body of a failed handshake.
		s.writeBody(w, e.Request, cmp.Or(e.status, http.StatusBadRequest), "text/html", noMarkup.Replace(e.Message))
		return
	}
	message, _ := json.Marshal(e.Message) // a string can always be
	s.writeBody(w, e.Request, e.httpStatus(), "application/json",
		`{"code":`+strconv.Itoa(int(e.Code))+`,"message":`+string(message)+`}`)
}

func (e *ConnectionError) httpStatus() int {
	switch {
	case e.status != 0:
		return e.status
	case e.Code == CodeForbidden:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// report counts a refusal and tells whom it may concern.
func (s *Server) report(e *ConnectionError) {
	s.stats.refused.Add(1)
	if ctx := e.Request.Context(); s.opts.Logger.Enabled(ctx, slog.LevelDebug) {
		s.opts.Logger.DebugContext(ctx, "engine.io request refused",
			"code", int(e.Code), "message", e.Message, "context", e.Context, "err", e.Err, "remote", e.Request.RemoteAddr)
	}
	if s.opts.OnConnectionError != nil {
		s.opts.OnConnectionError(e)
	}
}

// refusePayload answers a body over MaxPayload. It is no connection error: the session goes on (S-11).
func (s *Server) refusePayload(w http.ResponseWriter, r *http.Request) {
	s.stats.refused.Add(1)
	s.met(limitPayload)
	w.Header().Set("Connection", "close") // the rest of the body is not read
	s.writeBody(w, r, http.StatusRequestEntityTooLarge, "text/plain; charset=utf-8", "body exceeds maxPayload")
}

// boundAnswer gives an answer that says no its time: the client may neither take it nor send the rest of its request.
func (s *Server) boundAnswer(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	boundBody(r, control, closeTimeout)
	_ = control.SetWriteDeadline(time.Now().Add(s.opts.Limits.AnswerTimeout))
}

func (s *Server) writeBody(w http.ResponseWriter, r *http.Request, status int, contentType, body string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	s.setHeaders(h, r)
	s.boundAnswer(w, r)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // nothing to do about a client that is gone (CVE-2022-41940)
}

// setHeaders lets the user have the last word on the headers of an answer (S-81).
func (s *Server) setHeaders(h http.Header, r *http.Request) {
	if s.opts.Headers != nil {
		s.opts.Headers(h, r)
	}
}
