package stream

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

// lockstep reads messages with ReadEach, of which the peer sends the next one when the last was read, and answers them.
func lockstep(t *testing.T, p pair, messages int) {
	t.Helper()
	answers := make(chan string)
	go func() {
		defer close(answers)
		buf := make([]byte, 16)
		for i := range messages {
			if _, err := fmt.Fprintf(p.peer, "%04d", i); err != nil {
				return
			}
			n, err := io.ReadFull(p.peer, buf[:4])
			if err != nil {
				return
			}
			answers <- string(buf[:n])
		}
	}()
	read := 0
	err := p.conn.ReadEach(func(b *Buffer) bool {
		n, err := p.conn.TryWrite([][]byte{b.Bytes()})
		if errors.Is(err, ErrWouldBlock) {
			_, err = p.conn.Write([][]byte{b.Bytes()[n:]})
		}
		if err != nil {
			t.Error(err)
		}
		if got, want := <-answers, fmt.Sprintf("%04d", read); got != want {
			t.Errorf("the peer got %s, want %s", got, want)
		}
		read++
		return read < messages
	})
	if err != nil || read != messages {
		t.Fatalf("%d of %d messages: %v", read, messages, err)
	}
}

func TestReadEach(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		lockstep(t, p, 100)
		lockstep(t, p, 100)
		if _, err := p.peer.Write([]byte("later")); err != nil { // nothing of it was swallowed
			t.Fatal(err)
		}
		b, err := p.conn.Read()
		if err != nil || string(b.Bytes()) != "later" {
			t.Fatalf("then %v, want later", err)
		}
		b.Release()
	})
}

// The end of the stream is there when its last bytes are read, and is not announced once more.
func TestReadEachEnd(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		lockstep(t, p, 3) // from the second message on reads tell what is left
		if _, err := p.peer.Write([]byte("the last")); err != nil {
			t.Fatal(err)
		}
		p.peer.Close()
		got := ""
		err := p.conn.ReadEach(func(b *Buffer) bool { got += string(b.Bytes()); return true })
		if got != "the last" || !errors.Is(err, io.EOF) {
			t.Errorf("read %q, then %v", got, err)
		}
	})
}

// More than one buffer is read without waiting for more.
func TestReadEachLong(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		lockstep(t, p, 3)
		const size = 1 << 20
		go func() { _, _ = p.peer.Write(make([]byte, size)) }()
		n := 0
		if err := p.conn.ReadEach(func(b *Buffer) bool { n += len(b.Bytes()); return n < size }); err != nil || n != size {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// Close may be called by the function itself, or by others while it runs, and neither waits for it.
func TestReadEachClose(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]func(c Conn){
		"inside": func(c Conn) { _ = c.Close() },
		"meanwhile": func(c Conn) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = c.Close()
			}()
			<-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEach(t, func(t *testing.T, p pair) {
				if _, err := p.peer.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				err := p.conn.ReadEach(func(*Buffer) bool {
					closed(p.conn)
					if _, err := p.conn.TryWrite([][]byte{{'y'}}); err == nil {
						t.Error("written after Close")
					}
					return true
				})
				if err == nil {
					t.Error("no error after Close")
				}
				if n, err := io.Copy(io.Discard, p.peer); n != 0 {
					t.Errorf("the peer got %d bytes, %v", n, err)
				}
				if err := p.conn.Close(); err == nil && p.conn.Direct() && !isMemory(p.conn) {
					t.Error("closed twice")
				}
			})
		})
	}
}

func isMemory(c Conn) bool {
	_, ok := c.(*memory)
	return ok
}

// Close by another goroutine ends ReadEach while it waits.
func TestReadEachCloseWaiting(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		if _, err := p.peer.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		read, done := make(chan struct{}, 1), make(chan error)
		go func() { done <- p.conn.ReadEach(func(*Buffer) bool { read <- struct{}{}; return true }) }()
		<-read
		_ = p.conn.Close()
		if err := <-done; err == nil || errors.Is(err, ErrInterrupted) {
			t.Errorf("got %v, want something like %v", err, net.ErrClosed)
		}
	})
}

func TestReadEachInterrupt(t *testing.T) {
	t.Parallel()
	forEach(t, func(t *testing.T, p pair) {
		for range 3 {
			if _, err := p.peer.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			calls := 0
			err := p.conn.ReadEach(func(*Buffer) bool {
				calls++
				if err := p.conn.Interrupt(); err != nil {
					t.Error(err)
				}
				return true
			})
			if err != ErrInterrupted || calls != 1 {
				t.Fatalf("%d calls, %v", calls, err)
			}
		}
	})
}
