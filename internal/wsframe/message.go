package wsframe

import "sync"

// Buffers of large messages are used again, up to a size: what a peer can have allocated by sending a megabyte piece by piece,
// without any being used twice, is five megabytes for the collector, and everybody else waits for that.
const (
	largeFrom = 64 << 10
	largeTo   = 1 << 20
)

var large sync.Pool // of *[]byte

// grow makes room for n bytes more of the message. It doubles what there is, where append would take a quarter more, and takes no
// more than the limit needs. What is announced and has not come yet costs nothing.
func (r *Reader) grow(n int) {
	need := len(r.message) + n
	if need <= cap(r.message) {
		return
	}
	size := max(need, int(min(2*int64(cap(r.message)), r.Limit)))
	var grown []byte
	if size >= largeFrom {
		if b, ok := large.Get().(*[]byte); ok && cap(*b) >= need {
			grown = (*b)[:len(r.message)]
		}
	}
	if grown == nil {
		grown = make([]byte, len(r.message), size)
	}
	copy(grown, r.message)
	r.release()
	r.message = grown
}

// release gives the message's buffer back.
func (r *Reader) release() {
	if b := r.message; cap(b) >= largeFrom && cap(b) <= largeTo {
		b = b[:0]
		large.Put(&b)
	}
	r.message = nil
}
