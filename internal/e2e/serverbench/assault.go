package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/perch-go/perch/internal/e2e/crowd"
)

// assault is hostile clients that come at a fixed rate, whatever the server does with those before, or nobody, while what they
// would use of the CPU is used all the same.
type assault struct {
	addr  string
	kind  string
	rate  float64       // clients per second
	count int           // clients in all
	idle  time.Duration // of CPU time for each client; zero: they come
}

// assaulted is what an assault tells of itself.
type assaulted struct {
	Connections uint64  `json:"connections"`
	Most        uint64  `json:"most"` // at once
	Refused     uint64  `json:"refused"`
	Seconds     float64 `json:"seconds"` // while they came
	CPU         float64 `json:"cpu"`     // meanwhile
}

// run is the assault. The last clients to come stay no longer than the moment after which it is over.
func (a assault) run(ctx context.Context, out io.Writer) error {
	kind, err := choose(attacks, a.kind, "attack")
	if err != nil {
		return err
	}
	server := &crowd.Server{Addr: a.addr, Stay: kind[0].stay, Burst: kind[0].burst}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := range a.count {
		due := begin.Add(time.Duration(float64(n) / a.rate * float64(time.Second)))
		if early := time.Until(due); early > 0 {
			timer.Reset(early)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if a.idle > 0 {
			for end := time.Now().Add(a.idle); time.Now().Before(end); {
			}
			continue
		}
		clients.Go(func() {
			kind[0].Visit(ctx, server, rand.New(rand.NewPCG(uint64(n), 0)))
		})
	}
	said := assaulted{Refused: server.Refused(), Seconds: time.Since(begin).Seconds(), CPU: selfCPU()}
	said.Connections, said.Most = server.Connections()
	return json.NewEncoder(out).Encode(said)
}

func selfCPU() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for oneself
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// attack is a kind of hostile clients in the numbers in which they come.
type attack struct {
	crowd.Kind
	connections int // of each client
	stay        time.Duration
	burst       int
}

func (a attack) String() string { return a.Name }

// attacks are what the server is put under in turn.
var attacks = []attack{
	{Kind: crowd.Connections, connections: 1},
	{Kind: crowd.Events, connections: 1, burst: 100},
	{Kind: crowd.Giants, connections: 1, stay: 4 * time.Second},
	{Kind: crowd.Trickles, connections: 1, stay: 8 * time.Second},
	{Kind: crowd.HalfUpgrades, connections: 2, stay: 8 * time.Second},
}

// of makes an assault of so many connections in a time.
func (a attack) of(connections int, d time.Duration, addr string) assault {
	count := max(connections/a.connections, 1)
	count += count / 100 // for those that are only about to connect when it ends
	return assault{addr: addr, kind: a.Name, rate: float64(count) / d.Seconds(), count: count}
}

// arguments are the flags for that.
func (a assault) arguments() []string {
	return []string{
		"-assault", a.kind, "-at", a.addr, "-clients", fmt.Sprint(a.count), "-rate", fmt.Sprint(a.rate), "-idle-cpu", a.idle.String(),
	}
}
