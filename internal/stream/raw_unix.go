//go:build unix

package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// raw works on the descriptor itself, inside RawConn's callbacks, so that a Close by another
// goroutine can never let an operation hit a descriptor that has been given to somebody else.
type raw struct {
	handle handle
	rc     syscall.RawConn
}

// handle is what owns the descriptor.
type handle interface {
	syscall.Conn
	SetReadDeadline(t time.Time) error
	Close() error
}

func newRaw(c net.Conn, p *Poller) Conn {
	r := rawOf(c.(handle))
	if r == nil {
		return nil
	}
	return newParkable(r, p)
}

func rawOf(h handle) *raw {
	rc, err := h.SyscallConn()
	if err != nil { // there is no descriptor at all
		return nil
	}
	return &raw{handle: h, rc: rc}
}

// rawOp carries one operation into RawConn's callback and its result out. The callbacks are bound
// once per pooled object, because a fresh closure would be an allocation per read and write.
type rawOp struct {
	wait bool
	p    []byte  // TryRead's target, or what is still to write when v has one element
	buf  *Buffer // Read's result
	v    [][]byte
	n    int
	err  error

	readFn, readIntoFn, writeFn func(fd uintptr) bool
}

var rawOps = sync.Pool{New: func() any {
	op := new(rawOp)
	op.readFn, op.readIntoFn, op.writeFn = op.read, op.readInto, op.write
	return op
}}

func (op *rawOp) release() {
	op.p, op.buf, op.v, op.n, op.err, op.wait = nil, nil, nil, 0, nil, false
	rawOps.Put(op)
}

func (r *raw) TryRead(p []byte) (int, error) {
	op := rawOps.Get().(*rawOp)
	defer op.release()
	op.p = p
	err := r.rc.Read(op.readFn)
	if errors.Is(err, os.ErrDeadlineExceeded) { // an Interrupt, which is not for us
		_ = r.handle.SetReadDeadline(time.Time{})
		err = r.rc.Read(op.readFn)
	}
	if err != nil {
		return 0, err
	}
	return op.n, op.err
}

func (op *rawOp) read(fd uintptr) bool {
	op.n, op.err = sysRead(int(fd), op.p)
	return true
}

func (r *raw) Read() (*Buffer, error) {
	op := rawOps.Get().(*rawOp)
	defer op.release()
	if err := r.rc.Read(op.readIntoFn); err != nil {
		return nil, r.interrupted(err)
	}
	return op.buf, op.err
}

// interrupted is err of a read, unless it was Interrupt.
func (r *raw) interrupted(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) { // nobody sets one but Interrupt
		_ = r.handle.SetReadDeadline(time.Time{})
		return ErrInterrupted
	}
	return err
}

func (r *raw) ReadEach(fn func(*Buffer) bool) error { return readEach(r, fn) }

// readInto takes a buffer, gives it back when there is nothing to read, and lets RawConn wait.
func (op *rawOp) readInto(fd uintptr) bool {
	b := takeBuffer()
	b.n, op.err = sysRead(int(fd), b.array[:])
	if op.err != nil {
		b.Release()
		return !errors.Is(op.err, ErrWouldBlock)
	}
	op.buf = b
	return true
}

func sysRead(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, ErrWouldBlock
		default:
			return 0, err
		}
	}
}

func (r *raw) TryWrite(v [][]byte) (int, error) { return r.write(v, false) }

func (r *raw) Write(v [][]byte) (int, error) { return r.write(v, true) }

func (r *raw) write(v [][]byte, wait bool) (int, error) {
	op := newWrite(v, wait)
	defer op.release()
	if err := r.rc.Write(op.writeFn); err != nil {
		return op.n, err
	}
	return op.n, op.err
}

func newWrite(v [][]byte, wait bool) *rawOp {
	op := rawOps.Get().(*rawOp)
	op.wait = wait
	if len(v) == 1 {
		op.p = v[0]
	} else {
		op.v = append(make([][]byte, 0, len(v)), v...) // advance changes it
	}
	return op
}

func (op *rawOp) write(fd uintptr) bool {
	for {
		n, err := sysWrite(int(fd), op.p, op.v)
		op.n += n
		switch {
		case err == ErrWouldBlock && op.wait:
			return false
		case err != nil:
			op.err = err
			return true
		case op.advance(n):
			return true
		}
	}
}

// writeOnce is TryWrite of one piece to the bare descriptor.
func writeOnce(fd int, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = sysWrite(fd, p[n:], nil)
		n += m
	}
	return n, err
}

// sysWrite writes v, or p if that is nil.
func sysWrite(fd int, p []byte, v [][]byte) (n int, err error) {
	for {
		if v == nil {
			n, err = unix.Write(fd, p)
		} else {
			n, err = unix.Writev(fd, v[:min(len(v), maxVector)])
		}
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			return 0, io.ErrUnexpectedEOF // an empty slice was handed in
		case err == unix.EAGAIN:
			return 0, ErrWouldBlock
		case err != unix.EINTR:
			return 0, err
		}
	}
}

const maxVector = 1024 // IOV_MAX

// advance drops n written bytes from what is still to write and reports whether that was all.
func (op *rawOp) advance(n int) bool {
	if op.v == nil {
		op.p = op.p[n:]
		return len(op.p) == 0
	}
	for n > 0 && n >= len(op.v[0]) {
		n -= len(op.v[0])
		op.v = op.v[1:]
	}
	if n > 0 {
		op.v[0] = op.v[0][n:]
	}
	return len(op.v) == 0
}

func (r *raw) Direct() bool { return true }

func (r *raw) Interrupt() error { return r.handle.SetReadDeadline(past) }

func (r *raw) CloseWrite() error {
	var err error
	if control := r.rc.Control(func(fd uintptr) { err = shutdown(int(fd)) }); control != nil {
		return control
	}
	return err
}

func shutdown(fd int) error { return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_WR)) }

func (r *raw) Close() error { return r.handle.Close() }
