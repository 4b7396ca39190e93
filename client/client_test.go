package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio"
)

// record is a list that a lane writes and a test reads.
type record struct{ ch chan string }

func newRecord() *record { return &record{make(chan string, 1000)} }

func (r *record) add(format string, args ...any) { r.ch <- fmt.Sprintf(format, args...) }

// all is what was written so far, and what is on its way, be there an upgrade.
func (r *record) all() (list []string) {
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
	for {
		select {
		case s := <-r.ch:
			list = append(list, s)
		default:
			return list
		}
	}
}

func (r *record) want(t *testing.T, want ...string) {
	t.Helper()
	if got := r.all(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		site.Of("/").Handle("echo", func(_ context.Context, e *socketio.Event) {
			var a any
			var b []byte
			_ = e.Decode(0, &a)
			_ = e.Decode(1, &b)
			_ = e.Socket().Emit("echoed", a, b)
			_ = e.Ack(b, a)
		})
		s := site.client("", site.options(transports...))
		r := newRecord()
		s.On("echoed", func(_ context.Context, e *Event) {
			var a string
			var b []byte
			if err := errors.Join(e.Decode(0, &a), e.Decode(1, &b)); err != nil {
				t.Error(err)
			}
			r.add("%s %s", a, b)
		})
		s.OnConnect(func() { r.add("connect") })
		s.OnDisconnect(func(reason Reason, err error) { r.add("disconnect %s %v", reason, err) })
		connect(t, s)
		if s.ID() == "" || !s.Connected() || !s.Active() || s.Recovered() {
			t.Errorf("id %q, connected %v, active %v, recovered %v", s.ID(), s.Connected(), s.Active(), s.Recovered())
		}
		reply, err := s.EmitWithAck(t.Context(), "echo", "é", []byte("bytes"))
		if err != nil {
			t.Fatal(err)
		}
		var b []byte
		var a string
		if err := errors.Join(reply.Decode(0, &b), reply.Decode(1, &a)); err != nil || a != "é" || string(b) != "bytes" {
			t.Errorf("%q %q %v", a, b, err)
		}
		time.Sleep(time.Second) // for the upgrade
		if want := transports[len(transports)-1]; s.Manager().Transport() != want {
			t.Errorf("transport %q, want %q", s.Manager().Transport(), want)
		}
		r.want(t, "connect", "é bytes")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		r.want(t, "disconnect io client disconnect <nil>")
		if err := s.Emit("echo"); !errors.Is(err, ErrClosed) {
			t.Errorf("Emit on a closed socket: %v", err)
		}
		if err := s.Connect(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Connect of a closed socket: %v", err)
		}
	})
}

// C-14: what is emitted before CONNECT is answered waits, and follows in order.
func TestOffline(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		r := newRecord()
		site.Of("/").Handle("n", func(_ context.Context, e *socketio.Event) { r.add("%s", e.Raw(0)) })
		s := site.client("", site.options(transports...))
		for i := range 3 {
			if err := s.Emit("n", i); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Volatile().Emit("n", "volatile"); err != nil {
			t.Error(err)
		}
		if n, _ := s.Buffered(); n != 3 {
			t.Errorf("%d buffered", n)
		}
		connect(t, s)
		r.want(t, "0", "1", "2")
		site.cut()
		synctest.Wait()
		_ = s.Emit("n", 3)
		time.Sleep(10 * time.Second)
		r.want(t, "3")
		if !s.Connected() {
			t.Error("not connected again")
		}
	})
}

// C-7, C-9, C-10: reconnection, and what is told of it.
func TestReconnection(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		o := site.options(transports...)
		o.ReconnectionAttempts = 3
		s := site.client("", o)
		r := newRecord()
		m := s.Manager()
		m.OnOpen(func() { r.add("open") })
		m.OnClose(func(reason Reason, _ error) { r.add("close %s", reason) })
		m.OnReconnectAttempt(func(n int) { r.add("attempt %d", n) })
		m.OnReconnectError(func(err error) { r.add("error %v", errors.Is(err, errDown)) })
		m.OnReconnect(func(n int) { r.add("reconnect %d", n) })
		m.OnReconnectFailed(func() { r.add("failed") })
		connect(t, s)
		r.want(t, "open")
		site.turn(false)
		time.Sleep(1600 * time.Millisecond)
		site.turn(true)
		time.Sleep(time.Minute)
		got := r.all()
		if len(got) < 4 || got[1] != "attempt 1" || got[len(got)-1] == "failed" || !slices.Contains(got, "open") {
			t.Errorf("%q", got)
		}
		site.turn(false)
		synctest.Wait()
		if !s.Active() {
			t.Error("not active while attempts are left")
		}
		time.Sleep(time.Minute)
		got = r.all()
		want := []string{"attempt 1", "error true", "attempt 2", "error true", "attempt 3", "error true", "failed"}
		if len(got) < 1 || !slices.Equal(got[1:], want) {
			t.Errorf("%q", got)
		}
		if s.Active() {
			t.Error("still active")
		}
		site.turn(true)
		connect(t, s)
		r.want(t, "open")
	})
}

