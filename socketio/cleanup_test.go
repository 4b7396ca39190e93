package socketio

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// closings makes memory adapters and tells of those that are closed.
func closings() (adapter.Factory, <-chan string) {
	ch := make(chan string, 1<<12)
	return func(h adapter.Host) adapter.Adapter { return &closer{adapter.NewMemory(h), h.Name(), ch} }, ch
}

type closer struct {
	adapter.Adapter
	name   string
	closed chan<- string
}

func (c *closer) Close() error {
	c.closed <- c.name
	return c.Adapter.Close()
}

// S-7, S-75: a child is dropped and its adapter closed when its last socket leaves or is refused, unless the program has named
// it or wants to keep all.
func TestCleanup(t *testing.T) {
	t.Parallel()
	factory, closed := closings()
	h := serve(t, Options{Adapter: factory})
	p := h.ofPattern(t, "/room/{id}")
	p.Use(func(_ context.Context, s *Socket) error {
		if s.PathValue("id") == "no" {
			return &ConnectError{Message: "no"}
		}
		return nil
	})
	p.OnDisconnect(func(_ context.Context, s *Socket, _ Reason) {
		if got := children(p); !strings.Contains(got, s.Namespace().Name()) {
			t.Errorf("dropped before the last hook has run: %s", got)
		}
	})
	a, b := h.dial(t), h.dial(t)
	a.connect("/room/1", "")
	b.connect("/room/1", "")
	b.connect("/room/2", "")
	a.send("1/room/1,")
	a.send("0/room/no,")
	a.expect(`4/room/no,{"message":"no"}`)
	if got := within(t, closed); got != "/room/no" {
		t.Errorf("%s was closed, though it has a socket", got)
	}
	b.send("1/room/1,")
	if got := within(t, closed); got != "/room/1" {
		t.Errorf("%s was closed", got)
	}
	eventually(t, "one child left", func() bool { return children(p) == "/room/2" })
	b.connect("/room/1", "") // and again
	named := h.Of("/room/2")
	b.close()
	if got := within(t, closed); got != "/room/1" {
		t.Errorf("%s was closed", got)
	}
	c := h.dial(t)
	c.connect("/room/2", "")
	if h.Of("/room/2") != named {
		t.Error("a namespace that the program has named was dropped")
	}
	eventually(t, "only the new socket is in it", func() bool { return named.Len() == 1 })

	factory, closed = closings()
	k := serve(t, Options{Adapter: factory, KeepEmptyNamespaces: true})
	kept := k.OfRegexp(regexp.MustCompile(`^/room/`))
	left := make(chan bool, 1)
	kept.OnDisconnect(func(context.Context, *Socket, Reason) { left <- true })
	c = k.dial(t)
	c.connect("/room/1", "")
	c.close()
	within(t, left)
	eventually(t, "the socket's lane has ended", func() bool { return k.live.Load() == 1 })
	if children(kept) != "/room/1" || len(closed) != 0 {
		t.Error("dropped, though it was to be kept")
	}
}

// S-75: who joins while the last one leaves is not lost.
func TestLeavingAndJoining(t *testing.T) {
	t.Parallel()
	factory, closed := closings()
	h := serve(t, Options{Adapter: factory})
	p := h.ofPattern(t, "/room/{id}")
	p.Handle("shout", func(_ context.Context, e *Event) { _ = e.Socket().Namespace().Emit("heard") })
	const rounds = 300
	a, b := h.dial(t), h.dial(t)
	a.connect("/room/1", "")
	for range rounds {
		a.send("1/room/1,")
		b.send("0/room/1,", `2/room/1,["shout"]`)
		// The last time it may still have got what was meant for those who stayed.
		for reply := any(""); !strings.HasPrefix(reply.(string), "0/room/1,"); reply = b.next() {
		}
		b.expect(`2/room/1,["heard"]`)
		if err := p.Emit("parent"); err != nil {
			t.Fatal(err)
		}
		b.expect(`2/room/1,["parent"]`)
		a, b = b, a
	}
	a.send("1/room/1,")
	eventually(t, "none is left", func() bool { return children(p) == "" })
	made := 0
	h.mu.RLock()
	if h.dynamic != 0 || len(h.namespaces) != 1 {
		t.Errorf("%d dynamic namespaces, %d in all", h.dynamic, len(h.namespaces))
	}
	h.mu.RUnlock()
	for eventually(t, "the last is closed", func() bool { return len(closed) > 0 }); len(closed) > 0; made++ {
		<-closed
	}
	if made > rounds+1 {
		t.Errorf("%d adapters were closed", made)
	}
}

// Security 5.2, "Dynamic namespace creation": clients cannot have any number of them made.
func TestMaxNamespaces(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{MaxNamespaces: 3})
	p := h.ofPattern(t, "/room/{id}")
	h.Of("/room/named") // does not count
	c, d := h.dial(t), h.dial(t)
	for _, name := range []string{"/room/1", "/room/2", "/room/3"} {
		c.connect(name, "")
	}
	for range 2 {
		d.send("0/room/4,")
		d.expect(`4/room/4,{"message":"too many namespaces"}`)
	}
	d.connect("/room/3", "")
	d.connect("/room/named", "")
	c.send("1/room/1,")
	eventually(t, "there is room", func() bool { return children(p) == "/room/2 /room/3 /room/named" })
	d.connect("/room/4", "")
	if n := strings.Count(h.log.String(), "MaxNamespaces"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if _, err := New(Options{MaxNamespaces: -1}); err == nil {
		t.Error("a negative bound is accepted")
	}
}

