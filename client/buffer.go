package client

// buffer is what a socket has to send when it is connected, in order. It is guarded by the manager's mu.
type buffer struct {
	waiting []buffered
	bytes   int
}

type buffered struct {
	packet
	wanted *pending
}

// fits reports whether there is room for one more of that size. One that is alone always fits, however large it is.
func (o *Options) fits(packets, bytes, size int) bool {
	return packets == 0 || packets < o.MaxBufferedPackets && bytes+size <= o.MaxBufferedBytes
}

// add appends a packet, if there is room or room can be made.
func (b *buffer) add(s *Socket, p packet, wanted *pending) error {
	o := &s.manager.opts
	for o.WhenFull == DropOldest && !o.fits(len(b.waiting), b.bytes, p.size) {
		oldest := b.waiting[0]
		b.waiting[0] = buffered{}
		b.waiting = b.waiting[1:]
		b.bytes -= oldest.size
		if oldest.wanted != nil {
			delete(s.acks, oldest.id)
			oldest.wanted.resolve(nil, ErrBufferFull)
		}
	}
	if !o.fits(len(b.waiting), b.bytes, p.size) {
		return ErrBufferFull
	}
	b.waiting = append(b.waiting, buffered{p, wanted})
	b.bytes += p.size
	return nil
}

// remove takes out the packet whose acknowledgement is not wanted any more (C-16).
func (b *buffer) remove(id uint64) {
	for i, w := range b.waiting {
		if w.hasID && w.id == id {
			b.bytes -= w.size
			b.waiting = append(b.waiting[:i:i], b.waiting[i+1:]...)
			return
		}
	}
}

// has reports whether the packet of that acknowledgement still waits.
func (b *buffer) has(id uint64) bool {
	for _, w := range b.waiting {
		if w.hasID && w.id == id {
			return true
		}
	}
	return false
}

// flush sends what waits. It fits: the limits were kept when it was added. Called with the manager's mu held.
func (s *Socket) flush() {
	waiting := s.buffer.waiting
	s.buffer = buffer{}
	for i, w := range waiting {
		if err := s.manager.link.send(true, w.packet); err != nil { // the connection is lost again
			s.buffer.waiting = waiting[i:]
			for _, w := range waiting[i:] {
				s.buffer.bytes += w.size
			}
			break
		}
		if w.args != nil {
			s.lane.post(func() { s.sent(w.event, w.args) })
		}
	}
	s.manager.change()
}

// Buffered is how much of the socket's waits for a connection, retried events included.
func (s *Socket) Buffered() (packets, bytes int) {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	return len(s.buffer.waiting) + len(s.retries.queue), s.buffer.bytes + s.retries.bytes
}
