package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

var listening = regexp.MustCompile(`^listening on (\S+)`)

// Listening starts a server and returns the host and port on which it says that it listens. What it prints else is dropped. The
// caller is to wait for it, also if there is an error.
func Listening(cmd *exec.Cmd) (addr string, err error) {
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", err
	}
	said := bufio.NewReader(out)
	for {
		line, err := said.ReadString('\n')
		if m := listening.FindStringSubmatch(line); m != nil {
			go func() { _, _ = io.Copy(io.Discard, said) }() // until it ends
			return m[1], nil
		}
		if err != nil {
			return "", fmt.Errorf("it did not say that it listens: %w", err)
		}
	}
}

// CPUTime is the CPU time of a process in seconds, 0 if it is not known, which it is on Linux only.
func CPUTime(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	const user, system, perSecond = 11, 12, 100 // the first two counted from what follows the name, which may have spaces
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) <= system {
		return 0
	}
	u, _ := strconv.ParseFloat(fields[user], 64)
	s, _ := strconv.ParseFloat(fields[system], 64)
	return (u + s) / perSecond
}
