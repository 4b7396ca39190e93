package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/engineio"
)

func TestWebSocket(t *testing.T) {
	t.Parallel()
	f := newFixture(t, engineio.Options{}, true, loopback(t))
	defer f.close()
	c := dial(t, f.config(WebSocket))
	if c.Transport() != WebSocket || len(c.ID()) != 20 {
		t.Errorf("transport %q, id %q", c.Transport(), c.ID())
	}
	c.text(t, "hello", "", strings.Repeat("x", 300_000))
	if err := c.Send(false, Message{Data: []byte{0, 1, 0x1e}, Binary: true}); err != nil {
		t.Error(err)
	}
	expect(t, c.messages, "hello", "", strings.Repeat("x", 300_000), "b:\x00\x01\x1e")
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if p, b := c.Buffered(); p != 0 || b != 0 || !c.Writable() {
		t.Errorf("buffered %d packets, %d bytes; writable %t", p, b, c.Writable())
	}
	c.stop(t)
	p := <-f.peers
	if reason := <-p.closed; reason != engineio.ReasonTransportClose {
		t.Errorf("the server says %q", reason)
	}
}

// TestHeartbeat shows that pings are answered, and that a server that sends none is gone.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, engineio.Options{}, false, nil)
		defer f.close()
		c := dial(t, f.config(WebSocket))
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
