package engineio

import (
	"compress/flate"
	"fmt"
	"sync"

	"github.com/perch-go/perch/internal/wsframe"
)

// Deflate is a plain value, read once by New: the options of permessage-deflate (RFC 7692). The zero
// value means the defaults.
//
// Each message is compressed by itself (no context takeover, in either direction), where the reference
// leaves that to its options. A compressor that remembers what it has sent costs a few hundred
// kilobytes per connection, while one that does not is borrowed for a moment; and a broadcast is
// compressed once for everybody, which a connection's own history would forbid. A client that insists
// on another window for what it receives is served without compression. What clients send may be at
// most MaxPayload bytes long before and after inflation: more ends that connection with close code
// 1009. In the outbound budget a message counts with its size before compression.
type Deflate struct {
	// Threshold is the size from which a message is compressed, in bytes. Zero means 1,024. Those that
	// do not get shorter, and those with Message.NoCompress, are sent as they are.
	Threshold int
	// Level is how hard to try, 1 (fast) to 9 (small). Zero means 6.
	Level int
}

func (d *Deflate) withDefaults() (*Deflate, error) {
	if d == nil {
		return nil, nil
	}
	o := *d
	if o.Threshold < 0 {
		return nil, fmt.Errorf("engineio: PerMessageDeflate.Threshold is %d; it must not be negative", o.Threshold)
	}
	if o.Level < 0 || o.Level > flate.BestCompression {
		return nil, fmt.Errorf("engineio: PerMessageDeflate.Level is %d; use 1 to 9, or 0 for the default", o.Level)
	}
	if o.Threshold == 0 {
		o.Threshold = 1024
	}
	if o.Level == 0 {
		o.Level = 6
	}
	return &o, nil
}

// deflated is a message's frames once they are compressed, for whoever sends them first and all others.
type deflated struct {
	once   sync.Once
	frames []byte
}

// compressed returns the frames of a message for connections with compression.
func (m *Message) compressed(d *Deflate) []byte {
	c := m.deflated.Load()
	if c == nil {
		m.deflated.CompareAndSwap(nil, new(deflated))
		c = m.deflated.Load()
	}
	c.once.Do(func() { c.frames = wsframe.Deflate(m.frames, d.Threshold, d.Level) })
	return c.frames
}

// deflate replaces the messages of a box that is about to be written by their compressed form. It is
// not done when they are queued: that may be under the lock of a broadcast, and a polling session has
// no use for it.
func (o *outbox) deflate(d *Deflate) {
	if !o.deflates {
		return
	}
	o.deflates = false
	for i := range o.parts {
		if p := &o.parts[i]; p.message != nil {
			p.shared, p.message = p.message.compressed(d), nil
		}
	}
}
