package socketio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// Recovery is a plain value: how sockets whose connection is lost come back, connection state recovery (S-6). Its zero value
// has every default; see [Options.Recovery].
type Recovery struct {
	// MaxDisconnection is how long a client may be away. 0 is 2 minutes.
	MaxDisconnection time.Duration
	// RunMiddlewares has the namespace's middlewares run again for a socket that comes back. By default they are skipped, as
	// they have let it in before; connection hooks always run.
	RunMiddlewares bool
	// MaxPackets and MaxBytes bound the events that are kept for those who may miss them, in all namespaces together. 0 is
	// 65,536, and 32 MiB. When one is reached, the namespace of the next event lets go of its oldest, and who needed them
	// connects afresh.
	MaxPackets int
	MaxBytes   int
	// MaxSessions bounds the sockets that are waited for, in the same way. 0 is 65,536.
	MaxSessions int
	// Store carries all of that from one process to the next, so that clients come back over a restart too: Server.Shutdown
	// saves to it, and Server.LoadRecovery reads what the process before has saved. nil is none: it ends with the process.
	// An adapter that keeps it outside of the process, like that of a cluster, needs none.
	Store RecoveryStore
	// Name is the server's in the Store, to tell apart those of one program. "" is a name like others.
	Name string
}

const (
	defaultMaxDisconnection    = 2 * time.Minute
	defaultMaxRecoveryPackets  = 1 << 16
	defaultMaxRecoveryBytes    = 32 << 20
	defaultMaxRecoverySessions = 1 << 16

	// ghostPatience is how long a client that is back waits for the socket it had before: for the handlers of its last
	// events, and its disconnect hooks. After that it connects afresh.
	ghostPatience = 10 * time.Second
)

func (r *Recovery) withDefaults() (*Recovery, error) {
	if r == nil {
		return nil, nil
	}
	d := *r
	d.MaxDisconnection = cmp.Or(d.MaxDisconnection, defaultMaxDisconnection)
	d.MaxPackets = cmp.Or(d.MaxPackets, defaultMaxRecoveryPackets)
	d.MaxBytes = cmp.Or(d.MaxBytes, defaultMaxRecoveryBytes)
	d.MaxSessions = cmp.Or(d.MaxSessions, defaultMaxRecoverySessions)
	if d.MaxDisconnection < 0 || d.MaxPackets < 0 || d.MaxBytes < 0 || d.MaxSessions < 0 {
		return nil, fmt.Errorf("socketio: Recovery has a negative bound, 0 is the default: %+v", *r)
	}
	return &d, nil
}

// Recovery says how the adapter is to recover sockets.
func (h *host) Recovery() (adapter.RecoveryOptions, bool) {
	s := h.server
	r := s.opts.Recovery
	if r == nil {
		return adapter.RecoveryOptions{}, false
	}
	e := &s.opts.Engine
	return adapter.RecoveryOptions{
		MaxDisconnection: r.MaxDisconnection,
		Notice:           cmp.Or(e.PingInterval, 25*time.Second) + cmp.Or(e.PingTimeout, 20*time.Second),
		MaxPackets:       r.MaxPackets,
		MaxBytes:         r.MaxBytes,
		MaxSessions:      r.MaxSessions,
		Kept:             &s.kept,
		Prepare: func(p *adapter.Packet) (int, error) {
			v, err := s.recoverable(p)
			if err != nil {
				return 0, err
			}
			return messageOf(v).Len(), nil
		},
		AppendPacket: s.appendPacket,
		LoadPacket:   func(b []byte) (*adapter.Packet, int, error) { return s.loadPacket(h.name, b) },
		Evict:        h.evict,
		After: func(d time.Duration, fn func()) func() {
			t := new(wheel.Timer)
			s.wheel.Schedule(t, d, func() { s.pool.run(job(fn)) }) // it waits for the adapter's locks
			return func() { s.wheel.Stop(t) }
		},
	}, true
}

// recovery is safe for concurrent use. It is what a namespace has for recovery beside its adapter.
type recovery struct {
	adapter adapter.Recoverer
	blank   string // keeps the place of an offset
	server  *Server

	mu sync.Mutex
	// holders are the sockets that have a pid, from before they are members until their disconnect hooks have run: of one
	// pid there is never more than one, and so of one id.
	holders map[string]*ticket
	claims  uint64
}

// errNotRecoverer: the server was given an adapter that cannot do what it is asked for.
var errNotRecoverer = errors.New("socketio: Recovery is set and the Adapter does not implement adapter.Recoverer: take another adapter (one for a cluster needs a Bus that is a cluster.Log) or leave Recovery out")

// newRecovery returns nil if the server has none. It is made before the adapter, which may already ask for somebody.
func newRecovery(s *Server) *recovery {
	if s.opts.Recovery == nil {
		return nil
	}
	return &recovery{server: s, holders: make(map[string]*ticket)}
}

