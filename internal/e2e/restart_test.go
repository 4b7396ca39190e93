package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/socketio"
)

const (
	restarts       = 2
	restartClients = 1000
	// restartPosters of them send, too.
	restartPosters = 100
)

// Issue 7, Build 6: a process that serves 1,000 clients, over each of the transports, is shut down and started again under load. They
// come back, with jitter, to the same address and the same sockets. What is emitted to all of them and to each meanwhile, also while
// the server shuts down and before they are back, comes once and in order; what some of them send is handled once and in order.
func TestRestartUnderLoad(t *testing.T) { // not parallel: it counts goroutines
	before := quietest()
	var wrong problems
	x := &restarted{wrong: &wrong, store: perch.FileStore(filepath.Join(t.TempDir(), "recovery"))}
	for range restartClients {
		x.lines = append(x.lines, &restartLine{})
	}
	// An address of its own, so that no outgoing connection of another test gets the port while nobody listens.
	l, err := net.Listen("tcp", "127.0.0.7:0")
	if err != nil {
		t.Fatal(err)
	}
	x.address = l.Addr().String()
	x.begin(t, l)

	ctx, cancel := context.WithTimeout(t.Context(), 2*chaosPatience)
	defer cancel()
	peers := make([]*returner, restartClients)
	for i := range peers {
		if peers[i], err = newReturner(ctx, &wrong, i, "http://"+x.address); err != nil {
			t.Fatal(err)
		}
	}
	if err := each(len(peers), 16, func(i int) error { return peers[i].socket.Connect(ctx) }); err != nil {
		t.Fatal(err)
	}
	load, silence := context.WithCancel(ctx)
	defer silence()
	var posting, ticking sync.WaitGroup
	ticking.Go(func() { x.tick(load) })
	for _, p := range peers[:restartPosters] {
		posting.Go(func() { p.post(load, ctx) })
	}
	for i := range restarts {
		<-time.After(time.Second) // of load
		began := time.Now()
		x.end(t)
		down := time.Now()
		if l, err = net.Listen("tcp", x.address); err != nil {
			t.Fatal(err)
		}
		x.begin(t, l)
		if want := int64((i + 1) * restartClients); !becomes(ctx, func() bool { return x.back.Load() >= want }) {
			t.Errorf("restart %d: %d clients are back, %d connected afresh", i, x.back.Load()-want+restartClients, x.fresh.Load()-restartClients)
		}
		t.Logf("restart %d: shut down in %v, all clients back after %v", i, down.Sub(began).Round(time.Millisecond), time.Since(down).Round(time.Millisecond))
	}
	<-time.After(time.Second)
	silence()
	ticking.Wait()
	if !within(ctx, posting.Wait) {
		t.Error("not everything was acknowledged")
	}
	if err := x.gateway.Load().Server().Emit("end"); err != nil {
		t.Fatal(err)
	}
	for _, p := range peers {
		select {
		case <-p.ended:
		case <-ctx.Done():
			t.Fatalf("client %d has not got everything", p.number)
		}
		x.check(p)
	}
	if err := each(len(peers), len(peers), func(i int) error { return peers[i].socket.Close() }); err != nil {
		t.Error(err)
	}
	x.end(t)
	wrong.report(t)
	if n := x.fresh.Load(); n != restartClients {
		t.Errorf("%d clients have connected afresh", n-restartClients)
	}
	during := x.during.Load()
	t.Logf("%d events to each client, %d posts; %d events were emitted while a server shut down", x.ticks+x.lines[0].own, x.posts(), during)
	if during == 0 || x.posts() < restartPosters {
		t.Error("that is not much of a load")
	}
	leftGoroutines(t, before)
}

// restarted is a program that is started more than once. What it counts it counts over all of its processes.
type restarted struct {
	wrong   *problems
	store   perch.RecoveryStore
	address string
	lines   []*restartLine // by client

	app      *perch.App
	served   chan error
	gateway  atomic.Pointer[restartGateway]
	draining atomic.Bool

	ticks               int // emitted to all; of tick, like the lines' own
	during, fresh, back atomic.Int64
}

// restartLine is what is known of one client.
type restartLine struct {
	id  atomic.Pointer[string] // of its socket
	own int                    // emitted to it alone

	mu      sync.Mutex
	handled int // posts
}

// begin is the start of a process.
func (x *restarted) begin(t *testing.T, l net.Listener) {
	t.Helper()
	g := &restartGateway{x: x}
	app, err := perch.New(perch.WithGateways(g), perch.WithLogger(quiet), perch.WithRecovery(perch.Recovery{Store: x.store}))
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.app, x.served = app, make(chan error, 1)
	x.gateway.Store(g)
	go func() { x.served <- app.Serve(l) }()
}

// end is the end of it.
func (x *restarted) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), chaosPatience)
	defer cancel()
	x.draining.Store(true)
	defer x.draining.Store(false)
	if err := x.app.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-x.served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
}

