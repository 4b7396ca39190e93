package adaptertest

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// Subject is a plain value: the adapter that is to be tested.
type Subject struct {
	// Nodes is how many nodes a cluster has. 0 is 3; an adapter of a single process has 1.
	Nodes int
	// Start begins a cluster that has nothing to do with others. join makes one more node of it each time
	// it is called. kill lets a node die as a process dies: from one moment to the next it neither hears nor
	// says anything. It is nil where that cannot be done; then nobody dies.
	Start func(t *testing.T) (join adapter.Factory, kill func(adapter.Adapter))
	// RealTime runs the suite by the clock of this machine, for adapters that wait for other processes. Otherwise
	// each test is in a bubble of testing/synctest, and nothing waits.
	RealTime bool
	// Patience is how long what should happen may take, a dead node being noticed included. 0 is 30 seconds.
	Patience time.Duration
}

// Run tests the adapter.
func Run(t *testing.T, s Subject) {
	if s.Nodes == 0 {
		s.Nodes = 3
	}
	if s.Patience == 0 {
		s.Patience = 30 * time.Second
	}
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"Broadcast", broadcasts},
		{"Ask", asks},
		{"All", alls},
		{"Fetch", fetches},
		{"ServerSideEmit", serverSideEmits},
		{"Nodes", nodes},
		{"Rooms", rooms},
		{"Recovery", recoveries},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, test := range group.tests {
				if s.Nodes < test.nodes {
					continue
				}
				t.Run(test.name, func(t *testing.T) {
					t.Parallel()
					if s.RealTime {
						test.run(t, s.start(t))
						return
					}
					synctest.Test(t, func(t *testing.T) { test.run(t, s.start(t)) })
				})
			}
		})
	}
}

// test is one behaviour.
type test struct {
	name  string
	nodes int // how many it needs at least; 0 if it does not matter
	run   func(t *testing.T, c *cluster)
}

// cluster is what a test gets: nodes that know each other, and three members called a, b and c, spread over them as
// far as they go, a on the first.
type cluster struct {
	subject Subject
	join    adapter.Factory
	kill    func(adapter.Adapter)
	nodes   []*node
	members []*member
}

// node is one process.
type node struct {
	adapter.Adapter
	host *host
}

func (s Subject) start(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{subject: s}
	c.join, c.kill = s.Start(t)
	for range s.Nodes {
		c.nodes = append(c.nodes, c.newNode(t, "/"))
	}
	c.meet(t, c.nodes)
	for i, id := range []string{"a", "b", "c"} {
		c.members = append(c.members, c.node(i).newMember(id))
	}
	return c
}

func (c *cluster) newNode(t *testing.T, namespace string) *node {
	t.Helper()
	h := &host{name: namespace}
	n := &node{c.join(h), h}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return n
}

// meet waits until all nodes know each other.
func (c *cluster) meet(t *testing.T, nodes []*node) {
	t.Helper()
	for _, n := range nodes {
		c.until(t, "all nodes are known", func() bool {
			count, err := n.ServerCount(t.Context())
			return err == nil && count == len(nodes)
		})
	}
}

// node is the i-th node, counted round and round.
func (c *cluster) node(i int) *node { return c.nodes[i%len(c.nodes)] }

// last is a node, and the member c if there are three nodes, that is not the first if there are two.
func (c *cluster) last() *node { return c.nodes[len(c.nodes)-1] }

// on are the ids of the members of a node.
func (c *cluster) on(n *node) (ids []string) {
	for _, m := range c.members {
		if _, ok := n.Member(m.id); ok {
			ids = append(ids, m.id)
		}
	}
	return ids
}

// without are the ids of all members less those.
func (c *cluster) without(ids []string) (others []string) {
	for _, m := range c.members {
		if !slices.Contains(ids, m.id) {
			others = append(others, m.id)
		}
	}
	return others
}

// until waits until something is so.
func (c *cluster) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	const step = 5 * time.Millisecond
	for range c.subject.Patience / step {
		if so() {
			return
		}
		<-time.After(step)
	}
	t.Fatalf("it does not come about: %s", what)
}

// rest waits until what is on its way has arrived.
func (c *cluster) rest() {
	if c.subject.RealTime {
		<-time.After(300 * time.Millisecond)
		return
	}
	<-time.After(3 * time.Second)
	synctest.Wait()
}

// got waits until members have got so many events, and then for whatever should not come.
func (c *cluster) got(t *testing.T, want map[string][]string) {
	t.Helper()
	c.until(t, "events arrive", func() bool {
		for _, m := range c.members {
			if len(m.events()) < len(want[m.id]) {
				return false
			}
		}
		return true
	})
	c.rest()
	for _, m := range c.members {
		if got := m.events(); !slices.Equal(got, want[m.id]) {
			t.Errorf("%s got %q, want %q", m.id, got, want[m.id])
		}
	}
}

// everybody is a map with one entry for each of the ids.
func everybody(ids []string, events ...string) map[string][]string {
	m := make(map[string][]string)
	for _, id := range ids {
		m[id] = events
	}
	return m
}

var abc = []string{"a", "b", "c"}

func event(name string, args ...any) *adapter.Packet {
	return &adapter.Packet{Namespace: "/", Event: name, Args: args}
}

func to(rooms ...string) adapter.Selection { return adapter.Selection{Rooms: rooms} }

var local = adapter.Selection{Local: true}

// numbered is a list of so many events.
func numbered(n int) (list []string) {
	for i := range n {
		list = append(list, `["x",`+strconv.Itoa(i)+`]`)
	}
	return list
}
