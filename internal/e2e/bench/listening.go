package bench

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"regexp"
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
