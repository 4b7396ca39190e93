//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

const loadgen = "github.com/perch-go/perch/internal/e2e/loadgen"

// generate runs the load generator for a moment and returns what it has printed.
func generate(t *testing.T, url string, args ...string) (out map[string]any, stderr string, err error) {
	t.Helper()
	addr := strings.TrimPrefix(url, "http://")
	short := []string{"-addr", addr, "-c", "10", "-conc", "5", "-t", "0.2", "-warm", "0.1", "-settle", "0", "-gc", addr}
	cmd := exec.Command(build(t, loadgen), append(short, args...)...)
	var stdout, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &complaints
	err = cmd.Run()
	last := bytes.TrimSpace(stdout.Bytes())
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	if bad := json.Unmarshal(last, &out); bad != nil {
		t.Fatalf("%v printed %q: %v; %s", cmd.Args, stdout.Bytes(), bad, complaints.Bytes())
	}
	return out, complaints.String(), err
}

// TestLoadgen has each scenario measure the server that it is for, too short to mean anything.
func TestLoadgen(t *testing.T) {
	t.Parallel()
	about := func(want string, is, should, tolerance float64) string {
		if is < should-tolerance || is > should+tolerance {
			return want
		}
		return ""
	}
	for name, tt := range map[string]struct {
		args  string
		check func(figure func(string) float64) string // what is wrong
	}{
		"echo":           {"-scenario echo", nil},
		"echo, 16":       {"-scenario echo -w 16 -size 1024", nil},
		"echo, large":    {"-scenario echo -size 70000 -c 2", nil},
		"echo, plain":    {"-scenario echo -w 16 -mode plain", nil},
		"echo, in turns": {"-scenario echo -active 3", nil},
		"echo, open": {"-scenario echo -rate 100 -w 4", func(figure func(string) float64) string {
			if figure("asked") != 100 || figure("unanswered") != 0 || figure("max_us") <= 0 {
				return "an answer to each of 100 a second"
			}
			return ""
		}},
		"echo, behind": {"-scenario echo -rate 1e7", func(figure func(string) float64) string {
			// Half of them were due in the first half of the time. That each was answered at once does not count.
			if figure("unanswered") == 0 || figure("p50_us") < figure("secs")*.4e6 {
				return "times that begin when events are due"
			}
			return ""
		}},
		"connect":        {"-scenario connect", nil},
		"connect, plain": {"-scenario connect -mode plain -headers browser", nil},
		"bcast": {"-scenario bcast -depth 4", func(figure func(string) float64) string {
			return about("ten deliveries for each broadcast", figure("rate")*figure("secs"), figure("broadcasts")*10, 50)
		}},
		"bcast, room": {"-scenario bcast -members 3", func(figure func(string) float64) string {
			return about("three deliveries for each broadcast", figure("rate")*figure("secs"), figure("broadcasts")*3, 3)
		}},
		"bcast, room, plain": {"-scenario bcast -members 1 -mode plain", nil},
		"bcast, open": {"-scenario bcast -rate 50", func(figure func(string) float64) string {
			if figure("asked") != 500 || figure("unanswered") != 0 {
				return "ten deliveries of each of 50 broadcasts a second"
			}
			return about("what was due", figure("broadcasts"), figure("secs")*50, 2)
		}},
		"bcast, plain": {"-scenario bcast -mode plain", func(figure func(string) float64) string {
			return about("ten deliveries for each broadcast", figure("rate")*figure("secs"), figure("broadcasts")*10, 10)
		}},
		"polling": {"-scenario polling", func(figure func(string) float64) string {
			if figure("ready") != 10 {
				return "all clients"
			}
			return about("two requests for each cycle", figure("rate")*figure("secs"), figure("cycles")*2, 20)
		}},
		"idle": {"-scenario idle -headers browser", func(figure func(string) float64) string {
			if figure("connects_per_s") <= 0 || figure("goroutines") < 1 || figure("rss0_mb") != 0 {
				return "a time, goroutines, and no memory of a process that is not known"
			}
			return ""
		}},
		"hold": {"-scenario hold -hold 0.1", func(figure func(string) float64) string {
			if figure("rss_self_kb_ready") <= 0 {
				return "its own memory"
			}
			return ""
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t, conformance, "-profile", "bench") // each its own, as a broadcast goes to everybody
			out, stderr, err := generate(t, url, strings.Fields(tt.args)...)
			if err != nil || out["dead"] != 0.0 || out["err"] != nil {
				t.Fatalf("%v, %s: %v", err, stderr, out)
			}
			figure := func(name string) float64 { v, _ := out[name].(float64); return v }
			if _, measured := out["rate"]; measured && figure("rate") < 10 {
				t.Errorf("a rate of %v", out["rate"])
			}
			if tt.check == nil {
				return
			}
			if want := tt.check(figure); want != "" {
				t.Errorf("want %s: %v", want, out)
			}
		})
	}
}

