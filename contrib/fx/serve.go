package perchfx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync/atomic"
	"time"

	"go.uber.org/fx"

	"github.com/perch-go/perch"
)

// Serve listens on a TCP address when fx starts, after everything that gateways need and the
// app itself have started. It serves the app and, with [Mount], whatever else is on the
// program's mux. An address that cannot be listened on is an error of fx's start; a listener
// that fails later stops fx with exit code 1. It provides the *[Server]. A program has it at
// most once.
func Serve(addr string) fx.Option { return ServeFrom(func() string { return addr }) }

// ServeFrom is [Serve] on the address that a constructor returns: it takes what it needs, such
// as the program's configuration, and returns a string, or a string and an error.
func ServeFrom(constructor any) fx.Option {
	if results := resultsOf(reflect.TypeOf(constructor)); len(results) != 1 || results[0] != reflect.TypeFor[string]() {
		return fx.Error(fmt.Errorf("perchfx.ServeFrom: %T is no constructor of an address: pass a function that returns a string", constructor))
	}
	return fx.Options(
		fx.Invoke(needsModule),
		fx.Provide(newServer, fx.Annotate(constructor, fx.ResultTags(`name:"perchfx.address"`))),
	)
}

// Mount puts the app on the *[http.ServeMux] that the program provides, whose other paths stay its
// own. Without [Serve] the program serves it. If that is done by an *[http.Server] that the program
// provides, it is constructed before the app, so that, if its constructor appends its hooks, it is
// shut down after the app, as it has to be. A program has Mount at most once.
//
// What the mux and that server are made of must not need the *[perch.App], which would be a
// cycle: it may need gateways and the Emitter.
func Mount() fx.Option {
	return fx.Options(fx.Invoke(needsModule), fx.Provide(newMount))
}

// mount is where the app goes.
type mount struct{ mux *http.ServeMux }

type mountNeeds struct {
	fx.In

	Mux    *http.ServeMux
	Server *http.Server `optional:"true"` // constructed before the app, for its hooks
}

// mountResult provides the mount by itself too, of which fx lets a program have only one.
type mountResult struct {
	fx.Out

	Mount   *mount
	Grouped *mount `group:"perchfx.mounts"`
}

func newMount(n mountNeeds) mountResult {
	m := &mount{n.Mux}
	return mountResult{Mount: m, Grouped: m}
}

// mountOn makes an error of the mux's panic.
func mountOn(mux *http.ServeMux, app *perch.App) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("perchfx: the mux has a path of the app already, leave one of them out: %v", v)
		}
	}()
	app.Mount(mux)
	return nil
}

// Server is safe for concurrent use. It is the HTTP server of [Serve].
type Server struct {
	address  string
	listener atomic.Pointer[net.Listener] // nil until it listens
	http     *http.Server
	done     chan struct{} // closed when it serves no longer
	logger   *slog.Logger
	failed   func(error) // is told if that was not asked for
}

type serverNeeds struct {
	fx.In

	Address string `name:"perchfx.address"`
}

type serverResult struct {
	fx.Out

	Server  *Server
	Grouped *Server `group:"perchfx.servers"`
}

func newServer(n serverNeeds) serverResult {
	s := &Server{address: n.Address, done: make(chan struct{})}
	return serverResult{Server: s, Grouped: s}
}

// Addr is where it listens, which tells the port if the address left that open. It is nil
// until fx has started.
func (s *Server) Addr() net.Addr {
	if l := s.listener.Load(); l != nil {
		return (*l).Addr()
	}
	return nil
}

// prepare says what to serve.
func (s *Server) prepare(mux *http.ServeMux, p parts) {
	if s.logger = p.Logger; s.logger == nil {
		s.logger = slog.Default()
	}
	s.http = &http.Server{
		Handler: mux,
		// As perch.App.Serve has it: the engine gives bodies and long polls their deadlines.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	s.failed = func(err error) {
		s.logger.Error("perchfx: the server has stopped serving", "address", s.address, "error", err)
		_ = p.Shutdowner.Shutdown(fx.ExitCode(1)) // it fails if nobody waits
	}
}

// start listens, and serves until stop.
func (s *Server) start(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("perchfx: cannot listen on %q, choose another address in Serve or stop who has it: %w", s.address, err)
	}
	s.listener.Store(&l)
	s.logger.Info("perchfx: listening", "address", l.Addr().String())
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed(err)
		}
	}()
	return nil
}

// stop waits for requests, as long as ctx lets it.
func (s *Server) stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}
