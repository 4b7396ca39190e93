package stream

import (
	"errors"
	"net"
	"os"
	"time"
)

// portable works on any net.Conn. Nothing non-blocking is to be had there, so a waiting reader holds
// a buffer and every write is made by a goroutine of its own (engine rule 5).
type portable struct {
	conn net.Conn
}

func (p *portable) TryRead([]byte) (int, error) { return 0, ErrWouldBlock }

// Read holds its buffer while it waits: a blocking Read cannot do without one.
func (p *portable) Read() (*Buffer, error) {
	b := takeBuffer()
	n, err := p.conn.Read(b.array[:])
	if n == 0 {
		b.Release()
		if errors.Is(err, os.ErrDeadlineExceeded) { // nobody sets one but Interrupt
			_ = p.conn.SetReadDeadline(time.Time{})
			return nil, ErrInterrupted
		}
		return nil, err
	}
	b.n = n
	return b, nil
}

func (p *portable) ReadEach(fn func(*Buffer) bool) error { return readEach(p, fn) }

func (p *portable) TryWrite([][]byte) (int, error) { return 0, ErrWouldBlock }

func (p *portable) Write(v [][]byte) (int, error) {
	if len(v) == 1 {
		return p.conn.Write(v[0])
	}
	// net.Buffers would use writev only on the types that raw serves already.
	total := 0
	for _, b := range v {
		n, err := p.conn.Write(b)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func (p *portable) Direct() bool { return false }

func (p *portable) Interrupt() error { return p.conn.SetReadDeadline(past) }

func (p *portable) CloseWrite() error {
	if c, ok := p.conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (p *portable) Close() error { return p.conn.Close() }
