package stream

import (
	"errors"
	"net"
	"sync"
	"time"
)

// ErrWouldBlock is returned by the Try methods when the connection takes or gives nothing more now.
var ErrWouldBlock = errors.New("stream: operation would block")

// ErrInterrupted is returned by Read after Interrupt; the connection is as it was.
var ErrInterrupted = errors.New("stream: read interrupted")

// past is a deadline that is over: how a connection with deadlines is interrupted.
var past = time.Unix(1, 0)

// Conn is one connection. One goroutine may read and another may write at the same time; two
// readers or two writers may not. Close may be called by anyone, more than once, and ends what waits.
type Conn interface {
	// TryRead reads once into p, or returns ErrWouldBlock when there is nothing to read.
	// At the end of the stream it returns io.EOF.
	TryRead(p []byte) (int, error)
	// Read waits until there is something to read and only then takes a buffer from the pool.
	// The caller releases it.
	Read() (*Buffer, error)
	// ReadEach reads until fn returns false, and then returns nil, or until there is an error, which it returns. A
	// busy connection is read with fewer system calls that way than by Read. fn is called like a reader, but may
	// not wait for anybody who closes the connection or waits for that: a Close meanwhile comes into effect when
	// fn returns. The buffer is ReadEach's again then.
	ReadEach(fn func(*Buffer) bool) error
	// TryWrite writes what the connection takes without waiting and reports how many bytes that
	// were; when it was not all, the error is ErrWouldBlock or what broke the connection.
	TryWrite(v [][]byte) (int, error)
	// Write writes everything, waiting as long as it takes; Close ends the wait.
	Write(v [][]byte) (int, error)
	// Direct reports whether TryWrite really does not wait. Where it is false TryWrite always
	// returns ErrWouldBlock, and writing is for a goroutine of its own.
	Direct() bool
	// Interrupt, which anyone may call, makes the Read that waits, or else the next one before Park, return ErrInterrupted;
	// TryRead does not mind. An error says that the connection cannot do that, or is closed.
	Interrupt() error
	// CloseWrite ends the stream towards the peer, which may go on sending. It returns
	// errors.ErrUnsupported where a connection can only be closed as a whole.
	CloseWrite() error
	Close() error
}

// Parkable is a Conn that can be waited for without a goroutine (engine rule 13).
type Parkable interface {
	Conn
	// Park is called by the reader instead of Read. When it returns nil, the reader has given the connection up:
	// it must not touch it any more, and w.Readable is called once when there is something to read, be it the
	// end of the stream, perhaps before Park returns. Close takes that back, so who closes a parked
	// connection does what its reader would have done. With an error nothing has changed.
	Park(w Waiter) error
}

// Waiter is who reads a parked connection. Readable becomes the reader: it may try to read and Park again, or
// start a goroutine that reads, but it runs on a goroutine that others wait for and must not block.
type Waiter interface{ Readable() }

// New returns the leanest Conn that c allows. It never mixes c.Write with descriptor operations
// afterwards, and neither may the caller. A Conn that is Parkable parks on p; if
// that is nil, its Park returns errors.ErrUnsupported.
func New(c net.Conn, p *Poller) Conn {
	// Only the exact types: a wrapper that embeds *net.TCPConn has its own Read and Write, which
	// must be called (engine rule 12).
	switch c := c.(type) {
	case *PipeConn:
		return (*memory)(c)
	case *net.TCPConn:
		if rc := newRaw(c, p); rc != nil {
			return rc
		}
	case *net.UnixConn:
		if rc := newRaw(c, p); rc != nil {
			return rc
		}
	}
	return &portable{conn: c}
}

// BufferSize is what one Read takes from the connection at most. A batch of pipelined messages
// should fit; the buffers are few, because only a connection with something to read has one.
const BufferSize = 16 << 10

// Buffer is a pooled read buffer. It belongs to whoever got it from Read until Release.
type Buffer struct {
	array [BufferSize]byte
	n     int
}

var buffers = sync.Pool{New: func() any { return new(Buffer) }}

// Bytes returns what was read.
func (b *Buffer) Bytes() []byte { return b.array[:b.n] }

// Release gives the buffer back; its bytes must not be used any more.
func (b *Buffer) Release() {
	b.n = 0
	buffers.Put(b)
}

// TryRead is Conn.TryRead into a buffer from the pool, which the caller releases unless there is an error.
func TryRead(c Conn) (*Buffer, error) {
	b := takeBuffer()
	n, err := c.TryRead(b.array[:])
	if err != nil {
		b.Release()
		return nil, err
	}
	b.n = n
	return b, nil
}

// readEach is ReadEach by Read.
func readEach(c Conn, fn func(*Buffer) bool) error {
	for {
		b, err := c.Read()
		if err != nil {
			return err
		}
		goOn := fn(b)
		b.Release()
		if !goOn {
			return nil
		}
	}
}

func takeBuffer() *Buffer { return buffers.Get().(*Buffer) }
