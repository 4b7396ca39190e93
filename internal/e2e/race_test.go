//go:build race

package e2e

// buildFlags builds the programs under test as the tests are.
var buildFlags = []string{"-race"}
