package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio"
)

// Engine rule 5: a reader that takes nothing costs the others nothing, and in the end its own connection.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	const (
		rounds = 256
		most   = 2 * time.Second // for one round, on a busy machine; with a writer that waits it is forever
	)
	payload := strings.Repeat("x", 64<<10)
	for _, secure := range []bool{false, true} {
		t.Run(name("plain", "tls", secure), func(t *testing.T) {
			t.Parallel()
			srv, err := socketio.New(socketio.Options{Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			reasons := make(chan socketio.Reason, 8)
			root := srv.Of("/")
			root.OnDisconnect(func(_ context.Context, _ *socketio.Socket, r socketio.Reason) { reasons <- r })
			web := httptest.NewUnstartedServer(srv)
			config := begin(web, secure)
			defer func() {
				if err := srv.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				web.Close()
			}()
			address := web.Listener.Addr().String()
			reader := member(t, address, config)
			stalled := member(t, address, config)
			if tcp, ok := stalled.Conn.(*net.TCPConn); ok {
				_ = tcp.SetReadBuffer(4 << 10)
			}
			for i := range rounds {
				begin := time.Now()
				if err := root.Emit("news", i, payload); err != nil {
					t.Fatal(err)
				}
				if err := reader.expect(fmt.Sprintf(`42["news",%d,`, i)); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begin); took > most {
					t.Fatalf("round %d took %v", i, took)
				}
			}
			select {
			case r := <-reasons:
				if r != socketio.ReasonOutboundOverflow {
					t.Errorf("the stalled reader left because of %q", r)
				}
			case <-time.After(patience):
				t.Error("the stalled reader is still there")
			}
			if root.Len() != 1 {
				t.Errorf("%d members", root.Len())
			}
		})
	}
}

// Engine rule 7: every member of a namespace sees broadcasts in one order, whoever sends them.
func TestBroadcastOrder(t *testing.T) {
	t.Parallel()
	const members, senders, perSender = 200, 4, 50
	srv, address := serve(t, socketio.Options{}, func(srv *socketio.Server) { srv.Of("/") })
	clients := make([]*wire, members)
	if err := each(members, 16, func(i int) (err error) {
		clients[i], err = connect(address, nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range perSender {
				if err := srv.Of("/").Emit("n", s, i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := make([][]string, members)
	err := each(members, members, func(i int) error {
		for range senders * perSender {
			text, err := clients[i].text()
			if err != nil {
				return err
			}
			seen[i] = append(seen[i], text)
		}
		return clients[i].Close()
	})
	all.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for i := range members {
		if !slices.Equal(seen[i], seen[0]) {
			t.Fatalf("member %d sees another order than the first", i)
		}
	}
	for s := range senders {
		last := -1
		for _, text := range seen[0] {
			var from, n int
			if _, err := fmt.Sscanf(text, `42["n",%d,%d]`, &from, &n); err != nil {
				t.Fatal(errors.Join(err, errors.New(text)))
			}
			if from == s {
				if n != last+1 {
					t.Fatalf("sender %d: %d after %d", s, n, last)
				}
				last = n
			}
		}
	}
}
