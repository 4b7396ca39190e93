package engineio

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/perch-go/perch/internal/wsframe"
)

// protocol3 is what is peculiar to a session of Engine.IO protocol 3, the one of socket.io-client 1.x and 2.x (S-20,
// spec 3.3). It is immutable; a session of protocol 4 has none.
//
// Messages are queued as those of protocol 4 and turned into the older form when the session takes its queue, so that a
// broadcast is still framed once.
type protocol3 struct {
	base64 bool   // binary in polling bodies is base64 text (b64=1)
	jsonp  bool   // polls are answered with a script, see jsonp.go
	index  string // of the script's function
}

// protocolOf is the protocol that a request asks for: 4, or 3 for anything else and nothing (S-20).
func protocolOf(r *http.Request) int {
	if param(r.URL.RawQuery, "EIO") == "4" {
		return 4
	}
	return 3
}

func newProtocol3(r *http.Request) *protocol3 {
	p := &protocol3{base64: param(r.URL.RawQuery, "b64") != ""}
	if asksJSONP(r) {
		p.base64, p.jsonp, p.index = true, true, digits(param(r.URL.RawQuery, "j"))
	}
	return p
}

// speak makes a session one of the protocol that its request asks for.
func (s *Session) speak(r *http.Request) {
	if protocolOf(r) == 3 {
		s.v3 = newProtocol3(r)
	}
}

// Protocol returns the Engine.IO protocol version that the client speaks, 4 or 3, or 0 for a plain session, see
// Server.ServePlain.
func (s *Session) Protocol() int {
	switch {
	case s.plain:
		return 0
	case s.v3 != nil:
		return 3
	}
	return 4
}

// pongTimeout is how long the heartbeat may stay away. The client of protocol 3 pings once an interval of its own accord,
// and is given the timeout on top of it.
func (s *Session) pongTimeout() time.Duration {
	o := &s.server.opts
	if s.v3 != nil {
		return o.PingInterval + o.PingTimeout
	}
	return o.PingTimeout
}

// ping answers the heartbeat of protocol 3 and restarts its clock. Nothing else that the client sends does.
func (s *Session) ping() {
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return
	}
	s.traffic.received(1)
	s.server.wheel.Schedule(&s.beat, s.pongTimeout(), s.beatFn)
	// Within the budget: pings of a client that reads no answers must not pile up.
	if s.reserve(textSize(nil), 1) != nil {
		s.mu.Unlock()
		return
	}
	s.queue().addText(packetPong, nil)
	s.offerUnlock()
}

// handlePayload3 is handlePayload for protocol 3. A binary payload came as application/octet-stream.
func (s *Session) handlePayload3(body []byte, binary bool) (Reason, error) {
	if s.v3.jsonp && !binary {
		body = unescapeForm(body)
	}
	switch {
	case len(body) == 0:
		return ReasonParseError, errors.New("engineio: empty payload")
	case !binary && !utf8.Valid(body):
		return ReasonParseError, errNotUTF8
	}
	b := batch{session: s}
	defer b.end()
	for n := 0; ; n++ {
		if n == s.server.opts.Limits.PacketsPerPost {
			return ReasonForcedServerClose, errTooManyPackets
		}
		var packet []byte
		var err error
		text := true
		if binary {
			packet, text, body, err = cutBinary3(body)
		} else {
			packet, body, err = cutText3(body)
		}
		if err != nil {
			return ReasonParseError, err
		}
		var reason Reason
		switch {
		case !text:
			reason, err = s.handleBinary3(packet, &b)
		case len(packet) > 0: // an empty one is nothing, like in the reference
			reason, err = s.handleText3(packet, &b)
		}
		if reason != "" {
			return reason, err
		}
		if len(body) == 0 || !s.admit(&b) {
			return "", nil
		}
	}
}

// handleText3 is handleText for protocol 3: the heartbeat runs the other way, and base64 has a type.
func (s *Session) handleText3(packet []byte, b *batch) (Reason, error) {
	if len(packet) == 0 {
		return ReasonParseError, errors.New("engineio: empty packet")
	}
	switch packet[0] {
	case packetPing:
		s.ping()
		return "", nil
	case packetPong:
		return ReasonTransportError, errors.New("engineio: invalid heartbeat direction")
	case packetBase64:
		if len(packet) < 2 || packet[1] != packetMessage {
			return ReasonParseError, fmt.Errorf("engineio: binary packet that is no message: %.2q", packet)
		}
		data, err := decodeBase64(packet[2:])
		if err != nil {
			return ReasonParseError, fmt.Errorf("engineio: binary packet: %w", err)
		}
		b.begin()
		s.deliver(data, true)
		return "", nil
	}
	return s.handleText(packet, b)
}

// handleBinary3 handles a binary packet, whose type is a byte before the data.
func (s *Session) handleBinary3(packet []byte, b *batch) (Reason, error) {
	if len(packet) == 0 || packet[0] != packetMessage-'0' {
		return ReasonParseError, fmt.Errorf("engineio: binary packet that is no message: %.1x", packet)
	}
	b.begin()
	s.deliver(packet[1:], true)
	return "", nil
}

