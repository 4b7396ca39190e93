package perchtest

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// inbox is safe for concurrent use. It is what has come and waits for the test; what exactly is its owner's, under mu.
type inbox struct {
	mu      sync.Mutex
	changed chan struct{} // closed when there is more; nil if nobody waits
}

// add makes a change, and has those who wait look again.
func (i *inbox) add(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
	if i.changed != nil {
		close(i.changed)
		i.changed = nil
	}
}

// wait calls take, with mu held, until it reports that it has found something. After a while, or when take says why nothing will
// come, the test fails; describe says what has come instead.
func (i *inbox) wait(t testing.TB, what string, take func() (found bool, over error), describe func() string) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		i.mu.Lock()
		found, over := take()
		if i.changed == nil {
			i.changed = make(chan struct{})
		}
		changed, came := i.changed, describe()
		i.mu.Unlock()
		switch {
		case found:
			return
		case over != nil:
			t.Fatalf("perchtest: no %s: %v; %s", what, over, came)
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("perchtest: no %s within %v; %s", what, patience, came)
		}
	}
}

// settling is more than the server and the client let anything wait on purpose: the reply to CONNECT goes a moment ahead of
// what was sent before it, and an upgrade waits for the poll under way.
const settling = 100 * time.Millisecond

// settle waits until nothing goes on in the bubble, settling later.
func settle(t testing.TB) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			t.Fatalf("perchtest: that nothing came can be said only in a bubble, in what synctest.Test calls, by one goroutine: %v", v)
		}
	}()
	synctest.Wait()
	time.Sleep(settling)
	synctest.Wait()
}