// A server that answers wrongly is no fast one.
func TestLoadgenNotices(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args string
		echo func(e *socketio.Event)
		want string
	}{
		"another text":       {"", func(e *socketio.Event) { _ = e.Ack("abcdefghijklmnopqrstuvwxyz012346") }, `a wrong answer: "430[`},
		"no text":            {"", func(e *socketio.Event) { _ = e.Ack() }, `a wrong answer: "430[]"`},
		"another text, poll": {"-scenario polling", func(e *socketio.Event) { _ = e.Ack("x") }, `a wrong answer: "430[\"x\"]"`},
		"an event":           {"", func(e *socketio.Event) { _ = e.Socket().Emit("echo", "x") }, "a wrong answer"},
		"nothing":            {"", func(*socketio.Event) {}, "nothing was answered"},
		"nothing, poll":      {"-scenario polling -t 0.01", func(*socketio.Event) {}, "nothing was answered"},
		"goes":               {"-scenario idle -gc=", func(e *socketio.Event) { e.Socket().Disconnect(true) }, "the server closed the connection"},
		"two broadcasts":     {"-scenario bcast", nil, "a broadcast that was not asked for"},
		"all, not the room":  {"-scenario bcast -members 3", nil, "a broadcast that was not asked for"},
		"no namespace":       {"-ns /other -scenario hold -gc=", nil, `a wrong answer: "44/other`},
		"not its path":       {"-mode plain", nil, `no upgrade: "HTTP/1.1 400`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := socketio.New(socketio.Options{Engine: engineio.Options{Logger: quiet}})
			if err != nil {
				t.Fatal(err)
			}
			s.Handle("echo", func(_ context.Context, e *socketio.Event) { tt.echo(e) })
			emit := func(times int) func(context.Context, *socketio.Event) {
				return func(_ context.Context, e *socketio.Event) {
					var text string
					_ = e.Decode(0, &text)
					for range times {
						_ = s.Emit("bcast", text)
					}
				}
			}
			s.Handle("bcast", emit(2))
			s.Handle("room", emit(1))
			s.Handle("join", func(_ context.Context, e *socketio.Event) {
				var text string
				_ = e.Decode(0, &text)
				_ = e.Ack(text)
			})
			web := httptest.NewServer(s)
			t.Cleanup(func() {
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				web.Close()
			})
			out, stderr, err := generate(t, web.URL, strings.Fields(tt.args)...)
			if err == nil || !strings.Contains(stderr, tt.want) {
				t.Errorf("%v, %s: %v", err, stderr, out)
			}
		})
	}
}

// A member that does not read is held within its budget or disconnected, and the others get what they should.
func TestLoadgenStalled(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args, budget string
		cut          float64
	}{
		"held":               {"-rate 50", "0", 0},
		"held, of a room":    {"-rate 50 -members 3", "0", 0},
		"disconnected":       {"-rate 200 -t 0.5", "65536", 2},
		"disconnected, loop": {"-depth 4 -t 0.5", "65536", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t, conformance, "-profile", "bench", "-outbound", tt.budget)
			out, stderr, err := generate(t, url, strings.Fields("-scenario bcast -stalled 2 -size 1024 "+tt.args)...)
			if err != nil || out["dead"] != 0.0 || out["stalled_cut"] != tt.cut || out["server_sockets"] != 12-tt.cut {
				t.Errorf("%v, %s: %v", err, stderr, out)
			}
			if left, _ := out["stalled_left"].(float64); left == 0 {
				t.Errorf("the server took it all: %v", out)
			}
		})
	}
}

// Connections are held until who has started it has seen enough.
func TestLoadgenHoldsUntilInterrupted(t *testing.T) {
	t.Parallel()
	addr := strings.TrimPrefix(start(t, conformance, "-profile", "bench"), "http://")
	cmd := exec.Command(build(t, loadgen), "-scenario", "hold", "-addr", addr, "-c", "10", "-hold", "3600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "READY {") {
		t.Errorf("%q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	var said struct {
		Dead int     `json:"dead"`
		Held float64 `json:"held_s"`
	}
	said.Dead = -1
	lines.Scan()
	if err := json.Unmarshal(lines.Bytes(), &said); err != nil || said.Dead != 0 || said.Held <= 0 || said.Held > 600 {
		t.Errorf("%q: %v", lines.Bytes(), err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
