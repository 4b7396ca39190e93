package engine

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/perch-go/perch/engineio"
)

// countedConn counts what goes over a connection.
type countedConn struct {
	net.Conn
	read, written *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (c countedConn) Write(p []byte) (int, error) {
	c.written.Add(int64(len(p))) // before: the answer may be there first
	return c.Conn.Write(p)
}

// TestDeflate shows which messages are compressed: those of the threshold's size and more that may be, if both sides want it.
func TestDeflate(t *testing.T) {
	t.Parallel()
	const size = 5000
	for _, tt := range []struct {
		name               string
		server, client     bool
		threshold          int
		size               int
		noCompress, binary bool
		sent, answered     bool // compressed
	}{
		{"text", true, true, 0, size, false, false, true, true},
		{"binary", true, true, 0, size, false, true, true, true},
		{"NoCompress", true, true, 0, size, true, false, false, true},
		{"NoCompress, binary", true, true, 0, size, true, true, false, true},
		{"below the threshold", true, true, size + 2, size, false, false, false, true},
		{"at the threshold", true, true, size + 1, size, false, false, true, true},
		{"below the default threshold", true, true, 0, 1000, false, false, false, false},
		{"the server does not want it", false, true, 0, size, false, false, false, false},
		{"NoCompress without compression", false, true, 0, size, true, false, false, false},
		{"the client does not want it", true, false, 0, size, false, false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := engineio.Options{}
			if tt.server {
				o.PerMessageDeflate = &engineio.Deflate{}
			}
			f := newFixture(t, o, true, loopback(t))
			defer f.close()
			var read, written atomic.Int64
			transport := f.client.Transport.(*http.Transport)
			inner := transport.DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := inner(ctx, network, address)
				return countedConn{conn, &read, &written}, err
			}
			config := f.config(WebSocket)
			config.Deflate, config.DeflateThreshold = tt.client, tt.threshold
			c := dial(t, config)
			text, want := strings.Repeat("x", tt.size), strings.Repeat("x", tt.size)
			if tt.binary {
				want = "b:" + want
			}
			for range 3 {
				read.Store(0)
				written.Store(0)
				if err := c.Send(false, Message{Data: []byte(text), Binary: tt.binary, NoCompress: tt.noCompress}, Message{Data: []byte("end")}); err != nil {
					t.Error(err)
				}
				expect(t, c.messages, want, "end")
				if n := written.Load(); tt.sent != (n < 500) {
					t.Errorf("%d bytes sent", n)
				}
				if n := read.Load(); tt.answered != (n < 500) {
					t.Errorf("%d bytes answered", n)
				}
			}
			c.stop(t)
		})
	}
}

// TestDeflateLimit shows that MaxPayload is for what a message is inflated to.
func TestDeflateLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, engineio.Options{PerMessageDeflate: &engineio.Deflate{}}, false, loopback(t))
	defer f.close()
	config := f.config(WebSocket)
	config.Deflate, config.MaxPayload = true, 100_000
	c := dial(t, config)
	p := <-f.peers
	p.send(strings.Repeat("x", 99_999), false)
	expect(t, c.messages, strings.Repeat("x", 99_999))
	p.send(strings.Repeat("x", 100_000), false)
	if err := c.ended(t, TransportError); err == nil || !strings.Contains(err.Error(), "read limited") {
		t.Errorf("error %v", err)
	}
}
