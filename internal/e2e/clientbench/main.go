package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// plan is what is to be measured, and one measurement of it for a client process.
type plan struct {
	rounds      int
	again       int           // how often a measurement that others disturb is made again
	wait        time.Duration // for others to leave the machine alone
	connections int           // of each scenario but idle and conn
	idle        int           // connections of idle
	warm, time  time.Duration
	scenarios   string
	clients     string
	script      string // the JavaScript client
	profiles    string // folder for profiles of the Go clients, empty: none

	serve  bool
	client string // the role of a process that measures
	only   string // its scenario
	url    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "clientbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var p plan
	flags := flag.NewFlagSet("clientbench", flag.ContinueOnError)
	flags.IntVar(&p.rounds, "rounds", 5, "how often everything is measured; what is printed are medians")
	flags.IntVar(&p.again, "again", 3, "how often a measurement is made again if others have used the machine meanwhile")
	flags.DurationVar(&p.wait, "wait", 10*time.Second, "how long to wait for others to leave the machine alone, before each")
	flags.IntVar(&p.connections, "connections", 100, "connections of a client, or calls of Connect at once")
	flags.IntVar(&p.idle, "idle", 2000, "connections of the scenario idle")
	flags.DurationVar(&p.warm, "warm", 2*time.Second, "how long a client runs before it is measured")
	flags.DurationVar(&p.time, "time", 4*time.Second, "how long it is measured")
	flags.StringVar(&p.scenarios, "scenarios", strings.Join(scenarios, ","), "what to measure")
	flags.StringVar(&p.clients, "clients", strings.Join(clients, ","), "whom to measure")
	flags.StringVar(&p.script, "script", "internal/e2e/clientbench/client.mjs", "the JavaScript client; its packages are found from there")
	flags.StringVar(&p.profiles, "profiles", "", "`folder` for CPU and heap profiles of the Go clients")
	flags.BoolVar(&p.serve, "serve", false, "be the server (clientbench starts it)")
	flags.StringVar(&p.client, "client", "", "be that client (clientbench starts it)")
	flags.StringVar(&p.only, "scenario", "", "of -client")
	flags.StringVar(&p.url, "url", "", "of the server, for -client")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case p.serve:
		return serve(ctx, in, out)
	case p.client != "":
		return p.measure(ctx, out)
	default:
		return p.compare(ctx, out)
	}
}
