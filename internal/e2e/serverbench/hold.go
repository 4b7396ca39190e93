package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// hold is many connections at once: as many processes of a server as it takes, each with a generator of its own, since a process
// has no more descriptors. Each connection is used once.
func (r *runner) hold(ctx context.Context) error {
	if err := bench.EnoughFiles(r.held); err != nil {
		return err
	}
	for _, s := range r.servers {
		if err := r.holdOf(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (r *runner) holdOf(ctx context.Context, s server) (err error) {
	before := meminfo()
	var holders []*holder
	defer func() {
		for _, h := range holders {
			h.stop()
		}
	}()
	for i := range r.processes {
		h, err := r.holder(ctx, s, i)
		if err != nil {
			return err
		}
		holders = append(holders, h)
		fmt.Fprintf(os.Stderr, "%s: %d connections, %s of the last process each\n", s, (i+1)*r.held, inBytes(h.figure(memory)))
	}
	select {
	case <-time.After(r.holdFor):
	case <-ctx.Done():
		return ctx.Err()
	}
	after := meminfo()
	for _, h := range holders {
		if err := h.finish(); err != nil {
			return err
		}
		if err := json.NewEncoder(r.record).Encode(h.figures); err != nil {
			return err
		}
	}
	sum := func(name string) (total float64) {
		for _, h := range holders {
			total += h.figure(name)
		}
		return total
	}
	fewest := math.Inf(1)
	for _, h := range holders {
		fewest = min(fewest, h.figure("hold_fewest_pings"))
	}
	processes, n := float64(r.processes), float64(r.processes*r.held)
	each := func(name string) float64 { return sum(name) / processes }
	grown := func(name string) float64 { return after[name] - before[name] }
	percent := func(v float64) string { return with(v*100, " % of a core", decimals(1)) }
	table(r.out, []string{fmt.Sprintf("%s connections of %s, in %d processes, each used once", bench.Figure(n), s, r.processes), ""}, [][]string{
		{"resident each, of the servers", inBytes(each("rss_per_conn_warm"))},
		{"after a collection", inBytes(each(memory))},
		{"goroutines of all servers", bench.Figure(sum("goroutines"))},
		{"of the kernel (its slabs) each, both ends", inBytes(grown("Slab") / n)},
		{"of the generators each", inBytes(sum("rss_self_kb_ready") * 1024 / n)},
		{"of the machine's memory in all", with(-grown("MemAvailable")/(1<<20), " MiB", bench.Figure)},
		{"time to connect each", micros(sum("setup_s") / n * 1e6)},
		{"CPU time of that", micros(each("setup_server_cpu_us_per_conn"))},
		{fmt.Sprintf("CPU of the servers while they are held, %.0f s at least", holders[len(holders)-1].figure("held_s")), percent(sum("hold_server_cpu"))},
		{"of the generators", percent(sum("hold_cpu"))},
		{"pings answered meanwhile", fmt.Sprintf("%s, of each connection %.0f at least", bench.Figure(sum("hold_pings")), fewest)},
		{"connections lost", fmt.Sprint(sum("dead"))},
	})
	return nil
}

// holder is a server with a generator that holds its connections.
type holder struct {
	result
	server    *process
	generator *exec.Cmd
	said      *bufio.Reader

	complaints bytes.Buffer // of the generator
}

// holder returns when the connections are there.
func (r *runner) holder(ctx context.Context, s server, number int) (*holder, error) {
	running, err := s.start(ctx, r.places)
	if err != nil {
		return nil, err
	}
	const longest = 24 * time.Hour // until it is told to end
	what := scenario{flags: "-scenario hold -conc 128 -hold " + seconds(longest), connections: r.held}
	args := append(r.generator(what, s.mode, running.addr, running.cmd.Process.Pid), "-srcbase", strconv.Itoa(1+number))
	h := &holder{server: running, generator: bench.Pinned(ctx, 1, r.places["loadgen"], args...)}
	h.generator.Stderr = &h.complaints
	out, err := h.generator.StdoutPipe()
	if err == nil {
		h.said = bufio.NewReader(out)
		err = h.generator.Start()
	}
	if err != nil {
		running.stop()
		return nil, err
	}
	if err := h.hear("READY "); err != nil {
		h.stop()
		return nil, err
	}
	return h, nil
}

// hear is what the generator says next.
func (h *holder) hear(prefix string) error {
	line, err := h.said.ReadString('\n')
	if err != nil {
		_ = h.generator.Wait() // it has ended, and complains
		return fmt.Errorf("the generator said %q and no more: %s%w", line, h.complaints.Bytes(), err)
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, prefix)), &h.figures); err != nil {
		return fmt.Errorf("the generator said %q: %w", line, err)
	}
	return nil
}

// finish ends the generator, which tells how it went.
func (h *holder) finish() error {
	if err := h.generator.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := h.hear(""); err != nil {
		return err
	}
	if err := h.generator.Wait(); err != nil {
		return fmt.Errorf("the generator: %w: %s", err, h.complaints.Bytes())
	}
	return nil
}

// stop ends what still runs.
func (h *holder) stop() {
	_ = h.generator.Process.Kill()
	_ = h.generator.Wait()
	h.server.stop()
}

// meminfo is what the machine's memory is used for, in bytes; empty where it is not known, which is not on Linux.
func meminfo() map[string]float64 {
	all := map[string]float64{}
	b, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			kilobytes, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			all[name] = kilobytes * 1024
		}
	}
	return all
}
