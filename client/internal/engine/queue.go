package engine

import (
	"context"
	"runtime"
	"sync"
)

// lists are what queues keep packets in while they have any: a connection that is idle holds none.
var lists = sync.Pool{New: func() any { return new([]item) }}

const (
	// keepList is the largest list that goes back to the pool.
	keepList = 32 << 10
	// maxPongs is how many pongs may wait: they are outside the bounds, and a server that reads nothing may ping all the time.
	maxPongs = 16
	// maxAlone is how many writes at most are made without looking whether there is more to write.
	maxAlone = 31
)

// queue is what is to be sent. The connection's lock owns it, but for what the writer has taken: out[next:] is its own.
type queue struct {
	in, out *[]item // nil while there is nothing
	next    int
	packets int // in both, until they are written
	bytes   int
	pongs   int
	dropped bool // the writer is to forget what it has
	lost    bool // something was dropped
}

func (q *queue) add(i item) {
	if q.in == nil {
		q.in = lists.Get().(*[]item)
	}
	*q.in = append(*q.in, i)
	q.packets++
	q.bytes += i.size()
}

// take is called by the writer when there is something: what it is to write next.
func (q *queue) take() []item {
	if q.out == nil || q.next == len(*q.out) {
		if q.out != nil {
			*q.out = (*q.out)[:0]
		}
		q.in, q.out, q.next = q.out, q.in, 0
	}
	return (*q.out)[q.next:]
}

// wrote is called by the writer: the first n of what take returned have left.
func (q *queue) wrote(n int) {
	if q.dropped {
		return
	}
	gone := (*q.out)[q.next : q.next+n]
	for i := range gone {
		q.bytes -= gone[i].size()
		if gone[i].kind == packetPong {
			q.pongs--
		}
	}
	q.packets -= n
	clear(gone)
	q.next += n
}

// rest gives the lists back. It is called when the queue is empty.
func (q *queue) rest() {
	for _, l := range []*[]item{q.in, q.out} {
		if l != nil && cap(*l) <= keepList {
			*l = (*l)[:0]
			lists.Put(l)
		}
	}
	q.in, q.out, q.next = nil, nil, 0
}

// drop forgets everything. The writer may still hold what it was writing.
func (q *queue) drop() {
	q.lost = q.lost || q.packets > 0
	q.in, q.out, q.next, q.packets, q.bytes, q.dropped = nil, nil, 0, 0, 0, true
}

// Send queues the messages, all of them or none, in that order, and never waits. It returns ErrFull if the queue has reached a
// bound, unless force; a message that is larger than what is left to the bound is taken, or large ones could never be sent. It
// returns ErrClosed once Close was called or the connection has ended.
func (c *Conn) Send(force bool, messages ...Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != opened {
		return ErrClosed
	}
	if !force && !c.roomLocked() {
		return ErrFull
	}
	for _, m := range messages {
		c.queue.add(item{Message: m, kind: packetMessage})
	}
	c.startLocked()
	return nil
}

// pong answers a ping.
func (c *Conn) pong() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == opened && c.queue.pongs < maxPongs {
		c.queue.pongs++
		c.queue.add(item{kind: packetPong})
		c.startLocked()
	}
}

func (c *Conn) roomLocked() bool {
	return (c.config.MaxPackets <= 0 || c.queue.packets < c.config.MaxPackets) &&
		(c.config.MaxBytes <= 0 || c.queue.bytes < c.config.MaxBytes)
}

// Wait returns nil when the queue is below its bounds, so that Send takes something; or the error of ctx, or ErrClosed.
func (c *Conn) Wait(ctx context.Context) error {
	return c.await(ctx, func() (bool, error) {
		if c.state != opened {
			return true, ErrClosed
		}
		return c.roomLocked(), nil
	})
}

// Flush returns nil when everything that was queued is written: handed to the network, over polling answered by the server. It
// returns the error of ctx, or ErrClosed if the connection ended before that.
func (c *Conn) Flush(ctx context.Context) error {
	return c.await(ctx, func() (bool, error) {
		if c.queue.lost {
			return true, ErrClosed
		}
		return c.queue.packets == 0, nil
	})
}

// await waits until the function, called with the lock held, says so.
func (c *Conn) await(ctx context.Context, until func() (bool, error)) error {
	for {
		c.mu.Lock()
		if done, err := until(); done {
			c.mu.Unlock()
			return err
		}
		changed := c.changedLocked()
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Writable reports whether nothing is queued or being written, so that what is sent now leaves at once (C-15).
func (c *Conn) Writable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == opened && c.queue.packets == 0
}

// Buffered returns what is queued or being written.
func (c *Conn) Buffered() (packets, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.packets, c.queue.bytes
}

// startLocked starts the writer if there is something to write. While an upgrade is being decided nothing is written.
func (c *Conn) startLocked() {
	if c.writing || c.queue.packets == 0 || c.upgrade != nil || c.state == ended {
		return
	}
	c.writing = true
	c.tasks.Add(1)
	go c.writer()
}

// write is the writer: it ends when the queue is empty.
func (c *Conn) write() {
	defer c.tasks.Done()
	c.mu.Lock()
	if c.ws != nil {
		c.gatherLocked()
	}
	for c.queue.packets > 0 && c.upgrade == nil && c.state != ended {
		items, ws := c.queue.take(), c.ws
		c.mu.Unlock()
		var n int
		var err error
		if ws != nil {
			n, err = ws.send(items)
		} else {
			n, err = c.post(items)
		}
		if err != nil {
			c.end(c.writeFailed(ws, err))
		}
		c.mu.Lock()
		c.queue.wrote(n)
		c.signalLocked()
	}
	if c.queue.packets == 0 {
		c.queue.rest()
	}
	c.writing = false
	c.signalLocked()
	c.mu.Unlock()
}

// gatherLocked lets whoever is about to send more do it first, so that it leaves with the same write. Where nobody does, this costs a
// tenth of what the message costs: the more often it was in vain, the less often it is tried.
func (c *Conn) gatherLocked() {
	if c.alone > 0 {
		c.alone--
		return
	}
	waiting := c.queue.packets
	c.mu.Unlock()
	runtime.Gosched()
	c.mu.Lock()
	if c.queue.packets > waiting {
		c.vain = 0
		return
	}
	c.vain = min(2*c.vain+1, maxAlone)
	c.alone = c.vain
}

func (c *Conn) writeFailed(ws *webSocket, err error) (Reason, error) {
	if ws != nil {
		return ws.reason(err)
	}
	return TransportError, err
}
