//go:build linux

package main

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

// generator is the loop, its connections and what it has counted.
type generator struct {
	*plan
	*dialect

	epoll   int
	start   time.Time
	byFD    []*connection
	events  [1024]syscall.EpollEvent
	input   []byte // where a read lands; what is left of a message goes back to its connection
	answers []byte // frames for the connection whose input is looked at
	request []byte // that upgrades
	source  int    // how many source addresses were used

	opened, pending, ready, dead, pings int
	cut                                 int // of those that stall, by the server
	receive                             int // bytes that the system keeps for what is dialed next; 0: its default

	why       string // the first connection failed
	err       error  // ends the loop
	repeating bool   // what is acked is sent again
	acked     int    // while not repeating
	ring      []*connection
	turnOf    int // where in the ring the next event goes
	schedule

	measuring     bool
	count         uint64
	times         histogram // of what is counted
	rounds        histogram // of what consists of that: a broadcast, a cycle of polling
	reads, writes uint64

	caster         *connection // triggers broadcasts
	cast, complete int
	castAt         [inFlight]int64
	delivered      [inFlight]int32

	out map[string]any
}

// inFlight is the most broadcasts that are.
const inFlight = 1 << 16

// The states of a connection. Those from pollingOpen on are of long-polling.
const (
	connecting = iota
	upgrading
	opening // the connection is there, the session is not
	joining // the namespace was asked for
	ready
	dead
	pollingOpen
	pollingJoin
	pollingJoined
	pollingPost
	pollingGet
)

// connection is one of the generator's.
type connection struct {
	fd       int32
	state    uint8
	blocked  bool    // epoll says when it can be written to
	in, out  []byte  // what is left
	message  []byte  // what there is of a fragmented one
	sent     []int64 // when, by slot; 0 is never
	received int     // broadcasts
	pings    int
	outside  bool // of the room: none is for it
	stalls   bool // is not read any more
	began    int64
	echoed   int64 // polling: when the last ack came
	sid      string
}

func newGenerator(p *plan) (*generator, error) {
	g := &generator{plan: p, dialect: dialects[p.mode](p), start: time.Now(), input: make([]byte, 1<<20), answers: make([]byte, 0, 1<<20)}
	g.request = p.upgrade(g.dialect)
	g.out = map[string]any{"scenario": p.scenario, "mode": p.mode, "c": p.connections, "label": p.label}
	var err error
	if g.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return g, nil
}

func (g *generator) close() {
	for _, c := range g.byFD {
		if c != nil {
			_ = syscall.Close(int(c.fd))
		}
	}
	_ = syscall.Close(g.epoll)
}

func (g *generator) now() int64 { return int64(time.Since(g.start)) }

// runFor runs the loop, for some seconds or until it cannot go on. Between its turns it calls each, if there is one.
func (g *generator) runFor(seconds float64, each func()) error {
	for end := g.now() + int64(seconds*1e9); g.now() < end && g.err == nil; {
		if each != nil {
			each()
		}
		g.turn()
	}
	return g.err
}

// failures is how many connections may fail before it is the server that does.
const failures = 50

// connectAll opens all connections and tells how many seconds that took.
func (g *generator) connectAll() (float64, error) {
	patience := 20e9 + float64(g.connections)*1e6
	begin := g.now()
	for g.ready < g.connections && g.err == nil {
		for g.opened < g.connections && g.pending < g.concurrent && g.err == nil {
			g.dial()
		}
		g.turn()
		if g.dead > 0 && g.ready+g.dead >= g.connections || float64(g.now()-begin) > patience {
			break
		}
	}
	if g.err != nil {
		return 0, g.err
	}
	if g.ready < g.connections {
		return 0, fmt.Errorf("only %d of %d connections are ready, %d failed: %s", g.ready, g.connections, g.dead, g.why)
	}
	return float64(g.now()-begin) / 1e9, nil
}

// all are the connections that are there.
func (g *generator) all() (all []*connection) {
	for _, c := range g.byFD {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

func (g *generator) dial() *connection {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		g.err = fmt.Errorf("socket, after %d: %w", g.opened, err)
		return nil
	}
	c := &connection{fd: int32(fd), state: connecting, began: g.now()}
	for len(g.byFD) <= fd {
		g.byFD = append(g.byFD, nil)
	}
	g.byFD[fd] = c
	g.opened++
	g.pending++
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	if g.receive > 0 {
		_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, g.receive)
	}
	if g.sources > 0 {
		const bindAddressNoPort = 24 // IP_BIND_ADDRESS_NO_PORT: the port is chosen when it is known whereto
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1)
		from := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, byte(g.sourceNet), byte(1 + g.source%g.sources)}}
		g.source++
		if err := syscall.Bind(fd, from); err != nil {
			g.err = fmt.Errorf("bind: %w", err)
			return c
		}
	}
	switch err := syscall.Connect(fd, &syscall.SockaddrInet4{Addr: g.server.Addr().As4(), Port: int(g.server.Port())}); err {
	case nil:
		g.watch(syscall.EPOLL_CTL_ADD, c, syscall.EPOLLIN)
		g.connected(c)
	case syscall.EINPROGRESS:
		c.blocked = true
		g.watch(syscall.EPOLL_CTL_ADD, c, syscall.EPOLLIN|syscall.EPOLLOUT)
	default:
		g.err = fmt.Errorf("connect: %w", err)
	}
	return c
}

