package chaos

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Direction is where bytes go, or both ways.
type Direction uint8

const (
	Up   Direction = 1 << iota // from the client to the server
	Down                       // from the server to the client
	Both = Up | Down
)

// Link is safe for concurrent use. It is one connection through a proxy: one to the client and one to the server.
type Link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	ended          chan struct{}

	mu       sync.Mutex
	isEnded  bool
	up, down lane
}

// lane is one direction of a link. Its fields belong to the link's lock.
type lane struct {
	stalled bool
	held    time.Time // nothing passes before
	limited bool
	left    int // bytes that pass before the link is cut, if it is limited…
	abrupt  bool
}

func newLink(p *Proxy, client, server *net.TCPConn) *Link {
	return &Link{proxy: p, client: client, server: server, ended: make(chan struct{})}
}

// Cut ends the link: both sides see the other one close, or if it is abrupt, reset. It reports false if the link has ended.
func (l *Link) Cut(abrupt bool) bool { return l.end(abrupt, l.proxy.stats.ofCut(abrupt)) }

func (c *counters) ofCut(abrupt bool) *atomic.Uint64 {
	if abrupt {
		return &c.resets
	}
	return &c.cuts
}

// CutAfter cuts the link when n more bytes have gone in a direction: in the midst of a message, most likely.
func (l *Link) CutAfter(d Direction, n int, abrupt bool) {
	l.each(d, func(way *lane) { way.limited, way.left, way.abrupt = true, n, abrupt })
}

// Delay holds back what goes in a direction for a while. Nothing is lost and nothing overtakes.
func (l *Link) Delay(d Direction, wait time.Duration) {
	until := time.Now().Add(wait)
	if l.each(d, func(way *lane) { way.held = until }) {
		l.proxy.stats.delays.Add(1)
	}
}

// Stall leaves the link half-open: what goes in the direction from now on is lost, the news that a side has closed included,
// and who sends it is not told. Nobody is, until the time is over; then both sides are reset, or what is left of them.
func (l *Link) Stall(d Direction, wait time.Duration) {
	if !l.each(d, func(way *lane) { way.stalled = true }) {
		return
	}
	l.proxy.stats.stalls.Add(1)
	until := time.Now().Add(wait)
	_ = l.client.SetDeadline(until)
	_ = l.server.SetDeadline(until)
}

// each changes lanes, unless the link has ended.
func (l *Link) each(d Direction, change func(*lane)) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isEnded {
		return false
	}
	if d&Up != 0 {
		change(&l.up)
	}
	if d&Down != 0 {
		change(&l.down)
	}
	return true
}

// end closes both connections, and counts that; only the first call does.
func (l *Link) end(abrupt bool, counted ...*atomic.Uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isEnded {
		return false
	}
	l.isEnded = true
	for _, c := range counted {
		c.Add(1)
	}
	close(l.ended)
	closeTCP(l.client, abrupt)
	closeTCP(l.server, abrupt)
	return true
}

// run forwards until both directions have ended.
func (l *Link) run() {
	var up sync.WaitGroup
	up.Go(func() { l.pump(&l.up, &l.down, l.client, l.server, l.proxy.countUp) })
	l.pump(&l.down, &l.up, l.server, l.client, l.proxy.countDown)
	up.Wait()
}

func (p *Proxy) countUp(n int)   { p.stats.up.Add(uint64(n)) }
func (p *Proxy) countDown(n int) { p.stats.down.Add(uint64(n)) }

// pump forwards one direction until it has ended. What becomes of the bytes, their sender is told in the other one.
func (l *Link) pump(way, back *lane, from, to *net.TCPConn, count func(int)) {
	buf := make([]byte, 8<<10)
	for {
		n, err := from.Read(buf)
		count(n)
		pass, cut, abrupt := l.admit(way, n)
		if pass > 0 {
			if _, failed := to.Write(buf[:pass]); failed != nil {
				if !l.stalled(back) {
					l.end(true)
					return
				}
				l.lose(way)
			}
		}
		switch {
		case cut:
			stats := &l.proxy.stats
			l.end(abrupt, stats.ofCut(abrupt), &stats.inside)
			return
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			l.end(true)
			return
		case l.stalled(way):
			return
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite()
			return
		default:
			l.end(true)
			return
		}
	}
}

// admit waits for as long as a direction is held back, and says how many of n bytes pass, and whether the link is cut then.
func (l *Link) admit(way *lane, n int) (pass int, cut, abrupt bool) {
	for {
		l.mu.Lock()
		wait := time.Until(way.held)
		if wait <= 0 {
			break
		}
		l.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-l.ended:
			timer.Stop()
			return 0, false, false
		}
	}
	defer l.mu.Unlock()
	switch {
	case way.stalled:
		return 0, false, false
	case way.limited && n >= way.left:
		return way.left, true, way.abrupt
	}
	way.left -= n
	return n, false, false
}

func (l *Link) stalled(way *lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return way.stalled
}

// lose has a direction lose everything from now on: nobody is there to take it.
func (l *Link) lose(way *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	way.stalled = true
}
