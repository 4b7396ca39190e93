// Package perchfx makes gateways providers of [go.uber.org/fx], as Nest's are of its modules:
//
//	var ChatModule = fx.Module("chat",
//		fx.Provide(NewHistory),          // a service
//		perchfx.Provide(NewChatGateway), // func NewChatGateway(h *History) *ChatGateway
//	)
//
//	func main() {
//		fx.New(
//			perchfx.Module(perch.WithRecovery(perch.Recovery{})),
//			perchfx.Serve(":3000"),
//			ChatModule,
//			OrdersModule,
//		).Run()
//	}
//
// [Module] makes a [perch.App] of all gateways and starts and stops it. [Provide] takes a
// gateway's constructor, which asks for what it needs like any other of fx; what it
// returns is a gateway of the app and can be injected elsewhere, as *ChatGateway here. [Gateway]
// makes one of what something else provides, [With] an option of the app of what needs a
// service, such as a guard. The order of gateways, which is that of their hooks, is the order
// in which Provide and Gateway were called.
//
// # Sending from a service
//
// A service that sends takes the *[perch.Emitter] of [Module]. It needs no gateway, so a
// gateway may need the service:
//
//	func NewOrders(e *perch.Emitter) *Orders { return &Orders{live: e} }
//
// # Start and stop
//
// Everything is constructed first, and [perch.New] checks it: its error is that of fx.New. Then
// come the OnStart hooks of what gateways need, the app's own (AfterInit, the gateways' own
// ports, the address of [Serve]), and those of what needs the app. Stopping is the reverse:
// clients are told and handlers awaited before the stores that they use are closed. Who takes the
// *[perch.App] starts after it. Who takes only the Emitter starts before it if a gateway needs
// it, and cannot send until the app has started.
//
// # HTTP
//
// [Serve] listens on an address. [Mount] puts the app on the program's own *[http.ServeMux]:
// with Serve that mux is what is served, without it the program serves it.
package perchfx
