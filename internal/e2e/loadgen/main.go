//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// plan is what the flags say.
type plan struct {
	scenario string
	server   netip.AddrPort

	mode, path, namespace, headers string

	connections, window, size, depth int
	active, members, stalled         int
	concurrent                       int
	rate                             float64
	sources, sourceNet               int
	seconds, warm, settle, hold      float64
	pid                              int
	gc, label                        string
}

func main() {
	// The loop makes system calls of which the scheduler knows nothing: it wants a thread, and nobody beside it.
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	if err := bench.EnoughFiles(p.connections + p.stalled); err != nil {
		return fmt.Errorf("-c and -stalled: %w", err)
	}
	g, err := newGenerator(p)
	if err != nil {
		return err
	}
	defer g.close()
	err = scenarios[p.scenario](ctx, g, out)
	if err == nil && g.dead > 0 {
		err = fmt.Errorf("%d connections failed, the first: %s", g.dead, g.why)
	}
	if err == nil && g.out["rate"] == 0.0 {
		err = errors.New("nothing was answered")
	}
	g.out["dead"], g.out["pings"] = g.dead, g.pings
	if g.why != "" {
		g.out["err"] = g.why
	}
	return errors.Join(err, json.NewEncoder(out).Encode(g.out))
}

func parse(args []string) (*plan, error) {
	p := new(plan)
	flags := flag.NewFlagSet("loadgen", flag.ContinueOnError)
	flags.StringVar(&p.scenario, "scenario", "echo", names(scenarios))
	addr := flags.String("addr", "127.0.0.1:9000", "the server's `host:port`")
	flags.StringVar(&p.mode, "mode", "sio", names(dialects))
	flags.StringVar(&p.path, "path", "", "path of the server, if it is not the usual one of the mode")
	flags.StringVar(&p.namespace, "ns", "/", "namespace")
	flags.IntVar(&p.connections, "c", 100, "connections")
	flags.IntVar(&p.window, "w", 1, "events in flight on each connection")
	flags.IntVar(&p.active, "active", 0, "of echo: connections that have an event in flight at a time, in turns; 0: all, each with -w of them")
	flags.Float64Var(&p.rate, "rate", 0, "of echo: events due per second on all connections together; of bcast: broadcasts; 0: one when another is complete")
	flags.IntVar(&p.members, "members", 0, "of bcast: connections that join a room, to which the broadcasts go; 0: they go to all")
	flags.IntVar(&p.stalled, "stalled", 0, "of bcast: more connections, that join and never read")
	flags.IntVar(&p.size, "size", 32, "bytes of payload")
	flags.Float64Var(&p.seconds, "t", 8, "seconds measured")
	flags.Float64Var(&p.warm, "warm", 1, "seconds before that")
	flags.IntVar(&p.pid, "pid", 0, "process id of the server, for its CPU time and memory")
	flags.StringVar(&p.gc, "gc", "", "`host:port` that is asked GET /gc for a collection, and with -stalled GET /stats")
	flags.IntVar(&p.concurrent, "conc", 64, "handshakes in flight")
	flags.IntVar(&p.depth, "depth", 1, "broadcasts in flight")
	flags.IntVar(&p.sources, "srcs", 8, "number of source addresses 127.0.x.y; 0: the system chooses")
	flags.IntVar(&p.sourceNet, "srcbase", 1, "their third number")
	flags.Float64Var(&p.settle, "settle", 3, "seconds before memory is looked at")
	flags.Float64Var(&p.hold, "hold", 0, "seconds that connections are held, less if it is interrupted")
	flags.StringVar(&p.label, "label", "", "goes into the output")
	flags.StringVar(&p.headers, "headers", "plain", "those of the upgrade request: plain, or a browser's")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	resolved, err := net.ResolveTCPAddr("tcp4", *addr)
	if err != nil {
		return nil, fmt.Errorf("-addr: %w", err)
	}
	p.server = netip.AddrPortFrom(netip.AddrFrom4([4]byte(resolved.IP.To4())), uint16(resolved.Port))
	switch {
	case scenarios[p.scenario] == nil:
		return nil, fmt.Errorf("unknown -scenario %q: choose one of %s", p.scenario, names(scenarios))
	case dialects[p.mode] == nil:
		return nil, fmt.Errorf("unknown -mode %q: choose one of %s", p.mode, names(dialects))
	case p.scenario == "polling" && p.mode != "sio":
		return nil, errors.New("-scenario polling is only for -mode sio")
	case p.connections < 1, p.window < 1, p.depth < 1, p.depth > inFlight, p.concurrent < 1:
		return nil, fmt.Errorf("-c, -w, -conc and -depth are 1 or more, and -depth at most %d", inFlight)
	case p.window > mostSlots:
		return nil, fmt.Errorf("-w is at most %d", mostSlots)
	case p.active < 0, p.active > 0 && (p.window > 1 || p.rate > 0):
		return nil, errors.New("-active is 0 or more, and goes with neither -w nor -rate")
	case p.rate < 0, p.rate > mostPerSecond:
		return nil, fmt.Errorf("-rate is 0 or more, and at most %d", int(mostPerSecond))
	case p.members < 0, p.members > p.connections, p.members > 0 && (p.mode == "raw" || p.size == 0):
		return nil, errors.New("-members is at most -c, and needs a -mode with rooms and a -size, for the payload is the room's name")
	case p.stalled < 0, p.stalled > 0 && p.mode != "sio":
		return nil, errors.New("-stalled is 0 or more, and only for -mode sio, whose servers queue for each connection by itself")
	case p.size < 0, p.mode == "raw" && p.size < slotDigits+1:
		return nil, fmt.Errorf("-size is 0 or more, and in -mode raw at least %d", slotDigits+1)
	}
	return p, nil
}

func names[V any](m map[string]V) string {
	var all []string
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
