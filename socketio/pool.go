package socketio

import (
	"slices"
	"sync"
	"time"

	"github.com/perch-go/perch/internal/wheel"
)

const (
	// maxIdle bounds the workers that wait for something to do.
	maxIdle = 256
	// idlePeriod is how long a worker that is not needed stays, at least.
	idlePeriod = time.Second
)

// runner is something that has work for a while, such as a socket's lane.
type runner interface{ run() }

// job is a runner that is one function.
type job func()

func (j job) run() { j() }

// worker is a goroutine that waits for its next runner; nil, or closing the channel, ends it.
type worker chan runner

// pool is safe for concurrent use. It runs lanes on goroutines that are used again, because a fresh one
// would have to grow its stack anew for every event (engine rule 9). After a while without events it
// has no goroutine left.
type pool struct {
	wheel *wheel.Wheel

	mu       sync.Mutex
	idle     []worker // the last to become idle is the first to be woken: its stack is warm
	spare    int      // the fewest idle workers since the last sweep; nobody needed them
	sweeper  wheel.Timer
	sweeping bool
	closed   bool
}

// run hands r to a worker and returns at once.
func (p *pool) run(r runner) {
	p.mu.Lock()
	n := len(p.idle) - 1
	if n < 0 {
		p.mu.Unlock()
		go p.work(r)
		return
	}
	w := p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	p.spare = min(p.spare, n)
	p.mu.Unlock()
	w <- r
}

func (p *pool) work(r runner) {
	w := make(worker, 1)
	defer func() {
		// User code called runtime.Goexit, as t.FailNow does. The rest of a lane goes on; a job has no rest.
		if _, over := r.(job); r != nil && !over {
			go p.work(r)
		}
	}()
	for r != nil {
		r.run()
		r = p.rest(w)
	}
}

// rest waits for the next runner; nil means that the worker is not needed any more.
func (p *pool) rest(w worker) runner {
	p.mu.Lock()
	if p.closed || len(p.idle) >= maxIdle {
		p.mu.Unlock()
		return nil
	}
	p.idle = append(p.idle, w)
	if !p.sweeping {
		p.sweeping, p.spare = true, 0
		p.wheel.Schedule(&p.sweeper, idlePeriod, p.sweep)
	}
	p.mu.Unlock()
	return <-w
}

// sweep ends the workers that were not needed since the last sweep.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dismiss(p.spare)
	p.spare = len(p.idle)
	p.sweeping = p.spare > 0
	if p.sweeping {
		p.wheel.Schedule(&p.sweeper, idlePeriod, p.sweep)
	}
}

// dismiss ends the n workers that have been idle longest.
func (p *pool) dismiss(n int) {
	for _, w := range p.idle[:n] {
		close(w)
	}
	p.idle = slices.Delete(p.idle, 0, n)
}

// close ends all idle workers now and the busy ones when they have finished.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.dismiss(len(p.idle))
}
