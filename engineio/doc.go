// Package engineio is an Engine.IO server: sessions over HTTP long-polling and WebSocket, the upgrade
// from one to the other, heartbeat, limits, CORS and the origin policy. It speaks protocol 4, and
// protocol 3 with the clients of socket.io 1.x and 2.x where Options.AllowEIO3 lets them in.
//
// A [Server] is an http.Handler. For every session that opens it calls the function given to [New]
// and hands what the peer sends to the [Handler] returned:
//
//	server, err := engineio.New(engineio.Options{}, func(s *engineio.Session) engineio.Handler {
//		return &echo{session: s}
//	})
//	http.Handle("/engine.io/", server)
//
// # Who gets in
//
// A request passes [CORS], then the middlewares of [Server.Use], then the checks of the protocol. One
// that would open a session is shown to Options.AllowRequest and is given an id. Whatever stands in
// its way is a [ConnectionError]: the client is told its [Code] and message, Options.OnConnectionError
// the rest. Options.Headers, InitialHeaders and Cookie add to the answers.
//
// # Compression
//
// Answers to polls are compressed with gzip or deflate from 1,024 bytes on (Options.NoHTTPCompression
// turns it off). WebSocket messages are not, unless Options.PerMessageDeflate says so and the client
// agrees. [Message].NoCompress leaves out what is compressed already.
//
// # What it counts
//
// [Session.Stats] and [Server.Stats] tell how much was sent and received, what became of upgrades and
// why sessions ended, at no cost but the question's.
//
// # How a session reads
//
// One goroutine reads a WebSocket connection and holds no buffer while there is nothing to read.
// What one read brought is handled as a batch: every complete message goes to the Handler, the
// reader yields once so that whoever handles them can answer, and then each session that was
// written to gets one write with everything that was queued. What is sent later is written at once.
// So pipelined traffic costs one system call per batch, and no byte waits for a slow handler.
//
// On Linux a plain TCP connection that has been quiet for a while gives its goroutine up and is parked:
// what is left is its descriptor in an epoll set of the server's, and the session. The net.Conn that
// net/http had is closed then, the descriptor duplicated before, so nobody else may count on it, such
// as code that kept it in ConnContext. Elsewhere, over TLS and on wrapped connections the goroutine waits.
//
// # How a session writes
//
// There is no writer goroutine on a healthy connection. Append queues, Flush writes what the kernel
// takes without waiting; a peer that does not keep up gets a goroutine until its queue is empty, and
// costs nobody else anything. The queue is bounded, and [Overflow] says what happens at the bound.
//
// # Bounds in the other direction
//
// The layer above charges each event that waits for its handler and discharges it afterwards. Over
// the bound the session stops reading, and TCP makes the peer wait; its heartbeat stands still
// meanwhile.
//
// # Limits
//
// [Options].Limits bounds what else a client can make the server spend. What bounds memory, size and time is on by
// default; what counts sessions or goes by the client's address is off, and on in [StrictLimits]. Each limit has a counter in
// [Server.Stats] and is a [*LimitError] for whom it concerns. [Session.Strike] is how a layer above tells of misbehaviour.
package engineio
