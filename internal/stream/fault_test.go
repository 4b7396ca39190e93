package stream

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
)

// A reset ends what waits on either end, and takes what was not read.
func TestPipeReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := Pipe()
		defer a.Close()
		defer b.Close()
		if _, err := b.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 2)
		go func() {
			_, err := b.Read(make([]byte, 1))
			ended <- err
		}()
		go func() {
			_, err := b.Write(make([]byte, 2*pipeCapacity))
			ended <- err
		}()
		synctest.Wait()
		a.Reset()
		for range 2 {
			if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("what waited: %v", err)
			}
		}
		for _, c := range []*PipeConn{a, b} {
			if n, err := c.Read(make([]byte, 8)); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read: %d, %v", n, err)
			}
			if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("write: %d, %v", n, err)
			}
		}
	})
}

// A parked connection is taken up when it breaks.
func TestPipeResetWakesParked(t *testing.T) {
	t.Parallel()
	server, client := Pipe()
	defer client.Close()
	conn := New(server, nil).(Parkable)
	defer conn.Close()
	w := readableFunc(make(chan bool, 1))
	if err := conn.Park(w); err != nil {
		t.Fatal(err)
	}
	client.Reset()
	if len(w) != 1 {
		t.Error("nobody was told")
	}
}

type readableFunc chan bool

func (f readableFunc) Readable() { f <- true }

// A connection that breaks at a byte of what is written to it delivers what stands before that.
func TestPipeResetAfter(t *testing.T) {
	t.Parallel()
	for at := range 7 {
		server, client := Pipe()
		client.ResetAfter(at)
		n, err := New(server, nil).TryWrite([][]byte{[]byte("abc"), []byte("def")})
		if want := at < 6; n != min(at, 6) || errors.Is(err, syscall.ECONNRESET) != want || !want && err != nil {
			t.Errorf("at %d: wrote %d, %v", at, n, err)
		}
		_, _ = client.Write([]byte("x"))
		_ = server.Close()
		got, err := io.ReadAll(client)
		if string(got) != "abcdef"[:at] {
			t.Errorf("at %d: read %q, %v", at, got, err)
		}
		_ = client.Close()
	}
}

// SetReadBuffer decides where a write stops.
func TestPipeReadBuffer(t *testing.T) {
	t.Parallel()
	server, client := Pipe()
	defer client.Close()
	defer server.Close()
	conn := New(server, nil)
	for _, size := range []int{0, 1, 5} {
		client.SetReadBuffer(size)
		if n, err := conn.TryWrite([][]byte{[]byte("abc"), []byte("def")}); n != size || !errors.Is(err, ErrWouldBlock) {
			t.Errorf("%d: wrote %d, %v", size, n, err)
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, []byte("abcdef")[:size]) {
			t.Errorf("%d: read %q, %v", size, got, err)
		}
	}
}
