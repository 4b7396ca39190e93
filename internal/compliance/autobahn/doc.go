// Command autobahn runs the Autobahn test suite against the echo of package compliance, over loopback,
// and writes what it found into docs/compliance.md:
//
//	go run ./internal/compliance/autobahn -wstest PATH [-cases "1.*,2.* 9.*"] [-document docs/compliance.md]
//
// scripts/autobahn.sh installs the suite and calls it: make compliance. It fails if a case does, if one
// is only passed in a way that the suite calls not strict, and if none was run.
package main
