package crowd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is what is visited. Its methods are safe for concurrent use; its fields do not change while it is.
type Server struct {
	// Addr is its host and port.
	Addr string
	// MaxPayload is the most bytes that it accepts of a message. Zero means 1,000,000.
	MaxPayload int
	// Stay is how long a client stays at most, if it is its own decision.
	Stay time.Duration
	// Pause is the longest time between two events of a well-behaved client. Zero means two seconds.
	Pause time.Duration
	// Burst is how many events are sent at once by those who flood.
	Burst int

	connections, refused atomic.Uint64
	open, most           atomic.Int64
	problems             problems
}

// Connections is how many connections there were so far, and the most that there were at once.
func (s *Server) Connections() (all, most uint64) { return s.connections.Load(), uint64(s.most.Load()) }

// Refused is how many could not be made.
func (s *Server) Refused() uint64 { return s.refused.Load() }

// Problems are what well-behaved clients have found: how many, and the first of them.
func (s *Server) Problems() (n int, first []string) { return s.problems.all() }

func (s *Server) maxPayload() int {
	if s.MaxPayload == 0 {
		return 1_000_000
	}
	return s.MaxPayload
}

// Kind is a value: a way to behave.
type Kind struct {
	Name  string
	visit func(*visitor) error
}

// Visit returns when the client has left, which it does soon when ctx ends. Problems that clients have with the server are the
// business of those who are to have none.
func (k Kind) Visit(ctx context.Context, s *Server, rng *rand.Rand) {
	v := &visitor{Context: ctx, Server: s, rng: rng}
	// Every field is drawn for each kind, so that what a client is does not change what follows.
	v.choice, v.room, v.from = rng.IntN(1<<20), rng.IntN(rooms), 2+rng.IntN(addresses)
	v.stay = time.Duration(rng.Int64N(int64(max(s.Stay, 1))))
	v.rng = rand.New(rand.NewPCG(rng.Uint64(), 0)) // how much is drawn from it depends on the time
	if err := k.visit(v); err != nil && ctx.Err() == nil {
		if _, isDial := err.(*net.OpError); isDial && strings.HasPrefix(err.Error(), "dial ") {
			s.refused.Add(1)
		}
	}
}

const (
	rooms     = 100
	addresses = 253 // 127.0.0.2 to .254, for one has too few ports
)

// visitor is one client. Its context is that of its visit.
type visitor struct {
	context.Context
	*Server
	rng          *rand.Rand
	choice, room int
	from         int
	stay, cut    time.Duration // cut is zero for who is not
}

// dial has every other of those who are cut be reset, so that the others are seen to close.
func (v *visitor) dial() (*line, error) {
	l, err := dial(v, v.Server, net.IPv4(127, 0, 0, byte(v.from)))
	if err == nil && v.cut > 0 && v.choice%2 == 0 {
		abort(l.Conn.(*counted).Conn)
	}
	return l, err
}

// pause reports whether the client is still to be there after that time.
func (v *visitor) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-v.Done():
		return false
	}
}

// problems is safe for concurrent use.
type problems struct {
	mu    sync.Mutex
	first []string
	n     int
}

func (p *problems) add(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n++; len(p.first) < 20 {
		p.first = append(p.first, fmt.Sprintf(format, args...))
	}
}

func (p *problems) all() (int, []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n, p.first
}
