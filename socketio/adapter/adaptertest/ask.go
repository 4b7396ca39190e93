package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// answering answers with the member's id and what else is given.
func (c *cluster) answering(more ...any) {
	for _, m := range c.members {
		m.replies(func(answer func(...any)) { answer(append([]any{m.id}, more...)...) })
	}
}

// asked is what came of Ask.
type asked struct {
	answers []string // sorted
	err     error
	took    time.Duration
}

// ask asks from the first node, in the background.
func (c *cluster) ask(ctx context.Context, sel adapter.Selection) <-chan asked {
	done := make(chan asked, 1)
	go func() {
		var got asked
		start := time.Now()
		got.err = c.node(0).Ask(ctx, event("x", 1), sel, func(a adapter.Answer) {
			if a.Err != nil {
				got.answers = append(got.answers, fmt.Sprintf("%s: %v", a.ID, errors.Is(a.Err, adapter.ErrLeft)))
				return
			}
			got.answers = append(got.answers, describe(a.ID, a.Arguments))
		})
		got.took = time.Since(start)
		slices.Sort(got.answers)
		done <- got
	}()
	return done
}

// wants checks who has answered and, if missing is not nil, that those members have not.
func (a asked) wants(t *testing.T, answers []string, missing []string) {
	t.Helper()
	if !slices.Equal(a.answers, answers) {
		t.Errorf("answers %q, want %q", a.answers, answers)
	}
	if missing == nil {
		if a.err != nil {
			t.Errorf("Ask: %v", a.err)
		}
		return
	}
	var e *adapter.IncompleteError
	if !errors.As(a.err, &e) {
		t.Fatalf("Ask: %v, want an IncompleteError", a.err)
	}
	if !slices.Equal(e.Members, missing) || e.Missing != len(missing) || e.Answers != len(answers) || e.Cause == nil {
		t.Errorf("%d of %q missing, %d answers: %v, want %q", e.Missing, e.Members, e.Answers, e, missing)
	}
}

// nothing checks that nobody is waited for any more.
func (c *cluster) nothing(t *testing.T) {
	t.Helper()
	c.until(t, "nobody is waited for", func() bool {
		for _, m := range c.members {
			if m.awaited() > 0 {
				return false
			}
		}
		return true
	})
}

var all = []string{`["a","a"]`, `["b","b"]`, `["c","c"]`}

