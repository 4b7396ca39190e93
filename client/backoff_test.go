package client

import (
	"testing"
	"time"
)

// C-9: delays double up to the cap, and stay random there.
func TestDelay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		o         Options
		attempt   int
		low, high time.Duration
	}{
		{"first", Options{}, 0, 500 * time.Millisecond, 1500 * time.Millisecond},
		{"second", Options{}, 1, time.Second, 3 * time.Second},
		{"third reaches the cap", Options{}, 2, 2 * time.Second, 5 * time.Second},
		{"at the cap", Options{}, 5, 2500 * time.Millisecond, 5 * time.Second},
		{"long at the cap", Options{}, 1 << 40, 2500 * time.Millisecond, 5 * time.Second},
		{"a shift that would overflow", Options{ReconnectionDelay: time.Hour, ReconnectionDelayMax: time.Hour}, 60, 30 * time.Minute, time.Hour},
		{"all of it random", Options{RandomizationFactor: 1}, 9, 0, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o, err := tt.o.withDefaults()
			if err != nil {
				t.Fatal(err)
			}
			span := tt.high - tt.low
			var low, high bool // both ends of the range are reached
			for range 2000 {
				d := o.delay(tt.attempt)
				if d < tt.low || d > tt.high {
					t.Fatalf("%v is not between %v and %v", d, tt.low, tt.high)
				}
				low = low || d < tt.low+span/10
				high = high || d > tt.high-span/10
			}
			if !low || !high {
				t.Errorf("not spread over the range: low %v, high %v", low, high)
			}
		})
	}
	o, err := Options{RandomizationFactor: -1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []time.Duration{1, 2, 4, 5, 5} {
		if d := o.delay(n); d != want*time.Second {
			t.Errorf("attempt %d without jitter: %v, want %v", n, d, want*time.Second)
		}
	}
}
