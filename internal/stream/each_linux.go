package stream

import (
	"io"
	"net"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A reader that goes on until there is nothing left needs two system calls for a message that comes alone, one of which brings
// nothing: a twelfth of what an echo costs. RawConn's callback need not read that often, as the runtime's poller tells it of
// everything that comes later, but it has to stay inside the callback, since RawConn forgets on entry what it was told before.
//
// Less than was asked for is not enough to know that nothing is left: the end of the stream may be there already, and it would not
// be announced again. So the kernel is asked to say with each read what is left, the end counting as one (TCP_INQ, since Linux 4.18).

// pending says whether it does.
type pending uint8

const (
	pendingUnknown pending = iota // nothing was read so far: who only ever sends a handshake is not asked for
	pendingUnasked
	pendingAsked
	pendingUnsupported // not TCP, or an old kernel
)

// each carries one ReadEach into RawConn's callback and its result out.
type each struct {
	conn *parkable
	fn   func(*Buffer) bool
	err  error
	shut bool // closed meanwhile

	header  unix.Msghdr
	piece   unix.Iovec
	control [8]uint64 // aligned

	readFn func(fd uintptr) bool
}

var eaches = sync.Pool{New: func() any {
	e := new(each)
	e.readFn = e.read
	return e
}}

// ReadEach reads in RawConn's callback. Close is put off meanwhile, as RawConn would wait for the callback, and be waited for.
func (c *parkable) ReadEach(fn func(*Buffer) bool) error {
	c.mu.Lock()
	r, err := c.attach()
	c.mu.Unlock()
	if err != nil {
		return err
	}
	e := eaches.Get().(*each)
	e.conn, e.fn, e.err, e.shut = c, fn, nil, false
	err = r.rc.Read(e.readFn)
	if err == nil {
		err = e.err
	}
	if e.shut {
		_ = r.Close()
	}
	e.conn, e.fn, e.err = nil, nil, nil
	eaches.Put(e)
	return r.interrupted(err)
}

// A reader whose peer sends faster than it reads would not let go of its thread for ten milliseconds, and runtime.Gosched does
// not help: while anything can run, the scheduler does not ask the poller who else could. So after a while it waits.
const (
	maxReads = 16 // a quarter of a megabyte
	breath   = 20 * time.Microsecond
)

func (e *each) read(fd uintptr) (done bool) {
	for reads := 1; ; reads++ {
		if reads%maxReads == 0 {
			<-time.After(breath)
		}
		b, left, err := e.readOnce(int(fd))
		if err == ErrWouldBlock {
			return false
		}
		if err != nil {
			e.err = err
			return true
		}
		if !e.conn.enter(fd) {
			b.Release()
			e.err = net.ErrClosed
			return true
		}
		goOn := e.fn(b)
		b.Release()
		switch {
		case !e.conn.leave():
			e.err, e.shut = net.ErrClosed, true
			return true
		case !goOn:
			return true
		case !left:
			return false
		}
	}
}

// readOnce also tells whether there may be more to read.
func (e *each) readOnce(fd int) (b *Buffer, left bool, err error) {
	c := e.conn
	b = takeBuffer()
	if c.pending == pendingAsked {
		b.n, left, err = e.receive(fd, b.array[:])
	} else {
		left = true
		b.n, err = sysRead(fd, b.array[:])
	}
	if err != nil {
		b.Release()
		return nil, false, err
	}
	switch c.pending {
	case pendingUnknown:
		c.pending = pendingUnasked
	case pendingUnasked: // a second message
		c.pending = pendingUnsupported
		if unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_INQ, 1) == nil {
			c.pending = pendingAsked
		}
	}
	return b, left, nil
}

// receive is a read that tells what is left.
func (e *each) receive(fd int, p []byte) (n int, left bool, err error) {
	for {
		e.piece.Base = &p[0]
		e.piece.SetLen(len(p))
		e.header = unix.Msghdr{Iov: &e.piece, Control: (*byte)(unsafe.Pointer(&e.control))}
		e.header.SetIovlen(1)
		e.header.SetControllen(int(unsafe.Sizeof(e.control)))
		r, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&e.header)), 0)
		e.piece.Base = nil
		switch {
		case errno == 0 && r == 0:
			return 0, false, io.EOF
		case errno == 0:
			return int(r), e.isLeft(), nil
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, false, ErrWouldBlock
		default:
			return 0, false, errno
		}
	}
}

func (e *each) isLeft() bool {
	if int(e.header.Controllen) < unix.CmsgLen(4) {
		return true
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&e.control))
	if h.Level != unix.IPPROTO_TCP || h.Type != unix.TCP_CM_INQ {
		return true
	}
	return *(*int32)(unsafe.Add(unsafe.Pointer(&e.control), unix.CmsgLen(0))) != 0
}

// enter is before the function of ReadEach, and false if the connection has been closed.
func (c *parkable) enter(fd uintptr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside, c.fd = !c.closed, int32(fd)
	return c.inside
}

// leave is after it, and false if the connection was closed meanwhile.
func (c *parkable) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inside = false
	return !c.closed
}
