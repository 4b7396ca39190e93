package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio"
)

const numbers event.Stream[int, int] = "numbers"

// streaming is a socket whose server streams as many numbers as it is asked for, and acknowledges, unless it is held, at the end.
func streaming(t *testing.T, o Options) (s *Socket, site *site, release func()) {
	t.Helper()
	site = newSite(t, recoverable())
	hold := make(chan struct{})
	release = sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	site.Handle("numbers", func(ctx context.Context, e *socketio.Event) {
		var n int
		_ = e.Decode(0, &n)
		for i := range max(n, -n) {
			if err := e.Socket().Send(ctx, "numbers", i); err != nil {
				return
			}
		}
		if n < 0 {
			<-hold
		}
		_ = e.Ack()
	})
	o.DialContext, o.Logger = site.dial, quiet
	s = site.client("", o)
	connect(t, s)
	return s, site, release
}

// collect ranges over a sequence, up to its limit.
func collect[T any](limit int, seq func(yield func(T, error) bool)) (list []string) {
	for v, err := range seq {
		if err != nil {
			list = append(list, "error: "+err.Error())
		} else {
			list = append(list, fmt.Sprint(v))
		}
		if len(list) == limit {
			break
		}
	}
	return list
}

func wantList(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, site, _ := streaming(t, Options{Transports: transports, Retries: 1, AckTimeout: time.Second})
		ctx := t.Context()
		three := Stream(ctx, s, numbers, 3)
		wantList(t, collect(-1, three), "0", "1", "2")
		wantList(t, collect(-1, three), "0", "1", "2") // another request
		wantList(t, collect(-1, Stream[int](ctx, s, "numbers", 0)))

		// More than is ever held, and every one of them before the end.
		got := collect(-1, Stream(ctx, s, numbers, 5000))
		if len(got) != 5000 || got[4999] != "4999" {
			t.Errorf("%d numbers", len(got))
		}

		site.Handle("mixed", func(_ context.Context, e *socketio.Event) {
			_ = e.Socket().Emit("mixed", 1)
			_ = e.Socket().Emit("mixed", "two")
			_ = e.Socket().Emit("mixed", 3)
			_ = e.Ack(map[string]string{"status": "error", "code": "NO", "message": "no more"})
		})
		wantList(t, collect(-1, Stream[int](ctx, s, "mixed", event.None{})), "1",
			`error: client: event "mixed": parser: cannot decode string into int`, "3", "error: NO: no more")

		// The acknowledgement may take longer than AckTimeout, and there are no retries.
		site.Handle("slow", func(_ context.Context, e *socketio.Event) {
			for i := range 3 {
				time.Sleep(2 * time.Second)
				_ = e.Socket().Emit("slow", i)
			}
			_ = e.Ack()
		})
		wantList(t, collect(-1, Stream[int](ctx, s, "slow", 1)), "0", "1", "2")

		wantList(t, collect(-1, Stream[int](ctx, s, "disconnect", 1)), `error: client: reserved event name: "disconnect"`)
		if got := collect(-1, Stream[int](ctx, s, "x", func() {})); len(got) != 1 || !strings.Contains(got[0], "encode argument 0") {
			t.Errorf("%q", got)
		}
	})
}

func TestStreamIsAlone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, _, release := streaming(t, Options{Transports: transports})
		ctx := t.Context()
		r := newRecord()
		s.On("numbers", func(_ context.Context, e *Event) { r.add("%s", e.Raw(0)) })
		for n, err := range Stream(ctx, s, numbers, -2) {
			if err != nil {
				t.Fatal(err)
			}
			wantList(t, collect(-1, Stream(ctx, s, numbers, 1)), "error: "+ErrStreaming.Error())
			if n == 0 {
				break // early, so 1 may still come
			}
		}
		r.want(t, "0", "1")
		wantList(t, collect(-1, Stream(ctx, s, numbers, 1)), "error: "+ErrStreaming.Error())
		release()
		synctest.Wait()
		r.want(t)
		wantList(t, collect(-1, Stream(ctx, s, numbers, 1)), "0")
	})
}

func TestStreamEnds(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, site, _ := streaming(t, Options{Transports: transports})
		stop := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(stop) })
		wantList(t, collect(-1, Stream(ctx, s, numbers, -2)), "0", "1", "error: enough")
		wantList(t, collect(-1, Stream(ctx, s, numbers, -2)), "error: enough")

		// Events that came before the connection was lost come before the end.
		ctx = t.Context()
		site.cut()
		synctest.Wait()
		connect(t, s)
		time.AfterFunc(time.Second, site.cut)
		wantList(t, collect(-1, Stream(ctx, s, numbers, -2)), "0", "1", "error: "+ErrDisconnected.Error())

		// Offline a request waits to be sent; one that is not wanted any more is not.
		site.turn(false)
		synctest.Wait()
		ctx, cancel = context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(stop) })
		wantList(t, collect(-1, Stream(ctx, s, numbers, 2)), "error: enough")
		if n, _ := s.Buffered(); n != 0 {
			t.Errorf("%d events wait", n)
		}
		time.AfterFunc(time.Second, func() { site.turn(true) })
		wantList(t, collect(-1, Stream(t.Context(), s, numbers, 2)), "0", "1")

		connect(t, s)
		time.AfterFunc(time.Second, func() { _ = s.Close() })
		wantList(t, collect(-1, Stream(t.Context(), s, numbers, -1)), "0", "error: "+ErrClosed.Error())
		wantList(t, collect(-1, Stream(t.Context(), s, numbers, 1)), "error: "+ErrClosed.Error())
	})
}

