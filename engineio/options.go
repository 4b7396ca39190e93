package engineio

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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

// Options configures a Server: a plain value, read once by New. The zero value serves both transports
// with the defaults of the reference server. Its functions are called from many goroutines at once.
//
// The path is not among them, nor is what becomes of other paths (S-1, S-12, S-22): the server is an
// http.Handler and is mounted like any other. Neither is a choice of WebSocket engines (S-21): there
// is one.
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
	// AllowEIO3 lets clients of Engine.IO protocol 3 connect as well (S-20), those of socket.io-client 1.x and 2.x, over
	// polling, JSONP and WebSocket. Any EIO parameter but 4 counts as 3 then. False, the default, refuses them with code 5.
	// On pages of other origins those clients send cookies along unless they are told otherwise, so that browsers want
	// CORS.Credentials and the origins listed; JSONP wants a Referer from a listed origin.
	AllowEIO3 bool
	// CORS lists the other origins whose pages may connect, over either transport. Nil, the
	// default, allows only pages of the same origin, and clients that send no Origin.
	CORS *CORS
	// AllowRequest decides whether a client may open a session (S-15): it is asked for every request
	// without a sid, polling or WebSocket, when the request is otherwise in order. An error refuses it,
	// and its text is what the client is told: 403 {"code":4,"message":text}, or 400 and the text for
	// a WebSocket. It may take its time, the client waits; the request's context ends when it does not
	// any more, or after Limits.HandshakeTimeout. Nil, the default, allows everybody.
	AllowRequest func(*http.Request) error
	// GenerateID makes the ids of sessions (S-82): 1 to 128 characters of A-Z a-z 0-9 - _ . ~ : that
	// no other session has, in the whole cluster, and that nobody can guess, since they are all that a
	// request needs to act for the session. It may block. An error, an unfit id or one in use refuses
	// the client with code 3 and the context ID_GENERATION_ERROR. Nil, the default, means 20 random
	// characters.
	GenerateID func(*http.Request) (string, error)
	// Cookie is the template of a cookie whose value is the session's id, for balancers that want one
	// to be sticky (S-16). It is set by the answer to a polling handshake only. An empty Name is "io",
	// an empty Path "/", a zero SameSite Lax. HttpOnly is always on, unlike the reference's: a script
	// has no use for the cookie. Nil, the default, sets none.
	Cookie *http.Cookie
	// InitialHeaders may change the headers of the answer that opens a session, the 101 of a WebSocket
	// included (S-81). It is called before Headers. Nil, the default, changes nothing.
	InitialHeaders func(h http.Header, r *http.Request)
	// Headers may change the headers of every answer, the 101 of a WebSocket and, unlike the
	// reference's, errors included (S-81). Those that CORS and middlewares have set are there already.
	// Nil, the default, changes nothing.
	Headers func(h http.Header, r *http.Request)
	// OnConnectionError hears of every request refused (S-79), on the request's goroutine, before it is
	// answered; not of those that a middleware answers itself, of a 503 after Shutdown, and of a body
	// that is too large, which is an error of its session. Nil, the default, leaves it to the log at
	// debug level.
	OnConnectionError func(*ConnectionError)
	// NoHTTPCompression sends the answers to polls as they are (S-19, httpCompression). False, the
	// default, compresses those of at least HTTPCompressionThreshold bytes with gzip or deflate, if the
	// client accepts it and any of the messages may be compressed (Message.NoCompress).
	NoHTTPCompression bool
	// HTTPCompressionThreshold is the size from which it is done, in bytes. Zero means 1,024.
	HTTPCompressionThreshold int
	// PerMessageDeflate compresses WebSocket messages, in both directions, for clients that offer it
	// (S-18). Nil, the default, does not, like the reference: it costs a great deal of time and some
	// memory, and most messages are small.
	PerMessageDeflate *Deflate
	// TrustedProxies are the networks whose Forwarded and X-Forwarded-For headers are believed
	// when the client's address is asked for. Empty, the default, believes nobody.
	TrustedProxies []netip.Prefix
	// OutboundBytes and OutboundPackets bound what is queued for one session. Zero means 4 MiB
	// and 4,096, DefaultOutboundBytes and DefaultOutboundPackets.
	OutboundBytes, OutboundPackets int
	// Overflow is the policy at that bound. Zero means Disconnect.
	Overflow Overflow
	// InboundBytes and InboundEvents bound what one connection has sent and nobody has handled
	// yet. Zero means 1 MiB and 1,024; the most are 1 GiB and 1 << 20. See Session.Charge.
	InboundBytes, InboundEvents int
	// Limits bounds what clients can make the server spend besides. Its zero value holds for memory, size and time.
	Limits Limits
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
	if o.InboundBytes > maxInboundBytes || o.InboundEvents > maxInboundEvents {
		errs = append(errs, fmt.Errorf("engineio: InboundBytes is %d and InboundEvents %d; at most %d and %d can be counted",
			o.InboundBytes, o.InboundEvents, maxInboundBytes, maxInboundEvents))
	}
	number("HTTPCompressionThreshold", &o.HTTPCompressionThreshold, 1024)
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
	var err error
	if o.Limits, err = o.Limits.withDefaults(); err != nil {
		errs = append(errs, err)
	}
	o.Limits.Fragments = cmp.Or(o.Limits.Fragments, max(DefaultFragments, int(o.MaxPayload/64)))
	if o.PerMessageDeflate, err = o.PerMessageDeflate.withDefaults(); err != nil {
		errs = append(errs, err)
	}
	if o.Cookie, err = cookieTemplate(o.Cookie); err != nil {
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
