package socketio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/adapter/cluster"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

// shelf is a RecoveryStore in memory.
type shelf struct {
	mu     sync.Mutex
	states map[string][]byte
	saved  int
}

func newShelf() *shelf { return &shelf{states: make(map[string][]byte)} }

func (s *shelf) Save(ctx context.Context, name string, state []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() == nil {
		s.states[name] = state
		s.saved++
	}
	return ctx.Err()
}

func (s *shelf) Take(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.states[name]
	if delete(s.states, name); !ok {
		return nil, fs.ErrNotExist
	}
	return state, nil
}

// nextProcess is a server that goes on with what is in the store.
func nextProcess(t *testing.T, o Options, prepare func(*Server)) (*harness, error) {
	t.Helper()
	h := serve(t, o)
	if prepare != nil {
		prepare(h.Server)
	}
	return h, h.LoadRecovery(t.Context())
}

func stop(t *testing.T, h *harness) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}

// A client that comes back to the process after the one that it was lost from finds its id, its rooms, its data and what it missed:
// what was on its way, and what hooks emitted while the server was shutting down. No offset is drawn twice.
func TestRecoveryOverRestart(t *testing.T) {
	t.Parallel()
	name := NewKey[string]("name")
	store := newShelf()
	o := Options{Recovery: &Recovery{Store: store, Name: "main"}}
	farewell := func(s *Server) {
		s.Of("/").OnConnection(func(_ context.Context, s *Socket) error {
			if s.Recovered() {
				return nil
			}
			name.Set(s, "Ann")
			return s.Join("room")
		})
		s.Of("/").OnDisconnect(func(_ context.Context, s *Socket, r Reason) {
			if err := s.Namespace().To("room").Emit("bye", string(r), []byte("\x00\xff")); err != nil {
				t.Error(err)
			}
		})
	}
	h, err := nextProcess(t, o, farewell)
	if err != nil {
		t.Fatal(err)
	}
	c := h.dial(t)
	sid, pid := c.enter("")
	if err := h.Of("/").Emit("a", 1); err != nil {
		t.Fatal(err)
	}
	offset := c.event(`2["a",1,`)
	seen := map[string]bool{offset: true}
	stop(t, h)
	if store.saved != 1 || store.states["main"] == nil {
		t.Fatalf("%d states were saved, as %q", store.saved, slices.Collect(maps.Keys(store.states)))
	}
	if err := h.Of("/").To("room").Emit("lost", 1); !errors.Is(err, ErrClosed) {
		t.Errorf("emitted after the end: %v", err)
	}

	for i := range 3 {
		if h, err = nextProcess(t, o, farewell); err != nil {
			t.Fatal(err)
		}
		if i == 1 { // it stays away from this one, which emits and ends
			if err := h.Of("/").To("room").Emit("b", 2); err != nil {
				t.Fatal(err)
			}
			stop(t, h)
			continue
		}
		c = h.dial(t)
		c.send(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, pid, offset))
		expect := func(prefix string, attachments ...any) {
			t.Helper()
			offset = c.event(prefix)
			c.expect(attachments...)
			if seen[offset] {
				t.Errorf("offset %s comes again", offset)
			}
			seen[offset] = true
		}
		expect(`51-["bye","server shutting down",{"_placeholder":true,"num":0},`, []byte("\x00\xff"))
		if i == 2 {
			expect(`2["b",2,`)
		}
		if again, same := c.entered(); again != sid || same != pid {
			t.Errorf("it is %s %s, was %s %s", again, same, sid, pid)
		}
		s, ok := h.Of("/").Socket(sid)
		if !ok || !s.Recovered() || name.Value(s) != "Ann" || !slices.Contains(s.Rooms(), "room") {
			t.Errorf("socket %v", s)
		}
		if err := h.Of("/").To("room").Emit("c", i); err != nil {
			t.Fatal(err)
		}
		expect(fmt.Sprintf(`2["c",%d,`, i))
		stop(t, h)
	}
}

