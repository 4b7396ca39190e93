package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

func main() {
	times, testFlags, err := arguments(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "runtests:", err)
		os.Exit(2)
	}
	dirs, err := modules()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runtests:", err)
		os.Exit(2)
	}
	t := newTally(os.Stdout, times > 1)
	for run := 1; run <= times; run++ {
		if times > 1 {
			fmt.Printf("run %d of %d\n", run, times)
		}
		for _, dir := range dirs {
			if err := test(t, dir, testFlags); err != nil {
				t.fail(dir, err.Error())
			}
		}
	}
	if !t.report() {
		os.Exit(1)
	}
}

// arguments takes -times n from the front; the rest is for go test.
func arguments(args []string) (times int, testFlags []string, err error) {
	times = 1
	if len(args) > 1 && strings.TrimLeft(args[0], "-") == "times" {
		if times, err = strconv.Atoi(args[1]); err != nil || times < 1 {
			return 0, nil, fmt.Errorf("-times wants a number above 0, not %q", args[1])
		}
		args = args[2:]
	}
	for _, a := range args {
		if a == "-h" || a == "-help" || a == "--help" {
			return 0, nil, flag.ErrHelp
		}
		if !strings.HasPrefix(a, "-") {
			return 0, nil, fmt.Errorf("%q is no flag: every package of every module is tested", a)
		}
	}
	return times, args, nil
}

// modules lists the directories of the workspace's modules, the core first.
func modules() ([]string, error) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// test runs one module. The result is an error only if go test failed and no event says why.
func test(t *tally, dir string, flags []string) error {
	// -count=1: the suites start other programs, which the test cache does not see.
	args := append([]string{"test", "-json", "-count=1"}, flags...)
	cmd := exec.Command("go", append(args, "./...")...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = io.MultiWriter(os.Stderr, &stderr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := t.failures()
	readErr := t.read(out)
	err = cmd.Wait()
	if readErr != nil {
		return readErr
	}
	if _, exited := errors.AsType[*exec.ExitError](err); exited && t.failures() > before {
		return nil
	}
	if err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	if strings.Contains(stderr.String(), "matched no packages") {
		return errors.New("go test: no packages")
	}
	return nil
}
