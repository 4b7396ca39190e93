package adaptertest

import (
	"slices"
	"sync"
	"testing"

	"github.com/perch-go/perch/socketio/adapter"
)

// diary notes what becomes of rooms.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(entry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry)
}

// of are the entries of one room.
func (d *diary) of(room string) (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries {
		if len(e) > 1 && e[1:2] == room {
			list = append(list, e)
		}
	}
	return list
}

// S-73
var rooms = []test{
	{name: "events", run: func(t *testing.T, c *cluster) {
		n, d := c.node(0), new(diary)
		n.Observe(adapter.RoomEvents{}) // who is not interested
		n.Observe(adapter.RoomEvents{
			Create: func(room string) { d.note("+" + room) },
			Delete: func(room string) { d.note("-" + room) },
			Join:   func(room, id string) { d.note(">" + room + id) },
			Leave:  func(room, id string) { d.note("<" + room + id) },
		})
		n.newMember("d")
		n.newMember("e")
		n.Join("d", "r", "e")
		n.Join("d", "r")
		n.Join("e", "r")
		n.Leave("d", "r", "none", "d")
		n.Remove("e")
		n.Remove("e")
		n.Join("e", "r")
		n.Remove("d")
		for room, want := range map[string][]string{
			"d": {"+d", ">dd", "<dd", "-d"},
			"e": {"+e", ">ee", ">ed", "<ee", "<ed", "-e"},
			"r": {"+r", ">rd", ">re", "<rd", "<re", "-r"},
		} {
			if got := d.of(room); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", room, got, want)
			}
		}
	}},
	{name: "of this process only", nodes: 2, run: func(t *testing.T, c *cluster) {
		d := new(diary)
		c.last().Observe(adapter.RoomEvents{Join: func(room, id string) { d.note(">" + room + id) }})
		c.joinAll(t, adapter.Selection{}, "r")
		c.in(t, "r", "a", "b", "c")
		var want []string
		for _, id := range c.on(c.last()) {
			want = append(want, ">r"+id)
		}
		got := d.of("r")
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}},
}