// Namespaces that clients have had made are there again before their clients are, for whoever emits to them; what is left to
// one that only a client can have made waits for it.
func TestRecoveryOverRestartOfDynamicNamespaces(t *testing.T) {
	t.Parallel()
	o := Options{Recovery: &Recovery{Store: newShelf()}}
	var told []string
	parents := func(s *Server) {
		told = nil
		if _, err := s.OfPattern("/room/{id}"); err != nil {
			t.Fatal(err)
		}
		s.OfFunc(func(_ context.Context, name string, _ *Handshake) error {
			if name != "/func" {
				return ErrInvalidNamespace
			}
			return nil
		})
		s.OnNamespace(func(n *Namespace) { told = append(told, n.Name()) })
	}
	h, err := nextProcess(t, o, parents)
	if err != nil {
		t.Fatal(err)
	}
	pids := make(map[string]string)
	for _, ns := range []string{"/room/7", "/func"} {
		c := h.dial(t)
		c.send("0" + ns + ",")
		got, _ := c.next().(string)
		_, pids[ns] = split(t, strings.TrimPrefix(got, "0"+ns+","))
	}
	stop(t, h)

	for range 2 { // nobody comes back to the first one
		if h, err = nextProcess(t, o, parents); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, []string{"/room/7"}) {
			t.Errorf("told of %q", told)
		}
		stop(t, h)
	}
	if h, err = nextProcess(t, o, parents); err != nil {
		t.Fatal(err)
	}
	if err := h.With("/room/7", func(n *Namespace) error { return n.Emit("missed", n.PathValue("id")) }); err != nil {
		t.Fatal(err)
	}
	for ns, pid := range pids {
		c := h.dial(t)
		c.send(fmt.Sprintf(`0%s,{"pid":%q}`, ns, pid))
		if ns == "/room/7" {
			c.event(`2/room/7,["missed","7",`)
		}
		got, _ := c.next().(string)
		if _, same := split(t, strings.TrimPrefix(got, "0"+ns+",")); same != pid {
			t.Errorf("%s is not recovered: %s", ns, got)
		}
	}
}

func split(t *testing.T, reply string) (sid, pid string) {
	t.Helper()
	m := recoveryReply.FindStringSubmatch("0" + reply)
	if m == nil {
		t.Fatalf("answer to CONNECT: %q", reply)
	}
	return m[1], m[2]
}

// What cannot be used is an error that says why, and the server does without: its clients connect afresh.
func TestRecoveryStateThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	store := newShelf()
	h, err := nextProcess(t, Options{Recovery: &Recovery{Store: store}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := h.dial(t)
	_, pid := c.enter("")
	stop(t, h)
	good := store.states[""]
	flip := func(i int) []byte {
		b := slices.Clone(good)
		b[i] ^= 1
		return b
	}
	for name, tt := range map[string]struct {
		state []byte
		o     Options
		want  string
	}{
		"empty":           {nil, Options{}, "of something else"},
		"foreign":         {[]byte("#!/bin/sh\necho this is something else\n"), Options{}, "of something else"},
		"another version": {flip(len(stateMagic) - 2), Options{}, "of another version"},
		"wrong sum":       {flip(len(stateMagic)), Options{}, "damaged"},
		"damaged":         {flip(len(good) - 1), Options{}, "damaged"},
		"cut":             {good[:len(good)-1], Options{}, "damaged"},
		"nothing behind":  {good[:len(stateMagic)], Options{}, "damaged"},
		"too old":         {good, Options{Recovery: &Recovery{MaxDisconnection: time.Nanosecond}}, "too old"},
		"another parser":  {good, Options{Parser: msgpack.Parser{}}, "Options.Parser"},
		"too large":       {append(slices.Clone(good), make([]byte, 2<<20)...), Options{Recovery: &Recovery{MaxBytes: 1, MaxSessions: 1}}, "the bounds of Recovery"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := newShelf()
			own.states[""] = tt.state
			if tt.o.Recovery == nil {
				tt.o.Recovery = new(Recovery)
			}
			tt.o.Recovery.Store = own
			h, err := nextProcess(t, tt.o, nil)
			if !errors.Is(err, ErrRecoveryState) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if tt.o.Parser != nil {
				return // whose packets the test does not speak
			}
			if _, fresh := h.dial(t).enter(fmt.Sprintf(`{"pid":%q}`, pid)); fresh == pid {
				t.Error("it is recovered")
			}
		})
	}
}

