package engineio

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wheel"
)

// Server is an Engine.IO server, an http.Handler for every path it is mounted on. It may be used
// from any goroutine.
type Server struct {
	opts   Options
	accept func(*Session) Handler

	sessions   table
	wheel      *wheel.Wheel
	goroutines group
	readers    readers
	poller     stream.Poller        // of quiet connections, see parking.go
	hold       atomic.Pointer[hold] // the batch that collects broadcasts now, see hold.go
	stats      counters
	refusing   atomic.Bool

	places      atomic.Int64 // taken by sessions and by handshakes under way
	pending     atomic.Int64 // the latter
	addresses   *addresses   // nil: no limit goes by them
	proxyWarned atomic.Bool
	turning     atomic.Int64 // connections, see turnAway

	context atomic.Pointer[bareContext] // of the last session, see keep

	chainMu   sync.Mutex
	innermost *atomic.Pointer[http.Handler] // where the next middleware goes
	chain     atomic.Pointer[http.Handler]  // through all of them; nil without any
}

// New returns a server that asks accept for every new session's Handler. That happens before the
// open packet is written, so nothing that a fast client sends can come before its Handler (engine
// rule 1). The session may be sent to at once: what accept sends follows the open packet directly,
// which is what initialPacket does in the reference (S-21). The error names every option that is
// wrong.
func New(o Options, accept func(*Session) Handler) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.CORS.allowsAll() && o.CORS.Credentials {
		o.Logger.Warn(`CORS.Credentials has no effect with the origin "*": browsers refuse the two together; list the origins`)
	}
	s := &Server{opts: o, accept: accept, wheel: wheel.New(o.tick())}
	s.readers.after = quietAfter
	s.innermost = &s.chain
	s.addresses = newAddresses(&s.opts.Limits)
	return s, nil
}

// Sessions returns how many sessions there are.
func (s *Server) Sessions() int { return s.sessions.len() }

func (s *Server) stopping() bool { return s.refusing.Load() }

// ServeHTTP serves one request of the protocol: a handshake, a poll, a post or an upgrade. It does not
// look at the path: that is up to who mounts the server (S-1, S-12), and so are upgrade requests for
// other paths, which net/http gives to their own handlers (S-22).
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A session that has not ended is served: its client comes for what is left.
	sid := param(r.URL.RawQuery, "sid")
	known := s.stopping() && s.sessions.find(sid) != nil
	if !known && s.turnedAway(w, r) {
		return
	}
	var place *ticket
	if sid == "" && r.Method != http.MethodOptions {
		place = &ticket{server: s}
		defer place.leave()
		if !place.enter(w, r, false) {
			return
		}
	}
	if s.refuseForeign(w, r, nil) || s.refuseJSONP(w, r) || s.preflight(w, r) {
		return
	}
	s.pass(w, r, nil, place)
}

// refuseForeign sets the headers of CORS, or refuses the request, and reports whether it did.
func (s *Server) refuseForeign(w http.ResponseWriter, r *http.Request, p *Plain) bool {
	switch {
	case !validOrigin(r.Header.Get("Origin")):
		s.refuseFor(w, &ConnectionError{Request: r, Code: CodeBadRequest, Message: CodeBadRequest.String(), Context: ContextInvalidOrigin, plain: p != nil})
	case !s.opts.CORS.Allow(w.Header(), r):
		s.opts.Logger.WarnContext(r.Context(), "request of another origin refused: list the origin in CORS.Origins to allow it",
			"origin", r.Header.Get("Origin"), "host", r.Host)
		s.refuseFor(w, &ConnectionError{Request: r, Code: CodeForbidden, Message: forbiddenOrigin, Context: ContextInvalidOrigin, plain: p != nil})
	default:
		return false
	}
	return true
}

// preflight answers the request that a browser sends before one of another origin, and reports whether it was one.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || s.opts.CORS == nil {
		return false
	}
	s.opts.CORS.setPreflightHeaders(w.Header(), r)
	s.setHeaders(w.Header(), r)
	s.boundAnswer(w, r)
	w.WriteHeader(cmp.Or(s.opts.CORS.PreflightStatus, http.StatusNoContent))
	return true
}

