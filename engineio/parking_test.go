package engineio

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// park lets time pass, under synctest, until the readers of quiet connections are gone.
func (f *fixture) park() {
	f.t.Helper()
	<-time.After(2*quietAfter + 10*time.Millisecond)
	synctest.Wait()
	if n := f.server.goroutines.n.Load(); n != 0 {
		f.t.Fatalf("%d goroutines for sessions that are quiet", n)
	}
}

func TestParkedSessionIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, true)
		defer f.close()
		c, r := f.openWS()
		for range 3 {
			f.park()
			between := false // nobody reads, so it is called at once
			if r.session.Between(func() { between = true }); !between {
				t.Error("Between waits for a reader that is not there")
			}
			c.send("4hello", "4again")
			for _, want := range []string{"4hello", "4again"} {
				if got := c.read(); got != want {
					t.Errorf("read %q", got)
				}
			}
		}
		f.park()
		_ = r.session.SendText([]byte("from us")) // written directly
		if n := f.server.goroutines.n.Load(); n != 0 {
			t.Errorf("%d goroutines to send", n)
		}
		if got := c.read(); got != "4from us" {
			t.Errorf("read %q", got)
		}
		// A message may be on its way while the reader parks, in the middle of a frame or between two.
		whole := masked(wsframe.Text, "4in pieces")
		head := masked(wsframe.Text, "4frag")
		head[0] &^= 0x80
		for _, pieces := range [][][]byte{{whole[:1], whole[1:4], whole[4:9], whole[9:]}, {head, masked(0, "mented")}} {
			for _, p := range pieces {
				_, _ = c.conn.Write(p)
				f.park()
			}
		}
		for _, want := range []string{"4in pieces", "4fragmented"} {
			if got := c.read(); got != want {
				t.Errorf("read %q", got)
			}
		}
		c.conn.Close()
		if reason := <-r.closed; reason != ReasonTransportClose {
			t.Error(reason)
		}
	})
}

// A connection that says something every moment keeps its goroutine.
func TestBusyIsNotParked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, true)
		defer f.close()
		c, _ := f.openWS()
		for i := range 10 {
			c.send("4x")
			c.read()
			<-time.After(quietAfter / 2)
			synctest.Wait()
			if n := f.server.goroutines.n.Load(); n != 1 && i > 2 { // it has to show first
				t.Fatal("parked")
			}
		}
		for range 3 {
			<-time.After(3 * quietAfter)
			c.send("4x") // once in a while is not busy
			c.read()
			synctest.Wait()
			if n := f.server.goroutines.n.Load(); n != 0 {
				t.Fatal("not parked")
			}
		}
		c.conn.Close()
	})
}

// So are those of a plain session.
func TestPlainPongsOfParkedSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second}, true)
		defer f.close()
		r := &recorder{messages: make(chan string, 1), closed: make(chan Reason, 2)}
		plain := &Plain{Accept: func(s *Session, _ *http.Request) (Handler, error) {
			r.session = s
			return r, nil
		}}
		f.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { f.server.ServePlain(w, req, plain) })
		c := f.dial("")
		for range 3 {
			if op, _, err := c.next(); op != wsframe.Ping || err != nil {
				t.Fatalf("read %v, %v, want a ping", op, err)
			}
			_, _ = c.conn.Write(masked(wsframe.Pong, ""))
			synctest.Wait()
			if n := f.server.goroutines.n.Load(); n != 0 {
				t.Errorf("%d goroutines for a pong", n)
			}
		}
		_, _ = c.conn.Write(masked(wsframe.Text, "3")) // a message as any other here
		if got := <-r.messages; got != "3" {
			t.Errorf("handled %q", got)
		}
		c.conn.Close()
		<-r.closed
	})
}

