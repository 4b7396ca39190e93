package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/perch-go/perch/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving runs the program until the test ends, and returns its address.
func serving(t *testing.T, args ...string) (url string) {
	t.Helper()
	url, stop := start(t, args...)
	t.Cleanup(stop)
	return url
}

// start runs the program until it is stopped, as by a signal.
func start(t *testing.T, args ...string) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w)
		_ = w.CloseWithError(err)
		ended <- err
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		t.Fatalf("printed %q", line)
	}
	return url, func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(2 * grace):
			t.Error("it does not end")
		}
	}
}

// get is one request on a connection of its own.
func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestServes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "socket.io.esm.min.js"), []byte("export {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := serving(t, "-client", dir)
	if resp, body := get(t, url+"/"); resp.StatusCode != 200 || !strings.Contains(strings.ToLower(body), "<!doctype html>") {
		t.Errorf("page: %s\n%s", resp.Status, body)
	}
	if resp, body := get(t, url+"/socket.io/socket.io.esm.min.js"); body != "export {}" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("client: %s %v\n%s", resp.Status, resp.Header, body)
	}
	for path, want := range map[string]string{"/livez": "live\n", "/readyz": "ready\n"} {
		if resp, body := get(t, url+path); resp.StatusCode != 200 || body != want {
			t.Errorf("%s: %s %q", path, resp.Status, body)
		}
	}
	if resp, _ := get(t, url+"/nothing"); resp.StatusCode != 404 {
		t.Errorf("unknown path: %s", resp.Status)
	}
}

// Where npm has put nothing, the client comes from the CDN; what it has put is found.
func TestFindsClient(t *testing.T) {
	t.Chdir(t.TempDir())
	resp, _ := get(t, serving(t)+"/socket.io/socket.io.esm.min.js")
	if resp.StatusCode != 307 || !strings.HasPrefix(resp.Header.Get("Location"), "https://cdn.socket.io/4.") {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	dir := filepath.Join("internal", "e2e", "node_modules", "socket.io-client", "dist")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "socket.io.esm.min.js"), []byte("export {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, serving(t)+"/socket.io/socket.io.esm.min.js"); body != "export {}" {
		t.Errorf("not found where npm puts it: %s", body)
	}
}

// Who is connected is told that the server goes, and does not keep it.
func TestShutdown(t *testing.T) {
	t.Parallel()
	url, stop := start(t)
	plain, _, err := websocket.Dial(t.Context(), url+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.CloseNow() }()
	left := make(chan client.Reason, 1)
	polling, err := client.Dial(t.Context(), url+"/chat", client.Options{Transports: []client.Transport{client.Polling}, NoReconnection: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = polling.Close() }()
	polling.OnDisconnect(func(r client.Reason, _ error) { left <- r })

	began := time.Now()
	stop()
	if took := time.Since(began); took > grace {
		t.Errorf("it took %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), grace)
	defer cancel()
	if _, _, err := plain.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Error(err)
	}
	select {
	case <-left:
	case <-time.After(grace):
		t.Error("the client was not told")
	}
}

func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"taken port":             {[]string{"-addr", l.Addr().String()}, "choose another address with -addr"},
		"no client in -client":   {[]string{"-client", t.TempDir()}, "socket.io.esm.min.js"},
		"no such address":        {[]string{"-addr", "nowhere"}, "-addr"},
		"no such flag":           {[]string{"-port", "1"}, "-port"},
		"-client does not exist": {[]string{"-client", filepath.Join(t.TempDir(), "x")}, "socket.io.esm.min.js"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), tt.args, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}
