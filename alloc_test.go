package perch_test

import (
	"runtime"
	"testing"
)

// allocations are those of the process for each of many messages, in a session that is warm.
func allocations(t *testing.T, url, packet, ack string) float64 {
	t.Helper()
	round, answer := pipelined(t, url, packet, len(ack))
	for range 100 {
		round()
	}
	if got := answer(); got != ack {
		t.Fatalf("got %s", got)
	}
	const rounds = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		round()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / (rounds * inFlight)
}

// From the frame through a typed handler to its ack no message allocates more than what it did when this was written: its text,
// and what a handler's result is boxed in that is no pointer. The target is two beyond the payload's own.
func TestEchoAllocations(t *testing.T) { // not parallel: it counts those of the process
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	url := serve(t, echoes()).URL
	for _, e := range echoed {
		const now = 0.5 // and then: the collector empties pools
		if got := allocations(t, url, e.packet, e.ack); got > e.allocations+now {
			t.Errorf("%s: %.2f allocations for each message, want %v", e.name, got, e.allocations)
		}
	}
}