// One connection cannot keep any number of goroutines busy with names.
func TestMaxJoined(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	gate := make(chan struct{})
	h.OfFunc(func(context.Context, string, *Handshake) error {
		<-gate
		return nil
	})
	h.Of("/static")
	c := h.dial(t)
	for i := range maxJoined {
		c.send(fmt.Sprintf("0/%d,", i))
	}
	c.send("0/more,")
	c.expect(`4/more,{"message":"too many namespaces"}`)
	c.connect("/static", "")
	close(gate)
	for range maxJoined {
		if got, _ := c.next().(string); !strings.HasPrefix(got, "0/") {
			t.Fatalf("got %s", got)
		}
	}
}

// S-75 with S-76: a child waits for the sockets that may come back to it, and makes room where others need it.
func TestCleanupAfterRecovery(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{MaxDisconnection: time.Hour}, MaxNamespaces: 1})
	p := h.ofPattern(t, "/room/{id}")
	recovered := make(chan bool, 4)
	p.OnConnection(func(_ context.Context, s *Socket) error {
		recovered <- s.Recovered()
		return s.Join("r")
	})
	pid := func(c *client) string {
		t.Helper()
		m := regexp.MustCompile(`"pid":"([\w-]+)"`).FindStringSubmatch(fmt.Sprint(c.next()))
		if m == nil {
			t.Fatal("no pid")
		}
		return m[1]
	}
	c := h.dial(t, "0/room/1,")
	id := pid(c)
	if within(t, recovered) {
		t.Error("recovered from nothing")
	}
	if err := p.Emit("news"); err != nil {
		t.Fatal(err)
	}
	news, _ := c.next().(string)
	offset := regexp.MustCompile(`"([^"]+)"\]$`).FindStringSubmatch(news)
	if offset == nil {
		t.Fatalf("no offset in %s", news)
	}
	c.close()
	eventually(t, "the socket has left", func() bool { return h.live.Load() == 1 })
	if err := p.Emit("missed"); err != nil || children(p) != "/room/1" {
		t.Fatalf("children %q, %v", children(p), err)
	}
	c = h.dial(t, fmt.Sprintf(`0/room/1,{"pid":%q,"offset":%q}`, id, offset[1]))
	if got, _ := c.next().(string); !strings.HasPrefix(got, `2/room/1,["missed"`) {
		t.Errorf("got %s", got)
	}
	pid(c)
	if !within(t, recovered) {
		t.Error("not recovered")
	}
	c.close()
	eventually(t, "the socket has left", func() bool { return h.live.Load() == 1 })
	d := h.dial(t, "0/room/2,")
	pid(d)
	if got := children(p); got != "/room/2" {
		t.Errorf("children %q", got)
	}

	short := serve(t, Options{Recovery: &Recovery{MaxDisconnection: 20 * time.Millisecond}})
	p = short.OfRegexp(regexp.MustCompile(`^/room/`))
	c = short.dial(t, "0/room/1,")
	pid(c)
	c.close()
	eventually(t, "the time is up", func() bool { return children(p) == "" })
}

// Hooks of a new namespace that panic keep nobody out, and Shutdown closes the adapters of children once.
func TestDynamicShutdown(t *testing.T) {
	t.Parallel()
	factory, closed := closings()
	s, err := New(Options{Adapter: factory, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := s.OfRegexp(regexp.MustCompile(`^/room/`))
	s.OnNamespace(func(*Namespace) { panic("oops") }) // a hook's fault: the namespace is made all the same
	s.Of("/room/named")
	if got := children(p); got != "/room/named" {
		t.Errorf("children %q", got)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Of("/room/named").close(); err != nil || len(closed) != 2 {
		t.Errorf("%d adapters closed, %v", len(closed), err)
	}
}

// Children of one name in several processes are one namespace, also after one of them was dropped and made again.
func TestDynamicCluster(t *testing.T) {
	t.Parallel()
	broker := cluster.NewMemory(nil)
	var nodes [2]*harness
	var parents [2]*ParentNamespace
	for i := range nodes {
		nodes[i] = serve(t, Options{Adapter: cluster.New(broker.Open, cluster.Options{Logger: slog.New(slog.DiscardHandler)})})
		parents[i] = nodes[i].ofPattern(t, "/room/{id}")
	}
	a := nodes[0].dial(t)
	a.connect("/room/1", "")
	for round := range 5 {
		b := nodes[1].dial(t)
		b.connect("/room/1", "")
		for i := range nodes {
			eventually(t, "the children know each other", func() bool {
				for n := range parents[i].Children() {
					count, err := n.Adapter().ServerCount(t.Context())
					return err == nil && count == len(nodes)
				}
				return false
			})
			if err := parents[i].Emit("hi", round, i); err != nil {
				t.Fatal(err)
			}
			a.expect(fmt.Sprintf(`2/room/1,["hi",%d,%d]`, round, i))
			b.expect(fmt.Sprintf(`2/room/1,["hi",%d,%d]`, round, i))
		}
		b.close()
		eventually(t, "the child is dropped", func() bool { return children(parents[1]) == "" })
	}
}
