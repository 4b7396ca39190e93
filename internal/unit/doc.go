// Package unit is what stands in for a client's connection and its events where there are
// none: in unit tests of handlers, guards and hooks. Package perchtest makes them, and
// package perch, where it finds no socket in a context, asks for one here. A nil *Socket and
// a nil *Event are what there is outside of tests: their methods say that there is nothing.
package unit
