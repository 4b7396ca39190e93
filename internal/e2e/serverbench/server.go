package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// server is one that is measured: how it is started, and the generator's mode for it.
type server struct {
	name    string
	command []string // a word of places stands for what it names
	mode    string
	cores   int // more than one: it has so many and shares them with the generator
}

func (s server) String() string { return s.name }

var allServers = []server{
	{name: "node", command: []string{"node", "--expose-gc", "socketio.mjs"}, mode: "sio"},
	{name: "nest", command: []string{"node", "--expose-gc", "nest.mjs"}, mode: "sio"},
	{name: "perch", command: []string{"conformance", "-profile", "bench"}, mode: "sio"},
	{name: "plain", command: []string{"conformance", "-profile", "bench"}, mode: "plain"},
	{name: "wire", command: []string{"serverbench", "-wire"}, mode: "raw"},
}

// places is where programs and scripts are.
type places map[string]string

func (p *plan) places(built string) (places, error) {
	self, err := os.Executable()
	return places{
		"serverbench":  self,
		"loadgen":      filepath.Join(built, "loadgen"),
		"conformance":  filepath.Join(built, "conformance"),
		"socketio.mjs": filepath.Join(p.scripts, "socketio.mjs"),
		"nest.mjs":     filepath.Join(p.scripts, "nest.mjs"),
	}, err
}

// pinned is a command on a core of its own, unless the server has more.
func (s server) pinned(ctx context.Context, core int, name string, args ...string) *exec.Cmd {
	if s.cores > 1 {
		return exec.CommandContext(ctx, name, args...)
	}
	return bench.Pinned(ctx, core, name, args...)
}

// process is a server that runs.
type process struct {
	cmd        *exec.Cmd
	addr       string
	cancel     context.CancelFunc
	complaints bytes.Buffer
}

// start returns when the server listens.
func (s server) start(ctx context.Context, places places) (*process, error) {
	var words []string
	for _, word := range s.command {
		if place, ok := places[word]; ok {
			word = place
		}
		words = append(words, word)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &process{cmd: s.pinned(ctx, 0, words[0], words[1:]...), cancel: cancel}
	const grace = 5 * time.Second
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = grace
	p.cmd.Stderr = &p.complaints
	if s.cores > 1 {
		p.cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", s.cores))
	}
	var err error
	if p.addr, err = bench.Listening(p.cmd); err != nil {
		p.stop()
		return nil, fmt.Errorf("%v: %w\n%s", words, err, p.complaints.Bytes())
	}
	return p, nil
}

// stop ends it and tells the CPU time that it has used.
func (p *process) stop() float64 {
	p.cancel()
	_ = p.cmd.Wait() // by a signal
	return cpuTime(p.cmd)
}
