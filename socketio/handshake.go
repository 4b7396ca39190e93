package socketio

import (
	"net/http"
	"slices"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/parser"
)

// Handshake is immutable and safe for concurrent use. It is the request that opened the connection, together with
// what the client sent with CONNECT, its auth (S-50).
type Handshake struct {
	*engineio.Handshake
	auth []byte
}

// NewHandshake makes a handshake of a request and the JSON of an auth object, nil for none, for tests of what reads it.
func NewHandshake(r *http.Request, auth []byte) *Handshake {
	return &Handshake{engineio.NewHandshake(r), slices.Clone(auth)}
}

// RawAuth is the JSON of the auth object: {} if the client sent none. It is the caller's own copy.
func (h *Handshake) RawAuth() []byte {
	if len(h.auth) == 0 {
		return []byte("{}")
	}
	return slices.Clone(h.auth)
}

// DecodeAuth decodes the auth object into what v points to.
func (h *Handshake) DecodeAuth(v any) error {
	raw := h.auth
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	return parser.Decode(raw, nil, v)
}
