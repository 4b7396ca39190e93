package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/perch-go/perch/client/internal/engine"
)

// start has the manager connect if it does not already. Called with mu held, when it is not closed.
func (m *Manager) start() {
	if m.running {
		return
	}
	m.running = true
	m.idle = make(chan struct{})
	ctx := m.begin()
	m.crew.goes(func() { m.run(ctx) })
}

// begin returns what ends dialing and waiting. Called with mu held.
func (m *Manager) begin() context.Context {
	var ctx context.Context
	ctx, m.stop = context.WithCancel(m.ctx)
	m.leaving = false
	return ctx
}

// release ends the connection, and attempts at one, if nobody wants it any more (C-20). Called with mu held.
func (m *Manager) release() {
	if !m.running || m.leaving || m.isWanted() {
		return
	}
	m.leaving = true
	m.stop()
	if m.link != nil {
		m.link.cancel()
		m.link.conn.Close()
	}
}

func (m *Manager) isWanted() bool {
	if m.wanted {
		return true
	}
	for _, s := range m.sockets {
		if s.state == connecting || s.state == connected {
			return true
		}
	}
	return false
}

// run keeps up the connection until nobody wants it, or it is not to be tried again.
func (m *Manager) run(ctx context.Context) {
	for attempt := 0; ; {
		var err error
		if attempt > 0 {
			err = wait(ctx, m.opts.delay(attempt-1))
		}
		if err == nil {
			if attempt > 0 {
				n := attempt
				tell(m, &m.onReconnectAttempt, func(fn func(int)) { fn(n) }, "OnReconnectAttempt")
			}
			var l *link
			if l, err = m.dial(ctx); err == nil {
				n := attempt
				attempt = 0
				m.serve(l, n)
			}
		}
		var again bool
		if ctx, again = m.next(ctx, &attempt, err); !again {
			return
		}
	}
}

// next decides what follows the end of a connection, or err, which kept it from being opened.
func (m *Manager) next(ctx context.Context, attempt *int, err error) (_ context.Context, again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving || m.ended != nil || ctx.Err() != nil {
		if m.ended == nil && m.ctx.Err() == nil && m.isWanted() { // again, meanwhile
			*attempt = 0
			m.stop()
			m.drop() // as if it had come later: nothing that was left is taken up again
			return m.begin(), true
		}
		m.halt()
		return nil, false
	}
	if err != nil {
		m.failed(*attempt, err)
	}
	switch {
	case m.opts.NoReconnection:
		m.surrender(err)
	case m.opts.ReconnectionAttempts > 0 && *attempt >= m.opts.ReconnectionAttempts:
		tell(m, &m.onReconnectFailed, func(fn func()) { fn() }, "OnReconnectFailed")
		m.surrender(fmt.Errorf("%w after %d attempts: %w", ErrReconnectionFailed, *attempt, err))
	default:
		*attempt++
		return ctx, true
	}
	return nil, false
}

// surrender leaves the sockets as they are until somebody calls Connect. Called with mu held.
func (m *Manager) surrender(err error) {
	if err == nil {
		err = ErrDisconnected
	}
	m.resolve(err)
	m.wanted = false
	for _, s := range m.sockets {
		if s.state == connecting {
			s.stop(idle, err)
		}
	}
	if m.running { // nobody has called Connect from there
		m.halt()
	}
}

// halt is called with mu held, when run is about to return.
func (m *Manager) halt() {
	m.running, m.leaving = false, false
	m.stop()
	m.stop = nil
	close(m.idle)
	m.idle = nil
	m.drop()
}

// failed tells everybody that a connection could not be opened. Called with mu held.
func (m *Manager) failed(attempt int, err error) {
	m.lastErr = err
	tell(m, &m.onError, func(fn func(error)) { fn(err) }, "OnError")
	if attempt > 0 {
		tell(m, &m.onReconnectError, func(fn func(error)) { fn(err) }, "OnReconnectError")
	}
	for _, s := range m.sockets {
		if s.state == connecting {
			s.connectFailed(err)
		}
	}
}

// dial opens a connection.
func (m *Manager) dial(ctx context.Context) (*link, error) {
	if m.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, m.opts.Timeout, ErrOpenTimeout)
		defer cancel()
	}
	var conn *engine.Conn
	var err error
	elsewhere(func() { conn, err = engine.Dial(ctx, m.config()) })
	if err != nil {
		m.mu.Lock()
		m.upgraded = false
		m.mu.Unlock()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fmt.Errorf("client: cannot connect to %s: %w", m.base.Redacted(), err)
	}
	l := &link{manager: m, conn: conn, patience: conn.Patience()}
	l.ctx, l.cancel = context.WithCancel(m.ctx)
	return l, nil
}

