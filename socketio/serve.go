package socketio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/parser"
)

// lateAfter is how long an event may wait behind another of its socket before that is worth a line in the log.
const lateAfter = time.Second

// stage is where a socket's lane is. It belongs to whichever worker runs the lane, one at a time.
type stage struct {
	step     step
	examined bool  // examine has been gone through, and the Admit of all hooks: a plain client before its connection is open
	member   bool  // is in the adapter
	admitted bool  // somebody accepted it, so that its events and its leaving matter
	refused  bool  // somebody did not
	warned   bool  // that an event waited, in this turn of the lane
	accepted int16 // hooks[:accepted] have been gone through
}

type step uint8

const (
	stepNew step = iota
	stepConnecting
	stepServing
	stepEnded
)

// run is a turn of the lane: connect first, then the events that are there, and what is left to do when no more will come.
func (s *Socket) run() {
	switch s.stage.step {
	case stepNew:
		s.stage.step = stepConnecting
		s.connect()
	case stepConnecting:
		s.refuse(errGoexit)
	case stepEnded:
		return
	}
	s.stage.step = stepServing
	s.stage.warned = false
	var spent chain
	defer spent.release()
	for {
		e, last := s.lane.next()
		switch {
		case e != nil:
			s.conn.session.AwaitRoom(s.conn.server.stopping) // for the answers to the events before
			s.handle(e, &spent)
		case last:
			s.stage.step = stepEnded
			s.finish()
			return
		default:
			return
		}
	}
}

var errGoexit = errors.New("a hook ended its goroutine")

// errLeaving ends the questions whether a client may connect that does not want to any more.
var errLeaving = errors.New("the client has left, or is to leave")

// connect lets middlewares and hooks decide, and answers CONNECT. A client that leaves meanwhile is not answered.
func (s *Socket) connect() {
	ctx := s.Context()
	recovered := false
	switch {
	case s.conn.plain != nil && !s.conn.plain.opened: // its handshake was refused, or could not be answered
		return
	case !s.stage.examined:
		var err error
		if recovered, err = s.examine(ctx); err != nil {
			s.decline(err)
			return
		}
	}
	if !recovered {
		s.become()
	}
	if err := s.welcome(ctx); err != nil {
		s.decline(err)
		return
	}
	s.answer()
}

// decline answers after an error of examine or welcome.
func (s *Socket) decline(err error) {
	if err == errLeaving {
		s.answer()
		return
	}
	s.refuse(err)
}

// examine makes the socket's namespace what it is to be and asks the middlewares; a socket that may recover does so first.
func (s *Socket) examine(ctx context.Context) (recovered bool, err error) {
	if s.ns.dynamic() {
		if err := s.ask(ctx, func(ctx context.Context, s *Socket) error { return s.settle(ctx) }); err != nil {
			return false, err
		}
		if s.leaving() {
			return false, errLeaving
		}
	}
	r := s.ns.registry.Load()
	for _, fn := range r.open {
		if err := s.ask(ctx, func(context.Context, *Socket) error { fn(s); return nil }); err != nil {
			return false, err
		}
	}
	recovered = s.recover(ctx)
	if recovered && !s.conn.server.opts.Recovery.RunMiddlewares {
		return true, nil
	}
	for _, mw := range r.middlewares {
		if err := s.ask(ctx, mw); err != nil {
			return recovered, err
		}
		if s.leaving() {
			return recovered, errLeaving
		}
	}
	return recovered, nil
}

// welcome asks the connection hooks of a socket that is a member.
func (s *Socket) welcome(ctx context.Context) error {
	for _, h := range s.ns.registry.Load().hooks {
		if h.Admit != nil || h.Connection != nil {
			if s.leaving() {
				return errLeaving
			}
			if h.Admit != nil && !s.stage.examined {
				if err := s.ask(ctx, h.Admit); err != nil {
					return err
				}
			}
			if h.Connection != nil {
				if err := s.ask(ctx, h.Connection); err != nil {
					return err
				}
			}
			s.stage.admitted = true
		}
		s.stage.accepted++
	}
	s.stage.admitted = true
	return nil
}

