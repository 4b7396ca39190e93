package bench

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFigures(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 7.4: "7", 999: "999", 1234: "1,230", 1235: "1,240", 99_990: "100,000", 123_456: "123,000", 1_234_567: "1,230,000",
	} {
		if got := Figure(v); got != want {
			t.Errorf("Figure(%v) is %s, want %s", v, got, want)
		}
	}
	if m := Median([]float64{3, 1, 2}); m != 2 {
		t.Error(m)
	}
	if m := Median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Error(m)
	}
	for _, tt := range []struct {
		a, b float64
		want string
	}{{1, 2, "0.50"}, {200, 10, "20.0"}, {Median(nil), 1, None}, {1, math.NaN(), None}} {
		if got := Ratio(tt.a, tt.b); got != tt.want {
			t.Errorf("Ratio(%v, %v) is %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
}

// A measurement that others have disturbed is made again, and the best one counts. The processes that run all the time are no
// others, and neither is what is measured.
func TestUndisturbed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		others []float64 // that they take of 100 seconds of the machine
		again  int
		best   int
		share  float64
	}{
		"quiet":            {[]float64{5}, 3, 1, 0.05},
		"quiet at last":    {[]float64{40, 4}, 3, 2, 0.04},
		"never quiet":      {[]float64{30, 10, 20}, 2, 2, 0.1},
		"taken as it is":   {[]float64{60}, 0, 1, 0.6},
		"less than nobody": {[]float64{-1}, 3, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const always, measured = 20, 15
			var u usage
			var own float64
			q := Quiet{
				Again:   tt.again,
				Own:     func(context.Context) (float64, error) { return own, nil },
				machine: func() usage { return u },
			}
			n := 0
			best, others, err := Undisturbed(t.Context(), q, func(context.Context) (int, float64, error) {
				u.all += 100
				u.busy += always + measured + tt.others[n]
				own += always
				n++
				return n, measured, nil
			})
			if best != tt.best || n != len(tt.others) || math.Abs(others-tt.share) > 1e-9 || err != nil {
				t.Errorf("took number %d of %d, %v by others, %v", best, n, others, err)
			}
		})
	}
	broken := errors.New("broken")
	fails := func(context.Context) (int, float64, error) { return 0, 0, broken }
	if _, _, err := Undisturbed(t.Context(), Quiet{}, fails); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// The machine's own counter counts.
func TestMachine(t *testing.T) {
	t.Parallel()
	if u := machine(); u.all < u.busy || runtime.GOOS == "linux" && u.busy <= 0 {
		t.Error(u)
	}
}
