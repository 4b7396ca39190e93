//go:build race

package engineio

// The race detector makes everything ten times as slow.
const manyUpgrades = 1_000
