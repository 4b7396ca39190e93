package engineio

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// Handshake is the request that opened a session, as one compact block that is parsed when somebody
// asks: a retained *http.Request costs one to three kilobytes per connection. It is immutable and
// safe for concurrent use.
type Handshake struct {
	block  string // request URI, client address, then "Name: value" lines, separated by \n
	ctx    context.Context
	issued int64 // Unix milliseconds
	secure bool
}

// NewHandshake makes what a session has of the request that opened it, for tests of what reads it.
func NewHandshake(r *http.Request) *Handshake {
	return newHandshake(r, nil, new(atomic.Pointer[bareContext]))
}

func newHandshake(r *http.Request, trusted []netip.Prefix, last *atomic.Pointer[bareContext]) *Handshake {
	address, secure := clientAddress(r, trusted)
	return &Handshake{
		block:  compact(r, address),
		ctx:    keep(r.Context(), last),
		issued: time.Now().UnixMilli(),
		secure: secure,
	}
}

// compact is the block of a Handshake.
func compact(r *http.Request, address string) string {
	var b strings.Builder
	uri := r.RequestURI
	if uri == "" {
		uri = r.URL.RequestURI() // a request that did not come through a server
	}
	n := len(uri) + len(address) + 2 + len("Host: ") + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + 3
		}
	}
	b.Grow(n)
	b.WriteString(uri)
	b.WriteByte('\n')
	b.WriteString(address)
	b.WriteString("\nHost: ")
	b.WriteString(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			b.WriteByte('\n')
			b.WriteString(name)
			b.WriteString(": ")
			b.WriteString(v)
		}
	}
	return b.String()
}

// keep returns a context with the values of a request's and without its cancellation. The one that net/http makes for a
// request is a third of a kilobyte of cancellations that are over, around two values: if it is that and nothing was
// added, the two are kept alone, and shared: last is what an earlier request has left, and few servers have more
// than one address.
func keep(ctx context.Context, last *atomic.Pointer[bareContext]) context.Context {
	server, _ := ctx.Value(http.ServerContextKey).(*http.Server)
	addr, _ := ctx.Value(http.LocalAddrContextKey).(net.Addr)
	if server == nil || addr == nil || server.BaseContext != nil || server.ConnContext != nil || !isBare(ctx) {
		return context.WithoutCancel(ctx)
	}
	if c := last.Load(); c != nil && c.server == server && sameAddr(c.addr, addr) {
		return c
	}
	c := &bareContext{server, addr}
	last.Store(c)
	return c
}

func sameAddr(a, b net.Addr) bool {
	x, ok := a.(*net.TCPAddr)
	y, same := b.(*net.TCPAddr)
	return ok && same && x.Port == y.Port && x.Zone == y.Zone && x.IP.Equal(y.IP)
}

// isBare reports whether ctx is two cancellations around the two values of a server without BaseContext and ConnContext, and
// nothing else, by the types that contexts are made of: one that is wrapped around them or lies between them has another, or is
// one more. Should the standard library make them otherwise one day, nothing is bare.
func isBare(ctx context.Context) bool {
	v := reflect.ValueOf(ctx)
	for _, t := range bareTypes {
		if v.Type() != t {
			return false
		}
		v = v.Elem().Field(0).Elem() // the parent
	}
	return len(bareTypes) != 0 && v.Type() == reflect.TypeOf(context.Background())
}

// bareTypes are the types of the contexts that isBare looks for, from the outermost one; none if they do not have their parent
// as their first field.
var bareTypes = func() []reflect.Type {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cancelType, valueType := reflect.TypeOf(ctx), reflect.TypeOf(context.WithValue(ctx, passageKey{}, nil))
	for _, t := range []reflect.Type{cancelType, valueType} {
		if t.Elem().Field(0).Type != reflect.TypeFor[context.Context]() {
			return nil
		}
	}
	return []reflect.Type{cancelType, cancelType, valueType, valueType}
}()

// bareContext has the values of the context that net/http makes for a request.
type bareContext struct {
	server *http.Server
	addr   net.Addr
}

func (*bareContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*bareContext) Done() <-chan struct{}       { return nil }
func (*bareContext) Err() error                  { return nil }

func (c *bareContext) Value(key any) any {
	switch key {
	case http.ServerContextKey:
		return c.server
	case http.LocalAddrContextKey:
		return c.addr
	}
	return nil
}

// Header returns the headers of the request, Host among them. The map is the caller's own.
func (h *Handshake) Header() http.Header {
	_, rest, _ := strings.Cut(h.block, "\n")
	_, rest, _ = strings.Cut(rest, "\n")
	header := make(http.Header)
	for line := range strings.SplitSeq(rest, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		header[name] = append(header[name], value)
	}
	return header
}

// URL returns the request's URL; path and query are set.
func (h *Handshake) URL() *url.URL {
	uri, _, _ := strings.Cut(h.block, "\n")
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return &url.URL{Path: uri} // a CONNECT or OPTIONS form; net/http has let it through
	}
	return u
}

// Query returns the parameters of the URL.
func (h *Handshake) Query() url.Values { return h.URL().Query() }

// RemoteAddr returns the client's address, "host:port" or a bare IP where a trusted proxy told it
// (Options.TrustedProxies).
func (h *Handshake) RemoteAddr() string {
	_, rest, _ := strings.Cut(h.block, "\n")
	address, _, _ := strings.Cut(rest, "\n")
	return address
}

// Secure reports whether the client came over TLS, to this server or to a trusted proxy.
func (h *Handshake) Secure() bool { return h.secure }

// CrossDomain reports whether the request had an Origin header, like xdomain of the reference.
func (h *Handshake) CrossDomain() bool { return strings.Contains(h.block, "\nOrigin: ") }

// Issued returns when the session opened, to the millisecond.
func (h *Handshake) Issued() time.Time { return time.UnixMilli(h.issued) }

// Context returns a context with the values of the request's context, which is never cancelled:
// the session outlives the request (engine rule 12).
func (h *Handshake) Context() context.Context { return h.ctx }

// clientAddress returns where the request came from. Forwarding headers count only as far as each
// hop that added to them is trusted, read from the nearest one backwards.
func clientAddress(r *http.Request, trusted []netip.Prefix) (address string, secure bool) {
	address, secure = r.RemoteAddr, r.TLS != nil
	if len(trusted) == 0 || !isTrusted(address, trusted) {
		return address, secure
	}
	if p := r.Header.Get("X-Forwarded-Proto"); p != "" {
		secure = strings.EqualFold(p, "https")
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	if f := r.Header.Values("Forwarded"); len(f) > 0 {
		hops = forwardedFor(f)
	}
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.Trim(strings.TrimSpace(hops[i]), `"`)
		if parseAddress(hop) == (netip.Addr{}) {
			break // "unknown", an obfuscated name, or nothing
		}
		address = hop
		if !isTrusted(hop, trusted) {
			break
		}
	}
	return address, secure
}

// forwardedFor returns the for= parameters of Forwarded headers (RFC 7239) in order.
func forwardedFor(headers []string) (hops []string) {
	for element := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		for pair := range strings.SplitSeq(element, ";") {
			if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && strings.EqualFold(k, "for") {
				hops = append(hops, v)
			}
		}
	}
	return hops
}

func isTrusted(address string, trusted []netip.Prefix) bool {
	ip := parseAddress(address)
	if !ip.IsValid() {
		return false
	}
	for _, p := range trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// parseAddress reads an IP with or without port and brackets.
func parseAddress(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return ip.Unmap()
}
