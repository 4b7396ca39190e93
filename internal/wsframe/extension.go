package wsframe

import (
	"errors"
	"strconv"
	"strings"
)

// errExtensions is the only answer to a header that is not one.
var errExtensions = errors.New("invalid Sec-WebSocket-Extensions header")

// offer is one element of the header: an extension and its parameters, in order.
type offer struct {
	name   string
	params []param
}

type param struct {
	name, value string
	hasValue    bool
}

// NegotiateDeflate looks for an offer of permessage-deflate that we can accept (RFC 7692, section 7)
// in the Sec-WebSocket-Extensions headers of a handshake, and returns what to answer, or "" for none.
// A header that breaks the grammar of RFC 6455, section 9.1, is an error.
//
// Both sides go without context takeover: a compressor that remembers costs hundreds of kilobytes per
// connection, and frames compressed for one connection could not be shared with others.
func NegotiateDeflate(headers []string) (answer string, err error) {
	for _, h := range headers {
		offers, err := parseExtensions(h)
		if err != nil {
			return "", err
		}
		for _, o := range offers {
			if answer == "" && o.name == "permessage-deflate" {
				answer = o.accept()
			}
		}
	}
	return answer, nil
}

// accept returns the answer to an offer, or "" to one that is invalid or that we cannot keep.
func (o offer) accept() string {
	answer := "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for i, p := range o.params {
		for _, before := range o.params[:i] {
			if before.name == p.name {
				return ""
			}
		}
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.hasValue {
				return ""
			}
		case "client_max_window_bits":
			// We can inflate with any window, so there is nothing to ask for in return.
			if p.hasValue && !windowBits(p.value) {
				return ""
			}
		case "server_max_window_bits":
			// compress/flate has only its full window.
			if p.value != "15" {
				return ""
			}
			answer += "; server_max_window_bits=15"
		default:
			return ""
		}
	}
	return answer
}

func windowBits(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && 8 <= n && n <= 15 && s == strconv.Itoa(n)
}

// parseExtensions reads one header in a single pass (GHSA-5v72-xg48-5rpm, CVE-2021-32640).
func parseExtensions(s string) (offers []offer, err error) {
	p := &cursor{rest: s}
	for {
		p.space()
		if p.rest == "" || p.rest[0] == ',' { // an empty element of a list
			if !p.take(',') {
				return offers, nil
			}
			continue
		}
		o := offer{name: p.token()}
		if o.name == "" {
			return nil, errExtensions
		}
		for p.space(); p.take(';'); p.space() {
			p.space()
			param := param{name: p.token()}
			if param.name == "" {
				return nil, errExtensions
			}
			if p.space(); p.take('=') {
				p.space()
				param.hasValue = true
				if param.value = p.value(); param.value == "" {
					return nil, errExtensions
				}
			}
			o.params = append(o.params, param)
		}
		offers = append(offers, o)
		if p.rest != "" && !p.take(',') {
			return nil, errExtensions
		}
	}
}

type cursor struct{ rest string }

func (c *cursor) space() { c.rest = strings.TrimLeft(c.rest, " \t") }

func (c *cursor) take(b byte) bool {
	if c.rest == "" || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

func (c *cursor) token() string {
	n := 0
	for n < len(c.rest) && isTokenByte(c.rest[n]) {
		n++
	}
	t := c.rest[:n]
	c.rest = c.rest[n:]
	return t
}

// value reads a token, or one in quotes (RFC 6455, section 9.1); "" is neither.
func (c *cursor) value() string {
	if !c.take('"') {
		return c.token()
	}
	t := c.token()
	if !c.take('"') {
		return ""
	}
	return t
}

// isTokenByte reports whether b may stand in a token (RFC 9110, section 5.6.2).
func isTokenByte(b byte) bool {
	return b > ' ' && b < 0x7f && strings.IndexByte(`"(),/:;<=>?@[\]{}`, b) < 0
}
