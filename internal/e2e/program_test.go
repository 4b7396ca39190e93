package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startTime is how long a program may take to say that it listens, on a machine that is busy with other tests.
	startTime = 30 * time.Second
	// stopTime is how long it may take to end when asked to. Its own grace is shorter.
	stopTime = 20 * time.Second
)

var builds = struct {
	sync.Mutex
	done map[string]error
}{done: map[string]error{}}

// build makes a program of the workspace, once for all tests that start it.
func build(t *testing.T, pkg string) (path string) {
	t.Helper()
	path = filepath.Join(scratch, filepath.Base(pkg))
	builds.Lock()
	defer builds.Unlock()
	err, built := builds.done[pkg]
	if !built {
		args := append([]string{"build"}, buildFlags...)
		cmd := exec.Command("go", append(args, "-o", path, pkg)...)
		if out, buildErr := cmd.CombinedOutput(); buildErr != nil {
			err = fmt.Errorf("%v: %w\n%s", cmd.Args, buildErr, out)
		}
		builds.done[pkg] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var listening = regexp.MustCompile(`^listening on (?:http://)?(\S+)$`)

// start runs a program until the test ends and returns the URL it serves. It is asked to end as a user would, and the
// test fails if it does not, ends by itself, or had a data race.
func start(t *testing.T, pkg string, args ...string) (url string) {
	t.Helper()
	return run(t, exec.Command(build(t, pkg), args...))
}

// run is start for a program of another make.
func run(t *testing.T, cmd *exec.Cmd) (url string) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	exited := make(chan error, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		exited <- cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err = <-exited:
		case <-time.After(stopTime):
			_ = cmd.Process.Kill()
			err = fmt.Errorf("still running %v after SIGTERM: %w", stopTime, <-exited)
		}
		if err != nil {
			t.Errorf("%v: %v", cmd.Args, err)
		}
		if bytes.Contains(stderr.Bytes(), []byte("DATA RACE")) {
			t.Errorf("%v: data race", cmd.Args)
		}
		if t.Failed() {
			t.Logf("%v said:\n%s", cmd.Args, tail(stderr.Bytes()))
		}
	})
	select {
	case hostport := <-address:
		return "http://" + hostport
	case err := <-exited:
		exited <- err
		t.Fatalf("%v ended instead of listening: %v\n%s", cmd.Args, err, stderr.Bytes())
	case <-time.After(startTime):
		t.Fatalf("%v did not say that it listens within %v", cmd.Args, startTime)
	}
	return ""
}

// tail is the end of a program's output.
func tail(out []byte) []byte {
	const most = 8 << 10
	return out[max(0, len(out)-most):]
}
