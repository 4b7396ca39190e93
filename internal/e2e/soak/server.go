package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

const module = "github.com/perch-go/perch/internal/e2e/"

// process is the server.
type process struct {
	cmd        *exec.Cmd
	addr       string
	complaints complaints
	folder     string
	web        http.Client
}

// complaints is safe for concurrent use. It is the beginning of what the server says, and how much it says.
type complaints struct {
	mu    sync.Mutex
	begin bytes.Buffer
	lines int
}

func (c *complaints) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const most = 4 << 10
	c.lines += bytes.Count(b, []byte{'\n'})
	c.begin.Write(b[:min(len(b), max(0, most-c.begin.Len()))])
	return len(b), nil
}

func (c *complaints) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begin.String()
}

func (c *complaints) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lines
}

func startServer(ctx context.Context, program string) (p *process, err error) {
	p = &process{web: http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	if program == "" {
		if p.folder, err = os.MkdirTemp("", "soak-"); err != nil {
			return nil, err
		}
		program = filepath.Join(p.folder, "conformance")
		build := exec.CommandContext(ctx, "go", "build", "-o", program, module+"conformance")
		if said, err := build.CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("%v: %w\n%s", build.Args, err, said), os.RemoveAll(p.folder))
		}
	}
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, "-profile", "soak")
	p.cmd.Stderr = &p.complaints
	if p.addr, err = bench.Listening(p.cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("%v: %w\n%s", p.cmd.Args, err, p.complaints.String()), p.stop())
	}
	return p, nil
}

// stop asks the server to end, as its operator would.
func (p *process) stop() error {
	const grace = 20 * time.Second
	if p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(grace, func() { _ = p.cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := p.cmd.Wait()
	if err != nil {
		err = fmt.Errorf("the server: %w", err)
	}
	if p.folder != "" {
		err = errors.Join(err, os.RemoveAll(p.folder))
	}
	return err
}

// figures are what the server says of itself.
type figures map[string]float64

// look asks for them; with everything that is free given back if it is to be final.
func (p *process) look(ctx context.Context, final bool) (f figures, err error) {
	url := "http://" + p.addr + "/stats"
	if final {
		url += "?free"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := p.web.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return f, json.NewDecoder(resp.Body).Decode(&f)
}
