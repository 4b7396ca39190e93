package engineio

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
)

// Use adds a middleware around everything that the server does with a request, upgrades included
// (S-63). The first one added is the outermost. It may be called at any time and holds for requests
// that come later. CORS comes before all of them, as in the reference: its headers are set, a
// preflight is answered and a forbidden origin refused without asking them, so that a middleware
// which wants credentials does not break preflights.
//
// It is ordinary Go middleware. Headers that it sets are part of every answer, that to a WebSocket
// handshake too, and values of its context are found in Handshake.Context. To refuse a request it
// answers it and does not call the next handler; the answer is its own, where Node's next(err) is
// always 400 "Bad request". It is that here as well for one that neither answers nor calls the next
// handler, and for one that panics. All three are ConnectionErrors with the context
// MIDDLEWARE_FAILURE. A middleware that replaces the ResponseWriter must let http.ResponseController
// reach the one below (an Unwrap method): connections are taken over through it.
func (s *Server) Use(middleware func(http.Handler) http.Handler) {
	l := new(link)
	var end http.Handler = http.HandlerFunc(s.arrive)
	l.next.Store(&end)
	h := middleware(l)
	s.chainMu.Lock()
	defer s.chainMu.Unlock()
	s.innermost.Store(&h)
	s.innermost = &l.next
}

// link is what a middleware has as its next handler: the next middleware, or the server.
type link struct{ next atomic.Pointer[http.Handler] }

func (l *link) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*l.next.Load()).ServeHTTP(w, r) }

// passage is a request's way through the middlewares. It outlives the request in the context of a
// session, so it is small and knows nothing of the request.
type passage struct {
	arrived atomic.Bool
	plain   *Plain
	place   *ticket // nil for a request of a session
}

type passageKey struct{}

// pass sends a request through the middlewares, and on to where it belongs: plain is nil for Engine.IO.
func (s *Server) pass(w http.ResponseWriter, r *http.Request, plain *Plain, place *ticket) {
	if chain := s.chain.Load(); chain != nil {
		s.passChain(*chain, w, r, plain, place)
		return
	}
	s.dispatch(w, r, plain, place)
}

func (s *Server) passChain(chain http.Handler, w http.ResponseWriter, r *http.Request, plain *Plain, place *ticket) {
	p, probe := &passage{plain: plain, place: place}, &probeWriter{ResponseWriter: w}
	if place != nil {
		var done context.CancelFunc
		r, done = s.hurried(r)
		defer done()
	}
	boundBody(r, http.NewResponseController(w), s.opts.Limits.BodyTimeout)
	r = r.WithContext(context.WithValue(r.Context(), passageKey{}, p))
	defer func() {
		if p.arrived.Load() {
			return // what happens beyond the middlewares, a panic included, is not their failure
		}
		e := &ConnectionError{Request: r, Code: CodeBadRequest, Message: CodeBadRequest.String(), Context: ContextMiddlewareFailure, plain: plain != nil}
		if v := recover(); v == http.ErrAbortHandler {
			panic(v) // not ours: net/http defines ErrAbortHandler as a panic that its server has to see, to cut the answer short
		} else if v != nil {
			e.Err = fmt.Errorf("panic: %v", v)
			s.opts.Logger.ErrorContext(r.Context(), "engineio: panic in a middleware", "panic", v, "stack", string(debug.Stack()))
		}
		if probe.answered {
			s.report(e)
			return
		}
		s.refuseFor(w, e)
	}()
	chain.ServeHTTP(probe, r)
}

// arrive is the end of the chain.
func (s *Server) arrive(w http.ResponseWriter, r *http.Request) {
	var plain *Plain
	var place *ticket
	if p, ok := r.Context().Value(passageKey{}).(*passage); ok {
		p.arrived.Store(true)
		plain, place = p.plain, p.place
		p.place = nil
	}
	s.dispatch(w, r, plain, place)
}

// dispatch is what lies behind the middlewares.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, plain *Plain, place *ticket) {
	if plain != nil {
		s.servePlain(w, r, plain, place)
		return
	}
	s.serve(w, r, place)
}

// dispatchPlaced is dispatch of a handshake that has no place, because a middleware has made it itself.
//
//go:noinline
func (s *Server) dispatchPlaced(w http.ResponseWriter, r *http.Request, plain *Plain) {
	place := &ticket{server: s}
	defer place.leave()
	if place.enter(w, r, plain != nil) {
		s.dispatch(w, r, plain, place)
	}
}

// probeWriter notices whether anything was answered.
type probeWriter struct {
	http.ResponseWriter
	answered bool
}

func (w *probeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *probeWriter) WriteHeader(status int) {
	w.answered = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *probeWriter) Write(b []byte) (int, error) {
	w.answered = true
	return w.ResponseWriter.Write(b)
}

// FlushError, Flush and Hijack are for middlewares that look for them with a type assertion.
func (w *probeWriter) FlushError() error {
	w.answered = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *probeWriter) Flush() { _ = w.FlushError() }

func (w *probeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.answered = w.answered || err == nil
	return conn, rw, err
}
