package perch_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio"
)

// N-27: a handler off the lane that ends its goroutine ends nothing else.
func TestConcurrentGoexit(t *testing.T) {
	t.Parallel()
	g := handlers(func(r *perch.Router) {
		perch.OnEvent(r, "exit", func(context.Context, perch.None) error { runtime.Goexit(); return nil }, perch.Concurrent())
		perch.On(r, "next", func(context.Context, perch.None) (int, error) { return 1, nil })
	})
	c := join(t, serve(t, g), "/")
	c.send(`42["exit"]`)
	if got := c.ask(`421["next"]`); got != `431[1]` {
		t.Error(got)
	}
}

// N-34: the error of a catch-all listener that a filter has dealt with takes no ack from the event's handlers.
func TestOnAnyDealtWith(t *testing.T) {
	t.Parallel()
	g := handlers(func(r *perch.Router) {
		r.UseFilters(func(context.Context, *perch.ExecutionContext, error) error { return nil })
		perch.OnAny(r, func(context.Context, *perch.ExecutionContext) error { return errors.New("dealt with") })
		perch.On(r, "event", func(context.Context, perch.None) (int, error) { return 1, nil })
	})
	c := join(t, serve(t, g), "/")
	if got := c.ask(`421["event"]`); got != `431[1]` {
		t.Error(got)
	}
}

// N-24: a pointer to a Reply is one, or nothing to say.
func TestReplyPointer(t *testing.T) {
	t.Parallel()
	g := handlers(func(r *perch.Router) {
		perch.On(r, "event", func(_ context.Context, n int) (*perch.Reply[int], error) {
			if n == 0 {
				return nil, nil
			}
			return &perch.Reply[int]{Event: "replied", Data: n}, nil
		})
	})
	c := join(t, serve(t, g), "/")
	c.send(`421["event",5]`)
	c.want(`42["replied",5]`, `431[]`)
	c.send(`422["event",0]`)
	c.want(`432[]`)
}

// Whatever tells a handler or a stream that its time is over, its client hears of a timeout.
func TestTimeoutCause(t *testing.T) {
	t.Parallel()
	g := handlers(func(r *perch.Router) {
		perch.On(r, "cause", func(ctx context.Context, _ perch.None) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}, perch.WithTimeout(time.Millisecond))
		perch.OnStream(r, "stream", func(ctx context.Context, _ perch.None) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				<-ctx.Done()
				yield(1, nil)
			}
		}, perch.WithTimeout(time.Millisecond))
	})
	c := join(t, serve(t, g), "/")
	for _, event := range []string{"cause", "stream"} {
		if got := c.ask(`421["` + event + `"]`); !strings.Contains(got, "TIMEOUT") {
			t.Errorf("%s: %s", event, got)
		}
	}
}

// S-96: that a client left while it was answered is nothing to tell anybody, and no error of a filter's.
func TestLeftIsNoFailure(t *testing.T) {
	t.Parallel()
	book, left, begun := new(logbook), make(chan struct{}), make(chan struct{}, 2)
	g := &hooked{
		gateway: gateway{register: func(r *perch.Router) {
			r.UseFilters(func(_ context.Context, _ *perch.ExecutionContext, err error) error {
				t.Errorf("a filter got %v", err)
				return err
			})
			perch.OnStream(r, "stream", func(ctx context.Context, _ perch.None) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) {
					begun <- struct{}{}
					<-ctx.Done()
					yield(1, nil)
				}
			})
			perch.On(r, "leave", func(ctx context.Context, _ perch.None) (int, error) {
				begun <- struct{}{}
				<-ctx.Done()
				return 0, fmt.Errorf("wait: %w", ctx.Err())
			}, perch.CancelOnLeave(), perch.Concurrent())
		}},
		onDisconnect: func(context.Context, *perch.Socket, perch.Reason) { close(left) },
	}
	_, srv := start(t, perch.WithGateways(g), perch.WithLogger(book.logger()))
	c := join(t, srv, "/")
	c.send(`42["stream"]`)
	c.send(`42["leave"]`)
	receive(t, begun)
	receive(t, begun)
	c.send("41")
	<-left
	if got := book.String(); strings.Contains(got, "handler failed") {
		t.Error(got)
	}
}

