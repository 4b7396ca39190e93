package engineio

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS may be shared by servers and used from any goroutine, since nothing changes it. It says which
// pages of other origins may use the server, and what they may send. One policy decides for every
// transport: it answers preflights and polling, and it refuses WebSocket upgrades of origins that it
// does not allow, which the reference lets in from anywhere (S-17).
//
// Preflights are always answered here. There is no preflightContinue: behind CORS an OPTIONS request
// is only a bad handshake. Who wants to answer preflights otherwise does so around the whole server.
type CORS struct {
	// Origins are origins as browsers send them, "https://app.example.com", or "*" for every one.
	// "https://*.example.com" are all subdomains of example.com, however deep, and not itself.
	// Empty allows no other origin than the server's own. "null" must be listed to be allowed.
	Origins []string
	// AllowOrigin is asked for other origins that are not listed. It is called concurrently, once
	// for a request, which waits for it. Nil, the default, allows none.
	AllowOrigin func(origin string, r *http.Request) bool
	// Methods are answered to a preflight. Empty means GET, HEAD, PUT, PATCH, POST and DELETE.
	Methods []string
	// AllowedHeaders are answered to a preflight. Empty allows the headers asked for.
	AllowedHeaders []string
	// ExposedHeaders are the response headers that a page may read. Empty exposes none.
	ExposedHeaders []string
	// Credentials lets browsers send cookies. It does not go together with the origin "*", which
	// browsers refuse then. Default false.
	Credentials bool
	// MaxAge is how long a browser may keep a preflight's answer, in whole seconds. Zero leaves
	// it to the browser.
	MaxAge time.Duration
	// PreflightStatus is the status of a preflight's answer, optionsSuccessStatus of the reference.
	// Zero means 204; some old browsers want 200.
	PreflightStatus int
}

func (c *CORS) validate() error {
	if c == nil {
		return nil
	}
	var errs []error
	for _, o := range c.Origins {
		if o == "*" || o == "null" {
			continue
		}
		scheme, domain, wildcard := cutWildcard(o)
		if wildcard {
			o = scheme + domain[1:]
		}
		if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" || strings.Contains(o, "*") {
			errs = append(errs, errors.New("engineio: CORS.Origins has "+strconv.Quote(o)+
				`; write it as browsers do, scheme and host without a path: "https://app.example.com", or "https://*.example.com"`))
		}
	}
	if c.PreflightStatus != 0 && (c.PreflightStatus < 200 || c.PreflightStatus > 299) {
		errs = append(errs, errors.New("engineio: CORS.PreflightStatus is "+strconv.Itoa(c.PreflightStatus)+"; use one from 200 to 299"))
	}
	return errors.Join(errs...)
}

// allowsAll reports whether every origin is allowed.
func (c *CORS) allowsAll() bool { return c != nil && slices.Contains(c.Origins, "*") }

// permits reports whether another origin than the server's own is allowed.
func (c *CORS) permits(origin string, r *http.Request) bool {
	if c == nil {
		return false
	}
	listed := slices.ContainsFunc(c.Origins, func(o string) bool {
		if scheme, domain, ok := cutWildcard(o); ok {
			return len(origin) > len(scheme)+len(domain) &&
				strings.EqualFold(origin[:len(scheme)], scheme) && strings.EqualFold(origin[len(origin)-len(domain):], domain)
		}
		return o == "*" || strings.EqualFold(o, origin)
	})
	return listed || c.AllowOrigin != nil && c.AllowOrigin(origin, r)
}

// cutWildcard splits "https://*.example.com" into "https://" and ".example.com".
func cutWildcard(o string) (scheme, domain string, ok bool) {
	scheme, domain, ok = strings.Cut(o, "*")
	return scheme, domain, ok && strings.HasSuffix(scheme, "://") && strings.HasPrefix(domain, ".") && len(domain) > 1
}

// Allow applies the policy to one request: it sets the CORS headers of the answer and reports
// whether the origin may go on. It sets headers and never adds, so that a CORS middleware around the
// whole server still leaves one of each; Vary is merged. The client bundle is served under it too.
func (c *CORS) Allow(h http.Header, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	permitted := origin != "" && c.permits(origin, r)
	if c != nil {
		c.setHeaders(h, origin, permitted)
	}
	return permitted || origin == "" || sameOrigin(origin, r.Host)
}

func (c *CORS) setHeaders(h http.Header, origin string, permitted bool) {
	if c.allowsAll() {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		addVary(h, "Origin")
		if !permitted {
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
	}
	if c.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if len(c.ExposedHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposedHeaders, ","))
	}
}

// setPreflightHeaders sets what the answer to an OPTIONS request has more. The caller has applied Allow.
func (c *CORS) setPreflightHeaders(h http.Header, r *http.Request) {
	methods := "GET,HEAD,PUT,PATCH,POST,DELETE"
	if len(c.Methods) > 0 {
		methods = strings.Join(c.Methods, ",")
	}
	h.Set("Access-Control-Allow-Methods", methods)
	headers := strings.Join(c.AllowedHeaders, ",")
	if headers == "" {
		addVary(h, "Access-Control-Request-Headers")
		headers = r.Header.Get("Access-Control-Request-Headers")
	}
	if headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	if c.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.FormatInt(int64(c.MaxAge/time.Second), 10))
	}
	h.Set("Content-Length", "0") // Safari waits for a body otherwise
}

func addVary(h http.Header, field string) {
	for _, v := range h.Values("Vary") {
		for f := range strings.SplitSeq(v, ",") {
			if f = strings.TrimSpace(f); f == "*" || strings.EqualFold(f, field) {
				return
			}
		}
	}
	h.Add("Vary", field)
}

// sameOrigin reports whether host and port of an Origin equal the request's Host. The scheme is not
// compared: behind a proxy that ends TLS the server does not know its own.
func sameOrigin(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	defaultPort := ":80"
	if u.Scheme == "https" || u.Scheme == "wss" {
		defaultPort = ":443"
	}
	trim := func(h string) string { return strings.ToLower(strings.TrimSuffix(h, defaultPort)) }
	return trim(u.Host) == trim(host)
}

// validOrigin reports whether an Origin header holds only what a header may hold (spec 3.2).
func validOrigin(origin string) bool {
	for i := range len(origin) {
		if c := origin[i]; c != '\t' && (c < ' ' || c == 0x7f) {
			return false
		}
	}
	return true
}
