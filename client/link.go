package client

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/perch-go/perch/client/internal/engine"
	"github.com/perch-go/perch/socketio/parser"
)

// link is one connection of a manager: it reads packets and passes them to sockets. Its methods as an engine.Handler are called by one
// goroutine at a time.
type link struct {
	manager  *Manager
	conn     *engine.Conn
	patience time.Duration   // of the server
	ctx      context.Context // ends when the connection is lost, or nobody wants it any more
	cancel   context.CancelFunc
	// abandoned are the namespaces that were left before the server had answered CONNECT. It is guarded by the manager's mu.
	abandoned map[string]struct{}

	// What comes is parsed into an event, whatever it is: most packets are one.
	partial *Event // waits for attachments
	spare   *Event // to parse into
}

// What may come before CONNECT is answered. It is much, because a server that recovers a connection may send all that was missed
// before it says so.
const (
	maxEarly      = 1 << 17
	maxEarlyBytes = 128 << 20
)

var (
	errUnexpectedText = errors.New("a text message came where an attachment was expected")
	errEarly          = errors.New("too many events came before CONNECT was answered")
)

// Message takes one message. An error ends the connection: what came is no packet.
func (l *link) Message(data []byte, binary bool) error {
	if e := l.partial; e != nil {
		if !binary {
			return errUnexpectedText
		}
		e.in.attachments = append(e.in.attachments, append([]byte{}, data...))
		e.in.size += len(data)
		if len(e.in.attachments) == len(e.in.packet.Embedded)+e.in.packet.Attachments {
			l.partial = nil
			return l.packet(e)
		}
		return nil
	}
	e := l.spare
	if e == nil {
		e = new(Event)
	}
	l.spare = nil
	in := &e.in
	if err := l.parse(in, data, binary); err != nil {
		return err
	}
	in.attachments = in.packet.Embedded
	in.size = len(in.text) + 1
	for _, a := range in.attachments {
		in.size += len(a)
	}
	if in.packet.Attachments > 0 {
		l.partial = e
		return nil
	}
	return l.packet(e)
}

