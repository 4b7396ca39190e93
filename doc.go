// Package perch is NestJS-style real-time gateways for Go, on a Socket.IO server of
// its own.
//
// A [Gateway] is a plain struct with typed handlers on one namespace. Its Options
// method says where it is served, its Register method which events it handles; the
// stock socket.io-client of any language talks to it:
//
//	type ChatGateway struct {
//		perch.Base // Server(): sends to this gateway's namespace
//	}
//
//	func (g *ChatGateway) Options() perch.Options {
//		return perch.Options{Namespace: "chat"}
//	}
//
//	func (g *ChatGateway) Register(r *perch.Router) {
//		perch.On(r, "message", g.Message)
//	}
//
//	func (g *ChatGateway) Message(ctx context.Context, m Message) (Receipt, error) {
//		return Receipt{ID: m.ID}, g.Server().To(m.Room).Emit("message", m)
//	}
//
//	app, err := perch.New(perch.WithGateways(&ChatGateway{}))
//	if err != nil { … } // everything that can be wrong without I/O, all of it at once
//	err = app.ListenAndServe(":3000")
//
// # Handlers
//
// A handler is an ordinary method, func(ctx, In) (Out, error), which a unit test calls
// directly. [On] infers its types. In is decoded in one pass from the event's
// argument, its Validate method is called if it has one, and Out becomes the ack the
// client asked for. [SocketFrom] finds the [Socket] that the event came from; what
// belongs to a socket is kept on it under a typed [Key]. An error goes to the client
// too: as it is if it is an [*Error], masked and logged if it is any other.
//
// Events of one socket are handled one at a time, in the order they came; events of
// different sockets at the same time. [Once] keeps what a client sends again, because it
// got no answer, from being handled again.
//
// The names of events may be descriptors of package event, which say their types to both sides: [On] takes
// them, and [Emit] and [Call] send by them.
//
// [OnStream] answers with a sequence of events, [OnAck] when it likes, [On2] and [On3] take
// several arguments, [OnRaw] decodes by itself, [OnAny] hears of everything.
//
// # Namespaces
//
// Gateways of one namespace share it, whatever their order. One may be in all those that a
// pattern stands for: with Namespace "/room/{id}" each room has its clients, its rooms
// and its broadcasts for itself, and [Socket.PathValue] says which one it is.
//
// # Pipeline
//
// Around a handler run, in Nest's order, [Middleware], each [Guard], each [Interceptor] and
// each [Pipe]; an error of any of them, or of the handler, goes through the [Filter]s. Each
// may be the app's ([WithGuards] in New), a gateway's ([Router.UseGuards]) or a handler's
// ([WithGuards] in On). Connection guards are asked before a client is connected.
//
// # Connections
//
// A gateway that implements [OnGatewayConnection] is asked before the client is told
// that it is connected, and may refuse it. [OnGatewayDisconnect] is told when it
// leaves, [OnGatewayInit] when the app starts. [Auth] decodes what the client sent
// along with its connection. With [WithRecovery] a client whose connection was lost comes
// back to its socket's id, rooms, keys and missed events, with a Store over a restart of the
// process too; [Socket.Recovered] tells HandleConnection, which may still refuse it.
//
// # The app
//
// [New] checks everything that can be checked without I/O. [App.ListenAndServe] is all
// a program needs; on a server that exists already [App.Mount] adds the app's paths,
// [App.Start] and [App.Shutdown] bracket its life.
//
// Gateways and services are made by plain constructors. A service that sends takes an
// [Emitter], which is there before the app is.
package perch