var (
	errPayload3 = errors.New("engineio: payload is not <length>:<packet> and so on")
	errBinary3  = errors.New("engineio: binary payload is not <0|1><digits>0xff<packet> and so on")
	errNotUTF8  = errors.New("engineio: packet is not valid UTF-8")
)

// cutText3 cuts the first packet off a text payload, which is valid UTF-8: its length in UTF-16 code units, as JavaScript
// counts, a colon, and the packet.
func cutText3(b []byte) (packet, rest []byte, err error) {
	n, i := 0, 0
	for ; i < len(b) && '0' <= b[i] && b[i] <= '9'; i++ {
		if n = n*10 + int(b[i]-'0'); n > len(b) {
			return nil, nil, errPayload3 // no unit is shorter than a byte
		}
	}
	if i == 0 || i == len(b) || b[i] != ':' {
		return nil, nil, errPayload3
	}
	start := i + 1
	end := start
	for units := 0; units < n; {
		if end >= len(b) {
			return nil, nil, errPayload3
		}
		switch c := b[end]; {
		case c < 0x80:
			end, units = end+1, units+1
		case c < 0xe0:
			end, units = end+2, units+1
		case c < 0xf0:
			end, units = end+3, units+1
		default: // a pair of surrogates
			end, units = end+4, units+2
			if units > n {
				return nil, nil, errPayload3
			}
		}
	}
	return b[start:end], b[end:], nil
}

// cutBinary3 cuts the first packet off a binary payload: 0 for text or 1 for binary, the digits of its length in bytes as
// bytes of that value, 0xff, and the packet.
func cutBinary3(b []byte) (packet []byte, text bool, rest []byte, err error) {
	if len(b) == 0 || b[0] > 1 {
		return nil, false, nil, errBinary3
	}
	n, i := 0, 1
	for ; i < len(b) && b[i] <= 9; i++ {
		if n = n*10 + int(b[i]); n > len(b) {
			return nil, false, nil, errBinary3
		}
	}
	if i == 1 || i == len(b) || b[i] != 0xff || n > len(b)-i-1 {
		return nil, false, nil, errBinary3
	}
	packet, rest = b[i+1:i+1+n], b[i+1+n:]
	if text = b[0] == 0; text && !utf8.Valid(packet) {
		return nil, false, nil, errNotUTF8
	}
	return packet, text, rest, nil
}

// utf16Len is the length of valid UTF-8 in UTF-16 code units.
func utf16Len(b []byte) (n int) {
	for _, c := range b {
		if c&0xc0 != 0x80 { // not a continuation
			n++
		}
		if c >= 0xf0 {
			n++
		}
	}
	return n
}

// pollAnswer is the body of the answer to a poll, and its type. Only a body with a binary packet is binary: what has none, a
// noop during an upgrade above all, is text whatever the client supports.
func (p *protocol3) pollAnswer(answer *poll) (body []byte, contentType string) {
	box := answer.box
	binary := box != nil && !p.base64 && box.hasBinary()
	add := appendText3
	if binary {
		add = appendBinary3
	}
	if box != nil {
		body = make([]byte, 0, box.size+2*box.count)
		for _, part := range box.parts {
			for frames := box.frames(part); len(frames) > 0; {
				var op wsframe.Op
				var packet []byte
				op, packet, frames = wsframe.Cut(frames)
				if op == wsframe.Text || op == wsframe.Binary {
					body = add(body, op == wsframe.Binary, packet)
				}
			}
		}
	}
	if answer.noop || answer.late && len(body) == 0 {
		body = add(body, false, []byte{packetNoop})
	}
	if answer.last {
		body = add(body, false, []byte{packetClose})
	}
	switch {
	case p.jsonp:
		return appendScript(nil, p.index, body), "text/javascript; charset=UTF-8"
	case binary:
		return body, "application/octet-stream"
	}
	return body, "text/plain; charset=UTF-8"
}

// appendText3 appends a packet to a text payload.
func appendText3(dst []byte, binary bool, packet []byte) []byte {
	if !binary {
		dst = append(strconv.AppendInt(dst, int64(utf16Len(packet)), 10), ':')
		return append(dst, packet...)
	}
	dst = strconv.AppendInt(dst, int64(2+base64.StdEncoding.EncodedLen(len(packet))), 10)
	dst = append(dst, ':', packetBase64, packetMessage)
	return base64.StdEncoding.AppendEncode(dst, packet)
}

// appendBinary3 appends a packet to a binary payload.
func appendBinary3(dst []byte, binary bool, packet []byte) []byte {
	n := len(packet)
	if binary {
		n++
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	at := len(dst)
	dst = strconv.AppendInt(dst, int64(n), 10)
	for i := range dst[at:] {
		dst[at+i] -= '0'
	}
	dst = append(dst, 0xff)
	if binary {
		dst = append(dst, packetMessage-'0')
	}
	return append(dst, packet...)
}
