package engineio

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// What bounds a client where Limits does not say otherwise.
const (
	DefaultMaxHandshakes    = 8192
	DefaultHandshakeTimeout = 30 * time.Second
	DefaultHandshakeBytes   = 16 << 10
	DefaultPacketsPerPost   = 65536
	DefaultFragments        = 16384
	DefaultMessageTimeout   = time.Minute
	DefaultBodyTimeout      = 30 * time.Second
	DefaultAnswerTimeout    = 30 * time.Second
	DefaultMaxAddresses     = 65536
)

// Limits is a plain value, read once by New: what a client can make the server spend, beyond the sizes and times of
// Options itself. What bounds memory, size and time is on by default. What counts sessions, or goes by the client's address, is
// off: behind one NAT there are many clients, and behind a proxy that Options.TrustedProxies does not name all of them have one
// address. StrictLimits has values for it.
//
// An address is an IPv4 address, or the first 64 bits of an IPv6 one, because a single client has that many. A peer without, on
// a Unix socket or in memory, is not counted. The address is the one the request came with, whatever middlewares make of it.
//
// Whom a limit turns away gets an HTTP status, as said below, and the body {"code":4,"message":…} (for a WebSocket the message
// alone); each limit has a counter in Stats.Limits, and is a *LimitError for Options.OnConnectionError and Handler.HandleClose.
type Limits struct {
	// MaxSessions is how many sessions there may be, handshakes under way included; more are refused with 503. Zero, the
	// default, means any number, as in the reference.
	MaxSessions int
	// MaxPerAddress is how many of them one address may have; more are refused with 429. Zero, the default, means any number.
	MaxPerAddress int
	// MaxHandshakes is how many handshakes may be under way, which wait for middlewares, AllowRequest, GenerateID and
	// Plain.Accept; more are refused with 503. Zero means 8,192.
	MaxHandshakes int
	// HandshakeTimeout is how long one may take: then the context of the request that those functions were given
	// ends, and the client is told 503. Zero means 30 s.
	HandshakeTimeout time.Duration
	// HandshakeBytes is how long the URL and the headers of a handshake may be together, which a session keeps; longer ones are
	// refused with 431. Zero means 16 KiB, which is what Node accepts.
	HandshakeBytes int
	// HandshakeRate is how many handshakes a second one address may begin in the long run, and HandshakeBurst how many at once
	// (a token bucket); more are refused with 429. A zero rate, the default, means any number, a zero burst ten seconds' worth.
	HandshakeRate  float64
	HandshakeBurst int
	// Strikes refuses an address that misbehaves. Its zero value, the default, never does.
	Strikes Strikes
	// MaxAddresses is how many addresses without a session are remembered for HandshakeRate and Strikes; beyond it the ones not
	// heard of for longest are forgotten. Each is about 150 bytes. Zero means 65,536.
	MaxAddresses int
	// PacketsPerPost is how many packets the body of one POST may bring. More end the session with 400. A client that was
	// offline sends all it has kept at once, so it is high. Zero means 65,536.
	PacketsPerPost int
	// Fragments is how many frames a WebSocket message may come in, if they are in time and MaxPayload holds. More end the session
	// with close code 1009. Zero means 16,384, the limit of ws since 8.22 (CVE-2026-48779), or one for each 64 bytes of MaxPayload
	// if that is more.
	Fragments int
	// MessageTimeout is how long a WebSocket message may take to arrive, from its first byte. One that is still coming then
	// ends the session with close code 1008. Clients of Engine.IO cannot answer a ping meanwhile and rarely last so long; plain ones can.
	// Zero means 1 min.
	MessageTimeout time.Duration
	// BodyTimeout is how long the body of a request may take to arrive. Then the session ends with 408, where the
	// request is a POST of one (CVE-2026-59725). Zero means 30 s. How long headers may take is up to the http.Server: its
	// ReadHeaderTimeout is zero by default, which is for ever.
	BodyTimeout time.Duration
	// AnswerTimeout is how long an answer may take to be written, that to a poll above all: a client that does not
	// take it then loses its session. Zero means 30 s.
	AnswerTimeout time.Duration
}

// Strikes is a plain value: how often an address may misbehave, and what becomes of it then. Strikes are what ends a session with
// ReasonParseError or ReasonInboundOverflow, breaks the WebSocket protocol or one of the limits PacketsPerPost, Fragments,
// MessageTimeout and BodyTimeout, a body over MaxPayload, a POST after the upgrade to WebSocket, and whatever the layer above
// reports with Session.Strike. Who merely comes too often, or does not keep up, gets none.
type Strikes struct {
	// Limit is how many there may be within Window; with the next one the address is refused, 403, until Ban is over. Its sessions
	// go on. Zero means that none are counted.
	Limit int
	// Window begins with the first strike. Zero means 1 min.
	Window time.Duration
	// Ban is how long the address is refused. Zero means 10 min.
	Ban time.Duration
}