// parse may be that of a program's own parser.
func (l *link) parse(in *incoming, data []byte, binary bool) (err error) {
	defer func() {
		if v := recover(); v != nil {
			l.manager.opts.Logger.Error("client: panic in the parser", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("the parser panicked: %v", v)
		}
	}()
	limits := parser.Limits{MaxAttachments: l.manager.opts.MaxAttachments}
	in.text, err = l.manager.opts.Parser.Parse(&in.packet, in.text[:0], data, binary, limits)
	return err
}

// packet passes a packet to its socket. One for a namespace that nobody has asked for is dropped, as one may come that was on its way
// when it was left.
func (l *link) packet(e *Event) error {
	m, in := l.manager, &e.in
	m.mu.Lock()
	s := m.sockets[in.namespace()]
	if l.isAbandoned(in.namespace()) {
		l.answered(in.namespace(), in.packet.Type)
		m.mu.Unlock()
		l.spare = e
		return nil
	}
	if s == nil || s.state != connecting && s.state != connected {
		m.mu.Unlock()
		l.spare = e
		return nil
	}
	if t := in.packet.Type; t == parser.Event || t == parser.BinaryEvent {
		return l.event(s, e)
	}
	defer m.mu.Unlock()
	switch in.packet.Type {
	case parser.Connect:
		if s.state == connecting {
			s.accepted(in)
		}
	case parser.ConnectError:
		if s.state == connected {
			s.down(ServerDisconnect, nil, ErrDisconnected)
		}
		s.refused(connectError(in))
	case parser.Disconnect:
		if s.state == connected {
			s.down(ServerDisconnect, nil, ErrDisconnected)
		} else {
			s.connectFailed(ErrDisconnected)
		}
		s.stop(idle, ErrDisconnected)
		m.release()
	case parser.Ack, parser.BinaryAck:
		s.acked(in)
		return nil
	}
	l.spare = e
	return nil
}

// abandon remembers a namespace whose CONNECT is still to be answered though nobody wants it any more. To servers a DISCONNECT before
// their answer is a fault, and so is a second CONNECT after it: both have to wait for it. Called with mu held.
func (l *link) abandon(namespace string) {
	if l.abandoned == nil {
		l.abandoned = make(map[string]struct{})
	}
	l.abandoned[namespace] = struct{}{}
}

func (l *link) isAbandoned(namespace string) bool {
	_, ok := l.abandoned[namespace]
	return ok
}

// answered drops what comes for an abandoned namespace, until the server has answered: then that is left, and connected again if
// somebody wants it by now. Called with mu held.
func (l *link) answered(namespace string, t parser.Type) {
	switch t {
	case parser.Connect:
		o := parser.Outgoing{Type: parser.Disconnect, Namespace: namespace}
		if p, err := l.manager.encode(o); err == nil {
			_ = l.send(true, p)
		}
	case parser.ConnectError:
	default:
		return
	}
	delete(l.abandoned, namespace)
	if s := l.manager.sockets[namespace]; s != nil && s.state == connecting && !l.manager.leaving {
		l.manager.ask(s)
	}
}

// event has an event handled, later if CONNECT is not answered yet. Called with mu held, which it releases.
func (l *link) event(s *Socket, e *Event) error {
	m, size := l.manager, e.in.size
	life := s.life
	e.socket, e.life = s, life
	if s.state == connecting {
		defer m.mu.Unlock()
		tasks, bytes := s.lane.held() // of earlier connections, too
		if tasks+len(s.early) >= maxEarly || bytes+s.earlyBytes+size > maxEarlyBytes {
			s.pid, s.offset = "", "" // or as many would come again
			return errEarly
		}
		s.early = append(s.early, e)
		s.earlyBytes += size
		return nil
	}
	before := s.offset
	s.note(&e.in)
	m.mu.Unlock()
	m.stalled.Store(&s.lane)
	defer m.stalled.Store(nil)
	err := s.lane.put(l.ctx, life, size, m.isAwaited, l.patience, e)
	if err != nil {
		m.mu.Lock()
		s.offset = before // it is missed, and comes again if the connection is recovered
		m.mu.Unlock()
	}
	if errors.Is(err, errStuck) {
		return fmt.Errorf("%w: %w", engine.ErrStuck, err)
	}
	return nil // any other error means that nobody wants the connection any more
}

// isAwaited reports whether somebody waits for an acknowledgement.
func (m *Manager) isAwaited() bool { return m.awaiting.Load() > 0 }

// Ping is told of the server's pings, which may be as many as it likes.
func (l *link) Ping() {
	m := l.manager
	if tasks, _ := m.lane.held(); tasks < laneTasks {
		tell(m, &m.onPing, func(fn func()) { fn() }, "OnPing")
	}
}

// Upgraded is told of the new transport.
func (l *link) Upgraded(t Transport) {
	m := l.manager
	m.mu.Lock()
	if m.upgraded = t == WebSocket; m.upgraded {
		m.drop()
	}
	m.mu.Unlock()
	tell(m, &m.onUpgrade, func(fn func(Transport)) { fn(t) }, "OnUpgrade")
}

// UpgradeError is told why there is none.
func (l *link) UpgradeError(err error) {
	tell(l.manager, &l.manager.onUpgradeError, func(fn func(error)) { fn(err) }, "OnUpgradeError")
}

// note remembers the offset of an event, the last argument if it is a string, by which the server knows what came (C-18). Called
// with mu held.
func (s *Socket) note(in *incoming) {
	n := in.packet.NumArgs()
	if s.pid == "" || n == 0 || in.raw(n - 1)[0] != '"' {
		return
	}
	_ = in.decode(n-1, &s.offset) // the scanner has seen that it is a string
}

// accepted is the answer to CONNECT. Called with mu held.
func (s *Socket) accepted(in *incoming) {
	var reply struct {
		SID string `json:"sid"`
		PID string `json:"pid"`
	}
	var err error
	elsewhere(func() { err = parser.Decode(in.packet.Data, nil, &reply) })
	if err != nil || reply.SID == "" {
		s.refused(ErrOldServer)
		return
	}
	s.up(reply.SID, reply.PID)
}

// connectError is what a CONNECT_ERROR says.
func connectError(in *incoming) error {
	var payload struct {
		Message string     `json:"message"`
		Data    parser.Raw `json:"data"`
	}
	e := new(ConnectError)
	if parser.Decode(in.packet.Data, nil, &payload) == nil {
		e.Message, e.Data = payload.Message, payload.Data
	} else if parser.Decode(in.packet.Data, nil, &e.Message) != nil {
		e.Message = string(in.packet.Data)
	}
	return e
}
