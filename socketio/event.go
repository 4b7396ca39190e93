package socketio

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/socketio/parser"
)

// Handler handles an event. It runs on the socket's lane: the socket's next event waits until it returns.
// The context is the socket's own, see Socket.Context.
type Handler func(ctx context.Context, e *Event)

// Event belongs to the handler it is given to, and to one goroutine. It is valid until the handler returns; what of
// it is needed later has to be decoded or copied before, and Acker keeps the acknowledgement.
type Event struct {
	socket      *Socket
	name        string
	text        []byte // what packet points into
	packet      parser.Packet
	attachments [][]byte

	acked bool
	acker *Acker

	aside   atomic.Int32 // how many goroutines of Go have it besides the lane
	charged bool
	excess  bool          // it is beyond the rate
	queued  time.Duration // when it began to wait behind another event; 0 if it did not
	next    *Event        // on its lane

	out  []byte // scratch for the acknowledgement
	args []any
}

var errParserPanic = errors.New("the parser panicked")

// keepBuffer is the largest buffer that is kept for reuse.
const keepBuffer = 16 << 10

// parse reads a message, of which it keeps no part: a packet outlives the read that brought it. A parser of the program's own
// that panics has refused the message.
func (e *Event) parse(c *conn, data []byte, binary bool) (err error) {
	f, s := c.format(), c.server
	if f.text {
		e.text, err = parser.Text{}.Parse(&e.packet, e.text[:0], data, binary, s.limits)
		return err
	}
	return e.parseForeign(f, s, data, binary)
}

func (e *Event) parseForeign(f *format, s *Server, data []byte, binary bool) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.opts.Logger.Error("socketio: panic in the parser", "parser", f.name, "panic", v, "stack", string(debug.Stack()))
			e.packet, err = parser.Packet{}, errParserPanic
		}
	}()
	e.text, err = f.parser.Parse(&e.packet, e.text[:0], data, binary, s.limits)
	if f.plain && err == nil && (e.packet.Type != parser.Event && e.packet.Type != parser.Ack || e.packet.Attachments > 0) {
		e.packet, err = parser.Packet{}, &parser.Error{Err: parser.ErrType}
	}
	e.attachments = e.packet.Embedded
	if err == nil && len(e.attachments) > 0 && attachedBytes(e.attachments) > s.opts.Limits.MaxAttachmentBytes {
		err = errPartialBytes
	}
	return err
}

// size is what the packet's own message counts for in the inbound budget; attachments that follow it count by themselves.
func (e *Event) size() int { return len(e.text) + attachedBytes(e.packet.Embedded) }

func attachedBytes(attachments [][]byte) (n int) {
	for _, a := range attachments {
		n += len(a)
	}
	return n
}

// release gives an event back that nobody has any more.
func (e *Event) release() {
	e.clear()
	events.Put(e)
}

func (e *Event) clear() {
	if cap(e.text) > keepBuffer {
		e.text, e.packet = nil, parser.Packet{}
	}
	if cap(e.out) > keepBuffer {
		e.out = nil
	}
	clear(e.args[:cap(e.args)])
	e.socket, e.name, e.attachments, e.packet.Embedded = nil, "", nil, nil
	e.acked, e.acker = false, nil
	e.charged, e.excess, e.queued = false, false, 0
}

// Name is the event's name; that of an event named by a number is the number's text.
func (e *Event) Name() string {
	if e.name == "" {
		e.name = string(e.packet.Event)
	}
	return e.name
}

// Socket is the socket that the event came on.
func (e *Event) Socket() *Socket { return e.socket }

// NumArgs is the number of arguments.
func (e *Event) NumArgs() int { return e.packet.NumArgs() }

// Raw is the JSON of argument i, with placeholders for its attachments, and nil if there is no such argument. It
// must not be changed.
func (e *Event) Raw(i int) []byte { return rawArg(&e.packet, i) }

// Decode decodes argument i into what v points to. Attachments become byte slices. It returns ErrNoArgument if
// there is no such argument, and a *parser.DecodeError if it does not fit.
func (e *Event) Decode(i int, v any) error { return decodeArg(&e.packet, e.attachments, i, v) }

// Spread makes the elements of an array the arguments, where a plain WebSocket client has sent one: what it sends is always one value,
// and only who handles the event knows that it stands for several. Others may have the event too, so Gather undoes it.
func (e *Event) Spread() {
	if e.socket.conn.plain != nil {
		e.packet.Spread()
	}
}

// Gather undoes Spread.
func (e *Event) Gather() { e.packet.Gather() }