func (g *generator) connected(c *connection) {
	if g.scenario == "polling" {
		g.poll(c, pollingOpen, "")
		return
	}
	c.state = upgrading
	g.send(c, g.request)
}

func (g *generator) watch(op int, c *connection, events uint32) {
	if c.stalls {
		events &^= syscall.EPOLLIN
	}
	if err := syscall.EpollCtl(g.epoll, op, int(c.fd), &syscall.EpollEvent{Events: events, Fd: c.fd}); err != nil {
		g.err = fmt.Errorf("epoll: %w", err)
	}
}

// send writes what the kernel takes and keeps the rest.
func (g *generator) send(c *connection, b []byte) {
	if len(b) == 0 || c.state == dead {
		return
	}
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return
	}
	g.writes++
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	switch errno {
	case 0:
	case syscall.EAGAIN, syscall.EINTR:
		n = 0
	default:
		g.fail(c, "write: "+errno.Error())
		return
	}
	if int(n) < len(b) {
		c.out = append(c.out, b[n:]...)
		if !c.blocked {
			c.blocked = true
			g.watch(syscall.EPOLL_CTL_MOD, c, syscall.EPOLLIN|syscall.EPOLLOUT)
		}
	}
}

// fail counts a connection as failed and closes it.
func (g *generator) fail(c *connection, why string) {
	if c.state == dead {
		return
	}
	if c.stalls {
		g.cut++
		g.drop(c)
		return
	}
	if c.state < ready {
		g.pending--
	}
	g.dead++
	if g.why == "" {
		g.why = why
	}
	if g.dead > failures && g.err == nil {
		g.err = fmt.Errorf("more than %d connections failed, the first: %s", failures, g.why)
	}
	g.drop(c)
}

func (g *generator) drop(c *connection) {
	c.state = dead
	if g.scenario == "connect" { // reset, or the ports are used up in a moment
		_ = syscall.SetsockoptLinger(int(c.fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1, Linger: 0})
	}
	g.byFD[c.fd] = nil
	_ = syscall.Close(int(c.fd))
}

// turn waits a moment for events and handles them.
func (g *generator) turn() {
	const often = 64 // events before what is due meanwhile is sent
	g.release()
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(g.epoll), uintptr(unsafe.Pointer(&g.events[0])),
		uintptr(len(g.events)), uintptr(g.pause()), 0, 0)
	if errno != 0 {
		return // interrupted
	}
	for i := range g.events[:n] {
		if i%often == often-1 {
			g.release()
		}
		c := g.byFD[g.events[i].Fd]
		if c == nil {
			continue
		}
		events := g.events[i].Events
		if events&syscall.EPOLLOUT != 0 {
			g.writable(c)
		}
		if c.state != dead && events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
			g.readable(c)
		}
	}
}

func (g *generator) writable(c *connection) {
	if c.state == connecting {
		if v, _ := syscall.GetsockoptInt(int(c.fd), syscall.SOL_SOCKET, syscall.SO_ERROR); v != 0 {
			g.fail(c, "connect: "+syscall.Errno(v).Error())
			return
		}
	}
	left := c.out
	c.out, c.blocked = nil, false
	g.watch(syscall.EPOLL_CTL_MOD, c, syscall.EPOLLIN)
	if c.state == connecting {
		g.connected(c)
	} else {
		g.send(c, left)
	}
}

func (g *generator) readable(c *connection) {
	if c.stalls {
		g.fail(c, "") // it is not read: the connection is gone
		return
	}
	left := copy(g.input, c.in)
	room := g.input[left:]
	if len(room) == 0 {
		g.fail(c, "a message is too long")
		return
	}
	g.reads++
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)))
	switch {
	case errno == syscall.EAGAIN, errno == syscall.EINTR:
		return
	case errno != 0:
		g.fail(c, "read: "+errno.Error())
		return
	case n == 0:
		g.fail(c, fmt.Sprintf("the server closed the connection in state %d", c.state))
		return
	}
	c.in = c.in[:0]
	b, now := g.input[:left+int(n)], g.now()
	if c.state >= pollingOpen {
		g.polled(c, b, now)
		return
	}
	g.received(c, b, now)
}
