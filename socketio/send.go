package socketio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// Emit sends an event to the client. It never waits: over the outbound budget the policy of the engine applies. Byte slices
// anywhere in the arguments travel as binary attachments.
func (s *Socket) Emit(event string, args ...any) error { return s.emit(event, args, flags{}) }

// Send is Emit that waits while the outbound budget has no room for the event, until ctx ends.
func (s *Socket) Send(ctx context.Context, event string, args ...any) error {
	if s.ticket != nil {
		return s.emitInOrder(s.packet(event, args, flags{}), func(m *engineio.Message) error {
			return s.conn.session.Reserve(ctx, m)
		})
	}
	b := scratches.Get().(*scratch)
	defer b.release()
	out, err := s.encode(b, event, args, 0, false)
	if err != nil {
		return err
	}
	s.observe(event, b.args)
	m := s.conn.format().frame(out, flags{})
	if s.state.Load() == stateConnected {
		err = sendError(s.conn.session.SendWait(ctx, m))
	} else {
		err = s.queue(m, false)
		s.flush()
	}
	return err
}

// Volatile is for one call of Emit: the event is dropped if the client cannot be written to right now (S-67).
func (s *Socket) Volatile() Emitter { return Emitter{s, flags{volatile: true}} }

// Compress is for one call: it says whether the event may be compressed, which it may unless this says no (S-68).
func (s *Socket) Compress(compress bool) Emitter {
	return Emitter{s, flags{noCompress: !compress}}
}

// Timeout is for one call of EmitWithAck: it returns ErrTimeout if the client does not answer within d (S-70).
func (s *Socket) Timeout(d time.Duration) Emitter { return Emitter{s, flags{timeout: d}} }

// Emitter is a value: a socket and the flags of one call.
type Emitter struct {
	socket *Socket
	flags
}

// flags are how one event is sent.
type flags struct {
	volatile   bool
	noCompress bool
	timeout    time.Duration // of an acknowledgement; 0 is none
}

// Volatile adds that flag.
func (e Emitter) Volatile() Emitter {
	e.volatile = true
	return e
}

// Compress adds that flag.
func (e Emitter) Compress(compress bool) Emitter {
	e.noCompress = !compress
	return e
}

// Timeout adds that flag.
func (e Emitter) Timeout(d time.Duration) Emitter {
	e.timeout = d
	return e
}

// Emit does what Socket.Emit does. That a volatile event was dropped is no error.
func (e Emitter) Emit(event string, args ...any) error {
	err := e.socket.emit(event, args, e.flags)
	if e.volatile && errors.Is(err, engineio.ErrNotWritable) {
		return nil
	}
	return err
}

// EmitWithAck does what Socket.EmitWithAck does.
func (e Emitter) EmitWithAck(ctx context.Context, event string, args ...any) (*Reply, error) {
	return e.socket.request(ctx, e.flags, event, args)
}

func (s *Socket) emit(event string, args []any, f flags) error {
	if s.ticket != nil {
		return s.emitInOrder(s.packet(event, args, f), nil)
	}
	return s.emitID(event, args, f, 0, false)
}

// packet has the arguments copied, so that those of the caller need not be allocated where no packet is made.
func (s *Socket) packet(event string, args []any, f flags) *adapter.Packet {
	return &adapter.Packet{Namespace: s.ns.name, Event: event, Args: slices.Clone(args), Volatile: f.volatile, NoCompress: f.noCompress}
}

func (s *Socket) emitID(event string, args []any, f flags, id uint64, hasID bool) error {
	b := scratches.Get().(*scratch)
	defer b.release()
	out, err := s.encode(b, event, args, id, hasID)
	if err != nil {
		return err
	}
	s.observe(event, b.args)
	return s.transmit(out, f)
}

// encode makes the packet of an event in b.text.
func (s *Socket) encode(b *scratch, event string, args []any, id uint64, hasID bool) (out parser.Encoded, err error) {
	if parser.Reserved(event) {
		return out, reservedError(event)
	}
	if s.state.Load() >= stateLeft {
		return out, ErrDisconnected
	}
	b.args = append(b.args, args...)
	out, err = s.conn.format().parser.Append(b.text, parser.Outgoing{
		Type: parser.Event, Namespace: s.ns.name, ID: id, HasID: hasID, Event: event, Args: b.args,
	})
	if err != nil {
		return out, encodeError{fmt.Sprintf("event %q", event), err}
	}
	b.text = out.Data
	return out, nil
}

// scratch is what an event is encoded in. Its arguments are copied here so that those of the caller need not be allocated.
type scratch struct {
	text []byte
	args []any
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (b *scratch) release() {
	if cap(b.text) > keepBuffer {
		b.text = nil
	}
	clear(b.args)
	b.text, b.args = b.text[:0], b.args[:0]
	scratches.Put(b)
}

// transmit sends a packet, which it copies.
func (s *Socket) transmit(out parser.Encoded, f flags) error {
	if !f.volatile && !f.noCompress && !out.Binary && len(out.Attachments) == 0 && s.state.Load() == stateConnected {
		return sendError(s.conn.session.SendText(out.Data))
	}
	err := s.queue(s.conn.format().frame(out, f), f.volatile)
	s.flush()
	return err
}

// queue appends m to what the session sends, or holds it until CONNECT is answered.
func (s *Socket) queue(m *engineio.Message, volatile bool) error {
	if s.state.Load() == statePending {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	// The state is that of now, and it stays pending while the lock is held.
	switch s.state.Load() {
	case statePending:
		return s.hold(m, volatile)
	case stateConnected:
		return sendError(s.conn.session.Append(m, volatile))
	}
	return ErrDisconnected
}

// held is what was sent before CONNECT was answered.
type held struct {
	messages []*engineio.Message
	bytes    int
	overflow bool // the session is to be closed
}

// hold keeps m, within the outbound budget less what the answer will take of it. Called with mu held.
func (s *Socket) hold(m *engineio.Message, volatile bool) error {
	if s.kick != kickNot {
		return ErrDisconnected
	}
	if volatile {
		return engineio.ErrNotWritable
	}
	o := &s.conn.server.opts.Engine
	h := &s.extra().held
	answer := len(s.ns.name) + 64
	if answer+h.bytes+m.Len() > cmp.Or(o.OutboundBytes, engineio.DefaultOutboundBytes) ||
		1+len(h.messages) >= cmp.Or(o.OutboundPackets, engineio.DefaultOutboundPackets) {
		h.overflow = o.Overflow != engineio.DropNewest
		return engineio.ErrOutboundFull
	}
	h.messages = append(h.messages, m)
	h.bytes += m.Len()
	return nil
}

// flush writes what is queued.
func (s *Socket) flush() {
	if s.state.Load() == statePending {
		s.mu.Lock()
		overflow := s.more != nil && s.more.held.overflow
		s.mu.Unlock()
		if overflow {
			s.conn.session.Close(engineio.ReasonOutboundOverflow)
		}
		return // the answer to CONNECT comes first
	}
	s.conn.session.Flush()
}

// encoding returns a broadcast as the client is to get it.
func (s *Socket) encoding(p *adapter.Packet) (any, error) {
	if s.ticket != nil && !p.HasID {
		return s.conn.server.recoverable(p)
	}
	return s.conn.format().encoding(p)
}
