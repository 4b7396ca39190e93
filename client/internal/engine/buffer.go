package engine

import (
	"io"
	"sync"
)

const (
	bufferSize = 4 << 10
	// keepBuffer is the largest buffer that goes back to the pool.
	keepBuffer = 1 << 20
)

// buffers are for reading and for building what is written; nobody holds one while waiting for the network to say something.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bufferSize)
	return &b
}}

func takeBuffer() *[]byte { return buffers.Get().(*[]byte) }

func giveBuffer(b *[]byte) {
	if cap(*b) <= keepBuffer {
		*b = (*b)[:0]
		buffers.Put(b)
	}
}

// readInto appends all of r to the buffer.
func readInto(b *[]byte, r io.Reader) error {
	buf := *b
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			*b = buf
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}
