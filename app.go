package perch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/engineio"
)

// App is safe for concurrent use. It is a set of gateways and the servers they live on.
// An app that was made is to be shut down, started or not.
type App struct {
	logger   *slog.Logger
	members  []*member
	services []*service
	ports    []*port
	patience time.Duration // with connection hooks
	scope    enhancements
	wire     wire
	// headerBytes is what a request's headers may be; that of a handshake is limited by the engine too.
	headerBytes int
	listen      func(network, address string) (net.Listener, error)

	state  atomic.Int32
	health health

	mu       sync.Mutex
	servers  []*http.Server // listening; all are closed by Shutdown
	stopping chan struct{}  // made by the first Shutdown, closed when it is done
	stopErr  error
}

// The life of an app, in this order. It accepts clients while running.
const (
	made int32 = iota
	starting
	running
	stopped
)

// New makes an app of its gateways. It finds everything that can be wrong without
// I/O and returns all of it as one joined error, each part naming the gateway and
// what to change: see [GatewayError].
func New(options ...Option) (*App, error) {
	a := assembly{settings: settings{}}
	for _, o := range options {
		if o != nil {
			o.apply(&a.settings)
		}
	}
	if a.settings.logger == nil {
		a.settings.logger = slog.Default()
	}
	if a.settings.listen == nil {
		a.settings.listen = net.Listen
	}
	a.errs = a.settings.errs
	if err := a.settings.enhancements.check(); err != nil {
		a.errs = append(a.errs, fmt.Errorf("perch: %w", err))
	}
	a.claim()
	a.collect()
	a.group()
	if len(a.errs) == 0 {
		a.build()
	}
	if len(a.errs) > 0 {
		a.release()
		for _, s := range a.services {
			if s.io != nil {
				_ = s.io.Shutdown(context.Background()) // nobody is connected
			}
		}
		return nil, errors.Join(a.errs...)
	}
	app := &App{
		logger:   a.settings.logger,
		members:  a.members,
		services: a.services,
		ports:    a.ports,
		patience: cmp.Or(a.settings.connectTimeout, defaultConnectTimeout),
		listen:   a.settings.listen,
		scope:    a.settings.enhancements,
		wire:     a.settings.wire,

		headerBytes: cmp.Or(a.settings.engine.Limits.HandshakeBytes, engineio.DefaultHandshakeBytes),
	}
	for _, s := range app.services {
		s.app = app
		s.attach()
	}
	for _, e := range a.emitters {
		e.app.Store(app)
	}
	return app, nil
}

// attach brings the gateways of a server into their namespaces, in their order.
func (s *service) attach() {
	s.furnish()
	for _, m := range s.gateways {
		n := s.namespaces[m.name]
		m.server.place.Store(n)
		m.join(n)
	}
	// The root namespace exists without a gateway too (N-9), and answers.
	if s.namespaces["/"] == nil && s.speaksSocketIO("") {
		s.io.Of("/").HandleUnknown(s.app.wire.unknown)
		s.io.Of("/").HandleExcess(s.app.wire.excess)
		s.app.guardConnections(s.io.Of("/"))
	}
}

// live reports whether sends go anywhere: from AfterInit on.
func (a *App) live() bool { return a.state.Load() != made }

// Start takes what [Recovery]'s Store has, calls every gateway's AfterInit, in order, and then opens the ports that
// gateways have of their own. Until it has returned, paths mounted on a server answer
// 503. When ctx is done no further AfterInit is called. After an error the app is shut
// down.
func (a *App) Start(ctx context.Context) error {
	if !a.state.CompareAndSwap(made, starting) {
		if a.state.Load() == stopped {
			return ErrStopped
		}
		return ErrStarted
	}
	if err := a.start(ctx); err != nil {
		return errors.Join(err, a.Shutdown(context.WithoutCancel(ctx))) // nobody was let in yet
	}
	return nil
}

func (a *App) start(ctx context.Context) error {
	for _, s := range a.services {
		if err := s.io.LoadRecovery(ctx); err != nil {
			a.logger.Warn("perch: what clients need to come back was not loaded", "path", s.path, "error", err)
		}
	}
	for _, m := range a.members {
		g, ok := m.gateway.(OnGatewayInit)
		if !ok {
			continue
		}
		if err := harmless(func() error { return g.AfterInit(m.server) }); err != nil {
			if isPanic(err) { // the error goes to the caller, the stack would not
				a.logHook(ctx, m, detached, initHook.method, err)
			}
			return &GatewayError{Gateway: m.label, Err: fmt.Errorf("AfterInit: %w", err)}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := a.openPorts(); err != nil {
		return err
	}
	if !a.state.CompareAndSwap(starting, running) {
		return ErrStopped
	}
	logRoutes(a.logger, a.members)
	return nil
}

// Shutdown ends the app: new clients are refused, handlers of events that were read are
// awaited, so that they can still send and answer, and as each client's last one has ended the client is
// told and HandleDisconnect runs; when all of that is done adapters are closed,
// and then the listeners of ListenAndServe and of the gateways' own ports. What clients need to come back is saved
// to [Recovery]'s Store when the last handler has ended. When ctx is done first, what is left is
// cut off and ctx's error is part of the result. Only the first call does all this;
// others wait for it.
//
// A server of the program's own that Mount was given is to be shut down after the app.
func (a *App) Shutdown(ctx context.Context) error {
	a.mu.Lock()
	if a.stopping != nil {
		done := a.stopping
		a.mu.Unlock()
		select {
		case <-done:
			return a.stopErr
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	a.stopping = make(chan struct{})
	a.state.Store(stopped)
	a.mu.Unlock()

	// All of them before the first adapter is closed: a handler may send by the server of another gateway.
	_ = a.eachService(func(s *service) error { return s.io.Drain(ctx) }) // the time being over is told below
	a.stopErr = errors.Join(a.eachService(func(s *service) error { return s.io.Shutdown(ctx) }), a.closeServers(ctx))
	close(a.stopping)
	return a.stopErr
}

// eachService does something to all servers at the same time.
func (a *App) eachService(do func(s *service) error) error {
	errs := make([]error, len(a.services))
	var wg sync.WaitGroup
	for i, s := range a.services {
		wg.Go(func() { errs[i] = do(s) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
