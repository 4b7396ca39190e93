package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// plan is what the flags say.
type plan struct {
	clients    int
	warm, time time.Duration
	stay       time.Duration
	settle     time.Duration
	seed       uint64
	drift      float64
	kept       int
	plot       string
	server     string // its program; empty: it is made
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*plan, error) {
	p := &plan{seed: rand.Uint64()}
	if s := os.Getenv("PERCH_SOAK_SEED"); s != "" {
		var err error
		if p.seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			return nil, fmt.Errorf("PERCH_SOAK_SEED: %w", err)
		}
	}
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.IntVar(&p.clients, "clients", 5000, "clients at a time")
	flags.DurationVar(&p.time, "for", 30*time.Minute, "how long they come and go")
	flags.DurationVar(&p.warm, "warm", time.Minute, "and for how long before that; 0: not at all")
	flags.DurationVar(&p.stay, "stay", 40*time.Second, "the longest that a client stays; the mean is half of it")
	flags.DurationVar(&p.settle, "settle", time.Minute, "how long it may take until all of them are gone")
	flags.Uint64Var(&p.seed, "seed", p.seed, "what the clients are (default PERCH_SOAK_SEED, or another one each time)")
	flags.Float64Var(&p.drift, "drift", 0.05, "by how much the second half may rise, of its mean")
	flags.IntVar(&p.kept, "kept", 2<<20, "`bytes` that the heap may be larger at the end than after -warm")
	flags.StringVar(&p.plot, "plot", "soak.svg", "`file` for the plot; empty: none")
	flags.StringVar(&p.server, "server", "", "`program` that is internal/e2e/conformance (default: it is made)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if p.clients < 1 || p.time < time.Second || p.warm < 0 || p.stay <= 0 {
		return nil, errors.New("-clients is 1 or more, -for a second or more, -stay and -warm are not negative")
	}
	const most = 3 // descriptors of a client
	return p, bench.EnoughFiles(most * p.clients)
}

func run(ctx context.Context, args []string, out io.Writer) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	server, err := startServer(ctx, p.server)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d clients for %v, and for %v before that, PERCH_SOAK_SEED=%d\n",
		time.Now().Format("2 January 2006"), p.clients, p.time, p.warm, p.seed)

	s := &soak{plan: p, process: server, out: out}
	err = s.run(ctx)
	if err = errors.Join(err, server.stop()); err != nil {
		return fmt.Errorf("%w\nthe server said: %s", err, server.complaints.String())
	}
	failed := s.report()
	if p.plot != "" {
		if err := s.draw(p.plot); err != nil {
			return err
		}
		fmt.Fprintln(out, "plot:", p.plot)
	}
	if failed > 0 {
		return fmt.Errorf("%d checks failed", failed)
	}
	return nil
}
