package engineio

import (
	"encoding/base64"
	"iter"
	"sync/atomic"

	"github.com/perch-go/perch/internal/wsframe"
)

// packet types of Engine.IO (spec 3.1), as they stand at the start of a text packet.
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'
	packetBase64  = 'b' // a binary message where only text travels
	separator     = '\x1e'
)

// Message is for one goroutine while it is built with the Append methods, and for any number of them
// from its first Session.Append on, after which it must not change. It is one Engine.IO message or
// several that leave together, such as a Socket.IO packet and its attachments, framed once and shared
// by any number of sessions. The zero value is empty.
type Message struct {
	// NoCompress asks not to spend time on compressing the message, because it is compressed already
	// or random (S-68). An answer to a poll is left as it is if all its messages ask for it;
	// a WebSocket with compression leaves this one (in the reference only polling cares).
	NoCompress bool
	// Plain leaves out what Engine.IO puts before a text message: the message is for sessions of
	// Server.ServePlain, and for no other. It is set before anything is appended.
	Plain bool

	// frames is a sequence of unmasked WebSocket frames, which is what nearly every session
	// writes as it is. Polling takes it apart again.
	frames   []byte
	packets  int
	deflated atomic.Pointer[deflated] // nil until somebody needs it
}

// AppendText adds a text message. The payload is copied; it must be valid UTF-8.
func (m *Message) AppendText(payload []byte) {
	if m.Plain {
		m.frames = append(wsframe.AppendHeader(m.frames, wsframe.Text, len(payload)), payload...)
	} else {
		m.frames = appendText(m.frames, packetMessage, payload)
	}
	m.packets++
}

// AppendBinary adds a binary message. The payload is copied.
func (m *Message) AppendBinary(payload []byte) {
	m.frames = wsframe.AppendHeader(m.frames, wsframe.Binary, len(payload))
	m.frames = append(m.frames, payload...)
	m.packets++
}

// Payloads are those that were appended, which must not be changed, and whether each is binary.
func (m *Message) Payloads() iter.Seq2[[]byte, bool] {
	return func(yield func([]byte, bool) bool) {
		for rest := m.frames; len(rest) > 0; {
			var op wsframe.Op
			var payload []byte
			op, payload, rest = wsframe.Cut(rest)
			if op == wsframe.Text && !m.Plain {
				payload = payload[1:]
			}
			if op != wsframe.Text && op != wsframe.Binary {
				continue // a close frame has none
			}
			if !yield(payload, op == wsframe.Binary) {
				return
			}
		}
	}
}

// Overwrite replaces bytes of what was appended, which begin at the given place of Len's count: the last
// payload of n bytes begins at Len()-n. Like the Append methods it belongs before the first
// Session.Append.
func (m *Message) Overwrite(at int, b []byte) { copy(m.frames[at:], b) }

// Len is what the message counts for in the outbound budget, in bytes.
func (m *Message) Len() int { return len(m.frames) }

func appendText(dst []byte, packetType byte, payload []byte) []byte {
	dst = wsframe.AppendHeader(dst, wsframe.Text, 1+len(payload))
	dst = append(dst, packetType)
	return append(dst, payload...)
}

// appendPayload appends a sequence of frames as the packets of a polling body.
func appendPayload(dst, frames []byte) []byte {
	for len(frames) > 0 {
		var op wsframe.Op
		var packet []byte
		op, packet, frames = wsframe.Cut(frames)
		if op != wsframe.Text && op != wsframe.Binary {
			continue // a close frame has no meaning here
		}
		if len(dst) > 0 {
			dst = append(dst, separator)
		}
		if op == wsframe.Text {
			dst = append(dst, packet...)
			continue
		}
		dst = append(dst, packetBase64)
		dst = base64.StdEncoding.AppendEncode(dst, packet)
	}
	return dst
}

// appendFrames appends a sequence of frames in which binary messages stand as protocol 3 has them, with their type before
// the data, or as text for a client that asked for that with b64=1 (C-4), or both.
func appendFrames(dst, frames []byte, v3, text bool) []byte {
	for len(frames) > 0 {
		op, packet, rest := wsframe.Cut(frames)
		switch {
		case op != wsframe.Binary:
			dst = append(dst, frames[:len(frames)-len(rest)]...)
		case text:
			kind := []byte{packetBase64, packetMessage}
			if !v3 {
				kind = kind[:1]
			}
			dst = wsframe.AppendHeader(dst, wsframe.Text, len(kind)+base64.StdEncoding.EncodedLen(len(packet)))
			dst = append(dst, kind...)
			dst = base64.StdEncoding.AppendEncode(dst, packet)
		default:
			dst = wsframe.AppendHeader(dst, wsframe.Binary, 1+len(packet))
			dst = append(append(dst, packetMessage-'0'), packet...)
		}
		frames = rest
	}
	return dst
}
