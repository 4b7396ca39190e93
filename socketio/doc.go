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
// # Emitting
//
// Everything is emitted to a [Broadcast], a selection of sockets in all processes of the cluster, or to one
// [Socket]; [Namespace] and [Server] are the selection of everybody, a server that of "/". Their methods put
// conditions to the next call: To, In, Except and Local say who gets it, Volatile, Compress and Timeout how.
// Emit never waits. Send waits for room in a client's outbound budget, EmitWithAck for the answers. The
// example EmitCheatsheet has every combination.
//
// An event name of the protocol ([Reserved]) and arguments that cannot be encoded are errors, whether there is
// anybody to send them to or not.
//
// # Listening
//
// What clients send goes, on the socket's lane, through the catch-all listeners (OnAny), then the event
// middlewares ([Namespace.UseEvent], [Socket.Use]), then the handlers; each time through those of the namespace
// first and those of the socket second. Register on the namespace what is the same for all sockets: it costs
// nothing per socket. Each of these registrations returns a function that takes it back.
//
// # For who knows Node's server
//
//   - new Server(…), attach, listen: [New], whose result is an http.Handler. Its options are read once; there are no
//     setters. close: Shutdown.
//   - io.on("connection"), io.use, io.of: OnConnection, Use, Of. A connection hook runs before the client is
//     told that it is connected, and may refuse.
//   - socket.on, once, off: [Namespace.Handle] for all sockets, [Socket.Handle] and [Socket.Once] for one, the
//     function that they return. onAny, prependAny and their outgoing twins have their names; for off they too
//     return a function. There is no listing of listeners.
//   - disconnecting, disconnect: OnDisconnecting, OnDisconnect. error: OnError, and the log for panics.
//   - socket.use: the same, with an error instead of next(err); the client's acknowledgement then says so, where
//     Node's server leaves the client waiting.
//   - send, write: Emit("message", …). Send is something else here, see above.
//   - emitWithAck on a broadcast: the answers say whose they are, who leaves is counted as an answer, and without
//     Timeout it waits as long as ctx does (there, one millisecond).
//   - allSockets: Sockets for those of this process, FetchSockets for all.
//   - serverSideEmit and io.on(event): ServerSideEmit and HandleServerSide.
//   - new_namespace: [Server.OnNamespace]. adapter.on("create-room") and so on: [Namespace.ObserveRooms].
//   - socket.data: Store and Load, or a typed [Key].
//   - socket.conn: [Socket.Conn], with Transport, Protocol, Buffered and Stats. Of its events, close is
//     OnDisconnect with its reason; packet, message and data are OnAny, packetCreate is OnAnyOutgoing; open is a
//     connection hook; upgrade is [engineio.Session.OnUpgrade]. flush and drain are what Send waits for. heartbeat
//     and upgrading have no counterpart.
//
// # Recovery
//
// With [Options.Recovery] a client whose connection was lost, and who is back in time, finds what it had: the id, the rooms and
// the data of its socket, and the events it missed, each once and in order. The client does this by itself. Connection hooks run
// again, with [Socket.Recovered] true and everything in its place, and may refuse; middlewares are skipped unless
// [Recovery.RunMiddlewares] says otherwise. The socket is a new value: who holds the old one, a goroutine that emits to it for
// instance, is told [ErrDisconnected] and begins again in the hook.
//
// Every event but the volatile ones and those that ask for an acknowledgement then has an offset as its last argument, which the
// client's listeners see. It is drawn, the event stored and queued under one lock of the namespace, so that everything before the
// offset that a client names has reached it and nothing after it has. What was missed goes ahead of the answer to CONNECT; a
// client that is lost again before it has seen that answer holds an unknown part of it, and is given a fresh connection. One that
// drops that part says so in its auth beside pid and offset, {"exactOffset":true}, as package client does: it is recovered once
// more.
//
// A client that is back before the server has noticed its loss takes its socket over: that one leaves with
// [ReasonTransportClose], the handlers of its last events and its disconnect hooks are awaited for a while, then it is recovered.
// Of one id there is never more than one socket. With a [Recovery.Store] clients come back over a restart of the process, see
// [Server.LoadRecovery]. Only sockets that were lost are kept (S-76), not those that left or were
// disconnected, nor one that did not take what was sent to it.
//
// # Dynamic namespaces
//
// A client may ask for a namespace that is not there. A [ParentNamespace] decides which names are made into one, by a pattern, a
// regular expression or a function, and what is registered on the parent is registered on all of these children:
//
//	rooms, err := server.OfPattern("/room/{id}")
//	if err != nil { … }
//	rooms.OnConnection(func(ctx context.Context, s *socketio.Socket) error {
//		return s.Emit("welcome", s.PathValue("id"))
//	})
//
// A child is dropped with its last socket; [Options.MaxNamespaces] bounds how many there are. [Server.With] sends to one by its
// name, here and in other processes, whether there is one or not.
//
// # Clients of 2.x
//
// They are let in by engineio.Options.AllowEIO3, and served beside the others. Such a client is connected to "/" before it
// asks, whatever namespace it wants; the middlewares of "/" may refuse it there. Its socket in "/" has the id of the
// session, in "/chat" it is "/chat#" and that. What it brings as query of a namespace is the auth of that socket, and a
// refusal tells it the data of the [ConnectError], or the message where there is none. It recovers nothing.
//
// # Limits
//
// Events that wait for their handler, and attachments of packets that are not complete, count against
// the inbound budget of the connection, what has been sent and was not yet taken by the client against
// the outbound one; both are options of the engine. Whatever a client sends that is no valid packet ends
// its connection and nothing else. [Limits] are what else a client may do, [Options.Strict] turns on those that
// are off by default, and [Server.Stats] counts what was beyond them. A [RateLimit] is for some events:
//
//	limit, err := socketio.NewRateLimit(socketio.Rate{PerSecond: 1, Burst: 5})
//	if err != nil { … }
//	chat.UseEvent(limit.Middleware("message"))
package socketio
