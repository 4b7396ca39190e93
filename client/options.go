package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/perch-go/perch/client/internal/engine"
	"github.com/perch-go/perch/socketio/parser"
)

// Transport is how messages travel.
type Transport = engine.Transport

// The transports.
const (
	Polling   = engine.Polling
	WebSocket = engine.WebSocket
)

// TransportOptions is a plain value: what only the requests of one transport carry.
type TransportOptions = engine.TransportOptions

// FullPolicy is what happens to an event for which a buffer has no room.
type FullPolicy uint8

const (
	// Refuse refuses the event with [ErrBufferFull]. The default.
	Refuse FullPolicy = iota
	// DropOldest makes room by dropping what has waited longest for a connection; events that wait for an acknowledgement fail
	// with [ErrBufferFull]. While there is a connection it is Refuse: what is queued is on its way. So it is with Retries.
	DropOldest
)

// What the zero values of Options mean.
const (
	DefaultPath                 = "/socket.io/"
	DefaultTimestampParam       = "t"
	DefaultReconnectionDelay    = time.Second
	DefaultReconnectionDelayMax = 5 * time.Second
	DefaultRandomizationFactor  = 0.5
	DefaultTimeout              = 20 * time.Second
	DefaultRetryTimeout         = 10 * time.Second
	DefaultMaxBufferedPackets   = 16 << 10
	DefaultMaxBufferedBytes     = 16 << 20
	DefaultMaxPayload           = 100 << 20
)

// Options configures a [Manager] and its sockets: a plain value, read once. The zero value is the defaults of the official
// client where it has one.
type Options struct {
	// Path is where the server's Engine.IO endpoint is: "/socket.io/" if empty. A slash is appended unless there is one.
	Path string
	// NoTrailingSlash keeps Path as it is (addTrailingSlash).
	NoTrailingSlash bool
	// Query is added to the URL of every request, and seen by the server in its handshake. What the URL itself has of the same
	// name gives way.
	Query url.Values
	// Header is added to every request (extraHeaders).
	Header http.Header
	// PerTransport is added to the requests of one transport alone (transportOptions).
	PerTransport map[Transport]TransportOptions
	// Transports are what may be used. The first opens the connection, the others are what it may be upgraded to. Empty:
	// Polling, WebSocket.
	Transports []Transport
	// TryAllTransports goes on with the next transport if one fails while opening. The default is to fail.
	TryAllTransports bool
	// NoUpgrade stays on the transport that opened the connection.
	NoUpgrade bool
	// RememberUpgrade opens by WebSocket at once when the manager's last connection came that far.
	RememberUpgrade bool
	// Protocols are the WebSocket subprotocols asked for. Empty: none.
	Protocols []string
	// NoTimestamps leaves out the parameter that keeps caches from answering polls. TimestampWebSocket adds it to the
	// WebSocket's request too. TimestampParam is its name, "t" if empty.
	NoTimestamps       bool
	TimestampWebSocket bool
	TimestampParam     string
	// ForceBase64 asks the server to send bytes as text.
	ForceBase64 bool
	// RequestTimeout is how long one request of the polling transport may take. Zero: as long as it takes.
	RequestTimeout time.Duration
	// PerMessageDeflate offers compression to the server of a WebSocket. Nil: none.
	PerMessageDeflate *PerMessageDeflate
	// MaxPayload is the largest message or response that is accepted, in bytes; a larger one ends the connection. Zero: 100 MiB.
	MaxPayload int64
	// MaxAttachments is how many binary attachments a packet may have. Zero: 10. Negative: none.
	MaxAttachments int

	// HTTPClient makes all requests, the WebSocket's included: its Transport is for proxies and TLS, its Jar for cookies (sticky
	// sessions need one). Its Timeout does not count: polls take long. Nil: one of the manager's own, with the proxies of the
	// environment and without cookies, whose connections end with the manager's.
	HTTPClient *http.Client
	// DialContext makes the network connections of the manager's own HTTP client, for in-memory pipes, Unix sockets and the
	// like. It cannot be used together with HTTPClient. Nil: that of the net package.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Parser is the encoding, which has to be the server's. Nil: parser.Text.
	Parser parser.Parser

	// NoReconnection makes the first failure, and the loss of a connection, final until Connect is called again.
	NoReconnection bool
	// ReconnectionAttempts is how often in a row it is tried to connect again. Zero: for ever.
	ReconnectionAttempts int
	// ReconnectionDelay is what is waited before the first attempt, twice as much before each further one, up to
	// ReconnectionDelayMax. Zero: 1 s and 5 s.
	ReconnectionDelay, ReconnectionDelayMax time.Duration
	// RandomizationFactor is how much of a delay is left to chance: a delay d becomes one between d·(1-f) and d·(1+f), and
	// never more than ReconnectionDelayMax. Unlike the official client's the delays stay random when they have reached that
	// (C-9), so that clients that were lost together do not come back together. At most 1; zero: 0.5; negative: none.
	RandomizationFactor float64
	// Timeout is how long opening a connection may take, until the server's handshake. Zero: 20 s. Negative: as long as it takes.
	Timeout time.Duration

	// Auth is the payload of CONNECT, which the server has in its handshake's auth: whatever is encoded as a JSON object. Nil: none.
	Auth any
	// AuthFunc is asked for it anew each time that CONNECT is sent. It may take its time; the context ends with the connection.
	// Its error is a connect_error and, unless NoReconnection says otherwise, it is asked again later.
	AuthFunc func(ctx context.Context) (any, error)
	// Retries makes a socket send its events, volatile ones excepted, one after the other, each until the server has
	// acknowledged it: up to Retries times more after the first; negative: until it has. The loss of the connection counts as a
	// try. An event may arrive more than once if only its acknowledgement was lost. Zero: none (C-17).
	Retries int
	// AckTimeout is how long an acknowledgement may take. Zero: as long as the connection, but 10 s with Retries. With Retries
	// it counts from when the event was sent, each time.
	AckTimeout time.Duration

	// MaxBufferedPackets and MaxBufferedBytes bound what waits to be sent: of each socket while it is not connected, and of the
	// connection while there is one. Zero: 16,384 and 16 MiB.
	MaxBufferedPackets, MaxBufferedBytes int
	// WhenFull is what happens when there is no room. [Socket.Send] waits for it instead.
	WhenFull FullPolicy

	// Logger gets what no caller can be told. Nil: slog.Default.
	Logger *slog.Logger
}

