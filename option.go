package perch

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/adapter"
)

// Option is safe for concurrent use, and for several apps. It is a setting of an [App].
// Where an option is given twice the later one
// counts, except for [WithGateways], [WithEmitter] and [WithEngineMiddleware], which add.
type Option interface{ apply(*settings) }

// optionFunc is an Option that is a function.
type optionFunc func(*settings)

func (o optionFunc) apply(s *settings) { o(s) }

// EngineOptions is a plain value: the settings of the transports below every gateway of an app:
// heartbeat, limits, budgets. Their CORS is the same setting as [WithCORS].
type EngineOptions = engineio.Options

// settings is what the options of one app add up to.
type settings struct {
	gateways       []Gateway
	emitters       []*Emitter
	engine         engineio.Options
	cors           *CORS
	middlewares    []func(http.Handler) http.Handler
	logger         *slog.Logger
	client         fs.FS
	connectTimeout time.Duration
	maxAttachments int
	maxNamespaces  int
	limits         Limits
	rate           *socketio.Rate // nil: that of limits
	strict         bool
	parser         socketio.Parser
	adapter        adapter.Factory
	recovery       *Recovery
	enhancements   enhancements
	wire           wire
	listen         func(network, address string) (net.Listener, error)
	errs           []error
}

// WithGateways adds gateways, in the order in which their hooks and their handlers of
// the same event run. An app needs at least one.
func WithGateways(gateways ...Gateway) Option {
	return optionFunc(func(s *settings) { s.gateways = append(s.gateways, gateways...) })
}

// WithCORS sets which other origins' pages are let in by servers whose gateways do
// not say. The default is none.
func WithCORS(c CORS) Option {
	return optionFunc(func(s *settings) { s.cors = &c })
}

// WithEngine sets the transports' options; each zero field is the default that
// [EngineOptions] names. The default is the zero value.
func WithEngine(o EngineOptions) Option {
	return optionFunc(func(s *settings) { s.engine = o })
}

// WithEngineMiddleware adds middlewares around the requests that the servers' transports answer, the
// first one outermost (S-63); see [engineio.Server.Use]. The files of the client bundle and a mux that
// the app is mounted on are not behind them.
func WithEngineMiddleware(middlewares ...func(http.Handler) http.Handler) Option {
	return optionFunc(func(s *settings) { s.middlewares = append(s.middlewares, middlewares...) })
}

// WithLogger sets where the app logs. The default is slog.Default(), as of New.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(s *settings) { s.logger = l })
}

// WithClientBundle serves the official JavaScript client from files, the directory
// npm puts at node_modules/socket.io-client/dist, under the servers' paths: a page
// loads /socket.io/socket.io.esm.min.js. By default these names redirect to the
// official CDN.
func WithClientBundle(files fs.FS) Option {
	return optionFunc(func(s *settings) {
		if s.client = files; files == nil {
			return
		}
		if err := socketio.CheckClientBundle(files); err != nil {
			s.errs = append(s.errs, errors.Join(errors.New("perch: WithClientBundle: pass another directory or leave the option out"), err))
		}
	})
}

// defaultConnectTimeout is socketio's too.
const defaultConnectTimeout = 45 * time.Second

// WithConnectTimeout sets how long a client may take to join a namespace, connection
// hooks included. Zero is the default, 45 s.
func WithConnectTimeout(d time.Duration) Option {
	return optionFunc(func(s *settings) { s.connectTimeout = d })
}

// WithMaxAttachments sets how many binary attachments one event may carry. Zero is
// the default, 10.
func WithMaxAttachments(n int) Option {
	return optionFunc(func(s *settings) { s.maxAttachments = n })
}

// WithMaxNamespaces sets how many namespaces clients may have made at a time of all
// patterns, on each server; further ones are refused. Zero is the default, 10,000.
func WithMaxNamespaces(n int) Option {
	return optionFunc(func(s *settings) { s.maxNamespaces = n })
}

// WithParser sets the format of packets, which clients have to be told too: the one of
// package socketio/parser/msgpack, or one of the program's own. The default is the one
// that clients speak by themselves.
func WithParser(p socketio.Parser) Option {
	return optionFunc(func(s *settings) { s.parser = p })
}

// WithAdapter sets what makes the adapter of each namespace: that of package
// socketio/adapter/cluster joins several processes, so that what is sent to a namespace or
// a room reaches the sockets in all of them. The default is each process for itself.
func WithAdapter(f adapter.Factory) Option {
	return optionFunc(func(s *settings) { s.adapter = f })
}

// WithListen sets what opens the port of [App.ListenAndServe] and the gateways' own: a
// net.ListenConfig's Listen with its Control, sockets that a supervisor has opened, or
// memory. The default, nil too, is net.Listen.
func WithListen(listen func(network, address string) (net.Listener, error)) Option {
	return optionFunc(func(s *settings) { s.listen = listen })
}

// Recovery is a plain value: how long, and how much of, what sockets may need to come back is
// kept. Each zero field is the default it names.
type Recovery = socketio.Recovery

// RecoveryStore is safe for concurrent use. It keeps what clients need to come back while no process of the app runs.
type RecoveryStore = socketio.RecoveryStore

// FileStore keeps it in a file, see [socketio.FileStore].
func FileStore(path string) RecoveryStore { return socketio.FileStore(path) }

// WithRecovery lets a client whose connection was lost come back to what it had: its
// socket's id, rooms and data, and the events it missed, without its doing anything.
// HandleConnection runs again, with [Socket.Recovered] true, and may refuse it: a token
// that has expired meanwhile does not recover. By default there is no recovery.
//
// With a Store they also come back over a restart of the process: Shutdown saves to it and
// Start takes what the process before has saved. A server for each port or path of the
// gateways has a state of its own there, told apart by name.
//
//	perch.WithRecovery(perch.Recovery{Store: perch.FileStore("/var/lib/chat/recovery")})
func WithRecovery(r Recovery) Option {
	return optionFunc(func(s *settings) { s.recovery = &r })
}