// StrictLimits returns Limits for servers on the open internet whose clients come from addresses of their own, or through proxies
// in Options.TrustedProxies: everything is on, and what is on by default is tighter. An honest client does not notice.
func StrictLimits() Limits {
	return Limits{
		MaxSessions:      50_000,
		MaxPerAddress:    100,
		MaxHandshakes:    2048,
		HandshakeTimeout: 10 * time.Second,
		HandshakeBytes:   8 << 10, // as nginx and Apache for a line of it
		HandshakeRate:    10,
		HandshakeBurst:   100,
		Strikes:          Strikes{Limit: 10, Window: time.Minute, Ban: 10 * time.Minute},
		PacketsPerPost:   4096,
		Fragments:        1024,
		MessageTimeout:   30 * time.Second,
		BodyTimeout:      15 * time.Second,
		AnswerTimeout:    15 * time.Second,
	}
}

// Strict returns o with [StrictLimits]. What o.Limits sets itself stays as it is.
func (o Options) Strict() Options {
	l, s := &o.Limits, StrictLimits()
	l.MaxSessions = cmp.Or(l.MaxSessions, s.MaxSessions)
	l.MaxPerAddress = cmp.Or(l.MaxPerAddress, s.MaxPerAddress)
	l.MaxHandshakes = cmp.Or(l.MaxHandshakes, s.MaxHandshakes)
	l.HandshakeTimeout = cmp.Or(l.HandshakeTimeout, s.HandshakeTimeout)
	l.HandshakeBytes = cmp.Or(l.HandshakeBytes, s.HandshakeBytes)
	if l.HandshakeRate == 0 && l.HandshakeBurst == 0 {
		l.HandshakeRate, l.HandshakeBurst = s.HandshakeRate, s.HandshakeBurst
	}
	l.Strikes = cmp.Or(l.Strikes, s.Strikes)
	l.PacketsPerPost = cmp.Or(l.PacketsPerPost, s.PacketsPerPost)
	l.Fragments = cmp.Or(l.Fragments, s.Fragments)
	l.MessageTimeout = cmp.Or(l.MessageTimeout, s.MessageTimeout)
	l.BodyTimeout = cmp.Or(l.BodyTimeout, s.BodyTimeout)
	l.AnswerTimeout = cmp.Or(l.AnswerTimeout, s.AnswerTimeout)
	return o
}

func (l Limits) withDefaults() (Limits, error) {
	var errs []error
	l.MaxHandshakes = cmp.Or(l.MaxHandshakes, DefaultMaxHandshakes)
	l.HandshakeTimeout = cmp.Or(l.HandshakeTimeout, DefaultHandshakeTimeout)
	l.HandshakeBytes = cmp.Or(l.HandshakeBytes, DefaultHandshakeBytes)
	l.MaxAddresses = cmp.Or(l.MaxAddresses, DefaultMaxAddresses)
	l.PacketsPerPost = cmp.Or(l.PacketsPerPost, DefaultPacketsPerPost)
	l.MessageTimeout = cmp.Or(l.MessageTimeout, DefaultMessageTimeout)
	l.BodyTimeout = cmp.Or(l.BodyTimeout, DefaultBodyTimeout)
	l.AnswerTimeout = cmp.Or(l.AnswerTimeout, DefaultAnswerTimeout)
	l.Strikes.Window = cmp.Or(l.Strikes.Window, time.Minute)
	l.Strikes.Ban = cmp.Or(l.Strikes.Ban, 10*time.Minute)
	if l.HandshakeRate > 0 && l.HandshakeBurst == 0 {
		l.HandshakeBurst = int(math.Ceil(min(10*l.HandshakeRate, 1e6)))
	}
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"MaxSessions", int64(l.MaxSessions)},
		{"MaxPerAddress", int64(l.MaxPerAddress)},
		{"MaxHandshakes", int64(l.MaxHandshakes)},
		{"HandshakeTimeout", int64(l.HandshakeTimeout)},
		{"HandshakeBytes", int64(l.HandshakeBytes)},
		{"HandshakeBurst", int64(l.HandshakeBurst)},
		{"Strikes.Limit", int64(l.Strikes.Limit)},
		{"Strikes.Window", int64(l.Strikes.Window)},
		{"Strikes.Ban", int64(l.Strikes.Ban)},
		{"MaxAddresses", int64(l.MaxAddresses)},
		{"PacketsPerPost", int64(l.PacketsPerPost)},
		{"Fragments", int64(l.Fragments)},
		{"MessageTimeout", int64(l.MessageTimeout)},
		{"BodyTimeout", int64(l.BodyTimeout)},
		{"AnswerTimeout", int64(l.AnswerTimeout)},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("engineio: Limits.%s is negative; use zero for its default", n.name))
		}
	}
	// What all of a bucket stands for is counted in nanoseconds.
	if r := l.HandshakeRate; r != 0 && !(r >= 0.001 && r <= 1e6) || l.HandshakeBurst > 1e6 {
		errs = append(errs, fmt.Errorf("engineio: Limits.HandshakeRate is %v and HandshakeBurst %d; use zero for none, or 0.001 to 1,000,000 a second and at most as many at once",
			r, l.HandshakeBurst))
	}
	return l, errors.Join(errs...)
}

