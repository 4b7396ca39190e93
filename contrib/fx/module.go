package perchfx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.uber.org/fx"

	"github.com/perch-go/perch"
)

// Module makes a [perch.App] of the program's gateways, with these options, and starts and
// stops it with fx. It provides the *[perch.App] and a *[perch.Emitter] that sends to it.
//
// A program needs it once. The gateways are those of [Provide] and [Gateway], after those that
// the options have. The app logs to the *[slog.Logger] that the program provides, if any, unless
// [perch.WithLogger] says otherwise.
//
// When fx stops, clients and handlers get three quarters of the time there is
// (fx.StopTimeout), so that some is left for what the gateways use to be closed.
func Module(options ...perch.Option) fx.Option {
	return fx.Module("perch",
		fx.Provide(
			perch.NewEmitter,
			func(p parts) (*perch.App, error) { return newApp(p, options) },
		),
		fx.Invoke(needsModule),
	)
}

// parts is what an app is made of. Mounts and Servers are groups since of something optional fx
// would leave out silently what lacks a part itself.
type parts struct {
	fx.In

	Lifecycle  fx.Lifecycle
	Shutdowner fx.Shutdowner
	Emitter    *perch.Emitter
	Logger     *slog.Logger              `optional:"true"`
	Options    []numbered[perch.Option]  `group:"perchfx.options"`
	Gateways   []numbered[perch.Gateway] `group:"perchfx.gateways"`
	Mounts     []*mount                  `group:"perchfx.mounts"`
	Servers    []*Server                 `group:"perchfx.servers"`
}

func newApp(p parts, options []perch.Option) (*perch.App, error) {
	all := []perch.Option{perch.WithEmitter(p.Emitter)}
	if p.Logger != nil {
		all = append(all, perch.WithLogger(p.Logger))
	}
	all = append(all, options...)
	all = append(all, inOrder(p.Options)...)
	all = append(all, perch.WithGateways(inOrder(p.Gateways)...))
	app, err := perch.New(all...)
	if err != nil {
		return nil, fmt.Errorf("perchfx: no app can be made of the gateways of Provide:\n%w", err)
	}
	mux := http.NewServeMux()
	for _, m := range p.Mounts {
		mux = m.mux
	}
	if len(p.Mounts)+len(p.Servers) > 0 {
		if err := mountOn(mux, app); err != nil {
			return nil, errors.Join(err, app.Shutdown(context.Background()))
		}
	}
	r := &runner{app: app}
	for _, s := range p.Servers {
		s.prepare(mux, p)
		r.server = s
	}
	// Here and not in an Invoke, so that it comes before the hooks of who takes the app.
	p.Lifecycle.Append(fx.Hook{OnStart: r.start, OnStop: r.stop})
	return app, nil
}

// runner is the app in fx's hands, which call one after the other.
type runner struct {
	app    *perch.App
	server *Server // nil without Serve
}

func (r *runner) start(ctx context.Context) error {
	if err := r.app.Start(ctx); err != nil {
		return err
	}
	if r.server == nil {
		return nil
	}
	if err := r.server.start(ctx); err != nil {
		// fx stops only what has started.
		return errors.Join(err, r.app.Shutdown(context.WithoutCancel(ctx))) // nobody was let in yet
	}
	return nil
}

func (r *runner) stop(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*3/4)
		defer cancel()
	}
	// First the clients, then the server that they are on.
	err := r.app.Shutdown(ctx)
	if r.server != nil {
		err = errors.Join(err, r.server.stop(ctx))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("perchfx: clients and handlers were cut off, for they took longer than fx.StopTimeout lets them: %w", err)
	}
	return err
}
