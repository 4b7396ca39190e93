package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// reader reads a connection to its end, parking whenever there is nothing to read.
type reader struct {
	conn Conn
	got  strings.Builder
	ends atomic.Int32
	done func()
}

func (r *reader) Readable() {
	b, err := TryRead(r.conn)
	switch {
	case err == nil:
		r.got.Write(b.Bytes())
		b.Release()
	case !errors.Is(err, ErrWouldBlock):
		r.ends.Add(1)
		r.done()
		return
	}
	if err := r.conn.(Parkable).Park(r); err != nil {
		r.ends.Add(1)
		r.done()
	}
}

// However a peer ends, its end is told once, and what it said before FIN arrives.
func TestPollerMissesNoEnd(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	poller := new(Poller)
	defer poller.Close()
	const n = 1200
	readers := make([]*reader, n)
	peers := make([]*net.TCPConn, n)
	var ended sync.WaitGroup
	for i := range n {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		peers[i] = c.(*net.TCPConn)
		readers[i] = &reader{conn: New(server, poller)}
		readers[i].done = sync.OnceFunc(func() { // our own end may come to it as well
			readers[i].conn.Close()
			ended.Done()
		})
		ended.Add(1)
		go readers[i].Readable()
	}
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := k; i < n; i += 4 {
				c := peers[i]
				_, _ = fmt.Fprintf(c, "hello %d", i)
				switch k {
				case 0: // FIN
					c.Close()
				case 1: // RST, which may overtake what was said
					_ = c.SetLinger(0)
					c.Close()
				case 2: // half-close, and more before it
					_, _ = io.WriteString(c, " and more")
					_ = c.CloseWrite()
				case 3: // our own end
					readers[i].conn.Close()
					readers[i].done()
					c.Close()
				}
			}
		})
	}
	wg.Wait()
	ended.Wait()
	for i, r := range readers {
		want := fmt.Sprintf("hello %d", i)
		if i%4 == 2 {
			want += " and more"
		}
		if got := r.got.String(); i%2 == 0 && got != want {
			t.Errorf("connection %d read %q, want %q", i, got, want)
		}
		if i%4 != 3 && r.ends.Load() != 1 {
			t.Errorf("connection %d ended %d times", i, r.ends.Load())
		}
		peers[i].Close()
	}
	poller.mu.Lock()
	defer poller.mu.Unlock()
	if len(poller.free) != len(poller.slots) {
		t.Errorf("%d of %d slots are free", len(poller.free), len(poller.slots))
	}
}

// An event that was meant for a connection does not reach the next one in its slot, or on its descriptor.
func TestTokenMeansOneConnection(t *testing.T) {
	t.Parallel()
	poller := new(Poller)
	defer poller.Close()
	first, peer := tcpPair(t)
	defer peer.Close()
	a := New(first, poller).(Parkable)
	w := make(called, 8)
	if err := a.Park(w); err != nil {
		t.Fatal(err)
	}
	token := a.(*parkable).token
	a.Close()
	second, peer := tcpPair(t)
	defer peer.Close()
	b := New(second, poller).(Parkable)
	defer b.Close()
	if err := b.Park(w); err != nil {
		t.Fatal(err)
	}
	if other := b.(*parkable).token; other == token || uint32(other) != uint32(token) {
		t.Fatalf("tokens %x and %x, want one slot and two generations", token, other)
	}
	if poller.claim(token) != nil {
		t.Error("an event of the first connection is taken for one of the second")
	}
	_, _ = peer.Write([]byte("x"))
	<-w
	_ = poller.set.rc.Control(func(fd uintptr) {
		if n, _ := unix.EpollWait(int(fd), make([]unix.EpollEvent, 1), 0); n != 0 {
			t.Error("the event comes again and again while nobody has read yet")
		}
	})
	if poller.claim(b.(*parkable).token) != nil {
		t.Error("an event was claimed twice")
	}
}

// Where the poller cannot take a connection its reader goes on as before.
func TestParkFails(t *testing.T) {
	t.Parallel()
	poller := new(Poller)
	poller.Close()
	for _, p := range []*Poller{nil, poller} {
		server, peer := tcpPair(t)
		c := New(server, p).(Parkable)
		if c.Park(make(called)) == nil {
			t.Error("parked")
		}
		_, _ = peer.Write([]byte("a"))
		b, err := c.Read()
		if err != nil || string(b.Bytes()) != "a" {
			t.Fatalf("Read: %v", err)
		}
		b.Release()
		c.Close()
		peer.Close()
	}
}

// registered is how many connections the set knows.
func registered(t *testing.T, p *Poller) (n int) {
	t.Helper()
	_ = p.set.rc.Control(func(fd uintptr) {
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
		if err != nil {
			t.Error(err)
		}
		n = strings.Count(string(info), "tfd:")
	})
	return n
}

// A connection is a bare descriptor while it is parked, and one that can be waited for in between, however often.
func TestParkedIsADescriptor(t *testing.T) {
	t.Parallel()
	poller := new(Poller)
	defer poller.Close()
	server, peer := tcpPair(t)
	defer peer.Close()
	c := New(server, poller).(*parkable)
	w := make(called, 8)
	park := func() {
		t.Helper()
		if err := c.Park(w); err != nil {
			t.Fatal(err)
		}
	}
	park()
	if _, err := server.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the net.Conn is still there: %v", err)
	}
	for range 100 {
		if c.raw != nil {
			t.Fatal("parked with all that is needed to wait")
		}
		_, _ = peer.Write([]byte("a"))
		<-w
		if got := tryRead(c); got != "a" {
			t.Fatalf("read %q", got)
		}
		done := make(chan error)
		go func() {
			_, err := c.Read()
			done <- err
		}()
		for waiting := false; !waiting; { // until the reader is there
			c.mu.Lock()
			waiting = c.raw != nil
			c.mu.Unlock()
		}
		c.Interrupt()
		if err := <-done; !errors.Is(err, ErrInterrupted) {
			t.Fatalf("Read: %v", err)
		}
		park()
	}
	if n := registered(t, poller); n != 1 {
		t.Errorf("the set has %d descriptors of one connection", n)
	}
	// A writer that waits, on which the connection is not pulled from under it.
	large := make([]byte, 8<<20)
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write([][]byte{large})
		wrote <- err
	}()
	one := make([]byte, 1)
	_, _ = io.ReadFull(peer, one)
	_, _ = peer.Write([]byte("b"))
	<-w
	if got := tryRead(c); got != "b" {
		t.Fatalf("read %q", got)
	}
	park()
	if n, err := io.ReadFull(peer, make([]byte, len(large)-1)); err != nil {
		t.Fatalf("peer read %d: %v", n, err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	_, _ = peer.Write([]byte("c"))
	<-w
	if got := tryRead(c); got != "c" {
		t.Fatalf("read %q", got)
	}
	park()
	if c.raw != nil {
		t.Error("the writer has left something behind")
	}
	if n := registered(t, poller); n != 1 {
		t.Errorf("the set has %d descriptors of one connection", n)
	}
	if n, err := c.TryWrite([][]byte{[]byte("di"), []byte("rect")}); n != 6 || err != nil {
		t.Errorf("TryWrite = %d, %v", n, err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(peer); string(got) != "direct" || err != nil {
		t.Errorf("peer read %q, %v", got, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if n := registered(t, poller); n != 0 {
		t.Errorf("the set has %d descriptors of none", n)
	}
	if _, err := c.Read(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}
