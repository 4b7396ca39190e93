package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

func main() {
	pattern := ""
	if len(os.Args) > 1 {
		pattern = os.Args[1]
	}
	if err := prove(pattern); err != nil {
		fmt.Fprintln(os.Stderr, "guardproof:", err)
		os.Exit(1)
	}
}

// prove takes out all guards that the pattern picks, and says what became of each.
func prove(pattern string) error {
	picked, err := pick(pattern)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dirs, err := directories(root)
	if err != nil {
		return err
	}
	if err := whole(root, dirs, picked); err != nil {
		return err
	}
	verdicts := make([]verdict, len(picked))
	next := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				verdicts[i] = take(root, dirs, picked[i])
				fmt.Printf("%s: without %s %s %s\n", picked[i].row, picked[i].what, picked[i].test, verdicts[i].say)
			}
		})
	}
	for i := range picked {
		next <- i
	}
	close(next)
	workers.Wait()
	failed := 0
	for i, v := range verdicts {
		if v.err != nil {
			failed++
			fmt.Printf("\n%s: without %s: %v\n", picked[i].row, picked[i].what, v.err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d guards can go without a test that notices", failed, len(picked))
	}
	fmt.Printf("%d guards, each missed by its test\n", len(picked))
	return nil
}

func pick(pattern string) (picked []guard, err error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	for _, g := range guards {
		if re.MatchString(g.row + ": " + g.what) {
			picked = append(picked, g)
		}
	}
	if len(picked) == 0 {
		return nil, fmt.Errorf("no guard matches %q", pattern)
	}
	return picked, nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", err
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// directories are those of the packages of the module, by the name that documents give them.
func directories(root string) (map[string]string, error) {
	cmd := exec.Command("go", "list", "-f", "{{.Name}} {{.Dir}}", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	dirs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "main" && filepath.Base(dir) != "chat" { // the only program that has something to guard
			continue
		}
		dirs[name] = dir
	}
	return dirs, nil
}

// whole runs all tests once with nothing taken out.
func whole(root string, dirs map[string]string, picked []guard) error {
	names := map[string][]string{}
	for _, g := range picked {
		pkg, test, _ := strings.Cut(g.test, ".")
		names[pkg] = append(names[pkg], test)
	}
	for pkg, tests := range names {
		if out, err := runTests(root, dirs[pkg], strings.Join(tests, "|")); err != nil {
			return fmt.Errorf("with all guards the tests of %s do not pass: %w\n%s", pkg, err, out)
		}
	}
	return nil
}

// verdict is what became of a guard.
type verdict struct {
	say string
	err error
}

// take runs a guard's test without the guard.
func take(root string, dirs map[string]string, g guard) verdict {
	start := time.Now()
	dir, err := os.MkdirTemp("", "guardproof")
	if err != nil {
		return verdict{"was not run", err}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(root, filepath.FromSlash(g.file))
	source, err := os.ReadFile(file)
	if err != nil {
		return verdict{"was not run", err}
	}
	without, err := g.without(string(source))
	if err != nil {
		return verdict{"was not run", err}
	}
	copied, overlay := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: copied}})
	if err = errors.Join(err, os.WriteFile(copied, []byte(without), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return verdict{"was not run", err}
	}
	pkg, test, _ := strings.Cut(g.test, ".")
	out, err := runTests(root, dirs[pkg], test, "-overlay", overlay)
	_, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return verdict{"DOES NOT NOTICE", errors.New("the test passes without it")}
	case !exited || !strings.Contains(out, "--- FAIL: ") && !strings.Contains(out, "panic: ") && !strings.Contains(out, "fatal error: "):
		return verdict{"does not build", fmt.Errorf("%w\n%s", err, out)}
	}
	return verdict{fmt.Sprintf("fails, %.1f s", time.Since(start).Seconds()), nil}
}

// without is the source in which the guard is not.
func (g guard) without(source string) (string, error) {
	for _, c := range g.cuts {
		if n := strings.Count(source, c.old); n != 1 {
			return "", fmt.Errorf("%s contains %d times, not once: %s", g.file, n, c.old)
		}
		source = strings.Replace(source, c.old, c.new, 1)
	}
	return source, nil
}

// runTests runs tests of the package in dir, by a pattern of their names.
func runTests(root, dir, pattern string, flags ...string) (out string, err error) {
	if dir == "" {
		return "", errors.New("there is no such package")
	}
	args := append([]string{"test", "-count=1", "-vet=off", "-timeout=1m", "-run=^(?:" + pattern + ")$"}, flags...)
	cmd := exec.Command("go", append(args, dir)...)
	cmd.Dir = root
	b, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(b), "no tests to run") {
		err = errors.New("there is no such test")
	}
	return string(b), err
}
