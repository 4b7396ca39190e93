package socketio

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// wheelTick is how exact the timeouts of this package are.
const wheelTick = 10 * time.Millisecond

// Server is safe for concurrent use. It is an http.Handler, to be mounted at the path that clients are told,
// /socket.io/ by default.
type Server struct {
	opts   Options
	format *format // of clients that speak Socket.IO
	// How broadcasts look to sockets that can be recovered.
	recoverableFormat string
	encodeRecoverable func(*adapter.Packet) (any, error)
	kept              adapter.Kept // for recovery, in all namespaces
	limits            parser.Limits
	gatherAtMost      int // see intake
	engine            *engineio.Server
	bundle            bundle
	wheel             *wheel.Wheel
	pool              pool
	coarse            coarse // of all lanes
	conns             conns
	alone             bool // there is no cluster
	stats             counters
	eventRate         *RateLimit // Limits.EventRate; nil is none
	meters            sync.Map   // of *meter, by *conn: those of clients for which a limit was asked

	mu         sync.RWMutex
	namespaces map[string]*Namespace
	parents    []*ParentNamespace
	carried    *carried // nil: LoadRecovery was not called
	dynamic    int      // namespaces that clients have had made
	waiting    int      // of those, such as are empty and kept for a while
	full       bool     // and it is known that there are too many

	main        *Namespace // "/"
	onNamespace []*func(*Namespace)

	ctx      context.Context // of what happens on no socket's behalf; ends with the server
	cancel   context.CancelFunc
	closing  atomic.Bool
	closed   atomic.Bool
	running  context.Context // ends when Shutdown begins: no handler waits for a slow client any more
	stop     context.CancelFunc
	stopping <-chan struct{} // running's
	// live counts the sockets whose lane has not ended, and the server itself until Shutdown, so that it is 0
	// once. drained is closed then.
	live    atomic.Int64
	drained chan struct{}
}

// New makes a server with the namespace "/", which always exists.
func New(o Options) (*Server, error) {
	alone := o.Adapter == nil
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		bundle:       bundle{files: o.Client},
		opts:         o,
		format:       newFormat(o.Parser, false),
		limits:       o.limits(),
		gatherAtMost: gatherAtMost(o.Engine.InboundEvents),
		wheel:        wheel.New(wheelTick),
		namespaces:   make(map[string]*Namespace),
		drained:      make(chan struct{}),
		alone:        alone,
	}
	s.recoverableFormat, s.encodeRecoverable = s.format.name+", offset", s.encodeWithOffset
	s.pool.wheel, s.coarse.wheel = s.wheel, s.wheel
	s.eventRate, _ = newRateLimit(o.Limits.EventRate) // which withDefaults has checked
	s.live.Store(1)
	s.engine, err = engineio.New(o.Engine, s.accept)
	if err != nil {
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running, s.stop = context.WithCancel(s.ctx)
	s.stopping = s.running.Done()
	s.main = s.Of("/")
	if o.Recovery != nil && s.main.recovery == nil {
		_ = s.Shutdown(context.Background()) // nobody is connected
		return nil, errNotRecoverer
	}
	if o.Recovery != nil && o.Recovery.Store != nil {
		if _, ok := s.main.adapter.(adapter.Stateful); !ok {
			_ = s.Shutdown(context.Background())
			return nil, errNotStateful
		}
	}
	return s, nil
}

// debugs reports whether lines at debug level are wanted. They tell what clients do, so nothing is put together for them otherwise.
func (s *Server) debugs() bool { return s.opts.Logger.Enabled(s.ctx, slog.LevelDebug) }

// ServeHTTP serves the transports and the files of the official client.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.opts.NoClient && s.bundle.serve(s.opts.Engine.CORS, w, r) {
		return
	}
	if s.closing.Load() && !r.URL.Query().Has("sid") {
		// The engine goes on until the last handler has answered, but nobody else may come.
		http.Error(w, "server is shutting down", http.StatusServiceUnavailable)
		return
	}
	s.engine.ServeHTTP(w, r)
}

