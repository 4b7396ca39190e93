package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// plan is what is to be measured.
type plan struct {
	rounds      int
	again       int           // how often a measurement that others disturb is made again
	wait        time.Duration // for others to leave the machine alone
	connections int           // of e1, e16, e1k and poll
	members     int           // of b1 and b8
	idle        int           // connections of idle and idleb
	warm, time  time.Duration
	settle      time.Duration
	mode        string
	scenarios   []scenario
	servers     []server
	half        []int // connections that together have half of the capacity in events
	connected   []int // connections in one process
	rooms       []int // members, the most of these is how many are connected
	processes   int   // of hold
	held        int   // connections of each
	audience    int   // of stalled
	payload     int   // bytes of its broadcasts
	outbound    int   // bytes that may be queued for one that is to be disconnected
	holdFor     time.Duration
	enemies     int    // connections of hostile, in all
	scripts     string // where those of the servers in JavaScript are
	json        string // file for all that the generator says, empty: none

	wire    bool // be that server
	assault assault
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	default:
		fmt.Fprintln(os.Stderr, "serverbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	p, err := parse(args)
	if err != nil {
		return err
	}
	if p.wire {
		return serveWire(ctx, out)
	}
	if p.assault.kind != "" {
		return p.assault.run(ctx, out)
	}
	return p.measured(ctx, out)
}

func parse(args []string) (*plan, error) {
	p := new(plan)
	flags := flag.NewFlagSet("serverbench", flag.ContinueOnError)
	flags.StringVar(&p.mode, "measure", "compare", "what to measure: "+strings.Join(slices.Sorted(maps.Keys(modes)), ", "))
	flags.IntVar(&p.rounds, "rounds", 5, "how often everything is measured, memory twice at most; what is printed are medians")
	flags.IntVar(&p.again, "again", 3, "how often a measurement is made again if others have used the machine meanwhile")
	flags.DurationVar(&p.wait, "wait", 10*time.Second, "how long to wait for others to leave the machine alone, before each")
	flags.IntVar(&p.connections, "connections", 100, "connections of e1, e16, e1k and poll")
	flags.IntVar(&p.members, "members", 1000, "connections of b1 and b8")
	flags.IntVar(&p.idle, "idle", 10_000, "connections of idle and idleb")
	flags.DurationVar(&p.warm, "warm", 600*time.Millisecond, "how long a server is under load before it is measured")
	flags.DurationVar(&p.time, "time", 3*time.Second, "how long it is measured")
	flags.DurationVar(&p.settle, "settle", 1500*time.Millisecond, "how long connections are left alone before memory is looked at")
	p.half, p.connected, p.rooms = []int{100, 1000, 10_000}, []int{1, 10, 100, 1000, 4000, 16_000}, []int{1, 10, 100, 1000, 10_000}
	flags.Func("half", "`connections` of growth that share half of the capacity (default 100,1000,10000)", numbers(&p.half))
	flags.Func("connected", "`connections` of growth in one process (default 1,10,100,1000,4000,16000)", numbers(&p.connected))
	flags.Func("rooms", "`members` of growth's rooms; the largest is how many are connected (default 1,10,100,1000,10000)", numbers(&p.rooms))
	flags.IntVar(&p.processes, "processes", 6, "servers of hold")
	flags.IntVar(&p.held, "held", 16_000, "connections of each of them")
	flags.DurationVar(&p.holdFor, "hold", time.Minute, "how long they are held; two heartbeats are 50 s")
	flags.IntVar(&p.audience, "audience", 5000, "connections of stalled that read")
	flags.IntVar(&p.payload, "payload", 1024, "bytes of its broadcasts")
	flags.IntVar(&p.outbound, "outbound", 64<<10, "bytes that a server of ours may queue for a session where the one that stalls is to be disconnected")
	scenarios := flags.String("scenarios", names(allScenarios), "what to compare")
	servers := flags.String("servers", "", "whom to measure (default perch, and of compare "+names(allServers)+"); compare compares the others with the first one")
	flags.Func("with", "`name=command` of a Socket.IO server to measure too; may be repeated", func(s string) error {
		name, command, ok := strings.Cut(s, "=")
		if !ok || strings.TrimSpace(command) == "" {
			return errors.New("want name=command")
		}
		p.servers = append(p.servers, server{name: name, command: strings.Fields(command), mode: "sio"})
		return nil
	})
	flags.StringVar(&p.scripts, "scripts", "internal/e2e/serverbench", "`folder` of the servers in JavaScript; their packages are found from there")
	flags.StringVar(&p.json, "json", "", "`file` for all that was measured, an object a line")
	flags.BoolVar(&p.wire, "wire", false, "be the server wire (serverbench starts it)")
	flags.IntVar(&p.enemies, "enemies", 50_000, "connections of hostile in the course of all attacks")
	flags.StringVar(&p.assault.kind, "assault", "", "be hostile clients of that kind (serverbench starts them), with -at, -clients, -rate and -idle-cpu")
	flags.StringVar(&p.assault.addr, "at", "", "`host:port` of the server that -assault is to")
	flags.IntVar(&p.assault.count, "clients", 1, "clients of -assault")
	flags.Float64Var(&p.assault.rate, "rate", 1, "how many of them come in a second")
	flags.DurationVar(&p.assault.idle, "idle-cpu", 0, "CPU time that is used for nothing in the place of each of them")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if modes[p.mode] == nil {
		return nil, fmt.Errorf("there is no %q for -measure: choose from %s", p.mode, strings.Join(slices.Sorted(maps.Keys(modes)), ", "))
	}
	if p.rounds < 1 || p.processes < 1 || p.held < 1 {
		return nil, errors.New("-rounds, -processes and -held are 1 or more")
	}
	if *servers == "" {
		*servers = "perch"
		if p.mode == "compare" || p.mode == "ratios" {
			*servers = names(allServers)
		}
	}
	var err error
	if p.scenarios, err = choose(allScenarios, *scenarios, "scenarios"); err != nil {
		return nil, err
	}
	chosen, err := choose(allServers, *servers, "servers")
	p.servers = append(chosen, p.servers...)
	return p, err
}

// numbers reads a flag that lists some, each 1 or more.
func numbers(to *[]int) func(string) error {
	return func(s string) error {
		*to = nil
		for field := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(field)
			if err != nil || n < 1 {
				return fmt.Errorf("want numbers of 1 or more, not %q", field)
			}
			*to = append(*to, n)
		}
		return nil
	}
}

type named interface{ String() string }

func names[V named](all []V) string {
	var names []string
	for _, v := range all {
		names = append(names, v.String())
	}
	return strings.Join(names, ",")
}

// choose finds those that a flag names.
func choose[V named](all []V, wanted, flag string) (chosen []V, err error) {
next:
	for name := range strings.SplitSeq(wanted, ",") {
		for _, v := range all {
			if v.String() == name {
				chosen = append(chosen, v)
				continue next
			}
		}
		return nil, fmt.Errorf("there is no %q for -%s: choose from %s", name, flag, names(all))
	}
	return chosen, nil
}
