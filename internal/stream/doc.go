// Package stream is the seam between a session and the connection below it (engine rule 3).
//
// A session reads and writes a connection in a way that net.Conn does not offer: it waits until the
// peer has sent something without holding a buffer meanwhile, and it writes what the kernel takes at
// once without waiting for the rest. Three implementations give it that: raw, on the descriptor of a
// plain TCP or Unix connection; portable, over any net.Conn (TLS, the connections of a wrapped
// listener); and the in-memory Pipe, whose two ends are buffered and non-blocking like a socket.
//
// Raw on Linux, and the Pipe, can also be parked: a quiet connection is then watched by a Poller and
// costs no goroutine, and of net and the runtime nothing, until the peer sends something (engine rule 13).
package stream
