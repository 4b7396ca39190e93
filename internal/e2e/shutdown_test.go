package e2e

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/plainws"
)

const (
	shutdownRounds = 6
	// What there is of each kind of clients.
	callers, meteredBursts, unmeteredBursts, postedBursts, plainBursts = 100, 4, 4, 4, 4
	// burst is how many events one write of the raw clients carries.
	burst = 64
)

// Issue 5, point 5: Shutdown in the midst of what 100 Go clients and some raw ones send, over each of the transports, loses no
// event that was accepted, that is whose bytes were read before refusal began: it is handled once, its acknowledgement arrives, and
// HandleDisconnect runs after it. In every other round handlers are held up first, so that many events wait.
func TestShutdownUnderLoad(t *testing.T) { // not parallel: it counts goroutines
	before := quietest()
	for round := range shutdownRounds {
		var wrong problems
		load := openLoad(t, &wrong)
		braked := round%2 == 0
		inFlight := load.shutDown(t, braked)
		load.check()
		wrong.report(t)
		t.Logf("round %d: %d events handled, %d in flight when refusal began", round, load.handled(), inFlight)
		if braked && inFlight < (callers+meteredBursts)*2 {
			t.Errorf("%d events were in flight, which proves nothing", inFlight)
		}
		if t.Failed() {
			break
		}
	}
	leftGoroutines(t, before)
}

// sent is an event of a client of the test.
type sent struct {
	Client int `json:"client"`
	N      int `json:"n"`
}

// account is what the gateway knows of one client.
type account struct {
	mu      sync.Mutex
	calls   map[int]int // how often each was handled
	notes   []int       // in the order they were handled
	reasons []perch.Reason
	late    bool // something was handled after HandleDisconnect
}

// loadGateway keeps accounts of what it handles.
type loadGateway struct {
	perch.Base
	accounts []account
	brake    sync.RWMutex
}

var clientNumber = perch.NewKey[int]("client")

func (*loadGateway) Options() perch.Options {
	return perch.Options{Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws/{client}")}}
}

func (g *loadGateway) Register(r *perch.Router) {
	perch.On(r, "call", func(_ context.Context, e sent) (int, error) {
		g.note(e, func(a *account) { a.calls[e.N]++ })
		return e.N, nil
	})
	perch.OnEvent(r, "note", func(_ context.Context, e sent) error {
		g.note(e, func(a *account) { a.notes = append(a.notes, e.N) })
		return nil
	})
}

func (g *loadGateway) note(e sent, enter func(*account)) {
	g.brake.RLock()
	defer g.brake.RUnlock()
	a := &g.accounts[e.Client]
	a.mu.Lock()
	defer a.mu.Unlock()
	enter(a)
	a.late = a.late || len(a.reasons) > 0
}

func (g *loadGateway) HandleConnection(ctx context.Context, s *perch.Socket) error {
	auth, err := perch.Auth[sent](ctx)
	if path := s.PathValue("client"); path != "" {
		auth.Client, err = strconv.Atoi(path)
	}
	clientNumber.Set(s, auth.Client)
	return err
}

func (g *loadGateway) HandleDisconnect(_ context.Context, s *perch.Socket, reason perch.Reason) {
	a := &g.accounts[clientNumber.Value(s)]
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reasons = append(a.reasons, reason)
}

// meter is a listener that counts what is read of its connections until it is frozen.
type meter struct {
	net.Listener
	mu     sync.Mutex
	frozen bool
	read   map[string]int64 // by the client's address
}

func (m *meter) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &metered{c, m}, nil
}

func (m *meter) freeze() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.frozen = true
}

func (m *meter) bytes(address string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read[address]
}

type metered struct {
	net.Conn
	meter *meter
}

func (c *metered) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	if !c.meter.frozen {
		c.meter.read[c.RemoteAddr().String()] += int64(n)
	}
	return n, err
}

// load is an app, and the clients that keep it busy.
type load struct {
	wrong   *problems
	app     *perch.App
	gateway *loadGateway
	meter   *meter
	served  chan error

	callers []*caller
	bursts  []*burster
	working sync.WaitGroup // the clients
}

