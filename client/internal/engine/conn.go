package engine

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Handler gets what the server sends. Its methods are called one at a time.
type Handler interface {
	// Message gets each message in order. It may block, and then the server has to wait. The data is the engine's again when it
	// returns. An error ends the connection with ParseError.
	Message(data []byte, binary bool) error
	// Ping is called for each ping, when its answer is queued.
	Ping()
	// Upgraded is called when the connection has moved to another transport.
	Upgraded(t Transport)
	// UpgradeError is called when it could not, and stays where it is.
	UpgradeError(err error)
}

// state is where a connection is in its life; it only ever goes forward.
type state uint8

const (
	opened  state = iota
	closing       // Close was called: what is queued still leaves, nothing more is accepted
	ended
)

// Conn is a connection. Every method may be called from any goroutine; Serve is called once.
//
// Its lock owns its state. Nobody calls the Handler or the network while holding it.
type Conn struct {
	config  Config
	http    *http.Client
	id      string
	opening open
	handler Handler
	clock   clock
	rest    []byte // of the body the open packet was in

	ctx    context.Context // of requests; ends with the connection
	cancel context.CancelFunc
	done   chan struct{}  // closed when it has ended
	tasks  sync.WaitGroup // its goroutines but Serve's. Add is called with mu held, before the end
	writer func()         // c.write, made once
	stamp  atomic.Uint64  // of requests
	deaf   atomic.Bool    // what comes is not for the Handler any more
	turn   chan struct{}  // held by who calls the Handler while two might

	mu          sync.Mutex
	state       state
	transport   Transport
	ws          *webSocket // when transport is WebSocket
	upgrade     *upgrade   // from when the server has answered the probe until it is decided
	cancelProbe context.CancelFunc
	leaving     bool // the last words are being said: nothing is asked of the server any more
	queue       queue
	writing     bool          // the writer runs
	alone, vain int           // see gatherLocked
	changed     chan struct{} // closed at the next change that somebody waits for; nil while nobody does
	reason      Reason        // why it ended, or why it is being closed
	err         error
}

// ID is the session's id.
func (c *Conn) ID() string { return c.id }

// Patience is how long either side waits for the other's heartbeat: the server's interval and timeout together.
func (c *Conn) Patience() time.Duration { return c.clock.limit }

// Transport is the one the connection is on.
func (c *Conn) Transport() Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

// Serve reads until the connection has ended, and says why. It must be called once, soon after Dial. Once ctx is done the
// connection ends abruptly, with ForcedClose. No goroutine of the connection's is left when it returns.
func (c *Conn) Serve(ctx context.Context, h Handler) (Reason, error) {
	c.handler = h
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		c.end(ForcedClose, context.Cause(ctx))
	})
	c.clock.start()
	if c.ws != nil { // before there is a poll that could upgrade, nobody writes it
		c.readWebSocket(c.ws)
	} else {
		c.servePolling()
	}
	<-c.done
	c.tasks.Wait()
	c.clock.stop()
	if !stop() {
		<-over
	}
	if c.ws != nil {
		c.ws.release()
	}
	return c.reason, c.err
}

// end ends the connection at once, if it has not ended yet. Whoever waits for the network hears of it.
func (c *Conn) end(reason Reason, err error) {
	c.mu.Lock()
	if c.state == ended {
		c.mu.Unlock()
		return
	}
	if c.state == opened { // otherwise the reason is known
		c.reason, c.err = reason, err
	}
	c.state = ended
	c.deaf.Store(true)
	c.queue.drop()
	c.signalLocked()
	ws, u := c.ws, c.upgrade
	close(c.done)
	c.mu.Unlock()
	if c.config.Logger.Enabled(c.ctx, slog.LevelDebug) {
		c.config.Logger.Debug("engine.io connection ended", "sid", c.id, "reason", string(c.reason), "err", c.err)
	}
	c.cancel()
	if ws != nil {
		ws.abort()
	}
	if u != nil {
		u.ws.abort()
	}
}

// changedLocked is closed at the next change of the queue or the state.
func (c *Conn) changedLocked() <-chan struct{} {
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}

func (c *Conn) signalLocked() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// received handles a packet and reports whether to go on.
func (c *Conn) received(p packet) bool {
	if c.deaf.Load() {
		return false
	}
	switch p.kind {
	case packetMessage:
		if err := c.handler.Message(p.data, p.binary); err != nil {
			reason := ParseError
			if errors.Is(err, ErrStuck) {
				reason = PingTimeout
			}
			c.shut(reason, err)
			return false
		}
		return !c.deaf.Load()
	case packetPing:
		c.pong()
		c.clock.restart()
		c.handler.Ping()
	case packetClose:
		c.end(TransportClose, nil)
		return false
	case packetOpen:
		c.shut(TransportError, errSecondOpen)
		return false
	default:
		// Without meaning here; ignored like the reference does.
	}
	return true
}
