package socketio

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/socketio/parser"
)

// conn is safe for concurrent use. It is what a session's messages go to: one client with its sockets in one or more
// namespaces. The engine calls HandleMessage from one goroutine at a time.
//
// Its lock is never held while something is sent or a socket is told something.
type conn struct {
	server     *Server
	session    *engineio.Session
	prev, next *conn   // in the server's list, under the lock of a shard
	intake     *intake // between the first message of a batch and its end; the reader's
	legacy     *legacy
	plain      *plain // nil: a client of Socket.IO

	mu       sync.Mutex
	sockets  *Socket      // linked by Socket.next, at most one of a namespace
	timer    *wheel.Timer // until a namespace is joined
	partial  *partial     // a packet whose attachments are awaited
	live     int32        // sockets whose lane has not ended; they may be off the list already
	draining bool         // the server is shutting down: no new sockets, and the last one closes the session
	over     bool         // the session has ended, or is about to: nothing the client sends matters
	refusals uint16       // CONNECTs that were answered so
}

// partial is a binary packet that is not complete yet.
type partial struct {
	event  *Event
	socket *Socket
	bytes  int
	timer  wheel.Timer
}

// What a client can do wrong. It ends the connection and is logged at debug level: a server on the open internet sees
// all of it.
var (
	errTextAwaited    = errors.New("text while attachments are awaited")
	errNotJoined      = errors.New("packet for a namespace that was not joined")
	errJoinedTwice    = errors.New("CONNECT for a namespace that was joined before")
	errConnectTimeout = errors.New("no namespace was joined in time")
	errPartialTimeout = errors.New("attachments did not arrive in time")
	errPartialBytes   = errors.New("attachments of a packet are too long together")
	errRefusals       = errors.New("too many CONNECTs were refused")
	errExcesses       = errors.New("too many events in a row were beyond the rate")
)

// HandleOpen begins what a client need not ask for.
func (c *conn) HandleOpen() {
	if c.plain == nil {
		c.legacy.open(c)
		return
	}
	c.mu.Lock()
	s := c.sockets
	c.mu.Unlock()
	if s != nil { // or it has ended, just now
		c.startConnectTimer(c.server.opts.ConnectTimeout + refusalLead)
		c.begin(s, true)
	}
}

// HandleMessage handles one message of the client.
func (c *conn) HandleMessage(data []byte, binary bool) {
	if binary && c.plain == nil && c.attach(data) {
		return
	}
	if c.intake == nil {
		c.intake = intakes.Get().(*intake)
	}
	e := c.intake.event()
	if err := e.parse(c, data, binary); err != nil {
		e.release()
		c.handOver()
		c.abort(engineio.ReasonForcedClose, err) // S-93
		return
	}
	c.legacy.splitQuery(&e.packet)
	if c.gather(e) {
		return
	}
	c.handOver() // before anything else, because it came before
	c.mu.Lock()
	over, awaited := c.over, c.partial != nil
	s := c.addressee(e.packet.Namespace)
	if s != nil && e.packet.Attachments > 0 && !over && !awaited {
		c.await(e, s)
		c.mu.Unlock()
		c.session.Await()
		c.charge(e, e.size())
		return
	}
	c.mu.Unlock()
	switch {
	case over:
		e.release()
	case awaited:
		e.release()
		c.abort(engineio.ReasonForcedClose, errTextAwaited)
	case e.packet.Type == parser.Connect:
		c.connect(e)
		e.release()
	case s == nil && c.plain != nil:
		e.release() // it was refused, and is about to hear of it
	case s == nil:
		e.release()
		c.abort(engineio.ReasonForcedServerClose, errNotJoined) // S-94
	default:
		c.deliver(s, e)
	}
}

// deliver hands a complete packet to the socket it is for.
func (c *conn) deliver(s *Socket, e *Event) {
	switch e.packet.Type {
	case parser.Event, parser.BinaryEvent:
		c.measure(s, e)
		if e.charged {
			e.socket = s
			s.receive(e, e)
			return
		}
		c.beginIntake(s, e)
	case parser.Ack, parser.BinaryAck:
		c.discharge(e)
		s.resolve(e)
	case parser.Disconnect:
		e.release()
		c.unlink(s)
		s.leave(ReasonClientNamespaceDisconnect)
	default: // CONNECT_ERROR is the server's to send
		e.release()
		c.abort(engineio.ReasonForcedClose, errors.New("CONNECT_ERROR from a client"))
	}
}

// await keeps a packet until its attachments have come. Reading has to go on for that though the inbound budget may be
// used up, so it is bracketed by Await and Resume: a packet that is larger than the budget ends the connection.
func (c *conn) await(e *Event, s *Socket) {
	p := &partial{event: e, socket: s}
	e.attachments = slices.Grow(e.attachments, e.packet.Attachments)
	c.partial = p
	c.server.wheel.Schedule(&p.timer, c.server.opts.Limits.AttachmentTimeout, func() {
		c.mu.Lock()
		late := c.partial == p
		c.mu.Unlock()
		if late {
			c.abort(engineio.ReasonForcedClose, errPartialTimeout)
		}
	})
}

