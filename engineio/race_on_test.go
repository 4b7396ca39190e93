//go:build race

package engineio

const (
	raceEnabled = true
	// The race detector makes everything ten times as slow.
	manyUpgrades = 1_000
)
