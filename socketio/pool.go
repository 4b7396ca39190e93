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
//
// Idle workers are in shards. All begin with the first one, so that on a core of its own the last to become idle is the first to be
// woken: its stack is warm. Who finds it locked goes on to the next, so that nobody waits for who has been interrupted there.
type pool struct {
	wheel  *wheel.Wheel
	shards [poolShards]poolShard
}

const poolShards = 4

type poolShard struct {
	mu       sync.Mutex
	idle     []worker // at most maxIdle/poolShards
	spare    int      // the fewest idle workers since the last sweep; nobody needed them
	sweeping bool
	closed   bool
	sweeper  wheel.Timer
	_        [48]byte // a cache line of its own
}

// run hands r to a worker and returns at once.
func (p *pool) run(r runner) {
	for i := range p.shards {
		if w := p.shards[i].take(); w != nil {
			w <- r
			return
		}
	}
	go p.work(r)
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
	last := len(p.shards) - 1
	for i := range p.shards {
		s := &p.shards[i]
		if i == last {
			s.mu.Lock()
		} else if !s.mu.TryLock() {
			continue
		}
		if s.put(p.wheel, w) {
			return <-w
		}
	}
	return nil
}

// close ends all idle workers now and the busy ones when they have finished.
func (p *pool) close() {
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		s.closed = true
		s.dismiss(len(s.idle))
		s.mu.Unlock()
	}
}

// take returns an idle worker; nil if there is none, or somebody is looking already.
func (s *poolShard) take() worker {
	if !s.mu.TryLock() {
		return nil
	}
	defer s.mu.Unlock()
	n := len(s.idle) - 1
	if n < 0 {
		return nil
	}
	w := s.idle[n]
	s.idle[n] = nil
	s.idle = s.idle[:n]
	s.spare = min(s.spare, n)
	return w
}

// put makes a worker an idle one, if there is room. Called with mu held, which it unlocks.
func (s *poolShard) put(timers *wheel.Wheel, w worker) bool {
	defer s.mu.Unlock()
	if s.closed || len(s.idle) >= maxIdle/poolShards {
		return false
	}
	s.idle = append(s.idle, w)
	if !s.sweeping {
		s.sweeping, s.spare = true, 0
		timers.Schedule(&s.sweeper, idlePeriod, func() { s.sweep(timers) })
	}
	return true
}

// sweep ends the workers that were not needed since the last sweep.
func (s *poolShard) sweep(timers *wheel.Wheel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dismiss(s.spare)
	s.spare = len(s.idle)
	s.sweeping = s.spare > 0
	if s.sweeping {
		timers.Schedule(&s.sweeper, idlePeriod, func() { s.sweep(timers) })
	}
}

// dismiss ends the n workers that have been idle longest. Called with mu held.
func (s *poolShard) dismiss(n int) {
	for _, w := range s.idle[:n] {
		close(w)
	}
	s.idle = slices.Delete(s.idle, 0, n)
}
