package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/socketio/parser"
)

// Socket is safe for concurrent use. It is one namespace of a server, over the connection of its manager.
type Socket struct {
	manager   *Manager
	namespace string
	opts      SocketOptions
	owner     bool // the manager ends with it

	routes         routes
	any            hooks[Handler]
	outgoing       hooks[OutgoingListener]
	onConnect      hooks[func()]
	onDisconnect   hooks[func(Reason, error)]
	onConnectError hooks[func(error)]
	onError        hooks[func(*Event, error)]
	lane           lane
	streams        names
	ctx            context.Context // of handlers; ends when it is closed
	cancel         context.CancelCauseFunc

	lastID atomic.Uint64 // of acknowledgements

	// What follows is guarded by the manager's mu.

	state      state
	life       uint64 // counts the times that it was connected
	id         string
	pid        string // by which the server may recover it
	offset     string // of the last event, for that
	recovered  bool
	early      []*Event // that came before CONNECT was answered
	earlyBytes int
	asking     context.CancelFunc // ends what is done to send CONNECT; nil if it was sent
	asked      bool               // CONNECT was sent over the manager's link and is not answered
	failures   int                // of AuthFunc in a row
	lastErr    error              // of connecting
	waiters    []*waiter

	buffer  buffer
	acks    map[uint64]*pending
	retries retries
}

// state is where a socket stands.
type state uint8

const (
	idle       state = iota // nobody has asked it to connect, or it has left
	connecting              // it is to be connected, now or when the manager is
	connected
	closed
)

// waiter is a call of Connect.
type waiter struct {
	result chan error // with room for one
	once   bool       // the first failure is the result
}

// ID is the socket's id on the server, and "" while it is not connected.
func (s *Socket) ID() string {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.id
}

// Namespace is what it was made for, "/" or a name that begins with a slash.
func (s *Socket) Namespace() string { return s.namespace }

// Manager is what keeps up the connection.
func (s *Socket) Manager() *Manager { return s.manager }

// Connected reports whether the server has answered CONNECT, and the connection is not known to be lost.
func (s *Socket) Connected() bool {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.state == connected
}

// Active reports whether the socket is connected or going to be tried to.
func (s *Socket) Active() bool {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.manager.running && (s.state == connecting || s.state == connected)
}

// Recovered reports whether the server has recovered the last connection: the id and the rooms are the same, and what was missed
// has come or is coming (C-18).
func (s *Socket) Recovered() bool {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.recovered
}

// Connect connects the socket if it is not connected, and waits until it is. Failures are told to [Socket.OnConnectError] and
// followed by further attempts; it returns when there will be none: a [*ConnectError], ErrOldServer, ErrReconnectionFailed, with
// NoReconnection the first failure, or ErrDisconnected and ErrClosed if somebody else ends it. If ctx is done before, it returns ctx's
// error, joined with the last failure, and the attempts go on.
func (s *Socket) Connect(ctx context.Context) error { return s.connect(ctx, false) }

func (s *Socket) connect(ctx context.Context, once bool) error {
	m := s.manager
	w := &waiter{make(chan error, 1), once}
	m.mu.Lock()
	switch s.state {
	case connected:
		m.mu.Unlock()
		return nil
	case closed:
		err := m.closedError()
		m.mu.Unlock()
		return err
	}
	s.waiters = append(s.waiters, w)
	if s.state == idle {
		s.state = connecting
		s.lastErr = nil
		if m.link != nil && !m.leaving {
			m.ask(s) // which may fail at once
		}
	}
	m.start()
	m.mu.Unlock()
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.waiters = slices.DeleteFunc(s.waiters, func(other *waiter) bool { return other == w })
	select {
	case err := <-w.result: // at the same time
		return err
	default:
	}
	return givenUp(ctx, s.lastErr)
}

// givenUp is what a call of Connect returns that did not wait for the end.
func givenUp(ctx context.Context, last error) error {
	if last != nil {
		return fmt.Errorf("%w (the last failure: %w)", context.Cause(ctx), last)
	}
	return context.Cause(ctx)
}

// resolve ends the calls of Connect, or those that end with the first failure. Called with mu held.
func (s *Socket) resolve(err error, all bool) {
	s.waiters = slices.DeleteFunc(s.waiters, func(w *waiter) bool {
		if all || w.once {
			w.result <- err
			return true
		}
		return false
	})
}

