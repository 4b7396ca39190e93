package engineio

import (
	"errors"
	"net/http"
	"strconv"
)

// Reason says why a session ended. The strings are those of the reference server (S-89 to S-94), so
// that code and dashboards which know them go on working; two are ours.
type Reason string

const (
	ReasonPingTimeout       Reason = "ping timeout"        // no pong in time (S-89)
	ReasonTransportClose    Reason = "transport close"     // the peer closed (S-90)
	ReasonTransportError    Reason = "transport error"     // the connection or its use is broken (S-91)
	ReasonParseError        Reason = "parse error"         // invalid Engine.IO packet (S-92)
	ReasonForcedClose       Reason = "forced close"        // closed by the layer above (S-93)
	ReasonForcedServerClose Reason = "forced server close" // closed by this server for a rule broken (S-94)
	ReasonInboundOverflow   Reason = "inbound overflow"    // ours: twice the inbound bound, engine rule 6
	ReasonOutboundOverflow  Reason = "outbound overflow"   // ours: the peer does not keep up, engine rule 6
)

var (
	// ErrClosed is returned by sends on a session that has ended or is ending.
	ErrClosed = errors.New("engineio: session is closed")
	// ErrOutboundFull is returned when a message does not fit into the outbound budget and was
	// not queued. Session.SendWait waits for room.
	ErrOutboundFull = errors.New("engineio: outbound budget of the session is used up")
	// ErrNotWritable is returned when a volatile message was dropped because it could not have
	// been written at once (S-67).
	ErrNotWritable = errors.New("engineio: session is not writable, volatile message dropped")
)

// code is the reason of a refused request on the wire (S-79).
type code int

const (
	codeUnknownTransport code = iota
	codeUnknownSession
	codeBadMethod
	codeBadRequest
	codeForbidden
	codeUnsupportedProtocol
)

var codeMessages = [...]string{
	codeUnknownTransport:    "Transport unknown",
	codeUnknownSession:      "Session ID unknown",
	codeBadMethod:           "Bad handshake method",
	codeBadRequest:          "Bad request",
	codeForbidden:           "Forbidden",
	codeUnsupportedProtocol: "Unsupported protocol version",
}

// refuse answers a request that does not become, or does not belong to, a session (S-80).
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, c code, context string) {
	s.stats.refused.Add(1)
	s.opts.Logger.DebugContext(r.Context(), "engine.io request refused",
		"code", int(c), "message", codeMessages[c], "context", context, "remote", r.RemoteAddr)
	if isUpgrade(r) {
		// An upgrade request gets plain words: nobody parses the body of a failed handshake.
		writeBody(w, http.StatusBadRequest, "text/html", codeMessages[c])
		return
	}
	status := http.StatusBadRequest
	if c == codeForbidden {
		status = http.StatusForbidden
	}
	writeBody(w, status, "application/json",
		`{"code":`+strconv.Itoa(int(c))+`,"message":"`+codeMessages[c]+`"}`)
}

func writeBody(w http.ResponseWriter, status int, contentType, body string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // nothing to do about a client that is gone (CVE-2022-41940)
}
