package bench

import (
	"math"
	"slices"
	"strconv"
)

// None stands for what was not measured.
const None = "–"

// Median is NaN if there are no values.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Figure is a number with the three digits that count.
func Figure(v float64) string {
	step := 1.0
	for v/step >= 1000 {
		step *= 10
	}
	digits := strconv.FormatFloat(math.Round(v/step)*step, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Ratio is a/b, or None if one of them is NaN.
func Ratio(a, b float64) string {
	switch r := a / b; {
	case math.IsNaN(r):
		return None
	case r < 10:
		return strconv.FormatFloat(r, 'f', 2, 64)
	default:
		return strconv.FormatFloat(r, 'f', 1, 64)
	}
}
