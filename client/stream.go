package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/internal/payload"
)

// ErrStreaming: the socket has a stream of this event already, or left one that the server has not ended yet. What would come could
// be of either.
var ErrStreaming = errors.New("client: a stream of this event is under way")

var errRanged = errors.New("client: these events were ranged over already")

// What a feed holds before the lane has to wait, as much as the lane itself.
const (
	feedEvents = laneTasks
	feedBytes  = laneBytes
)

// Stream asks the server for a sequence: it sends an event, yields the events of the same name that come, each decoded into an Out as
// by [On], and ends with the acknowledgement. An error is the last thing that is yielded: an [*Error] if the acknowledgement says
// that something went wrong, ErrDisconnected if the connection is lost, the cause of ctx. Only what does not fit an Out is yielded
// as an error before the end, and the loop may go on.
//
// Nothing is sent until the sequence is ranged over; each time it is, that is another request, for which there are no retries and no
// AckTimeout. A loop that is left early does not stop the server, of which the protocol knows no way: what still comes is dropped.
// Because nothing on the wire tells one stream of an event from another, a second one on the same socket is ErrStreaming until the
// server has acknowledged the first, or the connection is lost; what a server that recovers connections sends of the first after
// that, the second has to tell apart itself.
//
// The events come by the socket's lane: a loop in a handler of the same socket would wait for itself. Handlers of the same event are
// called too. A loop that is slow makes the lane wait once 1,024 events or 1 MiB are behind it, then the reader, and so the server,
// which will not wait for a pong for ever. An acknowledgement that such a loop waits for, as by [Call], may stand behind all that.
//
// With a plain name as e the Out has to be given: Stream[Message](ctx, s, "history", r).
func Stream[Out, In any](ctx context.Context, s *Socket, e event.Stream[In, Out], in In) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var none Out
		f, leave, err := s.stream(ctx, string(e), payload.List(in))
		if err != nil {
			yield(none, err)
			return
		}
		defer leave()
		if err := each(ctx, f, string(e), yield); err != nil {
			yield(none, err)
		}
	}
}

// Events are the events of one name that come from now on, each decoded into a T as by [On]: they are collected from the call on, so
// that none is missed between it and the loop. What does not fit a T is yielded as an error, and the loop may go on. It ends with
// ctx or when the socket is closed, and what it ended by is the last thing that is yielded. It does not end when the connection is
// lost: there will be another, and with recovery nothing is missed.
//
// The sequence can be ranged over once. When 1,024 events or 1 MiB of them wait for the loop, the socket's other events wait too: do
// not forget to range over it, or end ctx. A loop in a handler of the same socket would wait for itself.
//
// With a plain name as e the T has to be given: Events[Message](ctx, s, "posted").
func Events[T any](ctx context.Context, s *Socket, e event.Event[T]) iter.Seq2[T, error] {
	f := newFeed(s)
	leave := f.collect(ctx, string(e))
	var ranged atomic.Bool
	return func(yield func(T, error) bool) {
		var none T
		if ranged.Swap(true) {
			yield(none, errRanged)
			return
		}
		defer leave()
		if err := each(ctx, f, string(e), yield); err != nil {
			yield(none, err)
		}
	}
}

// each yields what is in f. It returns what f ended by, and nil if the loop was left or there is nothing more to say.
func each[T any](ctx context.Context, f *feed, name string, yield func(T, error) bool) error {
	read := reader[T]()
	for {
		e, err := f.take(ctx)
		if e == nil {
			return err
		}
		v, err := read(e)
		if err != nil {
			err = fmt.Errorf("client: event %q: %w", name, err)
		}
		if !yield(v, err) {
			return nil
		}
	}
}

// stream sends a request whose answer is a feed.
func (s *Socket) stream(ctx context.Context, name string, args []any) (f *feed, leave func(), err error) {
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	f = newFeed(s)
	if over, err := f.over(); over {
		return nil, nil, err
	}
	if !s.streams.add(name) {
		return nil, nil, ErrStreaming
	}
	stop := f.collect(ctx, name)
	// The end comes by the lane, behind the events that came before it.
	withdraw, err := s.ask(name, args, func(r *Reply, err error) {
		s.streams.remove(name)
		if err == nil {
			err = r.Err()
		}
		f.err = err
		close(f.ended)
	})
	if err != nil {
		stop()
		s.streams.remove(name)
		return nil, nil, err
	}
	return f, func() {
		stop()
		if withdraw() { // the server has not heard of it
			s.streams.remove(name)
		}
	}, nil
}