// ask calls a middleware or hook.
func (s *Socket) ask(ctx context.Context, fn func(context.Context, *Socket) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return fn(ctx, s)
}

// leaving reports whether there is no point in asking further hooks.
func (s *Socket) leaving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Load() != statePending || s.kick != kickNot
}

// replyLead is how long the reply to CONNECT goes ahead of what was sent meanwhile. The reference sends the two in different
// turns of its event loop, and clients rely on it: the official protocol suite begins to listen for the next packet when it has
// seen the reply, and loses one that comes with it in a single read.
const replyLead = 3 * time.Millisecond

// answer sends the reply to CONNECT, what was held back for it, and what Disconnect left to do.
func (s *Socket) answer() {
	var reply *engineio.Message // nil for a plain client, who knows that it is connected
	if s.conn.plain == nil {
		var err error
		reply, err = s.conn.server.format.message(parser.Outgoing{Type: parser.Connect, Namespace: s.ns.name, Data: s.connectReply()})
		if err != nil {
			s.refuse(err)
			return
		}
	}
	if s.state.Load() == statePending {
		s.replay()
	}
	s.mu.Lock()
	if s.state.Load() != statePending {
		s.mu.Unlock() // the client has left
		return
	}
	if reply != nil {
		_ = s.conn.session.Insist(reply) // a session that has ended tells us so by itself
	}
	if s.more != nil && len(s.more.held.messages) > 0 {
		if reply != nil {
			s.mu.Unlock()
			s.conn.session.Flush()
			<-time.After(replyLead)
			s.mu.Lock()
			if s.state.Load() != statePending {
				s.mu.Unlock() // the client has left
				return
			}
		}
		for _, m := range s.more.held.messages {
			_ = s.conn.session.Append(m, false)
		}
		s.more.held = held{}
	}
	s.state.Store(stateConnected)
	if s.ticket != nil {
		s.ticket.answered = true
	}
	k := s.kick
	s.mu.Unlock()
	s.discharge()
	s.conn.session.Flush()
	s.conn.joined()
	if k != kickNot {
		s.Disconnect(k == kickConnection)
	}
}

// connectReply is the payload of the reply to CONNECT; a client of 2.x gets none.
func (s *Socket) connectReply() any {
	if s.conn.legacy != nil {
		return nil
	}
	if s.ticket == nil {
		return connectReply{SID: s.id}
	}
	return connectReply{s.id, s.ticket.pid}
}

type connectReply struct {
	SID string `json:"sid"`
	PID string `json:"pid,omitzero"` // only with recovery: clients tell by it
}

// refuse answers CONNECT with an error (S-65). What was held back is dropped.
func (s *Socket) refuse(reason error) {
	s.stage.refused = true
	shown := s.shown(reason)
	p := shown.payload()
	s.withdraw() // before the client hears of it
	s.mu.Lock()
	if s.state.Load() != statePending {
		s.mu.Unlock() // the client has left
		return
	}
	k := s.kick
	s.leaveUnlock(stateLeft, ReasonServerNamespaceDisconnect)
	s.conn.unlink(s)
	switch {
	case s.conn.plain != nil:
		s.conn.refusePlain(shown)
	case s.conn.legacy != nil && reason != ErrInvalidNamespace && reason != errTooManyNamespaces: // those are ours: an object here too
		s.conn.refuseBare(s.ns.name, p)
	default:
		s.conn.refuse(s.ns.name, p)
	}
	if k == kickConnection {
		s.conn.session.Close(engineio.ReasonForcedServerClose)
	}
}

// shown is what the client gets to see of why it is refused; the log has the rest.
func (s *Socket) shown(reason error) *ConnectError {
	if ce := (*ConnectError)(nil); errors.As(reason, &ce) && ce != nil {
		return ce
	}
	s.conn.server.opts.Logger.Error("socketio: connection refused because of an error",
		"namespace", s.ns.name, "socket", s.id, "error", reason)
	return &ConnectError{Message: messageInternal, Status: http.StatusInternalServerError}
}

