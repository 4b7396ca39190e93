package stream

import (
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Poller is safe for concurrent use. It waits for what is parked on it, all on one goroutine, which it has from
// the first connection on until Close. The zero value is ready for use; it must not be copied.
//
// Its epoll set knows a connection by a token, never by its descriptor, which may be somebody else's by the time
// an event is looked at. A connection gets a token when it is parked first and keeps it until it is closed; then
// the token means nothing any more.
type Poller struct {
	mu     sync.Mutex
	slots  []slot
	free   []uint32 // indices of slots without connection
	closed bool
	set    *epollSet // nil until something is parked
}

// slot is where a token leads to: its lower half is the index, its upper half has to be the generation.
type slot struct {
	waiter     Waiter
	generation uint32
	armed      bool // an event is awaited
}

// issue returns a token for one more connection.
func (p *Poller) issue() (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, net.ErrClosed
	}
	if p.set == nil {
		set, err := newEpollSet()
		if err != nil {
			return 0, err
		}
		p.set = set
		go set.run(p.claim)
	}
	var i uint32
	if n := len(p.free); n > 0 {
		i, p.free = p.free[n-1], p.free[:n-1]
	} else {
		i = uint32(len(p.slots))
		p.slots = append(p.slots, slot{generation: 1})
	}
	return uint64(p.slots[i].generation)<<32 | uint64(i), nil
}

// slot returns a token's slot, nil if it means nothing any more. Called with mu held.
func (p *Poller) slot(token uint64) *slot {
	if i := uint32(token); int(i) < len(p.slots) && p.slots[i].generation == uint32(token>>32) {
		return &p.slots[i]
	}
	return nil
}

func (p *Poller) drop(token uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.slot(token)
	if s == nil {
		return
	}
	*s = slot{generation: s.generation + 1}
	if s.generation == 0 { // it wraps, and no token is 0
		s.generation = 1
	}
	p.free = append(p.free, uint32(token))
}

func (p *Poller) arm(token uint64, w Waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.slot(token)
	if s == nil || p.closed {
		return false
	}
	s.waiter, s.armed = w, true
	return true
}

func (p *Poller) disarm(token uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.slot(token); s != nil {
		s.waiter, s.armed = nil, false
	}
}

// claim returns the waiter that an event is for, nil if there is none any more.
func (p *Poller) claim(token uint64) Waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.slot(token)
	if s == nil || !s.armed {
		return nil
	}
	s.armed = false
	return s.waiter
}

// Close ends the goroutine and waits for that. What is parked then is never heard of again: the owner closes its
// connections before.
func (p *Poller) Close() {
	p.mu.Lock()
	p.closed = true
	set := p.set
	p.mu.Unlock()
	if set != nil {
		_ = set.file.Close()
		<-set.done
	}
}

// epollSet is an epoll descriptor that waits in the runtime's poller like any other, so that no thread does.
type epollSet struct {
	file *os.File
	rc   syscall.RawConn
	done chan struct{}
}

func newEpollSet() (*epollSet, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that NewFile makes it one that can be waited for
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(fd), "epoll")
	rc, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // fails where it cannot
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &epollSet{file: file, rc: rc, done: make(chan struct{})}, nil
}

// run tells the waiters until the set is closed.
func (e *epollSet) run(claim func(token uint64) Waiter) {
	defer close(e.done)
	events := make([]unix.EpollEvent, 128)
	n := 0
	ready := func(fd uintptr) bool {
		var err error
		for {
			if n, err = unix.EpollWait(int(fd), events, 0); err != unix.EINTR {
				return n > 0
			}
		}
	}
	for e.rc.Read(ready) == nil {
		for _, event := range events[:n] {
			if w := claim(uint64(uint32(event.Pad))<<32 | uint64(uint32(event.Fd))); w != nil {
				w.Readable()
			}
		}
	}
}

// arm adds a descriptor to the set, or arms it again: for one event, and at once if there is something to read. The caller
// sees to it that the descriptor is not closed meanwhile.
func (e *epollSet) arm(op, fd int, token uint64) error {
	return e.control(op, fd, unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT,
		Fd:     int32(uint32(token)),
		Pad:    int32(uint32(token >> 32)),
	})
}

func (e *epollSet) control(op, fd int, event unix.EpollEvent) error {
	c := controls.Get().(*controlOp)
	defer controls.Put(c)
	c.op, c.fd, c.event = op, fd, event
	if err := e.rc.Control(c.fn); err != nil {
		return err
	}
	return os.NewSyscallError("epoll_ctl", c.err)
}

// controlOp is an epoll_ctl. As with rawOp its callback is bound once.
type controlOp struct {
	op, fd int
	event  unix.EpollEvent
	err    error
	fn     func(set uintptr)
}

var controls = sync.Pool{New: func() any {
	c := new(controlOp)
	c.fn = func(set uintptr) { c.err = unix.EpollCtl(int(set), c.op, c.fd, &c.event) }
	return c
}}
