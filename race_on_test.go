//go:build race

package perch_test

const raceEnabled = true
