package stream

import (
	"errors"
	"net"
	"sync"
	"time"
)

// ErrWouldBlock is returned by the Try methods when the connection takes or gives nothing more now.
var ErrWouldBlock = errors.New("stream: operation would block")

// Conn is one connection. One goroutine may read and another may write at the same time; two
// readers or two writers may not. Close may be called by anyone, more than once, and ends what waits.
type Conn interface {
	// TryRead reads once into p, or returns ErrWouldBlock when there is nothing to read.
	// At the end of the stream it returns io.EOF.
	TryRead(p []byte) (int, error)
	// Read waits until there is something to read and only then takes a buffer from the pool.
	// The caller releases it.
	Read() (*Buffer, error)
	// TryWrite writes what the connection takes without waiting and reports how many bytes that
	// were; when it was not all, the error is ErrWouldBlock or what broke the connection.
	TryWrite(v [][]byte) (int, error)
	// Write writes everything, waiting as long as it takes; Close ends the wait.
	Write(v [][]byte) (int, error)
	// Direct reports whether TryWrite really does not wait. Where it is false TryWrite always
	// returns ErrWouldBlock, and writing is for a goroutine of its own.
	Direct() bool
	// SetReadDeadline is that of net.Conn: Read and TryRead return os.ErrDeadlineExceeded after it, and lose nothing.
	SetReadDeadline(t time.Time) error
	// CloseWrite ends the stream towards the peer, which may go on sending. It returns
	// errors.ErrUnsupported where a connection can only be closed as a whole.
	CloseWrite() error
	Close() error
}

// New returns the leanest Conn that c allows. It never mixes c.Write with descriptor operations
// afterwards, and neither may the caller.
func New(c net.Conn) Conn {
	// Only the exact types: a wrapper that embeds *net.TCPConn has its own Read and Write, which
	// must be called (engine rule 12).
	switch c := c.(type) {
	case *PipeConn:
		return (*memory)(c)
	case *net.TCPConn:
		if rc := newRaw(c); rc != nil {
			return rc
		}
	case *net.UnixConn:
		if rc := newRaw(c); rc != nil {
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

func takeBuffer() *Buffer { return buffers.Get().(*Buffer) }