func (m *Manager) config() engine.Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &m.opts
	base := *m.base
	c := engine.Config{
		URL: &base, Header: o.Header, PerTransport: o.PerTransport, HTTPClient: m.httpClient(),
		Transports: slices.Clone(o.Transports), TryAll: o.TryAllTransports, Upgrade: !o.NoUpgrade, Protocols: o.Protocols,
		TimestampParam: o.TimestampParam, TimestampPolling: !o.NoTimestamps, TimestampWebSocket: o.TimestampWebSocket,
		ForceBase64: o.ForceBase64, RequestTimeout: o.RequestTimeout, MaxPayload: o.MaxPayload,
		MaxPackets: o.MaxBufferedPackets, MaxBytes: o.MaxBufferedBytes, Logger: o.Logger,
	}
	if d := o.PerMessageDeflate; d != nil {
		c.Deflate, c.DeflateThreshold = true, d.Threshold
		or(&c.DeflateThreshold, defaultDeflateThreshold)
	}
	if i := slices.Index(c.Transports, WebSocket); i > 0 && o.RememberUpgrade && m.upgraded {
		c.Transports = slices.Insert(slices.Delete(c.Transports, i, i+1), 0, WebSocket)
	}
	return c
}

const defaultDeflateThreshold = 1 << 10

// serve reads until the connection is over, which was opened by an attempt of that number.
func (m *Manager) serve(l *link, attempt int) {
	m.mu.Lock()
	m.link, m.lastErr = l, nil
	if m.leaving || m.ended != nil {
		l.conn.Close()
	} else {
		if m.upgraded = l.conn.Transport() == WebSocket; m.upgraded {
			m.drop()
		}
		tell(m, &m.onOpen, func(fn func()) { fn() }, "OnOpen")
		if attempt > 0 {
			tell(m, &m.onReconnect, func(fn func(int)) { fn(attempt) }, "OnReconnect")
		}
		m.resolve(nil)
		for _, s := range m.sockets {
			if s.state == connecting {
				m.ask(s)
			}
		}
	}
	m.mu.Unlock()
	reason, err := l.conn.Serve(m.ctx, l)
	m.lost(l, Reason(reason), err)
}

// lost tells everybody that a connection is over.
func (m *Manager) lost(l *link, reason Reason, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.cancel()
	m.link = nil
	if reason == PingTimeout { // what silenced this connection has likely silenced those that are kept for later requests
		m.httpClient().CloseIdleConnections()
	}
	tell(m, &m.onClose, func(fn func(Reason, error)) { fn(reason, err) }, "OnClose")
	for _, s := range m.sockets {
		s.asked = false
		switch s.state {
		case connected:
			s.down(reason, err, ErrDisconnected)
		case connecting:
			s.early, s.earlyBytes = nil, 0
			s.unask()
			if !m.leaving { // else it waits for the next one
				s.connectFailed(connectionLost(reason, err))
			}
		}
	}
	m.change()
}

func connectionLost(reason Reason, err error) error {
	if err == nil {
		err = errors.New(string(reason))
	}
	return fmt.Errorf("%w: %w", ErrConnectionLost, err)
}

// Dial connects to a server and waits until that is done. ctx is the socket's life, not only that of the attempt: when it is done,
// now or later, everything ends, as it does by [Socket.Close]. The first failure is returned, and nothing is left behind. After
// success a lost connection is dialed again.
//
// The path of rawURL is the namespace; its query is part of every request, as that of [Options] is. ws and wss mean http and https.
func Dial(ctx context.Context, rawURL string, o Options) (*Socket, error) {
	s, err := New(ctx, rawURL, o)
	if err != nil {
		return nil, err
	}
	if err := s.connect(ctx, true); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// New makes the socket of [Dial] without connecting it, so that handlers can be registered before [Socket.Connect] is called and
// nothing that comes is missed.
func New(ctx context.Context, rawURL string, o Options) (*Socket, error) {
	t, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	namespace := t.namespace
	m, err := newManager(ctx, t, o)
	if err != nil {
		return nil, err
	}
	s, err := m.Socket(namespace, nil)
	if err != nil {
		_ = m.Close()
		return nil, err
	}
	s.owner = true
	return s, nil
}
