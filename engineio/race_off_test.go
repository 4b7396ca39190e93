//go:build !race

package engineio

const (
	raceEnabled  = false
	manyUpgrades = 10_000
)
