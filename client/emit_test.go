package client

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio"
)

// What waits for a connection is bounded, and the policy says what gives way.
func TestBuffer(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		r := newRecord()
		site.Of("/").Handle("n", func(_ context.Context, e *socketio.Event) { r.add("%s", e.Raw(0)) })

		o := site.options(transports...)
		o.MaxBufferedPackets = 2
		s := site.client("", o)
		for i := range 2 {
			if err := s.Emit("n", i); err != nil {
				t.Error(err)
			}
		}
		if err := s.Emit("n", 2); !errors.Is(err, ErrBufferFull) {
			t.Errorf("the third event: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Send(ctx, "n", 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Send: %v", err)
		}
		sent := make(chan error, 1)
		go func() { sent <- s.Send(t.Context(), "n", 3) }()
		synctest.Wait()
		connect(t, s)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		r.want(t, "0", "1", "3")

		o.WhenFull = DropOldest
		s = site.client("", o)
		dropped := make(chan error, 1)
		go func() {
			_, err := s.EmitWithAck(t.Context(), "n", 0)
			dropped <- err
		}()
		synctest.Wait()
		for i := 1; i < 4; i++ {
			if err := s.Emit("n", i); err != nil {
				t.Error(err)
			}
		}
		if err := <-dropped; !errors.Is(err, ErrBufferFull) {
			t.Errorf("the oldest event: %v", err)
		}
		connect(t, s)
		r.want(t, "2", "3")

		o.WhenFull, o.MaxBufferedPackets, o.MaxBufferedBytes = Refuse, 0, 100
		s = site.client("", o)
		if err := s.Emit("n", make([]byte, 1000)); err != nil {
			t.Errorf("a large event that is alone: %v", err)
		}
		if err := s.Emit("n", 1); !errors.Is(err, ErrBufferFull) {
			t.Errorf("one more: %v", err)
		}
	})
}

// C-16: an event whose acknowledgement is not wanted any more is not sent.
func TestAckTimeout(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		r := newRecord()
		site.Of("/").Handle("n", func(_ context.Context, e *socketio.Event) { r.add("%s", e.Raw(0)) })
		o := site.options(transports...)
		o.AckTimeout = 3 * time.Second
		s := site.client("", o)
		start := time.Now()
		if _, err := s.Timeout(time.Second).EmitWithAck(t.Context(), "n", 0); !errors.Is(err, ErrTimeout) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if _, err := s.EmitWithAck(ctx, "n", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := s.EmitWithAck(ctx, "n", 2); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		connect(t, s)
		r.want(t)
		start = time.Now()
		if _, err := s.EmitWithAck(t.Context(), "n", 3); !errors.Is(err, ErrTimeout) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		r.want(t, "3")
		if len(s.acks) != 0 {
			t.Errorf("%d acknowledgements are still awaited", len(s.acks))
		}
	})
}

// The server asks: its event is answered once, and not after the connection was lost.
func TestAnswer(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		var peer *socketio.Socket
		site.Of("/").OnConnection(func(_ context.Context, s *socketio.Socket) error {
			peer = s
			return nil
		})
		s := site.client("", site.options(transports...))
		var kept *Event
		s.On("ask", func(_ context.Context, e *Event) {
			kept = e
			if err := e.Ack(math.NaN()); err == nil || errors.Is(err, ErrAcked) {
				t.Errorf("Ack of what cannot be encoded: %v", err)
			}
			if err := e.Ack("yes", []byte("bytes")); err != nil {
				t.Error(err)
			}
			if err := e.Ack("again"); !errors.Is(err, ErrAcked) {
				t.Errorf("the second Ack: %v", err)
			}
		})
		s.On("tell", func(_ context.Context, e *Event) {
			if err := e.Ack(); !errors.Is(err, ErrNoAck) {
				t.Errorf("Ack that nobody wants: %v", err)
			}
		})
		s.On("keep", func(_ context.Context, e *Event) { kept = e })
		connect(t, s)
		synctest.Wait()
		reply, err := peer.EmitWithAck(t.Context(), "ask")
		var b []byte
		if err != nil || reply.Decode(1, &b) != nil || string(b) != "bytes" {
			t.Errorf("%v %q", err, b)
		}
		_ = peer.Emit("tell")
		go func() { _, _ = peer.EmitWithAck(t.Context(), "keep") }()
		synctest.Wait()
		site.cut()
		time.Sleep(10 * time.Second)
		if err := kept.Ack("late"); !errors.Is(err, ErrDisconnected) || !s.Connected() {
			t.Errorf("Ack on the next connection: %v", err)
		}
	})
}

