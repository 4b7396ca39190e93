package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

const module = "github.com/perch-go/perch/internal/e2e/"

// patience is how long one measurement may take beside what it is told to.
const patience = 2 * time.Minute

// runner measures, and prints what came of it.
type runner struct {
	*plan
	places places
	out    io.Writer // for tables
	record io.Writer // for all that the generator says
	all    results

	// watch looks at a server that is about to be measured, and look again when it was: what is different goes to the
	// generator's figures. Nil does nothing.
	watch func(ctx context.Context, addr string) (look func(figures map[string]any) error, err error)
}

// modes are what can be measured.
var modes = map[string]func(*runner, context.Context) error{
	"compare": (*runner).compare,
	"growth":  (*runner).growth,
	"hold":    (*runner).hold,
	"hostile": (*runner).hostile,
	"locks":   (*runner).locks,
	"ratios":  (*runner).ratios,
	"stalled": (*runner).stalled,
}

// measured does what the plan says with programs made for it.
func (p *plan) measured(ctx context.Context, out io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "serverbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	// With a separator at its end go build takes it for a folder.
	build := exec.CommandContext(ctx, "go", "build", "-o", folder+string(filepath.Separator), module+"loadgen", module+"conformance")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", build.Args, err, said)
	}
	places, err := p.places(folder)
	if err != nil {
		return err
	}
	r := &runner{plan: p, places: places, out: out, record: io.Discard, all: results{}}
	if p.json != "" {
		f, err := os.Create(p.json)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		r.record = f
	}
	fmt.Fprintf(out, "%s\n\n", about(ctx))
	return modes[p.mode](r, ctx)
}

// compare has every server measured in turns and prints the medians, also of what was measured before something failed.
func (r *runner) compare(ctx context.Context) error {
	defer func() {
		if len(r.all) > 0 {
			r.all.tables(r.out, r.scenarios, r.servers)
		}
	}()
	var turns []turn
	for _, scenario := range r.scenarios {
		for _, server := range r.servers {
			if !scenario.sio || server.mode == "sio" {
				turns = append(turns, turn{scenario, server})
			}
		}
	}
	return r.inTurns(ctx, turns)
}

// turn is a scenario of a server.
type turn struct {
	scenario
	server server
}

// turns are scenarios of one server.
func (s server) turns(scenarios []scenario) (turns []turn) {
	for _, scenario := range scenarios {
		turns = append(turns, turn{scenario, s})
	}
	return turns
}

// inTurns measures each once in a round.
func (r *runner) inTurns(ctx context.Context, turns []turn) error {
	for round := range r.rounds {
		for _, turn := range turns {
			scenario, server := turn.scenario, turn.server
			if round >= r.roundsOf(scenario) {
				continue
			}
			once, err := r.measure(ctx, server, scenario)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", server, scenario, err)
			}
			r.all.add(scenario, server, once)
			fmt.Fprintf(os.Stderr, "round %d: %-5s %-5s %s\n", round+1, scenario, server, once.describe(scenario))
			said := maps.Clone(once.figures)
			said["server"], said["scenario"], said["round"], said["others"] = server.name, scenario.name, round+1, once.others
			if err := json.NewEncoder(r.record).Encode(said); err != nil {
				return err
			}
		}
	}
	return nil
}

// measure has the generator measure a new process of a server, undisturbed as far as possible.
func (r *runner) measure(ctx context.Context, s server, what scenario) (result, error) {
	quiet := bench.Quiet{Wait: r.wait, Again: r.again}
	if what.figure == memory {
		quiet.Again = 0 // it is the same on a busy machine
	}
	figures, others, err := bench.Undisturbed(ctx, quiet, func(ctx context.Context) (map[string]any, float64, error) {
		ctx, cancel := context.WithTimeout(ctx, what.warmed(r.warm)+what.timed(r.time)+2*r.settle+patience)
		defer cancel()
		running, err := s.start(ctx, r.places)
		if err != nil {
			return nil, 0, err
		}
		look := func(map[string]any) error { return nil }
		if r.watch != nil {
			if look, err = r.watch(ctx, running.addr); err != nil {
				running.stop()
				return nil, 0, err
			}
		}
		figures, cpu, err := r.load(ctx, s, r.generator(what, s.mode, running.addr, running.cmd.Process.Pid))
		if err == nil {
			err = look(figures)
		}
		cpu += running.stop()
		if err != nil {
			return nil, 0, fmt.Errorf("%w\nthe server said: %s", err, running.complaints.Bytes())
		}
		return figures, cpu, nil
	})
	return result{figures, others}, err
}

// load has the generator put a server under load, and returns what it says and the CPU time that it has used.
func (r *runner) load(ctx context.Context, s server, args []string) (figures map[string]any, cpu float64, err error) {
	return generated(s.pinned(ctx, 1, r.places["loadgen"], args...))
}

// generated runs the generator.
func generated(generator *exec.Cmd) (figures map[string]any, cpu float64, err error) {
	var complaints bytes.Buffer
	generator.Stderr = &complaints
	generator.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	said, err := generator.Output()
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(said)).Decode(&figures)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w, the generator said: %s%s", err, said, complaints.Bytes())
	}
	return figures, cpuTime(generator), nil
}

// cpuTime is what a process has used that has ended; one that has not begun, nothing.
func cpuTime(cmd *exec.Cmd) float64 {
	if cmd.ProcessState == nil {
		return 0
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}