// turnedAway answers a request if the server is shutting down, and reports whether it did.
func (s *Server) turnedAway(w http.ResponseWriter, r *http.Request) bool {
	if !s.stopping() {
		return false
	}
	w.Header().Set("Connection", "close")
	s.writeBody(w, r, http.StatusServiceUnavailable, "text/plain; charset=utf-8", "server is shutting down")
	return true
}

// serve is ServeHTTP behind CORS and the middlewares.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, place *ticket) {
	query := r.URL.RawQuery
	transport := Transport(param(query, "transport"))
	if !s.opts.serves(transport) {
		s.refuse(w, r, CodeUnknownTransport, "")
		return
	}
	upgrade := isUpgrade(r)
	if sid := param(query, "sid"); sid != "" {
		s.serveSession(w, r, sid, transport, upgrade)
		return
	}
	switch {
	case r.Method != http.MethodGet:
		s.refuse(w, r, CodeBadHandshakeMethod, "")
		return
	case (transport == WebSocket) != upgrade:
		s.refuse(w, r, CodeBadRequest, ContextTransportHandshakeError)
		return
	}
	if place == nil {
		s.dispatchPlaced(w, r, nil)
		return
	}
	id, ok := s.admit(w, r)
	if !ok {
		return
	}
	if s.opts.GenerateID != nil {
		defer s.sessions.free(id)
	}
	if transport == WebSocket {
		s.serveOpen(w, r, id, place)
		return
	}
	s.servePollingOpen(w, r, id, place)
}

// admit asks whether a handshake may open a session, and what its id is to be. If it may not, the client has been told.
//
// It is a function of its own, as dispatchPlaced is, because the way from net/http to taking the connection over fits into
// the stack that net/http's goroutine has already, or doubles it (see docs/performance.md, conn).
//
//go:noinline
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (id string, ok bool) {
	if !s.allow(w, r, nil) {
		return "", false
	}
	if protocolOf(r) == 3 && !s.opts.AllowEIO3 {
		s.refuse(w, r, CodeUnsupportedProtocol, "")
		return "", false
	}
	id, err := s.identify(r)
	switch {
	case errors.Is(err, limitErrors[limitHandshakeTime]):
		s.refuseLimit(w, r, limitHandshakeTime, false)
	case err != nil:
		s.opts.Logger.ErrorContext(r.Context(), "engineio: no id for a new session", "err", err)
		s.refuseFor(w, &ConnectionError{Request: r, Code: CodeBadRequest, Message: CodeBadRequest.String(), Context: ContextIDGenerationError, Err: err})
	}
	return id, err == nil
}

// allow asks who is to be asked whether the request may open a session, and reports the answer. If it is no, the client has
// been told.
func (s *Server) allow(w http.ResponseWriter, r *http.Request, p *Plain) bool {
	if s.opts.AllowRequest != nil {
		asked, done := s.hurried(r)
		defer done()
		err := s.opts.AllowRequest(asked)
		if s.late(w, asked, p != nil) {
			return false
		}
		if err != nil {
			s.refuseFor(w, &ConnectionError{
				Request: r, Code: CodeForbidden, Message: cmp.Or(err.Error(), CodeForbidden.String()), Err: err, plain: p != nil,
			})
			return false
		}
	}
	if s.late(w, r, p != nil) {
		return false
	}
	return !s.turnedAway(w, r) // AllowRequest and middlewares may have taken their time
}

func (s *Server) serveSession(w http.ResponseWriter, r *http.Request, sid string, t Transport, upgrade bool) {
	session := s.sessions.find(sid)
	switch {
	case session == nil || session.plain:
		s.refuse(w, r, CodeUnknownSession, "")
	case protocolOf(r) != session.Protocol():
		s.refuse(w, r, CodeBadRequest, ContextProtocolMismatch)
	case upgrade && t == WebSocket && s.opts.upgradesFrom(Polling):
		session.serveUpgrade(w, r)
	case upgrade || t != Polling:
		s.refuse(w, r, CodeBadRequest, ContextTransportMismatch)
	case r.Method == http.MethodGet:
		session.serveGet(w, r, false)
	case r.Method == http.MethodPost:
		session.servePost(w, r)
	default:
		s.refuse(w, r, CodeBadRequest, "method")
	}
}

func (s *Server) servePollingOpen(w http.ResponseWriter, r *http.Request, id string, place *ticket) {
	session := s.newSession(r, Polling, id)
	session.speak(r)
	if s.openSession(session, place) {
		session.serveGet(w, r, true)
		return
	}
	s.refuse(w, r, CodeForbidden, "")
}

