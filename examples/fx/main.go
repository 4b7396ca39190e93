package main

import (
	"flag"
	"log/slog"
	"net/http"
	"os"

	"go.uber.org/fx"
	"go.uber.org/fx/fxevent"

	perchfx "github.com/perch-go/perch/contrib/fx"
	"github.com/perch-go/perch/examples/fx/chat"
	"github.com/perch-go/perch/examples/fx/orders"
)

func main() {
	addr := flag.String("addr", ":3000", "`address` to listen on")
	flag.Parse()
	fx.New(
		program(*addr),
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
		chat.Module,
		orders.Module,
	)
}

// newMux has the routes of all controllers.
func newMux(o *orders.Controller) *http.ServeMux {
	mux := http.NewServeMux()
	o.Register(mux)
	return mux
}
