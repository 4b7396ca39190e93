// Package e2e tests Perch from the outside: it starts the programs a user would
// start (the conformance server, the chat example) and talks to them with the
// official JavaScript clients of three generations in Node and with headless
// browsers.
//
// TestDifferential plays the same scripts against npm's socket.io and against
// Perch and compares what clients see: differential/reference.mjs is the one
// server, twin_test.go the other, with the same vocabulary of words that make
// them do something; a table in differential/ is one area. A difference that is
// wanted is declared in its script and stands in docs/compatibility.md.
//
// TestNest does the same with NestJS and gateways of Perch that speak as Nest's do:
// nest/reference.mjs is the one, nest_test.go the other; differences stand in
// docs/from-nestjs.md.
//
// TestGoClient plays one table of cases with package client against npm's
// socket.io of two generations, against Perch and against servers made up for
// one case, on each transport. The words that make servers do something are
// those of TestDifferential.
//
// Programs beside the tests measure: serverbench servers, with loadgen as the load,
// and clientbench clients.
//
// It is a module of its own and never published, so that nobody who imports the
// core sees what it needs. Its Node packages are installed by npm ci from the
// lock file beside this one and its browsers are the system's Chromium and
// Firefox, which browsers.mjs drives; make test installs all of it, and a test
// that misses some fails rather than skips.
package e2e
