package engineio

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A session that ends while it is being accepted, because more is sent to it at once than its budget takes, is not kept.
func TestSessionEndsWhileAccepted(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{OutboundPackets: 8, Logger: quiet()},
		{OutboundPackets: 8, Logger: quiet(), GenerateID: func(*http.Request) (string, error) { return "one", nil }},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, o, false)
			accept := f.server.accept
			f.server.accept = func(s *Session) Handler {
				for range 100 {
					_ = s.SendText([]byte("x"))
				}
				synctest.Wait() // it has ended
				return accept(s)
			}
			for range 2 {
				status, _, _ := f.do("GET", base, "")
				if status == http.StatusOK {
					t.Error("it was opened")
				}
			}
			if n := f.server.Sessions(); n != 0 {
				t.Errorf("%d sessions", n)
			}
			f.close()
		})
	}
}

// What Unreserve gives back, who waits for room can have.
func TestUnreserveWakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{OutboundPackets: 2}, false)
		defer f.close()
		c, r := f.openWS()
		defer c.conn.Close()
		m := new(Message)
		m.AppendText([]byte("a"))
		m.AppendText([]byte("b"))
		if err := r.session.Reserve(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			got <- r.session.SendWait(ctx, m)
		}()
		synctest.Wait()
		r.session.Unreserve(m)
		if err := <-got; err != nil {
			t.Errorf("the other waits on: %v", err)
		}
	})
}

// Shutdown does not wait for hooks that decide about requests; what they let in then is answered 503 and becomes no session.
func TestShutdownDuringAllowRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		f := newFixture(t, Options{AllowRequest: func(*http.Request) error { <-proceed; return nil }}, false)
		status := make(chan int, 2)
		go func() {
			s, _, _ := f.do("GET", base, "")
			status <- s
		}()
		go func() {
			resp, _ := f.handshake("")
			status <- resp.StatusCode
		}()
		synctest.Wait()
		if err := f.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		close(proceed)
		for range 2 {
			if s := <-status; s != http.StatusServiceUnavailable {
				t.Errorf("status %d", s)
			}
		}
		if len(f.sessions) > 0 {
			t.Error("a session was made")
		}
		f.close()
	})
}

// A WebSocket that was closing before Shutdown gets no more time than one that Shutdown closes.
func TestShutdownHastensClosing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, false)
		c, r := f.openWS()
		defer c.conn.Close()
		r.session.Close(ReasonForcedServerClose)
		begun := time.Now()
		f.close()
		if d := time.Since(begun); d > stopTimeout+50*time.Millisecond {
			t.Errorf("after %v", d)
		}
	})
}

// A polling client that is between two polls when the server stops comes for what is queued, and hears that it is over; what it
// posts meanwhile does not keep it from polling. One that is gone is waited for a second.
func TestShutdownAwaitsLastPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, false)
		sid, r := f.openPolling()
		_, gone := f.openPolling()
		for _, s := range []*recorder{r, gone} {
			if err := s.session.SendText([]byte("last words")); err != nil {
				t.Fatal(err)
			}
		}
		begun, stopped := time.Now(), make(chan error, 1)
		go func() { stopped <- f.server.Shutdown(context.Background()) }()
		synctest.Wait()
		for _, want := range []struct{ method, query, answer string }{
			{"POST", "&sid=" + sid, "200 ok"},
			{"GET", "", "503 server is shutting down"},
			{"GET", "&sid=" + sid, "200 4last words"},
			{"GET", "&sid=" + sid, "200 6\x1e1"},
			{"GET", "&sid=" + sid, "503 server is shutting down"},
		} {
			if status, body, _ := f.do(want.method, base+want.query, "4too late"); fmt.Sprint(status, " ", body) != want.answer {
				t.Errorf("%s %s: %d %s, want %s", want.method, want.query, status, body, want.answer)
			}
		}
		if len(r.messages) > 0 {
			t.Errorf("%q was taken", <-r.messages)
		}
		if err := <-stopped; err != nil || time.Since(begun) > stopTimeout+50*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		f.close()
	})
}

func TestParam(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ query, want string }{
		{"", ""}, {"sid=a", "a"}, {"EIO=4&sid=a&t=b", "a"}, {"sid=a&sid=b", "a"}, {"sid&sid=b", ""}, {"sid=&sid=b", ""},
		{"asid=x&sids=y&sid=z", "z"}, {"asid=x", ""}, {"sid=a=b", "a=b"}, {"sid=a%2Bb+c", "a+b c"}, {"sid=%zz", "%zz"}, {"t=sid&x=sid=", ""},
		{"&&sid=a&", "a"},
	} {
		if got := param(tt.query, "sid"); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.query, got, tt.want)
		}
	}
}
