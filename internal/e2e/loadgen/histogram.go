//go:build linux

package main

import "math/bits"

// histogram counts times with an error of at most 1/64.
type histogram struct {
	buckets [64 * 64]uint64
	n       uint64
	max     int64
}

func bucket(v int64) int {
	if v < 64 {
		return int(max(v, 0))
	}
	e := bits.Len64(uint64(v)) - 7
	return (e+1)*64 + int(v>>uint(e)) - 64
}

// lowest is the least of what falls into a bucket.
func lowest(bucket int) int64 {
	if bucket < 64 {
		return int64(bucket)
	}
	return int64(bucket%64+64) << uint(bucket/64-1)
}

func (h *histogram) add(v int64) {
	h.buckets[bucket(v)]++
	h.n++
	h.max = max(h.max, v)
}

// quantile is the time that a share of them did not exceed.
func (h *histogram) quantile(share float64) int64 {
	rank, seen := uint64(share*float64(h.n)), uint64(0)
	for i, n := range h.buckets {
		if seen += n; seen > rank {
			return lowest(i)
		}
	}
	return h.max
}

// micros is a quantile in microseconds.
func (h *histogram) micros(share float64) float64 { return float64(h.quantile(share)) / 1e3 }
