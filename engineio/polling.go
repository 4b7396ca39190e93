package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/perch-go/perch/internal/coding"
)

const (
	// latePoll is how long a client's last POST waits for its last GET.
	latePoll = 50 * time.Millisecond
)

// poll is a GET, and what it is answered with. While one waits for something to say, whoever takes it out of the session fills
// it in and closes ready; the request's goroutine writes the answer.
type poll struct {
	ready chan struct{} // nil unless it has to wait
	box   *outbox
	noop  bool // nothing to say, but the client is to come back or go on with its upgrade
	last  bool // the session is over
	late  bool // the session had ended before the client came (spec 3.1)
	moved bool // the session has upgraded meanwhile
}

// serveGet answers one poll; first is the one that opens the session.
func (s *Session) serveGet(w http.ResponseWriter, r *http.Request, first bool) {
	s.mu.Lock()
	switch {
	case s.state == closed:
		s.mu.Unlock()
		s.server.refuse(w, r, CodeUnknownSession, "")
		return
	case !s.polling:
		s.mu.Unlock()
		s.server.refuse(w, r, CodeBadRequest, ContextTransportMismatch)
		return
	case s.poll != nil:
		// Two polls at once: the first one hears that the session is over, the second is an error.
		s.mu.Unlock()
		s.server.refuse(w, r, CodeBadRequest, "overlapping polls")
		s.end(ReasonTransportError, errors.New("engineio: overlapping polls"))
		return
	}
	if s.polled != nil {
		close(s.polled)
		s.polled = nil
	}
	if s.out != nil || s.state == draining {
		p := poll{late: s.state == draining}
		s.fillLocked(&p)
		s.mu.Unlock()
		s.writePoll(w, r, &p, first)
		return
	}
	p := s.awaitUnlock(w, r)
	switch {
	case p == nil:
		s.end(ReasonTransportError, errors.New("engineio: the client aborted a poll"))
	case p.moved:
		s.server.refuse(w, r, CodeBadRequest, ContextTransportMismatch)
	default:
		s.writePoll(w, r, p, first)
	}
}

// awaitUnlock makes a request wait for something to say; nil is a client that has gone. Called with mu held, releases it.
func (s *Session) awaitUnlock(w http.ResponseWriter, r *http.Request) *poll {
	p := &poll{ready: make(chan struct{})}
	s.poll = p
	if u := s.upgrade; u != nil && u.trial.answered {
		noop := &u.trial.noop
		s.mu.Unlock()
		s.server.wheel.Schedule(noop, noopDelay, u.releasePoll)
	} else {
		s.mu.Unlock()
	}
	// A foreign server's deadlines must not end the wait (engine rule 12).
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	select {
	case <-p.ready:
		return p
	case <-r.Context().Done():
	}
	s.mu.Lock()
	pending := s.poll == p
	if pending {
		s.poll = nil
	}
	s.mu.Unlock()
	if pending {
		return nil
	}
	<-p.ready
	return p
}

// answerPollUnlock hands the queue to the pending poll, if there is one. Called with mu held,
// releases it.
func (s *Session) answerPollUnlock() {
	p := s.poll
	if p == nil || s.out == nil && s.state == open {
		s.mu.Unlock()
		return
	}
	s.poll = nil
	s.fillLocked(p)
	s.mu.Unlock()
	close(p.ready)
}

// fillLocked gives a poll what is queued, or the end of the session. Called with mu held.
func (s *Session) fillLocked(p *poll) {
	p.box, s.out = s.out, nil
	// The end of the session has an answer of its own: clients act on it before they have handled the
	// messages that stand before it, and would not hear that they were disconnected.
	p.last = s.state == draining && p.box == nil
}

// writePoll writes the answer to a poll that is ready.
func (s *Session) writePoll(w http.ResponseWriter, r *http.Request, p *poll, first bool) {
	buf := bodies.Get().(*body)
	defer buf.release()
	var contentType []string
	buf.b, contentType = s.pollAnswer(buf.b, p)
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(s.server.opts.Limits.AnswerTimeout))
	boundBody(r, control, closeTimeout) // a GET has none, if its client is honest
	h := w.Header()
	answer := s.server.compress(h, r, p, buf.b)
	s.server.setConstants(h, contentType)
	if first {
		s.opened()
		s.server.setInitialHeaders(h, r, Polling, s.id)
	}
	// Nobody may close the connection in front of the last answer because the session is over.
	err := s.server.writeAnswer(w, r, control, answer, p.last)
	if p.box != nil {
		s.mu.Lock()
		s.wroteLocked(p.box)
		s.mu.Unlock()
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.end(ReasonTransportError, s.server.met(limitAnswerTime))
	case err != nil:
		s.end(ReasonTransportError, err)
	case p.last:
		s.end(ReasonTransportClose, nil)
	}
}