// by says which adapter does it, and reports whether that can.
func (r *recovery) by(a adapter.Adapter) bool {
	var ok bool
	if r.adapter, ok = a.(adapter.Recoverer); ok {
		r.blank = strings.Repeat("-", r.adapter.OffsetSize())
	}
	return ok
}

// ticket is what a socket has by which its client may get it back; nil for one that cannot be recovered. The fields belong
// to the socket's lane, except where they say otherwise.
type ticket struct {
	socket *Socket
	pid    string
	gone   chan struct{} // closed when the last disconnect hook has returned…
	// …and then these are called, under recovery.mu. They do not block.
	after  []func(held bool)
	serial uint64 // of the claim, under recovery.mu

	recovered bool              // does not change any more when the socket can be seen
	missed    []*adapter.Packet // to be sent ahead of the answer to CONNECT
	offset    string            // the client came back with it…
	replayed  bool              // …and was sent what it had missed
	expires   time.Time         // the session's, if it is to be put back
	answered  bool              // the client has been told its pid

	// Under Socket.mu: what was emitted before the socket was a member, and had no place in the order yet.
	early  []*adapter.Packet
	member bool

	turn sync.Mutex // of who gives early ones their place; taken before Socket.mu
}

// claim makes t the holder of pid. A socket that holds it is removed first: its client is back, so it is nobody's any more. Of
// several that come at once the last one is the client's.
func (r *recovery) claim(t *ticket, pid string) bool {
	r.mu.Lock()
	r.claims++
	t.serial = r.claims
	r.mu.Unlock()
	var late <-chan time.Time
	for {
		r.mu.Lock()
		held := r.holders[pid]
		if held == nil {
			t.pid, t.gone = pid, make(chan struct{})
			r.holders[pid] = t
			r.mu.Unlock()
			return true
		}
		ghost, gone, superseded := held.socket, held.gone, held.serial > t.serial
		r.mu.Unlock()
		if superseded {
			return false
		}
		if ghost.state.Load() < stateLeft {
			ghost.conn.session.Close(engineio.ReasonTransportClose)
		}
		if late == nil {
			timer := time.NewTimer(min(ghostPatience, r.server.opts.ConnectTimeout/2))
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-gone:
		case <-late:
			r.server.opts.Logger.Warn("socketio: not recovered, the last handler of the lost socket takes too long",
				"namespace", t.socket.ns.name)
			return false
		case <-r.server.stopping:
			return false
		}
	}
}

// release ends t's claim.
func (r *recovery) release(t *ticket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.pid != "" && r.holders[t.pid] == t {
		delete(r.holders, t.pid)
		close(t.gone)
		for _, done := range t.after {
			done(true)
		}
	}
}

// evict ends the socket that holds pid, whose client has come to another node.
func (h *host) evict(pid string, done func(held bool)) {
	r := h.recovery
	r.mu.Lock()
	held := r.holders[pid]
	if held == nil {
		r.mu.Unlock()
		done(false)
		return
	}
	held.after = append(held.after, done)
	ghost := held.socket
	r.mu.Unlock()
	if ghost.state.Load() < stateLeft {
		// On a worker because its transport may take a moment.
		r.server.pool.run(job(func() { ghost.conn.session.Close(engineio.ReasonTransportClose) }))
	}
}

// Recovered reports whether the socket is one that was lost and has come back: with the id, the rooms and the data it had, and
// its client has got or gets what it missed. It is known before the first hook runs.
func (s *Socket) Recovered() bool { return s.ticket != nil && s.ticket.recovered }

// recoveryAuth is what a client adds to its auth.
type recoveryAuth struct {
	PID    any `json:"pid"`
	Offset any `json:"offset"`
	// ExactOffset is ours: true says that the client has got nothing behind the offset. What had come ahead of an answer to
	// CONNECT that never came it has dropped. The official client keeps that and does not count it.
	ExactOffset any `json:"exactOffset"`
}

// comeback is what a client asks for with CONNECT.
type comeback struct {
	pid, offset string
	exact       bool
}

func (h *Handshake) recovery() (c comeback, ok bool) {
	var a recoveryAuth
	if len(h.auth) == 0 || h.DecodeAuth(&a) != nil {
		return c, false
	}
	c.pid, ok = a.PID.(string)
	if a.Offset != nil && ok { // a client that got no event has none
		c.offset, ok = a.Offset.(string)
		ok = ok && c.offset != ""
	}
	c.exact, _ = a.ExactOffset.(bool)
	return c, ok && validPID(c.pid)
}

