package perchfx_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/fx"

	"github.com/perch-go/perch"
	perchfx "github.com/perch-go/perch/contrib/fx"
)

// ChatModule is a module as Nest has them: a service and the gateway that needs it.
var ChatModule = fx.Module("chat",
	fx.Provide(NewHistory),
	perchfx.Provide(NewChatGateway),
)

// AnnouncementModule has a service that needs the other module's gateway.
var AnnouncementModule = fx.Module("announcements", fx.Provide(NewAnnouncer))

// A program is its modules, and an address.
func Example() {
	app := fx.New(
		perchfx.Module(quiet()),
		perchfx.Serve("127.0.0.1:0"),
		ChatModule,
		AnnouncementModule,
		fx.Invoke(func(a *Announcer, lc fx.Lifecycle, _ *perch.App) {
			lc.Append(fx.StartHook(func() error { return a.Announce("here we are") }))
		}),
		fx.NopLogger,
	)
	ctx := context.Background()
	fmt.Println(app.Start(ctx), app.Stop(ctx)) // or app.Run()
	// Output:
	// <nil> <nil>
}

// On the program's own server the gateways are beside its routes.
func ExampleMount() {
	app := fx.New(
		perchfx.Module(quiet()),
		perchfx.Mount(),
		ChatModule,
		fx.Provide(func() *http.ServeMux {
			mux := http.NewServeMux()
			mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
			return mux
		}),
		// Its hooks are appended in its constructor, so that Mount can see to the order.
		fx.Provide(func(lc fx.Lifecycle, mux *http.ServeMux) *http.Server {
			srv := &http.Server{Addr: "127.0.0.1:0", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
			lc.Append(fx.StartStopHook(func() { go func() { _ = srv.ListenAndServe() }() }, srv.Shutdown))
			return srv
		}),
		fx.NopLogger,
	)
	fmt.Println(app.Err())
	// Output:
	// <nil>
}

// Accounts is a service that knows who may do what.
type Accounts struct{}

func NewAccounts() *Accounts { return &Accounts{} }

func (a *Accounts) SignedIn(context.Context, *perch.ExecutionContext) error { return nil }

// A guard of the whole app that needs a service, as with Nest's APP_GUARD.
func ExampleWith() {
	app := fx.New(
		perchfx.Module(quiet()),
		perchfx.With(func(a *Accounts) perch.Option { return perch.WithGuards(a.SignedIn) }),
		fx.Provide(NewAccounts),
		ChatModule,
		fx.NopLogger,
	)
	fmt.Println(app.Err())
	// Output:
	// <nil>
}

// A service that sends takes the Emitter: the gateway needs the service, and there is no cycle.
func Example_emitter() {
	app := fx.New(
		perchfx.Module(quiet()),
		fx.Provide(NewOrders), // func NewOrders(e *perch.Emitter) *Orders
		perchfx.Provide(func(*Orders) *Gateway { return &Gateway{options: perch.Options{Namespace: "orders"}} }),
		fx.Invoke(func(o *Orders) { fmt.Println(o.Ship("A-1")) }), // from the app's start on it arrives
		fx.NopLogger,
	)
	fmt.Println(app.Err())
	// Output:
	// perch: the app is not started
	// <nil>
}