// compress encodes the body of a poll's answer if that is wanted and worth it (S-19).
func (s *Server) compress(h http.Header, r *http.Request, p *poll, body []byte) []byte {
	if s.opts.NoHTTPCompression || len(body) < s.opts.HTTPCompressionThreshold ||
		p.box == nil || !p.box.compress || h.Get("Content-Encoding") != "" {
		return body
	}
	c := coding.Negotiate(r.Header["Accept-Encoding"])
	if c == coding.Identity {
		return body
	}
	h.Set("Content-Encoding", string(c))
	return c.Append(make([]byte, 0, len(body)/2), body)
}

// pollAnswer is the body of the answer to a poll, which may be appended to dst, and its type.
func (s *Session) pollAnswer(dst []byte, p *poll) (body []byte, contentType []string) {
	if s.v3 != nil {
		body, text := s.v3.pollAnswer(p)
		return body, []string{text}
	}
	return appendPoll(dst, p), payloadType
}

func appendPoll(dst []byte, p *poll) []byte {
	if p.box != nil {
		dst = slices.Grow(dst, p.box.size)
		for _, part := range p.box.parts {
			dst = appendPayload(dst, p.box.frames(part))
		}
	}
	if p.noop || p.late && len(dst) == 0 {
		dst = append(dst, packetNoop)
	}
	if p.last {
		if len(dst) > 0 {
			dst = append(dst, separator)
		}
		dst = append(dst, packetClose)
	}
	return dst
}

// servePost handles the packets of one POST. Of a session that is closing they are dropped, as they are over WebSocket: a
// client whose POST fails does not poll again for what is queued.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	switch {
	case s.state == closed:
		s.mu.Unlock()
		s.server.refuse(w, r, CodeUnknownSession, "")
		return
	case !s.polling:
		s.mu.Unlock()
		s.Strike() // it had to wait for its last POST before it upgraded
		s.server.refuse(w, r, CodeBadRequest, ContextTransportMismatch)
		return
	case s.posting:
		s.mu.Unlock()
		s.server.refuse(w, r, CodeBadRequest, "overlapping posts")
		s.end(ReasonTransportError, errors.New("engineio: overlapping posts"))
		return
	}
	s.posting = true
	s.mu.Unlock()
	// Before the answer leaves: the client may send its next request as soon as it has read it.
	posted := func() {
		s.mu.Lock()
		s.posting = false
		s.mu.Unlock()
	}

	// A binary body is protocol 3's. It is answered, not left hanging (CVE-2026-59725).
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	binary := strings.EqualFold(strings.TrimSpace(media), "application/octet-stream")
	if binary && s.v3 == nil {
		s.server.refuse(w, r, CodeBadRequest, "binary body")
		s.end(ReasonTransportError, errors.New("engineio: body of type application/octet-stream"))
		return
	}
	// The server takes deadlines off when a body has been read, and when a request is answered: the next one on this
	// connection may belong to somebody else.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.server.opts.Limits.BodyTimeout))
	buf := bodies.Get().(*body)
	defer buf.release()
	err := buf.read(w, r, s.server.opts.MaxPayload)
	switch {
	case tooLarge(err):
		// The session survives, as the reference's does (S-11).
		posted()
		s.Strike()
		s.server.refusePayload(w, r)
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.Strike()
		s.end(ReasonTransportError, s.server.refuseLimit(w, r, limitBodyTime, false))
		return
	case err != nil:
		s.server.refuse(w, r, CodeBadRequest, "body")
		s.end(ReasonTransportError, fmt.Errorf("engineio: reading a body: %w", err))
		return
	case s.v3 == nil && !utf8.Valid(buf.b):
		s.server.refuse(w, r, CodeBadRequest, "body is not UTF-8")
		s.end(ReasonParseError, errors.New("engineio: body is not valid UTF-8"))
		return
	}

	s.beginBody()
	reason, err := s.handleBody(buf.b, binary)
	s.endBody()
	_ = control.SetWriteDeadline(time.Now().Add(s.server.opts.Limits.AnswerTimeout))
	if err == errTooManyPackets {
		s.Strike()
		s.server.refuseLimit(w, r, limitPackets, false)
		s.end(reason, err)
		return
	}
	if err != nil {
		s.server.refuse(w, r, CodeBadRequest, "packet")
		s.end(reason, err)
		return
	}
	if reason != "" {
		s.closedByPeer(reason)
	}
	posted()
	h := w.Header()
	if agent := r.Header.Get("User-Agent"); strings.Contains(agent, ";MSIE") || strings.Contains(agent, "Trident/") {
		h.Set("X-XSS-Protection", "0") // old Internet Explorer mangles answers without it
	}
	s.server.setConstants(h, htmlType)
	_ = s.server.writeAnswer(w, r, control, okAnswer, false)
}

