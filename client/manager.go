package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Manager is safe for concurrent use. It is a connection to a server, which it keeps up while one of its sockets wants it. What
// it tells of itself it tells one thing after the other, on a goroutine that nothing else waits for.
type Manager struct {
	opts   Options
	base   *url.URL        // with path and query
	ctx    context.Context // its life
	cancel context.CancelCauseFunc
	crew   *crew

	onOpen             hooks[func()]
	onClose            hooks[func(Reason, error)]
	onError            hooks[func(error)]
	onPing             hooks[func()]
	onUpgrade          hooks[func(Transport)]
	onUpgradeError     hooks[func(error)]
	onReconnect        hooks[func(int)]
	onReconnectAttempt hooks[func(int)]
	onReconnectError   hooks[func(error)]
	onReconnectFailed  hooks[func()]
	lane               lane
	awaiting           atomic.Int64         // how many calls wait for an acknowledgement
	stalled            atomic.Pointer[lane] // that the reader may be waiting for

	mu       sync.Mutex
	sockets  map[string]*Socket
	running  bool               // run is, or is about to
	wanted   bool               // Connect was called, so it need not have sockets
	leaving  bool               // the connection is being closed because nobody wants it any more
	ended    error              // not nil: closed
	link     *link              // nil: there is no connection
	own      *http.Transport    // of requests; nil if none are made now, or by the program's client
	stop     context.CancelFunc // ends dialing and waiting; nil unless running
	lastErr  error              // of opening a connection; nil if there is one
	upgraded bool               // the last connection came as far as WebSocket
	waiters  []*waiter
	changed  chan struct{} // closed when those who wait for room shall look again; nil if nobody does
	idle     chan struct{} // closed when run has ended; nil unless running
}

// NewManager makes a manager for several namespaces over one connection. It does not connect. ctx is its life: when it is done, the
// manager is closed. rawURL has no path but "/", for namespaces are asked for by [Manager.Socket].
func NewManager(ctx context.Context, rawURL string, o Options) (*Manager, error) {
	t, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if t.namespace != "/" {
		return nil, fmt.Errorf("client: URL %q has a path: ask for namespace %q by Manager.Socket, and set Options.Path if the server is not at %s",
			rawURL, t.namespace, DefaultPath)
	}
	return newManager(ctx, t, o)
}

func newManager(ctx context.Context, t target, o Options) (*Manager, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	for name, values := range o.Query {
		t.query[name] = values
	}
	t.base.Path, t.base.RawQuery = o.Path, t.query.Encode()
	m := &Manager{
		opts: o, base: t.base, crew: newCrew(),
		sockets: make(map[string]*Socket),
	}
	m.lane.crew = m.crew
	m.ctx, m.cancel = context.WithCancelCause(ctx)
	// It ends with ctx at the latest, and Close ends it before.
	context.AfterFunc(m.ctx, func() { m.end(m.ctx) })
	return m, nil
}

// Socket is the socket of a namespace, made if there is none. It does not connect. A nil o means what the manager's options say; it
// counts only when the socket is made. The error says what is wrong with the name or with o.
func (m *Manager) Socket(namespace string, o *SocketOptions) (*Socket, error) {
	if namespace == "" {
		namespace = "/"
	}
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	if strings.Contains(namespace, ",") {
		return nil, fmt.Errorf("client: namespace %q has a comma, which the protocol cannot carry", namespace)
	}
	if o == nil {
		all := m.opts.socket()
		o = &all
	}
	opts, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended != nil {
		return nil, m.ended
	}
	s := m.sockets[namespace]
	if s == nil {
		s = &Socket{manager: m, namespace: namespace, opts: opts}
		s.ctx, s.cancel = context.WithCancelCause(m.ctx)
		s.lane.crew = m.crew
		m.sockets[namespace] = s
	}
	return s, nil
}

// Connect opens the connection without any namespace, keeps it up, and waits for it as [Socket.Connect] does.
func (m *Manager) Connect(ctx context.Context) error {
	w := &waiter{result: make(chan error, 1)}
	m.mu.Lock()
	if m.ended != nil || m.link != nil && !m.leaving {
		m.wanted = m.ended == nil
		err := m.ended
		m.mu.Unlock()
		return err
	}
	m.wanted = true
	m.waiters = append(m.waiters, w)
	m.start()
	m.mu.Unlock()
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiters = slices.DeleteFunc(m.waiters, func(other *waiter) bool { return other == w })
	select {
	case err := <-w.result: // at the same time
		return err
	default:
		return givenUp(ctx, m.lastErr)
	}
}

// Disconnect closes the connection, after what was sent. All sockets are disconnected with ForcedClose and stay so until Connect is
// called.
func (m *Manager) Disconnect() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disconnect(ErrDisconnected)
}

func (m *Manager) disconnect(err error) {
	m.wanted = false
	for _, s := range m.sockets {
		if s.state == connected {
			s.down(ForcedClose, nil, err)
		}
		if s.state == connecting {
			s.stop(idle, err)
		}
	}
	m.resolve(err)
	m.release()
}

// Close disconnects for good: what was sent is still written, for up to five seconds; what waits to be sent or acknowledged fails
// with ErrClosed, and no handler is begun but OnDisconnect's. It returns when the connection is closed. It may be called from a
// handler; [Manager.Done] tells when the last handler has returned.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.ended == nil {
		m.ended = ErrClosed
		m.disconnect(ErrClosed)
		m.finish()
	}
	idle := m.idle
	m.mu.Unlock()
	if idle != nil {
		<-idle
	}
	m.cancel(ErrClosed)
	m.mu.Lock()
	m.drop()
	m.mu.Unlock()
	return nil
}