// PerMessageDeflate is a plain value: the compression of WebSocket messages (RFC 7692).
type PerMessageDeflate struct {
	// Threshold is the size from which messages are compressed, in bytes. Zero: 1,024.
	Threshold int
}

// SocketOptions is a plain value: what the sockets of one manager may differ in. [Options] says what the fields mean.
type SocketOptions struct {
	Auth       any
	AuthFunc   func(ctx context.Context) (any, error)
	Retries    int
	AckTimeout time.Duration
}

func (o SocketOptions) withDefaults() (SocketOptions, error) {
	if o.Retries != 0 && o.AckTimeout == 0 {
		o.AckTimeout = DefaultRetryTimeout
	}
	switch {
	case o.Auth != nil && o.AuthFunc != nil:
		return o, errors.New("options Auth and AuthFunc are both set: leave out one")
	case o.AckTimeout < 0:
		return o, fmt.Errorf("AckTimeout is %v: it cannot be negative", o.AckTimeout)
	}
	return o, nil
}

// socket is what o says of every socket.
func (o *Options) socket() SocketOptions {
	return SocketOptions{o.Auth, o.AuthFunc, o.Retries, o.AckTimeout}
}

// withDefaults fills in the defaults. The error says all that is wrong.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("client: "+format, args...)) }
	or(&o.Path, DefaultPath)
	if !strings.HasPrefix(o.Path, "/") {
		wrong("Path is %q: it must begin with a slash", o.Path)
	}
	if !o.NoTrailingSlash && !strings.HasSuffix(o.Path, "/") {
		o.Path += "/"
	}
	if len(o.Transports) == 0 {
		o.Transports = []Transport{Polling, WebSocket}
	}
	for i, t := range o.Transports {
		if t != Polling && t != WebSocket {
			wrong("there is no transport %q: there are %q and %q", t, Polling, WebSocket)
		} else if slices.Contains(o.Transports[:i], t) {
			wrong("transport %q is listed twice", t)
		}
	}
	o.Transports, o.Protocols, o.Header = slices.Clone(o.Transports), slices.Clone(o.Protocols), o.Header.Clone()
	o.PerTransport = maps.Clone(o.PerTransport)
	for t, p := range o.PerTransport {
		p.Query, p.Header = maps.Clone(p.Query), p.Header.Clone()
		o.PerTransport[t] = p
	}
	or(&o.TimestampParam, DefaultTimestampParam)
	or(&o.MaxPayload, DefaultMaxPayload)
	if o.HTTPClient != nil && o.DialContext != nil {
		wrong("HTTPClient and DialContext are both set: give HTTPClient a Transport with that DialContext")
	}
	if o.Parser == nil {
		o.Parser = parser.Text{}
	}
	or(&o.ReconnectionDelay, DefaultReconnectionDelay)
	or(&o.ReconnectionDelayMax, max(DefaultReconnectionDelayMax, o.ReconnectionDelay))
	or(&o.RandomizationFactor, DefaultRandomizationFactor)
	if o.ReconnectionDelayMax < o.ReconnectionDelay {
		wrong("ReconnectionDelayMax is %v, less than ReconnectionDelay, %v", o.ReconnectionDelayMax, o.ReconnectionDelay)
	}
	if o.RandomizationFactor > 1 {
		wrong("RandomizationFactor is %v: it is at most 1", o.RandomizationFactor)
	}
	or(&o.Timeout, DefaultTimeout)
	or(&o.MaxBufferedPackets, DefaultMaxBufferedPackets)
	or(&o.MaxBufferedBytes, DefaultMaxBufferedBytes)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	for _, v := range []struct {
		name  string
		value int64
	}{
		{"RequestTimeout", int64(o.RequestTimeout)}, {"MaxPayload", o.MaxPayload}, {"ReconnectionAttempts", int64(o.ReconnectionAttempts)},
		{"ReconnectionDelay", int64(o.ReconnectionDelay)}, {"MaxBufferedPackets", int64(o.MaxBufferedPackets)},
		{"MaxBufferedBytes", int64(o.MaxBufferedBytes)},
	} {
		if v.value < 0 {
			wrong("%s is negative", v.name)
		}
	}
	if _, err := o.socket().withDefaults(); err != nil {
		wrong("%w", err)
	}
	return o, errors.Join(errs...)
}

// or gives v a default.
func or[T comparable](v *T, value T) {
	if *v == *new(T) {
		*v = value
	}
}
