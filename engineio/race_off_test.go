//go:build !race

package engineio

const manyUpgrades = 10_000
