package cluster

import (
	"fmt"

	"github.com/perch-go/perch/internal/msgpack"
	"github.com/perch-go/perch/socketio/parser"
)

// Encode returns m as JSON, or as MessagePack if there are bytes in it, as Socket.IO's own adapters do.
func Encode(m *Message) ([]byte, error) {
	r, err := m.raw()
	if err != nil {
		return nil, err
	}
	return pack(r)
}

func pack(r parser.Raw) ([]byte, error) {
	if len(r.Attachments) == 0 {
		return r.JSON, nil
	}
	return msgpack.Pack(nil, r.JSON, r.Attachments)
}

// EncodeBinary returns m as MessagePack.
func EncodeBinary(m *Message) ([]byte, error) {
	r, err := m.raw()
	if err != nil {
		return nil, err
	}
	return msgpack.Pack(nil, r.JSON, r.Attachments)
}

// Decode reads what Encode, EncodeBinary or an adapter of Socket.IO's own has written. The message keeps parts of data,
// which must not be changed any more. The error is an [ErrMessage].
func Decode(data []byte) (*Message, error) {
	r, err := unpack(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return parse(r)
}

// unpack is the reverse of pack.
func unpack(data []byte) (r parser.Raw, err error) {
	if len(data) > 0 && data[0] == '{' {
		return parser.Raw{JSON: data}, nil
	}
	r.JSON, r.Attachments, err = msgpack.Unpack(nil, data, msgpack.Limits{MaxDepth: msgpack.HighestMaxDepth})
	return r, err
}
