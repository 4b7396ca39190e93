// Clientbench measures clients, not servers: the official JavaScript one, package
// client, and github.com/coder/websocket alone, for which the packets are only bytes.
//
//	go run ./internal/e2e/clientbench -rounds 5
//
// prints a table of medians. All of them talk to the same server, one of ours in a
// process of its own, so that what differs is the client's. Each measurement is a new
// client process; on Linux the server has one core for itself and the client another.
package main
