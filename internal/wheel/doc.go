// Package wheel keeps many timers cheaply: heartbeats, deadlines and timeouts of a whole server sit
// on one hashed timing wheel that is driven by one runtime timer, and by none while it is empty
// (engine rule 8). No goroutine is parked and nothing is allocated when a timer is scheduled. The
// wheel is in shards with a lock each, so that connections do not wait for each other.
package wheel
