package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// profile is a reference configuration: a handler for the whole server, and what ends it.
type profile struct {
	http.Handler
	shutdown func(context.Context) error
}

var profiles = map[string]struct {
	serve func(options) (*profile, error)
	addr  string // where it listens if -addr does not say
}{
	"engine":   {always(engine), anyPort},
	"protocol": {always(protocol), anyPort},
	"client":   {always(client), clientAddr}, // suites of clients have it built in
	"bench":    {bench, anyPort},
	"gateway":  {gateway, anyPort},
	"restart":  {restart, anyPort},
	"soak":     {always(soak), anyPort},
}

// options are what some profiles can do otherwise.
type options struct {
	nest     bool
	outbound int
	profiles bool
	recovery string
}

// always is a profile that is the same with all options.
func always(serve func() (*profile, error)) func(options) (*profile, error) {
	return func(options) (*profile, error) { return serve() }
}

const (
	anyPort    = "127.0.0.1:0"
	clientAddr = "localhost:3210"
)

// The times of the engine and protocol profiles, which suites wait for.
const (
	pingInterval = 300 * time.Millisecond
	pingTimeout  = 200 * time.Millisecond
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run serves a profile until ctx is done.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	name := flags.String("profile", "", "`profile` to serve: "+names())
	addr := flags.String("addr", "", "`address` to listen on (default "+clientAddr+" for the profile client, else "+anyPort+")")
	var o options
	flags.BoolVar(&o.nest, "nest", false, "errors look as Nest's do, in the profile gateway")
	flags.IntVar(&o.outbound, "outbound", 0, "`bytes` that may be queued for a session, in the profile bench (default the engine's)")
	flags.BoolVar(&o.profiles, "profiles", false, "record who waits for locks, and serve that and what package net/http/pprof has, in the profile bench")
	flags.StringVar(&o.recovery, "recovery", "", "`file` that keeps what clients need to come back, in the profile restart (default none)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, ok := profiles[*name]
	if !ok {
		return fmt.Errorf("unknown -profile %q: choose one of %s", *name, names())
	}
	p, err := chosen.serve(o)
	if err != nil {
		return err
	}
	at := cmp.Or(*addr, chosen.addr)
	listeners, err := listen(ctx, at)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot listen on %s, choose another -addr: %w", at, err), p.shutdown(context.Background()))
	}
	fmt.Fprintln(out, "listening on", listeners[0].Addr())

	srv := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { served <- srv.Serve(l) }()
	}
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, p.shutdown(closing), srv.Shutdown(closing))
}

// listen listens on an address. Where that is localhost's, it is all that the name stands for: one client takes the
// first, another the last, and none is to find nobody there.
func listen(ctx context.Context, addr string) (listeners []net.Listener, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	hosts := []string{host}
	if host == "localhost" {
		if hosts, err = net.DefaultResolver.LookupHost(ctx, host); err != nil {
			return nil, err
		}
	}
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, port))
		switch {
		case err == nil:
			listeners = append(listeners, l)
		case len(listeners) > 0 && errors.Is(err, syscall.EADDRNOTAVAIL): // a name for what the machine does not have
		default:
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, err
		}
	}
	return listeners, nil
}

func names() string {
	var all []string
	for name := range profiles {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
