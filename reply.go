package perch

import (
	"context"
	"reflect"
)

// Reply is a plain value. As the result of a handler, or as an item of a stream, it
// answers by an event: to the client, to rooms or to everyone in the namespace. An ack
// that was asked for carries no argument then. (Nest: a WsResponse, {event, data}; here a
// type of its own says so, and a field called event is just data.)
type Reply[T any] struct {
	// Event is the name of the event. Empty: the one that is answered.
	Event string
	// Data is its argument; [None] is none.
	Data T
	// To are rooms whose members get it, the client among them if it is in one. None: the
	// client alone.
	To []string
	// Everyone sends it to all of the namespace instead.
	Everyone bool
}

// answerer is what a Reply is without its type.
type answerer interface {
	send(ctx context.Context, s *Socket, event string) error
	payload() reflect.Type
}

func (r Reply[T]) payload() reflect.Type { return typeOf[T]() }

func (r Reply[T]) send(ctx context.Context, s *Socket, event string) error {
	if r.Event != "" {
		event = r.Event
	}
	var args []any
	if r.payload() != nil {
		args = []any{r.Data}
	}
	if !r.Everyone && len(r.To) == 0 {
		return s.Send(ctx, event, args...)
	}
	all := s.io.Namespace().To(r.To...)
	if r.Everyone {
		all = s.io.Namespace().To()
	}
	return all.Emit(event, args...)
}

// resultType is what is sent of an Out: what is in it if it is a Reply.
func resultType[Out any]() reflect.Type {
	if a, _, ok := answererOf[Out](); ok {
		return a.payload()
	}
	return typeOf[Out]()
}

// answererOf is an empty Out if that is a Reply, or a pointer to one.
func answererOf[Out any]() (a answerer, pointer, ok bool) {
	t := reflect.TypeFor[Out]()
	if pointer = t.Kind() == reflect.Pointer; pointer {
		t = t.Elem()
	}
	a, ok = reflect.Zero(t).Interface().(answerer)
	return a, pointer, ok
}

// replier sends a result that is a Reply.
type replier[Out any] func(ctx context.Context, s *Socket, event string, out *Out) error

// replyOf makes what sends an Out; nil if it is no Reply. A nil pointer to one is nothing to send.
func replyOf[Out any]() replier[Out] {
	_, pointer, ok := answererOf[Out]()
	if !ok {
		return nil
	}
	return func(ctx context.Context, s *Socket, event string, out *Out) error {
		if pointer && reflect.ValueOf(out).Elem().IsNil() {
			return nil
		}
		return any(*out).(answerer).send(ctx, s, event)
	}
}
