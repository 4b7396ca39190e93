package client

import (
	"context"
	"errors"
	"sync"
	"time"
)

// What a lane holds before the reader has to wait. Twice as much while an acknowledgement is awaited, which may stand behind it.
const (
	laneTasks = 1024
	laneBytes = 1 << 20
)

// lane does one thing after the other, in order, on a goroutine that lives only while there is something to do. It is safe for
// concurrent use.
type lane struct {
	crew *crew

	mu     sync.Mutex
	queue  []task
	head   int // of queue: what is before it is done
	events int // in queue, that were put
	bytes  int // of those, and of the one that is being done
	extra  int // bytes of the events that were posted
	busy   bool
	closed bool
	over   uint64        // the last life of the socket that is over: what is of it comes too late
	room   chan struct{} // closed when there is less to do; nil unless somebody waits
}

type task struct {
	work
	size int  // 0 unless it is an event
	put  bool // it counts
}

// work is a call, or an event, which has its handlers called without a closure that says so.
type work interface{ do() }

type call func()

func (c call) do() { c() }

// post appends what must not wait and must not get lost.
func (l *lane) post(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(task{work: call(do)})
}

// postEvent is post for an event, which unlike one that is put keeps nobody waiting: that an acknowledgement may stand behind 1,024
// events would else be true no more for who has missed as many.
func (l *lane) postEvent(w work, size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.append(task{work: w, size: size})
		l.extra += size
	}
}

// held is how much there is to do.
func (l *lane) held() (tasks, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) - l.head, l.bytes + l.extra
}

// errStuck: nothing was done for a whole patience, though there was something to do.
var errStuck = errors.New("client: a handler has kept the socket's events waiting until the server must have given up; " +
	"if it waits for an acknowledgement, that stood behind more events than are kept")

// errLate: the socket has left before there was room.
var errLate = errors.New("client: socket has left")

// put appends a task of that size when there is room, twice as much if wide says so. It returns the cause of ctx if that is done
// before, errLate if the socket's life is over, and errStuck if there is no room after patience.
func (l *lane) put(ctx context.Context, life uint64, size int, wide func() bool, patience time.Duration, w work) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full(wide) {
		over := time.NewTimer(patience)
		defer over.Stop()
		for life > l.over && l.full(wide) {
			if err := l.await(ctx, over.C); err != nil {
				return err
			}
		}
	}
	if life <= l.over {
		return errLate
	}
	if !l.closed {
		l.append(task{w, size, true})
		l.events++
		l.bytes += size
	}
	return nil
}

// await waits until something has changed. Called with mu held, which it lets go of meanwhile.
func (l *lane) await(ctx context.Context, over <-chan time.Time) error {
	if l.room == nil {
		l.room = make(chan struct{})
	}
	room := l.room
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-room:
		return nil
	case <-over:
		return errStuck
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *lane) full(wide func() bool) bool {
	if l.events < laneTasks && l.bytes < laneBytes {
		return false
	}
	return l.events >= 2*laneTasks || l.bytes >= 2*laneBytes || !wide()
}

// end ends a life of the socket: nothing is put any more that came in it.
func (l *lane) end(life uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = life
	l.wake()
}

// widen lets who waits in put look again.
func (l *lane) widen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
}

func (l *lane) append(t task) {
	if l.head > laneTasks/16 && 2*l.head > len(l.queue) {
		n := copy(l.queue, l.queue[l.head:])
		clear(l.queue[n:])
		l.queue, l.head = l.queue[:n], 0
	}
	l.queue = append(l.queue, t)
	if !l.busy {
		l.busy = true
		l.crew.goes(l.run)
	}
}

// close drops the events that nobody has begun with, and those that come. What was posted is still done.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	rest := l.queue[:l.head]
	for _, t := range l.queue[l.head:] {
		if t.size == 0 {
			rest = append(rest, t)
		}
	}
	clear(l.queue[len(rest):])
	l.queue, l.events, l.bytes, l.extra = rest, 0, 0, 0
	l.wake()
}

func (l *lane) wake() {
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

func (l *lane) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.rest()
	for l.head < len(l.queue) {
		t := l.queue[l.head]
		l.queue[l.head] = task{}
		l.head++
		if l.head == len(l.queue) {
			l.queue, l.head = l.queue[:0], 0
			if cap(l.queue) > laneTasks/16 {
				l.queue = nil
			}
		}
		if t.put {
			l.events--
		}
		l.do(t)
		if t.put {
			l.bytes = max(0, l.bytes-t.size) // it may have been closed meanwhile
		} else {
			l.extra = max(0, l.extra-t.size)
		}
		l.wake()
	}
}

// do is called with mu held and returns so, also if the program ends its goroutine, as FailNow of a test does.
func (l *lane) do(t task) {
	l.mu.Unlock()
	defer l.mu.Lock()
	t.do()
}

// rest is what run ends with. There is something to do if the program has ended its goroutine.
func (l *lane) rest() {
	l.wake()
	if l.busy = l.head < len(l.queue); l.busy {
		l.crew.goes(l.run)
	}
}

// crew counts the goroutines of a manager. It is safe for concurrent use.
type crew struct {
	mu       sync.Mutex
	n        int
	leaving  bool
	everyone chan struct{} // closed when leaving is set and nobody is left
}

func newCrew() *crew { return &crew{everyone: make(chan struct{})} }

// goes runs fn on a goroutine. After leave only who belongs to it may call it.
func (c *crew) goes(fn func()) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	go func() {
		defer c.done()
		fn()
	}()
}

func (c *crew) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	c.check()
}

// leave says that no more goroutines are wanted.
func (c *crew) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	c.check()
}

func (c *crew) check() {
	if !c.leaving || c.n > 0 {
		return
	}
	select {
	case <-c.everyone:
	default:
		close(c.everyone)
	}
}

// elsewhere does what takes a lot of stack. The goroutine that reads stays small by it, for as long as the connection lives.
func elsewhere(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	<-done
}