// Pongs are handled where the poller is.
func TestPongsOfParkedSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{PingInterval: 25 * time.Second, PingTimeout: 20 * time.Second}, true)
		defer f.close()
		c, r := f.openWS()
		for range 5 {
			if got := c.read(); got != "2" {
				t.Fatalf("read %q, want a ping", got)
			}
			synctest.Wait()
			if n := f.server.goroutines.n.Load(); n != 0 {
				t.Errorf("%d goroutines before the pong", n)
			}
			c.send("3")
			synctest.Wait()
			if n := f.server.goroutines.n.Load(); n != 0 {
				t.Errorf("%d goroutines for a pong", n)
			}
		}
		if in := r.session.Stats().PacketsIn; in != 5 {
			t.Errorf("%d pongs counted", in)
		}
		c.read()
		c.send("3", "4with it")
		if got := c.read(); got != "4with it" {
			t.Errorf("read %q", got)
		}
		c.read()
		c.send("3")
		start := time.Now()
		c.read()
		if reason := <-r.closed; reason != ReasonPingTimeout || time.Since(start) < 44*time.Second {
			t.Errorf("%s after %v", reason, time.Since(start))
		}
		c.conn.Close()
	})
}

func TestParkedSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{OutboundBytes: 1 << 20}, false)
		defer f.close()
		c, r := f.openWS()
		f.park()
		var m Message
		m.AppendText([]byte(strings.Repeat("x", 50_000)))
		for range 10 {
			if err := r.session.Send(&m); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(3 * quietAfter)
		synctest.Wait()
		if n := f.server.goroutines.n.Load(); n != 1 {
			t.Errorf("%d goroutines, want that of the writer", n)
		}
		for range 10 {
			if got := c.read(); len(got) != 50_001 {
				t.Fatalf("read %d bytes", len(got))
			}
		}
		f.park()
		c.send("4hi")
		if got := <-r.messages; got != "hi" {
			t.Error(got)
		}
		f.park()
		for r.session.Send(&m) == nil {
		}
		if reason := <-r.closed; reason != ReasonOutboundOverflow {
			t.Error(reason)
		}
		c.conn.Close()
	})
}

func TestUpgradedSessionParks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, true)
		defer f.close()
		sid, r := f.openPolling()
		f.client.CloseIdleConnections()
		c := f.dial("&sid=" + sid)
		c.send("2probe")
		c.read()
		<-time.After(3 * quietAfter)
		synctest.Wait()
		if f.server.goroutines.n.Load() != 1 {
			t.Error("parked while it probes")
		}
		c.send("5", "4hello")
		c.read()
		f.park()
		c.send("4hello")
		if got := c.read(); got != "4hello" {
			t.Errorf("read %q", got)
		}
		f.park()
		r.session.Close(ReasonForcedServerClose)
		if got := c.read(); got != "close:1000" {
			t.Errorf("read %q", got)
		}
		_, _ = c.conn.Write(masked(wsframe.Close, "\x03\xe8"))
		if _, err := io.ReadAll(c.conn); err != nil {
			t.Error(err)
		}
		c.conn.Close()
		synctest.Wait()
		if f.server.Sessions() != 0 {
			t.Error("still there")
		}
	})
}

// A parked session whose peer takes no notice ends as any other: closed by us, or by Shutdown.
func TestCloseParked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, false)
		c, r := f.openWS()
		other, o := f.openWS()
		f.park()
		r.session.Close(ReasonForcedServerClose)
		if reason := <-r.closed; reason != ReasonForcedServerClose {
			t.Error(reason)
		}
		<-time.After(closeTimeout + time.Second)
		synctest.Wait()
		if n := f.server.Sessions(); n != 1 {
			t.Errorf("%d sessions", n)
		}
		start := time.Now()
		f.close()
		if reason := <-o.closed; reason != ReasonForcedClose || time.Since(start) > stopTimeout+time.Second {
			t.Errorf("%s after %v", reason, time.Since(start))
		}
		c.conn.Close()
		other.conn.Close()
	})
}

// tally is a Handler that counts.
type tally struct {
	messages, closed *atomic.Int64
	ends             atomic.Int32
}

func (h *tally) HandleMessage([]byte, bool) { h.messages.Add(1) }
func (h *tally) HandleClose(Reason, error) {
	h.ends.Add(1)
	h.closed.Add(1)
}

