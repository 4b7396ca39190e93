// Package engine is the client's side of an Engine.IO connection, protocol 4: HTTP long-polling, WebSocket, the upgrade from one
// to the other, the heartbeat and the queue of what is to be sent. It knows nothing of Socket.IO.
//
// [Dial] opens a connection, [Conn.Serve] reads from it until it has ended and says why:
//
//	conn, err := engine.Dial(ctx, engine.Config{URL: u, HTTPClient: client, Transports: []engine.Transport{engine.Polling, engine.WebSocket}, Upgrade: true})
//	...
//	reason, err := conn.Serve(ctx, handler)
//
// # Goroutines
//
// A WebSocket connection that has nothing to say has one, that of Serve. Sending starts another, which ends when the queue is
// empty. Over polling a GET is always on its way from Serve's, and while an upgrade is tried Serve's reads the WebSocket and a second
// one polls. Once Serve has returned none is left; connections kept alive for later requests belong to the http.Client.
//
// # Buffers
//
// Nothing is held for a WebSocket message before its first frame has come: the buffer is taken from a pool then, and goes back
// when the message was handled. What a burst sends leaves in as few writes as a buffer of 16 KiB allows, and that one comes from a
// pool too.
package engine
