package perchtest

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/perch-go/perch/internal/stream"
)

// network is safe for concurrent use. It is what ports and connections are in memory: hosts make
// no difference, ports do.
type network struct {
	mu    sync.Mutex
	ports map[string]*stream.Listener // once listened on, open or closed
	conns map[net.Conn]struct{}       // the clients' ends
}

func newNetwork() *network {
	return &network{ports: make(map[string]*stream.Listener), conns: make(map[net.Conn]struct{})}
}

// listen is net.Listen here.
func (n *network) listen(_, address string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ports[port] != nil {
		return nil, fmt.Errorf("perchtest: port %s was listened on before", port)
	}
	l := stream.NewListener()
	n.ports[port] = l
	return l, nil
}

// dial is a net.Dialer's DialContext here.
func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.ports[port]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("perchtest: connection refused: nobody listens on port %s", port)
	}
	c, err := l.Dial()
	if err != nil {
		return nil, err
	}
	dialed := &conn{c.(*stream.PipeConn), n}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[dialed] = struct{}{}
	return dialed, nil
}

// conn is a client's end of a connection.
type conn struct {
	*stream.PipeConn
	net *network
}

// Close lets the network forget the connection, too.
func (c *conn) Close() error {
	c.net.mu.Lock()
	delete(c.net.conns, c)
	c.net.mu.Unlock()
	return c.PipeConn.Close()
}

// cut closes every connection.
func (n *network) cut() {
	n.mu.Lock()
	conns := n.conns
	n.conns = make(map[net.Conn]struct{})
	n.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
}