// attach adds an attachment to the packet that awaits it; without one the message is for the parser.
func (c *conn) attach(data []byte) (done bool) {
	c.mu.Lock()
	p := c.partial
	if c.over || p == nil {
		defer c.mu.Unlock()
		return c.over
	}
	e := p.event
	if p.bytes += len(data); p.bytes > c.server.opts.Limits.MaxAttachmentBytes {
		c.mu.Unlock()
		c.abort(engineio.ReasonForcedClose, errPartialBytes)
		return true
	}
	e.attachments = append(e.attachments, append([]byte{}, data...))
	complete := len(e.attachments) == len(e.packet.Embedded)+e.packet.Attachments
	if complete {
		c.partial = nil
	}
	c.mu.Unlock()
	c.charge(e, len(data))
	if complete {
		c.server.wheel.Stop(&p.timer)
		c.session.Resume()
		c.deliver(p.socket, e)
	}
	return true
}

// charge counts a part of a packet against the inbound budget.
func (c *conn) charge(e *Event, bytes int) {
	e.charged = true
	c.session.Charge(1, bytes)
}

// discharge takes all parts of a packet off it.
func (c *conn) discharge(e *Event) {
	if !e.charged {
		return
	}
	e.charged = false
	n := e.size()
	later := e.attachments[len(e.packet.Embedded):]
	for _, a := range later {
		n += len(a)
	}
	c.session.Discharge(1+len(later), n)
}

// connect begins a socket. It is pending when connect returns, so that however many CONNECT packets come in one payload,
// there is one socket.
func (c *conn) connect(e *Event) {
	ns := c.server.enter(e.packet.Namespace)
	if ns == nil {
		c.refuse(string(e.packet.Namespace), connectErrorPayload{Message: messageInvalidNamespace}) // S-74
		return
	}
	c.mu.Lock()
	if old := c.find(e.packet.Namespace); old != nil {
		switch old.state.Load() {
		case statePending:
			c.mu.Unlock()
			ns.exit()
			return
		case stateConnected:
			c.mu.Unlock()
			ns.exit()
			c.abort(engineio.ReasonForcedServerClose, errJoinedTwice) // S-94
			return
		}
		c.drop(old)
	}
	if c.over || c.draining {
		c.mu.Unlock()
		ns.exit()
		return
	}
	if int(c.live) >= c.server.opts.Limits.MaxSockets && ns.dynamic() {
		c.mu.Unlock()
		ns.exit()
		c.server.stats.namespacesRefused.Add(1)
		c.refuse(ns.name, errTooManyNamespaces.payload())
		return
	}
	if c.sockets != nil && c.auths()+len(e.packet.Data) > maxAuths {
		c.mu.Unlock()
		ns.exit()
		c.refuse(ns.name, errTooMuchAuth.payload())
		return
	}
	if !c.mayConnect() {
		c.mu.Unlock()
		ns.exit()
		c.server.stats.eventsRefused.Add(1)
		c.refuse(ns.name, errConnectRate.payload())
		return
	}
	s := newSocket(c, ns, e.packet.Data)
	s.next = c.sockets
	c.sockets = s
	c.live++
	c.server.live.Add(1)
	begin := c.legacy.enter(s)
	c.mu.Unlock()
	s.charge()
	if begin {
		c.server.pool.run(s)
	}
}

// maxAuths bounds what a connection's sockets keep of the client's auths together, in bytes. A single one may be as large as a
// payload.
const maxAuths = 1 << 20

var errTooMuchAuth = &ConnectError{Message: "too much auth"}

// auths is the size of those of the sockets on the list. Called with mu held.
func (c *conn) auths() (n int) {
	for s := c.sockets; s != nil; s = s.next {
		n += len(s.handshake.auth)
	}
	return n
}

// refuse answers a CONNECT with an error.
func (c *conn) refuse(namespace string, p connectErrorPayload) {
	c.answerError(namespace, p, connectErrorPayload{Message: p.Message})
}

// answerError sends CONNECT_ERROR with data, or with fallback if that cannot be encoded.
func (c *conn) answerError(namespace string, data, fallback any) {
	if !c.refusing() {
		return
	}
	o := parser.Outgoing{Type: parser.ConnectError, Namespace: namespace, Data: data}
	m, err := c.server.format.message(o)
	if err != nil {
		c.server.opts.Logger.Error("socketio: data of a ConnectError cannot be encoded", "namespace", namespace, "error", err)
		o.Data = fallback
		m, err = c.server.format.message(o)
	}
	if err == nil && c.session.Insist(m) == nil { // a client that has left needs no answer
		c.session.Flush()
	}
}