func openLoad(t *testing.T, wrong *problems) *load {
	t.Helper()
	l := &load{
		wrong: wrong, served: make(chan error, 2), meter: &meter{read: make(map[string]int64)},
		gateway: &loadGateway{accounts: make([]account, callers+meteredBursts+unmeteredBursts+postedBursts+plainBursts)},
	}
	for i := range l.gateway.accounts {
		l.gateway.accounts[i].calls = make(map[int]int)
	}
	var err error
	if l.app, err = perch.New(perch.WithGateways(l.gateway), perch.WithLogger(quiet)); err != nil {
		t.Fatal(err)
	}
	if err := l.app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var listeners [2]net.Listener
	for i := range listeners {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	l.meter.Listener = listeners[1]
	for _, listener := range []net.Listener{listeners[0], l.meter} {
		go func() { l.served <- l.app.Serve(listener) }()
	}
	plain, metered := listeners[0].Addr().String(), listeners[1].Addr().String()

	for i := range callers {
		transport := []client.Transport{client.WebSocket, client.Polling}[i%2]
		c, err := newCaller(t.Context(), wrong, i, "http://"+plain, transport)
		if err != nil {
			t.Fatal(err)
		}
		l.callers = append(l.callers, c)
	}
	for i := range meteredBursts + unmeteredBursts + postedBursts + plainBursts {
		at, open := plain, openSocketBurst
		switch {
		case i < meteredBursts:
			at = metered
		case i >= meteredBursts+unmeteredBursts+postedBursts:
			open = openPlainBurst
		case i >= meteredBursts+unmeteredBursts:
			open = openPollingBurst
		}
		b, err := open(wrong, callers+i, at)
		if err != nil {
			t.Fatal(err)
		}
		if b.metered = at == metered; b.metered {
			b.window = 8
		}
		l.bursts = append(l.bursts, b)
	}
	for _, c := range l.callers {
		c.work(&l.working)
	}
	for _, b := range l.bursts {
		b.work(&l.working)
	}
	return l
}

// shutDown shuts the app down when everybody is at work, and returns how many events were in flight then.
func (l *load) shutDown(t *testing.T, braked bool) (inFlight int) {
	t.Helper()
	eventually(t, "everybody is at work", func() bool {
		for i := range l.gateway.accounts {
			if l.gateway.count(i) < 16 {
				return false
			}
		}
		return true
	})
	if braked {
		l.gateway.brake.Lock()
		eventually(t, "events wait", func() bool {
			for _, b := range l.bursts {
				if b.metered && b.accepted(l.meter)-l.gateway.count(b.number) < burst {
					return false
				}
			}
			return true
		})
	}
	l.meter.freeze()
	for _, b := range l.bursts {
		if b.metered {
			inFlight += max(b.accepted(l.meter)-l.gateway.count(b.number), 0)
		}
	}
	for _, c := range l.callers {
		inFlight += int(c.waiting.Load())
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- l.app.Shutdown(ctx) }()
	if braked {
		eventually(t, "refusal has begun", func() bool { return errors.Is(l.app.Start(context.Background()), perch.ErrStopped) })
		l.gateway.brake.Unlock()
	}
	if err := <-stopped; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	for range cap(l.served) {
		if err := <-l.served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	}
	ended := make(chan struct{})
	go func() { l.working.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("not every client has noticed that the server is gone")
	}
	for _, c := range l.callers {
		_ = c.socket.Close()
	}
	return inFlight
}

// count is how many events of a client were handled.
func (g *loadGateway) count(client int) int {
	a := &g.accounts[client]
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.calls) + len(a.notes)
}

func (l *load) handled() (n int) {
	for i := range l.gateway.accounts {
		n += l.gateway.count(i)
	}
	return n
}

// check compares what the gateway has handled with what clients know.
func (l *load) check() {
	for i := range l.gateway.accounts {
		a := &l.gateway.accounts[i]
		if !slices.Equal(a.reasons, []perch.Reason{"server shutting down"}) || a.late {
			l.wrong.add("client %d: HandleDisconnect got %q, something was handled afterwards: %t", i, a.reasons, a.late)
		}
		for n, times := range a.calls {
			if times != 1 {
				l.wrong.add("client %d: call %d was handled %d times", i, n, times)
			}
		}
	}
	for _, c := range l.callers {
		c.check(&l.gateway.accounts[c.number])
	}
	for _, b := range l.bursts {
		b.check(&l.gateway.accounts[b.number], l.meter)
	}
}
