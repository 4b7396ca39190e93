// Command guardproof shows that the tests which docs/security.md names would notice if what they guard were gone:
//
//	go run ./internal/guardproof [pattern]
//
// It takes each guard out of the code in turn, in a copy that "go test -overlay" builds from, and wants the guard's test to
// fail; left in, the test has to pass. A guard is a text of a file and what stands there without it. One whose text is not
// there exactly once, or whose absence does not compile, is an error: code has moved on, and its guard in guards.go has to
// follow. The pattern, a regular expression, picks guards by the row of docs/security.md or by what they are.
//
// The tests of this package are the quick part, and run with all others: every text is found, and every row of
// docs/security.md has a guard or says that there is nothing to guard.
package main
