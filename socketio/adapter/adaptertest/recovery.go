package adaptertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// lose saves the session of a member, as its namespace does when the connection is lost.
func (c *cluster) lose(m *member) {
	m.home.Adapter.(adapter.Recoverer).Save(adapter.Session{PID: "pid-" + m.id, ID: m.id, Data: map[string]any{"k": m.id}})
}

// loseAgain saves the session of a member that was back from that offset, and was lost while it was sent what it had missed.
func (c *cluster) loseAgain(m *member, offset string) {
	m.home.Adapter.(adapter.Recoverer).Save(adapter.Session{PID: "pid-" + m.id, ID: m.id, Offset: offset, Replayed: true})
}

// restored is a member that is back.
type restored struct {
	*member
	session adapter.Session
	missed  []string
	offset  string // of the last one missed
}

// restore brings a member back on the last node: it has got everything up to offset.
func (c *cluster) restore(t *testing.T, id, offset string) (restored, bool) {
	t.Helper()
	return c.restoreOn(t, c.last(), id, offset)
}

func (c *cluster) restoreOn(t *testing.T, on *node, id, offset string) (restored, bool) {
	t.Helper()
	var back restored
	packets, ok, err := on.Adapter.(adapter.Recoverer).Restore(t.Context(), "pid-"+id, offset, func(s adapter.Session) adapter.Member {
		back.session = s
		back.member = &member{id: s.ID, home: on, pending: make(map[uint64]func(adapter.Arguments, error))}
		return back.member
	})
	if ok != (err == nil) {
		t.Errorf("Restore: %v, %v", ok, err)
	}
	for _, p := range packets {
		v, err := p.Encoding("adaptertest", write)
		if err != nil {
			t.Error(err)
			continue
		}
		w := v.(*written)
		if w.offset == "" || w.offset != p.Offset {
			t.Errorf("%s is missed without its offset", w.text)
		}
		back.missed, back.offset = append(back.missed, w.text), w.offset
	}
	return back, ok
}

// recovering is a test that runs where members can be recovered.
func recovering(run func(t *testing.T, c *cluster)) func(*testing.T, *cluster) {
	return func(t *testing.T, c *cluster) {
		if _, ok := c.node(0).Adapter.(adapter.Recoverer); ok {
			run(t, c)
		}
	}
}