// end closes the manager because its context is done. The connection ends with the context.
func (m *Manager) end(ctx context.Context) {
	m.mu.Lock()
	if m.ended == nil {
		m.ended = fmt.Errorf("%w: %w", ErrClosed, context.Cause(ctx))
		m.disconnect(m.ended)
		m.finish()
	}
	m.mu.Unlock()
	m.crew.leave()
}

// finish makes all sockets closed. Called with mu held, when none is connected.
func (m *Manager) finish() {
	for _, s := range m.sockets {
		s.finish(m.ended)
	}
	clear(m.sockets)
}

// Done is closed when the manager is closed and its last goroutine has returned: those of handlers, too.
func (m *Manager) Done() <-chan struct{} { return m.crew.everyone }

// Connected reports whether there is a connection, which says nothing of its namespaces.
func (m *Manager) Connected() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.link != nil
}

// Transport is how messages travel at present; "" while there is no connection.
func (m *Manager) Transport() Transport {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link == nil {
		return ""
	}
	return m.link.conn.Transport()
}

// SessionID is the Engine.IO session's id, which is not that of a socket; "" while there is no connection.
func (m *Manager) SessionID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link == nil {
		return ""
	}
	return m.link.conn.ID()
}

// Flush waits until all that was sent so far has been handed to the network. It returns nil if there is no connection.
func (m *Manager) Flush(ctx context.Context) error {
	m.mu.Lock()
	l := m.link
	m.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.conn.Flush(ctx)
}

// The hooks of a manager are called one at a time, in order, and may take their time: nothing but the next hook waits for them. Each
// of these functions returns what removes the hook again (C-10).

// OnOpen registers what is called when a connection is open, before its namespaces are connected.
func (m *Manager) OnOpen(fn func()) (off func()) { return m.onOpen.add(fn) }

// OnClose registers what is called when a connection is lost or closed. err says more about it and may be nil.
func (m *Manager) OnClose(fn func(reason Reason, err error)) (off func()) { return m.onClose.add(fn) }

// OnError registers what is called when a connection could not be opened.
func (m *Manager) OnError(fn func(err error)) (off func()) { return m.onError.add(fn) }

// OnPing registers what is called for each of the server's pings, as long as fewer than 1,024 calls of hooks wait for their
// turn.
func (m *Manager) OnPing(fn func()) (off func()) { return m.onPing.add(fn) }

// OnUpgrade registers what is called when a connection goes on by a better transport.
func (m *Manager) OnUpgrade(fn func(Transport)) (off func()) { return m.onUpgrade.add(fn) }

// OnUpgradeError registers what is called when it could not, and stays as it is.
func (m *Manager) OnUpgradeError(fn func(err error)) (off func()) { return m.onUpgradeError.add(fn) }

// OnReconnect registers what is called when a connection was opened again, by the attempt of that number, from 1 on.
func (m *Manager) OnReconnect(fn func(attempt int)) (off func()) { return m.onReconnect.add(fn) }

// OnReconnectAttempt registers what is called when an attempt begins.
func (m *Manager) OnReconnectAttempt(fn func(attempt int)) (off func()) {
	return m.onReconnectAttempt.add(fn)
}

// OnReconnectError registers what is called when an attempt has failed.
func (m *Manager) OnReconnectError(fn func(err error)) (off func()) {
	return m.onReconnectError.add(fn)
}

// OnReconnectFailed registers what is called when there will be no further attempt.
func (m *Manager) OnReconnectFailed(fn func()) (off func()) { return m.onReconnectFailed.add(fn) }

// tell calls hooks on the manager's lane, as notify does on a socket's.
func tell[F any](m *Manager, h *hooks[F], call func(F), name string) {
	list := h.all()
	if len(list) == 0 {
		return
	}
	m.lane.post(func() {
		for _, fn := range list {
			if slices.Contains(h.all(), fn) {
				m.guard(name, func() { call(*fn) })
			}
		}
	})
}

// closedError is what calls of a manager or a socket return that is closed. Called with mu held.
func (m *Manager) closedError() error {
	if m.ended != nil {
		return m.ended
	}
	return ErrClosed // the socket alone
}

// resolve ends the calls of Manager.Connect. Called with mu held.
func (m *Manager) resolve(err error) {
	for _, w := range m.waiters {
		w.result <- err
	}
	m.waiters = nil
}

// change has those who wait for room look again. Called with mu held.
func (m *Manager) change() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// widen tells the reader that an acknowledgement is awaited.
func (m *Manager) widen() {
	if l := m.stalled.Load(); l != nil {
		l.widen()
	}
}

// httpClient is what a new connection makes its requests with. Called with mu held.
func (m *Manager) httpClient() *http.Client {
	if m.opts.HTTPClient != nil {
		return m.opts.HTTPClient
	}
	if m.own == nil {
		m.own = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: m.opts.DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, // as http.DefaultTransport has them
		}
	}
	return &http.Client{Transport: m.own}
}

// drop lets go of the manager's own HTTP client, and of the connections that only it keeps. A WebSocket has no use for it, and it is
// a good part of what a connection costs. Called with mu held.
func (m *Manager) drop() {
	if m.own != nil {
		m.own.CloseIdleConnections()
		m.own = nil
	}
}