// C-18: nothing is lost and nothing comes twice when the server recovers the connection.
func TestRecovery(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, recoverable())
		s := site.client("", site.options(transports...))
		r := newRecord()
		s.On("n", func(_ context.Context, e *Event) { r.add("%s", e.Raw(0)) })
		s.OnConnect(func() { r.add("connect") })
		connect(t, s)
		id := s.ID()
		n := 0
		say := func() {
			n++
			if err := site.Of("/").To().Emit("n", n); err != nil {
				t.Error(err)
			}
		}
		say()
		say()
		r.want(t, "connect", "1", "2")
		site.turn(false)
		synctest.Wait()
		say()
		say()
		site.turn(true)
		time.Sleep(10 * time.Second)
		say()
		r.want(t, "3", "4", "connect", "5")
		if !s.Recovered() || s.ID() != id {
			t.Errorf("recovered %v, id %s, was %s", s.Recovered(), s.ID(), id)
		}
	})
}

// chopped is a connection that ends where a text comes, while times is above zero.
type chopped struct {
	net.Conn
	before []byte
	times  *atomic.Int32
}

func (c *chopped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if i := bytes.Index(p[:n], c.before); i >= 0 && c.times.Load() > 0 {
		_ = c.Close()
		return i, io.EOF
	}
	return n, err
}

// C-18: a connection that is lost while what was missed comes, before CONNECT is answered, is recovered by the next one all the
// same: what has come is dropped, and comes again.
func TestRecoveryCutWhileReplaying(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, recoverable())
		o := site.options(transports...)
		var chop atomic.Int32
		o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := site.dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &chopped{c, []byte(`40{"sid"`), &chop}, nil
		}
		s := site.client("", o)
		r := newRecord()
		s.On("n", func(_ context.Context, e *Event) { r.add("%s", e.Raw(0)) })
		s.OnConnect(func() { r.add("connect") })
		s.OnConnectError(func(err error) {
			r.add("error %v", errors.Is(err, ErrConnectionLost))
			chop.Add(-1)
		})
		connect(t, s)
		id := s.ID()
		r.want(t, "connect")
		chop.Store(2)
		site.cut()
		for n := range 3 {
			if err := site.Of("/").To().Emit("n", n); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(20 * time.Second)
		r.want(t, "error true", "error true", "0", "1", "2", "connect")
		if !s.Recovered() || s.ID() != id {
			t.Errorf("recovered %v, id %s, was %s", s.Recovered(), s.ID(), id)
		}
	})
}

// C-17: events are acknowledged one after the other, and sent again when the connection was lost.
func TestRetries(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		r := newRecord()
		deaf := true
		site.Of("/").Handle("n", func(_ context.Context, e *socketio.Event) {
			r.add("%s", e.Raw(0))
			if !deaf {
				_ = e.Ack("ok")
			}
		})
		o := site.options(transports...)
		o.Retries = 3
		s := site.client("", o)
		connect(t, s)
		for i := range 3 {
			if err := s.Emit("n", i); err != nil {
				t.Fatal(err)
			}
		}
		r.want(t, "0")
		time.Sleep(DefaultRetryTimeout + time.Second)
		r.want(t, "0")
		site.turn(false)
		synctest.Wait()
		deaf = false
		site.turn(true)
		time.Sleep(10 * time.Second)
		r.want(t, "0", "1", "2")
		deaf = true
		start := time.Now()
		_, err := s.EmitWithAck(t.Context(), "n", 3)
		if !errors.Is(err, ErrTimeout) || time.Since(start) != 4*DefaultRetryTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		r.want(t, "3", "3", "3", "3")
		if n, bytes := s.Buffered(); n+bytes != 0 {
			t.Errorf("%d events, %d bytes left", n, bytes)
		}
	})
}

// The context ends everything, and so does Close.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		site.Of("/").Handle("silent", func(context.Context, *socketio.Event) {})
		ctx, cancel := context.WithCancel(t.Context())
		s, err := Dial(ctx, siteURL, site.options(transports...))
		if err != nil {
			t.Fatal(err)
		}
		r := newRecord()
		s.OnDisconnect(func(reason Reason, _ error) { r.add("%s", reason) })
		asked := make(chan error, 1)
		go func() {
			_, err := s.EmitWithAck(t.Context(), "silent")
			asked <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-asked; !errors.Is(err, ErrClosed) && !errors.Is(err, ErrDisconnected) {
			t.Error(err)
		}
		<-s.Manager().Done()
		r.want(t, "forced close")
		if err := s.Emit("x"); !errors.Is(err, ErrClosed) || !errors.Is(err, context.Canceled) {
			t.Errorf("Emit: %v", err)
		}
	})
}
