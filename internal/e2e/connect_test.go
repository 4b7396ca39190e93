package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perch-go/perch/socketio"
)

// Engine rule 1: whatever a client writes together, its CONNECT finds somebody to answer it. Every other client here
// sends it in one write with the upgrade request, before there is a session.
func TestConnectBurst(t *testing.T) {
	const clients, atATime = 2000, 64
	srv, address := serve(t, socketio.Options{}, func(*socketio.Server) {})
	err := each(clients, atATime, func(i int) error {
		w, err := dial(address, nil)
		if err != nil {
			return err
		}
		defer w.Close()
		out := upgrade("")
		if i%2 == 0 {
			out = frame(out, opText, "40")
		}
		if _, err := w.Write(out); err != nil {
			return err
		}
		if err := w.accepted(); err != nil {
			return err
		}
		if i%2 == 1 {
			if err := w.send("40"); err != nil {
				return err
			}
		}
		if err := w.expect("0{"); err != nil {
			return err
		}
		return w.expect(`40{"sid":"`)
	})
	if err != nil {
		t.Error(err)
	}
	eventually(t, "every session is gone", func() bool { return srv.Engine().Sessions() == 0 })
}

// Section 5.2, CONNECT burst: one payload of many CONNECT packets makes one socket. While that one is being decided upon
// the others are ignored; once it has joined, one more ends the connection (S-94).
func TestConnectFlood(t *testing.T) {
	const packets = 2000
	for name, pending := range map[string]bool{"pending": true, "joined": false} {
		t.Run(name, func(t *testing.T) {
			var connected atomic.Int64
			release := make(chan struct{})
			if !pending {
				close(release)
			}
			srv, address := serve(t, socketio.Options{}, func(srv *socketio.Server) {
				srv.Of("/").OnConnection(func(context.Context, *socketio.Socket) error {
					connected.Add(1)
					<-release
					return nil
				})
			})
			client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer client.CloseIdleConnections()
			url := "http://" + address + "/socket.io/?EIO=4&transport=polling"
			request := func(method, url, body string) (int, string) {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				answer, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return resp.StatusCode, string(answer)
			}
			_, open := request(http.MethodGet, url, "")
			url += "&sid=" + sessionOf(open)
			request(http.MethodPost, url, strings.TrimSuffix(strings.Repeat("40\x1e", packets), "\x1e"))
			if !pending {
				// The first may have joined before the last was read, which ended the connection, or not.
				eventually(t, "the socket", func() bool { return connected.Load() >= 1 })
			} else {
				eventually(t, "the hook", func() bool { return connected.Load() == 1 })
				close(release)
				if status, answer := request(http.MethodGet, url, ""); status != http.StatusOK || strings.Count(answer, "40{") != 1 {
					t.Errorf("reply: %d %q", status, answer)
				}
				// One more is one too many.
				request(http.MethodPost, url, "40")
				eventually(t, "the session's end", func() bool {
					status, _ := request(http.MethodGet, url, "")
					return status == http.StatusBadRequest
				})
			}
			if n := connected.Load(); n != 1 {
				t.Errorf("%d sockets", n)
			}
			if n := srv.Of("/").Len(); n > 1 {
				t.Errorf("%d members", n)
			}
		})
	}
}
