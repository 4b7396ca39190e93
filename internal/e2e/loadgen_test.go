//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"os/exec"
	"strings"
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
		"connect":        {"-scenario connect", nil},
		"connect, plain": {"-scenario connect -mode plain -headers browser", nil},
		"bcast": {"-scenario bcast -depth 4", func(figure func(string) float64) string {
			return about("ten deliveries for each broadcast", figure("rate")*figure("secs"), figure("broadcasts")*10, 50)
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
		"no namespace":       {"-ns /other -scenario hold", nil, `a wrong answer: "44/other`},
		"not its path":       {"-mode plain", nil, `no upgrade: "HTTP/1.1 400`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := socketio.New(socketio.Options{Engine: engineio.Options{Logger: quiet}})
			if err != nil {
				t.Fatal(err)
			}
			s.Handle("echo", func(_ context.Context, e *socketio.Event) { tt.echo(e) })
			s.Handle("bcast", func(_ context.Context, e *socketio.Event) {
				var text string
				_ = e.Decode(0, &text)
				_ = s.Emit("bcast", text)
				_ = s.Emit("bcast", text)
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
