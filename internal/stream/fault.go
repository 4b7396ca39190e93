package stream

import "syscall"

// Reset breaks the connection as TCP's RST does: whatever waits on either end, and all that is done there later, fails, and what
// nobody has read yet is lost. Each end is still to be closed.
func (c *PipeConn) Reset() {
	c.in.reset()
	c.out.reset()
}

// SetReadBuffer sets how many bytes wait for this end to read them before the other end's writes have to. Those that
// wait already stay.
func (c *PipeConn) SetReadBuffer(bytes int) {
	c.in.mu.Lock()
	defer c.in.unlock()
	c.in.capacity = bytes
	c.in.changed.Broadcast()
}

// ResetAfter lets the other end write that many more bytes. With the next one the connection breaks as by Reset, but that this end
// can still read what was written.
func (c *PipeConn) ResetAfter(bytes int) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.breaks, c.in.left = c.out, bytes
}

// reset ends one direction.
func (b *pipeBuffer) reset() {
	b.mu.Lock()
	defer b.unlock()
	b.failed, b.data = true, nil
	b.changed.Broadcast()
}

// allowance is how much of p may be written now, and whether the connection breaks behind that. Called with mu held.
func (b *pipeBuffer) allowance(p []byte) (n int, breaks bool) {
	n = min(len(p), max(b.capacity-len(b.data), 0))
	if b.breaks != nil && n >= b.left && len(p) > b.left {
		return b.left, true
	}
	return n, false
}

var errReset error = syscall.ECONNRESET

// fail breaks the connection while somebody writes to it. Called with mu held, which it gives up meanwhile: the locks of the two
// directions are never held together.
func (b *pipeBuffer) fail() {
	b.failed = true
	b.changed.Broadcast()
	b.mu.Unlock()
	b.breaks.reset()
	b.mu.Lock()
}
