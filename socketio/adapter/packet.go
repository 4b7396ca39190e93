package adapter

import (
	"sync"
	"sync/atomic"
)

// Packet is safe for concurrent use once it has been handed to an adapter; its exported fields are not
// changed after that. It is what is broadcast: an event with its arguments, not yet encoded, together
// with the encodings that have been asked for (engine rule 7). A packet is handed to an adapter once.
type Packet struct {
	Namespace string
	Event     string
	Args      []any

	// ID is that of the acknowledgement asked for, if HasID. Adapter.Ask draws it.
	ID    uint64
	HasID bool

	// Volatile drops the packet for members that cannot be written to right now (S-67).
	Volatile bool
	// NoCompress keeps the packet from being compressed (S-68).
	NoCompress bool

	// Offset is the packet's place in the order of a namespace that can be recovered (S-78); "" outside of one. Before it is
	// drawn there is something of the same length, so that encodings have room for it, see [Stamped].
	Offset string

	// Nearly always there is one format, so the first one made is found without a lock.
	first atomic.Pointer[encoding]
	mu    sync.Mutex
	more  []*encoding
}

type encoding struct {
	format string
	value  any
	err    error
}

// Encoded reports whether an encoding has been asked for.
func (p *Packet) Encoded() bool { return p.first.Load() != nil }

// Encoding returns what encode makes of the packet for the given format. It is made once, when it is
// first asked for, and shared by everybody who asks again; an error is kept likewise.
func (p *Packet) Encoding(format string, encode func(*Packet) (any, error)) (any, error) {
	if e := p.first.Load(); e != nil && e.format == format {
		return e.value, e.err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.first.Load(); e != nil && e.format == format {
		return e.value, e.err
	}
	for _, e := range p.more {
		if e.format == format {
			return e.value, e.err
		}
	}
	e := &encoding{format: format}
	e.value, e.err = encode(p)
	if !p.first.CompareAndSwap(nil, e) {
		p.more = append(p.more, e)
	}
	return e.value, e.err
}

// Stamp gives the packet its offset, and all its encodings. It is called by adapters, under the ordering lock and before the
// first Append.
func (p *Packet) Stamp(offset string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Offset = offset
	if e := p.first.Load(); e != nil {
		e.stamp(offset)
	}
	for _, e := range p.more {
		e.stamp(offset)
	}
}

func (e *encoding) stamp(offset string) {
	if v, ok := e.value.(Stamped); ok {
		v.SetOffset(offset)
	}
}

// remains is what of a packet is kept for those who will have missed it: its encodings that carry an offset,
// without the arguments, which are their owner's to change again.
func (p *Packet) remains() *Packet {
	r := &Packet{Namespace: p.Namespace, Event: p.Event, NoCompress: p.NoCompress, Offset: p.Offset}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range append([]*encoding{p.first.Load()}, p.more...) {
		if e == nil {
			continue
		}
		if _, ok := e.value.(Stamped); ok && !r.first.CompareAndSwap(nil, e) {
			r.more = append(r.more, e)
		}
	}
	return r
}