// WantsAck reports whether the client asked for an acknowledgement.
func (e *Event) WantsAck() bool { return e.packet.HasID }

// Go runs fn, which may use the event, on a goroutine of its own and returns at once, so that the socket's next event need not wait
// for fn. The disconnect hooks do, and so does what the event counts for in the inbound budget. It must be called by the handler,
// before it returns.
func (e *Event) Go(fn func()) {
	s := e.socket
	e.Acker() // several may want to answer now
	e.Name()
	e.aside.Add(1)
	aside := s.beginAside()
	s.conn.server.pool.run(job(func() {
		defer aside.Done()
		var spent chain
		defer spent.release()
		defer s.done(e, &spent)
		s.call(s.Context(), func(context.Context, *Event) { fn() }, e)
	}))
}

// Ack answers the event, once; then it returns ErrAcked. Arguments that cannot be encoded are an error that leaves
// the event as it was, so that something else can be answered.
func (e *Event) Ack(args ...any) error { return e.answer("", args) }

// AckError is Ack for an answer that is an error: to a plain WebSocket client it goes as an event of the name given, with the id of
// what it answers, since a reply of its own has no mark that tells the two apart; any other gets the payload as the acknowledgement.
func (e *Event) AckError(event string, payload any) error { return e.answer(event, []any{payload}) }

func (e *Event) answer(event string, args []any) error {
	switch {
	case e.acker != nil:
		return e.acker.answer(event, args)
	case !e.packet.HasID:
		return ErrNoAck
	case e.acked:
		return ErrAcked
	}
	e.args = append(e.args[:0], args...)
	var err error
	e.out, err = e.socket.answerEvent(e.out[:0], ackID{e.packet.ID, e.packet.RawID}, event, e.args)
	e.acked = !errors.Is(err, errEncode)
	return err
}

// ackID names the event that an answer is for.
type ackID struct {
	number uint64
	raw    []byte // of a plain client, whatever it came up with
}

// Acker is for an answer after the handler has returned.
func (e *Event) Acker() *Acker {
	if e.acker == nil {
		e.acker = &Acker{socket: e.socket, id: ackID{e.packet.ID, slices.Clone(e.packet.RawID)}, wanted: e.packet.HasID}
		e.acker.acked.Store(e.acked)
	}
	return e.acker
}

// Acker is safe for concurrent use. It acknowledges one event.
type Acker struct {
	socket *Socket
	id     ackID
	wanted bool
	acked  atomic.Bool
}

// Ack does what Event.Ack does.
func (a *Acker) Ack(args ...any) error { return a.answer("", args) }

func (a *Acker) answer(event string, args []any) error {
	switch {
	case !a.wanted:
		return ErrNoAck
	case !a.acked.CompareAndSwap(false, true):
		return ErrAcked
	}
	b := scratches.Get().(*scratch)
	defer b.release()
	b.args = append(b.args, args...)
	encoded := false // unless an argument panics while it is
	defer func() {
		if !encoded {
			a.acked.Store(false)
		}
	}()
	var err error
	b.text, err = a.socket.answerEvent(b.text, a.id, event, b.args)
	encoded = !errors.Is(err, errEncode)
	return err
}

// answerEvent builds the answer in dst, which it returns for reuse.
func (s *Socket) answerEvent(dst []byte, id ackID, event string, args []any) ([]byte, error) {
	f := s.conn.format()
	if f.text {
		text, attachments, err := parser.AppendAck(dst, s.ns.name, id.number, args)
		if err != nil {
			return dst, encodeError{"acknowledgement", err}
		}
		return text, s.transmit(parser.Encoded{Data: text, Attachments: attachments}, flags{})
	}
	o := parser.Outgoing{Type: parser.Ack, Namespace: s.ns.name, ID: id.number, RawID: id.raw, HasID: true, Args: args}
	if event != "" && s.conn.plain != nil {
		o.Type, o.Event = parser.Event, event
	}
	out, err := f.parser.Append(dst, o)
	if err != nil {
		return dst, encodeError{"acknowledgement", err}
	}
	return out.Data, s.transmit(out, flags{})
}

func rawArg(p *parser.Packet, i int) []byte {
	if i < 0 || i >= p.NumArgs() {
		return nil
	}
	return p.Arg(i)
}

func decodeArg(p *parser.Packet, attachments [][]byte, i int, v any) error {
	if i < 0 || i >= p.NumArgs() {
		return fmt.Errorf("%w: %d of %d", ErrNoArgument, i, p.NumArgs())
	}
	return parser.Decode(p.Arg(i), attachments, v)
}
