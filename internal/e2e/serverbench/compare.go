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

// compare has every server measured in turns and prints the medians, also of what was measured before something failed.
func (p *plan) compare(ctx context.Context, out io.Writer) (err error) {
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
	record := io.Discard
	if p.json != "" {
		f, err := os.Create(p.json)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		record = f
	}
	all := results{}
	defer func() {
		if len(all) > 0 {
			all.tables(out, p.scenarios, p.servers)
		}
	}()
	fmt.Fprintf(out, "%s\n\n", about(ctx))
	for round := range p.rounds {
		for _, scenario := range p.scenarios {
			if round >= p.roundsOf(scenario) {
				continue
			}
			for _, server := range p.servers {
				if scenario.sio && server.mode != "sio" {
					continue
				}
				r, err := p.measure(ctx, places, server, scenario)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", server, scenario, err)
				}
				all.add(scenario, server, r)
				fmt.Fprintf(os.Stderr, "round %d: %-5s %-5s %s\n", round+1, scenario, server, r.describe(scenario))
				said := maps.Clone(r.figures)
				said["server"], said["scenario"], said["round"], said["others"] = server.name, scenario.name, round+1, r.others
				if err := json.NewEncoder(record).Encode(said); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// measure has the generator measure a new process of a server, undisturbed as far as possible.
func (p *plan) measure(ctx context.Context, places places, s server, what scenario) (result, error) {
	quiet := bench.Quiet{Wait: p.wait, Again: p.again}
	if what.figure == memory {
		quiet.Again = 0 // it is the same on a busy machine
	}
	figures, others, err := bench.Undisturbed(ctx, quiet, func(ctx context.Context) (map[string]any, float64, error) {
		ctx, cancel := context.WithTimeout(ctx, p.warm+p.time+2*p.settle+patience)
		defer cancel()
		running, err := s.start(ctx, places)
		if err != nil {
			return nil, 0, err
		}
		generator := bench.Pinned(ctx, 1, places["loadgen"], p.generator(what, s.mode, running.addr, running.cmd.Process.Pid)...)
		var complaints bytes.Buffer
		generator.Stderr = &complaints
		generator.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
		said, err := generator.Output()
		cpu := running.stop() + cpuTime(generator)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %s%s\nthe server said: %s", err, said, complaints.Bytes(), running.complaints.Bytes())
		}
		var figures map[string]any
		if err := json.NewDecoder(bytes.NewReader(said)).Decode(&figures); err != nil {
			return nil, 0, fmt.Errorf("the generator said %q: %w", said, err)
		}
		return figures, cpu, nil
	})
	return result{figures, others}, err
}

// cpuTime is what a process has used that has ended.
func cpuTime(cmd *exec.Cmd) float64 {
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}