// validPID reports whether pid may be one that newID has made: no other is worth asking the adapter for, which may ask a whole cluster.
func validPID(pid string) bool {
	return len(pid) == 20 && strings.Trim(pid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// recover brings back what the client says it had, and reports whether there was something to bring back: then the socket is a
// member. Otherwise it gets a pid of its own.
func (s *Socket) recover(ctx context.Context) bool {
	t, r := s.ticket, s.ns.recovery
	if t == nil {
		return false
	}
	c, ok := s.handshake.recovery()
	if ok && r.claim(t, c.pid) {
		fresh := s.id
		missed, ok, err := r.adapter.Restore(ctx, c.pid, c.offset, func(saved adapter.Session) adapter.Member {
			if saved.Replayed && saved.Offset == c.offset && !c.exact {
				return nil // nobody knows which of the packets it has
			}
			s.adopt(saved, c.offset)
			return s.member()
		})
		if ok {
			t.missed = missed
			s.stage.member = true
			s.deliverEarly()
			if r.server.debugs() {
				r.server.opts.Logger.Debug("socketio: socket recovered", "namespace", s.ns.name, "socket", s.id, "missed", len(missed))
			}
			return true
		}
		if r.server.debugs() {
			r.server.opts.Logger.Debug("socketio: socket not recovered", "namespace", s.ns.name, "socket", fresh, "reason", err)
		}
		r.release(t)
		s.mu.Lock()
		*t = ticket{socket: s, early: t.early}
		if s.id = fresh; s.more != nil {
			s.more.data = nil
		}
		s.mu.Unlock()
	}
	r.claim(t, newID())
	return false
}

// adopt makes s the socket that was lost. Nobody can see it yet.
func (s *Socket) adopt(saved adapter.Session, offset string) {
	t := s.ticket
	t.recovered = true
	t.offset, t.expires = offset, saved.Expires
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = saved.ID
	if saved.Data != nil {
		s.extra().data = saved.Data
	}
}

// become makes a socket a member that was not recovered.
func (s *Socket) become() {
	s.ns.adapter.Add(s.member())
	s.stage.member = true
	if s.ticket != nil {
		s.deliverEarly()
	}
}

// deliverEarly gives what the socket was sent before it was a member its place in the order, in which nothing overtakes it.
func (s *Socket) deliverEarly() {
	t := s.ticket
	t.turn.Lock()
	defer t.turn.Unlock()
	for {
		s.mu.Lock()
		early := t.early
		t.early, t.member = nil, len(early) == 0
		s.mu.Unlock()
		if len(early) == 0 {
			return
		}
		for _, p := range early {
			_ = s.ns.recovery.adapter.Deliver(p, s.id, func(m adapter.Member) { m.Append(p) })
		}
	}
}

// replay sends what the client missed while it was away, before it is told that it is back: its client keeps the events until
// then (C-14).
func (s *Socket) replay() {
	t := s.ticket
	if t == nil || len(t.missed) == 0 {
		return
	}
	session := s.conn.session
	var messages []*engineio.Message
	bytes := 0
	for _, p := range t.missed {
		v, err := s.conn.server.recoverable(p)
		if err != nil {
			continue // it was encoded when it was stored
		}
		m := messageOf(v)
		messages = append(messages, m)
		bytes += m.Len()
	}
	t.missed = nil
	t.replayed = true
	o := &s.conn.server.opts.Engine
	wait := bytes > cmp.Or(o.OutboundBytes, engineio.DefaultOutboundBytes)/2 ||
		len(messages) > cmp.Or(o.OutboundPackets, engineio.DefaultOutboundPackets)/2
	ctx, cancel := context.WithTimeout(s.conn.server.running, s.conn.server.opts.ConnectTimeout)
	defer cancel()
	for _, m := range messages {
		var err error
		if wait {
			err = session.SendWait(ctx, m)
		} else {
			err = session.Append(m, false) // with the answer in one write
		}
		if err != nil {
			// The session has ended, or takes nothing: a gap would be worse.
			session.Close(engineio.ReasonTransportError)
			return
		}
	}
}

// recoverableReasons are those after which the client may come back for more (S-76). Over the outbound budget it would be sent
// at once what it could not take before.
var recoverableReasons = map[Reason]bool{
	ReasonTransportError:     true,
	ReasonTransportClose:     true,
	ReasonForcedClose:        true,
	ReasonPingTimeout:        true,
	ReasonServerShuttingDown: true,
	ReasonForcedServerClose:  true,
}

// recoverable reports whether the socket was lost and is not saved yet: what is done to it will be there when it is back.
func (s *Socket) recoverable() bool {
	if s.ticket == nil {
		return false
	}
	s.mu.Lock()
	reason := s.reason
	s.mu.Unlock()
	return recoverableReasons[reason] && s.isMember()
}

// part takes the socket out of its namespace, for good or until its client comes back.
func (s *Socket) part(reason Reason) {
	t := s.ticket
	// One that was lost again before it was let in, or that was refused, is what it was: its client may come once more.
	keep := t != nil && (t.recovered && s.stage.refused || (t.recovered || t.answered) && recoverableReasons[reason])
	if !keep {
		s.ns.adapter.Remove(s.id)
		return
	}
	saved := adapter.Session{PID: t.pid, ID: s.id, Offset: t.offset, Replayed: t.replayed}
	if s.stage.refused {
		saved.Expires = t.expires
	}
	s.mu.Lock()
	if s.more != nil {
		saved.Data = maps.Clone(s.more.data)
	}
	s.mu.Unlock()
	s.ns.recovery.adapter.Save(saved)
	if s.conn.server.debugs() {
		s.conn.server.opts.Logger.Debug("socketio: socket saved", "namespace", s.ns.name, "socket", s.id, "reason", string(reason))
	}
}

// stamped is an encoding with a place for the offset.
type stamped struct {
	*engineio.Message
	at int
}

var _ adapter.Stamped = (*stamped)(nil)

func (m *stamped) SetOffset(offset string) { m.Overwrite(m.at, []byte(offset)) }

// messageOf is the message of an encoding.
func messageOf(v any) *engineio.Message {
	if m, ok := v.(*stamped); ok {
		return m.Message
	}
	return v.(*engineio.Message)
}

// recoverable returns an event as those who have a ticket get it, with its offset. A volatile one has none unless it ends in a
// string, which the client would take for it: its offset is then that of the last event before it (C-18).
func (s *Server) recoverable(p *adapter.Packet) (any, error) {
	return p.Encoding(s.recoverableFormat, s.encodeRecoverable)
}

func (s *Server) encodeWithOffset(p *adapter.Packet) (any, error) {
	b := scratches.Get().(*scratch)
	defer b.release()
	out, err := s.format.parser.Append(b.text, parser.Outgoing{
		Type: parser.Event, Namespace: p.Namespace, Event: p.Event, Args: p.Args,
		Offset: p.Offset, OffsetAfterString: p.Volatile,
	})
	if err != nil {
		return nil, encodeError{fmt.Sprintf("event %q", p.Event), err}
	}
	b.text = out.Data
	m := s.format.frame(parser.Encoded{Data: out.Data, Binary: out.Binary}, flags{noCompress: p.NoCompress})
	at := m.Len() - len(out.Data) + out.Offset
	for _, a := range out.Attachments {
		m.AppendBinary(a)
	}
	if out.Offset == 0 {
		return m, nil
	}
	return &stamped{m, at}, nil
}

// emitInOrder is emit for a socket that has a ticket: the event takes its place in the order of the namespace. reserve, unless it
// is nil, has made room for it when it returns.
func (s *Socket) emitInOrder(p *adapter.Packet, reserve func(*engineio.Message) error) error {
	if parser.Reserved(p.Event) {
		return reservedError(p.Event)
	}
	if s.state.Load() >= stateLeft {
		return ErrDisconnected
	}
	p.Offset = s.ns.recovery.blank
	v, err := s.conn.server.recoverable(p)
	if err != nil {
		return err
	}
	s.observe(p.Event, p.Args)
	if s.state.Load() == statePending {
		if waits, err := s.wait(p); waits {
			return err
		}
	}
	m := messageOf(v)
	reserved := reserve != nil && s.state.Load() == stateConnected
	if reserved {
		if err := reserve(m); err != nil {
			return sendError(err)
		}
	}
	var sent error
	err = s.ns.recovery.adapter.Deliver(p, s.id, func(to adapter.Member) {
		switch {
		case to != s.member(): // it was lost and has come back
			to.Append(p)
		case reserved:
			reserved = false
			sent = sendError(s.conn.session.AppendReserved(m))
		default:
			sent = s.queue(m, p.Volatile)
		}
	})
	if reserved {
		s.conn.session.Unreserve(m)
	}
	switch {
	case errors.Is(err, adapter.ErrLeft):
		return ErrDisconnected
	case err != nil:
		return err
	case errors.Is(sent, ErrDisconnected) && !p.Volatile:
		return nil // it is stored: the client gets it when it comes back
	}
	return sent
}

// wait keeps an event until the socket is a member; waits is false if it is. Others can find it as soon as it is one, and reach
// it by its room too, so from that moment on nothing is kept: whoever comes first sends what was.
func (s *Socket) wait(p *adapter.Packet) (waits bool, err error) {
	s.mu.Lock()
	t := s.ticket
	if t.member || s.state.Load() != statePending {
		s.mu.Unlock()
		return false, nil
	}
	if s.isMember() {
		s.mu.Unlock()
		s.deliverEarly()
		return false, nil
	}
	defer s.mu.Unlock()
	if p.Volatile {
		return true, engineio.ErrNotWritable
	}
	t.early = append(t.early, p)
	return true, nil
}
