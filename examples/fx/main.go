package main

import (
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	"github.com/perch-go/perch"
	perchfx "github.com/perch-go/perch/contrib/fx"
	"github.com/perch-go/perch/examples/fx/chat"
	"github.com/perch-go/perch/examples/fx/orders"
)

func main() {
	addr := flag.String("addr", ":3000", "`address` to listen on")
	flag.Parse()
	fx.New(
		program(*addr),
		fx.Invoke(endAtOnce), // the last to be appended is the first to stop
		fx.Supply(slog.New(slog.NewTextHandler(os.Stderr, nil))),
		fx.WithLogger(func(l *slog.Logger) fxevent.Logger { return &fxevent.SlogLogger{Logger: l} }),
	).Run()
}

// program is all of it but where it logs, which is for main and for the test to say.
func program(addr string) fx.Option {
	return fx.Options(
		perchfx.Module(),
		perchfx.Mount(),
		perchfx.Serve(addr),
		fx.Provide(newMux),
		fx.Invoke(probes),
		chat.Module,
		orders.Module,
	)
}

// endAtOnce lets a second signal end the program, which fx has end by itself after the first one.
func endAtOnce(lc fx.Lifecycle) {
	lc.Append(fx.StopHook(func() { signal.Reset(os.Interrupt, syscall.SIGTERM) }))
}

// probes are for whoever runs the program.
func probes(mux *http.ServeMux, app *perch.App) {
	mux.Handle("GET /livez", app.LivenessHandler())
	mux.Handle("GET /readyz", app.ReadinessHandler())
}

// newMux has the routes of all controllers.
func newMux(o *orders.Controller) *http.ServeMux {
	mux := http.NewServeMux()
	o.Register(mux)
	return mux
}
