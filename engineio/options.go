package engineio

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// Transport is how a session's messages travel.
type Transport string

// The transports of protocol 4 that are served.
const (
	Polling   Transport = "polling"
	WebSocket Transport = "websocket"
)

// Overflow is what happens when a message does not fit into a session's outbound budget.
type Overflow uint8

const (
	// Disconnect ends the session with ReasonOutboundOverflow: the peer reconnects and starts
	// from a known state rather than with a gap it does not know of. The default.
	Disconnect Overflow = iota
	// DropNewest refuses the message with ErrOutboundFull and keeps the session.
	DropNewest
	// DropVolatile throws out queued volatile messages to make room, and is Disconnect when that
	// is not enough.
	DropVolatile
)

// What bounds the queue of a session where Options does not say otherwise.
const (
	DefaultOutboundBytes   = 4 << 20
	DefaultOutboundPackets = 4096
)

// Options configures a Server. The zero value serves both transports with the defaults of the
// reference server.
type Options struct {
	// PingInterval is the time from one heartbeat to the next ping. Zero means 25 s (S-8).
	PingInterval time.Duration
	// PingTimeout is how long a ping may stay unanswered before the session ends with "ping
	// timeout". Zero means 20 s (S-9).
	PingTimeout time.Duration
	// UpgradeTimeout is how long an upgrade to WebSocket may take before the new connection is
	// closed; the session goes on. Zero means 10 s (S-10).
	UpgradeTimeout time.Duration
	// MaxPayload is the largest message or request body accepted, in bytes. Zero means 1,000,000
	// (S-11, maxHttpBufferSize). It is announced to clients.
	MaxPayload int64
	// Transports lists what is served. Empty means polling and WebSocket (S-13).
	Transports []Transport
	// NoUpgrades keeps polling sessions on polling (S-14, allowUpgrades). False, the default,
	// lets them upgrade.
	NoUpgrades bool
	// CORS lists the other origins whose pages may connect, over either transport. Nil, the
	// default, allows only pages of the same origin, and clients that send no Origin.
	CORS *CORS
	// TrustedProxies are the networks whose Forwarded and X-Forwarded-For headers are believed
	// when the client's address is asked for. Empty, the default, believes nobody.
	TrustedProxies []netip.Prefix
	// OutboundBytes and OutboundPackets bound what is queued for one session. Zero means 4 MiB
	// and 4,096, DefaultOutboundBytes and DefaultOutboundPackets.
	OutboundBytes, OutboundPackets int
	// Overflow is the policy at that bound. Zero means Disconnect.
	Overflow Overflow
	// InboundBytes and InboundEvents bound what one connection has sent and nobody has handled
	// yet. Zero means 1 MiB and 1,024. See Session.Charge.
	InboundBytes, InboundEvents int
	// Logger gets refused origins and handler failures as warnings and connection errors at debug
	// level. Nil means slog.Default().
	Logger *slog.Logger
}

func (o Options) withDefaults() (Options, error) {
	var errs []error
	duration := func(name string, d *time.Duration, def time.Duration) {
		if *d < 0 {
			errs = append(errs, fmt.Errorf("engineio: %s is %v; it must not be negative", name, *d))
		}
		if *d == 0 {
			*d = def
		}
	}
	number := func(name string, n *int, def int) {
		if *n < 0 {
			errs = append(errs, fmt.Errorf("engineio: %s is %d; it must not be negative", name, *n))
		}
		if *n == 0 {
			*n = def
		}
	}
	duration("PingInterval", &o.PingInterval, 25*time.Second)
	duration("PingTimeout", &o.PingTimeout, 20*time.Second)
	duration("UpgradeTimeout", &o.UpgradeTimeout, 10*time.Second)
	number("OutboundBytes", &o.OutboundBytes, DefaultOutboundBytes)
	number("OutboundPackets", &o.OutboundPackets, DefaultOutboundPackets)
	number("InboundBytes", &o.InboundBytes, 1<<20)
	number("InboundEvents", &o.InboundEvents, 1024)
	if o.MaxPayload < 0 {
		errs = append(errs, fmt.Errorf("engineio: MaxPayload is %d; it must not be negative", o.MaxPayload))
	}
	if o.MaxPayload == 0 {
		o.MaxPayload = 1_000_000
	}
	if o.Overflow > DropVolatile {
		errs = append(errs, fmt.Errorf("engineio: Overflow is %d; use Disconnect, DropNewest or DropVolatile", o.Overflow))
	}
	if len(o.Transports) == 0 {
		o.Transports = []Transport{Polling, WebSocket}
	}
	for _, t := range o.Transports {
		if t != Polling && t != WebSocket {
			errs = append(errs, fmt.Errorf("engineio: transport %q is not known; use %q or %q", t, Polling, WebSocket))
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if err := o.CORS.validate(); err != nil {
		errs = append(errs, err)
	}
	return o, errors.Join(errs...)
}

// serves reports whether a transport is switched on.
func (o *Options) serves(t Transport) bool { return slices.Contains(o.Transports, t) }

// upgradesFrom reports whether a session that opened on t may move to WebSocket.
func (o *Options) upgradesFrom(t Transport) bool {
	return t == Polling && !o.NoUpgrades && o.serves(WebSocket)
}

// tick returns the resolution of heartbeats and deadlines: a hundredth of the shortest, within reason.
func (o *Options) tick() time.Duration {
	shortest := min(o.PingInterval, o.PingTimeout, o.UpgradeTimeout)
	return min(max(shortest/100, time.Millisecond), 10*time.Millisecond)
}
