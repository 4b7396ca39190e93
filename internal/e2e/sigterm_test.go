package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/perch-go/perch/client"
)

// ends reports how a program has ended.
func ends(t *testing.T, exited <-chan error) error {
	t.Helper()
	select {
	case err := <-exited:
		return err
	case <-time.After(stopTime):
		t.Fatalf("it is still running after %v", stopTime)
		return nil
	}
}

var addressOf = regexp.MustCompile(`listening.*?(\d[\d.]*:\d+)`)

// launch starts an example and returns where it listens.
func launch(t *testing.T, pkg string) (cmd *exec.Cmd, address string, exited <-chan error) {
	t.Helper()
	cmd = exec.Command(build(t, pkg), "-addr", anyPort)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- cmd.Wait()
		_ = w.Close()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if m := addressOf.FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, r)
	}()
	select {
	case address = <-found:
	case err := <-done:
		t.Fatalf("it ended instead of listening: %v", err)
	case <-time.After(startTime):
		t.Fatal("it does not listen")
	}
	return cmd, address, done
}

// Issue 7, Build 6: SIGTERM tells an example's clients and ends it with exit code 0, and a second one ends it at once, whatever it
// waits for.
func TestExamplesEndOnSIGTERM(t *testing.T) {
	t.Parallel()
	for name, pkg := range map[string]string{"chat": chat, "fx": "github.com/perch-go/perch/examples/fx"} {
		for _, signals := range []int{1, 2} {
			t.Run(fmt.Sprint(name, " ", signals), func(t *testing.T) {
				t.Parallel()
				cmd, address, exited := launch(t, pkg)
				ctx, cancel := context.WithTimeout(t.Context(), startTime)
				defer cancel()
				c, err := client.Dial(ctx, "http://"+address+"/chat", client.Options{NoReconnection: true, Logger: quiet})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				left := make(chan client.Reason, 1)
				c.OnDisconnect(func(r client.Reason, _ error) { left <- r })
				if signals > 1 { // a request that is never sent to its end, and waited for some seconds
					conn, err := net.Dial("tcp", address)
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = conn.Close() }()
					if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n"); err != nil {
						t.Fatal(err)
					}
				}
				// It is answered after the other connection was accepted, which the server would not wait for otherwise.
				web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
				resp, err := web.Get("http://" + address + "/readyz")
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("/readyz: %v, %v", resp, err)
				}
				_ = resp.Body.Close()
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				select {
				case reason := <-left:
					if reason != client.TransportClose {
						t.Errorf("the client left because of %q", reason)
					}
				case <-ctx.Done():
					t.Fatal("the client was not told")
				}
				if signals == 1 {
					if err := ends(t, exited); err != nil {
						t.Errorf("exit: %v", err)
					}
					return
				}
				// Again and again, because the first may have told the client before the program has let go of the signal.
				again := time.NewTicker(10 * time.Millisecond)
				defer again.Stop()
				for running := true; running; {
					select {
					case <-exited:
						running = false
					case <-again.C:
						_ = cmd.Process.Signal(syscall.SIGTERM) // an error says that it has ended
					case <-ctx.Done():
						t.Fatal("it is still running")
					}
				}
				if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
					t.Errorf("exit: %v, want the signal's", cmd.ProcessState)
				}
			})
		}
	}
}