var recoveries = []test{
	// S-77: id, rooms and data come back, and what was missed, once and in order.
	{name: "back", run: recovering(func(t *testing.T, c *cluster) {
		a := c.members[0]
		c.joins(t, "a", "r", "s")
		c.broadcast(t, event("seen", 1), adapter.Selection{})
		c.got(t, everybody(abc, `["seen",1]`))
		offset := a.seen()
		c.broadcast(t, event("unseen", 2), adapter.Selection{}) // on its way when the connection is lost
		c.rest()
		c.lose(a)
		if _, ok := c.node(0).Member("a"); ok || slices.ContainsFunc(c.node(0).Members(to("r")), func(m adapter.Member) bool { return m.ID() == "a" }) {
			t.Error("a is still a member")
		}
		c.broadcast(t, event("everybody", []byte("x")), adapter.Selection{})
		c.broadcast(t, event("r"), to("r", "s"))
		c.broadcast(t, event("own"), to("a"))
		c.broadcast(t, event("others"), to("b", "none"))
		c.broadcast(t, event("except"), adapter.Selection{Except: []string{"s"}})
		c.rest()
		back, ok := c.restore(t, "a", offset)
		if want := []string{`["unseen",2]`, `["everybody",<x>]`, `["r"]`, `["own"]`}; !ok || !slices.Equal(back.missed, want) {
			t.Errorf("missed %q, want %q", back.missed, want)
		}
		k := ""
		if _, err := (&adapter.Info{Data: back.session.Data}).Decode("k", &k); err != nil || back.session.ID != "a" || back.session.PID != "pid-a" || k != "a" {
			t.Errorf("session %+v", back.session)
		}
		in := c.last().Rooms("a")
		slices.Sort(in)
		if !slices.Equal(in, []string{"a", "r", "s"}) {
			t.Errorf("a is in %q", in)
		}
		c.broadcast(t, event("after"), to("r"))
		c.until(t, "a gets what comes", func() bool { return slices.Equal(back.events(), []string{`["after"]`}) })
		// The session was consumed.
		if _, ok := c.restore(t, "a", offset); ok {
			t.Error("a session is restored twice")
		}
	})},
	{name: "nothing was missed", run: recovering(func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x"), adapter.Selection{})
		c.rest()
		a := c.members[0]
		c.lose(a)
		if back, ok := c.restore(t, "a", a.seen()); !ok || len(back.missed) != 0 {
			t.Errorf("missed %q, %v", back.missed, ok)
		}
	})},
	// S-77, peers: lost again and again, with the same pid.
	{name: "again and again", run: recovering(func(t *testing.T, c *cluster) {
		m := c.members[0]
		c.broadcast(t, event("x", 0), adapter.Selection{})
		c.rest()
		for i := range 3 {
			offset := m.seen()
			c.lose(m)
			c.broadcast(t, event("x", i+1), adapter.Selection{})
			c.rest()
			back, ok := c.restore(t, "a", offset)
			if want := numbered(5)[i+1 : i+2]; !ok || !slices.Equal(back.missed, want) {
				t.Fatalf("missed %q, want %q", back.missed, want)
			}
			m = back.member
			c.broadcast(t, event("y"), adapter.Selection{}) // from here it goes on
			c.until(t, "a gets what comes", func() bool { return slices.Equal(m.events(), []string{`["y"]`}) })
		}
	})},
	// S-78: neither acknowledgements nor volatile packets are kept.
	{name: "what is not kept", run: recovering(func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x"), adapter.Selection{})
		c.rest()
		a := c.members[0]
		offset := a.seen()
		c.lose(a)
		p := event("volatile")
		p.Volatile = true
		c.broadcast(t, p, adapter.Selection{})
		c.answering()
		<-c.ask(t.Context(), adapter.Selection{})
		if back, ok := c.restore(t, "a", offset); !ok || len(back.missed) != 0 {
			t.Errorf("missed %q, %v", back.missed, ok)
		}
	})},
	{name: "to one member", run: recovering(func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x"), adapter.Selection{})
		c.rest()
		a := c.members[0]
		r := a.home.Adapter.(adapter.Recoverer)
		offset := a.seen()
		one := event("one")
		if err := r.Deliver(one, a.id, func(m adapter.Member) { m.Append(one) }); err != nil {
			t.Error(err)
		}
		c.broadcast(t, event("all"), adapter.Selection{})
		c.rest()
		if got := a.events(); !slices.Equal(got, []string{`["x"]`, `["one"]`, `["all"]`}) {
			t.Errorf("a got %q", got)
		}
		c.lose(a)
		if err := r.Deliver(event("late"), a.id, func(adapter.Member) { t.Error("queued") }); !errors.Is(err, adapter.ErrLeft) {
			t.Errorf("a packet to a member that is none: %v, want ErrLeft", err)
		}
		if back, ok := c.restore(t, "a", offset); !ok || !slices.Equal(back.missed, []string{`["one"]`, `["all"]`}) {
			t.Errorf("missed %q, %v", back.missed, ok)
		}
	})},
	// Engine rule 7: a broadcast that has found the member before it was saved, and is given its place in the order after it, comes
	// behind others that have passed the member by. It would tell the client that it has got those.
	{name: "saved while a broadcast is made", run: recovering(func(t *testing.T, c *cluster) {
		c.broadcast(t, event("seen"), adapter.Selection{})
		c.got(t, everybody(abc, `["seen"]`))
		m := c.members[0]
		for _, volatile := range []bool{false, true} {
			before := len(m.events())
			m.preparing(func() {
				c.lose(m)
				if err := m.home.Broadcast(event("passed"), adapter.Selection{}); err != nil {
					t.Error(err)
				}
			})
			late := event("late")
			late.Volatile = volatile
			if err := m.home.Broadcast(late, adapter.Selection{}); err != nil {
				t.Error(err)
			}
			c.rest()
			if got := m.events()[before:]; len(got) > 0 {
				t.Errorf("volatile %v: when it was saved a got %q", volatile, got)
			}
			offset := m.seen()
			want := []string{`["passed"]`, `["late"]`}
			if volatile {
				want = want[:1]
			}
			back, ok := c.restoreOn(t, m.home, "a", offset)
			if !ok || !slices.Equal(back.missed, want) {
				t.Fatalf("volatile %v: missed %q, %v, want %q", volatile, back.missed, ok, want)
			}
			m = back.member
			c.broadcast(t, event("seen"), adapter.Selection{})
			c.until(t, "a gets what comes", func() bool { return slices.Equal(m.events(), []string{`["seen"]`}) })
		}
	})},
	{name: "nothing to restore", run: recovering(func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x"), adapter.Selection{})
		c.rest()
		a, b := c.members[0], c.members[1]
		if _, ok := c.restore(t, "a", a.seen()); ok {
			t.Error("a session that nobody saved is restored")
		}
		c.lose(a)
		if _, ok := c.restore(t, "a", "no offset of anybody's"); ok {
			t.Error("a session is restored from an offset that is none")
		}
		c.lose(b)
		<-time.After(away + 2*time.Second)
		if _, ok := c.restore(t, "b", b.seen()); ok {
			t.Error("a session is restored when it is too old")
		}
	})},
	{name: "declined", run: recovering(func(t *testing.T, c *cluster) {
		a := c.members[0]
		c.lose(a)
		_, ok, err := c.last().Adapter.(adapter.Recoverer).Restore(t.Context(), "pid-a", "", func(adapter.Session) adapter.Member { return nil })
		if _, is := c.last().Member("a"); ok || err == nil || is {
			t.Errorf("Restore: %v, %v", ok, err)
		}
	})},
	// Engine rule 7: while others broadcast, what was missed and what comes are all there is, each once.
	{name: "amid broadcasts", run: recovering(func(t *testing.T, c *cluster) {
		const n = 500
		a := c.members[0]
		c.broadcast(t, event("begin"), adapter.Selection{})
		c.rest()
		offset := a.seen()
		c.lose(a)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for j := range n / 4 {
					c.broadcast(t, event("x", i, j), adapter.Selection{})
				}
			})
		}
		back, ok := c.restore(t, "a", offset)
		wg.Wait()
		if !ok {
			t.Fatal("not restored")
		}
		c.until(t, "everything arrives", func() bool { return len(back.missed)+len(back.events()) >= n })
		c.rest()
		got := slices.Concat(back.missed, back.events())
		var want []string
		for _, e := range c.members[1].events() {
			if strings.HasPrefix(e, `["x"`) {
				want = append(want, e)
			}
		}
		if c.subject.Nodes == 1 && !slices.Equal(got, want) { // elsewhere the order may be another
			t.Errorf("a got %d events in another order than the others %d", len(got), len(want))
		}
		slices.Sort(got)
		if len(got) != n || len(slices.Compact(got)) != n {
			t.Errorf("a got %d different events, want %d", len(slices.Compact(got)), n)
		}
	})},
	// What counts are the rooms it was in when a packet was sent, not those it was in when it was lost.
	{name: "rooms joined late, left and joined again", run: recovering(func(t *testing.T, c *cluster) {
		c.broadcast(t, event("x"), adapter.Selection{})
		c.rest()
		a := c.members[0]
		offset := a.seen()
		say := func(name string) {
			c.broadcast(t, event(name), adapter.Selection{Rooms: []string{"r"}, Except: []string{"s"}})
			c.rest()
		}
		say("before")
		c.joins(t, "a", "r")
		say("in")
		a.home.Leave("a", "r")
		say("out")
		c.joins(t, "a", "r")
		say("in again")
		c.joins(t, "a", "s")
		say("excepted")
		a.home.Leave("a", "s")
		c.lose(a)
		say("away")
		if back, ok := c.restore(t, "a", offset); !ok || !slices.Equal(back.missed, []string{`["in"]`, `["in again"]`, `["away"]`}) {
			t.Errorf("missed %q, %v", back.missed, ok)
		}
	})},
	// Nothing of what it had missed has arrived, several times in a row: all of it is still there, and goes by the rooms of its
	// time.
	{name: "in vain", run: recovering(func(t *testing.T, c *cluster) {
		var want []string
		say := func(meant bool, name string, rooms ...string) {
			if err := c.node(0).Broadcast(event(name), to(rooms...)); err != nil {
				t.Error(err)
			}
			if meant {
				want = append(want, fmt.Sprintf(`[%q]`, name))
			}
		}
		say(false, "x")
		c.rest()
		m := c.members[0]
		offset := m.seen()
		say(true, "to everybody")
		say(false, "too early", "r")
		c.rest()
		c.joins(t, "a", "r")
		say(true, "first", "r")
		c.lose(m)
		for i := range 20 {
			say(true, fmt.Sprint("away ", i), "r")
			back, ok := c.restore(t, "a", offset)
			if !ok {
				t.Fatalf("%d: not restored", i)
			}
			m = back.member
			c.until(t, "what is on its way arrives", func() bool { return len(back.missed)+len(m.events()) >= len(want) })
			if got := slices.Concat(back.missed, m.events()); !slices.Equal(got, want) {
				t.Fatalf("%d: missed %q, want %q", i, got, want)
			}
			switch i {
			case 10:
				m.home.Leave("a", "r")
				say(false, "left", "r")
				c.rest()
				c.joins(t, "a", "r")
			case 15: // in the end it did arrive
				if offset = m.seen(); offset == "" {
					offset = back.offset
				}
				want = nil
			}
			say(true, fmt.Sprint("back ", i), "r")
			c.loseAgain(m, offset)
		}
	})},
	// #5538: a client that has got nothing knows no offset.
	{name: "without an offset", run: recovering(func(t *testing.T, c *cluster) {
		c.broadcast(t, event("before"), adapter.Selection{})
		c.rest()
		m := c.node(0).newMember("d")
		c.lose(m)
		c.broadcast(t, event("after"), adapter.Selection{})
		c.rest()
		if back, ok := c.restore(t, "d", ""); !ok || !slices.Equal(back.missed, []string{`["after"]`}) {
			t.Errorf("missed %q, %v", back.missed, ok)
		}
	})},
	{name: "several come for one session", run: recovering(func(t *testing.T, c *cluster) {
		c.lose(c.members[0])
		var wg sync.WaitGroup
		var restored atomic.Int32
		for range 8 {
			wg.Go(func() {
				if _, ok := c.restore(t, "a", ""); ok {
					restored.Add(1)
				}
			})
		}
		wg.Wait()
		if n := restored.Load(); n != 1 {
			t.Errorf("%d restored it", n)
		}
	})},
	// #4880: its client is back, on another node, before the one that it was on has noticed.
	{name: "still a member elsewhere", nodes: 2, run: recovering(func(t *testing.T, c *cluster) {
		a := c.members[0]
		c.joins(t, "a", "r")
		c.broadcast(t, event("seen"), adapter.Selection{})
		c.got(t, everybody(abc, `["seen"]`))
		offset := a.seen()
		c.broadcast(t, event("unseen"), to("r"))
		c.nodes[0].host.keep(func(pid string, done func(bool)) {
			if pid != "pid-a" {
				t.Errorf("%s is evicted", pid)
			}
			go func() {
				c.lose(a)
				done(true)
			}()
		})
		back, ok := c.restore(t, "a", offset)
		if !ok || !slices.Equal(back.missed, []string{`["unseen"]`}) {
			t.Errorf("missed %q, %v", back.missed, ok)
		}
		if _, ok := c.node(0).Member("a"); ok {
			t.Error("a is in two places")
		}
	})},
	// Engine rule 7: on one node after the other, each of which broadcasts.
	{name: "from node to node amid broadcasts", nodes: 2, run: recovering(func(t *testing.T, c *cluster) {
		const n = 300
		m := c.members[0]
		c.joins(t, "a", "r")
		var wg sync.WaitGroup
		for i, node := range c.nodes {
			wg.Go(func() {
				for j := range n {
					if err := node.Broadcast(event("x", i, j), to("r", "none")); err != nil {
						t.Error(err)
					}
					if j%10 == 0 {
						<-time.After(time.Millisecond)
					}
				}
			})
		}
		next, got, offset := make([]int, len(c.nodes)), 0, ""
		take := func(events []string, latest string) {
			for _, e := range events {
				var i, j int
				if _, err := fmt.Sscanf(e, `["x",%d,%d]`, &i, &j); err != nil || j != next[i] {
					t.Errorf("got %s, want number %d", e, next[i])
				}
				next[i] = j + 1
				got++
			}
			if len(events) > 0 {
				offset = latest
			}
		}
		for turn := 1; got < n*len(c.nodes) && !t.Failed(); turn++ {
			c.lose(m)
			take(m.all())
			back, ok := c.restoreOn(t, c.node(turn), "a", offset)
			if !ok {
				t.Error("not restored")
				break
			}
			take(back.missed, back.offset)
			m = back.member
			<-time.After(time.Duration(turn%7) * time.Millisecond)
		}
		wg.Wait()
	})},
	// Engine rule 7: lost and back while others broadcast, many times over. What it has got when it is lost it acknowledges,
	// what comes then is lost on the way.
	{name: "coming and going amid broadcasts", run: recovering(func(t *testing.T, c *cluster) {
		const n = 900
		m := c.members[0]
		c.joins(t, "a", "r")
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range n {
				c.broadcast(t, event("x", i), to("r", "none"))
			}
		})
		var got []string
		offset := ""
		for len(got) < n {
			c.lose(m)
			if events, latest := m.all(); len(events) > 0 {
				got, offset = append(got, events...), latest
			}
			back, ok := c.restore(t, "a", offset)
			if !ok {
				t.Error("not restored")
				break
			}
			if len(back.missed) > 0 {
				got, offset = append(got, back.missed...), back.offset
			}
			m = back.member
			c.members[0] = m
			if len(back.missed) == 0 {
				<-time.After(time.Millisecond) // it may be on its way
			}
		}
		wg.Wait()
		if !slices.Equal(got, numbered(n)) {
			t.Errorf("a got %d events, want each of %d once and in order", len(got), n)
		}
	})},
}
