package cluster

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"

	"github.com/perch-go/perch/socketio/adapter"
)

// place is where a member stands: it has been sent what is in the log up to offset, and what node has broadcast up to seq, though
// the log may not have had that yet. Without a node all of it was in the log. It is what clients get as their offset.
//
// A node delivers what it broadcasts at once, so that what is done after it, an acknowledgement or a disconnection, cannot
// overtake it, and learns its place in the log later: hence the second half. A place means the same to every node.
type place struct {
	offset Offset
	node   nodeName
	seq    uint64
}

// nodeName begins the uid of a node.
type nodeName [6]byte

func nameOf(uid string) (n nodeName) {
	if len(uid) >= hex.EncodedLen(len(n)) {
		_, _ = hex.Decode(n[:], []byte(uid[:hex.EncodedLen(len(n))]))
	}
	return n
}

// covers reports whether a member at that place has been sent m, if it was meant by it. In what has not come from the log the
// Offset is zero.
func (p place) covers(m *Message) bool {
	if (m.Offset != Offset{}) && m.Offset.Compare(p.offset) <= 0 {
		return true
	}
	return p.seq > 0 && m.Seq > 0 && m.Seq <= p.seq && nameOf(m.UID) == p.node
}

// later reports whether p is behind other, or there.
func (p place) later(other place) bool {
	if c := p.offset.Compare(other.offset); c != 0 {
		return c > 0
	}
	return other.seq == 0 || p.node == other.node && p.seq >= other.seq
}

// reaches reports whether it is certain that what stands before other stands before p.
func (p place) reaches(other place) bool {
	return p.offset.Compare(other.offset) >= 0 && (other.seq == 0 || p.node == other.node && p.seq >= other.seq)
}

const (
	seqSize   = 6
	placeSize = len(Offset{}) + len(nodeName{}) + seqSize
)

// offsetSize is the length of a place as text.
var offsetSize = base64.RawURLEncoding.EncodedLen(placeSize)

func (p place) String() string {
	b := make([]byte, 0, placeSize+2)
	b = append(b, p.offset[:]...)
	b = append(b, p.node[:]...)
	b = binary.BigEndian.AppendUint64(b, p.seq<<16)
	return base64.RawURLEncoding.EncodeToString(b[:placeSize])
}

// parsePlace is the reverse of String; the zero place is also written as "".
func parsePlace(text string) (p place, ok bool) {
	if text == "" {
		return place{}, true
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != placeSize {
		return place{}, false
	}
	copy(p.offset[:], b)
	copy(p.node[:], b[len(p.offset):])
	for _, c := range b[placeSize-seqSize:] {
		p.seq = p.seq<<8 | uint64(c)
	}
	return p, true
}

// MarshalText is String.
func (p place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is parsePlace.
func (p *place) UnmarshalText(text []byte) error {
	var ok bool
	if *p, ok = parsePlace(string(text)); !ok {
		return adapter.ErrOffset
	}
	return nil
}
