package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// What a packet begins with (spec 3.1).
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'
	packetBinary  = 'b' // base64 of a binary message, in text
	separator     = '\x1e'
)

// Message is a message to send. Its data is not copied: the sender gives it away.
type Message struct {
	Data       []byte
	Binary     bool
	NoCompress bool
}

// item is a packet that waits to be sent.
type item struct {
	Message
	kind byte // packetMessage for binary ones too
}

// size is what the packet counts for in the queue, and what it takes as text.
func (i *item) size() int { return 1 + len(i.Data) }

// encodedSize is what the packet takes in a polling body.
func (i *item) encodedSize() int {
	if i.Binary {
		return 1 + base64.StdEncoding.EncodedLen(len(i.Data))
	}
	return i.size()
}

// appendText appends the packet in the form it has in a text.
func (i *item) appendText(dst []byte) []byte {
	if i.Binary {
		return base64.StdEncoding.AppendEncode(append(dst, packetBinary), i.Data)
	}
	return append(append(dst, i.kind), i.Data...)
}

// packet is one that has come.
type packet struct {
	kind   byte // packetMessage for binary ones too
	binary bool
	data   []byte
}

var errEmptyPacket = errors.New("engine: empty packet")

// decodeText takes apart a packet that came as text. Binary data is appended to scratch.
func decodeText(text, scratch []byte) (packet, error) {
	if len(text) == 0 {
		return packet{}, errEmptyPacket
	}
	switch kind := text[0]; kind {
	case packetOpen, packetClose, packetPing, packetPong, packetMessage, packetUpgrade, packetNoop:
		return packet{kind: kind, data: text[1:]}, nil
	case packetBinary:
		encoding := base64.StdEncoding
		if len(text[1:])%4 != 0 { // some leave out the padding
			encoding = base64.RawStdEncoding
		}
		data, err := encoding.AppendDecode(scratch, text[1:])
		if err != nil {
			return packet{}, fmt.Errorf("engine: a binary packet: %w", err)
		}
		return packet{kind: packetMessage, binary: true, data: data}, nil
	default:
		return packet{}, fmt.Errorf("engine: unknown packet type %q", kind)
	}
}

// cutPayload splits off the first packet of a polling body.
func cutPayload(body []byte) (text, rest []byte, more bool) {
	return bytes.Cut(body, []byte{separator})
}

// open is what the server says first.
type open struct {
	sid                       string
	upgrades                  []Transport
	pingInterval, pingTimeout time.Duration
	maxPayload                int64 // 0 if the server did not say
}

// maxPing bounds what a server may say, so that adding two is no overflow.
const maxPing = 365 * 24 * time.Hour

func decodeOpen(text []byte) (open, error) {
	p, err := decodeText(text, nil)
	if err != nil {
		return open{}, err
	}
	if p.kind != packetOpen {
		return open{}, fmt.Errorf("engine: a packet of type %q instead of the open packet", text[0])
	}
	var said struct {
		SID          string      `json:"sid"`
		Upgrades     []Transport `json:"upgrades"`
		PingInterval float64     `json:"pingInterval"`
		PingTimeout  float64     `json:"pingTimeout"`
		MaxPayload   float64     `json:"maxPayload"`
	}
	if err := json.Unmarshal(p.data, &said); err != nil {
		return open{}, fmt.Errorf("engine: the open packet: %w", err)
	}
	if said.SID == "" || said.PingInterval <= 0 || said.PingTimeout <= 0 {
		return open{}, errors.New("engine: the open packet lacks sid, pingInterval or pingTimeout")
	}
	return open{
		sid:          said.SID,
		upgrades:     said.Upgrades,
		pingInterval: milliseconds(said.PingInterval),
		pingTimeout:  milliseconds(said.PingTimeout),
		maxPayload:   int64(min(max(said.MaxPayload, 0), math.MaxInt32)),
	}, nil
}

func milliseconds(ms float64) time.Duration {
	if ms >= float64(maxPing/time.Millisecond) {
		return maxPing
	}
	return time.Duration(ms * float64(time.Millisecond))
}
