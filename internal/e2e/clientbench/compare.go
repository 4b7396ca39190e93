package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// clients are the columns of the table: the first and the last are what the one in the middle is compared with.
var clients = []string{"js", "perch", "raw"}

// patience is how long one client process may take beside what it is told to.
const patience = 2 * time.Minute

// compare has every client measured in turns and prints the medians.
func (p *plan) compare(ctx context.Context, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	url, stop, err := startServer(ctx, self)
	if err != nil {
		return err
	}
	defer stop()
	p.url = url
	all := results{}
	names := strings.Split(p.scenarios, ",")
	for round := range p.rounds {
		for _, scenario := range names {
			if all[scenario] == nil {
				all[scenario] = map[string][]result{}
			}
			for _, name := range strings.Split(p.clients, ",") {
				if name != "js" && callers(scenario)[name] == nil {
					continue
				}
				r, err := p.undisturbed(ctx, self, name, scenario)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", name, scenario, err)
				}
				all[scenario][name] = append(all[scenario][name], r)
				fmt.Fprintf(os.Stderr, "round %d: %-5s %-5s %s\n", round+1, scenario, name, r)
			}
		}
	}
	all.tables(out, names)
	return nil
}

// startServer starts the server and tells its URL.
func startServer(ctx context.Context, self string) (url string, stop func(), err error) {
	cmd := bench.Pinned(ctx, 0, self, "-serve")
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close() // it ends by itself
		_ = cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the server did not say where it is: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

// undisturbed is a measurement that nobody else had a part in, as far as possible.
func (p *plan) undisturbed(ctx context.Context, self, client, scenario string) (result, error) {
	quiet := bench.Quiet{Wait: p.wait, Again: p.again, Own: func(ctx context.Context) (float64, error) {
		server, err := p.usage(ctx)
		return server.CPU, err
	}}
	if scenario == "idle" {
		quiet.Again = 0 // memory is the same on a busy machine
	}
	r, others, err := bench.Undisturbed(ctx, quiet, func(ctx context.Context) (result, float64, error) {
		return p.start(ctx, self, client, scenario)
	})
	r.Others = others
	return r, err
}

// start has a process measure, and tells how much CPU time it has used in all.
func (p *plan) start(ctx context.Context, self, client, scenario string) (r result, cpu float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.warm+p.time+patience)
	defer cancel()
	connections := p.connections
	if scenario == "idle" {
		connections = p.idle
	}
	var cmd *exec.Cmd
	if client == "js" {
		cmd = bench.Pinned(ctx, 1, "node", "--expose-gc", p.script, p.url, scenario, strconv.Itoa(connections),
			strconv.FormatInt(p.warm.Milliseconds(), 10), strconv.FormatInt(p.time.Milliseconds(), 10))
	} else {
		cmd = bench.Pinned(ctx, 1, self, "-client", client, "-scenario", scenario, "-url", p.url,
			"-connections", strconv.Itoa(p.connections), "-idle", strconv.Itoa(p.idle),
			"-warm", p.warm.String(), "-time", p.time.String(), "-profiles", p.profiles)
	}
	said, err := cmd.Output()
	if err != nil {
		return r, 0, err
	}
	if err := json.NewDecoder(bytes.NewReader(said)).Decode(&r); err != nil {
		return r, 0, fmt.Errorf("it said %q: %w", said, err)
	}
	if r.Events == 0 && r.Bytes == 0 {
		return r, 0, errors.New("nothing was measured")
	}
	return r, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}
