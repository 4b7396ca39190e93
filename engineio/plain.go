package engineio

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/perch-go/perch/internal/wsframe"
)

// Plain is immutable and may be used by any number of requests at once. It says how a path serves WebSocket clients that
// speak no Engine.IO, see Server.ServePlain.
type Plain struct {
	// Subprotocols are those that the path speaks, the one liked best first. A client that offers some
	// is answered with one of these or refused; one that offers none is let in. Empty means that
	// what clients offer does not matter, and that none is named in the answer.
	Subprotocols []string
	// Accept gives a new session its Handler, on the request's goroutine and before the handshake is
	// answered, so that it may take its time and may refuse: with a *Refusal as it says, with any other
	// error by 500. What is sent on the session before the Handler's HandleOpen returns ErrClosed, and
	// a session that is closed before is never opened: its Handler hears of that by HandleClose.
	Accept func(s *Session, r *http.Request) (Handler, error)
}

// Refusal is a plain value: how a WebSocket handshake is refused.
type Refusal struct {
	Status int    // of the HTTP answer; 0 is 403
	Body   []byte // its JSON
	Err    error  // why, for Options.OnConnectionError
}

func (e *Refusal) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return http.StatusText(e.Status)
}

// Unwrap returns Err.
func (e *Refusal) Unwrap() error { return e.Err }

// ServePlain serves the handshake of a WebSocket client that speaks no Engine.IO, or refuses it with an HTTP status that
// says why. CORS, middlewares and Options.AllowRequest come before it as before any other. The session that it opens is like
// one that is on WebSocket, and in the same server, but for what the protocol adds: no open packet and no type before the
// data, so that a message sent to it must be Message.Plain; pings of WebSocket for a heartbeat; and a close code.
func (s *Server) ServePlain(w http.ResponseWriter, r *http.Request, p *Plain) {
	if s.turnedAway(w, r) {
		return
	}
	place := &ticket{server: s}
	if r.Method != http.MethodOptions {
		defer place.leave()
		if !place.enter(w, r, true) {
			return
		}
	}
	if s.refuseForeign(w, r, p) || s.preflight(w, r) {
		return
	}
	s.pass(w, r, p, place)
}

var errNotOpened = errors.New("engineio: the handshake was not completed")

// servePlain is ServePlain behind CORS and the middlewares.
func (s *Server) servePlain(w http.ResponseWriter, r *http.Request, p *Plain, place *ticket) {
	if !isUpgrade(r) {
		if r.ProtoMajor == 1 { // in HTTP/2 an answer with these is malformed
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
		}
		_ = s.refuseUpgrade(w, r, http.StatusUpgradeRequired, "this path is for WebSocket clients")
		return
	}
	if s.checkUpgrade(w, r) != nil { // before anybody is asked
		return
	}
	protocol, ok := p.negotiate(r.Header)
	if !ok {
		_ = s.refuseUpgrade(w, r, http.StatusBadRequest, "none of the subprotocols offered is spoken here, but "+strings.Join(p.Subprotocols, ", "))
		return
	}
	if place == nil {
		s.dispatchPlaced(w, r, p)
		return
	}
	if !s.allow(w, r, p) {
		return
	}
	session := s.newSession(r, WebSocket, newID())
	session.plain, session.state = true, opening
	opened := false
	defer func() {
		if !opened { // whatever it was, a panic of the program's included
			session.end(ReasonTransportError, errNotOpened)
		}
	}()
	asked, done := s.hurried(r)
	defer done()
	h, err := p.Accept(session, asked)
	if err != nil {
		if !s.late(w, asked, true) {
			s.refusePlain(w, r, err)
		}
		return
	}
	session.attach(h)
	if s.turnedAway(w, r) {
		session.end(ReasonForcedClose, nil)
		return
	}
	if session.hasEnded() {
		s.writeBody(w, r, http.StatusServiceUnavailable, "text/plain; charset=utf-8", "the session was closed before it was opened")
		return
	}
	t, err := s.takeOver(w, r, protocol, true)
	if err != nil {
		session.end(ReasonTransportError, err)
		return
	}
	ws := &webSocket{session: session}
	ws.use(t)
	session.mu.Lock()
	if session.state != opening { // it was closed, just now
		session.mu.Unlock()
		_ = t.conn.Close()
		return
	}
	session.ws, session.state = ws, open
	session.queue().addRaw(t.answer)
	session.mu.Unlock()
	opened = true
	if s.begin(session, place) {
		ws.start(t.early)
	}
}

// refusePlain answers a handshake as Plain.Accept wants it.
func (s *Server) refusePlain(w http.ResponseWriter, r *http.Request, err error) {
	refusal := &Refusal{Status: http.StatusInternalServerError, Body: []byte(`{"message":"Internal server error"}`), Err: err}
	code := CodeBadRequest
	if given, ok := errors.AsType[*Refusal](err); ok {
		refusal = given
		code = CodeForbidden
	}
	s.report(&ConnectionError{Request: r, Code: code, Message: code.String(), Err: err, plain: true})
	s.writeBody(w, r, cmp.Or(refusal.Status, http.StatusForbidden), "application/json", string(refusal.Body))
}

// negotiate chooses the subprotocol, or "" for none; ok is false if the client and the path have none in common.
func (p *Plain) negotiate(h http.Header) (protocol string, ok bool) {
	if len(p.Subprotocols) == 0 {
		return "", true
	}
	var offered []string
	for _, v := range h["Sec-Websocket-Protocol"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" {
				offered = append(offered, name)
			}
		}
	}
	if len(offered) == 0 {
		return "", true
	}
	for _, ours := range p.Subprotocols {
		if slices.Contains(offered, ours) {
			return ours, true
		}
	}
	return "", false
}

// CloseWith is Close for a plain session, with a code of RFC 6455 or RFC 7936 and a text for the close frame, of
// which at most 123 bytes are sent.
func (s *Session) CloseWith(reason Reason, code uint16, text string) {
	s.shut(reason, nil, code, closeText(text))
}

// maxCloseText is what a control frame has room for besides the code (RFC 6455 section 5.5).
const maxCloseText = 123

func closeText(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxCloseText {
		return text
	}
	n := maxCloseText
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// sendPlain is SendText for a plain session.
func (s *Session) sendPlain(payload []byte) error {
	s.mu.Lock()
	size := wsframe.Size(len(payload))
	err := ErrClosed
	if s.state == open {
		err = s.reserve(size, 1)
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	if d := s.compression(); d != nil && len(payload) >= d.Threshold {
		m := &Message{Plain: true}
		m.AppendText(payload)
		s.queue().addMessage(m, false, d)
	} else {
		s.queue().addPlain(payload)
	}
	s.offerUnlock()
	return nil
}

// addPlain queues one text frame, built in place.
func (o *outbox) addPlain(payload []byte) {
	from := len(o.buf)
	o.buf = append(wsframe.AppendHeader(o.buf, wsframe.Text, len(payload)), payload...)
	o.size += len(o.buf) - from
	o.count++
	o.copied(from, 1, false)
}

// addPingLocked queues what the client has to answer by the next beat.
func (s *Session) addPingLocked() {
	if !s.plain {
		s.addPacketLocked(packetPing, nil)
		return
	}
	frame := wsframe.AppendHeader(nil, wsframe.Ping, 0)
	s.chargeLocked(len(frame), 1)
	s.queue().add(frame, 1, false)
}
