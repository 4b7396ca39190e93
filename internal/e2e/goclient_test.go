package e2e

import (
	"context"
	"os/exec"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch/client"
)

// goCase is what package client has to do, on any way to any server. Rows of the specification stand in its name.
type goCase struct {
	name string
	run  func(v *visit)
}

// goCases are those of each server that is real; fakeCases are those that no real one can be brought to.
var goCases = slices.Concat(
	connectCases, refusalCases, urlCases, requestCases, upgradeCases, reconnectCases, attemptCases, leaveCases,
	managerCases, eventCases, listenerCases, binaryCases, ackCases, typedCases, bufferCases, retryCases, recoveryCases, packedCases,
)

// goWays are the transports that a client is told to use.
var goWays = map[string][]client.Transport{
	"polling": {client.Polling}, "websocket": {client.WebSocket}, "upgrade": {client.Polling, client.WebSocket},
}

// excused are the cases that a server, or a way, cannot be asked for, by the beginning of their names.
var excused = []struct{ server, way, cases, why string }{
	{"node 3.1.2", "", "recovery: ", "servers recover connections from 4.6 on"},
	{"node 3.1.2", "", "msgpack: ", "the parser is for servers of 4.x; its versions for 3.x speak another dialect"},
	{"node 3.1.2", "", "url: a path without its last slash", "servers have addTrailingSlash from 4.6 on"},
	{"node 3.1.2", "", "polling: what is sent together", "servers say how much they take from 4.4 on"},
	{"", "polling", "upgrade: ", "a client that has only polling does not upgrade"},
	{"", "websocket", "upgrade: ", "a client that has only WebSocket does not upgrade"},
	{"", "polling", "websocket: ", "there is no WebSocket"},
	{"", "websocket", "polling: ", "there are no polls"},
	{"", "upgrade", "polling: ", "what is sent by polling before the upgrade is a matter of chance"},
}

func excuse(server, way, name string) bool {
	for _, e := range excused {
		if (e.server == "" || e.server == server) && (e.way == "" || e.way == way) && strings.HasPrefix(name, e.cases) {
			return true
		}
	}
	return false
}

// leastCases is what a cell has to have, lest a table of cases gets lost.
var leastCases = map[string]int{"node 4.8.4": 260, "node 3.1.2": 235, "perch": 260, "fake": 22}

// TestGoClient is the matrix of servers and transports for the Go client. Its subtests are named server/transport/case,
// which runtests makes a table of.
func TestGoClient(t *testing.T) {
	packages(t)
	peers := []*peer{
		{name: "node 4.8.4", control: run(t, exec.Command("node", "differential/reference.mjs"))},
		{name: "node 3.1.2", control: run(t, exec.Command("node", "differential/reference.mjs", "socket.io-3"))},
		{name: "perch", control: startTwins(t)},
		{name: "fake"},
	}
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			cases := goCases
			if p.control == "" {
				cases = fakeCases
			}
			for _, way := range ways {
				wanted := slices.DeleteFunc(slices.Clone(cases), func(c goCase) bool { return excuse(p.name, way, c.name) })
				if n := len(wanted); n < leastCases[p.name] {
					t.Errorf("%s over %s: %d cases, want at least %d", p.name, way, n, leastCases[p.name])
				}
				t.Run(way, func(t *testing.T) {
					for _, c := range wanted {
						t.Run(c.name, func(t *testing.T) { c.play(t, p, way) })
					}
				})
			}
		})
	}
}

// play runs a case with clients of its own, and waits until no goroutine is left that it or they have started.
func (c goCase) play(t *testing.T, p *peer, way string) {
	t.Parallel()
	t.Cleanup(func() { vanish(t) })
	pprof.Do(t.Context(), pprof.Labels("case", t.Name()), func(context.Context) {
		c.run(&visit{T: t, peer: p, way: way, key: t.Name()})
	})
}

// vanish waits until no goroutine has the test's label, which goroutines inherit.
func vanish(t *testing.T) {
	left := ""
	defer func() {
		if left != "" {
			t.Log(left)
		}
	}()
	eventually(t, "no goroutine of the case is left", func() bool {
		var profile strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&profile, 1)
		left = ""
		for stack := range strings.SplitSeq(profile.String(), "\n\n") {
			if strings.Contains(stack, `"case":"`+t.Name()+`"`) {
				left += stack + "\n\n"
			}
		}
		return left == ""
	})
}

// Names are unique, and each excuse is somebody's.
func TestGoCases(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range slices.Concat(goCases, fakeCases) {
		switch {
		case names[c.name]:
			t.Errorf("%q is there twice", c.name)
		case strings.Contains(c.name, "/"):
			t.Errorf("%q: a slash parts subtests", c.name)
		case !strings.Contains(c.name, "C-"):
			t.Errorf("%q names no row", c.name)
		}
		names[c.name] = true
	}
	for _, e := range excused {
		if !slices.ContainsFunc(goCases, func(c goCase) bool { return strings.HasPrefix(c.name, e.cases) }) {
			t.Errorf("nobody is called %q…, who is excused because %s", e.cases, e.why)
		}
	}
}
