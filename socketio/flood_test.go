package socketio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// Spec 5.2: a client that joins and leaves a namespace faster than its middlewares let it in, or its disconnect hooks let it go, is
// not read from meanwhile. Otherwise each CONNECT would cost a goroutine and the auth that it brought.
func TestConnectFlood(t *testing.T) {
	t.Parallel()
	const bound, pairs = 8, 60
	for _, slow := range []string{"middleware", "hook"} {
		t.Run(slow, func(t *testing.T) {
			t.Parallel()
			h := serve(t, Options{Engine: engineio.Options{InboundEvents: bound}})
			n := h.Of("/x")
			var most, done atomic.Int64
			gate := make(chan struct{})
			wait := func() {
				if live := h.live.Load() - 1; live > most.Load() {
					most.Store(live)
				}
				<-gate
				done.Add(1)
			}
			if slow == "middleware" {
				n.Use(func(context.Context, *Socket) error { wait(); return nil })
			} else {
				n.OnDisconnect(func(context.Context, *Socket, Reason) { wait() })
			}
			c := h.dial(t)
			if slow == "middleware" {
				go func() {
					if _, err := c.conn.Write(frames(many(pairs, "0/x,", "1/x,")...)); err != nil {
						t.Error(err)
					}
				}()
				for range pairs {
					gate <- struct{}{}
				}
				close(gate)
			} else {
				for range pairs {
					c.send("0/x,")
					for joined := false; !joined; {
						select {
						case <-c.in:
							joined = true
						case <-time.After(10 * time.Millisecond): // it is not read from, or busy
							select {
							case <-c.in:
								joined = true
							case gate <- struct{}{}:
							}
						}
					}
					c.send("1/x,")
				}
				close(gate)
				eventually(t, "all have left", func() bool { return done.Load() == pairs })
			}
			eventually(t, "all lanes have ended", func() bool { return h.live.Load() == 1 })
			if got := most.Load(); got > bound+2 {
				t.Errorf("%d sockets at a time, of one client", got)
			}
			c.send("0") // nothing is left of the charge
			for !strings.HasPrefix(fmt.Sprint(c.next()), "0{") {
			}
			c.close()
		})
	}
}

func many(n int, packets ...any) (all []any) {
	for range n {
		all = append(all, packets...)
	}
	return all
}

// Spec 5.2: what the sockets of a connection keep of the client's auths is bounded.
func TestConnectAuths(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	for i := range 4 {
		h.Of(fmt.Sprint(i))
	}
	auth := `{"a":"` + strings.Repeat("a", 400_000) + `"}`
	c := h.dial(t)
	c.connect("/0", auth)
	c.connect("/1", auth)
	c.send("0/2," + auth)
	c.expect(`4/2,{"message":"too much auth"}`)
	c.connect("/3", "")
	c.send("1/0,")
	eventually(t, "it has left", func() bool { return h.Of("/0").Len() == 0 })
	c.connect("/2", auth)
}

// Of the query that a client of 2.x brings with a namespace a bounded number of parameters is looked at, as in the reference.
func TestLegacyQueryIsBounded(t *testing.T) {
	t.Parallel()
	h := serve(t, older())
	joined := arrivals(h.Of("/x"))
	c := h.dialOlder(t, "")
	c.expect("0")
	var query strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&query, "%d&", i)
	}
	c.send("0/x?" + query.String() + ",")
	c.expect("0/x,")
	var auth map[string]string
	if err := within(t, joined).Handshake().DecodeAuth(&auth); err != nil || len(auth) != 1000 {
		t.Errorf("%d parameters, %v", len(auth), err)
	}
}

// What other processes emit does not pile up without end before a handler that is too slow.
func TestServerSideEventsAreBounded(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	gate, entered := make(chan struct{}), make(chan struct{}, 65536+20)
	var handled atomic.Int64
	n.HandleServerSide("x", func(context.Context, *ServerEvent) {
		entered <- struct{}{}
		<-gate
		handled.Add(1)
	})
	emit := func() { (*host)(n).ServerSideEvent(adapter.ServerEvent{Event: "x"}) }
	emit()
	within(t, entered)
	for range 65536 + 10 {
		emit()
	}
	close(gate)
	eventually(t, "the queue is empty", func() bool { return handled.Load() == 65536+1 })
	emit()
	eventually(t, "it goes on", func() bool { return handled.Load() == 65536+2 })
	if got := strings.Count(h.log.String(), "server-side events are dropped"); got != 1 {
		t.Errorf("%d lines in the log", got)
	}
}

// shutdown begins Shutdown and returns how it ends.
func (h *harness) shutdown() <-chan error {
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- h.Shutdown(ctx)
	}()
	return ended
}

