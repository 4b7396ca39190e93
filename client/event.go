package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/perch-go/perch/internal/payload"
	"github.com/perch-go/perch/socketio/parser"
)

// Handler handles an event. It runs on the socket's lane: the socket's next event waits until it returns. The context ends when
// the socket is closed.
type Handler func(ctx context.Context, e *Event)

// Event is safe for concurrent use and may be kept. It is an event that the server sent.
type Event struct {
	in     incoming
	socket *Socket
	life   uint64 // of the socket, when it came
	acked  atomic.Bool
}

// incoming is a packet with all that belongs to it, in memory of its own. It is not changed once it is complete.
type incoming struct {
	packet      parser.Packet
	text        []byte // what packet points into
	attachments [][]byte
	size        int // bytes that came, never 0
}

func (in *incoming) namespace() string {
	if len(in.packet.Namespace) == 0 {
		return "/"
	}
	return string(in.packet.Namespace)
}

// raw is the JSON of argument i, nil if there is none.
func (in *incoming) raw(i int) []byte { return in.packet.Arg(i) }

func (in *incoming) decode(i int, v any) error {
	if i < 0 || i >= in.packet.NumArgs() {
		return fmt.Errorf("%w: %d of %d", ErrNoArgument, i, in.packet.NumArgs())
	}
	return parser.Decode(in.packet.Arg(i), in.attachments, v)
}

// Name is the event's name; that of an event named by a number is the number's text.
func (e *Event) Name() string { return string(e.in.packet.Event) }

// Socket is the socket that the event came on.
func (e *Event) Socket() *Socket { return e.socket }

// NumArgs is the number of arguments. Where connections can be recovered the server appends one, its offset, a string.
func (e *Event) NumArgs() int { return e.in.packet.NumArgs() }

// Raw is the JSON of argument i, with placeholders for its attachments, and nil if there is no such argument. It must not be
// changed.
func (e *Event) Raw(i int) []byte { return e.in.raw(i) }

// Decode decodes argument i into what v points to. Attachments become byte slices. It returns ErrNoArgument if there is no such
// argument, and a *parser.DecodeError if it does not fit.
func (e *Event) Decode(i int, v any) error { return e.in.decode(i, v) }

// WantsAck reports whether the server asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.in.packet.HasID }

// Ack answers the event, once; then it returns ErrAcked. It returns ErrDisconnected when the connection that the event came on
// has been lost: nobody waits for the answer any more. Arguments that cannot be encoded are an error that leaves the event as it
// was, so that something else can be answered; so is ErrBufferFull, that there is no room to send it.
func (e *Event) Ack(args ...any) error {
	switch {
	case !e.WantsAck():
		return ErrNoAck
	case !e.acked.CompareAndSwap(false, true):
		return ErrAcked
	}
	p, err := e.socket.encode(parser.Outgoing{Type: parser.Ack, ID: e.in.packet.ID, HasID: true, Args: args})
	if err != nil {
		e.acked.Store(false)
		return err
	}
	err = e.socket.answer(e.life, p)
	if errors.Is(err, ErrBufferFull) {
		e.acked.Store(false)
	}
	return err
}

// Reply is safe for concurrent use and may be kept. It is what the server acknowledged an event with.
type Reply struct{ in *incoming }

// NumArgs is the number of arguments.
func (r *Reply) NumArgs() int { return r.in.packet.NumArgs() }

// Raw does what [Event.Raw] does.
func (r *Reply) Raw(i int) []byte { return r.in.raw(i) }

// Decode does what [Event.Decode] does.
func (r *Reply) Decode(i int, v any) error { return r.in.decode(i, v) }

// Err is an [*Error] if that is what the server answered: one argument, an object whose status is "error" and that has a code and
// a message. Otherwise it is nil.
func (r *Reply) Err() error {
	if f, ok := payload.FailureOf(r); ok {
		return &Error{Code: f.Code, Message: f.Message, Details: f.Details}
	}
	return nil
}