// byAddress reports whether anything goes by the client's address.
func (l *Limits) byAddress() bool {
	return l.MaxPerAddress > 0 || l.HandshakeRate > 0 || l.Strikes.Limit > 0
}

// LimitError is immutable. It says which limit a client has met.
type LimitError struct {
	Limit   string // the field of Limits, or Options.MaxPayload
	Message string // what the client was told, or would have been
}

func (e *LimitError) Error() string { return "engineio: " + e.Message + " (" + e.Limit + ")" }

// limit is one that is counted.
type limit uint8

const (
	limitSessions limit = iota
	limitPerAddress
	limitHandshakes
	limitHandshakeTime
	limitHandshakeBytes
	limitRate
	limitBan
	limitPayload
	limitPackets
	limitFragments
	limitMessageTime
	limitBodyTime
	limitAnswerTime
	limitCount
)

var limitErrors = [limitCount]*LimitError{
	limitSessions:       {"Limits.MaxSessions", "the server is full"},
	limitPerAddress:     {"Limits.MaxPerAddress", "too many sessions from this address"},
	limitHandshakes:     {"Limits.MaxHandshakes", "the server is busy"},
	limitHandshakeTime:  {"Limits.HandshakeTimeout", "the handshake took too long"},
	limitHandshakeBytes: {"Limits.HandshakeBytes", "URL and headers are too long"},
	limitRate:           {"Limits.HandshakeRate", "too many handshakes from this address"},
	limitBan:            {"Limits.Strikes", "this address is refused for a while"},
	limitPayload:        {"Options.MaxPayload", "a message or body is too large"},
	limitPackets:        {"Limits.PacketsPerPost", "too many packets in one body"},
	limitFragments:      {"Limits.Fragments", "a message comes in too many fragments"},
	limitMessageTime:    {"Limits.MessageTimeout", "a message took too long to arrive"},
	limitBodyTime:       {"Limits.BodyTimeout", "a body took too long to arrive"},
	limitAnswerTime:     {"Limits.AnswerTimeout", "an answer was not taken in time"},
}

// LimitStats is a value: how often limits were met. See the fields of Limits.
type LimitStats struct {
	Sessions, PerAddress, Handshakes, HandshakeRate uint64 // handshakes refused for MaxSessions and so on
	HandshakeTimeouts, HandshakeBytes               uint64 // handshakes that took too long, were too long
	Banned                                          uint64 // handshakes refused while the address was
	Strikes, Bans                                   uint64 // given, and addresses that have had too many
	Payloads                                        uint64 // messages, also after inflation, and bodies over MaxPayload
	Packets, Fragments                              uint64 // bodies and messages of too many
	MessageTimeouts, BodyTimeouts, AnswerTimeouts   uint64
	// Addresses is how many are remembered now, with a session or without, and Pending how many handshakes are under way.
	Addresses, Pending int
}

// limitCounters is safe for concurrent use.
type limitCounters [limitCount]atomic.Uint64

func (s *Server) limitStats() LimitStats {
	c := &s.stats.limits
	l := LimitStats{
		Sessions:          c[limitSessions].Load(),
		PerAddress:        c[limitPerAddress].Load(),
		Handshakes:        c[limitHandshakes].Load(),
		HandshakeRate:     c[limitRate].Load(),
		HandshakeTimeouts: c[limitHandshakeTime].Load(),
		HandshakeBytes:    c[limitHandshakeBytes].Load(),
		Banned:            c[limitBan].Load(),
		Payloads:          c[limitPayload].Load(),
		Packets:           c[limitPackets].Load(),
		Fragments:         c[limitFragments].Load(),
		MessageTimeouts:   c[limitMessageTime].Load(),
		BodyTimeouts:      c[limitBodyTime].Load(),
		AnswerTimeouts:    c[limitAnswerTime].Load(),
		Pending:           int(s.pending.Load()),
	}
	if a := s.addresses; a != nil {
		a.mu.Lock()
		l.Addresses, l.Strikes, l.Bans = len(a.all), a.strikes, a.bans
		a.mu.Unlock()
	}
	return l
}

// met counts a limit and returns its error.
func (s *Server) met(l limit) *LimitError {
	s.stats.limits[l].Add(1)
	return limitErrors[l]
}
