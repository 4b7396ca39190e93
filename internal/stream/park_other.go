//go:build unix && !linux

package stream

// newParkable leaves r as it is: nothing is parked here.
func newParkable(r *raw, _ *Poller) Conn { return r }
