package e2e

import (
	"context"
	"errors"
	"strings"

	"github.com/perch-go/perch/client"
)

// noted is a handler that adds to a record what it is called.
func noted(r *record, name string) client.Handler {
	return func(context.Context, *client.Event) { r.add(name) }
}

// listenerCases: who is told of what.
var listenerCases = []goCase{
	{"listener: several of one event, in the order they came (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		order := new(record)
		for _, name := range []string{"first", "second", "third"} {
			s.On("echo", noted(order, name))
		}
		v.emit(s, "echo")
		v.want("order", v.wait("three", order, 3), []any{"first", "second", "third"})
	}},
	{"listener: Once is once (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		order := new(record)
		s.Once("echo", noted(order, "once"))
		s.On("echo", noted(order, "on"))
		v.emit(s, "echo")
		v.emit(s, "echo")
		v.want("order", v.wait("three", order, 3), []any{"once", "on", "on"})
	}},
	{"listener: what is taken back hears nothing more (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		order := new(record)
		offs := []func(){
			s.On("echo", noted(order, "on")), s.Once("echo", noted(order, "once")), s.OnAny(noted(order, "any")),
			s.PrependAny(noted(order, "before any")), s.OnAnyOutgoing(func(string, []any) { order.add("outgoing") }),
			s.PrependAnyOutgoing(func(string, []any) { order.add("before outgoing") }),
		}
		for _, off := range offs {
			off()
			off() // twice is once
		}
		kept := v.heard(s, "echo")
		v.emit(s, "echo", 1)
		v.wait("the one that is kept", kept, 1)
		v.want("order", order.all(), []any{})
	}},
	{"listener: Off takes all of an event's (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		order := new(record)
		s.On("echo", noted(order, "one"))
		s.Once("echo", noted(order, "two"))
		s.OnAny(noted(order, "any"))
		s.Off("echo")
		v.emit(s, "echo")
		v.want("order", v.wait("any", order, 1), []any{"any"})
		v.emit(s, "echo")
		v.wait("any", order, 2)
		s.On("echo", noted(order, "later"))
		v.emit(s, "echo")
		v.want("order", v.wait("later", order, 4), []any{"any", "any", "any", "later"})
	}},
	{"listener: one may register and take back others (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		order := new(record)
		var off func()
		off = s.On("echo", func(context.Context, *client.Event) {
			order.add("outer")
			off()
			s.On("echo", noted(order, "inner"))
		})
		v.emit(s, "echo")
		v.emit(s, "echo")
		v.want("order", v.wait("two", order, 2)[:2], []any{"outer", "inner"})
	}},
	{"listener: OnAny hears everything first, with its arguments (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		order := new(record)
		s.On("echo", noted(order, "handler"))
		s.OnAny(func(_ context.Context, e *client.Event) { order.add([]any{e.Name(), values(e), e.WantsAck()}) })
		s.PrependAny(noted(order, "before"))
		v.emit(s, "echo", 1, []byte{2})
		v.want("order", v.wait("three", order, 3), []any{"before", []any{"echo", []any{1.0, []byte{2}}, false}, "handler"})
		v.ask(s, "emit", "unheard of", nil)
		v.want("others", v.wait("one more", order, 5)[4], any([]any{"unheard of", []any{nil}, false}))
	}},
	{"listener: OnAny may answer (C-16, C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		s.OnAny(func(_ context.Context, e *client.Event) {
			if e.WantsAck() {
				_ = e.Ack("from any")
			}
		})
		v.want("answer", v.ask(s, "ask", object{}, "question"), []any{object{"answer": []any{"from any"}}})
	}},
	{"listener: OnAnyOutgoing hears what is sent, with its arguments (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		order := new(record)
		s.OnAnyOutgoing(func(event string, args []any) { order.add([]any{event, args}) })
		s.PrependAnyOutgoing(func(string, []any) { order.add("before") })
		v.emit(s, "one", 1, []byte{2})
		v.ask(s, "echo", nil)
		v.want("order", order.all(), []any{"before", []any{"one", []any{1, []byte{2}}}, "before", []any{"echo", []any{nil}}})
	}},
	{"listener: OnAnyOutgoing hears of what waited when it is sent (C-14, C-20)", func(v *visit) {
		s := v.socket(v.at("plain"))
		order := new(record)
		s.OnAnyOutgoing(func(event string, _ []any) { order.add(event) })
		v.emit(s, "one")
		v.emit(s, "two")
		v.want("before", order.all(), []any{})
		s.OnConnect(func() { order.add("connect") })
		v.connect(s)
		v.want("order", v.wait("three", order, 3), []any{"one", "two", "connect"})
	}},
	{"listener: acknowledgements are no events (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		out := new(record)
		s.OnAnyOutgoing(func(event string, _ []any) { out.add(event) })
		s.On("question", func(_ context.Context, e *client.Event) { _ = e.Ack(1) })
		v.ask(s, "ask", object{}, "question")
		v.want("outgoing", out.all(), []any{"ask"})
	}},
	{"listener: a panic is told, and the next event is heard (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		failures := new(record)
		s.OnError(func(e *client.Event, err error) {
			failures.add(e.Name())
			failures.add(strings.Contains(err.Error(), "oh no"))
		})
		calls := 0
		s.On("echo", func(context.Context, *client.Event) {
			if calls++; calls == 1 {
				panic("oh no")
			}
		})
		later := v.heard(s, "echo")
		v.emit(s, "echo", 1)
		v.emit(s, "echo", 2)
		v.want("later", v.wait("both", later, 2), []any{1.0, 2.0})
		v.want("failures", failures.all(), []any{"echo", true})
	}},
	{"listener: an event may be kept and read later (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		kept := make(chan *client.Event, 3)
		s.On("echo", func(_ context.Context, e *client.Event) { kept <- e })
		for i := range 3 {
			v.emit(s, "echo", i, []byte{byte(i)})
		}
		events := []*client.Event{<-kept, <-kept, <-kept}
		for i, e := range events {
			v.want("event", []any{e.Name(), values(e), e.Socket() == s}, []any{"echo", []any{float64(i), []byte{byte(i)}}, true})
			if err := e.Decode(2, new(any)); !errors.Is(err, client.ErrNoArgument) {
				v.Errorf("Decode: %v", err)
			}
		}
	}},
}
