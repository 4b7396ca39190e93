package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

const (
	// probeTimeout bounds how long a WebSocket may take to open and to be answered over.
	probeTimeout = 20 * time.Second
	// switchTimeout bounds the writing of five bytes.
	switchTimeout = 5 * time.Second
)

var (
	probe       = []byte("probe")
	errNotProbe = errors.New("engine: the probe was not answered with a pong")
	errEarly    = errors.New("engine: the server said something before the upgrade was complete")
)

// upgrade is one that the server has agreed to. Polling stops when what is in flight is done; then whoever polled says so over the
// WebSocket, and goes. Meanwhile the goroutine of Serve reads, so that a WebSocket that breaks is noticed, and polling goes on.
type upgrade struct {
	ws        *webSocket
	switching bool          // it cannot be given up any more; owned by the connection's lock
	decided   chan struct{} // closed by switchOver
	err       error         // why it has failed, once decided
}

// servePolling polls, and upgrades if it can.
func (c *Conn) servePolling() {
	c.mu.Lock()
	if c.state != opened || !c.offered(WebSocket) {
		c.mu.Unlock()
		c.poll()
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, probeTimeout)
	defer cancel()
	c.cancelProbe = cancel
	c.tasks.Go(c.poll)
	c.mu.Unlock()
	ws, err := c.probe(ctx)
	if err != nil {
		c.upgradeFailed(err)
		return
	}
	c.awaitUpgrade(ws)
}

// offered reports whether to try an upgrade to t.
func (c *Conn) offered(t Transport) bool {
	return c.config.Upgrade && slices.Contains(c.opening.upgrades, t) && slices.Contains(c.config.Transports, t)
}

// probe opens a WebSocket and asks whether it works.
func (c *Conn) probe(ctx context.Context) (*webSocket, error) {
	ws, err := dialWebSocket(ctx, &c.config, c.id, c.stamp.Add(1))
	if err != nil {
		return nil, err
	}
	var b *[]byte
	var binary bool
	if err = ws.sayTo(ctx, packetPing, probe); err == nil {
		binary, b, err = ws.read(ctx)
	}
	if err != nil {
		ws.release()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("engine: the probe was not answered: %w", ctx.Err())
		}
		_, err = ws.reason(err)
		return nil, err
	}
	defer giveBuffer(b)
	if p, err := decodeText(*b, nil); err != nil || binary || p.kind != packetPong || !bytes.Equal(p.data, probe) {
		ws.release()
		return nil, errNotProbe
	}
	return ws, nil
}

// awaitUpgrade stops polling, and reads from the WebSocket from then on.
func (c *Conn) awaitUpgrade(ws *webSocket) {
	u := &upgrade{ws: ws, decided: make(chan struct{})}
	c.mu.Lock()
	if c.state != opened {
		c.mu.Unlock()
		ws.release()
		return
	}
	c.upgrade, c.cancelProbe = u, nil
	c.mu.Unlock()

	binary, b, err := ws.read(context.Background())
	c.mu.Lock()
	if !u.switching {
		// Nothing has moved, and nothing will.
		c.giveUpLocked()
		c.mu.Unlock()
		if err == nil {
			giveBuffer(b)
			err = errEarly
		} else {
			_, err = ws.reason(err)
		}
		ws.release()
		c.upgradeFailed(err)
		return
	}
	c.mu.Unlock()
	<-u.decided
	if u.err != nil {
		if err == nil {
			giveBuffer(b)
		}
		ws.release()
		c.upgradeFailed(u.err)
		return
	}
	c.clock.hold()
	if c.receivedFrame(ws, binary, b, err) {
		c.readWebSocket(ws)
	}
}

// switchOver is called by whoever polls, once nothing is in flight. It reports whether the connection has moved.
func (c *Conn) switchOver(u *upgrade) bool {
	ctx, cancel := context.WithTimeout(c.ctx, switchTimeout)
	defer cancel()
	defer close(u.decided)
	err := u.ws.sayTo(ctx, packetUpgrade, nil)
	c.mu.Lock()
	if err != nil {
		_, u.err = u.ws.reason(err)
		c.giveUpLocked()
		c.mu.Unlock()
		u.ws.abort() // so that who reads from it hears of it
		return false
	}
	c.transport, c.ws, c.upgrade = WebSocket, u.ws, nil
	c.dropHTTP()
	c.startLocked()
	c.signalLocked()
	c.mu.Unlock()
	if !c.deaf.Load() {
		c.handler.Upgraded(WebSocket)
	}
	return true
}

// giveUpLocked lets polling go on.
func (c *Conn) giveUpLocked() {
	c.upgrade = nil
	c.startLocked()
	c.signalLocked()
}

// upgradeFailed tells the Handler, unless the connection is being closed: then it is no news.
func (c *Conn) upgradeFailed(err error) {
	c.mu.Lock()
	c.cancelProbe = nil
	live := c.state == opened
	c.mu.Unlock()
	if !live {
		return
	}
	if c.config.Logger.Enabled(c.ctx, slog.LevelDebug) {
		c.config.Logger.Debug("engine.io upgrade failed", "sid", c.id, "err", err)
	}
	select {
	case c.turn <- struct{}{}:
		c.handler.UpgradeError(err)
		<-c.turn
	case <-c.done:
	}
}
