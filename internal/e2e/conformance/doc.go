// Conformance serves the reference configurations that outside suites are run
// against:
//
//	go run ./internal/e2e/conformance -profile P -addr 127.0.0.1:PORT
//
// prints "listening on HOST:PORT" when it is ready and ends on SIGINT or SIGTERM.
// Each profile is described where it is made: engine, protocol, client, bench, soak, gateway (which -nest gives Nest's wire),
// restart.
package main