// tick emits numbers to all and to each until ctx ends. What a server does not take any more the next one gets.
func (x *restarted) tick(ctx context.Context) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if x.emit(nil, "tick", x.ticks) {
			x.ticks++
		}
		for i, line := range x.lines {
			if i%20 == n%20 && x.emit([]string{*line.id.Load()}, "own", line.own) {
				line.own++
			}
		}
	}
}

func (x *restarted) emit(to []string, event string, n int) bool {
	draining := x.draining.Load()
	err := x.gateway.Load().Server().To(to...).Emit(event, n)
	switch {
	case err == nil:
		if draining {
			x.during.Add(1)
		}
		return true
	case !errors.Is(err, socketio.ErrClosed):
		x.wrong.add("%s %d: %v", event, n, err)
	}
	return false
}

func (x *restarted) posts() (n int) {
	for _, line := range x.lines {
		line.mu.Lock()
		n += line.handled
		line.mu.Unlock()
	}
	return n
}

func (x *restarted) check(p *returner) {
	line := x.lines[p.number]
	if p.ticked != x.ticks || p.own != line.own || p.posted != line.handled {
		x.wrong.add("client %d has got %d of %d ticks and %d of %d of its own, and %d of its %d posts were handled",
			p.number, p.ticked, x.ticks, p.own, line.own, line.handled, p.posted)
	}
}

// restartGateway is of one process.
type restartGateway struct {
	perch.Base
	x *restarted
}

func (*restartGateway) Options() perch.Options { return perch.Options{} }

func (g *restartGateway) Register(r *perch.Router) {
	perch.On(r, "post", func(ctx context.Context, n int) (int, error) {
		number := clientNumber.Value(perch.SocketFrom(ctx))
		line := g.x.lines[number]
		line.mu.Lock()
		defer line.mu.Unlock()
		if n != line.handled {
			g.x.wrong.add("client %d: post %d is handled where %d was to be", number, n, line.handled)
		}
		line.handled = n + 1
		return n, nil
	})
}

func (g *restartGateway) HandleConnection(ctx context.Context, s *perch.Socket) error {
	auth, err := perch.Auth[sent](ctx)
	if err != nil {
		return err
	}
	line := g.x.lines[auth.Client]
	if !s.Recovered() {
		g.x.fresh.Add(1)
		clientNumber.Set(s, auth.Client)
		id := s.ID()
		line.id.Store(&id)
		return nil
	}
	g.x.back.Add(1)
	if id := *line.id.Load(); id != s.ID() || clientNumber.Value(s) != auth.Client {
		return fmt.Errorf("client %d is back as %s with the data of %d, was %s", auth.Client, s.ID(), clientNumber.Value(s), id)
	}
	return nil
}

// returner is one client. What its handlers write belongs to them until ended is closed.
type returner struct {
	number      int
	wrong       *problems
	socket      *client.Socket
	ticked, own int // the next number of each
	posted      int
	ended       chan struct{}
}

// newReturner makes a client that is not connected yet. One of ten stays on polling, one upgrades, the others use WebSocket.
func newReturner(ctx context.Context, wrong *problems, number int, url string) (*returner, error) {
	p := &returner{number: number, wrong: wrong, ended: make(chan struct{})}
	o := client.Options{
		Auth: sent{Client: number}, Transports: []client.Transport{client.WebSocket},
		ReconnectionDelay: 200 * time.Millisecond, ReconnectionDelayMax: time.Second, Retries: -1, Logger: quiet,
	}
	switch number % 10 {
	case 0:
		o.Transports = []client.Transport{client.Polling}
	case 1:
		o.Transports = nil
	}
	var err error
	if p.socket, err = client.New(ctx, url, o); err != nil {
		return nil, err
	}
	count := func(event string, next *int) {
		p.socket.On(event, func(_ context.Context, e *client.Event) {
			var n int
			if err := e.Decode(0, &n); err != nil || n != *next {
				p.wrong.add("client %d: got %s %s, %v, want %d", number, event, e.Raw(0), err, *next)
			}
			*next = n + 1
		})
	}
	count("tick", &p.ticked)
	count("own", &p.own)
	p.socket.On("end", func(context.Context, *client.Event) { close(p.ended) })
	return p, nil
}

// post sends numbers until load ends, and waits for their acknowledgements.
func (p *returner) post(load, ctx context.Context) {
	for load.Err() == nil {
		reply, err := p.socket.EmitWithAck(ctx, "post", p.posted)
		var n int
		if err == nil {
			err = reply.Decode(0, &n)
		}
		if err != nil || n != p.posted {
			p.wrong.add("client %d: post %d was answered by %d, %v", p.number, p.posted, n, err)
			return
		}
		p.posted++
		select {
		case <-time.After(20 * time.Millisecond):
		case <-load.Done():
		}
	}
}

// The same with official clients and a program of its own.
func TestRestart(t *testing.T) {
	suite(t, "restart.test.mjs", map[string]string{"PERCH_PROGRAM": build(t, conformance)})
}
