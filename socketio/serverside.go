package socketio

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// ServerHandler handles an event that another process of the cluster has emitted. Those of one namespace are handled one at a
// time, in the order in which they came; one that has to wait for something had better leave that to a goroutine, which may
// keep the event. Over 65,536 that wait, further ones are dropped with a line in the log. The context ends with the server.
type ServerHandler func(ctx context.Context, e *ServerEvent)

// ServerEvent is safe for concurrent use, also after its handler has returned: an event that another process of the cluster has
// emitted (S-44).
type ServerEvent struct {
	name  string
	args  Reply
	send  func(v any) error
	acked atomic.Bool
}

// Name is the event's name.
func (e *ServerEvent) Name() string { return e.name }

// NumArgs is the number of arguments.
func (e *ServerEvent) NumArgs() int { return e.args.NumArgs() }

// Raw is the JSON of argument i, with placeholders for its attachments, and nil if there is no such argument. It must not be
// changed.
func (e *ServerEvent) Raw(i int) []byte { return e.args.Raw(i) }

// Decode decodes argument i into what v points to, as Event.Decode does.
func (e *ServerEvent) Decode(i int, v any) error { return e.args.Decode(i, v) }

// WantsAck reports whether the other process waits for an answer.
func (e *ServerEvent) WantsAck() bool { return e.send != nil }

// Ack answers the event with one value, once; then it returns ErrAcked.
func (e *ServerEvent) Ack(v any) error {
	switch {
	case e.send == nil:
		return ErrNoAck
	case !e.acked.CompareAndSwap(false, true):
		return ErrAcked
	}
	r, err := parser.NewRaw(v)
	if err != nil {
		e.acked.Store(false)
		return encodeError{"acknowledgement", err}
	}
	return e.send(r)
}

// ServerAnswer is a plain value: what one process of the cluster answered.
type ServerAnswer struct {
	// Node is the process's name in the cluster, "" if it is not known.
	Node string
	// Reply holds the answer as its only argument; nil if Err is set.
	Reply *Reply
	// Err says why there is no answer: ErrDisconnected if the process has gone.
	Err error
}

// Decode decodes the answer into what v points to. It returns Err if there is none.
func (a ServerAnswer) Decode(v any) error {
	if a.Err != nil {
		return a.Err
	}
	return a.Reply.Decode(0, v)
}

// The names that ServerSideEmit refuses because Node's server does (S-44).
var reservedServerSide = []string{"connect", "connection", "new_namespace"}

// ServerSideEmit sends an event to the other processes of the cluster, which handle it with [Namespace.HandleServerSide] (S-44).
// Without a cluster there are none, and nothing happens.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	return n.serverSideEmit(context.Background(), event, args, nil)
}

// ServerSideEmitWithAck is ServerSideEmit that waits until each of the other processes has answered or gone. If ctx ends first,
// it returns the answers that came and an [*IncompleteError] (S-45). A process that does not handle the event does not answer, so
// ctx should have a deadline; where it has none, adapters have one of their own.
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]ServerAnswer, error) {
	var answers []ServerAnswer
	err := n.serverSideEmit(ctx, event, args, func(a adapter.ServerAnswer) {
		answers = append(answers, ServerAnswer{Node: a.Node, Reply: replyOf(a.Arguments, a.Err), Err: a.Err})
	})
	return answers, err
}

func (n *Namespace) serverSideEmit(ctx context.Context, event string, args []any, answer func(adapter.ServerAnswer)) error {
	if slices.Contains(reservedServerSide, event) {
		return reservedError(event)
	}
	values, err := adapter.NewValues(args...)
	if err != nil {
		return encodeError{fmt.Sprintf("event %q", event), err}
	}
	return n.adapter.ServerSideEmit(ctx, event, values.Args(), answer)
}

// HandleServerSide registers a handler for an event that other processes of the cluster emit with ServerSideEmit, and returns
// what removes it again. Several run in the order they were registered.
func (n *Namespace) HandleServerSide(event string, h ServerHandler) (off func()) {
	rt := &serverRoute{event, h}
	n.change(func(r *registry) { r.serverSide = with(r.serverSide, rt) })
	return func() { n.change(func(r *registry) { r.serverSide = without(r.serverSide, rt) }) }
}

type serverRoute struct {
	event   string
	handler ServerHandler
}

// serverLane is safe for concurrent use: the queue of the events that other processes have emitted to a namespace.
type serverLane struct {
	ns    *Namespace
	mu    sync.Mutex
	queue []*ServerEvent
	busy  bool
	full  bool // and something was dropped since it was empty
}

// maxServerSide bounds the events of other processes that wait for a namespace's handlers.
const maxServerSide = 1 << 16

func (l *serverLane) push(e *ServerEvent) {
	l.mu.Lock()
	if len(l.queue) >= maxServerSide {
		first := !l.full
		l.full = true
		l.mu.Unlock()
		if first {
			l.ns.server.opts.Logger.Error("socketio: server-side events are dropped, their handlers are too slow", "namespace", l.ns.name, "event", e.name)
		}
		return
	}
	start := !l.busy
	l.busy = true
	l.queue = append(l.queue, e)
	l.mu.Unlock()
	if start {
		l.ns.server.pool.run(l)
	}
}

// next takes the first event; nil means that the worker has to let go.
func (l *serverLane) next() *ServerEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.queue, l.busy, l.full = nil, false, false
		return nil
	}
	e := l.queue[0]
	l.queue[0] = nil
	l.queue = l.queue[1:]
	return e
}

func (l *serverLane) run() {
	for e := l.next(); e != nil; e = l.next() {
		for _, rt := range l.ns.registry.Load().serverSide {
			if rt.event == e.name {
				l.call(rt.handler, e)
			}
		}
	}
}

// call runs a handler; a panic ends it and nothing else.
func (l *serverLane) call(h ServerHandler, e *ServerEvent) {
	defer func() {
		if v := recover(); v != nil {
			l.ns.server.logPanic(v, "server-side event", e.name, "namespace", l.ns.name)
		}
	}()
	h(l.ns.server.ctx, e)
}
