package perch

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/perch-go/perch/socketio"
)

// lane makes a handler that leaves its socket's lane, if it is to.
func (r *route) lane(h socketio.Handler) socketio.Handler {
	if !r.settings.concurrent {
		return h
	}
	return func(ctx context.Context, e *socketio.Event) { e.Go(func() { h(ctx, e) }) }
}

// serveStream makes the pipeline of a stream the handler of an event.
func serveStream[In, Out any](r *route, run stage) socketio.Handler {
	pool := frames[In, iter.Seq2[Out, error]](true)
	reply := replyOf[Out]()
	stream := func(ctx context.Context, e *socketio.Event) {
		f := pool.Get().(*frame[In, iter.Seq2[Out, error]])
		f.event, f.handler = e, r.info
		f.socket, _ = socketOf(e.Socket())
		ctx, cancel := r.context(ctx, e.Socket())
		defer cancel()
		err := safely(ctx, run, &f.ExecutionContext)
		if err == nil {
			err = send(ctx, f, reply)
		}
		if err == nil && e.WantsAck() {
			err = e.Ack()
		}
		r.settle(ctx, &f.ExecutionContext, err)
		f.clear()
		pool.Put(f)
	}
	return func(ctx context.Context, e *socketio.Event) { e.Go(func() { stream(ctx, e) }) }
}

// send sends the items of the sequence that a pipeline has come to.
func send[In, Out any](ctx context.Context, f *frame[In, iter.Seq2[Out, error]], reply func(context.Context, *Socket, string, *Out) error) (err error) {
	defer recovered(&err)
	seq := f.out
	if f.replaced {
		switch v := f.value.(type) {
		case nil:
			return nil
		case func(func(Out, error) bool): // a function literal has this type
			seq = v
		default:
			return fmt.Errorf("perch: an interceptor made a %T of a stream, which has to stay a %T", v, seq)
		}
	}
	if seq == nil {
		return nil
	}
	name := f.event.Name()
	for item, err := range seq {
		if err == nil {
			err = context.Cause(ctx)
		}
		switch {
		case err != nil:
		case reply != nil:
			err = reply(ctx, f.socket, name, &item)
		default:
			err = f.event.Socket().Send(ctx, name, item)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// errStreamLeft is what send returns to a handler that goes on after it was told not to.
var errStreamLeft = errors.New("perch: the stream is over, because its client has left, its time is up or its handler has returned")

// pushed is the sequence of what a handler sends, from whichever goroutine.
func pushed[In, Out any](ctx context.Context, in In, handler func(context.Context, In, func(Out) error) error) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var mu sync.Mutex
		over := false
		end := func() (was bool) {
			mu.Lock()
			defer mu.Unlock()
			was, over = over, true
			return was
		}
		defer end() // also if it panics
		err := handler(ctx, in, func(item Out) error {
			mu.Lock()
			defer mu.Unlock()
			if over || !yield(item, nil) {
				over = true
				return errStreamLeft
			}
			return nil
		})
		if !end() && err != nil {
			var none Out
			yield(none, err)
		}
	}
}