// format is how packets look to the client.
func (c *conn) format() *format {
	if c.plain != nil {
		return c.plain.format
	}
	return c.server.format
}

// addressee returns the socket that a packet is for. Called with mu held.
func (c *conn) addressee(namespace []byte) *Socket {
	if c.plain != nil {
		return c.sockets
	}
	return c.find(namespace)
}

// find returns the socket of a namespace; nil stands for "/". One that the server has disconnected stays on the list until
// the client connects again, because packets that it sent before it knew are no offence. Called with mu held.
func (c *conn) find(namespace []byte) *Socket {
	for s := c.sockets; s != nil; s = s.next {
		if string(namespace) == s.ns.name || len(namespace) == 0 && s.ns.name == "/" {
			return s
		}
	}
	return nil
}

// socket returns the connection's socket in a namespace.
func (c *conn) socket(ns *Namespace) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find([]byte(ns.name))
}

func (c *conn) unlink(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(s)
}

// drop takes a socket off the list if it is on it. Called with mu held.
func (c *conn) drop(s *Socket) {
	for at := &c.sockets; *at != nil; at = &(*at).next {
		if *at == s {
			*at = s.next
			return
		}
	}
}

// list returns the sockets on the list. Called with mu held.
func (c *conn) list() (sockets []*Socket) {
	for s := c.sockets; s != nil; s = s.next {
		sockets = append(sockets, s)
	}
	return sockets
}

// refusalLead is what connection hooks have more than ConnectTimeout before a plain client is cut. Those that give themselves that
// much, as the gateways' do, can still refuse it then.
const refusalLead = 200 * time.Millisecond

// startConnectTimer gives the client time to join a namespace (S-5).
func (c *conn) startConnectTimer(d time.Duration) {
	t := new(wheel.Timer)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.timer = t
	c.server.wheel.Schedule(t, d, func() {
		c.mu.Lock()
		late := c.timer == t
		c.mu.Unlock()
		if late {
			c.abort(engineio.ReasonForcedServerClose, errConnectTimeout)
		}
	})
}

// joined ends that.
func (c *conn) joined() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopConnectTimer()
}

func (c *conn) stopConnectTimer() {
	if c.timer != nil {
		c.server.wheel.Stop(c.timer)
		c.timer = nil
	}
}

// abort ends the connection of a client that broke a rule.
func (c *conn) abort(reason engineio.Reason, err error) {
	c.mu.Lock()
	first := !c.over
	c.over = true
	c.mu.Unlock()
	if first {
		c.server.stats.aborted(err)
		if err != errConnectTimeout && err != errPartialTimeout { // who is slow may have a bad connection
			c.session.Strike()
		}
	}
	if c.server.debugs() {
		c.server.opts.Logger.Debug("socketio: connection aborted",
			"session", c.session.ID(), "reason", string(reason), "error", err)
	}
	if c.plain != nil {
		text := err.Error()
		if e, ok := errors.AsType[*parser.Error](err); ok {
			text = e.Err.Error()
		}
		c.session.CloseWith(reason, abortCode(reason, err), text)
		return
	}
	c.session.Close(reason)
}

// HandleClose lets go of everything and tells the sockets.
func (c *conn) HandleClose(reason engineio.Reason, _ error) {
	c.mu.Lock()
	c.over = true
	c.stopConnectTimer()
	p := c.partial
	c.partial = nil
	sockets := c.list()
	c.sockets = nil
	c.server.meters.Delete(c)
	c.mu.Unlock()
	if p != nil {
		c.server.wheel.Stop(&p.timer)
	}
	for _, s := range sockets {
		s.leave(Reason(reason))
		if c.plain != nil {
			c.begin(s, false) // if the session ends before it was open, the socket's lane still has to
		}
	}
	c.server.forget(c)
}

// drain makes the sockets leave when the last event that was read for them is handled, and the connection end with the last of them.
func (c *conn) drain() {
	c.mu.Lock()
	c.draining = true
	sockets := c.list()
	c.mu.Unlock()
	for _, s := range sockets {
		s.shuttingDown()
	}
	c.session.Between(c.endSockets)
}

func (c *conn) endSockets() {
	c.mu.Lock()
	sockets, idle := c.list(), c.live == 0
	c.mu.Unlock()
	for _, s := range sockets {
		s.drain()
	}
	if idle {
		c.drained()
	}
}

// drained ends a connection whose last socket is gone because the server shuts down.
func (c *conn) drained() {
	if c.plain != nil {
		c.session.CloseWith(engineio.ReasonForcedServerClose, closeGoingAway, string(ReasonServerShuttingDown))
		return
	}
	c.session.Close(engineio.ReasonForcedServerClose)
}

// ended is told by each socket that its lane has ended.
func (c *conn) ended() {
	c.mu.Lock()
	c.live--
	last := c.draining && c.live == 0
	c.mu.Unlock()
	if last {
		c.drained()
	}
}
