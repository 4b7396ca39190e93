package engineio

import (
	"context"
	"net/http"
	"time"
)

// ticket is a handshake's place among those under way and the sessions. It belongs to the request's goroutine; a session that
// is stored takes the place over.
type ticket struct {
	server  *Server
	held    bool
	address *address
}

// enter gives a request that wants to open a session its place, or refuses it. It comes before everything that
// costs anything. leave is called in either case.
func (t *ticket) enter(w http.ResponseWriter, r *http.Request, plain bool) bool {
	s := t.server
	l := &s.opts.Limits
	if handshakeSize(r) > l.HandshakeBytes {
		s.refuseLimit(w, r, limitHandshakeBytes, plain)
		return false
	}
	var e *address
	if a := s.addresses; a != nil {
		s.warnOfProxy(r)
		text, _ := clientAddress(r, s.opts.TrustedProxies)
		var met limit
		var ok bool
		if e, met, ok = a.enter(text); !ok {
			s.refuseLimit(w, r, met, plain)
			return false
		}
	}
	if s.pending.Add(1) > int64(l.MaxHandshakes) {
		s.pending.Add(-1)
		s.leaveAddress(e)
		s.refuseLimit(w, r, limitHandshakes, plain)
		return false
	}
	if s.places.Add(1) > int64(l.MaxSessions) && l.MaxSessions > 0 {
		s.places.Add(-1)
		s.pending.Add(-1)
		s.leaveAddress(e)
		s.refuseLimit(w, r, limitSessions, plain)
		return false
	}
	t.held, t.address = true, e
	return true
}

// leave gives the place up, unless a session has it.
func (t *ticket) leave() {
	if t.held {
		t.held = false
		t.server.pending.Add(-1)
		t.server.places.Add(-1)
		t.server.leaveAddress(t.address)
	}
}

// giveTo gives the place to a session that is about to be stored.
func (t *ticket) giveTo(session *Session) {
	t.held = false
	t.server.pending.Add(-1)
	if t.address != nil {
		session.mu.Lock()
		session.extra().address = t.address
		session.mu.Unlock()
	}
}

// forget takes a session out of the table, and off what it counts in.
func (s *Server) forget(session *Session) {
	if !s.sessions.remove(session) {
		return
	}
	s.places.Add(-1)
	if s.addresses == nil {
		return
	}
	session.mu.Lock()
	x := session.rare
	session.mu.Unlock()
	if x != nil {
		s.leaveAddress(x.address)
	}
}

// handshakeSize is about what a session keeps of its request.
func handshakeSize(r *http.Request) int {
	n := len(r.RequestURI) + len(r.Host)
	if r.RequestURI == "" {
		n += len(r.URL.Path) + len(r.URL.RawQuery)
	}
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \n")
		}
	}
	return n
}

var limitStatus = [limitCount]int{
	limitSessions:       http.StatusServiceUnavailable,
	limitPerAddress:     http.StatusTooManyRequests,
	limitHandshakes:     http.StatusServiceUnavailable,
	limitHandshakeTime:  http.StatusServiceUnavailable,
	limitHandshakeBytes: http.StatusRequestHeaderFieldsTooLarge,
	limitRate:           http.StatusTooManyRequests,
	limitBan:            http.StatusForbidden,
	limitPackets:        http.StatusBadRequest,
	limitBodyTime:       http.StatusRequestTimeout,
}

// refuseLimit answers a request that has met a limit.
func (s *Server) refuseLimit(w http.ResponseWriter, r *http.Request, l limit, plain bool) *LimitError {
	err := s.met(l)
	e := &ConnectionError{Request: r, Code: CodeForbidden, Message: err.Message, Context: err.Limit, Err: err, status: limitStatus[l], plain: plain}
	if l == limitPackets || l == limitBodyTime {
		e.Code = CodeBadRequest
	}
	if e.status == http.StatusTooManyRequests || e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5") // clients of Socket.IO go by their own delays
	}
	s.refuseFor(w, e)
	return err
}

// hurried returns the request for functions of the user's that may take their time, but not more than HandshakeTimeout.
func (s *Server) hurried(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.opts.Limits.HandshakeTimeout, limitErrors[limitHandshakeTime])
	return r.WithContext(ctx), cancel
}

// late answers a handshake whose time is up, or whose client has gone, and reports whether it is so.
func (s *Server) late(w http.ResponseWriter, r *http.Request, plain bool) bool {
	switch cause := context.Cause(r.Context()); {
	case cause == nil:
		return false
	case cause == error(limitErrors[limitHandshakeTime]):
		s.refuseLimit(w, r, limitHandshakeTime, plain)
	default:
		s.refuseFor(w, &ConnectionError{Request: r, Code: CodeBadRequest, Message: CodeBadRequest.String(), Err: cause, plain: plain})
	}
	return true
}

// boundBody gives the body of a request a time. net/http waits for one that nobody has read before it answers.
func boundBody(r *http.Request, control *http.ResponseController, d time.Duration) {
	if r.ContentLength != 0 {
		_ = control.SetReadDeadline(time.Now().Add(d))
	}
}
