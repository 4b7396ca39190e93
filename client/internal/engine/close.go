package engine

import "time"

const (
	// closeTimeout bounds how long Close takes to send what is queued and to say good-bye.
	closeTimeout = 5 * time.Second
	// shutTimeout is the same where nothing more is sent: somebody waits to connect again.
	shutTimeout = time.Second
)

// Close begins to close the connection and does not wait: what is queued still leaves and the server is told. After five seconds at the latest Serve returns, with ForcedClose. Further calls do nothing.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(ForcedClose, nil, closeTimeout)
}

// shut ends the connection for that reason, but tells the server. Nothing more is sent or handled.
func (c *Conn) shut(reason Reason, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf.Store(true)
	if c.state != opened {
		return // Close was called: what was queued before it still leaves
	}
	c.queue.drop()
	c.signalLocked()
	c.closeLocked(reason, err, shutTimeout)
}

func (c *Conn) closeLocked(reason Reason, err error, within time.Duration) {
	if c.state != opened {
		return
	}
	c.state = closing
	c.reason, c.err = reason, err
	if c.cancelProbe != nil { // what the server has not agreed to is not waited for
		c.cancelProbe()
	}
	c.tasks.Add(1)
	go c.leave(within)
}

// leave closes the connection in the proper way, if that takes no longer than within.
func (c *Conn) leave(within time.Duration) {
	defer c.tasks.Done()
	timer := time.AfterFunc(within, func() { c.end("", nil) })
	defer timer.Stop()
	c.mu.Lock()
	if u := c.upgrade; u != nil && !u.switching {
		// It would take as long as the server, or who handles a message, likes. The server keeps a session on polling whose
		// upgrade is broken off.
		c.giveUpLocked()
		c.mu.Unlock()
		u.ws.abort()
		c.mu.Lock()
	}
	for c.state != ended && (c.writing || c.queue.packets > 0 || c.upgrade != nil) {
		changed := c.changedLocked()
		c.mu.Unlock()
		<-changed
		c.mu.Lock()
	}
	c.leaving = true
	c.deaf.Store(true)
	over, ws := c.state == ended, c.ws
	c.mu.Unlock()
	switch {
	case over:
		return
	case ws != nil:
		ws.close()
	default:
		c.sayClose()
	}
	c.end("", nil)
}
