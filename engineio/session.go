package engineio

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/internal/wsframe"
)

// Handler gets what the peer of one session sends. Neither method may block.
type Handler interface {
	// HandleMessage gets each message, in order, one at a time. The data is the engine's again
	// when it returns.
	HandleMessage(data []byte, binary bool)
	// HandleClose is called exactly once, also for a session that the layer above closed. It may
	// run while another goroutine is in HandleMessage. err says more where there is more to say.
	HandleClose(reason Reason, err error)
}

// Opener is a Handler that wants to know when its session is open: HandleOpen is called once, when the open packet is on its
// way and before the first message, and may close the session. What it sends over polling leaves with the second poll, where
// the reference's first packets are too. Like the methods of Handler it may not block.
type Opener interface{ HandleOpen() }

// Batcher is a Handler that wants to know what belongs together: EndBatch is called when all that came at once has been given
// to HandleMessage, all complete messages of one read of a WebSocket or of the body of one POST, and on the same goroutine; also
// where the batch has to be interrupted. What the Handler has put off until then must be done now. It may not block either.
type Batcher interface{ EndBatch() }

// opened tells the Handler.
func (s *Session) opened() {
	if o, ok := s.handler.(Opener); ok {
		o.HandleOpen()
	}
}

// closedFor tells the Handler, at once or when there is one.
func (s *Session) closedFor(reason Reason, err error) {
	if reason.struck() {
		s.Strike()
	}
	s.mu.Lock()
	h := s.handler
	if h == nil {
		s.handler = &unaccepted{reason, err}
	}
	s.mu.Unlock()
	if h != nil {
		h.HandleClose(reason, err)
	}
}

// attach gives the session its Handler.
func (s *Session) attach(h Handler) {
	s.mu.Lock()
	early, _ := s.handler.(*unaccepted)
	s.handler = h
	s.mu.Unlock()
	if early != nil {
		h.HandleClose(early.reason, early.err)
	}
}

func (s *Session) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == closed
}

// unaccepted stands for the Handler of a session that ends, or is closed, while it is being accepted.
type unaccepted struct {
	reason Reason
	err    error
}

func (*unaccepted) HandleMessage([]byte, bool) {}
func (*unaccepted) HandleClose(Reason, error)  {}

// state is where a session is in its life; it only ever goes forward.
type state uint8

const (
	opening state = iota // a plain session whose handshake is not answered yet; others begin open
	open
	draining // Close was called: what is queued still leaves, nothing else is accepted
	closed   // everything is released
)

const (
	// closeTimeout is how long a closing WebSocket may take to deliver what is queued.
	closeTimeout = 5 * time.Second
	// stopTimeout is the same while the server shuts down: some phone is always asleep.
	stopTimeout = time.Second
	// blindCloseTimeout is the same once everything is written, on a connection that cannot half-close.
	blindCloseTimeout = 250 * time.Millisecond
	// finalPollTimeout is how long a closed polling session waits at most to tell the client so (spec 3.1): no longer than an
	// open one would wait for a client that does not poll.
	finalPollTimeout = 30 * time.Second
)

// Session is one client's Engine.IO session, whatever transport it is on. Every method may be called
// from any goroutine.
//
// Its lock owns its state; nobody writes to a connection or calls the Handler while holding it.
// Above it in the order of locks is only what the layer above may hold while it calls Append.
//
// There may be very many sessions, so what is small stands together: the struct just fits one of the allocator's sizes.
type Session struct {
	server    *Server
	id        string
	handshake *Handshake
	handler   Handler    // see attach
	v3        *protocol3 // nil for a client of protocol 4

	mu      sync.Mutex
	ws      *webSocket    // the connection, unless the transport is polling
	upgrade *webSocket    // a connection that is probing
	poll    *poll         // the pending GET, when the transport is polling
	polled  chan struct{} // closed when a poll comes; see closedByPeer
	rare    *rare         // nil: nothing of it
	traffic Traffic

	// Writing, see write.go.
	out   *outbox // what is queued; nil when that is nothing
	bytes int     // queued or being written, and packets
	room  chan struct{}

	turn sync.Mutex // held during a batch, see batch.begin

	// Heartbeat, see heartbeat.go. The timer is also the deadline of a closing session.
	beat   wheel.Timer
	beatFn func()

	// Inbound budget, see inbound.go.
	inbound atomic.Int64 // bytes, and events times inboundEvent
	resume  chan struct{}

	packets  int32
	awaiting int32
	paused   atomic.Bool
	// congested is whether more than half of the outbound budget is in use; it changes under mu.
	congested atomic.Bool

	plain    bool // a WebSocket without the protocol, see plain.go; never changes
	state    state
	polling  bool // is the transport; otherwise it is WebSocket
	posting  bool // a POST is in flight
	handling bool // the body of a POST is being handed over
	reading  bool // somebody reads ws
	upgraded bool // from polling to WebSocket

	writing  bool // somebody owns writing to ws, until the queue is empty
	stalled  bool // that is a goroutine, because the peer does not take the bytes
	holding  bool // the reader is in a batch and will flush when it ends
	listed   bool // on the dirty list of another reader's batch
	peerDone bool // the peer has sent its close frame
	doomed   bool // over its budget, about to end
	stuck    bool // nothing was written since the last beat that looked, see onBeat

	awaitingPong bool
	refreshed    bool
}

