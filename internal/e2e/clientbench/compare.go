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
	"runtime"
	"strconv"
	"strings"
	"time"
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

// pinned is a command on a core of its own, where the system can do that and has one to spare.
func pinned(ctx context.Context, core int, name string, args ...string) *exec.Cmd {
	if taskset, err := exec.LookPath("taskset"); err == nil && runtime.NumCPU() > 1 {
		name, args = taskset, append([]string{"-c", strconv.Itoa(core), name}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// startServer starts the server and tells its URL.
func startServer(ctx context.Context, self string) (url string, stop func(), err error) {
	cmd := pinned(ctx, 0, self, "-serve")
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

// undisturbed measures until others have left the machine alone meanwhile, or as often as allowed; then it takes the one they have
// disturbed least.
func (p *plan) undisturbed(ctx context.Context, self, client, scenario string) (best result, err error) {
	for i := range p.again + 1 {
		if err := p.awaitQuiet(ctx); err != nil {
			return best, err
		}
		before, err := p.machine(ctx)
		if err != nil {
			return best, err
		}
		r, own, err := p.start(ctx, self, client, scenario)
		if err != nil {
			return best, err
		}
		after, err := p.machine(ctx)
		if err != nil {
			return best, err
		}
		r.Others = max(0, (after.busy-before.busy-own)/(after.all-before.all))
		if i == 0 || r.Others < best.Others {
			best = r
		}
		if best.Others <= disturbed || scenario == "idle" { // memory is the same on a busy machine
			break
		}
	}
	return best, nil
}

// awaitQuiet waits until nobody has used the machine for a second, but not too long.
func (p *plan) awaitQuiet(ctx context.Context) error {
	for end := time.Now().Add(p.wait); time.Now().Before(end); {
		before, err := p.machine(ctx)
		if err != nil {
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
		after, err := p.machine(ctx)
		if err != nil || after.busy-before.busy <= disturbed*(after.all-before.all) {
			return err
		}
	}
	return nil
}

// disturbed is the share of the machine that others may have while something is measured.
const disturbed = 0.05

// machine is the time of all cores so far, in seconds: all of it, and what somebody but the server has used.
type machine struct{ all, busy float64 }

// machine knows nothing but on Linux, where nobody seems to disturb.
func (p *plan) machine(ctx context.Context) (m machine, err error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return machine{all: float64(time.Now().Unix())}, nil
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	for i, field := range strings.Fields(line) {
		const user, idle, iowait, steal, perSecond = 1, 4, 5, 8, 100
		ticks, _ := strconv.ParseFloat(field, 64)
		if i < user || i > steal {
			continue
		}
		m.all += ticks / perSecond
		if i != idle && i != iowait {
			m.busy += ticks / perSecond
		}
	}
	server, err := p.usage(ctx)
	m.busy -= server.CPU
	return m, err
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
		cmd = pinned(ctx, 1, "node", "--expose-gc", p.script, p.url, scenario, strconv.Itoa(connections),
			strconv.FormatInt(p.warm.Milliseconds(), 10), strconv.FormatInt(p.time.Milliseconds(), 10))
	} else {
		cmd = pinned(ctx, 1, self, "-client", client, "-scenario", scenario, "-url", p.url,
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
