package stream

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a connection under test and the peer's plain end of it.
type pair struct {
	conn Conn
	peer net.Conn
}

// implementations are the three of engine rule 3; one suite runs on all of them.
var implementations = []struct {
	name string
	make func(t *testing.T, poller *Poller) pair
}{
	{"raw", func(t *testing.T, poller *Poller) pair {
		server, client := tcpPair(t)
		return pair{New(server, poller), client}
	}},
	{"portable/wrapped", func(t *testing.T, poller *Poller) pair {
		server, client := tcpPair(t)
		return pair{New(struct{ net.Conn }{server}, poller), client}
	}},
	{"portable/tls", func(t *testing.T, poller *Poller) pair {
		server, client := tcpPair(t)
		s := httptest.NewUnstartedServer(nil)
		s.StartTLS()
		t.Cleanup(s.Close)
		tlsServer := tls.Server(server, &tls.Config{Certificates: s.TLS.Certificates})
		tlsClient := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
		go func() { _ = tlsClient.Handshake() }()
		if err := tlsServer.Handshake(); err != nil {
			t.Fatal(err)
		}
		return pair{New(tlsServer, poller), tlsClient}
	}},
	{"memory", func(t *testing.T, poller *Poller) pair {
		server, client := Pipe()
		return pair{New(server, poller), client}
	}},
}

func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

func forEach(t *testing.T, test func(t *testing.T, p pair)) {
	forEachNamed(t, func(t *testing.T, _ string, p pair) { test(t, p) })
}

func forEachNamed(t *testing.T, test func(t *testing.T, name string, p pair)) {
	for _, impl := range implementations {
		t.Run(impl.name, func(t *testing.T) {
			t.Parallel()
			poller := new(Poller)
			p := impl.make(t, poller)
			t.Cleanup(func() {
				p.conn.Close()
				p.peer.Close()
				poller.Close()
			})
			test(t, impl.name, p)
		})
	}
}

func TestReadWaits(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		if _, err := p.conn.TryRead(make([]byte, 8)); !errors.Is(err, ErrWouldBlock) {
			t.Errorf("TryRead on a quiet connection: %v, want ErrWouldBlock", err)
		}
		got := make(chan string)
		go func() {
			b, err := p.conn.Read()
			if err != nil {
				got <- err.Error()
				return
			}
			defer b.Release()
			got <- string(b.Bytes())
		}()
		if _, err := p.peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if s := <-got; s != "hello" {
			t.Errorf("read %q", s)
		}
	})
}

func TestEndOfStream(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		p.peer.Close()
		for {
			b, err := p.conn.Read()
			if err == nil {
				b.Release()
				continue
			}
			if !errors.Is(err, io.EOF) {
				t.Errorf("end of stream: %v", err)
			}
			return
		}
	})
}

// Close by another goroutine ends a read and a write that wait (engine rule 2).
func TestCloseEndsWaiting(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		done := make(chan error, 2)
		go func() {
			_, err := p.conn.Read()
			done <- err
		}()
		go func() {
			_, err := p.conn.Write([][]byte{make([]byte, 64<<20)}) // the peer does not read
			done <- err
		}()
		p.conn.Close()
		for range 2 {
			if err := <-done; err == nil {
				t.Error("no error after Close")
			}
		}
	})
}

// A write arrives whole and in order, in one piece or in many, also when the peer reads slowly.
func TestWrite(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		large := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
		pieces := [][]byte{[]byte("first"), large, []byte("x"), large[:70_000], []byte("last")}
		want := bytes.Join(pieces, nil)
		done := make(chan error, 1)
		go func() {
			_, err := p.conn.Write(pieces)
			done <- err
		}()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(p.peer, got); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("bytes arrived changed")
		}
		if string(pieces[0]) != "first" || len(pieces[1]) != len(large) {
			t.Error("Write changed the caller's slices")
		}
	})
}

// TryWrite never waits: it takes what fits and says so (engine rule 5).
func TestTryWrite(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		if !p.conn.Direct() {
			if n, err := p.conn.TryWrite([][]byte{[]byte("x")}); n != 0 || !errors.Is(err, ErrWouldBlock) {
				t.Errorf("TryWrite = %d, %v; want 0, ErrWouldBlock where writing waits", n, err)
			}
			return
		}
		chunk := make([]byte, 1<<20)
		total, n := 0, 0
		var err error
		for range 1000 {
			n, err = p.conn.TryWrite([][]byte{chunk[:10], chunk[10:]})
			total += n
			if err != nil {
				break
			}
		}
		if !errors.Is(err, ErrWouldBlock) {
			t.Fatalf("a peer that reads nothing: %v", err)
		}
		if got, err := io.ReadFull(p.peer, make([]byte, total)); err != nil {
			t.Errorf("peer read %d of %d: %v", got, total, err)
		}
	})
}

// CloseWrite lets the peer read everything and the end, and still hear what it says.
func TestCloseWrite(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		if _, ok := p.conn.(*portable); ok {
			if _, half := p.conn.(*portable).conn.(interface{ CloseWrite() error }); !half {
				return // a connection that cannot half-close has nothing to show
			}
		}
		if _, err := p.conn.Write([][]byte{[]byte("bye")}); err != nil {
			t.Fatal(err)
		}
		if err := p.conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(p.peer); string(got) != "bye" || err != nil {
			t.Errorf("peer read %q, %v", got, err)
		}
		if _, err := p.peer.Write([]byte("ok")); err != nil {
			t.Fatal(err)
		}
		b, err := p.conn.Read()
		if err != nil {
			t.Fatal(err)
		}
		if string(b.Bytes()) != "ok" {
			t.Errorf("read %q", b.Bytes())
		}
		b.Release()
	})
}

// net/http sets deadlines on the connections it serves, so the pipe must know them.
func TestPipeDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer a.Close()
		defer b.Close()
		_ = a.SetReadDeadline(time.Now().Add(-time.Second))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read past its deadline: %v", err)
		}
		_ = a.SetReadDeadline(time.Time{})
		done := make(chan error)
		go func() {
			_, err := a.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		_ = a.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("waiting read: %v", err)
		}
		_ = a.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		if n, err := a.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) || n != pipeCapacity {
			t.Errorf("waiting write: %d, %v", n, err)
		}
	})
}

// Read looks up when it is interrupted, waiting or not, and nothing is lost by that; TryRead does not mind.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		for _, text := range []string{"one", "two"} {
			got := make(chan error)
			go func() {
				_, err := p.conn.Read()
				got <- err
			}()
			if err := p.conn.Interrupt(); err != nil {
				t.Fatal(err)
			}
			if err := <-got; err != ErrInterrupted {
				t.Fatalf("Read: %v", err)
			}
			if err := p.conn.Interrupt(); err != nil { // nobody waits
				t.Fatal(err)
			}
			if _, err := p.conn.Read(); err != ErrInterrupted {
				t.Fatalf("the next Read: %v", err)
			}
			if _, err := p.peer.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			b, err := p.conn.Read()
			if err != nil || string(b.Bytes()) != text {
				t.Fatalf("then %v, want %s", err, text)
			}
			b.Release()
		}
		if err := p.conn.Interrupt(); err != nil {
			t.Fatal(err)
		}
		if _, err := p.conn.TryRead(make([]byte, 1)); err != ErrWouldBlock {
			t.Errorf("TryRead: %v", err)
		}
	})
}
