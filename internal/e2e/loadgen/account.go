//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// marks are where the counters stood when the measurement began.
type marks struct {
	at            int64
	own, server   float64
	cores         [2]core
	reads, writes uint64
}

func (g *generator) beginMeasuring() marks {
	g.count, g.measuring = 0, true
	g.from, g.to = g.now(), math.MaxInt64
	return marks{g.from, ownCPU(), bench.CPUTime(g.pid), cores(), g.reads, g.writes}
}

// endMeasuring: each event, if they are due in an open loop, makes so many complete.
func (g *generator) endMeasuring(m marks, each int) error {
	g.measuring, g.to = false, g.now()
	seconds := float64(g.to-m.at) / 1e9
	rate := float64(g.count) / seconds
	server := (bench.CPUTime(g.pid) - m.server) / seconds
	g.out["rate"], g.out["secs"] = rate, seconds
	g.out["loadgen_cpu"], g.out["server_cpu"] = (ownCPU()-m.own)/seconds, server
	if server > 0 {
		g.out["per_server_cpu_s"] = rate / server
	}
	for i, c := range cores() {
		if total := c.total - m.cores[i].total; total > 0 {
			g.out[fmt.Sprintf("cpu%d_busy", i)] = (c.busy - m.cores[i].busy) / total
			g.out[fmt.Sprintf("cpu%d_steal", i)] = (c.steal - m.cores[i].steal) / total
		}
	}
	if g.count > 0 {
		g.out["lg_reads_per_msg"] = float64(g.reads-m.reads) / float64(g.count)
		g.out["lg_writes_per_msg"] = float64(g.writes-m.writes) / float64(g.count)
	}
	var err error
	if g.due != nil {
		err = g.finish(seconds, each)
	}
	g.out["p50_us"], g.out["p99_us"], g.out["max_us"] = g.times.micros(.5), g.times.micros(.99), float64(g.times.max)/1e3
	return err
}

func ownCPU() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for oneself
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// core is what a core of the machine has done so far.
type core struct{ busy, total, steal float64 }

func cores() (all [2]core) {
	b, _ := os.ReadFile("/proc/stat")
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		for i := range all {
			const idle, iowait, steal = 4, 5, 8
			if len(fields) <= steal || fields[0] != fmt.Sprintf("cpu%d", i) {
				continue
			}
			for j, field := range fields[1 : steal+1] {
				ticks, _ := strconv.ParseFloat(field, 64)
				all[i].total += ticks
				if j+1 != idle && j+1 != iowait {
					all[i].busy += ticks
				}
				if j+1 == steal {
					all[i].steal += ticks
				}
			}
		}
	}
	return all
}

// resident is the memory of a process in bytes, 0 if it is not known.
func resident(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kilobytes * 1024
		}
	}
	return 0
}

// collect has the server collect its garbage and tells what it says about its memory.
func (g *generator) collect() (map[string]float64, error) { return g.tell("/gc") }

// tell is what the server says of itself; without -gc nothing.
func (g *generator) tell(path string) (map[string]float64, error) {
	if g.gc == "" {
		return nil, nil
	}
	web := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := web.Get("http://" + g.gc + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if path == "/stats" && resp.StatusCode == http.StatusNotFound {
		return nil, nil // it does not say
	}
	var said map[string]float64
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s, %w", path, resp.Status, err)
	}
	return said, nil
}
