package perch

import (
	"context"
	"log/slog"

	"github.com/perch-go/perch/socketio"
)

// guardConnections has the app's connection guards asked before those of any gateway.
func (a *App) guardConnections(r registrar) {
	if len(a.scope.connectionGuards) == 0 {
		return
	}
	everyone := &member{label: "of the app", filters: chain([]enhancements{a.scope})}
	r.Hook(socketio.Hooks{Admit: func(ctx context.Context, io *socketio.Socket) error {
		return a.admit(ctx, everyone, io, func(ctx context.Context, s *Socket) error {
			return ask(ctx, a.scope.connectionGuards, s)
		})
	}})
}

// join registers a gateway's hooks and handlers.
func (m *member) join(n *namespace) {
	app, to := n.service.app, n.registrar()
	var hooks socketio.Hooks
	g, connects := m.gateway.(OnGatewayConnection)
	if len(m.connectionGuards) > 0 {
		hooks.Admit = func(ctx context.Context, io *socketio.Socket) error {
			return app.admit(ctx, m, io, func(ctx context.Context, s *Socket) error { return ask(ctx, m.connectionGuards, s) })
		}
	}
	if connects {
		hooks.Connection = func(ctx context.Context, io *socketio.Socket) error {
			return app.admit(ctx, m, io, g.HandleConnection)
		}
	}
	if g, ok := m.gateway.(OnGatewayDisconnect); ok {
		hooks.Disconnect = func(ctx context.Context, io *socketio.Socket, reason socketio.Reason) {
			s, _ := socketOf(io)
			err := harmless(func() error { g.HandleDisconnect(ctx, s, reason); return nil })
			if err = filter(ctx, &ExecutionContext{socket: s}, m.filters, err); err != nil {
				app.logHook(ctx, m, s, disconnectHook.method, err)
			}
		}
	}
	if hooks.Admit != nil || hooks.Connection != nil || hooks.Disconnect != nil {
		to.Hook(hooks)
	}
	for _, r := range m.routes {
		if r.info.Kind == KindAny {
			to.OnAny(r.handle)
			continue
		}
		to.Handle(r.info.Event, r.handle)
	}
}

// ask asks guards whether a client may connect.
func ask(ctx context.Context, guards []Guard, s *Socket) error {
	for _, g := range guards {
		if err := g(ctx, &ExecutionContext{socket: s}); err != nil {
			return err
		}
	}
	return nil
}

// admit asks whether a client may connect. The error is what it gets to see.
func (a *App) admit(ctx context.Context, m *member, io *socketio.Socket, ask func(context.Context, *Socket) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	s, _ := socketOf(io)
	err := harmless(func() error { return ask(ctx, s) })
	if err == nil {
		return nil
	}
	if left := filter(ctx, &ExecutionContext{socket: s}, m.filters, err); left != nil {
		err = left
	} else if _, known := public(err); !known { // dealt with, which is no invitation
		return internal.refusal()
	}
	shown, known := public(err)
	if !known || isPanic(err) {
		a.logHook(ctx, m, s, connectionHook.method, err)
	}
	return shown.refusal()
}

// harmless runs a hook; a panic is its error.
func harmless(hook func() error) (err error) {
	defer recovered(&err)
	return hook()
}

func (a *App) logHook(ctx context.Context, m *member, s *Socket, hook string, err error) {
	attrs := append([]slog.Attr{
		slog.String("gateway", m.label),
		slog.String("hook", hook),
		slog.String("socket", s.ID()),
	}, causeAttrs(err)...)
	a.logger.LogAttrs(ctx, slog.LevelError, "perch: hook failed", attrs...)
}
