package stream

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
)

// parks are the implementations that can be waited for without a goroutine.
func parks(name string) bool { return name == "memory" || name == "raw" && runtime.GOOS == "linux" }

func forEachParkable(t *testing.T, test func(t *testing.T, c Parkable, peer net.Conn)) {
	forEachNamed(t, func(t *testing.T, name string, p pair) {
		c, ok := p.conn.(Parkable)
		if ok != parks(name) {
			t.Fatalf("is parkable: %v", ok)
		}
		if ok {
			test(t, c, p.peer)
		}
	})
}

// called is a Waiter that passes each call on.
type called chan struct{}

func (c called) Readable() { c <- struct{}{} }

func tryRead(c Conn) string {
	b, err := TryRead(c)
	if err != nil {
		return err.Error()
	}
	defer b.Release()
	return string(b.Bytes())
}

func TestParkedIsToldOfData(t *testing.T) {
	t.Parallel()
	forEachParkable(t, func(t *testing.T, c Parkable, peer net.Conn) {
		w := make(called, 8)
		for range 3 {
			if err := c.Park(w); err != nil {
				t.Fatal(err)
			}
			if len(w) > 0 {
				t.Fatal("called with nothing to read")
			}
			_, _ = peer.Write([]byte("a"))
			<-w
			if got := tryRead(c); got != "a" {
				t.Errorf("read %q", got)
			}
			if got := tryRead(c); got != ErrWouldBlock.Error() {
				t.Errorf("then %q", got)
			}
		}
		_, _ = peer.Write([]byte("b")) // before it is parked
		if err := c.Park(w); err != nil {
			t.Fatal(err)
		}
		<-w
		if got := tryRead(c); got != "b" {
			t.Errorf("read %q", got)
		}
		// The goroutine that reads next is one that waits.
		_, _ = peer.Write([]byte("c"))
		b, err := c.Read()
		if err != nil || string(b.Bytes()) != "c" {
			t.Fatalf("Read: %v", err)
		}
		b.Release()
		if len(w) > 0 {
			t.Error("called while it was not parked")
		}
	})
}

// What it still has to say comes before the end, and the end is told too.
func TestParkedIsToldOfTheEnd(t *testing.T) {
	t.Parallel()
	forEachParkable(t, func(t *testing.T, c Parkable, peer net.Conn) {
		w := make(called, 8)
		if err := c.Park(w); err != nil {
			t.Fatal(err)
		}
		_, _ = peer.Write([]byte("last words"))
		_ = peer.(interface{ CloseWrite() error }).CloseWrite()
		<-w
		if got := tryRead(c); got != "last words" {
			t.Errorf("read %q", got)
		}
		if err := c.Park(w); err != nil {
			t.Fatal(err)
		}
		<-w
		if got := tryRead(c); got != io.EOF.Error() {
			t.Errorf("then %q", got)
		}
	})
}

func TestCloseWhileParked(t *testing.T) {
	t.Parallel()
	forEachParkable(t, func(t *testing.T, c Parkable, peer net.Conn) {
		w := make(called, 8)
		if err := c.Park(w); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		_, _ = peer.Write([]byte("too late"))
		_ = peer.Close()
		if err := c.Park(w); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Park after Close: %v", err)
		}
		if len(w) > 0 {
			t.Error("called after Close")
		}
	})
}
