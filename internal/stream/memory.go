package stream

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeCapacity is how many bytes each direction of a Pipe holds, about what a loopback socket does.
const pipeCapacity = 64 << 10

// Pipe returns the two ends of an in-memory connection. Unlike net.Pipe it is buffered both ways, so
// a session on it takes the same paths as on a socket; and all waiting is on condition variables, so
// testing/synctest sees it as idle.
func Pipe() (*PipeConn, *PipeConn) {
	ab, ba := newPipeBuffer(), newPipeBuffer()
	return &PipeConn{in: ba, out: ab}, &PipeConn{in: ab, out: ba}
}

// PipeConn is one end of a Pipe, an ordinary net.Conn. It is safe for concurrent use.
type PipeConn struct {
	in, out *pipeBuffer
}

// pipeBuffer is one direction. Its lock owns all of it.
type pipeBuffer struct {
	mu            sync.Mutex
	changed       sync.Cond
	data          []byte
	ended         bool // the writer has closed: io.EOF once data is read
	broken        bool // the reader has closed: writes fail
	failed        bool // reset, see fault.go
	capacity      int
	left          int         // bytes until the connection breaks, if it does
	breaks        *pipeBuffer // the other direction, which breaks with this one; nil: none
	interrupted   bool
	parked        Waiter // the reader, if it waits without a goroutine
	readDeadline  pipeDeadline
	writeDeadline pipeDeadline
}

type pipeDeadline struct {
	timer   *time.Timer
	expired bool
}

func newPipeBuffer() *pipeBuffer {
	b := &pipeBuffer{capacity: pipeCapacity}
	b.changed.L = &b.mu
	return b
}

// set changes a deadline of b; the zero time means none.
func (b *pipeBuffer) set(d *pipeDeadline, t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.expired = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.expired = true
		b.changed.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if d.timer == timer { // not replaced meanwhile
			d.expired = true
			b.changed.Broadcast()
		}
	})
	d.timer = timer
}

func (b *pipeBuffer) read(p []byte, wait bool) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.broken:
			return 0, net.ErrClosed
		case b.readDeadline.expired:
			return 0, os.ErrDeadlineExceeded
		case wait && b.interrupted:
			b.interrupted = false
			return 0, ErrInterrupted
		case b.failed && len(b.data) == 0:
			return 0, errReset
		case len(b.data) > 0:
			n := copy(p, b.data)
			b.data = b.data[n:]
			if len(b.data) == 0 {
				b.data = nil
			}
			b.changed.Broadcast()
			return n, nil
		case b.ended:
			return 0, io.EOF
		case !wait:
			return 0, ErrWouldBlock
		}
		b.changed.Wait()
	}
}

func (b *pipeBuffer) write(p []byte, wait bool) (int, error) {
	b.mu.Lock()
	defer b.unlock()
	total := 0
	for {
		switch {
		case b.ended:
			return total, net.ErrClosed
		case b.broken:
			return total, io.ErrClosedPipe
		case b.failed:
			return total, errReset
		case b.writeDeadline.expired:
			return total, os.ErrDeadlineExceeded
		}
		n, breaks := b.allowance(p)
		if n > 0 {
			b.data = append(b.data, p[:n]...)
			p = p[n:]
			total += n
			b.left -= n
			b.changed.Broadcast()
		}
		if breaks {
			b.fail()
			continue
		}
		if len(p) == 0 {
			return total, nil
		}
		if !wait {
			return total, ErrWouldBlock
		}
		if b.parked != nil {
			b.unlock()
			b.mu.Lock()
			continue
		}
		b.changed.Wait()
	}
}

// unlock tells a parked reader when there is something to read.
func (b *pipeBuffer) unlock() {
	w := b.parked
	if w == nil || len(b.data) == 0 && !b.ended && !b.failed {
		b.mu.Unlock()
		return
	}
	b.parked = nil
	b.mu.Unlock()
	w.Readable()
}

func (b *pipeBuffer) end(ended, broken bool) {
	b.mu.Lock()
	defer b.unlock()
	b.ended = b.ended || ended
	b.broken = b.broken || broken
	if broken {
		b.data, b.parked = nil, nil
	}
	b.changed.Broadcast()
}

func (c *PipeConn) Read(p []byte) (int, error)  { return c.in.read(p, true) }
func (c *PipeConn) Write(p []byte) (int, error) { return c.out.write(p, true) }

// CloseWrite ends the stream towards the other end, like TCP's FIN.
func (c *PipeConn) CloseWrite() error {
	c.out.end(true, false)
	return nil
}

// Close ends both directions and whatever waits on this end.
func (c *PipeConn) Close() error {
	c.out.end(true, false)
	c.in.end(false, true)
	_ = c.SetDeadline(time.Time{}) // stops the timers
	return nil
}

func (c *PipeConn) LocalAddr() net.Addr  { return pipeAddr{} }
func (c *PipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

func (c *PipeConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *PipeConn) SetReadDeadline(t time.Time) error {
	c.in.set(&c.in.readDeadline, t)
	return nil
}

func (c *PipeConn) SetWriteDeadline(t time.Time) error {
	c.out.set(&c.out.writeDeadline, t)
	return nil
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// memory is the Conn view of a PipeConn.
type memory PipeConn

func (m *memory) TryRead(p []byte) (int, error) { return m.in.read(p, false) }

func (m *memory) Read() (*Buffer, error) {
	b := takeBuffer()
	n, err := m.in.read(b.array[:], true)
	if err != nil {
		b.Release()
		return nil, err
	}
	b.n = n
	return b, nil
}

func (m *memory) ReadEach(fn func(*Buffer) bool) error { return readEach(m, fn) }

func (m *memory) TryWrite(v [][]byte) (int, error) { return m.write(v, false) }
func (m *memory) Write(v [][]byte) (int, error)    { return m.write(v, true) }

func (m *memory) write(v [][]byte, wait bool) (int, error) {
	total := 0
	for _, p := range v {
		n, err := m.out.write(p, wait)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Interrupt makes a waiting Read look up.
func (m *memory) Interrupt() error {
	m.in.mu.Lock()
	defer m.in.mu.Unlock()
	m.in.interrupted = true
	m.in.changed.Broadcast()
	return nil
}

// Park leaves word with who writes next, on whose goroutine Readable then runs.
func (m *memory) Park(w Waiter) error {
	m.in.mu.Lock()
	defer m.in.unlock()
	if m.in.broken {
		return net.ErrClosed
	}
	m.in.parked = w
	return nil
}

func (m *memory) Direct() bool      { return true }
func (m *memory) CloseWrite() error { return (*PipeConn)(m).CloseWrite() }
func (m *memory) Close() error      { return (*PipeConn)(m).Close() }

// Listener is an in-memory net.Listener: what Dial returns is the other end of what Accept returns.
// It is safe for concurrent use.
type Listener struct {
	conns  chan *PipeConn
	closed chan struct{}
	once   sync.Once
}

// NewListener returns a listener without an address.
func NewListener() *Listener {
	return &Listener{conns: make(chan *PipeConn), closed: make(chan struct{})}
}

// Dial connects to the listener, waiting until it accepts.
func (l *Listener) Dial() (net.Conn, error) {
	client, server := Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *Listener) Addr() net.Addr { return pipeAddr{} }