// Shutdown ends what is under way: a client that does not take what it missed, one that waits for the socket it had, a
// namespace that is being made, and broadcasts that wait for answers.
func TestShutdownUnderWay(t *testing.T) {
	t.Parallel()
	expect := func(t *testing.T, ended <-chan error) {
		t.Helper()
		begun := time.Now()
		if err := within(t, ended); err != nil || time.Since(begun) > patience/2 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	}
	t.Run("replay", func(t *testing.T) {
		t.Parallel()
		h := serve(t, Options{Recovery: new(Recovery), Engine: engineio.Options{OutboundBytes: 64 << 10}})
		c := h.dial(t)
		_, pid := c.enter("")
		c.close()
		eventually(t, "it is saved", func() bool { return h.Of("/").Len() == 0 })
		for range 400 {
			if err := h.Emit("x", strings.Repeat("a", 60<<10)); err != nil {
				t.Fatal(err)
			}
		}
		d, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		request := "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
		if _, err := d.Write(append([]byte(request), frames(`0{"pid":"`+pid+`"}`)...)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it waits for room", func() bool { return h.Of("/").Len() == 1 })
		expect(t, h.shutdown())
	})
	t.Run("ghost", func(t *testing.T) {
		t.Parallel()
		h := serve(t, Options{Recovery: new(Recovery)})
		gate, entered := make(chan struct{}), make(chan struct{})
		var first atomic.Bool
		h.OnDisconnect(func(context.Context, *Socket, Reason) {
			if first.CompareAndSwap(false, true) {
				close(entered)
				<-gate
			}
		})
		c := h.dial(t)
		_, pid := c.enter("")
		c.close()
		within(t, entered)
		d := h.dial(t)
		d.send(`0{"pid":"` + pid + `"}`)
		eventually(t, "two sockets", func() bool { return h.live.Load() == 3 })
		ended := h.shutdown()
		eventually(t, "the second does not wait", func() bool { return h.live.Load() == 1 })
		close(gate)
		expect(t, ended)
	})
	t.Run("namespace", func(t *testing.T) {
		t.Parallel()
		h := serve(t, Options{})
		gate, entered := make(chan struct{}), make(chan struct{})
		p := h.OfFunc(func(context.Context, string, *Handshake) error { entered <- struct{}{}; <-gate; return nil })
		c := h.dial(t)
		c.send("0/x,")
		within(t, entered)
		ended := h.shutdown()
		eventually(t, "it has begun", h.closing.Load)
		close(gate)
		expect(t, ended)
		if got := children(p); got != "" {
			t.Errorf("made nevertheless: %s", got)
		}
	})
	t.Run("broadcast", func(t *testing.T) {
		t.Parallel()
		h := serve(t, Options{})
		c := h.dial(t)
		c.connect("/", "")
		asked := survey(context.Background(), h.To(), "x")
		c.expect(`20["x"]`)
		ended := h.shutdown()
		if a := within(t, asked); a.err != nil || len(a.list) != 1 || a.list[0].Err != ErrDisconnected {
			t.Errorf("%+v", a)
		}
		expect(t, ended)
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		nodes, clients, sockets := fleet(t, 2)
		asked := survey(context.Background(), nodes[0].To(), "x")
		clients[1].expect(`20["x"]`) // and does not answer
		ended := nodes[0].shutdown()
		a := within(t, asked)
		incomplete := (*IncompleteError)(nil)
		if !errors.As(a.err, &incomplete) || !errors.Is(a.err, cluster.ErrClosed) {
			t.Fatalf("%+v", a)
		}
		// The client may have been asked before its node has told whom it asks.
		if !slices.Equal(incomplete.Members, []string{sockets[1].ID()}) && (len(incomplete.Members) > 0 || len(incomplete.Nodes) != 1) {
			t.Errorf("%+v", incomplete)
		}
		expect(t, ended)
	})
}

// What is sent to a socket before it is known whether it is recovered is not lost, whether it is or not.
func TestRecoveryOfEventsFromOnOpen(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: new(Recovery)})
	h.Of("/").OnOpen(func(s *Socket) { _ = s.Emit("open", 1) })
	c := h.dial(t)
	_, pid := c.enter("")
	offset := c.event(`2["open",1,`)
	c.close()
	eventually(t, "it is saved", func() bool { return h.Of("/").Len() == 0 })
	for _, pid := range []string{pid, newID()} {
		d := h.dial(t)
		d.enter(`{"pid":"` + pid + `","offset":"` + offset + `"}`)
		d.event(`2["open",1,`)
	}
}

// S-77: a pid that no server can have given away is not looked for: an adapter would ask the whole cluster for it.
func TestRecoveryOfStrangePIDs(t *testing.T) {
	t.Parallel()
	for pid, want := range map[string]bool{
		newID(): true, "": false, "short": false, newID() + "x": false, strings.Repeat("a", 1<<20): false, newID()[:19] + "*": false, newID()[:19] + "\n": false,
	} {
		h := Handshake{auth: fmt.Appendf(nil, `{"pid":%q}`, pid)}
		if _, ok := h.recovery(); ok != want {
			t.Errorf("%.30q: %t", pid, ok)
		}
	}
}
