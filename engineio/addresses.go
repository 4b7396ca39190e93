package engineio

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/perch-go/perch/internal/wheel"
)

// sweepAddresses is how often addresses are looked for that can be forgotten.
const sweepAddresses = 30 * time.Second

// addresses are those that the limits by address go by. A handshake takes the lock, and the end of a session and a strike;
// no message does.
//
// Those with a session or a handshake are as many as these at most. The others are remembered for what they did,
// in the order in which they were heard of, and never more than max, whatever clients send.
type addresses struct {
	limits   *Limits
	interval int64 // nanoseconds for a token of HandshakeRate; 0 when that is off
	start    time.Time

	mu            sync.Mutex
	all           map[[16]byte]*address
	idle          address // of the list of those without a session: next was heard of longest ago
	idleCount     int
	sweeping      bool
	strikes, bans uint64
	timer         wheel.Timer
}

// address is one of them; its fields are guarded by the lock of all. Times are nanoseconds since the start.
type address struct {
	key        [16]byte
	next, prev *address // nil while it is held
	held       int32    // sessions and handshakes
	strikes    int32    // since
	since      int64
	banned     int64 // until then
	full       int64 // when the bucket of tokens will be
}

func newAddresses(l *Limits) *addresses {
	if !l.byAddress() {
		return nil
	}
	a := &addresses{limits: l, start: time.Now(), all: make(map[[16]byte]*address)}
	if l.HandshakeRate > 0 {
		a.interval = max(int64(float64(time.Second)/l.HandshakeRate), 1)
	}
	a.idle.next, a.idle.prev = &a.idle, &a.idle
	return a
}

func (a *addresses) now() int64 { return int64(time.Since(a.start)) }

// addressKey is what an address is counted as; ok is false for what is none.
func addressKey(text string) (key [16]byte, ok bool) {
	ip := parseAddress(text)
	if !ip.IsValid() {
		return key, false
	}
	key = ip.As16()
	if ip.Is6() {
		clear(key[8:])
	}
	return key, true
}

// enter counts a handshake of a client. It says which limit is met, or returns who is to leave again; nil for a client
// without an address.
func (a *addresses) enter(text string) (*address, limit, bool) {
	key, ok := addressKey(text)
	if !ok {
		return nil, 0, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	e := a.all[key]
	if e == nil {
		e = &address{key: key}
	}
	switch most := a.limits.MaxPerAddress; {
	case e.banned > now:
		a.touch(e)
		return nil, limitBan, false
	case most > 0 && int(e.held) >= most:
		return nil, limitPerAddress, false // it is held
	}
	if a.interval > 0 {
		full := max(e.full, now) + a.interval
		if (full-now-1)/a.interval >= int64(a.limits.HandshakeBurst) {
			a.touch(e)
			return nil, limitRate, false
		}
		e.full = full
	}
	a.unlist(e)
	a.all[key] = e
	e.held++
	return e, 0, true
}

// leave takes a handshake or a session off, and reports whether sweeping is to be begun.
func (a *addresses) leave(e *address) (sweep bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.held--; e.held > 0 {
		return false
	}
	now := a.now()
	if e.expiry(a.limits) <= now {
		delete(a.all, e.key)
		return false
	}
	return a.list(e)
}

// strike counts a misbehaviour of an address that is held, or was, and reports whether it is refused from now on.
func (a *addresses) strike(e *address) (ban, sweep bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if known := a.all[e.key]; known != nil {
		e = known
	} else { // its session has ended
		a.all[e.key] = e
		sweep = a.list(e)
	}
	a.strikes++
	if e.strikes == 0 || now-e.since > int64(a.limits.Strikes.Window) {
		e.strikes, e.since = 0, now
	}
	if e.strikes++; int(e.strikes) <= a.limits.Strikes.Limit {
		return false, sweep
	}
	a.bans++
	e.strikes, e.banned = 0, now+int64(a.limits.Strikes.Ban)
	return true, sweep
}

// expiry is when there is nothing to be remembered of it any more.
func (e *address) expiry(l *Limits) int64 {
	t := max(e.full, e.banned)
	if e.strikes > 0 {
		t = max(t, e.since+int64(l.Strikes.Window))
	}
	return t
}

// touch makes it the one heard of last, if it is listed.
func (a *addresses) touch(e *address) {
	if e.next != nil {
		a.unlist(e)
		a.list(e)
	}
}

// list puts it among those without a session, and reports whether sweeping is to be begun.
func (a *addresses) list(e *address) (sweep bool) {
	if a.idleCount >= a.limits.MaxAddresses {
		oldest := a.idle.next
		a.unlist(oldest)
		delete(a.all, oldest.key)
	}
	e.prev, e.next = a.idle.prev, &a.idle
	e.prev.next, a.idle.prev = e, e
	a.idleCount++
	sweep = !a.sweeping
	a.sweeping = true
	return sweep
}

func (a *addresses) unlist(e *address) {
	if e.next == nil {
		return
	}
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
	a.idleCount--
}

// sweep forgets those of whom there is nothing to be remembered, and reports whether some are left.
func (a *addresses) sweep() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for e := a.idle.next; e != &a.idle; {
		next := e.next
		if e.expiry(a.limits) <= now {
			a.unlist(e)
			delete(a.all, e.key)
		}
		e = next
	}
	if len(a.all) == 0 {
		a.all = make(map[[16]byte]*address) // a map keeps the size it once had
	}
	a.sweeping = a.idleCount > 0
	return a.sweeping
}