// rare is what few sessions have, or none for long.
type rare struct {
	onUpgrade func() // see OnUpgrade
	between   func() // see Between
	address   *address
}

// extra returns s.rare. Called with mu held.
func (s *Session) extra() *rare {
	if s.rare == nil {
		s.rare = new(rare)
	}
	return s.rare
}

func (s *Server) newSession(r *http.Request, t Transport, id string) *Session {
	session := &Session{
		server:    s,
		id:        id,
		handshake: newHandshake(r, s.opts.TrustedProxies, &s.context),
		state:     open,
		polling:   t == Polling,
	}
	session.beatFn = session.onBeat
	return session
}

// ID returns the session id: 20 characters of [A-Za-z0-9_-], or what Options.GenerateID made.
func (s *Session) ID() string { return s.id }

// Transport returns what the session is on now.
func (s *Session) Transport() Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport()
}

func (s *Session) transport() Transport {
	if s.polling {
		return Polling
	}
	return WebSocket
}

// OnUpgrade calls fn on a goroutine of its own when the session has moved from polling to WebSocket, or
// at once if it has (S-62). A session that opened on WebSocket never does. Of the reference's other
// events of a connection, packets and the heartbeat are counted by Stats, flush and drain are what
// SendWait and AwaitRoom are for, and open, message and close are the Handler's.
func (s *Session) OnUpgrade(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upgraded {
		s.server.goroutines.run(fn)
		return
	}
	x := s.extra()
	if before := x.onUpgrade; before != nil {
		after := fn
		fn = func() { before(); after() }
	}
	x.onUpgrade = fn
}

// Handshake returns the request that opened the session.
func (s *Session) Handshake() *Handshake { return s.handshake }

// Close ends the session. What is queued still leaves if the peer takes it within a few seconds, but
// nothing more is accepted. HandleClose is called with the reason, on a goroutine of its own, so
// Close may be called with the caller's own locks held.
func (s *Session) Close(reason Reason) {
	s.shut(reason, nil, wsframe.StatusNormal, "")
}

// shut moves an open session to draining.
func (s *Session) shut(reason Reason, err error, status uint16, text string) {
	s.mu.Lock()
	if s.state == opening { // there is nothing to be released, and it does not count
		s.state = closed
		s.mu.Unlock()
		s.server.goroutines.run(func() { s.closedFor(reason, err) })
		return
	}
	if s.state != open {
		s.mu.Unlock()
		return
	}
	s.state = draining
	s.ends().count(reason)
	s.wakeLocked()
	timeout := closeTimeout
	if s.server.stopping() {
		timeout = stopTimeout
	}
	if !s.polling {
		frame := wsframe.AppendClose(nil, status, text)
		s.queue().add(frame, 0, false)
		s.chargeLocked(len(frame), 0)
	} else {
		timeout = min(finalPollTimeout, s.server.opts.PingInterval+s.server.opts.PingTimeout)
	}
	s.server.wheel.Schedule(&s.beat, timeout, s.beatFn)
	upgrade := s.dropUpgradeLocked()
	s.flushUnlock()
	if upgrade != nil {
		_ = upgrade.Close() // its reader sees to the rest
	}
	s.server.goroutines.run(func() { s.closedFor(reason, err) })
}

// hasten is for a closing session, perhaps from before, whose server is going away.
func (s *Session) hasten() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == draining {
		s.server.wheel.Schedule(&s.beat, stopTimeout, s.beatFn)
	}
}

// end releases everything, from whatever state, once. It is the only way to closed.
func (s *Session) end(reason Reason, err error) {
	ledger := &s.server.stats.ledger
	ledger.RLock() // not while mu is held: see Server.Stats
	s.mu.Lock()
	if s.state == closed {
		s.mu.Unlock()
		ledger.RUnlock()
		return
	}
	was := s.state
	s.state = closed
	s.ends().settle(s.traffic)
	ledger.RUnlock()
	ws, upgrade, p, out := s.ws, s.dropUpgradeLocked(), s.poll, s.out
	s.poll, s.out = nil, nil
	if p != nil {
		// A GET that is still pending hears that the session is over.
		p.box, p.last = out, true
	} else if out != nil {
		out.release()
	}
	s.wakeLocked()
	s.mu.Unlock()

	if p != nil {
		close(p.ready)
	}
	s.server.wheel.Stop(&s.beat)
	s.server.forget(s)
	if ws != nil {
		_ = ws.conn.Close()
	}
	if upgrade != nil {
		_ = upgrade.Close()
	}
	if was == open {
		s.ends().count(reason)
	}
	if was <= open {
		s.closedFor(reason, err)
	}
}

// dropUpgradeLocked ends an upgrade under way and returns the connection to close, if there is one yet.
func (s *Session) dropUpgradeLocked() stream.Conn {
	u := s.upgrade
	s.upgrade = nil
	if u == nil {
		return nil
	}
	return u.conn
}

// endAsync is end for callers that must not run the handler: those in the middle of a send.
func (s *Session) endAsync(reason Reason, err error) {
	s.server.goroutines.run(func() { s.end(reason, err) })
}

// wakeLocked lets everybody who waits for this session look at its state again.
func (s *Session) wakeLocked() {
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
	if s.resume != nil {
		close(s.resume)
		s.resume = nil
	}
}