// What the process before has saved is overwritten by nobody who has not taken it, nor by one that has nothing to save; and an
// adapter that cannot hand over is told so at once.
func TestRecoveryStoreIsUsedWithCare(t *testing.T) {
	t.Parallel()
	store := newShelf()
	o := Options{Recovery: &Recovery{Store: store}}
	store.states[""] = []byte("before")
	stop(t, serve(t, o))
	if got := string(store.states[""]); got != "before" {
		t.Errorf("a server that was never started has saved %q", got)
	}
	delete(store.states, "")
	h, err := nextProcess(t, o, nil)
	if err != nil {
		t.Error(err)
	}
	if err := h.LoadRecovery(t.Context()); err == nil {
		t.Error("it is loaded twice")
	}
	stop(t, h)
	if store.saved != 0 {
		t.Error("nothing was saved")
	}
	if err := serve(t, Options{}).LoadRecovery(t.Context()); err != nil {
		t.Errorf("without recovery: %v", err)
	}
	o.Adapter = cluster.New(cluster.NewMemory(nil).Open, cluster.Options{})
	if s, err := New(o); s != nil || err == nil || !strings.Contains(err.Error(), "leave the Store out") {
		t.Errorf("with an adapter that keeps sessions by itself: %v", err)
	}
}

// A Store that fails is an error of Shutdown; it is given time though Shutdown's is over.
func TestRecoveryStoreFails(t *testing.T) {
	t.Parallel()
	store := newShelf()
	o := Options{Recovery: &Recovery{Store: store}}
	h, err := nextProcess(t, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.dial(t).enter("")
	ctx, cancel := context.WithCancel(context.Background())
	_ = h.Drain(context.Background())
	cancel()
	if _ = h.Shutdown(ctx); store.states[""] == nil {
		t.Error("nothing is saved")
	}

	missing := filepath.Join(t.TempDir(), "missing", "state")
	s, err := New(Options{Recovery: &Recovery{Store: FileStore(missing)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.LoadRecovery(t.Context()); err != nil {
		t.Error(err)
	}
	s.Of("/").adapter.(adapter.Stateful).Add(lonely{})
	s.Of("/").adapter.(adapter.Stateful).Save(adapter.Session{PID: "pid", ID: "a"})
	if err := s.Shutdown(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "Recovery.Store") {
		t.Errorf("Shutdown: %v", err)
	}
}

// lonely is a member that nothing is sent to.
type lonely struct{ adapter.Member }

func (lonely) ID() string { return "a" }

// The file is its owner's alone and good for once, and nothing is left beside it; a file of something else stays as it is.
func TestFileStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "recovery")
	store := FileStore(path)
	if _, err := store.Take(t.Context(), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
	first, second := []byte(stateMagic+"first"), []byte(stateMagic+"second")
	for _, state := range [][]byte{first, second} {
		if err := errors.Join(store.Save(t.Context(), "", state), store.Save(t.Context(), "81/chat/", state)); err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range map[string]string{"": path, "81/chat/": path + ".81%2Fchat%2F"} {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
		if state, err := store.Take(t.Context(), name); err != nil || string(state) != string(second) {
			t.Errorf("%s: %q, %v", name, state, err)
		}
		if _, err := store.Take(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: taken twice: %v", name, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}

	for _, foreign := range []string{"", "dear diary", "perch recovery"} {
		if err := os.WriteFile(path, []byte(foreign), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := store.Take(t.Context(), "")
		if !errors.Is(err, ErrRecoveryState) || !errors.Is(store.Save(t.Context(), "", first), ErrRecoveryState) {
			t.Errorf("%q: %v", foreign, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != foreign {
			t.Errorf("the file is now %q, %v", b, err)
		}
	}
	if _, err := FileStore(dir).Take(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "choose another path") {
		t.Errorf("a directory: %v", err)
	}
}
