package adapter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// member records what it is given.
type member struct {
	id string

	mu      sync.Mutex
	got     []string
	flushes int
	pending map[uint64]func(Arguments, error)
	kicked  bool
}

func (m *member) ID() string { return m.id }

func (m *member) Prepare(p *Packet) error {
	_, err := p.Encoding("test", encode)
	return err
}

func (m *member) Append(p *Packet) {
	v, _ := p.Encoding("test", encode)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, v.(string))
}

func (m *member) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flushes++
}

func (m *member) Expect(id uint64, answer func(Arguments, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == nil {
		m.pending = make(map[uint64]func(Arguments, error))
	}
	m.pending[id] = answer
}

func (m *member) Forget(id uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pending, id)
}

func (m *member) Info() Info { return Info{ID: m.id} }

func (m *member) Disconnect(bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kicked = true
}

// host is a namespace without anything.
type host struct{ ids atomic.Uint64 }

func (h *host) Name() string                      { return "/" }
func (h *host) NextID() uint64                    { return h.ids.Add(1) - 1 }
func (h *host) ServerSideEvent(ServerEvent)       {}
func (h *host) Recovery() (RecoveryOptions, bool) { return RecoveryOptions{}, false }

var errUnencodable = errors.New("unencodable")

func encode(p *Packet) (any, error) {
	if p.Event == "bad" {
		return nil, errUnencodable
	}
	return p.Event + fmt.Sprint(p.Args...), nil
}

// newMemory makes members named after the letters given, each in the rooms after its colon.
func newMemory(t *testing.T, members string) (*Memory, map[string]*member) {
	t.Helper()
	m, all := NewMemory(new(host)), map[string]*member{}
	for _, f := range strings.Fields(members) {
		id, rooms, _ := strings.Cut(f, ":")
		all[id] = &member{id: id}
		m.Add(all[id])
		if rooms != "" {
			m.Join(id, strings.Split(rooms, ",")...)
		}
	}
	return m, all
}

func ids(members []Member) string {
	var out []string
	for _, m := range members {
		out = append(out, m.ID())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// S-33: a union of rooms, less the excluded ones, each member once; no room means everyone; a member's
// own id is a room.
func TestSelection(t *testing.T) {
	t.Parallel()
	m, all := newMemory(t, "a:r,s b:r c:s d e:d")
	for _, tt := range []struct {
		rooms, except, want string
	}{
		{"", "", "a b c d e"},
		{"r", "", "a b"},
		{"r s", "", "a b c"},
		{"s r r s", "", "a b c"},
		{"r s", "s", "b"},
		{"", "r", "c d e"},
		{"", "r s", "d e"},
		{"", "a", "b c d e"},
		{"r", "a", "b"},
		{"a", "", "a"},
		{"a b", "b", "a"},
		{"a r", "", "a b"},
		{"d", "", "d e"}, // a room may be called as a member is
		{"d", "d", ""},
		{"none", "", ""},
		{"none r", "none", "a b"},
	} {
		sel := Selection{Rooms: strings.Fields(tt.rooms), Except: strings.Fields(tt.except)}
		if got := ids(m.Members(sel)); got != tt.want {
			t.Errorf("rooms %q except %q: %q, want %q", tt.rooms, tt.except, got, tt.want)
		}
		for _, mb := range all {
			mb.got, mb.flushes = nil, 0
		}
		if err := m.Broadcast(&Packet{Event: "x"}, sel); err != nil {
			t.Fatal(err)
		}
		var got []string
		for id, mb := range all {
			if len(mb.got) != mb.flushes || len(mb.got) > 1 {
				t.Errorf("rooms %q except %q: %s got %v with %d flushes", tt.rooms, tt.except, id, mb.got, mb.flushes)
			}
			if len(mb.got) == 1 {
				got = append(got, id)
			}
		}
		slices.Sort(got)
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("rooms %q except %q: delivered to %q, want %q", tt.rooms, tt.except, got, tt.want)
		}
	}
}

// S-53: rooms of one's own, joining and leaving; S-73: empty rooms are removed.
func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(t, "a b:r")
	m.Join("a", "r", "s", "r", "a")
	m.Join("nobody", "r")
	if got := m.Rooms("a"); !slices.Equal(got, []string{"a", "r", "s"}) {
		t.Errorf("rooms %q", got)
	}
	m.Leave("a", "r", "a", "never joined")
	m.Leave("nobody", "r")
	if got := m.Rooms("a"); !slices.Equal(got, []string{"a", "s"}) {
		t.Errorf("rooms %q, the own room cannot be left", got)
	}
	if m.Rooms("nobody") != nil {
		t.Error("nobody has rooms")
	}
	if _, ok := m.Member("a"); !ok || m.Len() != 2 {
		t.Errorf("a is no member, or one of %d", m.Len())
	}
	m.Remove("a")
	m.Remove("a")
	m.Join("a", "r")
	if _, ok := m.Member("a"); ok || m.Len() != 1 {
		t.Errorf("a is still a member, or one of %d", m.Len())
	}
	if got := ids(m.Members(Selection{Rooms: []string{"r", "s", "a"}})); got != "b" {
		t.Errorf("left behind: %q", got)
	}
	m.Remove("b")
	checkEmpty(t, m)
}

