//go:build !race

package engine

import (
	"context"
	"testing"
)

// TestAllocations shows that messages allocate nothing, neither on their way out nor in; the server's side counts too. It is not
// parallel: others' would count. (Pools forget on purpose under the race detector.)
func TestAllocations(t *testing.T) {
	conn, h, stop := dialEcho(t)
	defer stop()
	m := Message{Data: []byte(`2["message","hello"]`)}
	echo := func(n int) {
		h.n = n
		for range n {
			_ = conn.Send(true, m)
		}
		<-h.got
	}
	for _, burst := range []int{1, 50} {
		echo(burst)
		if n := testing.AllocsPerRun(200, func() { echo(burst) }) / float64(burst); n >= 1 {
			t.Errorf("%v allocations per message in bursts of %d", n, burst)
		}
	}
	_ = conn.Flush(context.Background())
}