// ask sends an event for which there are no retries and no timeout, and has settle called once, on the lane, unless withdraw reports
// that the event was not sent and never will be.
func (s *Socket) ask(event string, args []any, settle func(*Reply, error)) (withdraw func() bool, err error) {
	id := s.lastID.Add(1) - 1
	p, err := s.encodeEvent(event, args, flags{}, id, true)
	if err != nil {
		return nil, err
	}
	p.args = s.shown(args)
	wanted := &pending{settle: settle, lane: &s.lane}
	if err := s.transmit(p, flags{}, wanted); err != nil {
		return nil, err
	}
	return func() bool {
		s.manager.mu.Lock()
		defer s.manager.mu.Unlock()
		if wanted.waits == nil {
			return false
		}
		s.buffer.remove(wanted.waits)
		delete(s.acks, id)
		s.manager.change()
		return true
	}, nil
}

// names are those of the events that a socket has a stream of. They are safe for concurrent use.
type names struct {
	mu  sync.Mutex
	set map[string]struct{}
}

// add reports whether the name is new.
func (n *names) add(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.set[name]; ok {
		return false
	}
	if n.set == nil {
		n.set = make(map[string]struct{})
	}
	n.set[name] = struct{}{}
	return true
}

func (n *names) remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.set, name)
}

// feed has the events that have come for a loop. The lane puts, one goroutine takes.
type feed struct {
	socket *Socket       // ends it when it is closed
	ended  chan struct{} // closed when no more events will come
	err    error         // what it ended by; set before that
	left   chan struct{} // closed when nobody takes any more

	mu    sync.Mutex
	list  []*Event
	bytes int
	ready chan struct{} // something was put; has room for one
	room  chan struct{} // something was taken; has room for one
}

func newFeed(s *Socket) *feed {
	return &feed{
		socket: s, ended: make(chan struct{}), left: make(chan struct{}),
		ready: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// collect has events put into f until leave is called or ctx is done.
func (f *feed) collect(ctx context.Context, name string) (leave func()) {
	off := f.socket.On(name, func(_ context.Context, e *Event) { f.put(e) })
	end := sync.OnceFunc(func() {
		off()
		close(f.left)
	})
	forget := context.AfterFunc(ctx, end)
	return func() {
		forget()
		end()
	}
}

func (f *feed) put(e *Event) {
	for !f.append(e) {
		select {
		case <-f.room:
		case <-f.socket.ctx.Done():
			return
		case <-f.left:
			return
		}
	}
	signal(f.ready)
}

func (f *feed) append(e *Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) >= feedEvents || f.bytes >= feedBytes {
		return false
	}
	f.list = append(f.list, e)
	f.bytes += e.in.size
	return true
}

// take waits for an event. Without one it returns what f ended by, which may be nothing, or the cause of ctx.
func (f *feed) take(ctx context.Context) (*Event, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		over, err := f.over() // before looking: if it is, there is no more than what is there
		if e := f.first(); e != nil {
			signal(f.room)
			return e, nil
		}
		if over {
			return nil, err
		}
		select {
		case <-f.ready:
		case <-f.ended:
		case <-f.socket.ctx.Done():
		case <-ctx.Done():
		}
	}
}

// over reports whether no more events will come, and why.
func (f *feed) over() (bool, error) {
	select {
	case <-f.ended:
		return true, f.err
	default:
	}
	select {
	case <-f.socket.ctx.Done():
		return true, ErrClosed
	default:
		return false, nil
	}
}

func (f *feed) first() *Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) == 0 {
		return nil
	}
	e := f.list[0]
	f.list[0] = nil
	f.list = f.list[1:]
	f.bytes -= e.in.size
	return e
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