// receive puts an event on the lane.
func (s *Socket) receive(first, last *Event) {
	start, ok := s.lane.push(first, last, &s.conn.server.coarse)
	if !ok {
		var spent chain
		for e := first; e != nil; {
			next := e.next
			s.conn.discharge(e)
			spent.add(e)
			e = next
		}
		spent.release()
		return
	}
	if start {
		s.conn.server.pool.run(s)
	}
}

// handle calls the handlers of an event, in the order they were registered. Events of a socket that was never connected, or
// that the server has disconnected, are dropped; those that a client sent before it left are not.
func (s *Socket) handle(e *Event, spent *chain) {
	defer s.done(e, spent)
	if s.stage.refused || !s.stage.admitted || s.state.Load() == stateExpelled {
		return
	}
	if e.queued != 0 {
		s.checkLate(e)
	}
	r, own := s.ns.registry.Load(), s.listeners.Load()
	if e.excess {
		s.refuseExcess(s.Context(), e, r.excess)
		return
	}
	rt := r.routes[string(e.packet.Event)]
	if rt != nil {
		e.name = rt.event
	}
	ctx := s.Context()
	if (own != nil || len(r.any)+len(r.use) > 0) && !s.precede(ctx, e, r, own) {
		return
	}
	if own = s.listeners.Load(); own != nil { // a middleware may have added some
		if mine := own.routes[string(e.packet.Event)]; mine != nil {
			if rt != nil {
				s.callAll(ctx, rt.handlers, e)
			}
			s.callAll(ctx, mine.handlers, e)
			return
		}
	}
	if rt != nil {
		s.callAll(ctx, rt.handlers, e)
		return
	}
	s.callAll(ctx, r.unknown, e)
}

func (s *Socket) callAll(ctx context.Context, handlers []*Handler, e *Event) {
	for _, h := range handlers {
		s.call(ctx, *h, e)
	}
}

// precede runs what comes before an event's handlers, and reports whether they may run. own may be nil.
func (s *Socket) precede(ctx context.Context, e *Event, r *registry, own *listeners) bool {
	if own == nil {
		own = new(listeners)
	}
	s.callAll(ctx, r.any, e)
	s.callAll(ctx, own.any, e)
	for _, list := range [...][]*EventMiddleware{r.use, own.use} {
		for _, mw := range list {
			if err := s.filter(ctx, *mw, e); err != nil {
				s.fail(ctx, e, err)
				return false
			}
		}
	}
	return s.state.Load() != stateExpelled
}

// filter calls a middleware; a panic is its error.
func (s *Socket) filter(ctx context.Context, mw EventMiddleware, e *Event) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return mw(ctx, e)
}

// fail ends an event that a middleware has refused (S-66).
func (s *Socket) fail(ctx context.Context, e *Event, err error) {
	p := eventErrorPayload{Status: "error", Code: codeInternal, Message: messageInternal}
	ee := (*EventError)(nil)
	known := errors.As(err, &ee) && ee != nil
	if known {
		p.Code, p.Message, p.Details = cmp.Or(ee.Code, codeError), ee.Message, ee.Details
	}
	log := s.conn.server.opts.Logger
	if e.WantsAck() {
		switch ackErr := e.AckError(exception, p); {
		case errors.Is(ackErr, errEncode):
			log.Error("socketio: details of an EventError cannot be encoded", "event", e.Name(), "namespace", s.ns.name, "error", ackErr)
			p.Details = nil
			_ = e.AckError(exception, p)
		case ackErr != nil: // answered by a middleware, or the client has left
		}
	}
	hooks := s.ns.registry.Load().onError
	for _, fn := range hooks {
		s.call(ctx, func(ctx context.Context, e *Event) { (*fn)(ctx, e, err) }, e)
	}
	if len(hooks) == 0 {
		level := slog.LevelError
		if known {
			level = slog.LevelDebug
		}
		if log.Enabled(ctx, level) {
			log.Log(ctx, level, "socketio: a middleware refused an event",
				"event", e.Name(), "namespace", s.ns.name, "socket", s.id, "error", err)
		}
	}
}

