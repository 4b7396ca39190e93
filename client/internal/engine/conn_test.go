package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/engineio"
)

// ways are the ways to connect.
var ways = []struct {
	name       string
	transports []Transport
	upgrade    bool
}{
	{"websocket", []Transport{WebSocket}, false},
	{"polling", []Transport{Polling, WebSocket}, false},
	{"upgrade", []Transport{Polling, WebSocket}, true},
}

// eachWay runs a test on each of the ways, over loopback.
func eachWay(t *testing.T, o engineio.Options, echo bool, test func(t *testing.T, f *fixture, c Config)) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, o, echo, loopback(t))
			defer f.close()
			c := f.config(way.transports...)
			c.Upgrade = way.upgrade
			test(t, f, c)
		})
	}
}

// eachWayTimed is eachWay in memory and in fake time.
func eachWayTimed(t *testing.T, o engineio.Options, echo bool, test func(t *testing.T, f *fixture, c Config)) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, o, echo, nil)
				defer f.close()
				c := f.config(way.transports...)
				c.Upgrade = way.upgrade
				test(t, f, c)
			})
		})
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	eachWay(t, engineio.Options{}, true, func(t *testing.T, f *fixture, config Config) {
		c := dial(t, config)
		if c.Transport() != config.Transports[0] && !config.Upgrade || len(c.ID()) != 20 {
			t.Errorf("transport %q, id %q", c.Transport(), c.ID())
		}
		long := strings.Repeat("é", 150_000)
		c.text(t, "hello", "", long)
		if err := c.Send(false, Message{Data: []byte{0, 1, 0x1e}, Binary: true}, Message{Data: []byte("{}")}); err != nil {
			t.Error(err)
		}
		expect(t, c.messages, "hello", "", long, "b:\x00\x01\x1e", "{}")
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if p, b := c.Buffered(); p != 0 || b != 0 || !c.Writable() {
			t.Errorf("buffered %d packets, %d bytes; writable %t", p, b, c.Writable())
		}
		if config.Upgrade {
			if to := <-c.upgraded; to != WebSocket || c.Transport() != WebSocket {
				t.Errorf("upgraded to %q, is on %q", to, c.Transport())
			}
			c.text(t, "after")
			expect(t, c.messages, "after")
		}
		c.stop(t)
		p := <-f.peers
		if reason := <-p.closed; reason != engineio.ReasonTransportClose {
			t.Errorf("the server says %q", reason)
		}
	})
}

// TestOrder sends while the connection upgrades: nothing is lost, doubled or overtaken, in either direction.
func TestOrder(t *testing.T) {
	t.Parallel()
	eachWay(t, engineio.Options{}, true, func(t *testing.T, f *fixture, config Config) {
		c := dial(t, config)
		const n = 2000
		go func() {
			for i := range n {
				c.text(t, strings.Repeat("x", i%300)+"|", strings.Repeat("y", i%7))
				if i%50 == 0 {
					_ = c.Flush(context.Background())
				}
			}
		}()
		for i := range n {
			expect(t, c.messages, strings.Repeat("x", i%300)+"|", strings.Repeat("y", i%7))
		}
		if config.Upgrade {
			<-c.upgraded
		}
		c.stop(t)
	})
}

// TestClose shows that what was queued still arrives.
func TestClose(t *testing.T) {
	t.Parallel()
	eachWay(t, engineio.Options{}, false, func(t *testing.T, f *fixture, config Config) {
		c := dial(t, config)
		p := <-f.peers
		var want []string
		for i := range 500 {
			want = append(want, strings.Repeat("z", i))
		}
		c.text(t, want...)
		c.stop(t)
		expect(t, p.messages, want...)
		if reason := <-p.closed; reason != engineio.ReasonTransportClose {
			t.Errorf("the server says %q", reason)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if err := c.Wait(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Wait: %v", err)
		}
		c.Close()
	})
}

// TestContext shows that the context of Serve ends everything at once.
func TestContext(t *testing.T) {
	t.Parallel()
	eachWayTimed(t, engineio.Options{}, false, func(t *testing.T, f *fixture, config Config) {
		c := dial(t, config)
		p := <-f.peers
		synctest.Wait()
		start := time.Now()
		c.cancel()
		if err := c.ended(t, ForcedClose); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		<-p.closed
		if d := time.Since(start); d > 0 {
			t.Errorf("took %v", d)
		}
	})
}

// TestServerCloses shows what a client sees of a server that ends its session or goes away (C-12).
func TestServerCloses(t *testing.T) {
	t.Parallel()
	eachWayTimed(t, engineio.Options{}, false, func(t *testing.T, f *fixture, config Config) {
		c := dial(t, config)
		p := <-f.peers
		synctest.Wait()
		p.Close(engineio.ReasonForcedClose)
		_ = c.ended(t, TransportClose)
	})
}

// TestHeartbeat shows that pings are answered.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	eachWayTimed(t, engineio.Options{}, false, func(t *testing.T, f *fixture, config Config) {
		c := dial(t, config)
		p := <-f.peers
		start := time.Now()
		for range 4 {
			<-c.pings
		}
		if d := time.Since(start); d != 100*time.Second {
			t.Errorf("four pings in %v", d)
		}
		synctest.Wait()
		select {
		case r := <-p.closed:
			t.Errorf("the server ended with %q", r)
		default:
		}
		c.stop(t)
	})
}