func checkEmpty(t *testing.T, m *Memory) {
	t.Helper()
	for i := range m.shards {
		if s := &m.shards[i]; len(s.members) != 0 || len(s.rooms) != 0 {
			t.Errorf("left in a shard: %d members, rooms %v", len(s.members), s.rooms)
		}
	}
}

// Peers, Z "Lost joins": while one member joins and leaves a room and so deletes it over and over, a
// join of another one is never lost.
func TestJoinIsNotLostToDelete(t *testing.T) {
	t.Parallel()
	m, _ := newMemory(t, "a b")
	const rounds = 20_000
	var wg sync.WaitGroup
	for _, id := range []string{"a", "b"} {
		wg.Go(func() {
			sel := Selection{Rooms: []string{"r"}, Except: []string{"nobody"}}
			for range rounds {
				m.Join(id, "r")
				if !slices.ContainsFunc(m.Members(sel), func(mb Member) bool { return mb.ID() == id }) {
					t.Errorf("the join of %s is lost", id)
					return
				}
				m.Leave(id, "r")
			}
		})
	}
	wg.Wait()
	m.Remove("a")
	m.Remove("b")
	checkEmpty(t, m)
}

// A member that is removed while it joins rooms leaves nothing behind.
func TestJoinRacesWithRemove(t *testing.T) {
	t.Parallel()
	m := NewMemory(new(host))
	for i := range 2_000 {
		id := fmt.Sprint("m", i)
		m.Add(&member{id: id})
		var wg sync.WaitGroup
		wg.Go(func() { m.Join(id, "r", "s") })
		wg.Go(func() { m.Remove(id) })
		wg.Wait()
	}
	checkEmpty(t, m)
}

// Engine rule 7: all members see the broadcasts in one order, whoever sends them.
func TestOneOrder(t *testing.T) {
	t.Parallel()
	m := NewMemory(new(host))
	all := make([]*member, 200)
	for i := range all {
		all[i] = &member{id: fmt.Sprint("m", i)}
		m.Add(all[i])
		m.Join(all[i].id, "r")
	}
	const senders, each = 4, 100
	var wg sync.WaitGroup
	for g := range senders {
		wg.Go(func() {
			for i := range each {
				sel := Selection{}
				if i%2 == 0 {
					sel.Rooms = []string{"r"}
				}
				if err := m.Broadcast(&Packet{Event: "x", Args: []any{g, i}}, sel); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, mb := range all {
		if len(mb.got) != senders*each || !slices.Equal(mb.got, all[0].got) {
			t.Fatalf("%s saw %d packets in another order than %s", mb.id, len(mb.got), all[0].id)
		}
	}
}

// Engine rules 7 and 11: an encoding is made once, and one that fails reaches nobody and is reported.
func TestEncoding(t *testing.T) {
	t.Parallel()
	m, all := newMemory(t, "a b c")
	if err := m.Broadcast(&Packet{Event: "bad"}, Selection{}); !errors.Is(err, errUnencodable) {
		t.Errorf("error %v", err)
	}
	for id, mb := range all {
		if len(mb.got) != 0 || mb.flushes != 0 {
			t.Errorf("%s got %v", id, mb.got)
		}
	}

	p := &Packet{Event: "x"}
	made := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		for _, format := range []string{"one", "two", "three"} {
			wg.Go(func() {
				v, err := p.Encoding(format, func(q *Packet) (any, error) {
					made[format]++ // the packet's lock guards this
					return format + q.Event, nil
				})
				if v != format+"x" || err != nil {
					t.Errorf("%s: %v, %v", format, v, err)
				}
			})
		}
	}
	wg.Wait()
	for format, n := range made {
		if n != 1 {
			t.Errorf("%s was made %d times", format, n)
		}
	}
}

func BenchmarkBroadcast(b *testing.B) {
	m := NewMemory(new(host))
	for i := range 1000 {
		mb := silent(fmt.Sprint("m", i))
		m.Add(mb)
		m.Join(mb.ID(), "r")
	}
	for _, sel := range []Selection{{}, {Rooms: []string{"r"}}, {Rooms: []string{"r"}, Except: []string{"m1"}}, {Rooms: []string{"r", "m1"}}} {
		b.Run(fmt.Sprint(len(sel.Rooms), "rooms", len(sel.Except), "except"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = m.Broadcast(&Packet{Event: "x"}, sel)
			}
		})
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	m := NewMemory(new(host))
	for i := range 1000 {
		mb := silent(fmt.Sprint("m", i))
		m.Add(mb)
		if i > 0 {
			m.Join(mb.ID(), "r")
		}
	}
	for _, bb := range []struct {
		name  string
		rooms []string
	}{{"new", []string{"new"}}, {"of999", []string{"r"}}, {"four", []string{"r", "1", "2", "3"}}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Join("m0", bb.rooms...)
				m.Leave("m0", bb.rooms...)
			}
		})
	}
}

type silent string

func (s silent) ID() string                            { return string(s) }
func (s silent) Prepare(*Packet) error                 { return nil }
func (s silent) Append(*Packet)                        {}
func (s silent) Flush()                                {}
func (s silent) Expect(uint64, func(Arguments, error)) {}
func (s silent) Forget(uint64)                         {}
func (s silent) Info() Info                            { return Info{} }
func (s silent) Disconnect(bool)                       {}
