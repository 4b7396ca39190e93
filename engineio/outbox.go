package engineio

import (
	"sync"

	"github.com/perch-go/perch/internal/wsframe"
)

const (
	// shareFrom is the size from which a message's frames are referred to and left by writev,
	// rather than copied together with others.
	shareFrom = 4 << 10
	// keepOutbox is the largest buffer that goes back to the pool.
	keepOutbox = 64 << 10
)

// outbox is a queue of frames. Small ones are copied into one buffer, so that all of them leave in
// one write; large ones stay where they are and are shared. Empty sessions have none (they come from
// a pool). Whoever holds the session's lock owns its queue; the writer owns what it took out.
type outbox struct {
	buf   []byte
	parts []part
	size  int // bytes in all
	count int // packets in all
	sent  int // bytes already written of what the writer holds
	// compress is whether one of the packets at least may be compressed in an answer to a poll (S-68).
	compress bool
	deflates bool // a part is a message to compress

	pieces [4][]byte // what vector starts from
}

// part is a run of frames: shared, or buf[from:to]. Consecutive copies without flags make one run.
type part struct {
	shared   []byte
	message  *Message // where shared is from, if it is to be compressed
	from, to int
	packets  int
	volatile bool
	raw      bool // not frames
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

func (o *outbox) release() {
	if cap(o.buf) > keepOutbox {
		return
	}
	clear(o.parts)
	clear(o.pieces[:])
	o.buf, o.parts = o.buf[:0], o.parts[:0]
	o.size, o.count, o.sent, o.compress, o.deflates = 0, 0, 0, false, false
	outboxes.Put(o)
}

// add queues the frames of a message, which it copies when they are few.
func (o *outbox) add(frames []byte, packets int, volatile bool) {
	o.size += len(frames)
	o.count += packets
	if len(frames) >= shareFrom {
		o.parts = append(o.parts, part{shared: frames, packets: packets, volatile: volatile})
		return
	}
	from := len(o.buf)
	o.buf = append(o.buf, frames...)
	o.copied(from, packets, volatile)
}

// addMessage queues a message, for a connection with that compression or none.
func (o *outbox) addMessage(m *Message, volatile bool, d *Deflate) {
	o.compress = o.compress || !m.NoCompress
	if d != nil && !m.NoCompress && len(m.frames) >= d.Threshold {
		o.size += len(m.frames)
		o.count += m.packets
		o.deflates = true
		o.parts = append(o.parts, part{shared: m.frames, message: m, packets: m.packets, volatile: volatile})
		return
	}
	o.add(m.frames, m.packets, volatile)
}

// addRaw queues bytes that are no frames: the answer to the WebSocket handshake. Nothing may have to
// take them apart, and they are not in the budget.
func (o *outbox) addRaw(b []byte) {
	from := len(o.buf)
	o.buf = append(o.buf, b...)
	o.parts = append(o.parts, part{from: from, to: len(o.buf), raw: true})
}

// addText queues one text packet of textSize bytes, built in place.
func (o *outbox) addText(packetType byte, payload []byte) {
	from := len(o.buf)
	o.buf = appendText(o.buf, packetType, payload)
	o.size += len(o.buf) - from
	o.count++
	o.compress = true
	o.copied(from, 1, false)
}

// textSize is what a text packet takes, its type included.
func textSize(payload []byte) int { return wsframe.Size(1 + len(payload)) }

// copied records that buf has grown.
func (o *outbox) copied(from, packets int, volatile bool) {
	if n := len(o.parts); n > 0 && !volatile {
		if last := &o.parts[n-1]; last.shared == nil && last.to == from && !last.volatile && !last.raw {
			last.to = len(o.buf)
			last.packets += packets
			return
		}
	}
	o.parts = append(o.parts, part{from: from, to: len(o.buf), packets: packets, volatile: volatile})
}

// dropVolatile removes the volatile messages and reports how many, and what that made free.
func (o *outbox) dropVolatile() (bytes, packets, messages int) {
	kept := o.parts[:0]
	for _, p := range o.parts {
		if p.volatile {
			bytes += len(o.frames(p))
			packets += p.packets
			messages++
			continue
		}
		kept = append(kept, p)
	}
	clear(o.parts[len(kept):])
	o.parts = kept
	o.size -= bytes
	o.count -= packets
	return bytes, packets, messages
}

// hasBinary reports whether there is a binary message.
func (o *outbox) hasBinary() bool {
	for _, p := range o.parts {
		if p.raw {
			continue
		}
		for frames := o.frames(p); len(frames) > 0; {
			var op wsframe.Op
			if op, _, frames = wsframe.Cut(frames); op == wsframe.Binary {
				return true
			}
		}
	}
	return false
}

// transcode replaces o by one whose binary messages are in the form of protocol 3, or text, or both. It counts in the
// budget for what was reserved.
func (o *outbox) transcode(v3, text bool) *outbox {
	other := outboxes.Get().(*outbox)
	for _, p := range o.parts {
		if p.raw {
			other.buf = append(other.buf, o.frames(p)...)
			continue
		}
		other.buf = appendFrames(other.buf, o.frames(p), v3, text)
	}
	other.copied(0, o.count, false)
	other.size, other.count = o.size, o.count
	o.release()
	return other
}

func (o *outbox) frames(p part) []byte {
	if p.shared != nil {
		return p.shared
	}
	return o.buf[p.from:p.to]
}

// vector appends what is still to write.
func (o *outbox) vector(v [][]byte) [][]byte {
	skip := o.sent
	for _, p := range o.parts {
		f := o.frames(p)
		if skip >= len(f) {
			skip -= len(f)
			continue
		}
		f = f[skip:]
		skip = 0
		// Runs of copies that touch are one piece again.
		if n := len(v); n > 0 && p.shared == nil && p.from > 0 && adjacent(v[n-1], f) {
			v[n-1] = v[n-1][:len(v[n-1])+len(f)]
			continue
		}
		v = append(v, f)
	}
	return v
}

// adjacent reports whether b follows a in the same array.
func adjacent(a, b []byte) bool {
	return len(b) > 0 && cap(a) > len(a) && &a[:len(a)+1][len(a)] == &b[0]
}

// scratch returns the outbox's own vector for the common case of few pieces.
func (o *outbox) scratch() [][]byte { return o.pieces[:0] }
