package cluster

// span is how far a message may be overtaken by others of its sender.
const span = 1024

// window knows which of a sender's latest messages have come. It is not safe for concurrent use.
type window struct {
	last uint64            // the highest number so far
	bits [span / 64]uint64 // a bit per number in (last-span, last]
}

// first reports whether n has not come before, and notes that it has. Numbers too old to be known have.
func (w *window) first(n uint64) bool {
	switch {
	case n > w.last:
		if n-w.last >= span {
			w.bits = [span / 64]uint64{}
		} else {
			for i := w.last + 1; i < n; i++ {
				w.bits[i%span/64] &^= 1 << (i % 64)
			}
		}
		w.last = n
	case w.last-n >= span, w.bits[n%span/64]&(1<<(n%64)) != 0:
		return false
	}
	w.bits[n%span/64] |= 1 << (n % 64)
	return true
}
