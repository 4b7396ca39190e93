package socketio

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzSessions plays whole sessions that the input describes, see world.play: several clients that open, poll, post, upgrade,
// close, join and leave namespaces, send and answer, and break rules, against a real server in memory and in fake time. A model
// of what must come of it finds what is lost, doubled or out of order, acknowledged twice or never, and what is left at the end.
// Steps wait for each other unless the input says otherwise, so that the same input makes the same sessions.
func FuzzSessions(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(anyProgram(rand.New(rand.NewPCG(seed, 1))))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		synctest.Test(t, func(t *testing.T) { playProgram(t, program) })
	})
}

// TestSessions plays the same with programs of its own, as part of every run of the tests.
func TestSessions(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		program := anyProgram(rand.New(rand.NewPCG(seed, 7)))
		synctest.Test(t, func(t *testing.T) { playProgram(t, program) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// anyProgram has three clients that connect, so that what follows, which is anything at all, means something more often.
func anyProgram(r *rand.Rand) (program []byte) {
	for range 3 {
		slot := byte(r.IntN(3))
		program = append(program, stepPoll, slot, byte(r.Uint32()), stepPoll, slot)
		for range 1 + r.IntN(3) {
			program = append(program, stepConnect, slot, byte(r.IntN(5)), byte(r.Uint32()), stepPoll, slot)
		}
	}
	for range 40 + r.IntN(400) {
		program = append(program, byte(r.Uint32()))
	}
	return program
}

// world is a server and its clients.
type world struct {
	t       *testing.T
	server  *Server
	parent  *ParentNamespace
	program []byte
	steps   []string // what was done so far
	hurried bool     // the next step does not wait for what the one before has set off
	bursts  sync.WaitGroup
	names   int // of flows and questions

	mu        sync.Mutex
	failed    bool
	peers     []*peer
	slots     [3]*peer
	joined    map[string]*visit // by the socket's id
	sockets   map[string]*witness
	rooms     int // that the adapters have made and not given up
	questions []*question
}

// witness is what the server's handlers have seen of a socket.
type witness struct {
	socket          *Socket
	joined, left    int
	handled, echoed int
}

// question is an event of the server's that wants to be acknowledged.
type question struct {
	visit *visit
	value int
	done  bool
	reply int
	err   error
}

// long is more than any timeout of a server's: attachments have a minute, and a client that polls half a minute more to hear the end.
const long = 95 * time.Second

func playProgram(t *testing.T, program []byte) {
	w := &world{t: t, program: program, joined: map[string]*visit{}, sockets: map[string]*witness{}}
	w.serve()
	synctest.Wait() // what the server has started is where it stays
	baseline := bubbled(t)
	for n := 0; len(w.program) > 0 && n < 120 && !t.Failed(); n++ {
		w.step()
	}
	w.finish(baseline)
	if t.Failed() {
		t.Logf("program %q:\n%s", program, strings.Join(w.steps, "\n"))
	}
}

// registrar is a namespace, or a parent of some.
type registrar interface {
	Handle(event string, h Handler) (off func())
	Hook(h Hooks)
	Use(mw Middleware)
}

func (w *world) serve() {
	var err error
	if w.server, err = New(Options{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		w.t.Fatal(err)
	}
	if w.parent, err = w.server.OfPattern("/room/{id}"); err != nil {
		w.t.Fatal(err)
	}
	rooms := RoomEvents{Create: func(string) { w.count(1) }, Delete: func(string) { w.count(-1) }}
	w.server.Of("/").ObserveRooms(rooms)
	w.server.OnNamespace(func(n *Namespace) { n.ObserveRooms(rooms) })
	for _, name := range []string{"/", "/a", "/slow", "/no"} {
		w.register(w.server.Of(name), name)
	}
	w.register(w.parent, "")
}

func (w *world) count(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rooms += n
}

func (w *world) register(n registrar, name string) {
	if name == "/no" {
		n.Use(func(context.Context, *Socket) error { return &ConnectError{Message: "no"} })
	}
	n.Hook(Hooks{
		Connection: func(_ context.Context, s *Socket) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.sockets[s.ID()] != nil || name == "/no" {
				w.failLocked("socket %s of %s was connected", s.ID(), s.Namespace().Name())
			}
			w.sockets[s.ID()] = &witness{socket: s, joined: 1}
			if name == "/slow" {
				w.mu.Unlock()
				<-time.After(20 * time.Millisecond)
				w.mu.Lock()
			}
			return nil
		},
		Disconnect: func(_ context.Context, s *Socket, _ Reason) {
			w.mu.Lock()
			defer w.mu.Unlock()
			x := w.sockets[s.ID()]
			if x == nil || x.left > 0 {
				w.failLocked("socket %s of %s left: %+v", s.ID(), s.Namespace().Name(), x)
				return
			}
			x.left++
		},
	})
	n.Handle("in", func(_ context.Context, e *Event) {
		var content string
		w.take(e, &content, func() string { return content })
	})
	n.Handle("bytes", func(_ context.Context, e *Event) {
		var content []byte
		w.take(e, &content, func() string { return string(content) })
	})
}

// What a handler does with an event.
const (
	doNothing = iota
	doEcho    // answer with an event of the flow "echo"
	doWait    // before the next
	doAck
	doAckLater
	modes
)

// take is the handler of all events: they come in order, each once, while the socket is there.
func (w *world) take(e *Event, content any, text func() string) {
	var seq, mode, size int
	err := errors.Join(e.Decode(0, &seq), e.Decode(1, &mode), e.Decode(2, &size), e.Decode(3, content))
	s := e.Socket()
	w.mu.Lock()
	x := w.sockets[s.ID()]
	switch {
	case err != nil || text() != filler(seq, size):
		w.failLocked("event %d with %.20q: %v", seq, text(), err)
	case x == nil || x.left > 0 || x.handled != seq:
		w.failLocked("event %d came, to %+v", seq, x)
	default:
		x.handled++
		if mode == doEcho {
			seq = x.echoed
			x.echoed++
		}
	}
	w.mu.Unlock()
	switch mode {
	case doEcho:
		_ = s.Emit("out", "echo", seq, size, filler(seq, size)) // who has left misses it
	case doWait:
		<-time.After(5 * time.Millisecond)
	case doAck:
		_ = e.Ack(seq)
		if err := e.Ack(seq); !errors.Is(err, ErrAcked) {
			w.failf("acknowledged twice: %v", err)
		}
	case doAckLater:
		a := e.Acker()
		go func() {
			<-time.After(7 * time.Millisecond)
			_ = a.Ack(seq)
			if err := a.Ack(seq); !errors.Is(err, ErrAcked) {
				w.failf("acknowledged twice: %v", err)
			}
		}()
	}
}

func (w *world) failf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(format, args...)
}

// failLocked tells the first thing that is wrong; what follows is its consequence.
func (w *world) failLocked(format string, args ...any) {
	if !w.failed {
		w.failed = true
		w.t.Errorf(format, args...)
	}
}

// settle waits until nothing goes on any more, and looks at it. The connections that should be there have to be.
func (w *world) settle() {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.peers {
		if p.gone && !p.ended {
			w.failLocked("the connection of peer %d has ended", p.number)
		}
		if p.gone {
			p.cut()
		}
		for _, v := range p.all {
			if v.answered && !v.over {
				v.settled = v.sent
				if v == p.debtor { // the last is not complete
					v.settled--
				}
			}
		}
	}
}

// cut notes that a connection is to end, so that nothing more is sure. Called with mu held.
func (p *peer) cut() {
	p.ended = true
	for _, v := range p.all {
		v.over = true
	}
}

// alive are those whose connection is not to end.
func (w *world) alive() (peers []*peer) {
	for _, p := range w.peers {
		if !p.ended {
			peers = append(peers, p)
		}
	}
	return peers
}

// pass lets a long time go by, in which clients behave that are not mute: they poll, and answer pings.
func (w *world) pass(d time.Duration) {
	w.settle()
	for _, p := range w.alive() {
		w.mu.Lock()
		p.following = !p.mute
		follow, pings := p.following && p.socket == nil, p.pings
		if follow {
			p.pings = 0
		}
		w.mu.Unlock()
		if follow {
			for range pings {
				p.post("3")
			}
			p.poll()
		}
	}
	<-time.After(d)
	synctest.Wait()
	for _, p := range w.peers {
		w.mu.Lock()
		p.following = false
		w.mu.Unlock()
	}
}

// finish lets what is under way come to its end, and compares: first with all that must have come, then with nothing.
func (w *world) finish(baseline int) {
	w.settle()
	for _, p := range w.alive() {
		p.mute = false
		p.pay()
	}
	w.pass(time.Second)
	w.settle()
	for _, p := range w.alive() {
		for _, v := range p.all {
			p.answer(v, 0)
		}
	}
	w.pass(time.Second)
	w.settle()
	w.complete()
	for i, p := range w.alive() {
		p.leave(i % 3)
	}
	w.pass(long)
	if n := w.server.Engine().Sessions(); n != 0 {
		w.failf("%d sessions are left", n)
	}
	for p := range w.server.namespaces {
		if n, ok := w.server.Find(p); ok && n.Len() != 0 {
			w.failf("%d sockets are left in %s", n.Len(), p)
		}
	}
	w.mu.Lock()
	rooms := w.rooms
	w.mu.Unlock()
	if live, conns, names := w.server.live.Load(), len(w.server.conns.all()), children(w.parent); live != 1 || conns != 0 || names != "" || rooms != 0 {
		w.failf("%d sockets, %d connections, %d rooms and the namespaces %q are left", live-1, conns, rooms, names)
	}
	w.bursts.Wait()
	w.settled()
	if n := bubbled(w.t); n != baseline {
		w.failf("%d goroutines are left:\n%s", n-baseline, stacks())
	}
	if err := w.server.Shutdown(context.Background()); err != nil {
		w.failf("shutdown: %v", err)
	}
}

// complete compares what came with what was sent, where the connection is still there.
func (w *world) complete() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.alive() {
		if p.sid == "" {
			w.failLocked("peer %d was never open", p.number)
		}
		for _, v := range p.all {
			x := w.sockets[v.sid]
			switch {
			case v.over:
				continue
			case !v.answered || x == nil:
				w.failLocked("peer %d was not let into %s", p.number, v.namespace)
				continue
			case x.left > 0 || x.handled != v.sent:
				w.failLocked("%d events of %d handled in %s: %+v", x.handled, v.sent, v.namespace, x)
			}
			if echo := v.flows["echo"]; echo == nil && x.echoed > 0 || echo != nil && echo.next != x.echoed {
				w.failLocked("echoes %+v in %s, not %d", echo, v.namespace, x.echoed)
			}
			for name, f := range v.flows {
				if f.sent >= 0 && f.next != f.sent {
					w.failLocked("peer %d, %s: %d events of %d of flow %s came", p.number, v.namespace, f.next, f.sent, name)
				}
			}
		}
		for id, c := range p.calls {
			if !c.visit.over && c.got != 1 {
				w.failLocked("peer %d: %d acknowledgements of %d", p.number, c.got, id)
			}
		}
	}
	for _, r := range w.questions {
		if !r.visit.over && (!r.done || r.err != nil || r.reply != -r.value) {
			w.failLocked("question %d: %+v", r.value, r)
		}
	}
}

// settled looks at what has to be so when everybody has left.
func (w *world) settled() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, x := range w.sockets {
		if x.left != 1 {
			w.failLocked("socket %s has left %d times", id, x.left)
		}
		if v := w.joined[id]; v != nil && (x.handled > v.sent || !v.kicked && x.handled < v.settled) {
			w.failLocked("%d events of %d to %d handled in %s", x.handled, v.settled, v.sent, v.namespace)
		}
	}
	for id, v := range w.joined {
		if w.sockets[id] == nil {
			w.failLocked("no hook has seen socket %s of %s", id, v.namespace)
		}
	}
	for _, r := range w.questions {
		if !r.done {
			w.failLocked("question %d has no end", r.value)
		}
	}
}

// stacks returns those of all goroutines, those of other tests included.
func stacks() string {
	for size := 1 << 20; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size {
			return string(buf[:n])
		}
	}
}

// bubbled counts the goroutines of this test.
func bubbled(t *testing.T) int {
	t.Helper()
	all := stacks()
	header, _, _ := strings.Cut(all, "\n") // this one comes first
	_, bubble, ok := strings.Cut(header, "synctest bubble ")
	if !ok {
		t.Fatalf("no bubble: %s", header)
	}
	bubble, _, _ = strings.Cut(strings.TrimSuffix(bubble, "]:"), "]")
	return strings.Count(all, "synctest bubble "+bubble+"]")
}
