package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second      // for what must come
	moment   = 50 * time.Millisecond // for what must not
)

// pair is a link and what is on both of its sides.
type pair struct {
	proxy          *Proxy
	link           *Link
	client, server *net.TCPConn
}

// listen makes a proxy and what it forwards to.
func listen(t *testing.T) (*Proxy, *net.TCPListener) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Listen(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), p.Close(), p.Close()); err != nil {
			t.Error(err)
		}
		if n := len(p.Links()); n != 0 {
			t.Errorf("%d links left", n)
		}
	})
	return p, l
}

func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

func connect(t *testing.T) *pair {
	t.Helper()
	p, l := listen(t)
	born := make(chan *Link, 1)
	p.Next(func(l *Link) { born <- l })
	client := dial(t, p)
	server, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	_ = server.SetDeadline(time.Now().Add(patience))
	return &pair{proxy: p, link: <-born, client: client, server: server}
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}

// ends checks how a connection ends, and with nothing before.
func ends(t *testing.T, c net.Conn, how error) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, how) {
		t.Errorf("got %d bytes and %v, want %v", n, err, how)
	}
}

// silent checks that neither bytes nor an end come.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(moment))
	ends(t, c, os.ErrDeadlineExceeded)
	_ = c.SetReadDeadline(time.Now().Add(patience))
}

func TestForward(t *testing.T) {
	t.Parallel()
	p := connect(t)
	large := strings.Repeat("0123456789", 100_000)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(p.client, large)
		sent <- errors.Join(err, p.client.CloseWrite())
	}()
	got, err := io.ReadAll(p.server)
	if err = errors.Join(err, <-sent); err != nil || !bytes.Equal(got, []byte(large)) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	send(t, p.server, "still here")
	want(t, p.client, "still here")
	_ = p.server.Close()
	ends(t, p.client, io.EOF)
	if s := p.proxy.Stats(); s.Links != 1 || s.Up != uint64(len(large)) || s.Down != 10 || s.Cuts+s.Resets != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestResetIsForwarded(t *testing.T) {
	t.Parallel()
	p := connect(t)
	closeTCP(p.client, true)
	ends(t, p.server, syscall.ECONNRESET)
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, abrupt := range []bool{false, true} {
		p, how := connect(t), map[bool]error{false: io.EOF, true: syscall.ECONNRESET}[abrupt]
		send(t, p.client, "a")
		want(t, p.server, "a")
		if !p.link.Cut(abrupt) || p.link.Cut(abrupt) {
			t.Error("it is cut once")
		}
		ends(t, p.client, how)
		ends(t, p.server, how)
		if s := p.proxy.Stats(); s.Cuts+s.Resets != 1 || (s.Resets == 1) != abrupt || s.Inside != 0 {
			t.Errorf("stats %+v", s)
		}
	}
}

