package socketio

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// Options is a plain value, read once by New. Its zero value is a server with every default.
type Options struct {
	// Engine holds the options of the transports, the budgets and CORS.
	Engine engineio.Options

	// ConnectTimeout is how long a connection may take to have joined a namespace, hooks included,
	// before it is closed (S-5). 0 is 45 seconds.
	ConnectTimeout time.Duration

	// MaxAttachments is how many binary attachments a packet may announce. 0 is 10. Their bytes count
	// against the inbound budget of the connection while they arrive.
	MaxAttachments int

	// Limits holds what else one client may do.
	Limits Limits

	// Parser turns packets into messages and back (S-4). The clients have to use the same. nil is parser.Text, the one that
	// they use unless they are told otherwise.
	Parser Parser

	// MaxNamespaces is how many namespaces clients may have made at a time, by the parents of Server.OfPattern, OfRegexp and
	// OfFunc; further ones are refused. 0 is 10,000. Namespaces that the program has named with Server.Of do not count. Beside
	// that, a name that is longer than 1,024 bytes is refused, and what is beyond Limits.MaxSockets.
	MaxNamespaces int
	// KeepEmptyNamespaces keeps these namespaces when their last socket has left. By default they are dropped then and their
	// adapter is closed (S-7, S-75), with Recovery when none of their sockets can be recovered any more.
	KeepEmptyNamespaces bool

	// Adapter makes the adapter of each namespace. nil is adapter.NewMemory, or with Recovery adapter.NewRecovering.
	Adapter adapter.Factory

	// Recovery lets a socket whose connection was lost come back within a while, with its id, its rooms and its data, and
	// get what it missed (S-6). nil is off. The Adapter, if there is one, must be an adapter.Recoverer: that of
	// a cluster is one if its Bus is a cluster.Log.
	Recovery *Recovery

	// Client holds the files of the official JavaScript client, served under the server's path (S-2);
	// see CheckClientBundle. What is missing, or everything if it is nil, is redirected to the official CDN.
	// The files are compressed with gzip or deflate for clients that accept it; brotli, which the reference has too, would
	// cost whoever imports this package a dependency.
	Client fs.FS
	// NoClient leaves requests for the client's files to the engine, which refuses them.
	NoClient bool

	// Logger gets what no caller can be told. nil is slog.Default. The engine uses it too unless it
	// has its own.
	Logger *slog.Logger
}

const defaultConnectTimeout = 45 * time.Second

func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.ConnectTimeout < 0 {
		errs = append(errs, fmt.Errorf("socketio: ConnectTimeout is negative: %v", o.ConnectTimeout))
	}
	if o.MaxAttachments < 0 {
		errs = append(errs, fmt.Errorf("socketio: MaxAttachments is negative: %d", o.MaxAttachments))
	}
	if o.MaxNamespaces < 0 {
		errs = append(errs, fmt.Errorf("socketio: MaxNamespaces is negative: %d", o.MaxNamespaces))
	}
	o.MaxNamespaces = cmp.Or(o.MaxNamespaces, defaultMaxNamespaces)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, defaultConnectTimeout)
	var err error
	if o.Limits, err = o.Limits.withDefaults(); err != nil {
		errs = append(errs, err)
	}
	if o.Recovery, err = o.Recovery.withDefaults(); err != nil {
		errs = append(errs, err)
	}
	if o.Adapter == nil {
		o.Adapter = memory
	}
	if o.Parser == nil {
		o.Parser = parser.Text{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Engine.Logger == nil {
		o.Engine.Logger = o.Logger
	}
	return o, errors.Join(errs...)
}

// memory is the adapter of a server that was given none.
func memory(h adapter.Host) adapter.Adapter {
	if r, ok := h.Recovery(); ok {
		return adapter.NewRecovering(h, r)
	}
	return adapter.NewMemory(h)
}

func (o Options) limits() parser.Limits {
	return parser.Limits{MaxAttachments: o.MaxAttachments, MaxDepth: o.Limits.MaxDepth}
}
