package perchfx_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	perchfx "github.com/perch-go/perch/contrib/fx"
)

// Store is what a gateway uses until the last moment.
type Store struct{}

// newStore is a constructor of a Store that writes down when it starts and stops.
func newStore(d *diary) func(lc fx.Lifecycle) *Store {
	return func(lc fx.Lifecycle) *Store {
		d.hooks(lc, "store")
		return &Store{}
	}
}

// N-15, N-42, architecture section 5: what gateways need starts before the app, who needs the app
// after it; stopping is the reverse, so that gateways have drained when the store is closed.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	var d diary
	url, app := start(t,
		fx.Invoke(func(_ *perch.App, lc fx.Lifecycle) { d.hooks(lc, "consumer") }),
		fx.Invoke(func(_ *perch.Emitter, lc fx.Lifecycle) { d.hooks(lc, "sender") }),
		perchfx.Provide(func(*Store) *Gateway {
			return &Gateway{
				afterInit:    func() { d.write("AfterInit") },
				onDisconnect: func(*perch.Socket) { d.write("HandleDisconnect") },
			}
		}),
		perchfx.Module(quiet()),
		fx.Provide(newStore(&d)),
	)
	dial(t, url, client.Options{})
	app.RequireStop()
	want := []string{
		"store starts", "AfterInit", "consumer starts", "sender starts",
		"sender stops", "consumer stops", "HandleDisconnect", "store stops",
	}
	if got := d.read(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A handler that does not end does not take from the store the time to be closed.
func TestStopDeadline(t *testing.T) {
	t.Parallel()
	var d diary
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	var server *perchfx.Server
	app := fxtest.New(t,
		perchfx.Module(quiet()), perchfx.Serve("127.0.0.1:0"), fx.Populate(&server),
		fx.Provide(newStore(&d)),
		perchfx.Provide(func(*Store) *Gateway {
			return &Gateway{register: func(r *perch.Router) {
				perch.OnEvent(r, "stuck", func(context.Context, perch.None) error {
					close(entered)
					<-release
					return nil
				})
			}}
		}),
	)
	app.RequireStart()
	if err := dial(t, urlOf(server.Addr()), client.Options{}).Emit("stuck"); err != nil {
		t.Fatal(err)
	}
	receive(t, entered)
	ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
	defer cancel()
	err := app.Stop(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "fx.StopTimeout") {
		t.Errorf("got %v", err)
	}
	if got := d.read(); !slices.Equal(got, []string{"store starts", "store stops"}) {
		t.Errorf("got %q", got)
	}
}

// Check 8, N-5: with Mount and Serve one port has the app and the program's other routes, whose
// controllers have the gateway injected.
func TestServeMux(t *testing.T) {
	t.Parallel()
	newMux := func(c *ChatGateway) *http.ServeMux {
		mux := http.NewServeMux()
		mux.HandleFunc("POST /announce", func(w http.ResponseWriter, r *http.Request) {
			if err := c.Server().Emit("said", r.URL.Query().Get("text")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
		return mux
	}
	url, _ := start(t,
		perchfx.Module(quiet()), perchfx.Mount(),
		fx.Provide(NewHistory, newMux), perchfx.Provide(NewChatGateway),
	)
	said := listen(dial(t, url+"/chat", client.Options{}), "said")
	if got := request(t, "POST", url+"/announce?text=news"); got != http.StatusOK {
		t.Errorf("announce: %d", got)
	}
	if got := receive(t, said); got != "news" {
		t.Errorf("got %q", got)
	}
	if got := request(t, "GET", url+"/nothing"); got != http.StatusNotFound {
		t.Errorf("unknown path: %d", got)
	}
}

// A server that the program provides itself is started before the app and stopped after it:
// the other way round it would wait for the polls that only the app ends.
func TestMountOnOwnServer(t *testing.T) {
	t.Parallel()
	var d diary
	address := make(chan net.Addr, 1)
	newServer := func(lc fx.Lifecycle, mux *http.ServeMux) *http.Server {
		srv := &http.Server{Handler: mux}
		lc.Append(fx.Hook{
			OnStart: func(context.Context) error {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				address <- l.Addr()
				go func() { _ = srv.Serve(l) }()
				return nil
			},
			OnStop: func(ctx context.Context) error {
				d.write("server stops")
				return srv.Shutdown(ctx)
			},
		})
		return srv
	}
	app := fxtest.New(t,
		perchfx.Module(quiet()), perchfx.Mount(),
		fx.Provide(http.NewServeMux, newServer),
		perchfx.Provide(func() *Gateway {
			return &Gateway{onDisconnect: func(*perch.Socket) { d.write("HandleDisconnect") }}
		}),
		fx.Invoke(func(*http.Server) {}),
	)
	app.RequireStart()
	dial(t, urlOf(receive(t, address)), client.Options{Transports: []client.Transport{client.Polling}})
	app.RequireStop()
	if got := d.read(); !slices.Equal(got, []string{"HandleDisconnect", "server stops"}) {
		t.Errorf("got %q", got)
	}
}

// An address comes from configuration; one that is taken fails the start, after which
// everything that had started is stopped.
func TestServeTakenAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	type config struct{ addr string }
	var d diary
	var server *perchfx.Server
	var made *perch.App
	app := create(
		perchfx.Module(quiet()),
		fx.Supply(&config{l.Addr().String()}), perchfx.ServeFrom(func(c *config) (string, error) { return c.addr, nil }),
		fx.Provide(newStore(&d)), perchfx.Provide(func(*Store) *Gateway { return &Gateway{} }),
		fx.Populate(&server, &made),
	)
	err = app.Start(t.Context())
	var op *net.OpError
	if !errors.As(err, &op) || !strings.Contains(err.Error(), `perchfx: cannot listen on "`+l.Addr().String()+`", choose another address`) {
		t.Errorf("got %v", err)
	}
	if got := d.read(); !slices.Equal(got, []string{"store starts", "store stops"}) {
		t.Errorf("got %q", got)
	}
	if err := made.Start(t.Context()); !errors.Is(err, perch.ErrStopped) {
		t.Errorf("the app is not shut down: %v", err)
	}
	if server.Addr() != nil {
		t.Errorf("it listens on %v", server.Addr())
	}
}

// A listener that fails later stops the program, with an exit code that says so.
func TestServeFailsLater(t *testing.T) {
	t.Parallel()
	var server *perchfx.Server
	app := fxtest.New(t,
		perchfx.Module(quiet()), perchfx.Serve("127.0.0.1:0"), fx.Populate(&server),
		fx.Supply(discard()),
		perchfx.Provide(func() *Gateway { return &Gateway{} }),
	)
	stopped := app.Wait()
	app.RequireStart()
	if err := server.Break(); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, stopped); got.ExitCode != 1 {
		t.Errorf("exit code %d", got.ExitCode)
	}
	app.RequireStop()
}
