// Package perchtest is for tests of gateways. There are two kinds.
//
// # The handler alone
//
// Handlers, hooks and guards are functions. [Context] makes the context that one is called with, in which
// [perch.SocketFrom] finds a socket without a client: it has an id, rooms, auth and keys, and records what is sent.
// [Record] makes a gateway's Server record, too. Nothing is served and nobody connects:
//
//	server := perchtest.Record(t, chat)
//	ctx, socket := perchtest.Context(t, perchtest.SocketOptions{Rooms: []string{"lobby"}})
//	receipt, err := chat.Message(ctx, Message{Room: "lobby", Text: "hello"})
//	… server.Sent(), socket.Sent(), socket.Broadcasts()
//
// # Server and clients in memory
//
// [New] serves an app in memory, and [Server.Dial] connects clients of package client to it, over WebSocket, polling or
// both. Everything but the network is the real thing: decoding, guards, acks, rooms, heartbeats. What comes to a [Client]
// is kept until the test takes it, so a test waits for what it wants and never for a time:
//
//	srv := perchtest.New(t, perch.WithGateways(chat))
//	ann := srv.Dial(t, "/chat", client.Options{Auth: Account{Name: "Ann"}})
//	receipt, err := client.Call(t.Context(), ann, Post, Message{Room: "lobby", Text: "hello"})
//	m := perchtest.Next(t, ann, Posted)
//
// [Server.DialWebSocket] is the same for plain WebSocket clients, [Server.HTTPClient] for HTTP routes. Server and clients
// end with the test.
//
// In a bubble of testing/synctest all of it runs on the bubble's clock: heartbeats, timeouts and reconnection take no time,
// and [Client.NoEvents] can say that nothing came. New is called in the bubble then.
package perchtest
