package client

import (
	"math/rand/v2"
	"time"
)

// delay is how long to wait before attempt n, from 0 on, to connect again (C-9). It is drawn evenly from what
// RandomizationFactor allows, which at the cap is cut off above rather than heaped up there.
func (o *Options) delay(n int) time.Duration {
	d := o.ReconnectionDelayMax
	if n < 62 && o.ReconnectionDelay<<n>>n == o.ReconnectionDelay {
		d = min(d, o.ReconnectionDelay<<n)
	}
	spread := max(0, o.RandomizationFactor) * float64(d)
	low := d - time.Duration(spread)
	high := min(o.ReconnectionDelayMax, d+time.Duration(spread))
	return low + rand.N(high-low+1)
}