// errTooManyPackets is compared with, so it is an error from the start.
var errTooManyPackets error = limitErrors[limitPackets]

func (s *Session) handleBody(body []byte, binary bool) (Reason, error) {
	if s.v3 != nil {
		return s.handlePayload3(body, binary)
	}
	return s.handlePayload(body)
}

// handlePayload handles the packets of a polling body. A reason without an error is a proper end.
func (s *Session) handlePayload(body []byte) (Reason, error) {
	// Before any is handled. Fewer bytes than that cannot be more packets.
	if most := s.server.opts.Limits.PacketsPerPost; len(body) > most && bytes.Count(body, []byte{separator}) >= most {
		return ReasonForcedServerClose, errTooManyPackets
	}
	b := batch{session: s}
	defer b.end()
	for alone := true; ; alone = false {
		packet, rest, more := bytes.Cut(body, []byte{separator})
		if reason, err := s.handleText(packet, &b); reason != "" {
			return reason, err
		}
		if !more {
			if alone && s.betweenPolls() {
				b.endAtOnce() // one message, whose answer has to wait for the next poll: yielding gathers nothing
			}
			return "", nil
		}
		body = rest
		if !s.admit(&b) {
			return "", nil // ended meanwhile
		}
	}
}

// betweenPolls reports whether what is sent now has to wait for a poll to come.
func (s *Session) betweenPolls() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.polling && s.poll == nil
}

// closedByPeer ends a session whose client said so: its pending poll gets a noop (spec 3.1). Clients
// send the two requests at the same time, on two connections, so the poll may come a moment later.
func (s *Session) closedByPeer(reason Reason) {
	s.mu.Lock()
	if s.poll == nil && s.state == open {
		polled := make(chan struct{})
		s.polled = polled
		s.mu.Unlock()
		wait := time.NewTimer(latePoll)
		select {
		case <-polled:
		case <-wait.C:
		}
		wait.Stop()
		s.mu.Lock()
	}
	s.polled = nil
	p := s.poll
	s.poll = nil
	s.mu.Unlock()
	if p != nil {
		p.noop = true
		close(p.ready)
	}
	s.end(reason, nil)
}

// decodeBase64 takes base64 with or without its padding, as the reference does.
func decodeBase64(text []byte) ([]byte, error) {
	if len(text)%4 == 0 {
		return base64.StdEncoding.AppendDecode(nil, text)
	}
	return base64.RawStdEncoding.AppendDecode(nil, text)
}

// handleText handles one text packet of either transport. A reason means that the session is to end,
// with or without an error.
func (s *Session) handleText(packet []byte, b *batch) (Reason, error) {
	if len(packet) == 0 {
		return ReasonParseError, errors.New("engineio: empty packet")
	}
	switch packet[0] {
	case packetMessage:
		b.begin()
		s.deliver(packet[1:], false)
	case packetBase64:
		data, err := decodeBase64(packet[1:])
		if err != nil {
			return ReasonParseError, fmt.Errorf("engineio: binary packet: %w", err)
		}
		b.begin()
		s.deliver(data, true)
	case packetPong:
		s.pong()
	case packetClose:
		return ReasonTransportClose, nil
	case packetPing:
		return ReasonTransportError, errors.New("engineio: invalid heartbeat direction")
	case packetOpen, packetUpgrade, packetNoop:
		// Without meaning here; ignored like the reference does.
	default:
		return ReasonParseError, fmt.Errorf("engineio: unknown packet type %q", packet[0])
	}
	return "", nil
}

// deliver hands a message to the layer above while the session is open.
func (s *Session) deliver(data []byte, binary bool) {
	s.mu.Lock()
	isOpen := s.state == open
	if isOpen {
		n := len(data)
		if !binary {
			n++ // its type
		}
		s.traffic.received(n)
	}
	s.mu.Unlock()
	if isOpen {
		s.handler.HandleMessage(data, binary)
	}
}