type nextFunc = func(context.Context) (any, error)

// An interceptor that calls next again gets what the handler made of it now, from the payload as it came.
func TestNextTwice(t *testing.T) {
	t.Parallel()
	n, tr := 0, new(trail)
	g := handlers(func(r *perch.Router) {
		perch.On(r, "event", func(_ context.Context, in map[string]int) (int, error) {
			tr.add(fmt.Sprint(in))
			n++
			return n, nil
		}, perch.WithPipes(perch.PipeFor(func(_ context.Context, in *map[string]int) error {
			(*in)["n"]++
			(*in)[fmt.Sprint(n)] = 1
			return nil
		})), perch.WithInterceptors(func(ctx context.Context, _ *perch.ExecutionContext, next nextFunc) (any, error) {
			if _, err := next(ctx); err != nil {
				return nil, err
			}
			return next(ctx)
		}, func(ctx context.Context, _ *perch.ExecutionContext, next nextFunc) (any, error) {
			v, err := next(ctx)
			return []any{v}, err
		}))
	})
	c := join(t, serve(t, g), "/")
	if got := c.ask(`421["event",{"n":1}]`); got != `431[[2]]` {
		t.Error(got)
	}
	if got, want := tr.take(), []string{"map[0:1 n:2]", "map[1:1 n:2]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An interceptor that gives up on the handler before it has returned does not let it get hold of another event.
func TestNextOutlives(t *testing.T) {
	t.Parallel()
	begun, late := make(chan struct{}), make(chan error, 1)
	running := false // no other event is handled meanwhile
	g := handlers(func(r *perch.Router) {
		perch.On(r, "slow", func(ctx context.Context, _ string) (string, error) {
			running = true
			close(begun)
			<-ctx.Done()
			running = false
			return "secret", nil
		}, perch.WithInterceptors(func(ctx context.Context, _ *perch.ExecutionContext, next nextFunc) (any, error) {
			ctx, cancel := context.WithCancel(ctx)
			go func() { _, _ = next(ctx) }()
			<-begun
			cancel()
			return nil, perch.Errorf("TIMEOUT", "too late")
		}))
		perch.On(r, "late", func(context.Context, string) (int, error) { return 1, nil },
			perch.WithInterceptors(func(ctx context.Context, _ *perch.ExecutionContext, next nextFunc) (any, error) {
				go func() {
					<-late
					_, err := next(ctx)
					late <- err
				}()
				return 2, nil
			}))
		perch.On(r, "other", func(context.Context, string) (bool, error) { return running, nil })
	})
	c := join(t, serve(t, g), "/")
	if got := c.ask(`421["slow","x"]`); !strings.Contains(got, "TIMEOUT") {
		t.Error(got)
	}
	if got := c.ask(`422["late","x"]`); got != `432[2]` {
		t.Error(got)
	}
	late <- nil
	if err := receive(t, late); err == nil {
		t.Error("the handler was called when its event was over")
	}
	if got := c.ask(`423["other","x"]`); got != `433[false]` {
		t.Error(got)
	}
}

// What sends a stream's items may be called from any goroutine, even when the handler has returned.
func TestStreamSendOutlives(t *testing.T) {
	t.Parallel()
	late := make(chan error, 3)
	g := handlers(func(r *perch.Router) {
		perch.OnStreamFunc(r, "push", func(_ context.Context, n int, send func(int) error) error {
			errs := make(chan error)
			for i := range n {
				go func() { errs <- send(i) }()
			}
			for range n {
				if err := <-errs; err != nil {
					return err
				}
			}
			go func() { late <- nil; late <- send(0) }()
			return nil
		})
	})
	c := join(t, serve(t, g), "/")
	c.send(`421["push",8]`)
	var got []string
	for range 9 {
		got = append(got, c.next())
	}
	if got[8] != `431[]` {
		t.Errorf("%q", got)
	}
	items := got[:8]
	slices.Sort(items)
	if len(slices.Compact(items)) != 8 {
		t.Errorf("%q", items)
	}
	receive(t, late)
	if err := receive(t, late); err == nil {
		t.Error("an item was sent after the ack")
	}
}

// explosive is a result of a user's whose encoding fails in the worst way (engine rule 11).
type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("secret") }

// Engine rule 11: a result that panics while it is encoded is an error that the client hears of.
func TestResultPanics(t *testing.T) {
	t.Parallel()
	g := handlers(func(r *perch.Router) {
		perch.On(r, "ack", func(context.Context, perch.None) (explosive, error) { return explosive{}, nil })
		perch.On(r, "aside", func(context.Context, perch.None) (explosive, error) { return explosive{}, nil }, perch.Concurrent())
		perch.On(r, "reply", func(context.Context, perch.None) (perch.Reply[explosive], error) {
			return perch.Reply[explosive]{}, nil
		})
		perch.On(r, "details", func(context.Context, perch.None) (int, error) {
			return 0, &perch.Error{Code: "C", Message: "m", Details: explosive{}}
		})
	})
	c := join(t, serve(t, g), "/")
	for _, event := range []string{"ack", "aside", "reply"} {
		if got := c.ask(`421["` + event + `"]`); got != `431[{"status":"error","code":"INTERNAL","message":"Internal server error"}]` {
			t.Errorf("%s: %s", event, got)
		}
	}
	if got := c.ask(`421["details"]`); got != `431[{"status":"error","code":"C","message":"m"}]` {
		t.Error(got)
	}
}

// An interceptor may wrap a stream in a function of its own, or make nothing of it, and one that changes nothing changes nothing.
func TestInterceptedValues(t *testing.T) {
	t.Parallel()
	pass := perch.WithInterceptors(func(ctx context.Context, _ *perch.ExecutionContext, next nextFunc) (any, error) { return next(ctx) })
	numbers := func(context.Context, perch.None) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) { yield(1, nil) }
	}
	g := handlers(func(r *perch.Router) {
		perch.On(r, "any", func(context.Context, perch.None) (any, error) { return nil, nil }, pass)
		perch.On(r, "pointer", func(context.Context, perch.None) (*int, error) { return nil, nil }, pass)
		perch.OnStream(r, "stream", numbers, pass)
		perch.OnStream(r, "wrapped", numbers, perch.WithInterceptors(func(ctx context.Context, _ *perch.ExecutionContext, next nextFunc) (any, error) {
			v, err := next(ctx)
			if err != nil {
				return nil, err
			}
			return func(yield func(int, error) bool) {
				for n, err := range v.(iter.Seq2[int, error]) {
					if !yield(n*10, err) {
						return
					}
				}
			}, nil
		}))
		perch.OnStream(r, "nothing", numbers, perch.WithInterceptors(func(context.Context, *perch.ExecutionContext, nextFunc) (any, error) { return nil, nil }))
	})
	c := join(t, serve(t, g), "/")
	for _, tt := range []struct {
		event string
		want  []string
	}{
		{"any", []string{`431[null]`}},
		{"pointer", []string{`431[null]`}},
		{"stream", []string{`42["stream",1]`, `431[]`}},
		{"wrapped", []string{`42["wrapped",10]`, `431[]`}},
		{"nothing", []string{`431[]`}},
	} {
		c.send(`421["` + tt.event + `"]`)
		for _, want := range tt.want {
			if got := c.next(); got != want {
				t.Errorf("%s: got %s, want %s", tt.event, got, want)
				break
			}
		}
	}
}

