//go:build race

package e2e

// buildFlags builds the programs under test as the tests are.
var buildFlags = []string{"-race"}

// flood is how many bytes one client pipelines at a sleeping handler; the race detector makes each cost twenty.
const flood = 64 << 20

// crowd is how many clients there are in the chaos.
const crowd = 60
