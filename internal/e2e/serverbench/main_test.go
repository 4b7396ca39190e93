package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/internal/e2e/bench"
)

// TestMain is the program itself where compare has started it again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "-wire" || os.Args[1] == "-assault") {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// short is too short to mean anything.
var short = []string{
	"-rounds", "1", "-again", "0", "-wait", "0s", "-connections", "3", "-members", "5", "-idle", "20",
	"-warm", "20ms", "-time", "500ms", "-settle", "0s", "-scripts", ".",
}

// rows of all tables, by what is in the first column.
func rows(out string) map[string][]string {
	rows := map[string][]string{}
	for line := range strings.Lines(out) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		rows[cells[0]] = append(rows[cells[0]], cells[1:]...)
	}
	return rows
}

// TestCompare has all servers measured, and ours once more as somebody else's.
func TestCompare(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "record")
	var out bytes.Buffer
	args := append(slices.Clone(short), "-scenarios", "e1", "-with", "again=conformance -profile bench", "-json", record)
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	const columns, tables = 6, 4
	row := rows(out.String())["e1"]
	if len(row) != columns*tables || slices.Contains(row, bench.None) || !strings.HasSuffix(row[0], " /s (1.00)") {
		t.Errorf("%q in\n%s", row, out.String())
	}
	written, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var servers []any
	for line := range bytes.Lines(written) {
		var said map[string]any
		if err := json.Unmarshal(line, &said); err != nil {
			t.Fatal(err)
		}
		servers = append(servers, said["server"])
		if rate, _ := said["rate"].(float64); rate < 10 || said["server_cpu"] == nil || said["scenario"] != "e1" || said["round"] != 1.0 {
			t.Errorf("%s", line)
		}
	}
	if want := []any{"node", "nest", "perch", "plain", "wire", "again"}; !slices.Equal(servers, want) {
		t.Errorf("measured %v, want %v", servers, want)
	}
}

// TestWire has the limit do what the generator checks.
func TestWire(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), append(slices.Clone(short), "-servers", "wire", "-scenarios", "e16,b8,conn,poll"), &out); err != nil {
		t.Fatal(err)
	}
	all := rows(out.String())
	for scenario, measured := range map[string]bool{"e16": true, "b8": true, "conn": true, "poll": false} {
		if row := all[scenario]; len(row) != 4 || slices.Contains(row, bench.None) == measured {
			t.Errorf("%s: %q", scenario, row)
		}
	}
}