// A stream that is not taken holds up its socket and then the server, in bounded memory; when it is left all goes on.
func TestStreamIsBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, site, _ := streaming(t, Options{Transports: transports})
		var sent atomic.Int64
		site.Handle("blocks", func(ctx context.Context, e *socketio.Event) {
			block := []byte(strings.Repeat("x", 64<<10))
			for range 400 {
				if e.Socket().Send(ctx, "blocks", block) != nil {
					return
				}
				sent.Add(1)
			}
			_ = e.Ack()
		})
		r := newRecord()
		for v, err := range Stream[[]byte](t.Context(), s, "blocks", 1) {
			if err != nil || len(v) != 64<<10 {
				t.Fatal(len(v), err)
			}
			time.Sleep(10 * time.Second)
			if n := sent.Load(); n >= 200 {
				t.Errorf("%d blocks were sent", n)
			}
			if !s.Connected() {
				t.Error("not connected any more")
			}
			On(s, "done", func(context.Context, event.None) { r.add("done") })
			break
		}
		time.Sleep(time.Second)
		if n := sent.Load(); n != 400 {
			t.Errorf("%d blocks were sent", n)
		}
		_ = site.Emit("done")
		r.want(t, "done")
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, site, _ := streaming(t, Options{Transports: transports})
		emit := func(args ...any) {
			if err := site.To().Emit("n", args...); err != nil {
				t.Error(err)
			}
		}
		events := Events[int](t.Context(), s, "n")
		emit(1)
		emit("two")
		emit()
		time.Sleep(time.Second)
		// What comes before the loop is not missed, nor what comes while the connection is lost.
		time.AfterFunc(time.Second, func() {
			site.turn(false)
			synctest.Wait()
			emit(3)
			site.turn(true)
		})
		wantList(t, collect(4, events), "1", `error: client: event "n": parser: cannot decode string into int`,
			`error: client: event "n": parser: cannot decode string into int`, "3") // of no argument there is the offset
		wantList(t, collect(4, events), "error: "+errRanged.Error())

		stop := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		events = Events[int](ctx, s, "n")
		time.AfterFunc(time.Second, func() { emit(4) })
		time.AfterFunc(2*time.Second, func() { cancel(stop) })
		wantList(t, collect(-1, events), "4", "error: enough")

		// Close ends it, after what has come.
		closing := Events[int](t.Context(), s, "n")
		emit(5)
		time.Sleep(time.Second)
		_ = s.Close()
		wantList(t, collect(-1, closing), "5", "error: "+ErrClosed.Error())
		wantList(t, collect(-1, Events[int](t.Context(), s, "n")), "error: "+ErrClosed.Error())
	})
}

// Events that nobody takes hold up the socket until the context ends, or the socket is closed.
func TestEventsAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		s, site, _ := streaming(t, Options{Transports: transports})
		ctx, cancel := context.WithCancel(t.Context())
		forgotten := Events[int](ctx, s, "n")
		var handled atomic.Int64
		s.On("n", func(context.Context, *Event) { handled.Add(1) })
		for i := range 2000 {
			if err := site.To().Emit("n", i); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if n := handled.Load(); n != feedEvents {
			t.Errorf("%d events were handled", n)
		}
		cancel()
		time.Sleep(time.Second)
		if n := handled.Load(); n != 2000 {
			t.Errorf("%d events were handled", n)
		}
		wantList(t, collect(-1, forgotten), "error: context canceled")

		s.Off("n")
		closing := Events[[]byte](t.Context(), s, "n")
		for range 20 {
			_ = site.To().Emit("n", make([]byte, 100<<10))
		}
		time.Sleep(time.Second)
		_ = s.Close() // the lane waits; it must not wait for ever
		if got := collect(-1, closing); len(got) != 12 || got[11] != "error: "+ErrClosed.Error() {
			t.Errorf("%d events", len(got))
		}
	})
}

// A loop that is left, or never begun, leaves no handler behind.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, site, _ := streaming(t, Options{Transports: []Transport{WebSocket}})
		site.Handle("other", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("other", 1) })
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 {
			_ = Events[int](ctx, s, "n")
		}
		if n := len(s.routes.handlers([]byte("n"))); n != 3 {
			t.Errorf("%d handlers", n)
		}
		cancel()
		synctest.Wait()
		_ = collect(1, Stream(t.Context(), s, numbers, 2))
		func() {
			defer func() { _ = recover() }()
			for range Stream[int](t.Context(), s, "other", 2) {
				panic("no")
			}
		}()
		synctest.Wait()
		for _, name := range []string{"n", "numbers"} {
			if n := len(s.routes.handlers([]byte(name))); n != 0 {
				t.Errorf("%s: %d handlers", name, n)
			}
		}
		if len(s.streams.set) != 1 { // of what nobody answers
			t.Errorf("streams: %v", s.streams.set)
		}
	})
}

// A loop in a handler of its own socket waits for itself, but not longer than until the socket is closed.
func TestStreamInHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, site, _ := streaming(t, Options{Transports: []Transport{WebSocket}})
		r := newRecord()
		On(s, "go", func(_ context.Context, _ event.None) {
			r.add("%v", collect(-1, Stream(t.Context(), s, numbers, 1)))
		})
		_ = site.To().Emit("go")
		r.want(t)
		_ = s.Close()
		r.want(t, "[error: client: closed]")
	})
}
