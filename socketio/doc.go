// Package socketio is a Socket.IO server: protocol 5 over the sessions of package engineio.
//
// A [Server] is an http.Handler. Clients connect to its [Namespace]s; each such connection is a
// [Socket], which is emitted to, joins rooms and receives [Event]s. A [Broadcast] reaches the sockets
// of rooms.
//
//	server, err := socketio.New(socketio.Options{})
//	if err != nil { … }
//	chat := server.Of("/chat")
//	chat.OnConnection(func(ctx context.Context, s *socketio.Socket) error {
//		return s.Join("lobby") // an error refuses the socket
//	})
//	chat.Handle("message", func(ctx context.Context, e *socketio.Event) {
//		var text string
//		if err := e.Decode(0, &text); err != nil {
//			return
//		}
//		_ = chat.To("lobby").Emit("message", text)
//		if e.WantsAck() {
//			_ = e.Ack("ok")
//		}
//	})
//	http.Handle("/socket.io/", server)
//
// # The life of a socket
//
// A CONNECT packet makes a socket. The namespace's middlewares run ([Namespace.Use]), then it becomes a
// member of the namespace, then the connection hooks run ([Namespace.OnConnection]), and only then is
// CONNECT answered. An error from any of them refuses the socket, which the client sees as its
// connect_error. What is sent to the socket before it was answered, broadcasts included, waits for the
// answer and follows it; a refusal drops it. When the client leaves, the events that were already read
// are still handled; then the socket leaves its rooms and the disconnect hooks run
// ([Namespace.OnDisconnect]).
//
// # Order
//
// All this, from the first middleware to the last disconnect hook, happens one after the other for one
// socket: on its lane. The events of one socket are handled one at a time in the order they came, those
// of different sockets independently of each other. Acknowledgements and heartbeats never wait behind a
// handler, so a handler may wait for an acknowledgement of the client whose event it handles. A lane
// takes a goroutine from the server's pool only while there are events on it.
//
// # Limits
//
// Events that wait for their handler, and attachments of packets that are not complete, count against
// the inbound budget of the connection, what has been sent and was not yet taken by the client against
// the outbound one; both are options of the engine. Whatever a client sends that is no valid packet ends
// its connection and nothing else.
package socketio
