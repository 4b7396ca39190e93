package client

import "slices"

// buffer is what a socket has to send when it is connected, in order. It is guarded by the manager's mu.
type buffer struct {
	waiting []*buffered // those that were removed, too
	packets int
	bytes   int
}

type buffered struct {
	packet
	wanted  *pending
	removed bool
}

// fits reports whether there is room for one more of that size. One that is alone always fits, however large it is.
func (o *Options) fits(packets, bytes, size int) bool {
	return packets == 0 || packets < o.MaxBufferedPackets && bytes+size <= o.MaxBufferedBytes
}

// add appends a packet, if there is room or room can be made.
func (b *buffer) add(s *Socket, p packet, wanted *pending) error {
	o := &s.manager.opts
	for o.WhenFull == DropOldest && !o.fits(b.packets, b.bytes, p.size) {
		oldest := b.waiting[0]
		b.waiting[0] = nil
		b.waiting = b.waiting[1:]
		if oldest.removed {
			continue
		}
		b.packets--
		b.bytes -= oldest.size
		if oldest.wanted != nil {
			delete(s.acks, oldest.id)
			oldest.wanted.waits = nil
			oldest.wanted.resolve(nil, ErrBufferFull)
		}
	}
	if !o.fits(b.packets, b.bytes, p.size) {
		return ErrBufferFull
	}
	b.append(&buffered{packet: p, wanted: wanted})
	return nil
}

func (b *buffer) append(w *buffered) {
	b.waiting = append(b.waiting, w)
	b.packets++
	b.bytes += w.size
	if w.wanted != nil {
		w.wanted.waits = w
	}
}

// remove takes out a packet whose acknowledgement is not wanted any more (C-16). Thousands may be given up at once, so its place is
// only made up for now and then.
func (b *buffer) remove(w *buffered) {
	b.packets--
	b.bytes -= w.size
	w.wanted.waits = nil
	*w = buffered{removed: true}
	if len(b.waiting) > 2*b.packets {
		b.waiting = slices.DeleteFunc(b.waiting, func(w *buffered) bool { return w.removed })
	}
}

// take empties the buffer.
func (b *buffer) take() []*buffered {
	waiting := slices.DeleteFunc(b.waiting, func(w *buffered) bool { return w.removed })
	for _, w := range waiting {
		if w.wanted != nil {
			w.wanted.waits = nil
		}
	}
	*b = buffer{}
	return waiting
}

// flush sends what waits. It fits: the limits were kept when it was added. Called with the manager's mu held.
func (s *Socket) flush() {
	lost := false
	for _, w := range s.buffer.take() {
		if lost = lost || s.manager.link.send(true, w.packet) != nil; lost { // the connection, again
			s.buffer.append(w)
		} else if w.args != nil {
			s.lane.post(func() { s.sent(w.event, w.args) })
		}
	}
	s.manager.change()
}

// Buffered is how much of the socket's waits for a connection, retried events included.
func (s *Socket) Buffered() (packets, bytes int) {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return s.buffer.packets + len(s.retries.queue), s.buffer.bytes + s.retries.bytes
}
