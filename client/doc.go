// Package client is a Socket.IO client: protocol 5 over Engine.IO protocol 4, to servers of Node (3.x and 4.x), of Perch and
// of others.
//
//	s, err := client.Dial(ctx, "http://localhost:3000/chat", client.Options{})
//	if err != nil { … }
//	defer s.Close()
//	err = client.Emit(s, "message", Message{Room: "lobby", Text: "hello"})
//	receipt, err := client.Call[Receipt](ctx, s, "message", m) // waits for the acknowledgement
//
// The path of the URL is the namespace. [New] makes the same socket without connecting it, so that handlers can be registered
// first and nothing that comes is missed:
//
//	s, err := client.New(ctx, "http://localhost:3000/chat", client.Options{})
//	client.On(s, "message", func(ctx context.Context, m Message) { … })
//	err = s.Connect(ctx)
//
// # Manager and sockets
//
// A [Manager] is one connection and what keeps it up: transports, upgrade, heartbeat, reconnection. A [Socket] is one namespace
// on it. Dial and New make a manager for their one socket, which ends with it; [NewManager] and [Manager.Socket] put several
// namespaces on one connection. Nothing is shared between managers, there is no global state.
//
// # Life
//
// The context that is given to Dial, New or NewManager is the life of what they return: when it is done everything ends, and so
// does [Manager.Close]. Both are final. [Socket.Disconnect] is not: [Socket.Connect] may follow. While a connection is lost, and
// the server has not asked the client to leave, it is dialed again with growing, random delays; [Options] says how.
//
// # Order
//
// What comes for one socket is handled one thing at a time in the order it came: its events, and the hooks of [Socket.OnConnect],
// [Socket.OnDisconnect] and [Socket.OnConnectError]. Acknowledgements do not wait behind handlers, so a handler may ask the
// server something. A handler that is slow makes the reader wait, once 1,024 events or 1 MiB are behind it, and so the server.
//
// What is sent while there is no connection waits in a buffer of limited size. What was on its way when the connection was lost
// is lost, unless [Options.Retries] says that events are to be sent until the server has acknowledged them. What the server
// sent meanwhile comes afterwards if the server can recover connections; see [Socket.Recovered].
//
// # Arguments
//
// Arguments are encoded as JSON by the types of the program; byte slices anywhere in them travel as binary attachments. Typed
// functions ([On], [Emit], [Call], [Stream], [Events]) are for events of one argument; the methods of Socket take any number.
package client