// openSession queues the open packet, attaches the layer above and stores the session, in that order
// (engine rule 1). The packet leaves with the first flush, which is the caller's.
func (s *Server) openSession(session *Session, place *ticket) bool {
	open := s.appendOpen(nil, session)
	session.mu.Lock()
	session.addPacketLocked(packetOpen, open)
	session.mu.Unlock()
	session.attach(s.accept(session))
	return s.begin(session, place)
}

// begin stores a session that has its Handler. What is queued does not go before.
func (s *Server) begin(session *Session, place *ticket) bool {
	place.giveTo(session)
	s.sessions.add(session)
	s.stats.opened.Add(1)
	if s.stopping() { // Shutdown may have missed it
		session.end(ReasonForcedClose, nil)
	}
	if session.hasEnded() { // or before it was stored: what was sent at once is more than its budget takes
		s.forget(session)
		return false
	}
	session.startHeartbeat()
	return true
}

func (s *Server) appendOpen(dst []byte, session *Session) []byte {
	dst = append(dst, `{"sid":"`...)
	dst = append(dst, session.id...)
	dst = append(dst, `","upgrades":[`...)
	if s.opts.upgradesFrom(session.transport()) {
		dst = append(dst, `"websocket"`...)
	}
	dst = append(dst, `],"pingInterval":`...)
	dst = strconv.AppendInt(dst, s.opts.PingInterval.Milliseconds(), 10)
	dst = append(dst, `,"pingTimeout":`...)
	dst = strconv.AppendInt(dst, s.opts.PingTimeout.Milliseconds(), 10)
	dst = append(dst, `,"maxPayload":`...)
	dst = strconv.AppendInt(dst, s.opts.MaxPayload, 10)
	return append(dst, '}')
}

// Shutdown refuses new requests with 503, closes every session and answers pending polls; a polling client
// that is between two polls has a second to come for what is queued and to hear that it is over. It returns
// when all is released, or cuts what is left when ctx ends and returns its cause.
func (s *Server) Shutdown(ctx context.Context) error {
	s.refusing.Store(true)
	for session := range s.sessions.all() {
		session.Close(ReasonForcedClose)
		session.hasten()
	}
	err := s.sessions.waitEmpty(ctx)
	for session := range s.sessions.all() {
		session.end(ReasonForcedClose, err)
	}
	s.wheel.Close()
	s.poller.Close()
	if err == nil {
		err = s.goroutines.wait(ctx)
	}
	return err
}

// param returns a query parameter, the first of that name. It is url.Values without the map, for the
// two or three parameters that every poll has.
func param(query, name string) string {
	for more := true; more; _, query, more = strings.Cut(query, "&") {
		v, ok := strings.CutPrefix(query, name)
		if !ok || v != "" && v[0] != '=' && v[0] != '&' {
			continue
		}
		v, _, _ = strings.Cut(v, "&")
		v = strings.TrimPrefix(v, "=")
		if strings.IndexByte(v, '%') >= 0 || strings.IndexByte(v, '+') >= 0 {
			if unescaped, err := url.QueryUnescape(v); err == nil {
				return unescaped
			}
		}
		return v
	}
	return ""
}

// group counts the server's goroutines. Unlike sync.WaitGroup it may be added to while it is waited
// for: a session in its last moments still starts some.
type group struct {
	n    atomic.Int64
	zero notifier
}

func (g *group) run(fn func()) {
	g.n.Add(1)
	go func() {
		defer func() {
			if g.n.Add(-1) == 0 {
				g.zero.notify()
			}
		}()
		fn()
	}()
}

func (g *group) wait(ctx context.Context) error {
	return g.zero.wait(ctx, func() bool { return g.n.Load() == 0 })
}

// notifier lets goroutines wait for a condition that others make true without a lock of their own.
type notifier struct {
	mu sync.Mutex
	ch chan struct{} // nil while nobody waits
}

// notify is called after the condition has become true.
func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}

func (n *notifier) wait(ctx context.Context, ok func() bool) error {
	for {
		n.mu.Lock()
		if ok() {
			n.mu.Unlock()
			return nil
		}
		if n.ch == nil {
			n.ch = make(chan struct{})
		}
		ch := n.ch
		n.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