// A handler may ask the server, though further events wait behind it, and a panic is an error.
func TestHandlerAsks(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		site.Of("/").OnConnection(func(_ context.Context, s *socketio.Socket) error {
			for i := range laneTasks + laneTasks/2 {
				if err := s.Emit("n", i); err != nil {
					return err
				}
			}
			return nil
		})
		site.Of("/").Handle("ask", func(_ context.Context, e *socketio.Event) { _ = e.Ack("answer") })
		s := site.client("", site.options(transports...))
		r := newRecord()
		s.On("n", func(ctx context.Context, e *Event) {
			var n int
			if _ = e.Decode(0, &n); n != 0 {
				return
			}
			_, err := s.EmitWithAck(ctx, "ask")
			r.add("%v", err)
			panic("oh")
		})
		s.OnError(func(e *Event, err error) { r.add("%s: %v", e.Name(), err) })
		connect(t, s)
		time.Sleep(time.Second) // the server lets its reply go ahead
		r.want(t, "<nil>", "n: client: handler panicked: oh")
	})
}

func TestListeners(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		site.Of("/").Handle("back", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("n") })
		s := site.client("", site.options(transports...))
		r := newRecord()
		note := func(what string) Handler { return func(context.Context, *Event) { r.add("%s", what) } }
		off := s.On("n", note("first"))
		s.On("n", note("second"))
		s.Once("n", note("once"))
		offAny := s.OnAny(note("any"))
		s.PrependAny(note("any before"))
		s.OnAnyOutgoing(func(event string, args []any) { r.add("out %s %v", event, args) })
		s.PrependAnyOutgoing(func(string, []any) { r.add("out before") })
		_ = s.Emit("back", 1)
		connect(t, s)
		r.want(t, "out before", "out back [1]", "any before", "any", "first", "second", "once")
		off()
		offAny()
		_ = s.Emit("back", 2)
		r.want(t, "out before", "out back [2]", "any before", "second")
		s.Off("n")
		_ = s.Emit("back")
		r.want(t, "out before", "out back []", "any before")
		if err := s.Emit("connect"); !errors.Is(err, ErrReserved) {
			t.Error(err)
		}
		if err := s.Emit("n", make(chan int)); err == nil {
			t.Error("a channel was sent")
		}
	})
}

// A handler that waits for an acknowledgement behind more events than are kept does not wait for ever: the connection ends as the
// server's end has by then, and what was not handled is not counted as seen.
func TestHandlerStuck(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		const events = 4 * laneTasks
		site := newSite(t, recoverable())
		site.Of("/").Handle("ask", func(_ context.Context, e *socketio.Event) {
			for i := range events {
				if err := e.Socket().Send(context.Background(), "n", i); err != nil {
					return
				}
			}
			_ = e.Ack()
		})
		s := site.client("", site.options(transports...))
		next := 0
		s.On("n", func(_ context.Context, e *Event) {
			var n int
			if err := e.Decode(0, &n); err != nil || n != next {
				t.Errorf("got %d, want %d, %v", n, next, err)
			}
			next = n + 1
		})
		r := newRecord()
		s.OnDisconnect(func(reason Reason, err error) { r.add("%s %v", reason, errors.Is(err, errStuck)) })
		stuck := make(chan error, 1)
		s.On("go", func(ctx context.Context, e *Event) {
			_, err := s.EmitWithAck(ctx, "ask")
			stuck <- err
		})
		connect(t, s)
		if err := site.Of("/").To().Emit("go"); err != nil {
			t.Fatal(err)
		}
		if err := <-stuck; !errors.Is(err, ErrDisconnected) {
			t.Errorf("the handler's EmitWithAck: %v", err)
		}
		time.Sleep(time.Minute)
		r.want(t, "ping timeout true")
		if !s.Connected() || next < 2*laneTasks {
			t.Errorf("connected %v, %d events were handled", s.Connected(), next)
		}
	})
}
