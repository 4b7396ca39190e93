package engineio

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/stream"
)

// receive waits for what comes soon.
func receive[T any](t *testing.T, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(20 * time.Second):
		t.Fatal("not so: ", what)
	}
	return v
}

// What was read of a connection is handed over before fn is called and what is read later after it, on each kind of connections:
// while the reader waits, and while it is in the midst of a batch.
func TestBetween(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct{ tls, wrapped, memory bool }{{}, {wrapped: true}, {tls: true}, {memory: true}} {
		t.Run(fmt.Sprintf("%+v", kind), func(t *testing.T) {
			t.Parallel()
			came, goOn := make(chan string, 100), make(chan struct{})
			sessions := make(chan *Session, 1)
			handler := func(s *Session) Handler {
				sessions <- s
				return &handlerFunc{func(data []byte) {
					came <- string(data)
					if string(data) == "wait" {
						<-goOn
					}
				}, make(chan Reason, 1)}
			}
			var dial func() net.Conn
			if kind.memory {
				f := serve(t, Options{}, nil)
				defer f.close()
				f.server.accept = handler
				dial = func() net.Conn {
					c, err := f.listener.Dial()
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
			} else {
				server, ts, dialTCP := foreign(t, Options{}, kind.tls, kind.wrapped, handler, func(*http.Server) {})
				defer ts.Close()
				defer func() { _ = server.Shutdown(context.Background()) }()
				dial = dialTCP
			}
			c := dialWS(t, dial(), "")
			defer c.conn.Close()
			c.read()
			s := <-sessions

			for range 3 { // the reader waits
				s.Between(func() { came <- "between" })
				if got := receive(t, "called", came); got != "between" {
					t.Fatalf("got %q", got)
				}
				c.send("4a", "4b")
				for _, want := range []string{"a", "b"} {
					if got := receive(t, "read on", came); got != want {
						t.Fatalf("got %q, want %q", got, want)
					}
				}
			}
			c.send("4wait", "4c", "4d")
			receive(t, "begun", came)
			s.Between(func() { came <- "between" })
			s.Between(func() { came <- "and again" })
			if len(came) > 0 {
				t.Errorf("%q though the batch goes on", <-came)
			}
			goOn <- struct{}{}
			for _, want := range []string{"c", "d", "between", "and again"} {
				if got := receive(t, "the batch ends", came); got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			c.send("4e")
			if got := receive(t, "read on", came); got != "e" {
				t.Fatalf("got %q", got)
			}

			// A session that ends in the midst of a batch calls it too.
			c.send("4wait", "4f")
			receive(t, "begun", came)
			s.Between(func() { came <- "between" })
			s.end(ReasonForcedClose, nil)
			goOn <- struct{}{}
			if got := receive(t, "called at the end", came); got != "between" {
				t.Errorf("got %q", got)
			}
			s.Between(func() { came <- "afterwards" })
			if got := receive(t, "called afterwards", came); got != "afterwards" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// The body of a POST is a batch too, also of a session that is upgraded meanwhile.
func TestBetweenBodies(t *testing.T) {
	t.Parallel()
	for _, upgrades := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			came, goOn := make(chan string, 100), make(chan struct{})
			sessions := make(chan *Session, 1)
			f := serve(t, Options{}, func(s *Session) *handlerFunc {
				sessions <- s
				return &handlerFunc{func(data []byte) {
					came <- string(data)
					if string(data) == "wait" {
						<-goOn
					}
				}, make(chan Reason, 1)}
			})
			defer f.close()
			_, body, _ := f.do("GET", base, "")
			sid := openID(t, body)
			s := <-sessions
			s.Between(func() { came <- "at once" })
			done := make(chan int, 1)
			go func() {
				status, _, _ := f.do("POST", base+"&sid="+sid, "4wait\x1e4a\x1e4b")
				done <- status
			}()
			synctest.Wait()
			if upgrades {
				c := f.dial("&sid=" + sid)
				defer c.conn.Close()
				c.send("2probe", "5")
				synctest.Wait()
				if s.Transport() != WebSocket {
					t.Error("not upgraded")
				}
			}
			s.Between(func() { came <- "between" })
			synctest.Wait()
			close(goOn)
			synctest.Wait()
			for _, want := range []string{"at once", "wait", "a", "b", "between"} {
				if got := <-came; got != want {
					t.Errorf("upgrades %t: got %q, want %q", upgrades, got, want)
				}
			}
			if status := <-done; status != 200 {
				t.Errorf("status %d", status)
			}
		})
	}
}

// deadlineless is a connection that has no deadlines.
type deadlineless struct{ stream.Conn }

func (deadlineless) Interrupt() error { return http.ErrNotSupported }

// Where a reader cannot be made to look up, nobody waits for it.
func TestBetweenWithoutDeadlines(t *testing.T) {
	t.Parallel()
	s := &Session{reading: true, ws: &webSocket{conn: deadlineless{}}}
	called := false
	s.Between(func() { called = true })
	if !called {
		t.Error("not called")
	}
}
