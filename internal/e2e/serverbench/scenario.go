package main

import (
	"strconv"
	"strings"
	"time"
)

// scenario is what the load generator is told to do, and which of its figures counts.
type scenario struct {
	name   string
	flags  string
	sio    bool // there is none but for Socket.IO
	figure string

	connections int // zero: by what it is, the plan's
	warm, time  int // times the plan's; zero is once
}

func (s scenario) String() string { return s.name }

const (
	rate   = "rate"
	memory = "rss_per_conn_warm_gc"
)

var allScenarios = []scenario{
	{name: "e1", flags: "-scenario echo -w 1 -size 32", figure: rate},
	{name: "e16", flags: "-scenario echo -w 16 -size 32", figure: rate},
	{name: "e1k", flags: "-scenario echo -w 1 -size 1024", figure: rate},
	{name: "b1", flags: "-scenario bcast -size 32 -depth 1", figure: rate},
	{name: "b8", flags: "-scenario bcast -size 32 -depth 8", figure: rate},
	{name: "conn", flags: "-scenario connect -conc 64", figure: rate},
	{name: "poll", flags: "-scenario polling -size 32", figure: rate, sio: true},
	{name: "idle", flags: "-scenario idle -conc 128", figure: memory},
	{name: "idleb", flags: "-scenario idle -conc 128 -headers browser", figure: memory},
}

func (s scenario) warmed(d time.Duration) time.Duration { return d * time.Duration(max(s.warm, 1)) }

func (s scenario) timed(d time.Duration) time.Duration { return d * time.Duration(max(s.time, 1)) }

// roundsOf is how often it is measured: memory hardly varies.
func (p *plan) roundsOf(s scenario) int {
	if s.figure == memory {
		return min(p.rounds, 2)
	}
	return p.rounds
}

// generator is the arguments of the load generator.
func (p *plan) generator(s scenario, mode, addr string, pid int) []string {
	connections := p.connections
	switch {
	case s.connections > 0:
		connections = s.connections
	case s.figure == memory:
		connections = p.idle
	case strings.Contains(s.flags, "bcast"):
		connections = p.members
	}
	return append(strings.Fields(s.flags),
		"-addr", addr, "-gc", addr, "-mode", mode, "-pid", strconv.Itoa(pid), "-c", strconv.Itoa(connections),
		"-t", seconds(s.timed(p.time)), "-warm", seconds(s.warmed(p.warm)), "-settle", seconds(p.settle))
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
