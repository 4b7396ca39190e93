package adaptertest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// heard waits until the other nodes have got an event, and checks that the first has not.
func (c *cluster) heard(t *testing.T, want string) {
	t.Helper()
	c.until(t, "the other nodes get the event", func() bool {
		for _, n := range c.nodes[1:] {
			if len(n.host.got()) == 0 {
				return false
			}
		}
		return true
	})
	c.rest()
	for i, n := range c.nodes {
		got := n.host.got()
		if i == 0 && len(got) != 0 || i > 0 && !slices.Equal(got, []string{want}) {
			t.Errorf("node %d got %q", i, got)
		}
	}
}

// emit asks the other nodes from the first.
func (c *cluster) emit(ctx context.Context) (answers []string, err error) {
	err = c.node(0).ServerSideEmit(ctx, "x", []any{1}, func(a adapter.ServerAnswer) {
		if a.Err != nil {
			answers = append(answers, "left "+a.Node)
			return
		}
		answers = append(answers, describe("", a.Arguments))
	})
	slices.Sort(answers)
	return answers, err
}

// answers makes every node answer with v.
func (c *cluster) answers(t *testing.T, v any) {
	for _, n := range c.nodes {
		n.host.on(func(e adapter.ServerEvent) {
			if e.Answer == nil {
				t.Error("no answer is wanted")
				return
			}
			if err := e.Answer(v); err != nil {
				t.Errorf("Answer: %v", err)
			}
		})
	}
}

// others is as many answers as there are other nodes.
func (c *cluster) others(answer string) []string {
	return slices.Repeat([]string{answer}, len(c.nodes)-1)
}

// S-44, S-45
var serverSideEmits = []test{
	{name: "the others", run: func(t *testing.T, c *cluster) {
		if err := c.node(0).ServerSideEmit(t.Context(), "x", []any{"y", 1, []byte("z")}, nil); err != nil {
			t.Error(err)
		}
		c.heard(t, `["x","y",1,<z>]`)
	}},
	{name: "no answer is wanted", nodes: 2, run: func(t *testing.T, c *cluster) {
		wanted := make(chan bool, len(c.nodes))
		c.last().host.on(func(e adapter.ServerEvent) { wanted <- e.Answer != nil })
		if err := c.node(0).ServerSideEmit(t.Context(), "x", nil, nil); err != nil {
			t.Error(err)
		}
		if <-wanted {
			t.Error("an answer is wanted")
		}
	}},
	{name: "answers", run: func(t *testing.T, c *cluster) {
		c.answers(t, "y")
		answers, err := c.emit(t.Context())
		if want := c.others(`["","y"]`); err != nil || !slices.Equal(answers, want) {
			t.Errorf("%q, %v, want %q", answers, err, want)
		}
		c.heard(t, `["x",1]`)
	}},
	{name: "bytes", run: func(t *testing.T, c *cluster) {
		c.answers(t, []byte("y"))
		answers, err := c.emit(t.Context())
		if want := c.others(`["",<y>]`); err != nil || !slices.Equal(answers, want) {
			t.Errorf("%q, %v, want %q", answers, err, want)
		}
	}},
	{name: "answering twice and late", nodes: 2, run: func(t *testing.T, c *cluster) {
		kept := make(chan func(any) error, len(c.nodes))
		for _, n := range c.nodes[1:] {
			n.host.on(func(e adapter.ServerEvent) {
				if e.Answer(make(chan int)) == nil {
					t.Error("a channel is sent")
				}
				_, _ = e.Answer("y"), e.Answer("z")
				kept <- e.Answer
			})
		}
		if answers, err := c.emit(t.Context()); err != nil || !slices.Equal(answers, c.others(`["","y"]`)) {
			t.Errorf("%q, %v", answers, err)
		}
		_ = (<-kept)("late")
		c.rest()
	}},
	{name: "partial answers", nodes: 2, run: func(t *testing.T, c *cluster) {
		c.answers(t, "y")
		c.last().host.on(nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		answers, err := c.emit(ctx)
		if !slices.Equal(answers, c.others(`["","y"]`)[1:]) {
			t.Errorf("%q, %v", answers, err)
		}
		c.isMissing(t, err)
	}},
	{name: "a limit of its own", nodes: 2, run: func(t *testing.T, c *cluster) {
		_, err := c.emit(t.Context()) // which has no deadline
		if e := (*adapter.IncompleteError)(nil); !errors.As(err, &e) || e.Missing != len(c.nodes)-1 {
			t.Errorf("%v", err)
		}
	}},
	{name: "a node closes", nodes: 2, run: func(t *testing.T, c *cluster) {
		c.answers(t, "y")
		c.last().host.on(func(adapter.ServerEvent) { go c.last().Close() })
		c.leaves(t)
	}},
	{name: "a node dies", nodes: 2, run: func(t *testing.T, c *cluster) {
		if c.kill == nil {
			return
		}
		c.answers(t, "y")
		c.last().host.on(func(adapter.ServerEvent) { c.kill(c.last().Adapter) })
		c.leaves(t)
	}},
	{name: "not encodable", run: func(t *testing.T, c *cluster) {
		if c.subject.Nodes == 1 {
			return // nothing is encoded
		}
		if err := c.node(0).ServerSideEmit(t.Context(), "x", []any{make(chan int)}, nil); err == nil {
			t.Error("a channel is sent")
		}
	}},
	{name: "the asking node closes", nodes: 2, run: func(t *testing.T, c *cluster) {
		c.node(1).host.on(func(adapter.ServerEvent) { go c.node(0).Close() })
		_, err := c.emit(t.Context())
		if e := (*adapter.IncompleteError)(nil); !errors.As(err, &e) {
			t.Errorf("%v", err)
		}
	}},
}

// leaves checks that a node which leaves instead of answering is waited for no longer.
func (c *cluster) leaves(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), c.subject.Patience)
	defer cancel()
	answers, err := c.emit(ctx)
	want := append(c.others(`["","y"]`)[1:], "left ")
	if named, ok := c.last().Adapter.(interface{ UID() string }); ok {
		want[len(want)-1] += named.UID()
	}
	if err != nil || !slices.Equal(answers, want) {
		t.Errorf("%q, %v, want %q", answers, err, want)
	}
}