// Many connections on real sockets, parked, end in every way there is: each once, and what was on its way before FIN is
// handled.
func TestParkedConnectionsEnd(t *testing.T) {
	t.Parallel()
	const n = 1000
	var messages, closed atomic.Int64
	handlers := make(chan *tally, n)
	sessions := make(chan *Session, n)
	server, err := New(Options{Logger: quiet()}, func(s *Session) Handler {
		h := &tally{messages: &messages, closed: &closed}
		handlers <- h
		sessions <- s
		return h
	})
	if err != nil {
		t.Fatal(err)
	}
	server.readers.after = 20 * time.Millisecond
	ts := httptest.NewServer(server)
	defer ts.Close()
	clients := make([]*wsClient, n)
	for i := range clients {
		conn, err := net.Dial("tcp", ts.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = dialWS(t, conn, "")
		clients[i].read()
		clients[i].send("4hello")
	}
	eventually(t, "all are parked", func() bool { return messages.Load() == n && server.goroutines.n.Load() == 0 })
	for range n / 5 {
		(<-sessions).Close(ReasonForcedServerClose)
	}
	parallel(4, func(k int) {
		for i := k; i < n; i += 4 {
			c := clients[i].conn.(*net.TCPConn)
			switch k {
			case 0:
				clients[i].send("4bye")
				c.Close() // what we sent it, if anything, is not read: FIN or RST
			case 1:
				_ = c.SetLinger(0)
				c.Close()
			case 2:
				clients[i].send("4bye", "4bye")
				_ = c.CloseWrite()
			case 3:
				_, _ = c.Write(masked(wsframe.Close, "\x03\xe8"))
			}
		}
	})
	eventually(t, "all have ended", func() bool { return closed.Load() == n && server.Sessions() == 0 })
	for range n {
		if ends := (<-handlers).ends.Load(); ends != 1 {
			t.Errorf("a session ended %d times", ends)
		}
	}
	for _, c := range clients {
		c.conn.Close()
	}
	// Of a fifth nothing more was wanted, and a quarter were reset before they said anything.
	if got, want := messages.Load()-n, int64(n-n/5)*3/4; got != want {
		t.Errorf("%d of the last messages arrived, want %d", got, want)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// The same connections park and come back while others come and go on the descriptors that they leave.
func TestParkingUnderLoad(t *testing.T) {
	t.Parallel()
	server, err := New(Options{Logger: quiet()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	server.accept = func(s *Session) Handler {
		return &recorder{session: s, closed: make(chan Reason, 2), echo: true}
	}
	server.readers.after = time.Millisecond
	ts := httptest.NewServer(server)
	defer ts.Close()
	parallel(16, func(k int) {
		for i := range 20 {
			conn, err := net.Dial("tcp", ts.Listener.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			c := dialWS(t, conn, "")
			c.read()
			for j := range 10 {
				if (i+j+k)%3 == 0 {
					<-time.After(time.Duration(j) * 500 * time.Microsecond)
				}
				want := fmt.Sprintf("4%d %d %d", k, i, j)
				c.send(want)
				if got := c.read(); got != want {
					t.Errorf("read %q, want %q", got, want)
				}
			}
			if k%2 == 0 {
				_ = conn.(*net.TCPConn).SetLinger(0)
			}
			conn.Close()
		}
	})
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// What cannot park keeps its goroutine.
func TestWrappedConnectionIsNotParked(t *testing.T) {
	t.Parallel()
	server, ts, dial := foreign(t, Options{}, false, true, func(s *Session) Handler {
		return &recorder{session: s, closed: make(chan Reason, 2), echo: true}
	}, func(*http.Server) {})
	defer ts.Close()
	server.readers.after = time.Millisecond
	c := dialWS(t, dial(), "")
	c.read()
	<-time.After(20 * time.Millisecond)
	if server.goroutines.n.Load() != 1 || server.readers.sweeping.Load() {
		t.Error("parked, or watched")
	}
	c.send("4x")
	if got := c.read(); got != "4x" {
		t.Errorf("read %q", got)
	}
	c.conn.Close()
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