// Disconnect leaves the namespace. What the server has sent is still handled, then OnDisconnect is called. Connect may follow. When
// no socket of the manager's is left the connection is closed, after all that was sent.
func (s *Socket) Disconnect() {
	m := s.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	s.leave(ErrDisconnected)
}

// leave makes the socket idle. Called with mu held.
func (s *Socket) leave(err error) {
	switch s.state {
	case connected:
		if p, err := s.encode(parser.Outgoing{Type: parser.Disconnect}); err == nil {
			_ = s.manager.link.send(true, p)
		}
		s.down(ClientDisconnect, nil, err)
	case connecting:
	default:
		return
	}
	s.stop(idle, err)
	s.manager.release()
}

// Close leaves the namespace for good, and what waits to be sent or acknowledged fails with ErrClosed. Events that were not begun
// with are dropped. If the manager is the socket's own it is closed with it, see [Manager.Close].
func (s *Socket) Close() error {
	m := s.manager
	m.mu.Lock()
	if s.state != closed {
		s.leave(ErrClosed)
		s.finish(ErrClosed)
		delete(m.sockets, s.namespace)
	}
	m.mu.Unlock()
	if s.owner {
		return m.Close()
	}
	return nil
}

// stop ends what is on its way to connected. Called with mu held.
func (s *Socket) stop(next state, err error) {
	s.state = next
	s.early, s.earlyBytes = nil, 0
	s.unask()
	if s.asked {
		s.asked = false
		s.manager.link.abandon(s.namespace)
	}
	s.resolve(err, true)
}

// unask ends what is done to send CONNECT. Called with mu held.
func (s *Socket) unask() {
	if s.asking != nil {
		s.asking()
		s.asking = nil
	}
}

// finish makes the socket closed. Called with mu held, when it is not connected.
func (s *Socket) finish(err error) {
	s.stop(closed, err)
	s.cancel(err)
	s.lane.close()
	s.drop(err)
}

// up makes the socket connected: what came early is handled, what waited is sent, and then the hooks are called (C-14). Called
// with mu held.
func (s *Socket) up(id, pid string) {
	s.state = connected
	s.life++
	s.id = id
	s.recovered = pid != "" && pid == s.pid
	s.pid = pid
	if !s.recovered {
		s.offset = ""
	}
	s.asked = false
	s.failures, s.lastErr = 0, nil
	s.unask()
	for _, e := range s.early {
		e.life = s.life
		s.note(&e.in)
		s.lane.postEvent(e, e.in.size)
	}
	s.early, s.earlyBytes = nil, 0
	s.flush()
	s.drain(true)
	notify(s, &s.onConnect, func(fn func()) { fn() }, "OnConnect")
	s.resolve(nil, true)
}

// down makes a connected socket one that is not (C-12); lost is what becomes of acknowledgements. Called with mu held; the state is
// the caller's to set.
func (s *Socket) down(reason Reason, err, lost error) {
	s.state = connecting
	s.id = ""
	s.lostAcks(lost)
	s.manager.change()
	s.lane.end(s.life)
	notify(s, &s.onDisconnect, func(fn func(Reason, error)) { fn(reason, err) }, "OnDisconnect")
}

// refused ends an attempt for good. Called with mu held.
func (s *Socket) refused(err error) {
	s.asked = false
	s.lastErr = err
	s.stop(idle, err)
	s.connectFailed(err)
	s.manager.release()
}

// connectFailed tells of an attempt that has failed. Called with mu held.
func (s *Socket) connectFailed(err error) {
	s.lastErr = err
	s.resolve(err, false)
	notify(s, &s.onConnectError, func(fn func(error)) { fn(err) }, "OnConnectError")
}

// notify calls hooks on the socket's lane: those that were there when it happened and have not been removed since. So who registers
// one when Connect has returned is not told of that connection.
func notify[F any](s *Socket, h *hooks[F], call func(F), name string) {
	list := h.all()
	if len(list) == 0 {
		return
	}
	s.lane.post(func() {
		for _, fn := range list {
			if slices.Contains(h.all(), fn) {
				s.manager.guard(name, func() { call(*fn) })
			}
		}
	})
}

