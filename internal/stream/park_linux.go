package stream

import (
	"errors"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// parkable is a raw connection that can be parked. What net and the runtime keep of a connection, so that goroutines
// can wait for it, is nearly a kilobyte, so a parked one is its descriptor alone: the raw connection is made
// anew when a reader or a writer has to wait again.
//
// The lock takes RawConn's part then: it is held during every operation on the bare descriptor, none of which blocks,
// so that no Close comes between. Above it in the order of locks is nothing, below it the poller's.
type parkable struct {
	mu      sync.Mutex
	raw     *raw // nil while there is only the descriptor
	poller  *Poller
	token   uint64 // 0 before the first Park
	fd      int32  // without raw, or inside
	writers int32  // that wait, or may
	added   bool   // the descriptor is in the epoll set
	closed  bool
	inside  bool    // ReadEach's function is running: raw keeps its descriptor, fd, until it returns
	pending pending // whether reads tell what is left
}

func newParkable(r *raw, p *Poller) Conn { return &parkable{raw: r, poller: p} }

// attach returns the raw connection, of which only Park makes a bare descriptor again. Called with mu held.
func (c *parkable) attach() (*raw, error) {
	switch {
	case c.closed:
		return nil, net.ErrClosed
	case c.raw != nil:
		return c.raw, nil
	}
	c.raw = rawOf(os.NewFile(uintptr(c.fd), "connection")) // it is non-blocking, so it can be waited for
	return c.raw, nil
}

// detach leaves the descriptor alone. Called with mu held, by the reader.
func (c *parkable) detach() error {
	fd, err := -1, error(nil)
	control := c.raw.rc.Control(func(old uintptr) {
		if fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0); err == nil && c.added {
			// The set would keep the old one as long as the connection lives.
			err = c.poller.set.control(unix.EPOLL_CTL_DEL, int(old), unix.EpollEvent{})
			c.added = false
		}
	})
	if err = errors.Join(control, os.NewSyscallError("fcntl", err)); err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return err
	}
	_ = c.raw.Close()
	c.raw, c.fd = nil, int32(fd)
	return nil
}

// Park hands the connection to the poller. If a writer waits it stays raw.
func (c *parkable) Park(w Waiter) error {
	p := c.poller
	if p == nil {
		return errors.ErrUnsupported
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	if c.token == 0 {
		t, err := p.issue()
		if err != nil {
			return err
		}
		c.token = t
	}
	if c.raw != nil && c.writers == 0 {
		if err := c.detach(); err != nil {
			return err
		}
	}
	if !p.arm(c.token, w) {
		return net.ErrClosed
	}
	// From here on the waiter may be called; the lock keeps it from reading until we are done.
	var err error
	if c.raw == nil {
		err = c.add(int(c.fd))
	} else if control := c.raw.rc.Control(func(fd uintptr) { err = c.add(int(fd)) }); control != nil {
		err = control
	}
	if err != nil {
		p.disarm(c.token)
		return err
	}
	return nil
}

// add arms the descriptor. Called with mu held.
func (c *parkable) add(fd int) error {
	op := unix.EPOLL_CTL_MOD
	if !c.added {
		op = unix.EPOLL_CTL_ADD
	}
	err := c.poller.set.arm(op, fd, c.token)
	c.added = c.added || err == nil
	return err
}

// Interrupt makes a waiting Read look up. Nobody waits for a bare descriptor.
func (c *parkable) Interrupt() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.raw == nil:
		return nil
	}
	return c.raw.Interrupt()
}

func (c *parkable) TryRead(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.raw != nil:
		return c.raw.TryRead(p)
	}
	return sysRead(int(c.fd), p)
}

func (c *parkable) Read() (*Buffer, error) {
	c.mu.Lock()
	r, err := c.attach()
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return r.Read()
}

func (c *parkable) TryWrite(v [][]byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return 0, net.ErrClosed
	case c.raw != nil && !c.inside:
		return c.raw.TryWrite(v)
	case len(v) == 1:
		return writeOnce(int(c.fd), v[0])
	}
	op := newWrite(v, false)
	defer op.release()
	op.write(uintptr(c.fd))
	return op.n, op.err
}

func (c *parkable) Write(v [][]byte) (int, error) {
	c.mu.Lock()
	r, err := c.attach()
	if err != nil {
		c.mu.Unlock()
		return 0, err
	}
	c.writers++
	c.mu.Unlock()
	n, err := r.Write(v)
	c.mu.Lock()
	c.writers--
	c.mu.Unlock()
	return n, err
}

func (c *parkable) Direct() bool { return true }

func (c *parkable) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.raw != nil:
		return c.raw.CloseWrite()
	}
	return shutdown(int(c.fd))
}

func (c *parkable) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	if c.token != 0 {
		c.poller.drop(c.token)
	}
	switch {
	case c.inside: // see leave
		return nil
	case c.raw == nil:
		return os.NewSyscallError("close", unix.Close(int(c.fd)))
	}
	// Not with the lock: raw's Close waits for a reader that may be about to enter.
	r := c.raw
	c.mu.Unlock()
	defer c.mu.Lock()
	return r.Close()
}
