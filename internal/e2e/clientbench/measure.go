package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/client"
)

// caller is a Go client. Its methods are called from any goroutine.
type caller interface {
	dial(ctx context.Context, url string) (connection, error)
}

// connection is one of a caller's. What runs until it fails or ctx is done adds what it has done to done.
type connection interface {
	// echo keeps that many events in flight, each acknowledged with its argument.
	echo(ctx context.Context, inFlight int, text string, done *atomic.Int64) error
	// receive asks for bursts.
	receive(ctx context.Context, done *atomic.Int64) error
	// send sends events without acknowledgement, as many as the server takes, which counts them.
	send(ctx context.Context) error
	// idle does what a connection needs so as to stay alive, until it is closed.
	idle()
	close()
}

var scenarios = []string{"c1", "c16", "c1k", "recv", "send", "conn", "idle", "poll"}

// callers are the clients in Go; the third one is "js".
func callers(scenario string) map[string]caller {
	if scenario == "poll" {
		return map[string]caller{"perch": perchClient{client.Polling}} // coder/websocket has none
	}
	return map[string]caller{"perch": perchClient{client.WebSocket}, "raw": rawClient{}}
}

// measure is what a client process does.
func (p *plan) measure(ctx context.Context, out io.Writer) error {
	c := callers(p.only)[p.client]
	if c == nil {
		return fmt.Errorf("there is no -client %q for -scenario %q", p.client, p.only)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var r result
	var err error
	if p.only == "idle" {
		r.Bytes, err = p.measureIdle(ctx, c)
	} else {
		r, err = p.measureRate(ctx, c)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

func (p *plan) measureRate(ctx context.Context, c caller) (r result, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var connections []connection
	if p.only != "conn" {
		if connections, err = p.dialAll(ctx, c, p.connections); err != nil {
			cancel()
			return r, err
		}
	}
	var done atomic.Int64
	var running sync.WaitGroup
	failed := make(chan error, p.connections)
	for i := range p.connections {
		running.Go(func() {
			var err error
			if p.only == "conn" {
				err = connectAgainAndAgain(ctx, c, p.url, &done)
			} else {
				err = p.load(ctx, connections[i], &done)
			}
			if ctx.Err() == nil {
				failed <- fmt.Errorf("a connection ended: %w", err)
			}
		})
	}
	defer func() {
		cancel()
		for _, c := range connections {
			c.close()
		}
		running.Wait()
	}()
	wait := func(d time.Duration) error {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
	if err := wait(p.warm); err != nil {
		return r, err
	}
	stop, err := p.profile()
	if err != nil {
		return r, err
	}
	server, err := p.usage(ctx)
	if err != nil {
		return r, err
	}
	begin, cpu, events := time.Now(), processTime(), done.Load()
	if err := wait(p.time); err != nil {
		return r, err
	}
	r = result{Events: float64(done.Load() - events), Seconds: time.Since(begin).Seconds(), CPU: processTime() - cpu}
	after, err := p.usage(ctx)
	if err != nil {
		return r, err
	}
	r.Server = (after.CPU - server.CPU) / (after.Seconds - server.Seconds)
	if p.only == "send" {
		r.Events, r.Seconds = float64(after.Events-server.Events), after.Seconds-server.Seconds
	}
	return r, stop()
}

func (p *plan) load(ctx context.Context, c connection, done *atomic.Int64) error {
	switch p.only {
	case "c1", "poll":
		return c.echo(ctx, 1, payload, done)
	case "c16":
		return c.echo(ctx, 16, payload, done)
	case "c1k":
		return c.echo(ctx, 1, string(bytes.Repeat([]byte("x"), largeSize)), done)
	case "recv":
		return c.receive(ctx, done)
	case "send":
		return c.send(ctx)
	}
	return fmt.Errorf("there is no -scenario %q", p.only)
}

func connectAgainAndAgain(ctx context.Context, c caller, url string, done *atomic.Int64) error {
	for {
		connection, err := c.dial(ctx, url)
		if err != nil {
			return err
		}
		done.Add(1)
		connection.close()
	}
}

// dialAll connects so many, some of them at a time.
func (p *plan) dialAll(ctx context.Context, c caller, n int) ([]connection, error) {
	all := make([]connection, n)
	errs := make([]error, n)
	var dialing sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range n {
		slots <- struct{}{}
		dialing.Go(func() {
			all[i], errs[i] = c.dial(ctx, p.url)
			if p.only == "idle" && errs[i] == nil {
				go all[i].idle()
			}
			<-slots
		})
	}
	dialing.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// measureIdle is how much the process grows with each connection. Those before the first are what any number costs.
func (p *plan) measureIdle(ctx context.Context, c caller) (float64, error) {
	first, err := p.dialAll(ctx, c, min(100, p.idle))
	if err != nil {
		return 0, err
	}
	before, err := resident()
	if err != nil {
		return 0, err
	}
	rest, err := p.dialAll(ctx, c, p.idle)
	if err != nil {
		return 0, err
	}
	after, err := resident()
	if err != nil {
		return 0, err
	}
	if p.profiles != "" {
		if err := p.heapProfile(); err != nil {
			return 0, err
		}
	}
	var closing sync.WaitGroup
	for _, c := range append(first, rest...) {
		closing.Go(c.close)
	}
	closing.Wait()
	return float64(after-before) / float64(p.idle), nil
}

// resident is the memory of this process, after a collection, in bytes.
func resident() (int, error) {
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/self/statm says %q", statm)
	}
	pages, err := strconv.Atoi(string(fields[1]))
	return pages * os.Getpagesize(), err
}

// usage asks the server.
func (p *plan) usage(ctx context.Context) (u usage, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/usage", nil)
	if err != nil {
		return u, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return u, err
	}
	defer resp.Body.Close()
	return u, json.NewDecoder(resp.Body).Decode(&u)
}

// profile begins a CPU profile, if one is wanted; stop writes it, and one of the heap.
func (p *plan) profile() (stop func() error, err error) {
	if p.profiles == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(p.profileName("cpu"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			return err
		}
		return p.heapProfile()
	}, nil
}

func (p *plan) heapProfile() error {
	f, err := os.Create(p.profileName("heap"))
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.Lookup("heap").WriteTo(f, 0)
}

func (p *plan) profileName(kind string) string {
	return filepath.Join(p.profiles, p.client+"-"+p.only+"."+kind+".prof")
}
