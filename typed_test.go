package perch_test

import (
	"context"
	"errors"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
)

const (
	moved  event.Event[point]                    = "moved"
	poked  event.Event[perch.None]               = "poked"
	locate event.Request[int, point]             = "locate"
	ping   event.Request[perch.None, perch.None] = "anybody"
)

// The descriptors that handlers are registered by serve those who send, too.
func TestTypedSends(t *testing.T) {
	t.Parallel()
	g := handlers(nil)
	g.register = func(r *perch.Router) {
		perch.OnEvent(r, "emit", func(ctx context.Context, _ perch.None) error {
			s := perch.SocketFrom(ctx)
			return errors.Join(
				perch.Emit(s, moved, point{X: 1}), perch.Emit(s, "moved", "a plain name"), perch.Emit(s, poked, perch.None{}),
				perch.Emit(g.Server().To(s.ID()), moved, point{X: 2}), perch.Emit(g.Server(), moved, point{X: 3}),
			)
		})
		perch.On(r, "call", func(ctx context.Context, n int) (point, error) {
			s := perch.SocketFrom(ctx)
			if _, err := perch.Call(ctx, s, ping, perch.None{}); err != nil {
				return point{}, err
			}
			if p, err := perch.Call[point](ctx, s, "locate", n); err != nil {
				return p, err
			}
			return perch.Call(ctx, s, locate, n)
		})
	}
	c := join(t, serve(t, g), "/")
	c.send(`42["emit"]`)
	for _, want := range []string{
		`42["moved",{"x":1,"y":0}]`, `42["moved","a plain name"]`, `42["poked"]`, `42["moved",{"x":2,"y":0}]`, `42["moved",{"x":3,"y":0}]`,
	} {
		if got := c.next(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	c.send(`427["call",5]`)
	for _, turn := range []struct{ want, answer string }{
		{`420["anybody"]`, `430[]`}, {`421["locate",5]`, `431[{"x":8}]`}, {`422["locate",5]`, `432[{"x":9,"y":1}]`}, {`437[{"x":9,"y":1}]`, ``},
	} {
		if got := c.next(); got != turn.want {
			t.Fatalf("got %s, want %s", got, turn.want)
		}
		if turn.answer != "" {
			c.send(turn.answer)
		}
	}
}

// What a client answers may be wrong, may not fit, and may not pass; none of it is told to anybody by itself.
func TestCallErrors(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 1)
	g := handlers(func(r *perch.Router) {
		perch.OnEvent(r, "call", func(ctx context.Context, _ perch.None) error {
			_, err := perch.Call(ctx, perch.SocketFrom(ctx), locate, 1)
			errs <- err
			return err
		})
	})
	c := join(t, serve(t, g), "/")
	for i, tt := range []struct {
		answer string
		check  func(err error) bool
	}{
		{`[{"status":"error","code":"LOST","message":"no idea","details":{"n":1}}]`, func(err error) bool {
			var ce *perch.ClientError
			return errors.As(err, &ce) && ce.Code == "LOST" && ce.Message == "no idea" && string(ce.Details) == `{"n":1}`
		}},
		{`[]`, func(err error) bool { return err != nil }},
		{`["x"]`, func(err error) bool { return err != nil }},
		{`[{"x":-1}]`, func(err error) bool { return err != nil && !errors.As(err, new(*perch.ClientError)) }},
	} {
		c.send(`42["call"]`)
		want := `42` + string(rune('0'+i)) + `["locate",1]`
		if got := c.next(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		c.send(`43` + string(rune('0'+i)) + tt.answer)
		if err := <-errs; !tt.check(err) {
			t.Errorf("%s: %v", tt.answer, err)
		}
		if got := c.next(); got != `42["exception",{"status":"error","code":"INTERNAL","message":"Internal server error"}]` {
			t.Errorf("%s: %s", tt.answer, got)
		}
	}
	if _, err := perch.Call(t.Context(), perch.SocketFrom(t.Context()), locate, 1); !errors.Is(err, perch.ErrNoSocket) {
		t.Errorf("%v", err)
	}
}
