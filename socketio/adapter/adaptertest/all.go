package adaptertest

import (
	"slices"
	"testing"

	"github.com/perch-go/perch/socketio/adapter"
)

// in waits until those members, and no others, are in a room, wherever they are.
func (c *cluster) in(t *testing.T, room string, want ...string) {
	t.Helper()
	is := func() (ids []string) {
		for _, m := range c.members {
			if slices.Contains(m.home.Rooms(m.id), room) {
				ids = append(ids, m.id)
			}
		}
		return ids
	}
	c.until(t, "members are in "+room, func() bool { return slices.Equal(is(), want) })
	c.rest()
	if got := is(); !slices.Equal(got, want) {
		t.Errorf("in %s are %q, want %q", room, got, want)
	}
}

func (c *cluster) joinAll(t *testing.T, sel adapter.Selection, rooms ...string) {
	t.Helper()
	if err := c.node(0).JoinAll(sel, rooms...); err != nil {
		t.Errorf("JoinAll: %v", err)
	}
}

func (c *cluster) leaveAll(t *testing.T, sel adapter.Selection, rooms ...string) {
	t.Helper()
	if err := c.node(0).LeaveAll(sel, rooms...); err != nil {
		t.Errorf("LeaveAll: %v", err)
	}
}

var alls = []test{
	// S-41
	{name: "everybody joins", run: func(t *testing.T, c *cluster) {
		c.joinAll(t, adapter.Selection{}, "r", "s")
		c.in(t, "r", "a", "b", "c")
		c.in(t, "s", "a", "b", "c")
	}},
	{name: "members of a room join", run: func(t *testing.T, c *cluster) {
		c.joins(t, "a", "r")
		c.joins(t, "c", "r")
		c.joinAll(t, to("r"), "s")
		c.in(t, "s", "a", "c")
	}},
	{name: "one member joins", run: func(t *testing.T, c *cluster) {
		c.joinAll(t, to("c"), "r")
		c.in(t, "r", "c")
	}},
	{name: "joining here", run: func(t *testing.T, c *cluster) {
		c.joinAll(t, local, "r")
		c.in(t, "r", c.on(c.node(0))...)
	}},
	// S-42
	{name: "everybody leaves", run: func(t *testing.T, c *cluster) {
		c.joins(t, "a", "r", "s")
		c.joins(t, "c", "r", "s")
		c.leaveAll(t, adapter.Selection{}, "r")
		c.in(t, "r")
		c.in(t, "s", "a", "c")
	}},
	{name: "members of a room leave another", run: func(t *testing.T, c *cluster) {
		c.joins(t, "a", "r", "s")
		c.joins(t, "b", "r", "s")
		c.joins(t, "c", "s")
		c.leaveAll(t, to("r"), "s")
		c.in(t, "s", "c")
		c.in(t, "r", "a", "b")
	}},
	{name: "one member leaves", run: func(t *testing.T, c *cluster) {
		for _, id := range abc {
			c.joins(t, id, "r")
		}
		c.leaveAll(t, to("b"), "r")
		c.in(t, "r", "a", "c")
	}},
	{name: "leaving here", run: func(t *testing.T, c *cluster) {
		for _, id := range abc {
			c.joins(t, id, "r")
		}
		c.leaveAll(t, local, "r")
		c.in(t, "r", c.without(c.on(c.node(0)))...)
	}},
	// S-43
	{name: "everybody is disconnected", run: func(t *testing.T, c *cluster) {
		if err := c.node(0).DisconnectAll(adapter.Selection{}, true); err != nil {
			t.Error(err)
		}
		c.got(t, everybody(abc, "disconnected true"))
	}},
	{name: "some are disconnected", run: func(t *testing.T, c *cluster) {
		c.joins(t, "b", "r")
		if err := c.node(0).DisconnectAll(adapter.Selection{Except: []string{"r"}}, false); err != nil {
			t.Error(err)
		}
		c.got(t, everybody([]string{"a", "c"}, "disconnected false"))
	}},
	{name: "disconnecting here", run: func(t *testing.T, c *cluster) {
		here := c.on(c.node(0))
		if err := c.node(0).DisconnectAll(local, false); err != nil {
			t.Error(err)
		}
		c.got(t, everybody(here, "disconnected false"))
	}},
	{name: "a packet before the end", run: func(t *testing.T, c *cluster) {
		c.broadcast(t, event("bye"), adapter.Selection{})
		if err := c.node(0).DisconnectAll(adapter.Selection{}, true); err != nil {
			t.Error(err)
		}
		c.got(t, everybody(abc, `["bye"]`, "disconnected true"))
	}},
}