var asks = []test{
	// S-71: who answered what.
	{name: "everybody", run: func(t *testing.T, c *cluster) {
		c.answering()
		(<-c.ask(t.Context(), adapter.Selection{})).wants(t, all, nil)
		c.got(t, everybody(abc, `["x",1]`))
		c.nothing(t)
	}},
	{name: "bytes and several arguments", run: func(t *testing.T, c *cluster) {
		c.answering([]byte("bin"), nil, map[string]any{"n": 1})
		(<-c.ask(t.Context(), to("b", "c"))).wants(t, []string{`["b","b",<bin>,null,{"n":1}]`, `["c","c",<bin>,null,{"n":1}]`}, nil)
	}},
	{name: "without arguments", run: func(t *testing.T, c *cluster) {
		for _, m := range c.members {
			m.replies(func(answer func(...any)) { answer() })
		}
		(<-c.ask(t.Context(), adapter.Selection{})).wants(t, []string{`["a"]`, `["b"]`, `["c"]`}, nil)
	}},
	{name: "nobody", run: func(t *testing.T, c *cluster) {
		got := <-c.ask(t.Context(), to("none"))
		got.wants(t, nil, nil)
	}},
	{name: "local", run: func(t *testing.T, c *cluster) {
		c.answering()
		here := c.on(c.node(0))
		(<-c.ask(t.Context(), local)).wants(t, all[:len(here)], nil)
		c.got(t, everybody(here, `["x",1]`))
	}},
	// RemoteSocket.emitWithAck (S-40).
	{name: "a member elsewhere", run: func(t *testing.T, c *cluster) {
		c.answering()
		(<-c.ask(t.Context(), to("c"))).wants(t, all[2:], nil)
		c.got(t, everybody([]string{"c"}, `["x",1]`))
	}},
	{name: "partial answers", run: func(t *testing.T, c *cluster) {
		c.answering()
		c.members[2].replies(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got := <-c.ask(ctx, adapter.Selection{})
		got.wants(t, all[:2], []string{"c"})
		if !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("Ask: %v", got.err)
		}
		c.nothing(t)
	}},
	{name: "cancelled", run: func(t *testing.T, c *cluster) {
		c.answering()
		c.members[0].replies(nil)
		c.members[2].replies(nil)
		cause := errors.New("cause")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := c.ask(ctx, adapter.Selection{})
		c.until(t, "c is asked", func() bool { return c.members[2].awaited() == 1 })
		c.rest()
		cancel(cause)
		got := <-done
		got.wants(t, all[1:2], []string{"a", "c"})
		if !errors.Is(got.err, cause) {
			t.Errorf("Ask: %v", got.err)
		}
		c.nothing(t)
	}},
	// Answers that come late, or twice, are nobody's.
	{name: "late answers", run: func(t *testing.T, c *cluster) {
		late := make([]func(...any), len(c.members))
		for i, m := range c.members {
			m.replies(func(answer func(...any)) { late[i] = answer })
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		(<-c.ask(ctx, adapter.Selection{})).wants(t, nil, abc)
		for _, answer := range late {
			answer("late")
			answer("later")
		}
		c.rest()
		c.answering()
		(<-c.ask(t.Context(), adapter.Selection{})).wants(t, all, nil)
	}},
	// S-71, better than the reference: a target that leaves ends the wait for it.
	{name: "leaving", run: func(t *testing.T, c *cluster) {
		c.answering()
		for _, i := range []int{0, 2} {
			c.members[i].replies(nil)
		}
		done := c.ask(t.Context(), adapter.Selection{})
		for _, i := range []int{0, 2} {
			c.until(t, "it is asked", func() bool { return c.members[i].awaited() == 1 })
			c.members[i].leave("left")
		}
		(<-done).wants(t, []string{`["b","b"]`, "a: true", "c: true"}, nil)
	}},
	{name: "several at once", run: func(t *testing.T, c *cluster) {
		c.answering()
		var waiting []<-chan asked
		for range 20 {
			waiting = append(waiting, c.ask(t.Context(), adapter.Selection{}))
		}
		for _, done := range waiting {
			(<-done).wants(t, all, nil)
		}
	}},
	{name: "not encodable", run: func(t *testing.T, c *cluster) {
		err := c.node(0).Ask(t.Context(), event("x", make(chan int)), adapter.Selection{}, func(adapter.Answer) {})
		if e := (*adapter.IncompleteError)(nil); err == nil || errors.As(err, &e) {
			t.Errorf("Ask: %v", err)
		}
		c.got(t, nil)
	}},
	{name: "closing", run: func(t *testing.T, c *cluster) {
		if c.subject.Nodes == 1 {
			return // nobody else to wait for
		}
		done := c.ask(t.Context(), adapter.Selection{})
		c.until(t, "a is asked", func() bool { return c.members[0].awaited() == 1 })
		if err := c.node(0).Close(); err != nil {
			t.Error(err)
		}
		if e := (*adapter.IncompleteError)(nil); !errors.As((<-done).err, &e) {
			t.Errorf("Ask: %v", e)
		}
		c.nothing(t)
	}},
	{name: "a node closes", nodes: 2, run: func(t *testing.T, c *cluster) {
		c.loses(t, func(n *node) {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		})
	}},
	{name: "a node dies", nodes: 2, run: func(t *testing.T, c *cluster) {
		if c.kill != nil {
			c.loses(t, func(n *node) { c.kill(n.Adapter) })
		}
	}},
}

// loses asks everybody and loses a node before its members answer: they have left.
func (c *cluster) loses(t *testing.T, lose func(*node)) {
	c.answering()
	var gone, want []string
	for _, id := range c.on(c.last()) {
		gone = append(gone, id)
		want = append(want, id+": true")
	}
	for _, m := range c.members {
		if slices.Contains(gone, m.id) {
			m.replies(nil)
		}
	}
	for _, id := range c.without(gone) {
		want = append(want, fmt.Sprintf("[%q,%q]", id, id))
	}
	slices.Sort(want)
	done := c.ask(t.Context(), adapter.Selection{})
	c.until(t, "they are asked", func() bool {
		for _, m := range c.members {
			if slices.Contains(gone, m.id) && m.awaited() == 0 {
				return false
			}
		}
		return true
	})
	c.rest()
	lose(c.last())
	(<-done).wants(t, want, nil)
}
