// Serverbench measures servers side by side:
//
//	go run ./internal/e2e/serverbench -rounds 5
//
// prints a table of medians and of ratios to the first server. The servers do the same: ack "echo" with its argument, emit
// "bcast" with its argument to everybody, and have rooms (but for wire).
//
//	node   the reference server, npm's socket.io (socketio.mjs)
//	nest   a gateway of NestJS (nest.mjs)
//	perch  a gateway of ours: the profile bench of internal/e2e/conformance, public API and all defaults
//	plain  the same one on plain WebSocket
//	wire   WebSocket alone, upgraded by gobwas/ws, with our connections and frames and nothing above them: the limit, but
//	       with many broadcasts in flight, which it does not let gather
//
// Further ones, such as an older build of ours, are named by -with: the program has to print "listening on HOST:PORT" when
// it is ready, and to answer GET /gc after two collections.
//
// That is -measure compare. With -measure ratios the same rates are measured in slices of half a second, of servers that stay, and
// the ratios are those of slices side by side: for a machine whose speed changes by the minute. The others measure perch, or each
// of -servers by itself:
//
//	growth  how cost grows: CPU time for each event at half of the capacity with 100 to 10,000 connections (an open loop),
//	        cost of 1 to 16,000 connections in one process, of rooms with 1 to 10,000 members
//	hold    16,000 connections in each of six processes: memory, CPU time, heartbeats answered, none lost
//	stalled times of broadcasts to 5,000 at half of the capacity (an open loop), with and without one more that does not read,
//	        whom the server holds within its budget or disconnects
//	hostile times of acked events of 100 honest clients (an open loop) while hostile ones come at a fixed rate, one kind after the
//	        other, 50,000 connections in all; and of another process that nobody disturbs, while the CPU time that the
//	        attack takes of the generators' core is used for nothing. The honest ones have priority there. It fails if
//	        anything is lost or 99 % take 3 times as long
//	locks   who waits for locks of ours under full load on two cores, which server and generator share
//
// Each measurement is a new server process, and one of internal/e2e/loadgen, which describes what is measured; the servers
// take turns within each round, so that a drift of the machine's speed falls on all of them. On Linux, without which there
// is no load generator, the server has one core for itself and the generator another, but for locks. Where the generator's core is nearly
// full, the server was not at its limit, and the true ratio is higher.
package main