// Engine is the server of the transports.
func (s *Server) Engine() *engineio.Server { return s.engine }

// Of returns the namespace of that name, and creates it if there is none. A leading slash is added. If the name matches the
// pattern or expression of a parent, the namespace is a child of the first such parent (S-25); it is never dropped, unlike those
// that only clients have asked for.
func (s *Server) Of(name string) *Namespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	ns, hooks := s.of(name)
	if ns.child != nil && hooks != nil {
		ns.announce(hooks)
		return ns
	}
	for _, fn := range hooks {
		(*fn)(ns)
	}
	return ns
}

// of also returns who is to be told that the namespace is a new one.
func (s *Server) of(name string) (ns *Namespace, hooks []*func(*Namespace)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns = s.pin(name)
	if ns == nil {
		ns = s.newNamed(name)
		s.namespaces[name] = ns
		hooks = append([]*func(*Namespace){}, s.onNamespace...)
	}
	return ns, hooks
}

// OnNamespace registers a function to be told of each namespace that is made from now on (S-29), on the goroutine that asks for
// it first. It returns what removes it again.
func (s *Server) OnNamespace(fn func(*Namespace)) (off func()) {
	change := func(list func(old []*func(*Namespace), v *func(*Namespace)) []*func(*Namespace)) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.onNamespace = list(s.onNamespace, &fn)
	}
	change(with)
	return func() { change(without) }
}

// accept gives a session its consumer before the client hears of it (engine rule 1).
func (s *Server) accept(session *engineio.Session) engineio.Handler {
	c := &conn{server: s, session: session, legacy: newLegacy(session)}
	s.enlist(c)
	c.startConnectTimer(s.opts.ConnectTimeout)
	return c
}

// release gives back a share of live.
func (s *Server) release() {
	if s.live.Add(-1) == 0 {
		close(s.drained)
	}
}

// Drain is the first part of Shutdown: it returns when the last disconnect hook has, or with the context's error when that ends
// first. The server still sends, so that several of them can be drained before the first is closed: what a handler of one sends by
// another gets there.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock() // no client has a namespace made from now on
	first := s.closing.CompareAndSwap(false, true)
	s.mu.Unlock()
	if first {
		s.stop()
		for _, c := range s.conns.all() {
			c.drain()
		}
		s.release()
	}
	select {
	case <-s.drained:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Ready reports whether new clients are let in and reach everybody else: it returns ErrShuttingDown, ErrFull, or why the adapter of "/"
// does not reach the other processes if it is an adapter.Pinger; the adapters of other namespaces stand or fall with that one.
func (s *Server) Ready(ctx context.Context) error {
	if s.closing.Load() {
		return ErrShuttingDown
	}
	if most := s.opts.Engine.Limits.MaxSessions; most > 0 && s.engine.Sessions() >= most {
		return ErrFull
	}
	if p, ok := s.main.adapter.(adapter.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

// Shutdown refuses new connections and events, lets the handlers of events that were read finish and answer, and
// closes each connection when its last event is handled. Sockets leave with ReasonServerShuttingDown; their
// disconnect hooks are awaited. When ctx ends first, what is left is closed as it is and the context's error returned.
// What clients need to come back goes to Recovery.Store last, if there is one; it is given some seconds even if ctx has ended.
// After that the server is of no further use.
func (s *Server) Shutdown(ctx context.Context) error {
	var errs []error
	if err := s.Drain(ctx); err != nil {
		errs = append(errs, err)
	}
	if err := s.engine.Shutdown(ctx); err != nil && len(errs) == 0 {
		errs = append(errs, err)
	}
	if s.closed.CompareAndSwap(false, true) {
		s.mu.RLock()
		namespaces := slices.Collect(maps.Values(s.namespaces))
		s.mu.RUnlock()
		s.cancel()
		errs = append(errs, s.saveRecovery(ctx, namespaces))
		for _, ns := range namespaces {
			errs = append(errs, ns.close())
		}
		s.pool.close()
		s.wheel.Close()
	}
	return errors.Join(errs...)
}
