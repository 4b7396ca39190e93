package socketio

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// Answer is a plain value: what one socket said to a broadcast that asked for acknowledgements.
type Answer struct {
	// SocketID says whose answer it is. It is "" for a socket of a Node process, which does not tell.
	SocketID string
	// Reply is what the client acknowledged with; nil if Err is set.
	Reply *Reply
	// Err says why there is no answer: ErrDisconnected if the socket has left, ErrTooManyAcks if too many of it are awaited,
	// ErrConnecting for the socket whose own connection hook asks, engineio.ErrOutboundFull or, of a volatile event, engineio.ErrNotWritable if it was not sent.
	Err error
}

// Decode decodes argument i of the answer into what v points to. It returns Err if there is no answer.
func (a Answer) Decode(i int, v any) error {
	if a.Err != nil {
		return a.Err
	}
	return a.Reply.Decode(i, v)
}

// IncompleteError says how many answers to a broadcast or a question to the cluster are missing, and whose. It unwraps to what
// ended the wait: ErrTimeout, or the context's error.
type IncompleteError = adapter.IncompleteError

// EmitWithAck sends an event to the sockets selected and waits for the acknowledgement of each, wherever in the cluster it is
// (S-71). It returns when every socket has answered or left, at once if none is selected; who has left has an answer with
// ErrDisconnected. If ctx or the time given by [Broadcast.Timeout] ends first, it returns the answers that came and an
// [*IncompleteError]. Without either it waits as long as [Limits.AckTimeout] says, or as that takes.
//
// A handler may ask a selection that its own client belongs to. A connection hook is answered ErrConnecting for its own client,
// which is not sent the event: it could not answer before the hook returns.
func (b *Broadcast) EmitWithAck(ctx context.Context, event string, args ...any) ([]Answer, error) {
	var answers []Answer
	err := b.ask(ctx, event, args, func(a Answer) { answers = append(answers, a) })
	return answers, err
}

// Answers is EmitWithAck that hands out each answer as it comes. The last pair holds the error if there is one. Leaving the loop
// ends the wait.
func (b *Broadcast) Answers(ctx context.Context, event string, args ...any) iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		more := true
		err := b.ask(ctx, event, args, func(a Answer) {
			if more = more && yield(a, nil); !more {
				cancel()
			}
		})
		if err != nil && more {
			yield(Answer{}, err)
		}
	}
}

func (b *Broadcast) ask(ctx context.Context, event string, args []any, answer func(Answer)) error {
	if parser.Reserved(event) {
		return reservedError(event)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if d := cmp.Or(b.timeout, b.ns.server.opts.Limits.AckTimeout); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, ErrTimeout)
		defer cancel()
	}
	sel := b.sel
	if from, ok := SocketFrom(ctx); ok {
		if s := from.conn.socket(b.ns); s != nil && b.ns.means(sel, s) {
			if s == from && s.state.Load() == statePending {
				sel.Except = slices.Concat(sel.Except, []string{s.id})
				answer(Answer{SocketID: s.id, Err: ErrConnecting})
			}
			// The answer may stand behind events that wait for this very handler.
			from.conn.session.Await()
			defer from.conn.session.Resume()
		}
	}
	p := b.packet(event, args)
	answered := false
	err := b.ns.adapter.Ask(ctx, p, sel, func(a adapter.Answer) {
		answered = true
		answer(Answer{SocketID: a.ID, Reply: replyOf(a.Arguments, a.Err), Err: a.Err})
	})
	if err == nil && !answered {
		err = b.ns.check(p)
	}
	return err
}

// replyOf makes a Reply of what an adapter brings, nil if that is an error.
func replyOf(args adapter.Arguments, err error) *Reply {
	if err != nil || args == nil {
		return nil
	}
	if r, ok := args.(*Reply); ok {
		return r
	}
	return &Reply{args}
}

// means reports whether s is a member that sel means.
func (n *Namespace) means(sel adapter.Selection, s *Socket) bool {
	rooms := n.adapter.Rooms(s.id)
	in := func(list []string) bool {
		return slices.ContainsFunc(list, func(room string) bool { return slices.Contains(rooms, room) })
	}
	return len(rooms) > 0 && (len(sel.Rooms) == 0 || in(sel.Rooms)) && !in(sel.Except)
}
