package engineio

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// Traffic is a value. It counts messages and the protocol's own packets in both directions. A packet's bytes are
// those of an unmasked, uncompressed WebSocket frame with it, whatever it travelled in, so that the
// two transports and the two directions compare.
type Traffic struct {
	PacketsIn, PacketsOut uint64
	BytesIn, BytesOut     uint64
}

func (t *Traffic) add(o Traffic) {
	t.PacketsIn += o.PacketsIn
	t.PacketsOut += o.PacketsOut
	t.BytesIn += o.BytesIn
	t.BytesOut += o.BytesOut
}

// received counts a packet of that many bytes behind its type.
func (t *Traffic) received(n int) {
	t.PacketsIn++
	t.BytesIn += uint64(wsframe.Size(n))
}

// SessionStats is a value: what one session has done so far.
type SessionStats struct {
	Since     time.Time // when it opened
	Transport Transport // what it is on now
	Upgraded  bool      // it began on another one
	Traffic
	// QueuedPackets and QueuedBytes are what the peer has not taken yet; see Session.Buffered.
	QueuedPackets, QueuedBytes int
}

// Stats returns the session's counters as they are now, also once it has ended.
func (s *Session) Stats() SessionStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SessionStats{
		Since:         s.handshake.Issued(),
		Transport:     s.transport(),
		Upgraded:      s.upgraded,
		Traffic:       s.traffic,
		QueuedPackets: int(s.packets),
		QueuedBytes:   s.bytes,
	}
}

// Stats is a value: what happened since the server was made.
type Stats struct {
	Sessions        int               // open or closing now
	Opened          uint64            // sessions in all
	Closed          map[Reason]uint64 // sessions that ended or are closing, by why; the caller's own
	Refused         uint64            // requests answered with an error
	Upgrades        uint64            // sessions that went from polling to WebSocket
	UpgradesFailed  uint64            // attempts that were abandoned, by either side; the session went on
	VolatileDropped uint64            // volatile messages that could not leave at once
	// What became of messages that the outbound budget of their session had no room for, besides the sessions that Disconnect
	// ended: those are Closed[ReasonOutboundOverflow].
	NewestDropped   uint64 // refused by DropNewest
	VolatileEvicted uint64 // queued already, and thrown out by DropVolatile; VolatileDropped counts them too
	TooLarge        uint64 // larger than the whole budget, and refused by any policy
	Traffic
	Limits LimitStats
}

// counters is safe for concurrent use.
type counters struct {
	opened, refused, upgrades, upgradesFailed atomic.Uint64

	volatileDropped, newestDropped, volatileEvicted, tooLarge atomic.Uint64

	limits limitCounters

	ends [16]ends // by the session's shard, so that sessions that end do not wait for each other

	// A session's traffic moves to where it ends while ledger is held for reading, so that Stats, which holds it
	// for writing, finds it in one place.
	ledger sync.RWMutex
}

// ends is what sessions that have ended leave behind.
type ends struct {
	mu      sync.Mutex // a leaf: nothing is locked under it
	closed  map[Reason]uint64
	traffic Traffic
	_       [16]byte // a cache line each
}

// ends is where the session counts when it ends.
func (s *Session) ends() *ends {
	all := &s.server.stats.ends
	return &all[s.server.sessions.shard(s.id)%len(all)]
}

// count counts one that ends.
func (e *ends) count(r Reason) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed == nil {
		e.closed = make(map[Reason]uint64)
	}
	e.closed[r]++
}

// settle takes over the traffic of one that has ended.
func (e *ends) settle(t Traffic) {
	e.mu.Lock()
	e.traffic.add(t)
	e.mu.Unlock()
}

// sentLocked counts what has left.
func (s *Session) sentLocked(bytes, packets int) {
	t := Traffic{PacketsOut: uint64(packets), BytesOut: uint64(bytes)}
	s.traffic.add(t)
	if s.state == closed {
		s.ends().settle(t) // the rest is there already
	}
}

// Stats returns the counters as they are now. It asks every session for its traffic, so it is meant
// for every few seconds, not for every request.
func (s *Server) Stats() Stats {
	c := &s.stats
	stats := Stats{
		Sessions:        s.Sessions(),
		Opened:          c.opened.Load(),
		Refused:         c.refused.Load(),
		Upgrades:        c.upgrades.Load(),
		UpgradesFailed:  c.upgradesFailed.Load(),
		VolatileDropped: c.volatileDropped.Load(),
		NewestDropped:   c.newestDropped.Load(),
		VolatileEvicted: c.volatileEvicted.Load(),
		TooLarge:        c.tooLarge.Load(),
		Limits:          s.limitStats(),
	}
	c.ledger.Lock()
	defer c.ledger.Unlock()
	for i := range c.ends {
		e := &c.ends[i]
		e.mu.Lock()
		for reason, n := range e.closed {
			if stats.Closed == nil {
				stats.Closed = make(map[Reason]uint64)
			}
			stats.Closed[reason] += n
		}
		stats.Traffic.add(e.traffic)
		e.mu.Unlock()
	}
	for session := range s.sessions.all() {
		session.mu.Lock()
		if session.state != closed {
			stats.Traffic.add(session.traffic)
		}
		session.mu.Unlock()
	}
	return stats
}
