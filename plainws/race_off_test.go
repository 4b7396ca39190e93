//go:build !race

package plainws_test

const raceEnabled = false
