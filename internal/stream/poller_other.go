//go:build !linux

package stream

// Poller has nothing to offer where parking is not built: its connections keep their goroutine.
type Poller struct{}

// Close does nothing.
func (*Poller) Close() {}
