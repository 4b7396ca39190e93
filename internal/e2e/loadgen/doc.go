// Loadgen puts a Socket.IO server under load and prints what it took as one JSON object:
//
//	go run ./internal/e2e/loadgen -addr 127.0.0.1:3000 -scenario echo -c 100 -w 16
//
// It is one thread on one epoll set, so that a single core is enough to bring a fast server to its limit; only for
// Linux. Set GODEBUG=asyncpreemptoff=1, or the runtime's signals take a little of that core.
//
// -mode says what is spoken: sio is Engine.IO 4 with Socket.IO 5, plain the frames of package plainws, raw a WebSocket
// server that knows nothing but two messages: one that begins with E comes back as it is, one that begins with B goes
// to all connections. The server is expected to ack the event "echo" with its argument, and to emit "bcast" with its
// argument to everybody when it gets that. Every answer is compared with what it has to be.
//
// The scenarios:
//
//	echo     -c connections, each with -w acked events of -size bytes in flight
//	bcast    -c connections, one of which triggers broadcasts to all, -depth of them in flight; counted are deliveries
//	connect  handshakes, -conc of them in flight; each connection is reset once it is complete
//	polling  -c clients that echo over HTTP long-polling; counted are requests
//	idle     memory for each of -c connections, first silent and then after one echo each, before and after a collection
//	         (-gc: who is asked for it by GET /gc)
//	hold     -c connections are held for -hold seconds, pings answered; "READY" and a first object once they are there
//
// With -pid the server's CPU time and memory are looked up too. Connections come from -srcs addresses 127.0.x.y, for a
// single one has no more than 28,000 ports; for a server elsewhere set -srcs 0. The exit status is 1 if a connection was
// lost or an answer was wrong.
package main
