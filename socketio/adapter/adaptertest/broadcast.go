package adaptertest

import (
	"encoding/json"
	"testing"

	"github.com/perch-go/perch/socketio/adapter"
)

var broadcasts = []test{
	// S-34: arguments of every kind arrive as they are, numbers to the last digit.
	{name: "everybody", run: func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x", 1, "2", []byte{'3', 0xff}, nil, json.RawMessage("9007199254740993"), map[string]any{"a": []byte("b")}), adapter.Selection{})
		c.got(t, everybody(abc, `["x",1,"2",<3`+"\xff"+`>,null,9007199254740993,{"a":{"_placeholder":true,"num":0}}]`))
	}},
	// S-33
	{name: "room", run: func(t *testing.T, c *cluster) {
		c.joins(t, "b", "r")
		c.broadcast(t, event("x"), to("r"))
		c.got(t, everybody([]string{"b"}, `["x"]`))
	}},
	{name: "several rooms, one delivery", run: func(t *testing.T, c *cluster) {
		c.joins(t, "b", "r", "s")
		c.joins(t, "c", "s")
		c.broadcast(t, event("x"), to("r", "s", "none"))
		c.got(t, everybody([]string{"b", "c"}, `["x"]`))
	}},
	{name: "a member's own room", run: func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x"), to("c"))
		c.got(t, everybody([]string{"c"}, `["x"]`))
	}},
	{name: "nobody", run: func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x"), to("none"))
		c.got(t, nil)
	}},
	{name: "except a room", run: func(t *testing.T, c *cluster) {
		c.joins(t, "b", "r")
		c.broadcast(t, event("x"), adapter.Selection{Except: []string{"r", "none"}})
		c.got(t, everybody([]string{"a", "c"}, `["x"]`))
	}},
	{name: "rooms except rooms", run: func(t *testing.T, c *cluster) {
		c.joins(t, "a", "r")
		c.joins(t, "b", "r", "s")
		c.joins(t, "c", "r")
		c.broadcast(t, event("x"), adapter.Selection{Rooms: []string{"r"}, Except: []string{"s", "a"}})
		c.got(t, everybody([]string{"c"}, `["x"]`))
	}},
	// S-69
	{name: "local", run: func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x"), local)
		c.got(t, everybody(c.on(c.node(0)), `["x"]`))
	}},
	// S-67, S-68
	{name: "flags", run: func(t *testing.T, c *cluster) {
		p := event("x")
		p.Volatile, p.NoCompress = true, true
		c.broadcast(t, p, adapter.Selection{})
		c.broadcast(t, event("y"), adapter.Selection{})
		c.got(t, everybody(abc, `["x"]`, `["y"]`))
		for _, m := range c.members {
			if m.flagged != 1 {
				t.Errorf("%s got %d packets with flags", m.id, m.flagged)
			}
		}
	}},
	// What one process broadcasts arrives everywhere in that order, each once.
	{name: "order", run: func(t *testing.T, c *cluster) {
		for i := range 200 {
			c.broadcast(t, event("x", i), adapter.Selection{})
		}
		c.got(t, everybody(abc, numbered(200)...))
	}},
	// A broadcast does not overtake the joining before it.
	{name: "after joining", run: func(t *testing.T, c *cluster) {
		if err := c.node(0).JoinAll(to("b", "c"), "r"); err != nil {
			t.Error(err)
		}
		c.broadcast(t, event("x"), to("r"))
		if err := c.node(0).LeaveAll(to("c"), "r"); err != nil {
			t.Error(err)
		}
		c.broadcast(t, event("y"), to("r"))
		c.got(t, map[string][]string{"b": {`["x"]`, `["y"]`}, "c": {`["x"]`}})
	}},
	// Engine rule 11: an encode failure is never a silent loss, and nobody gets half of it.
	{name: "not encodable", run: func(t *testing.T, c *cluster) {
		if err := c.node(0).Broadcast(event("x", make(chan int)), adapter.Selection{}); err == nil {
			t.Error("a channel is sent")
		}
		c.got(t, nil)
	}},
	{name: "another namespace", run: func(t *testing.T, c *cluster) {
		var others []*node
		for range c.nodes {
			others = append(others, c.newNode(t, "/other"))
		}
		c.meet(t, others)
		last := others[len(others)-1].newMember("a")
		p := event("x")
		p.Namespace = "/other"
		if err := others[0].Broadcast(p, adapter.Selection{}); err != nil {
			t.Error(err)
		}
		c.got(t, nil)
		if got := last.events(); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	}},
}

// broadcast is sent by the first node.
func (c *cluster) broadcast(t *testing.T, p *adapter.Packet, sel adapter.Selection) {
	t.Helper()
	if err := c.node(0).Broadcast(p, sel); err != nil {
		t.Errorf("Broadcast: %v", err)
	}
}

// joins adds a member to rooms on its node.
func (c *cluster) joins(t *testing.T, id string, rooms ...string) {
	t.Helper()
	for _, n := range c.nodes {
		n.Join(id, rooms...) // unless it is not there
	}
}
