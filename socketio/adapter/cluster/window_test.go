package cluster

import (
	"math/rand/v2"
	"testing"
)

// A message that comes twice is known, however they overtake each other, within bounds.
func TestWindow(t *testing.T) {
	t.Parallel()
	var w window
	for _, tt := range []struct {
		n     uint64
		first bool
	}{
		{1, true}, {1, false}, {3, true}, {2, true}, {2, false}, {3, false},
		{span, true}, {4, true}, {4, false},
		{span + 1, true}, {1, false}, {5, true},
		{3 * span, true}, {3*span - 1, true}, {2 * span, false}, {2*span + 1, true}, {2*span + 1, false}, {3 * span, false},
		{10*span + 7, true}, {9*span + 8, true}, {9*span + 7, false}, {10*span + 7, false},
	} {
		if got := w.first(tt.n); got != tt.first {
			t.Errorf("%d: first %v", tt.n, got)
		}
	}

	w = window{}
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[uint64]bool{}
	for i := uint64(1); i < 20*span; i++ {
		n := i + r.Uint64N(span/2) // so that none is ever too far behind
		if got := w.first(n); got == seen[n] {
			t.Fatalf("%d: first %v", n, got)
		}
		seen[n] = true
	}
}
