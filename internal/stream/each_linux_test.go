package stream

import (
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// A connection that goes on talking is one whose reads tell what is left; one that has only said hello is not asked.
func TestReadsTellWhatIsLeft(t *testing.T) {
	t.Parallel()
	server, client := tcpPair(t)
	c := New(server, nil).(*parkable)
	t.Cleanup(func() { c.Close(); client.Close() })
	lockstep(t, pair{c, client}, 1)
	if c.pending != pendingUnasked {
		t.Errorf("after one message: %d", c.pending)
	}
	lockstep(t, pair{c, client}, 1)
	if c.pending != pendingAsked {
		t.Errorf("after two messages: %d", c.pending)
	}
}

// On one thread, a peer that sends without end keeps nobody else from being read. Not in parallel, because of the one thread.
// The system may take that away just when the reader waits, so it has a few tries; a reader that never waits has none.
func TestReadEachIsFair(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var after []int
	for range 5 {
		n := readUntilOtherIsHeard(t)
		if n <= 4*maxReads*BufferSize {
			return
		}
		after = append(after, n)
	}
	t.Errorf("the other one was heard after %d bytes", after)
}

// readUntilOtherIsHeard reads from one connection whose peer has sent a lot until another is read from, to which something comes
// just after it has begun, and returns how much that was.
func readUntilOtherIsHeard(t *testing.T) (read int) {
	pairOf := func() (Conn, net.Conn) {
		server, client := tcpPair(t)
		c := New(server, nil)
		t.Cleanup(func() { c.Close(); client.Close() })
		return c, client
	}
	loud, peer := pairOf()
	quiet, shy := pairOf()
	waiting, heard := make(chan struct{}), make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		_ = quiet.ReadEach(func(b *Buffer) bool {
			if b.Bytes()[0] == 'a' {
				close(waiting)
				return true
			}
			close(heard)
			return false
		})
	})
	_, _ = shy.Write([]byte("a"))
	<-waiting
	others.Go(func() { _, _ = peer.Write(make([]byte, 64<<20)) })
	_ = loud.ReadEach(func(b *Buffer) bool {
		if read == 0 {
			_, _ = shy.Write([]byte("b"))
		}
		read += len(b.Bytes())
		for start := time.Now(); time.Since(start) < 50*time.Microsecond; { // to handle it may take as long
		}
		select {
		case <-heard:
			return false
		default:
			return true
		}
	})
	peer.Close()
	others.Wait()
	return read
}
