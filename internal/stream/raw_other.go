//go:build !unix

package stream

import "net"

// newRaw has nothing to offer where the standard library gives no non-blocking descriptor reads.
func newRaw(net.Conn, *Poller) Conn { return nil }
