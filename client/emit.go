package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/perch-go/perch/client/internal/engine"
	"github.com/perch-go/perch/socketio/parser"
)

// Emit sends an event, or has it wait for a connection. It never waits itself: when the buffer is full it does what
// [Options.WhenFull] says. Byte slices anywhere in the arguments travel as binary attachments. Arguments may be changed as soon as
// it has returned.
func (s *Socket) Emit(event string, args ...any) error { return s.emit(event, args, flags{}) }

// Send is Emit that waits while the buffer is full, until ctx is done.
func (s *Socket) Send(ctx context.Context, event string, args ...any) error {
	return s.send(ctx, event, args, flags{})
}

// Volatile is for one call: the event is dropped if it cannot be sent right now (C-15).
func (s *Socket) Volatile() Emitter { return Emitter{s, flags{volatile: true}} }

// Compress is for one call: it says whether the event may be compressed, which it may unless this says no.
func (s *Socket) Compress(compress bool) Emitter { return Emitter{s, flags{noCompress: !compress}} }

// Timeout is for one call of EmitWithAck: it returns ErrTimeout if the server does not answer within d (C-16). Zero is the timeout of
// the options; if d is negative nothing is sent.
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
	timeout    time.Duration // of an acknowledgement; 0 is that of the socket's options
}

// Sender is a [*Socket], or an [Emitter] where flags are wanted.
type Sender interface{ emitter() Emitter }

func (s *Socket) emitter() Emitter { return Emitter{socket: s} }

func (e Emitter) emitter() Emitter { return e }

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

// Emit does what [Socket.Emit] does. That a volatile event was dropped is no error.
func (e Emitter) Emit(event string, args ...any) error { return e.socket.emit(event, args, e.flags) }

// Send does what [Socket.Send] does.
func (e Emitter) Send(ctx context.Context, event string, args ...any) error {
	return e.socket.send(ctx, event, args, e.flags)
}

// EmitWithAck does what [Socket.EmitWithAck] does.
func (e Emitter) EmitWithAck(ctx context.Context, event string, args ...any) (*Reply, error) {
	return e.socket.request(ctx, event, args, e.flags)
}

// packet is one that is encoded, in memory that nobody else writes to.
type packet struct {
	head        engine.Message
	attachments [][]byte
	size        int // in bytes
	event       string
	args        []any // those of the caller, if somebody listens to what is sent
	id          uint64
	hasID       bool
}

// scratches are what packets are encoded in before they get memory of the right size.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// keepScratch is the largest that is kept for reuse.
const keepScratch = 16 << 10

func (s *Socket) encode(o parser.Outgoing) (packet, error) {
	o.Namespace = s.namespace
	return s.manager.encode(o)
}

func (m *Manager) encode(o parser.Outgoing) (packet, error) {
	b := scratches.Get().(*[]byte)
	defer scratches.Put(b)
	out, err := m.opts.Parser.Append((*b)[:0], o)
	if err != nil {
		return packet{}, fmt.Errorf("client: %w", err)
	}
	p := packet{head: engine.Message{Data: bytes.Clone(out.Data), Binary: out.Binary}, size: len(out.Data), id: o.ID, hasID: o.HasID}
	for _, a := range out.Attachments {
		p.attachments = append(p.attachments, append([]byte{}, a...))
		p.size += len(a)
	}
	if *b = out.Data; cap(*b) > keepScratch {
		*b = nil
	}
	return p, nil
}

func (s *Socket) encodeEvent(event string, args []any, f flags, id uint64, hasID bool) (packet, error) {
	if parser.Reserved(event) {
		return packet{}, fmt.Errorf("%w: %q", ErrReserved, event)
	}
	p, err := s.encode(parser.Outgoing{Type: parser.Event, ID: id, HasID: hasID, Event: event, Args: args})
	if err != nil {
		return p, fmt.Errorf("event %q: %w", event, err)
	}
	p.head.NoCompress = f.noCompress
	p.event = event
	return p, nil
}