func TestCutAfter(t *testing.T) {
	t.Parallel()
	p := connect(t)
	p.link.CutAfter(Down, 5, false)
	send(t, p.client, "all of this")
	want(t, p.server, "all of this")
	send(t, p.server, "abc")
	want(t, p.client, "abc")
	send(t, p.server, "defgh")
	want(t, p.client, "de")
	ends(t, p.client, io.EOF)
	ends(t, p.server, io.EOF)
	if s := p.proxy.Stats(); s.Cuts != 1 || s.Inside != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	p := connect(t)
	const wait = 100 * time.Millisecond
	since := time.Now()
	p.link.Delay(Up, wait)
	send(t, p.client, "late")
	_ = p.client.CloseWrite()
	send(t, p.server, "at once")
	want(t, p.client, "at once")
	want(t, p.server, "late")
	ends(t, p.server, io.EOF)
	if d := time.Since(since); d < wait {
		t.Errorf("it took %v", d)
	}
	p.link.Delay(Down, patience)
	send(t, p.server, "never")
	p.link.Cut(false) // which does not wait
	ends(t, p.client, io.EOF)
	if n := p.proxy.Stats().Delays; n != 2 {
		t.Errorf("%d delays", n)
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	p := connect(t)
	p.link.Stall(Up, patience)
	send(t, p.client, "lost")
	silent(t, p.server)
	send(t, p.server, "heard")
	want(t, p.client, "heard")

	// Neither does the server hear of the client's end, however it comes about…
	closeTCP(p.client, true)
	silent(t, p.server)
	for range 3 { // …nor that what it sends meets nobody
		send(t, p.server, "anybody?")
		silent(t, p.server)
	}
	_ = p.server.Close()
	for deadline := time.After(patience); len(p.proxy.Links()) > 0; {
		select {
		case <-deadline:
			t.Fatal("both sides have closed, the link is still there")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestStallEnds(t *testing.T) {
	t.Parallel()
	p := connect(t)
	p.link.Stall(Both, 20*moment)
	send(t, p.client, "lost")
	send(t, p.server, "lost")
	silent(t, p.server)
	silent(t, p.client)
	ends(t, p.client, syscall.ECONNRESET)
	ends(t, p.server, syscall.ECONNRESET)
	if s := p.proxy.Stats(); s.Stalls != 1 || s.Cuts+s.Resets != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	p := connect(t)
	p.proxy.Refuse(patience)
	if err := greet(p.proxy); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	send(t, p.client, "who is there stays")
	want(t, p.server, "who is there stays")
	p.proxy.Calm()
	if err := greet(p.proxy); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v though it is over", err)
	}
	if n := p.proxy.Stats().Refused; n != 1 {
		t.Errorf("%d refused", n)
	}
}

// greet connects and waits for a word for a moment. The kernel may have the reset before the dialer returns.
func greet(p *Proxy) error {
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(moment))
	_, err = c.Read(make([]byte, 1))
	return err
}

// Who connects while nobody is there to forward to is reset.
func TestNoTarget(t *testing.T) {
	t.Parallel()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Listen(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := greet(p); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A seed is a sequence of faults, in which every kind occurs.
func TestSeed(t *testing.T) {
	t.Parallel()
	list := func(seed uint64) (list []fault) {
		next := Weather{Seed: seed}.withDefaults().faults()
		for range 200 {
			list = append(list, next())
		}
		return list
	}
	if !slices.Equal(list(1), list(1)) || slices.Equal(list(1), list(2)) {
		t.Error("a seed says what happens")
	}
	kinds, newborn := map[kind]int{}, 0
	for _, f := range list(3) {
		kinds[f.kind]++
		if f.newborn {
			newborn++
		}
		if (f.wait > 0) != (f.kind == delay || f.kind == stall || f.kind == refuse) || f.way == 0 || f.way > Both {
			t.Errorf("%v", f)
		}
	}
	if len(kinds) != len(mix) || newborn == 0 || newborn == 200 {
		t.Errorf("kinds %v, %d newborn", kinds, newborn)
	}
}

// Over an echo, everything happens, and it ends with the context.
func TestWeather(t *testing.T) {
	t.Parallel()
	p, l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	var running sync.WaitGroup
	running.Go(func() {
		w := Weather{Seed: 1, Pause: time.Millisecond, Delay: 2 * time.Millisecond, Stall: moment, Refuse: 2 * time.Millisecond, Inside: 10}
		w.Over(ctx, p)
	})
	for i := range 4 {
		running.Go(func() {
			for ctx.Err() == nil {
				converse(p, "hello"[:1+i])
			}
		})
	}
	running.Go(func() {
		for ctx.Err() == nil {
			if s := p.Stats(); min(s.Refused, s.Cuts, s.Resets, s.Inside, s.Delays, s.Stalls) > 0 {
				stop()
			}
			<-time.After(time.Millisecond)
		}
	})
	<-ctx.Done()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("after %v: %+v", patience, p.Stats())
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	running.Wait()
}

// converse talks to an echo until the connection fails.
func converse(p *Proxy, word string) {
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	for err == nil {
		if _, err = io.WriteString(c, word); err == nil {
			_, err = io.ReadFull(c, make([]byte, len(word)))
		}
	}
}