// done lets go of an event, which the last to do so puts with those that are spent.
func (s *Socket) done(e *Event, spent *chain) {
	if e.aside.Load() != 0 { // nobody adds to it once the handlers have returned
		if e.aside.Add(-1) >= 0 {
			return
		}
		e.aside.Store(0)
	}
	s.conn.discharge(e)
	spent.add(e)
}

// call runs a handler; a panic ends it and nothing else.
func (s *Socket) call(ctx context.Context, h Handler, e *Event) {
	defer func() {
		if v := recover(); v != nil {
			s.logPanic(v, "event", e.Name())
		}
	}()
	h(ctx, e)
}

func (s *Socket) logPanic(v any, attrs ...any) {
	s.conn.server.logPanic(v, append(attrs, "namespace", s.ns.name, "socket", s.id)...)
}

func (s *Server) logPanic(v any, attrs ...any) {
	s.opts.Logger.Error("socketio: panic in a handler", append(attrs, "panic", v, "stack", string(debug.Stack()))...)
}

// checkLate tells of events that had to wait long for the handler of another one, once in a turn.
func (s *Socket) checkLate(e *Event) {
	if s.stage.warned {
		return
	}
	if waited := s.conn.server.coarse.read() - e.queued; waited > lateAfter {
		s.stage.warned = true
		s.conn.server.opts.Logger.Warn("socketio: event waited for the handler of another one of its socket",
			"event", e.Name(), "waited", waited, "namespace", s.ns.name, "socket", s.id)
	}
}

// finish is the last thing on the lane: the socket leaves its rooms and its namespace, and the disconnect hooks of those that
// had accepted it run.
func (s *Socket) finish() {
	s.awaitAside()
	server := s.conn.server
	defer server.release()
	defer func() { s.ns.exit() }()
	defer s.conn.succeed(s)
	defer s.discharge()
	if s.ticket != nil {
		defer s.ns.recovery.release(s.ticket)
	}
	ctx := s.Context()
	hooks := s.ns.registry.Load().hooks
	s.mu.Lock()
	reason := s.reason
	s.mu.Unlock()
	if s.stage.member && s.stage.admitted {
		for i, h := range hooks {
			if h.Disconnecting != nil && s.accepted(h, i) {
				s.tell(ctx, h.Disconnecting, reason)
			}
		}
	}
	s.withdraw()
	s.mu.Lock()
	if s.state.Load() == stateConnected { // the server shuts down
		s.leaveUnlock(stateLeft, reason)
	} else {
		s.mu.Unlock()
	}
	s.conn.ended()
	if !s.stage.admitted {
		return
	}
	for i, h := range s.ns.registry.Load().hooks {
		if h.Disconnect != nil && s.accepted(h, i) {
			s.tell(ctx, h.Disconnect, reason)
		}
	}
}

// accepted reports whether hook i is to hear that the socket leaves: of those that its other half has accepted, or without
// other half, of those that nobody refused.
func (s *Socket) accepted(h Hooks, i int) bool {
	if h.Admit == nil && h.Connection == nil {
		return !s.stage.refused
	}
	return i < int(s.stage.accepted)
}

// withdraw takes the socket out of its namespace and its rooms, which it remembers.
func (s *Socket) withdraw() {
	if !s.stage.member {
		return
	}
	s.stage.member = false
	rooms := s.ns.adapter.Rooms(s.id)
	s.mu.Lock()
	s.extra().rooms = rooms
	reason := s.reason
	s.mu.Unlock()
	s.part(reason)
}

func (s *Socket) tell(ctx context.Context, fn func(context.Context, *Socket, Reason), reason Reason) {
	defer func() {
		if v := recover(); v != nil {
			s.logPanic(v, "hook", "disconnect")
		}
	}()
	fn(ctx, s, reason)
}
