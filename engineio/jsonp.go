package engineio

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// JSONP is how a page whose browser cannot do better polls across origins with protocol 3: each poll is a script, which
// calls ___eio[N] with the payload, and each post a form with the payload in its field d.

// asksJSONP reports whether a request is one of JSONP. It has to be of protocol 3.
func asksJSONP(r *http.Request) bool { return param(r.URL.RawQuery, "j") != "" }

// refuseJSONP refuses requests of JSONP whose page is not known to be allowed, and reports whether it did. A script or form
// of any page may be sent without an Origin and with the user's cookies, and JSONP lets the page read the answer; so here no
// Origin is not enough, as it is elsewhere.
func (s *Server) refuseJSONP(w http.ResponseWriter, r *http.Request) bool {
	if !s.opts.AllowEIO3 || !asksJSONP(r) || protocolOf(r) != 3 || s.opts.CORS.allowsAll() {
		return false
	}
	if r.Header.Get("Origin") != "" {
		return false // CORS has let it through
	}
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return false
	}
	var origin string
	if u, err := url.Parse(r.Referer()); err == nil && u.Host != "" {
		origin = u.Scheme + "://" + u.Host
		if sameOrigin(origin, r.Host) || s.opts.CORS.permits(origin, r) {
			return false
		}
	}
	s.opts.Logger.WarnContext(r.Context(), "JSONP request of a page that is not known to be allowed refused: list its origin in CORS.Origins to allow it, and let it send a Referer",
		"origin", origin, "host", r.Host)
	s.refuseOrigin(w, r, forbiddenPage)
	return true
}

// digits are those of s: nothing else of the client's gets into a script.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// appendScript appends the script that hands payload, valid UTF-8, to function index of the client.
func appendScript(dst []byte, index string, payload []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(append(append(dst, "___eio["...), index...), `]("`...)
	for i := 0; i < len(payload); i++ {
		switch c := payload[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[c>>4], hex[c&15])
		case c == 0xe2 && i+2 < len(payload) && payload[i+1] == 0x80 && payload[i+2]|1 == 0xa9:
			// U+2028 and U+2029 end a line in older JavaScript.
			dst = append(dst, `\u202`...)
			dst = append(dst, payload[i+2]-0xa0+'0')
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, `");`...)
}

// unescapeForm takes the payload out of a form. Browsers change the line ends in a form's fields, so the client has written
// a line feed as \n, and \n as \\n.
func unescapeForm(body []byte) []byte {
	d := []byte(param(string(body), "d"))
	if !bytes.Contains(d, []byte(`\n`)) {
		return d
	}
	out := d[:0]
	for i := 0; i < len(d); i++ {
		switch {
		case d[i] == '\\' && bytes.HasPrefix(d[i+1:], []byte(`\n`)):
			out = append(out, `\n`...)
			i += 2
		case d[i] == '\\' && bytes.HasPrefix(d[i+1:], []byte(`n`)):
			out = append(out, '\n')
			i++
		default:
			out = append(out, d[i])
		}
	}
	return out
}
