// Command runtests runs go test in every module of the workspace, one module
// after the other, and ends with the number of tests that ran:
//
//	go run ./internal/runtests [-times n] [flags of go test]
//
// It exists because go test counts nothing, stops at a module's edge, and calls a
// run green in which tests were skipped. Here a skipped test is a failed one: what a
// test needs is installed, or the run says that it is missing. A test with subtests is
// not counted beside them, and a package that does not build or dies counts as one
// failure. Before the number stand tables of the client matrices, if they ran: the
// subtests of TestClients and of TestGoClient. -times repeats the whole run, to look
// for tests that fail now and then; such a run shows only what failed.
package main