// counts waits until nodes know of so many.
func (c *cluster) counts(t *testing.T, nodes []*node, want int) {
	t.Helper()
	for _, n := range nodes {
		c.until(t, "nodes are counted", func() bool {
			got, err := n.ServerCount(t.Context())
			return err == nil && got == want
		})
	}
}

var nodes = []test{
	{name: "one more", run: func(t *testing.T, c *cluster) {
		if c.subject.Nodes == 1 {
			return
		}
		n := c.newNode(t, "/")
		c.counts(t, append(c.nodes, n), len(c.nodes)+1)
		d := n.newMember("d")
		c.broadcast(t, event("x"), adapter.Selection{})
		c.got(t, everybody(abc, `["x"]`))
		if got := d.events(); !slices.Equal(got, []string{`["x"]`}) {
			t.Errorf("d got %q", got)
		}
		c.finds(t, adapter.Selection{}, "a", "b", "c", "d")
	}},
	{name: "they stay", run: func(t *testing.T, c *cluster) {
		for range 20 {
			c.rest() // a minute, when time costs nothing
		}
		c.counts(t, c.nodes, len(c.nodes))
	}},
	{name: "one closes", nodes: 2, run: func(t *testing.T, c *cluster) {
		if err := errors.Join(c.last().Close(), c.last().Close()); err != nil {
			t.Errorf("Close: %v", err)
		}
		c.counts(t, c.nodes[:len(c.nodes)-1], len(c.nodes)-1)
		c.rest()
		c.counts(t, c.nodes[:len(c.nodes)-1], len(c.nodes)-1)
	}},
	{name: "one dies", nodes: 2, run: func(t *testing.T, c *cluster) {
		if c.kill == nil {
			return
		}
		c.kill(c.last().Adapter)
		c.counts(t, c.nodes[:len(c.nodes)-1], len(c.nodes)-1)
	}},
}