// shown is a copy of the arguments for those who listen to what is sent, nil if nobody does.
func (s *Socket) shown(args []any) []any {
	if len(s.outgoing.all()) == 0 {
		return nil
	}
	return append([]any{}, args...)
}

// send hands a packet to the connection.
func (l *link) send(force bool, p packet) error {
	if len(p.attachments) == 0 {
		return l.conn.Send(force, p.head)
	}
	msgs := []engine.Message{p.head}
	for _, a := range p.attachments {
		msgs = append(msgs, engine.Message{Data: a, Binary: true, NoCompress: p.head.NoCompress})
	}
	return l.conn.Send(force, msgs...)
}

func (s *Socket) emit(event string, args []any, f flags) error {
	var err error
	if s.opts.Retries != 0 && !f.volatile {
		err = s.enqueue(event, args, f, nil)
	} else if p, encodeErr := s.encodeEvent(event, args, f, 0, false); encodeErr != nil {
		err = encodeErr
	} else {
		p.args = s.shown(args)
		err = s.transmit(p, f, nil)
	}
	if f.volatile && errors.Is(err, ErrNotWritable) {
		return nil
	}
	return err
}

func (s *Socket) send(ctx context.Context, event string, args []any, f flags) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := s.emit(event, args, f); !errors.Is(err, ErrBufferFull) {
			return err
		}
		room := s.room()
		if err := s.emit(event, args, f); !errors.Is(err, ErrBufferFull) { // there was some before we could be told
			return err
		}
		if err := room(ctx); err != nil {
			return err
		}
	}
}

// room returns what waits until there may be more room than there was when room was called.
func (s *Socket) room() func(ctx context.Context) error {
	m := s.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	l, changed := m.link, m.changed
	online := s.state == connected && s.opts.Retries == 0
	return func(ctx context.Context) error {
		var room chan struct{}
		if online {
			room = make(chan struct{})
			over := make(chan struct{})
			wait, cancel := context.WithCancel(ctx)
			defer func() {
				cancel()
				<-over
			}()
			go func() {
				defer close(over)
				if l.conn.Wait(wait) == nil { // else the connection is lost, which is a change that we are going to be told of
					close(room)
				}
			}()
		}
		select {
		case <-room:
			return nil
		case <-changed:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// transmit sends a packet now or, unless it is volatile, when there is a connection. wanted, unless it is nil, gets what is
// acknowledged.
func (s *Socket) transmit(p packet, f flags, wanted *pending) error {
	m := s.manager
	m.mu.Lock()
	sent, err := s.transmitLocked(p, f, wanted)
	m.mu.Unlock()
	if sent && p.args != nil {
		s.sent(p.event, p.args)
	}
	return err
}

func (s *Socket) transmitLocked(p packet, f flags, wanted *pending) (sent bool, err error) {
	switch {
	case s.state == closed:
		return false, s.manager.closedError()
	case s.state == connected:
		l := s.manager.link
		if f.volatile && !l.conn.Writable() {
			return false, ErrNotWritable
		}
		switch err := l.send(false, p); {
		case err == nil:
			s.await(p, wanted)
			return true, nil
		case errors.Is(err, engine.ErrFull):
			return false, ErrBufferFull
		}
		// The connection is lost, of which we are going to be told.
	}
	if f.volatile {
		return false, ErrNotWritable
	}
	if err := s.buffer.add(s, p, wanted); err != nil {
		return false, err
	}
	s.await(p, wanted)
	return false, nil
}

// answer sends an acknowledgement if the socket is still in that life.
func (s *Socket) answer(life uint64, p packet) error {
	m := s.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case s.state == closed:
		return m.closedError()
	case s.state != connected || s.life != life:
		return ErrDisconnected
	}
	switch err := m.link.send(false, p); {
	case errors.Is(err, engine.ErrFull):
		return ErrBufferFull
	case err != nil:
		return ErrDisconnected
	}
	return nil
}
