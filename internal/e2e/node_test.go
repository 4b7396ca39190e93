package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// suiteTime bounds one file of tests; the slowest takes some seconds.
const suiteTime = 5 * time.Minute

const install = `run "make install", or "npm ci" in internal/e2e (Node 20 or newer)`

// packages is where npm has put what package.json asks for.
func packages(t *testing.T) (dir string) {
	t.Helper()
	dir = "node_modules"
	if _, err := os.Stat(dir + "/.package-lock.json"); err != nil {
		t.Fatalf("the Node packages are not installed: %v; %s", err, install)
	}
	return dir
}

// suite runs a file of Node tests with the given variables, and reports each of its tests as a subtest. What the file
// needs and the machine lacks is a failure, never a skip: a suite that did not run has shown nothing. It returns the
// paths of the tests that ran.
func suite(t *testing.T, file string, env map[string]string) (ran [][]string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("no Node: %v; %s", err, install)
	}
	packages(t)
	ctx, cancel := context.WithTimeout(t.Context(), suiteTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "--test", "--test-reporter=./reporter.mjs", "--test-reporter-destination=stdout", file)
	// A group of its own: node --test runs the file in a process that has to end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = os.Environ()
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	failed, noise := 0, strings.Builder{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var result struct {
			Path   []string
			Failed bool
			Error  string
		}
		if json.Unmarshal(lines.Bytes(), &result) != nil || len(result.Path) == 0 {
			noise.Write(lines.Bytes())
			noise.WriteByte('\n')
			continue
		}
		ran = append(ran, result.Path)
		if result.Failed {
			failed++
		}
		t.Run(subtest(result.Path), func(t *testing.T) {
			if result.Failed {
				t.Errorf("%s: %s\n%s", file, strings.Join(result.Path, " > "), result.Error)
			}
		})
	}
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		t.Errorf("%s: not done within %v, after %d tests", file, suiteTime, len(ran))
	case err != nil && failed == 0:
		t.Errorf("%s: %v, though no test failed", file, err)
	case len(ran) == 0:
		t.Errorf("%s: no test ran", file)
	}
	if t.Failed() {
		t.Logf("%s\n%s%s", file, noise.String(), tail(stderr.Bytes()))
	}
	return ran
}

// subtest is a name go test can show and select: levels are parted by slashes, which names themselves may not have.
func subtest(path []string) string {
	names := make([]string, len(path))
	for i, name := range path {
		names[i] = strings.ReplaceAll(name, "/", "|")
	}
	return strings.Join(names, "/")
}