// ask sends CONNECT for a socket over the manager's link, once its payload is known. Called with mu held.
func (m *Manager) ask(s *Socket) {
	s.unask()
	if m.link.isAbandoned(s.namespace) {
		return // answered calls again
	}
	if s.opts.AuthFunc == nil && s.opts.Auth == nil {
		m.sendConnect(s, parser.Raw{})
		return
	}
	ctx, cancel := context.WithCancel(m.link.ctx)
	s.asking = cancel
	m.crew.goes(func() { // it is the program that is asked and encoded, which may take its time, or call us
		auth, err := parser.Raw{}, errAuthExit
		defer func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			switch {
			case ctx.Err() != nil:
			case err == nil:
				m.sendConnect(s, auth)
			case errors.Is(err, errNotObject):
				s.refused(err)
			default:
				m.authFailed(ctx, s, err)
			}
		}()
		auth, err = s.auth(ctx)
	})
}

// errAuthExit is the error of an AuthFunc that has ended its goroutine.
var errAuthExit = fmt.Errorf("%w: AuthFunc has not returned", ErrAuth)

// auth is the program's payload of CONNECT, an object.
func (s *Socket) auth(ctx context.Context) (raw parser.Raw, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: panic: %v", ErrAuth, v)
		}
	}()
	auth := s.opts.Auth
	if s.opts.AuthFunc != nil {
		if auth, err = s.opts.AuthFunc(ctx); err != nil {
			return raw, fmt.Errorf("%w: %w", ErrAuth, err)
		}
	}
	if auth == nil {
		return raw, nil
	}
	switch raw, err = parser.NewRaw(auth); {
	case err != nil:
		return raw, fmt.Errorf("%w: %w: %w", ErrAuth, errNotObject, err)
	case len(raw.JSON) < 2 || raw.JSON[0] != '{' || len(raw.Attachments) > 0:
		return raw, fmt.Errorf("%w: %w", ErrAuth, errNotObject)
	}
	return raw, nil
}

// authFailed has AuthFunc asked again later. Called with mu held.
func (m *Manager) authFailed(ctx context.Context, s *Socket, err error) {
	if m.opts.NoReconnection {
		s.refused(err)
		return
	}
	s.connectFailed(err)
	delay := m.opts.delay(s.failures)
	s.failures++
	m.crew.goes(func() {
		if wait(ctx, delay) != nil {
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if ctx.Err() == nil {
			m.ask(s)
		}
	})
}

// sendConnect is called with mu held.
func (m *Manager) sendConnect(s *Socket, auth parser.Raw) {
	payload, err := s.connectPayload(auth)
	if err != nil {
		s.refused(err)
		return
	}
	p, err := s.encode(parser.Outgoing{Type: parser.Connect, Data: payload})
	if err != nil {
		s.refused(fmt.Errorf("%w: %w", ErrAuth, err))
		return
	}
	s.asked = true
	_ = m.link.send(true, p) // if it is lost, so is the connection, and that we are told
}

var errNotObject = errors.New("it has to be encoded as a JSON object without bytes")

// connectPayload is auth, and before it what the server needs to recover the connection (C-18).
func (s *Socket) connectPayload(auth parser.Raw) (any, error) {
	switch {
	case auth.JSON == nil && s.pid == "":
		return nil, nil
	case s.pid == "":
		return auth, nil
	}
	// The offset is exact because events that had come ahead of an answer that did not come were dropped. A server of Perch sends
	// them again then, while the official client, which keeps them uncounted, has to begin anew; to Node's servers it means nothing.
	recovery, err := parser.NewRaw(struct {
		PID         string `json:"pid"`
		Offset      string `json:"offset,omitzero"`
		ExactOffset bool   `json:"exactOffset"`
	}{s.pid, s.offset, true})
	if err != nil || auth.JSON == nil {
		return recovery, err
	}
	rest := bytes.TrimLeft(auth.JSON[1:], " \t\r\n")
	if rest[0] == '}' {
		return recovery, nil
	}
	return parser.Raw{JSON: append(append(recovery.JSON[:len(recovery.JSON)-1], ','), rest...)}, nil
}

// wait returns the cause of ctx if that is done before d has passed.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
