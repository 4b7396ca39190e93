package e2e

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/perch-go/perch/client"
)

// acked is a handler that acknowledges.
func acked(args ...any) client.Handler {
	return func(_ context.Context, e *client.Event) { _ = e.Ack(args...) }
}

const brief = 30 * time.Millisecond

// ackCases: questions and answers, both ways.
var ackCases = []goCase{
	{"ack: with any number of arguments (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		for _, args := range [][]any{{}, {nil}, {1.0, "b", []any{true}, object{"c": nil}}} {
			v.want("answer", v.ask(s, "echo", args...), args)
		}
	}},
	{"ack: each question has its own answer, whatever their order (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		soon := v.soon()
		var all sync.WaitGroup
		wrong := new(record)
		for i := range 50 {
			all.Go(func() {
				reply, err := s.EmitWithAck(soon, "late", (50-i)%7*5, i)
				if err != nil || values(reply)[0] != float64(i) {
					wrong.add(i)
				}
			})
		}
		all.Wait()
		v.want("wrong", wrong.all(), []any{})
	}},
	{"ack: a second one is ignored (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.want("answer", v.ask(s, "twice"), []any{"first"})
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"ack: one that nobody waits for is ignored (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.emit(s, "raw", `399["nobody"]`)
		v.emit(s, "raw", `3[]`)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"ack: the server asks, the client answers (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		s.On("sum", func(_ context.Context, e *client.Event) {
			var a, b float64
			_, _ = e.Decode(0, &a), e.Decode(1, &b)
			_ = e.Ack(a+b, "and more")
		})
		v.want("answer", v.ask(s, "ask", object{}, "sum", 1, 2), []any{object{"answer": []any{3.0, "and more"}}})
		s.On("nothing", acked())
		v.want("no argument", v.ask(s, "ask", object{}, "nothing"), []any{object{"answer": []any{}}})
	}},
	{"ack: the client answers once, and only who asked (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		errs := new(record)
		s.On("question", func(_ context.Context, e *client.Event) {
			errs.add(e.Ack("first") == nil)
			errs.add(errors.Is(e.Ack("second"), client.ErrAcked))
		})
		v.want("answer", v.ask(s, "ask", object{}, "question"), []any{object{"answer": []any{"first"}}})
		v.wait("both", errs, 2)
		s.On("remark", func(_ context.Context, e *client.Event) {
			errs.add(!e.WantsAck() && errors.Is(e.Ack(), client.ErrNoAck))
		})
		v.ask(s, "emit", "remark")
		v.want("errors", v.wait("three", errs, 3), []any{true, true, true})
	}},
	{"ack: what cannot be encoded leaves the question open (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		s.On("question", func(_ context.Context, e *client.Event) {
			if e.Ack(func() {}) != nil {
				_ = e.Ack("a better one")
			}
		})
		v.want("answer", v.ask(s, "ask", object{}, "question"), []any{object{"answer": []any{"a better one"}}})
	}},
	{"ack: an answer may be late (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		kept := make(chan *client.Event, 1)
		s.On("question", func(_ context.Context, e *client.Event) { kept <- e })
		answers := make(chan []any, 1)
		soon := v.soon()
		go func() {
			reply, err := s.EmitWithAck(soon, "ask", object{}, "question")
			if err != nil {
				answers <- []any{err}
				return
			}
			answers <- values(reply)
		}()
		e := <-kept
		<-time.After(brief)
		if err := e.Ack("late"); err != nil {
			v.Error(err)
		}
		v.want("answer", <-answers, []any{object{"answer": []any{"late"}}})
	}},
	{"ack: a handler may ask the server (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		answers := new(record)
		s.On("question", func(ctx context.Context, _ *client.Event) {
			reply, err := s.EmitWithAck(ctx, "echo", "asked back")
			if err != nil {
				answers.add(err.Error())
				return
			}
			answers.add(values(reply))
		})
		v.emit(s, "emit", "question") // asked for an answer, our server would be waiting for it
		v.want("answer", v.wait("an answer", answers, 1), []any{[]any{"asked back"}})
	}},
	{"ack: silence is an error in time (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		if _, err := s.Timeout(brief).EmitWithAck(v.soon(), "ignore"); !errors.Is(err, client.ErrTimeout) {
			v.Errorf("ignore: %v", err)
		}
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"ack: an answer in time is no error (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.want("echo", v.ask(s.Timeout(patience), "echo", 1), []any{1.0})
	}},
	{"ack: a late answer is ignored (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		if _, err := s.Timeout(brief).EmitWithAck(v.soon(), "late", 100, "late"); !errors.Is(err, client.ErrTimeout) {
			v.Errorf("late: %v", err)
		}
		v.want("later", v.ask(s, "late", 150, "later"), []any{"later"})
	}},
	{"ack: the options may say how long (C-8, C-16)", func(v *visit) {
		s := v.dial(v.at("plain"), func(o *client.Options) { o.AckTimeout = brief })
		if _, err := s.EmitWithAck(v.soon(), "ignore"); !errors.Is(err, client.ErrTimeout) {
			v.Errorf("ignore: %v", err)
		}
		v.want("the call knows better", v.ask(s.Timeout(patience), "late", 100, 1), []any{1.0})
	}},
	{"ack: the context may say how long (C-16)", func(v *visit) {
		s := v.dial(v.at("plain"))
		ctx, cancel := context.WithTimeout(v.soon(), brief)
		defer cancel()
		if _, err := s.EmitWithAck(ctx, "ignore"); !errors.Is(err, context.DeadlineExceeded) {
			v.Errorf("ignore: %v", err)
		}
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"ack: time runs while there is no connection, and then it is not sent (C-16)", func(v *visit) {
		s := v.socket(v.at("plain") + "?watch=any")
		if _, err := s.Timeout(brief).EmitWithAck(v.soon(), "too late"); !errors.Is(err, client.ErrTimeout) {
			v.Errorf("too late: %v", err)
		}
		if packets, bytes := s.Buffered(); packets != 0 || bytes != 0 {
			v.Errorf("%d packets, %d bytes are buffered", packets, bytes)
		}
		v.connect(s)
		v.ask(s, "echo")
		v.want("heard", v.noted("plain", "any", 1), [][]any{{"echo", "(ack)"}})
	}},
	{"ack: of what was not sent yet, it comes after connecting (C-14, C-16)", func(v *visit) {
		s := v.socket(v.at("plain"))
		answers, soon := make(chan []any, 1), v.soon()
		go func() {
			reply, err := s.EmitWithAck(soon, "echo", "kept")
			if err != nil {
				answers <- []any{err}
				return
			}
			answers <- values(reply)
		}()
		eventually(v.T, "it waits", func() bool { n, _ := s.Buffered(); return n == 1 })
		v.connect(s)
		v.want("answer", <-answers, []any{"kept"})
	}},
	{"ack: leaving is an error for who waits (C-16)", func(v *visit) {
		m := v.manager(v.at("plain"))
		v.connect(v.of(m, "/"))
		one := v.of(m, "/one")
		v.connect(one)
		out := new(record)
		one.OnAnyOutgoing(func(event string, _ []any) { out.add(event) })
		waiting, soon := make(chan error, 2), v.soon()
		for _, to := range []sender{one, one.Timeout(patience)} {
			go func() {
				_, err := to.EmitWithAck(soon, "ignore")
				waiting <- err
			}()
		}
		v.until(out, "ignore", 2)
		one.Disconnect()
		for range 2 {
			if err := <-waiting; !errors.Is(err, client.ErrDisconnected) {
				v.Errorf("ignore: %v", err)
			}
		}
	}},
	{"ack: a loss is an error for who waits (C-16)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		out := new(record)
		s.OnAnyOutgoing(func(event string, _ []any) { out.add(event) })
		waiting, soon := make(chan error, 1), v.soon()
		go func() {
			_, err := s.EmitWithAck(soon, "ignore")
			waiting <- err
		}()
		v.until(out, "ignore", 1)
		v.lose(r, s, "steady", func() {
			if err := <-waiting; !errors.Is(err, client.ErrDisconnected) {
				v.Errorf("ignore: %v", err)
			}
		})
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"ack: an answer after a loss goes to nobody (C-16)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		kept := make(chan *client.Event, 1)
		s.On("question", func(_ context.Context, e *client.Event) { kept <- e })
		v.emit(s, "ask", object{}, "question")
		e := <-kept
		v.lose(r, s, "steady", func() {})
		if err := e.Ack("too late"); !errors.Is(err, client.ErrDisconnected) {
			v.Errorf("Ack: %v", err)
		}
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
}
