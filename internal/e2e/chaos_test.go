package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/e2e/chaos"
)

const (
	// chaosTime is how long it lasts unless PERCH_CHAOS says otherwise (make chaos).
	chaosTime = time.Minute
	// chaosPatience is how long it may take afterwards until everything has arrived. Whatever is half-open then is found out in
	// three seconds, so that this is for the machine's other work.
	chaosPatience = time.Minute
)

// C-17, C-18, S-6: a crowd of clients, over each of the transports, sends sequenced messages to its neighbours by way of the
// server, which sends a sequence to everybody besides, while their connections are cut, reset, delayed, left half-open and refused
// at random. What the server sends is recovered: nothing is lost, doubled or out of order. What clients send is retried: nothing is
// lost or out of order, and doubled only if the acknowledgement was lost; perch.Once drops that.
//
// PERCH_CHAOS is the time that it lasts, PERCH_CHAOS_SEED the seed of what happens.
func TestChaos(t *testing.T) {
	lasting, seed := chaosTime, rand.Uint64()
	fromEnvironment(t, "PERCH_CHAOS", &lasting, time.ParseDuration)
	fromEnvironment(t, "PERCH_CHAOS_SEED", &seed, func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) })
	t.Logf("%d clients, %v, PERCH_CHAOS_SEED=%d", crowd, lasting, seed)

	var wrong problems
	before := quietest()
	exchange := openExchange(t, &wrong, crowd)
	proxy, err := chaos.Listen(exchange.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasting+4*chaosPatience)
	defer cancel()
	peers := make([]*talker, crowd)
	for i := range peers {
		peers[i] = newTalker(ctx, t, i, "http://"+proxy.Addr(), exchange)
	}
	if err := each(len(peers), 8, func(i int) error { return peers[i].socket.Connect(ctx) }); err != nil {
		t.Fatal(err)
	}

	var sending, ticking, raging sync.WaitGroup
	storm, calm := context.WithTimeout(ctx, lasting)
	ticks, silence := context.WithCancel(ctx)
	raging.Go(func() { chaos.Weather{Seed: seed, Pause: 4 * time.Second / crowd}.Over(storm, proxy) })
	ticking.Go(func() { exchange.tick(ticks) })
	for _, p := range peers {
		sending.Go(func() { p.talk(storm, ctx, seed) })
	}
	begin := time.Now()
	raging.Wait()
	calm()
	weather := proxy.Stats()

	// Everything that was sent arrives, and then what is sent last.
	patience, giveUp := context.WithTimeoutCause(ctx, chaosPatience, errors.New("that took too long"))
	defer giveUp()
	if !within(patience, sending.Wait) {
		wrong.add("not everything was acknowledged %v after the end", chaosPatience)
		cancel()
		sending.Wait()
	}
	silence()
	ticking.Wait()
	exchange.end()
	for _, p := range peers {
		select {
		case <-p.ended:
		case <-patience.Done():
			wrong.add("client %d (%s) has not got everything %v after the end", p.number, p.transports, chaosPatience)
		}
	}
	calmed := time.Since(begin) - lasting

	if err := each(len(peers), len(peers), func(i int) error { return peers[i].socket.Close() }); err != nil {
		wrong.add("Close: %v", err)
	}
	// A session over polling that was ended by the server waits for its client's next poll for half a minute, unless it shuts down.
	empty := func() bool { return exchange.server.Of("/").Len() == 0 }
	if !becomes(patience, empty) {
		wrong.add("%d sockets are left on the server", exchange.server.Of("/").Len())
	}
	stats := exchange.server.Engine().Stats()
	exchange.close()
	if n := exchange.server.Engine().Sessions(); n != 0 {
		wrong.add("%d sessions are left on the server", n)
	}
	if err := proxy.Close(); err != nil {
		t.Error(err)
	}
	leftGoroutines(t, before)

	sum := exchange.sum()
	for _, p := range peers {
		p.check(sum)
	}
	wrong.report(t)
	t.Logf("calm again after %v; %d messages of clients, %d arrived twice and were filtered; %d events to each client besides",
		calmed.Round(time.Millisecond), sum.handled, sum.arrived-sum.handled, sum.ticks)
	t.Logf("proxy: %+v", weather)
	t.Logf("server: %d sessions, %d upgrades (%d failed), %d recoveries, %d fresh connections, ended by %v",
		stats.Opened, stats.Upgrades, stats.UpgradesFailed, sum.recoveries, sum.fresh, stats.Closed)
	t.Logf("clients: %v", reasons(peers))

	wasBad(t, lasting, weather, stats, sum, reasons(peers))
}

// wasBad checks that it was about as bad as it was meant to be; the first half minute's worth is enough.
func wasBad(t *testing.T, lasting time.Duration, weather chaos.Stats, stats engineio.Stats, sum chaosSum, reasons map[client.Reason]uint64) {
	t.Helper()
	seconds := uint64(min(lasting, 30*time.Second) / time.Second)
	for _, c := range []struct {
		what       string
		got, least uint64
	}{
		{"cuts", weather.Cuts, seconds},
		{"resets", weather.Resets, seconds},
		{"cuts inside of messages", weather.Inside, seconds},
		{"delays", weather.Delays, 2 * seconds},
		{"half-open connections", weather.Stalls, seconds},
		{"refused connections", weather.Refused, 1},
		{"upgrades", stats.Upgrades, crowd / 4},
		{"connections that only the server's heartbeat found out about", stats.Closed[engineio.ReasonPingTimeout], 1},
		{"those that only a client's did", reasons[client.PingTimeout], 1},
		{"recoveries", sum.recoveries, 2 * seconds},
		{"duplicates that were filtered", sum.arrived - sum.handled, 1},
	} {
		if c.got < c.least {
			t.Errorf("%s: %d, want at least %d", c.what, c.got, c.least)
		}
	}
}

func fromEnvironment[T any](t *testing.T, name string, v *T, parse func(string) (T, error)) {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return
	}
	var err error
	if *v, err = parse(s); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// within reports whether fn returns before ctx ends.
func within(ctx context.Context, fn func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// becomes reports whether ok does before ctx ends.
func becomes(ctx context.Context, ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// leftGoroutines waits until there are no more goroutines than there were.
func leftGoroutines(t *testing.T, before int) {
	t.Helper()
	deadline := time.After(chaosPatience)
	for tick := time.NewTicker(20 * time.Millisecond); runtime.NumGoroutine() > before; {
		select {
		case <-tick.C:
		case <-deadline:
			var stacks strings.Builder
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			t.Errorf("%d goroutines before, %d afterwards:\n%s", before, runtime.NumGoroutine(), stacks.String())
			return
		}
	}
}

// problems is safe for concurrent use. It collects what is wrong; the first ones are shown.
type problems struct {
	mu    sync.Mutex
	first []string
	n     int
}

func (p *problems) add(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n++; len(p.first) < 20 {
		p.first = append(p.first, fmt.Sprintf(format, args...))
	}
}

func (p *problems) report(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n > 0 {
		t.Errorf("%d problems, the first of them:\n%s", p.n, strings.Join(p.first, "\n"))
	}
}
