package plainws

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/perch-go/perch/socketio"
)

// Platform is immutable and safe for concurrent use, and serves any number of gateways' namespaces. It is a path on which WebSocket
// clients connect that do not speak Socket.IO.
type Platform struct {
	path         string
	codec        Codec
	subprotocols []string
}

// Option is a value, safe for concurrent use: a setting of [At]. Where one is given twice the later one counts.
type Option func(*Platform)

// At is the platform of the clients that connect to path: a pattern of http.ServeMux, without method and host, such as
// "/ws" or "/ws/{room}". It is exact: "/ws" does not serve "/ws/".
func At(path string, options ...Option) *Platform {
	p := &Platform{path: path}
	for _, o := range options {
		o(p)
	}
	return p
}

// WithCodec sets the format of frames. The default, and nil, is [JSON].
func WithCodec(c Codec) Option { return func(p *Platform) { p.codec = c } }

// WithSubprotocols sets which subprotocols of the WebSocket handshake are spoken, the one liked best first: a client that
// offers some and none of these is refused with 400. The default is not to look at what clients offer, and to name none in the
// answer, which browsers that have offered one take for a refusal.
func WithSubprotocols(names ...string) Option {
	return func(p *Platform) { p.subprotocols = slices.Clone(names) }
}

// Path is the path that was given to At.
func (p *Platform) Path() string { return p.path }

// Handler makes what serves the path, for namespaces of s; it is called by an app.
func (p *Platform) Handler(s *socketio.Server, namespace func(*http.Request) string) (http.Handler, error) {
	return s.Plain(socketio.PlainOptions{
		Parser:       wire{cmp.Or[Codec](p.codec, JSON{})},
		Namespace:    namespace,
		Subprotocols: p.subprotocols,
	})
}