// N-23: of several arguments the first that is wrong is the error, and no pipe runs of those behind it: an error that the client
// may not see would be hidden by one that it may.
func TestArgumentsInOrder(t *testing.T) {
	t.Parallel()
	book, tr := new(logbook), new(trail)
	g := handlers(func(r *perch.Router) {
		perch.On2(r, "event", func(context.Context, int, string) (int, error) { return 1, nil },
			perch.WithPipes(perch.PipeFunc(func(_ context.Context, _ *perch.ExecutionContext, in any) error {
				tr.add(fmt.Sprintf("%T", in))
				return errors.New("secret")
			})))
	})
	_, srv := start(t, perch.WithGateways(g), perch.WithLogger(book.logger()))
	c := join(t, srv, "/")
	for _, tt := range []struct {
		args, code string
		trail      []string
	}{
		{`1`, "BAD_PAYLOAD", nil},
		{`"x","y"`, "BAD_PAYLOAD", nil},
		{`1,2`, "INTERNAL", []string{"*int"}},
	} {
		if got := c.ask(`421["event",` + tt.args + `]`); !strings.Contains(got, tt.code) {
			t.Errorf("%s: %s", tt.args, got)
		}
		if got := tr.take(); !slices.Equal(got, tt.trail) {
			t.Errorf("%s: %q", tt.args, got)
		}
	}
	if got := book.String(); !strings.Contains(got, "secret") {
		t.Error(got)
	}
}

