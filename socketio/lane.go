package socketio

import (
	"sync"
	"time"
)

// lane is safe for concurrent use. It is the queue of one socket's events, which one worker at a time
// takes from (engine rule 9). Whoever is told to start has to send a worker.
type lane struct {
	mu         sync.Mutex
	head, tail *Event
	busy       bool // a worker has it, or is on its way
	ended      bool // takes no more events

	taken *Event // off the queue together; the worker's own
}

// push adds events, linked by next, to the end; ok is false if the lane has ended.
func (l *lane) push(first, last *Event, c *coarse) (start, ok bool) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false, false
	}
	if l.busy {
		first.queued = c.read()
	}
	if l.tail == nil {
		l.head = first
	} else {
		l.tail.next = first
	}
	l.tail = last
	start = !l.busy
	l.busy = true
	l.mu.Unlock()
	return start, true
}

// end makes the lane refuse events from now on. The worker that then finds it empty has the last word.
func (l *lane) end() (start bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start = !l.busy
	l.ended = true
	l.busy = true
	return start
}

// next is for the worker. It takes the first event. Without one the worker has to let go of the lane, for good if last is true.
func (l *lane) next() (e *Event, last bool) {
	if l.taken == nil {
		l.mu.Lock()
		l.taken = l.head
		l.head, l.tail = nil, nil
		if l.taken == nil {
			last = l.ended
			l.busy = last // an ended lane needs no second worker
			l.mu.Unlock()
			return nil, last
		}
		l.mu.Unlock()
	}
	e = l.taken
	l.taken, e.next = e.next, nil
	return e, false
}

var epoch = time.Now()

// clock is a cheap time to take differences of; it is never 0.
func clock() time.Duration { return time.Since(epoch) | 1 }