// leaveAddress takes a handshake or a session off its address, and sees to it that the address is forgotten in time.
func (s *Server) leaveAddress(e *address) {
	if e != nil && s.addresses.leave(e) {
		s.scheduleAddressSweep()
	}
}

func (s *Server) scheduleAddressSweep() {
	s.wheel.Schedule(&s.addresses.timer, sweepAddresses, func() {
		s.goroutines.run(func() {
			if s.addresses.sweep() {
				s.scheduleAddressSweep()
			}
		})
	})
}

// Strike counts a misbehaviour of the client against its address, see Limits.Strikes: what a layer above
// has found wrong with what it sends. It ends nothing, and costs nothing where strikes are off. The engine counts those it sees
// itself, ReasonParseError and ReasonInboundOverflow among them whoever closes a session with these.
func (s *Session) Strike() {
	if s.server.opts.Limits.Strikes.Limit == 0 {
		return
	}
	s.mu.Lock()
	x := s.rare
	s.mu.Unlock()
	if x == nil || x.address == nil {
		return
	}
	ban, sweep := s.server.addresses.strike(x.address)
	if sweep {
		s.server.scheduleAddressSweep()
	}
	if !ban {
		return
	}
	s.server.opts.Logger.Warn("engineio: an address has misbehaved too often and is refused for a while (Limits.Strikes)",
		"address", netip.AddrFrom16(x.address.key).Unmap(), "ban", s.server.opts.Limits.Strikes.Ban)
}

// struck is whether the end of a session for that reason is a strike.
func (r Reason) struck() bool { return r == ReasonParseError || r == ReasonInboundOverflow }

// warnOfProxy tells, once, that clients may all have the address of a proxy.
func (s *Server) warnOfProxy(r *http.Request) {
	if len(r.Header["X-Forwarded-For"]) == 0 && len(r.Header["Forwarded"]) == 0 || s.proxyWarned.Load() ||
		isTrusted(r.RemoteAddr, s.opts.TrustedProxies) || s.proxyWarned.Swap(true) {
		return
	}
	s.opts.Logger.Warn("engineio: a forwarding header came from a peer that is not trusted, so limits by address go by the peer's own: "+
		"if it is a proxy, list it in TrustedProxies", "peer", r.RemoteAddr)
}