// A server that does not do what it should ends the comparison, and what was measured before is not lost.
func TestFailure(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ with, want string }{
		"another protocol": {"other=serverbench -wire", "no upgrade"},
		"ends":             {"other=conformance -profile none", "unknown -profile"},
		"is not there":     {"other=" + filepath.Join(t.TempDir(), "none"), "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			err := run(t.Context(), append(slices.Clone(short), "-servers", "wire", "-scenarios", "e1", "-with", tt.with), &out)
			if err == nil || !strings.Contains(err.Error(), "other, e1") || !strings.Contains(err.Error(), tt.want) {
				t.Error(err)
			}
			if row := rows(out.String())["e1"]; len(row) != 8 || row[0] == bench.None || row[1] != bench.None {
				t.Errorf("%q", row)
			}
		})
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	all := results{}
	figures := func(server server, scenario scenario, name string, values ...float64) {
		for _, v := range values {
			all.add(scenario, server, result{figures: map[string]any{name: v, "server_cpu": 0.5, "loadgen_cpu": 0.96, "p99_us": 1500.0}})
		}
	}
	e1, idle := allScenarios[0], allScenarios[7]
	node, perch := allServers[0], allServers[2]
	figures(node, e1, rate, 30_000, 10_000, 20_000)
	figures(perch, e1, rate, 100_000)
	figures(perch, idle, memory, 2000, 4000)
	var out bytes.Buffer
	all.tables(&out, []scenario{e1, idle}, []server{node, perch})
	const want = `| (times node) | node | perch |
| --- | --- | --- |
| e1 | 20,000 /s (1.00) | 100,000 /s (5.00) |
| idle | – | 3,000 B (–) |

| CPU time of the server for each | node | perch |
| --- | --- | --- |
| e1 | 25.00 µs | 5.00 µs |

| time until the answer, of which 99 % stay below | node | perch |
| --- | --- | --- |
| e1 | 1.50 ms | 1.50 ms |

| the generator's core was used | node | perch |
| --- | --- | --- |
| e1 | 96 % | 96 % |
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	p, err := parse([]string{"-servers", "perch,node", "-with", "old=./old -x", "-scenarios", "b8"})
	if err != nil || names(p.servers) != "perch,node,old" || len(p.servers[2].command) != 2 || names(p.scenarios) != "b8" {
		t.Error(p, err)
	}
	for _, wrong := range []string{"-servers=x", "-scenarios=e1,x", "-with=x", "-with=x="} {
		if _, err := parse([]string{wrong}); err == nil {
			t.Errorf("%s passes", wrong)
		}
	}
	if p := (&plan{rounds: 5}); p.roundsOf(allScenarios[0]) != 5 || p.roundsOf(allScenarios[7]) != 2 {
		t.Error("memory is measured as often as rates")
	}
}

// tableOf is rows of the table whose head begins so.
func tableOf(out, head string) map[string][]string {
	for part := range strings.SplitSeq(out, "\n\n") {
		if strings.HasPrefix(part, "| "+head) {
			return rows(part)
		}
	}
	return nil
}

// TestGrowth measures how little grows to a little more.
func TestGrowth(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	args := append(slices.Clone(short), "-measure", "growth", "-half", "3,6", "-connected", "1,4", "-rooms", "1,5")
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err, out.String())
	}
	for head, want := range map[string]struct {
		rows    []string
		columns int
	}{
		"connections of perch, ":    {[]string{"3", "6"}, 7},
		"connections of perch, at ": {[]string{"1", "4"}, 6},
		"members of a room of ":     {[]string{"1", "5"}, 6},
	} {
		table := tableOf(out.String(), head)
		for _, row := range want.rows {
			if cells := table[row]; len(cells) != want.columns || !strings.Contains(cells[0], " /s") || !strings.HasSuffix(cells[1], " µs") {
				t.Errorf("%s: %q for %s in\n%s", head, cells, row, out.String())
			}
		}
	}
	if rows := tableOf(out.String(), "connections of perch, at "); rows["1"][2] != bench.None || rows["4"][4] == bench.None {
		t.Errorf("%q", rows)
	}
	err := run(t.Context(), append(slices.Clone(short), "-measure", "growth", "-servers", "wire"), &out)
	if err == nil || !strings.Contains(err.Error(), "wire has no rooms") {
		t.Error(err)
	}
}

// TestHold has connections of two processes held at once.
func TestHold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	args := append(slices.Clone(short), "-measure", "hold", "-processes", "2", "-held", "10", "-hold", "10ms")
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err, out.String())
	}
	table := tableOf(out.String(), "20 connections of perch")
	if lost := table["connections lost"]; !slices.Equal(lost, []string{"0"}) || len(table) < 10 {
		t.Errorf("%q in\n%s", lost, out.String())
	}
	if n := table["goroutines of all servers"]; len(n) != 1 || n[0] == "0" {
		t.Errorf("%q in\n%s", n, out.String())
	}
	for _, tt := range []struct{ with, want string }{
		{"other=serverbench -wire", "no upgrade"},
		{"other=conformance -profile none", "unknown -profile"},
	} {
		err := run(t.Context(), append(slices.Clone(args), "-servers", "wire", "-processes", "1", "-with", tt.with), &out)
		if err == nil || !strings.Contains(err.Error(), "other: ") || !strings.Contains(err.Error(), tt.want) {
			t.Error(err)
		}
	}
	if err := run(t.Context(), append(slices.Clone(args), "-held", "2000000000"), &out); err == nil || !strings.Contains(err.Error(), "ulimit -Hn") {
		t.Error(err)
	}
}

// TestStalled has a member that does not read, until it is disconnected.
func TestStalled(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	args := append(slices.Clone(short), "-measure", "stalled", "-audience", "4", "-servers", "perch,node", "-time", "200ms")
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err, out.String())
	}
	all, state := rows(out.String()), 8
	for name, want := range map[string]string{
		"one stalls, at most 65536 bytes may be queued for each": "disconnected, 4 sockets at the end",
		"all read": bench.None,
	} {
		if cells := all[name]; len(cells)%(state+1) != 0 || len(cells) == 0 || !strings.Contains(cells[0], " /s") || cells[state] != want {
			t.Errorf("%s: %q in\n%s", name, cells, out.String())
		}
	}
	if cells := all["one stalls"]; len(cells) != 2*(state+1) || cells[2*state+1] != "held, 5 sockets at the end" {
		t.Errorf("%q in\n%s", cells, out.String())
	}
	err := run(t.Context(), append(slices.Clone(args), "-servers", "plain"), &out)
	if err == nil || !strings.Contains(err.Error(), "only for servers of Socket.IO") {
		t.Error(err)
	}
}

// TestLocks has the locks looked at of a server that records who waits for them, and of no other.
func TestLocks(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	args := append(slices.Clone(short), "-measure", "locks", "-time", "200ms", "-servers", "plain")
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err, out.String())
	}
	all := tableOf(out.String(), "plain on 2 cores")
	for _, scenario := range []string{"e1", "e16", "b8", "conn"} {
		cells := all[scenario]
		if len(cells) != 8 || !strings.HasSuffix(cells[0], " /s") || !strings.HasSuffix(cells[2], " %") || !strings.HasSuffix(cells[5], " %") {
			t.Errorf("%s: %q in\n%s", scenario, cells, out.String())
		}
	}
	err := run(t.Context(), append(slices.Clone(args), "-servers", "wire"), &out)
	if err == nil || !strings.Contains(err.Error(), "only for servers of ours") {
		t.Error(err)
	}
}