// What a guard cannot decode is the client's mistake, and the guard may return the error as it is.
func TestGuardDecodes(t *testing.T) {
	t.Parallel()
	type post struct{ Room string }
	book := &logbook{}
	guard := func(_ context.Context, ec *perch.ExecutionContext) error {
		var p post
		err := ec.Decode(0, &p)
		if err != nil && ec.NumArgs() == 0 && !errors.Is(err, socketio.ErrNoArgument) {
			t.Error(err)
		}
		return err
	}
	g := handlers(func(r *perch.Router) {
		perch.On(r, "event", func(_ context.Context, p post) (string, error) { return p.Room, nil }, perch.WithGuards(guard))
		perch.OnRaw(r, "raw", func(_ context.Context, ec *perch.ExecutionContext) (any, error) { return nil, ec.Decode(0, new(post)) })
	})
	_, srv := start(t, perch.WithGateways(g), perch.WithLogger(book.logger()))
	c := join(t, srv, "/")
	for args, want := range map[string]string{
		`"event",{"room":"a"}`: `["a"]`,
		`"event",{"room":1}`:   `[{"status":"error","code":"BAD_PAYLOAD","message":"the payload does not fit at room: unexpected number","details":{"path":"room"}}]`,
		`"event",1`:            `[{"status":"error","code":"BAD_PAYLOAD","message":"the payload does not fit: unexpected number"}]`,
		`"raw",1`:              `[{"status":"error","code":"BAD_PAYLOAD","message":"the payload does not fit: unexpected number"}]`,
		`"event"`:              `[{"status":"error","code":"BAD_PAYLOAD","message":"the payload is missing"}]`,
	} {
		if got := c.ask(`421[` + args + `]`); got != "431"+want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	if got := book.String(); strings.Contains(got, "level=ERROR") {
		t.Error(got)
	}
}

// N-21, N-27: what runs aside and what runs on the lane have one event between them, and make one ack.
func TestOneEventOfMany(t *testing.T) {
	t.Parallel()
	const events = 200
	var sum atomic.Int64
	type pair struct{ N int }
	heard := func(_ context.Context, ec *perch.ExecutionContext) error {
		var p pair
		if err := ec.Decode(0, &p); err != nil || string(ec.Raw(0)) != fmt.Sprintf(`{"n":%d}`, p.N) || ec.Event() != "event" {
			return fmt.Errorf("%s: %w", ec.Raw(0), err)
		}
		sum.Add(int64(p.N))
		return nil
	}
	answer := func(_ context.Context, p pair) (int, error) { sum.Add(int64(p.N)); return p.N, nil }
	g := handlers(func(r *perch.Router) {
		perch.OnAny(r, heard, perch.Concurrent())
		perch.OnAny(r, heard)
		perch.On(r, "event", answer, perch.Concurrent())
		perch.On(r, "event", answer)
		perch.OnAck(r, "event", func(_ context.Context, p pair, ack perch.Ack[int]) error {
			go func() { _ = ack(p.N) }()
			sum.Add(int64(p.N))
			return nil
		}, perch.Concurrent())
	})
	c := join(t, serve(t, g), "/")
	go func() {
		for i := range events {
			c.send(fmt.Sprintf(`42%d["event",{"n":%d}]`, i, i))
		}
	}()
	seen := make(map[string]bool)
	for range events {
		got := c.next()
		id, n, _ := strings.Cut(strings.TrimPrefix(got, "43"), "[")
		if id+"]" != n || seen[id] {
			t.Fatalf("got %s", got)
		}
		seen[id] = true
	}
	for deadline := time.Now().Add(patience); sum.Load() != 5*events*(events-1)/2; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal(sum.Load())
		}
	}
}
