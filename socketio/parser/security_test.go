package parser

import (
	"strings"
	"testing"
	"time"
)

// The time a packet takes grows with its length and not with the square of it, whatever it is made of: CVE-2020-36049.
func TestCVE_2020_36049(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string]func(n int) string{
		"arguments":    func(n int) string { return `2["a"` + strings.Repeat(",0", n) + `]` },
		"strings":      func(n int) string { return `2["a"` + strings.Repeat(`,"x"`, n) + `]` },
		"one string":   func(n int) string { return `2["a","` + strings.Repeat("x", n) + `"]` },
		"beyond ASCII": func(n int) string { return `2["a","` + strings.Repeat("é", n) + `"]` },
		"escapes":      func(n int) string { return `2["a","` + strings.Repeat(`\n`, n) + `"]` },
		"name":         func(n int) string { return `2["` + strings.Repeat(`\n`, n) + `"]` },
		"space":        func(n int) string { return `2["a"` + strings.Repeat(" ", n) + `]` },
		"digits":       func(n int) string { return `2["a",` + strings.Repeat("1", n) + `]` },
		"namespace":    func(n int) string { return "2/" + strings.Repeat("a", n) + `,["a"]` },
		"members":      func(n int) string { return `2["a",{"b":0` + strings.Repeat(`,"b":0`, n) + `}]` },
		"lists":        func(n int) string { return `2["a"` + strings.Repeat(`,[[[]]]`, n) + `]` },
		"placeholders": func(n int) string {
			return `51-["a"` + strings.Repeat(`,{"_placeholder":true,"num":0}`, n) + `]`
		},
		"deep placeholders": func(n int) string {
			deep := strings.Repeat(`[`, 60) + `{"_placeholder":true,"num":0}` + strings.Repeat("]", 60)
			return `51-["a"` + strings.Repeat(`,`+deep, n/60) + `]`
		},
	} {
		best := func(n int) time.Duration {
			text, least := []byte(packet(n)), time.Hour
			for range 7 {
				start := time.Now()
				if err := Parse(text, new(Packet), Limits{}); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				least = min(least, time.Since(start))
			}
			return least
		}
		const few, many = 500, 64 * 500
		var small, large time.Duration
		for range 3 { // the machine may have other things to do
			if small, large = best(few), best(many); large < 1024*small { // the square of it were 4,096
				break
			}
		}
		if large >= 1024*small {
			t.Errorf("%s: %d take %v, %d take %v", name, few, small, many, large)
		}
	}
}
