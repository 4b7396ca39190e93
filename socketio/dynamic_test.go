package socketio

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// ofPattern is OfPattern of a pattern that is right.
func (h *harness) ofPattern(t *testing.T, pattern string) *ParentNamespace {
	t.Helper()
	p, err := h.OfPattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// children are the names of a parent's children, sorted.
func children(p *ParentNamespace) string {
	var names []string
	for n := range p.Children() {
		names = append(names, n.Name())
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// S-74: who asks for a namespace that a parent's expression, pattern or function accepts gets it, others do not.
func TestDynamicNamespaces(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	made := make(chan string, 16)
	h.OnNamespace(func(n *Namespace) { made <- n.Name() })
	numbers := h.OfRegexp(regexp.MustCompile(`^/dyn-(?P<n>\d+)$`))
	rooms := h.ofPattern(t, "room/{id}/{rest...}")
	users := h.OfFunc(func(_ context.Context, name string, hs *Handshake) error {
		var auth struct{ Token string }
		if err := hs.DecodeAuth(&auth); err != nil || auth.Token != "x" || !strings.HasPrefix(name, "/user") {
			return errors.New("no")
		}
		return nil
	})
	for _, p := range []*ParentNamespace{numbers, rooms, users} {
		p.Handle("who", func(_ context.Context, e *Event) {
			s := e.Socket()
			_ = e.Ack(s.Namespace().Name(), s.PathValue("n"), s.PathValue("id"), s.PathValue("rest"))
		})
	}
	c := h.dial(t)
	for _, tt := range []struct{ name, auth, want string }{
		{"/dyn-101", "", `["/dyn-101","101","",""]`},
		{"/room/a/b/c", "", `["/room/a/b/c","","a","b/c"]`},
		{"/user/7", `{"token":"x"}`, `["/user/7","","",""]`},
	} {
		c.connect(tt.name, tt.auth)
		if got := within(t, made); got != tt.name {
			t.Errorf("told of %s, want %s", got, tt.name) // S-29
		}
		c.send("2" + tt.name + `,1["who"]`)
		c.expect("3" + tt.name + ",1" + tt.want)
	}
	for _, name := range []string{"/dyn-", "/dyn-1x", "/room/", "/room//x", "/user/8", "/dyn-" + strings.Repeat("9", maxChildName+1-len("/dyn-")), "/x"} {
		c.send("0" + name + ",")
		c.expect("4" + name + `,{"message":"Invalid namespace"}`)
	}
	if got := children(numbers) + "," + children(rooms) + "," + children(users); got != "/dyn-101,/room/a/b/c,/user/7" {
		t.Errorf("children %s", got)
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	for _, pattern := range []string{"", "/room", "/a{id}", "/{a}/{a}", "/{a...}/b"} {
		if _, err := h.OfPattern(pattern); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", pattern)) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// S-74: parents are asked in the order in which they were registered, and one that refuses leaves it to the next. S-25: a name
// given to Of becomes a child of the first parent that knows it by its name.
func TestParentOrder(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	var asked atomic.Int64
	picky := h.OfFunc(func(_ context.Context, name string, _ *Handshake) error {
		asked.Add(1)
		if name == "/a1" {
			return nil
		}
		return errors.New("not mine")
	})
	first := h.OfRegexp(regexp.MustCompile(`a\d`))
	second := h.ofPattern(t, "/{any}")
	// Rule 11: its panic refuses whoever comes to be asked by it, and ends nothing else.
	broken := h.OfFunc(func(_ context.Context, name string, _ *Handshake) error { panic("oops") })
	c := h.dial(t)
	for _, name := range []string{"/a1", "/a2", "/b", "/a1"} {
		if name == "/a1" && asked.Load() > 0 {
			c = h.dial(t) // somebody else, who finds it made
		}
		c.connect(name, "")
	}
	if got := children(picky) + "," + children(first) + "," + children(second); got != "/a1,/a2,/b" {
		t.Errorf("children %s", got)
	}
	if asked.Load() != 3 {
		t.Errorf("asked %d times for three names", asked.Load())
	}
	c.send("0/x/y,")
	c.expect(`4/x/y,{"message":"internal server error"}`)
	if n := h.Of("a3"); children(first) != "/a2 /a3" || n.Name() != "/a3" {
		t.Errorf("children %s", children(first))
	}
	if h.Of("/x/z"); children(broken) != "" {
		t.Error("Of asks functions")
	}
}

// S-74: what is registered on a parent goes for the children that there are and those to come, and is removed from all of them.
func TestParentRegistration(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	p := h.ofPattern(t, "/room/{id}")
	p.Use(func(_ context.Context, s *Socket) error {
		if s.PathValue("id") == "closed" {
			return &ConnectError{Message: "closed"}
		}
		return nil
	})
	c := h.dial(t)
	c.send("0/room/closed,")
	c.expect(`4/room/closed,{"message":"closed"}`)
	c.connect("/room/1", "")
	off := p.Handle("hi", func(_ context.Context, e *Event) { _ = e.Ack(e.Socket().PathValue("id")) })
	p.HandleUnknown(func(_ context.Context, e *Event) { _ = e.Ack("unknown") })
	left := make(chan Reason, 4)
	p.OnDisconnect(func(_ context.Context, _ *Socket, r Reason) { left <- r })
	c.connect("/room/2", "")
	h.Of("/room/2").Handle("own", func(_ context.Context, e *Event) { _ = e.Ack("own") })
	c.send(`2/room/1,1["hi"]`, `2/room/2,2["hi"]`, `2/room/2,3["own"]`, `2/room/1,4["own"]`)
	got := map[any]bool{}
	for range 4 {
		got[c.next()] = true
	}
	for _, want := range []string{`3/room/1,1["1"]`, `3/room/2,2["2"]`, `3/room/2,3["own"]`, `3/room/1,4["unknown"]`} {
		if !got[want] {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	off()
	c.connect("/room/3", "")
	for _, room := range []string{"/room/1", "/room/3"} {
		c.send("2" + room + `,5["hi"]`)
		c.expect("3" + room + `,5["unknown"]`)
	}
	c.close()
	for range 3 {
		within(t, left)
	}
}

// S-48: a broadcast of a parent reaches all its children, and rooms in each of them.
func TestParentBroadcast(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	p := h.ofPattern(t, "/room/{id}")
	p.OnConnection(func(_ context.Context, s *Socket) error { return s.Join("n" + s.PathValue("id")) })
	if err := p.Emit("nobody"); err != nil {
		t.Error(err)
	}
	if err := p.Emit("disconnect"); !errors.Is(err, ErrReserved) {
		t.Errorf("reserved: %v", err)
	}
	c := h.dial(t)
	for _, name := range []string{"/room/1", "/room/2", "/room/3"} {
		c.connect(name, "")
	}
	expect := func(want ...string) {
		t.Helper()
		got := make([]string, len(want))
		for i := range got {
			got[i], _ = c.next().(string)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := p.Emit("all", 1); err != nil {
		t.Error(err)
	}
	expect(`2/room/1,["all",1]`, `2/room/2,["all",1]`, `2/room/3,["all",1]`)
	if err := p.To("n1").In("n3").Local().Emit("some"); err != nil {
		t.Error(err)
	}
	expect(`2/room/1,["some"]`, `2/room/3,["some"]`)
	if err := p.Except("n2").SocketsJoin("extra"); err != nil {
		t.Error(err)
	}
	if err := p.In("extra").Except("n1").Emit("one"); err != nil {
		t.Error(err)
	}
	expect(`2/room/3,["one"]`)
	if err := p.Emit("bad", make(chan int)); !errors.Is(err, errEncode) {
		t.Errorf("unencodable: %v", err)
	}
	if err := p.To("n1").DisconnectSockets(false); err != nil {
		t.Error(err)
	}
	expect(`1/room/1,`)
}

// S-74: however many ask for it at once, a child is made once.
func TestCreationRace(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	var made, asked atomic.Int64
	gate := make(chan struct{})
	p := h.OfFunc(func(context.Context, string, *Handshake) error {
		if asked.Add(1) == 20 {
			close(gate)
		}
		<-gate // until all have asked
		return nil
	})
	h.OnNamespace(func(n *Namespace) {
		made.Add(1)
		n.Handle("hi", func(_ context.Context, e *Event) { _ = e.Ack("late but there") })
	})
	var wg sync.WaitGroup
	for range 20 {
		c := h.dial(t)
		// The burst is one socket (security 5.2), what follows it is not lost while the function thinks.
		c.send("0/new,", "0/new,", `2/new,1["hi"]`)
		wg.Go(func() {
			c.connected("/new")
			c.expect(`3/new,1["late but there"]`)
		})
	}
	wg.Wait()
	if made.Load() != 1 || children(p) != "/new" || h.Of("/new").Len() != 20 {
		t.Errorf("made %d times, children %q, %d sockets", made.Load(), children(p), h.Of("/new").Len())
	}
}

// A function may take its time: it holds up neither other namespaces of the client nor its leaving.
func TestOfFuncBlocks(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	h.Of("/").Handle("hi", echo)
	asked, gate := make(chan string), make(chan struct{})
	p := h.OfFunc(func(_ context.Context, name string, _ *Handshake) error {
		asked <- name
		<-gate
		return nil
	})
	c := h.dial(t, "0")
	c.connected("/")
	c.send("0/slow,", `20["hi","there"]`)
	within(t, asked)
	c.expect(`30["there"]`)
	gone := h.dial(t, "0/gone,")
	within(t, asked)
	gone.close()
	eventually(t, "the server has noticed", func() bool {
		return len(h.conns.all()) == 1
	})
	close(gate)
	c.connected("/slow")
	eventually(t, "nothing is made for who has left", func() bool { return h.live.Load() == 3 })
	if got := children(p); got != "/slow" {
		t.Errorf("children %q", got)
	}
}
