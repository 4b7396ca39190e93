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

// CORS says which pages of other origins may use the server, and what they may send. One list
// decides for every transport: it answers preflights and polling, and it refuses WebSocket upgrades
// of origins that are not on it. It is plain data, so that two can be compared.
type CORS struct {
	// Origins are origins as browsers send them, "https://app.example.com", or "*" for every one.
	// Empty allows no other origin than the server's own. "null" must be listed to be allowed.
	Origins []string
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
		if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			errs = append(errs, errors.New("engineio: CORS.Origins has "+strconv.Quote(o)+
				`; write it as browsers do, scheme and host without a path: "https://app.example.com"`))
		}
	}
	return errors.Join(errs...)
}

// allowsAll reports whether every origin is allowed.
func (c *CORS) allowsAll() bool { return c != nil && slices.Contains(c.Origins, "*") }

func (c *CORS) lists(origin string) bool {
	return c != nil && slices.ContainsFunc(c.Origins, func(o string) bool {
		return o == "*" || strings.EqualFold(o, origin)
	})
}

// Allow applies the policy to one request: it sets the CORS headers of the answer and reports
// whether the origin may go on. It sets headers and never adds, so that a CORS middleware around the
// whole server still leaves one of each; Vary is merged. The client bundle is served under it too.
func (c *CORS) Allow(h http.Header, r *http.Request) bool {
	if c != nil {
		c.setHeaders(h, r)
	}
	origin := r.Header.Get("Origin")
	return origin == "" || sameOrigin(origin, r.Host) || c.lists(origin)
}

func (c *CORS) setHeaders(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if c.allowsAll() {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		addVary(h, "Origin")
		if origin == "" || !c.lists(origin) {
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

// preflight answers an OPTIONS request. The caller has applied Allow.
func (c *CORS) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
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
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
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
