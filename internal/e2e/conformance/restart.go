package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio"
)

// restart is a gateway at /socket.io/ whose clients come back over a restart of the program, by what it keeps in the file of
// -recovery. Every 10 ms it emits "number" with the process's id and a number from 0 on to everybody, and stops when it cannot any
// more; then it prints "emitted ID N". It acks "post" with its payload and that of the one before, of the same socket.
func restart(o options) (*profile, error) {
	g := &restartGateway{ended: make(chan struct{})}
	var r perch.Recovery
	if o.recovery != "" {
		r.Store = perch.FileStore(o.recovery)
	}
	app, err := perch.New(perch.WithGateways(g), perch.WithRecovery(r))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	mux.Handle("GET /livez", app.LivenessHandler())
	mux.Handle("GET /readyz", app.ReadinessHandler())
	if err := app.Start(context.Background()); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	go g.emit(ctx)
	return &profile{mux, func(ctx context.Context) error {
		err := app.Shutdown(ctx)
		if r.Store == nil {
			stop() // nobody else tells it to
		}
		<-g.ended
		stop()
		fmt.Println("emitted", os.Getpid(), g.emitted)
		return err
	}}, nil
}

type restartGateway struct {
	perch.Base
	emitted int
	ended   chan struct{}
}

var posted = perch.NewKey[int]("posted")

func (*restartGateway) Options() perch.Options { return perch.Options{} }

func (g *restartGateway) Register(r *perch.Router) {
	perch.On(r, "post", func(ctx context.Context, n int) ([2]int, error) {
		s := perch.SocketFrom(ctx)
		before := posted.Value(s)
		posted.Set(s, n)
		return [2]int{n, before}, nil
	})
}

func (g *restartGateway) emit(ctx context.Context) {
	defer close(g.ended)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := g.Server().Emit("number", os.Getpid(), g.emitted)
		if errors.Is(err, socketio.ErrClosed) {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "conformance:", err)
			return
		}
		g.emitted++
	}
}
