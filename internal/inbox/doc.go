// Package inbox brings things from goroutines that must not wait to one that waits for them.
package inbox
