package chaos

import (
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// dialTime is how long the target may take to accept, on a machine that is busy with other tests.
const dialTime = 10 * time.Second

// Proxy is safe for concurrent use. It forwards TCP connections to one address until it is closed.
type Proxy struct {
	target   string
	listener *net.TCPListener
	stats    counters
	running  sync.WaitGroup

	mu      sync.Mutex
	links   []*Link
	next    []func(*Link)
	refuses time.Time // until then
	closed  bool
}

// Stats is a value: what a proxy has done so far.
type Stats struct {
	Links   uint64 // connections that were forwarded
	Refused uint64 // connections that were not
	Cuts    uint64 // ended by FIN
	Resets  uint64 // ended by RST, by the proxy's own decision
	Inside  uint64 // of both, those that were cut after a number of bytes
	Delays  uint64
	Stalls  uint64 // half-open links
	Up      uint64 // bytes that came from clients, lost ones included
	Down    uint64
}

type counters struct {
	links, refused, cuts, resets, inside, delays, stalls, up, down atomic.Uint64
}

// Listen makes a proxy on a port of its own, on the loopback, for the TCP address target.
func Listen(target string) (*Proxy, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: l}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is the host and port that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Links are the connections that are forwarded now, or half-open.
func (p *Proxy) Links() []*Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.links)
}

// Next has fn called with the next new link, before anything is forwarded. Several wait for one link each.
func (p *Proxy) Next(fn func(*Link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = append(p.next, fn)
}

// Refuse resets whoever connects within the time from now.
func (p *Proxy) Refuse(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = time.Now().Add(d)
}

// Calm takes back what Next and Refuse have announced. Links that are delayed or half-open stay so.
func (p *Proxy) Calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.refuses = nil, time.Time{}
}

// Stats returns the counters as they are now.
func (p *Proxy) Stats() Stats {
	c := &p.stats
	return Stats{
		Links: c.links.Load(), Refused: c.refused.Load(), Cuts: c.cuts.Load(), Resets: c.resets.Load(), Inside: c.inside.Load(),
		Delays: c.delays.Load(), Stalls: c.stalls.Load(), Up: c.up.Load(), Down: c.down.Load(),
	}
}

// Close ends every link and the proxy, and waits for both.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	links := slices.Clone(p.links)
	p.mu.Unlock()
	err := p.listener.Close()
	for _, l := range links {
		l.end(false)
	}
	p.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // one too many for the system
			<-time.After(10 * time.Millisecond)
			continue
		}
		if p.refusing() {
			p.stats.refused.Add(1)
			closeTCP(c, true)
			continue
		}
		p.running.Go(func() { p.forward(c) })
	}
}

func (p *Proxy) refusing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.refuses)
}

// forward lives as long as a link does.
func (p *Proxy) forward(client *net.TCPConn) {
	c, err := net.DialTimeout("tcp", p.target, dialTime)
	if err != nil {
		closeTCP(client, true)
		return
	}
	l := newLink(p, client, c.(*net.TCPConn))
	if fn, ok := p.add(l); ok {
		p.stats.links.Add(1)
		if fn != nil {
			fn(l)
		}
		l.run()
		p.remove(l)
	}
	l.end(false)
}

// add also takes the first of those who wait for a link.
func (p *Proxy) add(l *Link) (fn func(*Link), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false
	}
	p.links = append(p.links, l)
	if len(p.next) > 0 {
		fn, p.next = p.next[0], p.next[1:]
	}
	return fn, true
}

func (p *Proxy) remove(l *Link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.links, l); i >= 0 {
		p.links = slices.Delete(p.links, i, i+1)
	}
}

// closeTCP ends a connection by FIN, or by RST.
func closeTCP(c *net.TCPConn, abrupt bool) {
	if abrupt {
		_ = c.SetLinger(0)
	}
	_ = c.Close()
}
