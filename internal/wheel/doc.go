// Package wheel keeps many timers cheaply: heartbeats, deadlines and timeouts of a whole server sit
// on one hashed timing wheel that is driven by one runtime timer, and by none while it is empty
// (engine rule 8). No goroutine is parked and nothing is allocated when a timer is scheduled.
package wheel
