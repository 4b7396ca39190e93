package engine

import (
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Transport is the name of a transport. It is a value.
type Transport string

const (
	Polling   Transport = "polling"
	WebSocket Transport = "websocket"
)

// Config says how to connect. It is not changed, and may be used for several connections at once.
type Config struct {
	// URL has the scheme http or https, and the path and query of the endpoint. The parameters of the protocol are added.
	URL *url.URL
	// Header goes with every request, PerTransport's over it.
	Header       http.Header
	PerTransport map[Transport]TransportOptions
	// HTTPClient makes the requests of both transports: proxy, cookies and TLS are its own. Its Timeout is not heeded, a poll takes
	// as long as the server likes.
	HTTPClient *http.Client
	// Transports are tried from the first on while opening, if TryAll; otherwise only the first opens.
	Transports []Transport
	TryAll     bool
	// Upgrade is whether to go from polling to a transport that the server offers and that is in Transports.
	Upgrade bool
	// Protocols are the subprotocols to ask for in the WebSocket handshake.
	Protocols []string

	TimestampParam                       string // "t" if empty
	TimestampPolling, TimestampWebSocket bool
	ForceBase64                          bool

	// RequestTimeout bounds each GET and POST; 0 is for none.
	RequestTimeout time.Duration
	// Deflate is whether to offer permessage-deflate; DeflateThreshold is the size from which messages are compressed, 1,024 if 0.
	Deflate          bool
	DeflateThreshold int
	// MaxPayload is the largest WebSocket message, or body of a poll, that is accepted; 100 MiB if 0.
	MaxPayload int64
	// MaxPackets and MaxBytes are the bounds of the queue; 0 is for none.
	MaxPackets, MaxBytes int
	// Logger may be nil.
	Logger *slog.Logger
}

// TransportOptions are added to the query and the headers of one transport, and win over those of all.
type TransportOptions struct {
	Query  url.Values
	Header http.Header
}

const (
	protocolVersion   = "4"
	defaultMaxPayload = 100 << 20
	defaultThreshold  = 1024
)

func (c *Config) setDefaults() {
	if c.TimestampParam == "" {
		c.TimestampParam = "t"
	}
	if c.MaxPayload <= 0 {
		c.MaxPayload = defaultMaxPayload
	}
	if c.DeflateThreshold <= 0 {
		c.DeflateThreshold = defaultThreshold
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// address is the URL of the n-th request of a connection; sid is empty for the one that opens it.
func (c *Config) address(t Transport, sid string, n uint64) string {
	u := *c.URL
	q := u.Query()
	maps.Copy(q, c.PerTransport[t].Query)
	q.Set("EIO", protocolVersion)
	q.Set("transport", string(t))
	q.Del("sid")
	if sid != "" {
		q.Set("sid", sid)
	}
	if t == Polling && c.TimestampPolling || t == WebSocket && c.TimestampWebSocket {
		// Only unique, so that no cache answers.
		q.Set(c.TimestampParam, strconv.FormatInt(time.Now().UnixMilli(), 36)+"."+strconv.FormatUint(n, 36))
	}
	if c.ForceBase64 && (t == WebSocket || sid == "") {
		q.Set("b64", "1")
	}
	u.RawQuery, u.Fragment, u.RawFragment = q.Encode(), "", ""
	return u.String()
}

// header is what goes with every request of one transport. The map is the caller's own.
func (c *Config) header(t Transport) http.Header {
	h := make(http.Header, len(c.Header)+len(c.PerTransport[t].Header)+2)
	for _, from := range []http.Header{c.Header, c.PerTransport[t].Header} {
		for name, values := range from {
			h[http.CanonicalHeaderKey(name)] = values
		}
	}
	return h
}
