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
// argument to everybody when it gets that; for -members to have a socket join the room that "join" names and ack with its
// name, and to emit "bcast" with the argument of "room" to the room of that name. Every answer is compared with what it has to be.
//
// The scenarios:
//
//	echo     -c connections, each with -w acked events of -size bytes in flight
//	         or, with -active, one event on so many of them at a time, in turns
//	bcast    -c connections, one of which triggers broadcasts to all, or to the -members of a room, -depth of them in
//	         flight; counted are deliveries. -stalled more connections join and never read, and have all buffers between them
//	         and the server full from the start; stalled_cut is how many of them the server has ended, server_sockets what it
//	         says on GET /stats that it has left
//	connect  handshakes, -conc of them in flight; each connection is reset once it is complete
//	polling  -c clients that echo over HTTP long-polling; counted are requests
//	idle     memory for each of -c connections, first silent and then after one echo each, before and after a collection
//	         (-gc: who is asked for it by GET /gc)
//	hold     -c connections are used once and held for -hold seconds or until SIGINT or SIGTERM, pings answered; "READY" and
//	         a first object, with the memory for each, once they are there
//
// These loops are closed: what is complete brings the next, so that a slow server gets less to do. With -rate, echo and bcast
// are open loops: so many events or broadcasts per second are due, evenly spread over time and connections, whatever became of
// those before. Their times count from when they were due, not from when they were sent, so that waiting behind a slow one
// counts. -w bounds what is in flight on a connection; what is due while that is used up waits, and so does all behind it.
// In the output asked is what was due per second and rate what was complete, behind is true if that was over 2 % less, unanswered
// what was not complete 2 s after the end (it counts with the time that it has waited), and lag_p99_us how late the generator
// itself was.
//
// With -pid the server's CPU time and memory are looked up too. Connections come from -srcs addresses 127.0.x.y, for a
// single one has no more than 28,000 ports; for a server elsewhere set -srcs 0. The exit status is 1 if a connection was
// lost or an answer was wrong.
package main
