package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/socketio"
)

// against makes a socket whose server is a WebSocket that says what serve has it say, once each time that it is connected.
func against(t *testing.T, o Options, serve func(p *peer) error) *Socket {
	t.Helper()
	l := stream.NewListener()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p := &peer{conn: conn, in: bufio.NewReader(conn)}
			if err := p.handshake(); err == nil {
				_ = serve(p)
			}
			_ = conn.Close()
		}
	}()
	o.Transports, o.Logger = []Transport{WebSocket}, quiet
	o.DialContext = (&site{listener: l}).dial
	s, err := New(t.Context(), siteURL, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Close()
		<-s.Manager().Done()
		_ = l.Close()
	})
	return s
}

// say sends packets and then reads until the connection ends.
func (p *peer) say(packets ...string) error {
	for _, packet := range packets {
		p.add(packet)
	}
	err := p.flush()
	for err == nil {
		_, err = p.read()
	}
	return err
}

// C-8, C-11: a payload that is none is the error of Connect, also over a connection that is there already.
func TestAuthIsNoObject(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		s := site.client("", site.options(transports...))
		connect(t, s)
		other, err := s.Manager().Socket("/other", &SocketOptions{Auth: "token"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := other.Connect(ctx); !errors.Is(err, ErrAuth) || ctx.Err() != nil {
			t.Error(err)
		}
	})
}

// A handler that ends its goroutine, as FailNow of a test does, ends nothing else.
func TestHandlerExits(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		s := site.client("", site.options(transports...))
		r := newRecord()
		s.On("exit", func(context.Context, *Event) {
			time.Sleep(time.Second)
			runtime.Goexit()
		})
		s.On("n", func(_ context.Context, e *Event) { r.add("%s", e.Raw(0)) })
		connect(t, s)
		for i := range 3 {
			if err := errors.Join(site.Of("/").To().Emit("exit"), site.Of("/").To().Emit("n", i)); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Minute)
		r.want(t, "0", "1", "2")
	})
}

// C-11: a server that refuses a socket which it has connected has disconnected it.
func TestRefusedWhileConnected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := against(t, Options{}, func(p *peer) error {
			if _, err := p.read(); err != nil { // the event
				return err
			}
			return p.say(`44{"message":"no"}`)
		})
		r := newRecord()
		s.OnDisconnect(func(reason Reason, _ error) { r.add("%s", reason) })
		s.OnConnectError(func(err error) { r.add("%v", errors.As(err, new(*ConnectError))) })
		connect(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := s.EmitWithAck(ctx, "n"); !errors.Is(err, ErrDisconnected) {
			t.Error(err)
		}
		r.want(t, string(ServerDisconnect), "true")
		if s.ID() != "" || s.Active() {
			t.Errorf("id %q, active %v", s.ID(), s.Active())
		}
	})
}

// C-11: who is disconnected before CONNECT is answered is told.
func TestDisconnectedWhileConnecting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := against(t, Options{}, func(p *peer) error {
			if _, err := p.read(); err != nil { // CONNECT of /other
				return err
			}
			return p.say(`41/other,`)
		})
		connect(t, s)
		other, err := s.Manager().Socket("/other", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := newRecord()
		other.OnConnectError(func(err error) { r.add("%v", errors.Is(err, ErrDisconnected)) })
		if err := other.Connect(t.Context()); !errors.Is(err, ErrDisconnected) {
			t.Error(err)
		}
		r.want(t, "true")
	})
}

// C-20: a namespace that is left before the server has answered CONNECT is left all the same, and connecting to it again does not
// have the server take the second CONNECT for a fault and close the connection.
func TestLeftWhileConnecting(t *testing.T) {
	t.Parallel()
	for _, final := range []bool{false, true} {
		bubble(t, func(t *testing.T, transports []Transport) {
			site := newSite(t, socketio.Options{})
			r := newRecord()
			site.Of("/slow").Use(func(context.Context, *socketio.Socket) error {
				time.Sleep(time.Second)
				return nil
			})
			site.Of("/slow").OnConnection(func(_ context.Context, s *socketio.Socket) error {
				r.add("in")
				return s.Emit("hello", s.ID())
			})
			site.Of("/slow").OnDisconnect(func(context.Context, *socketio.Socket, socketio.Reason) { r.add("out") })
			main := site.client("", site.options(transports...))
			main.OnDisconnect(func(reason Reason, _ error) { r.add("main: %s", reason) })
			connect(t, main)
			time.Sleep(time.Second)
			slow, err := main.Manager().Socket("slow", nil)
			if err != nil {
				t.Fatal(err)
			}
			leave := func() {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if err := slow.Connect(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if slow.Disconnect(); final {
					_ = slow.Close()
					if slow, err = main.Manager().Socket("slow", nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			leave()
			time.Sleep(10 * time.Second)
			r.want(t, "in", "out")

			leave()
			var id string
			slow.On("hello", func(_ context.Context, e *Event) { _ = e.Decode(0, &id) })
			connect(t, slow)
			r.want(t, "in", "out", "in")
			if id != slow.ID() {
				t.Errorf("id %q, the server says %q", slow.ID(), id)
			}
			slow.Disconnect()
			connect(t, slow)
			r.want(t, "out", "in")
			slow.Disconnect()
			r.want(t, "out")
			main.Disconnect()
			r.want(t, "main: io client disconnect")
		})
	}
}

// The context of a handler ends with its socket, also where the manager goes on.
func TestHandlerContext(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		main := site.client("", site.options(transports...))
		connect(t, main)
		site.Of("/other").OnConnection(func(_ context.Context, s *socketio.Socket) error { return s.Emit("n") })
		other, err := main.Manager().Socket("/other", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := newRecord()
		other.On("n", func(ctx context.Context, _ *Event) {
			<-ctx.Done()
			r.add("%v", errors.Is(context.Cause(ctx), ErrClosed))
		})
		connect(t, other)
		r.want(t)
		_ = other.Close()
		r.want(t, "true")
	})
}

// What came before CONNECT was answered is dropped by Close like what came after.
func TestCloseDropsEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := against(t, Options{}, func(p *peer) error {
			if _, err := p.read(); err != nil {
				return err
			}
			return p.say(`42/other,["n",1]`, `42/other,["n",2]`, `40/other,{"sid":"c"}`, `42/other,["n",3]`)
		})
		connect(t, s)
		other, err := s.Manager().Socket("/other", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := newRecord()
		other.On("n", func(_ context.Context, e *Event) {
			r.add("%s", e.Raw(0))
			time.Sleep(time.Second)
		})
		connect(t, other)
		synctest.Wait()
		_ = other.Close()
		time.Sleep(time.Minute)
		r.want(t, "1")
	})
}

// C-18: what the reader still held when the connection was left comes again if that is recovered.
func TestHeldEventIsMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = laneTasks + 10
		var events []string
		for i := range n {
			events = append(events, fmt.Sprintf(`42["n",%d,"%d"]`, i, i))
		}
		s := against(t, Options{}, func(p *peer) error {
			if _, err := p.read(); err != nil {
				return err
			}
			return p.say(events...)
		})
		gate := make(chan struct{})
		last := -1
		s.On("n", func(_ context.Context, e *Event) {
			<-gate
			_ = e.Decode(0, &last)
		})
		connect(t, s)
		m := s.Manager()
		m.mu.Lock()
		s.pid = "pid"
		m.mu.Unlock()
		if err := s.Emit("go"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m.Disconnect()
		close(gate)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		if s.offset != fmt.Sprint(last) {
			t.Errorf("the last event was %d, the offset is %s", last, s.offset)
		}
	})
}

// An answer for which there is no room is not given, and may be given later.
func TestAnswerWithoutRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		answers := make(chan string, 10)
		s := against(t, Options{MaxBufferedPackets: 1}, func(p *peer) error {
			p.add(`420["ask"]`)
			p.add(`421["ask"]`)
			if err := p.flush(); err != nil {
				return err
			}
			<-read
			for {
				packet, err := p.read()
				if err != nil {
					return err
				}
				if strings.HasPrefix(string(packet), "43") {
					answers <- string(packet)
				}
			}
		})
		r := newRecord()
		s.OnError(func(_ *Event, err error) { r.add("%v", errors.Is(err, ErrBufferFull)) })
		var kept *Event
		s.On("ask", func(_ context.Context, e *Event) {
			for s.Emit("n", make([]byte, 50<<10)) == nil {
				time.Sleep(time.Second)
			}
			if kept == nil {
				kept = e
				if err := e.Ack(); !errors.Is(err, ErrBufferFull) {
					t.Error(err)
				}
			}
		})
		OnRequest(s, "ask", func(context.Context, event.None) (string, error) { return "well", nil })
		connect(t, s)
		time.Sleep(10 * time.Second)
		r.want(t, "true", "true")
		close(read)
		time.Sleep(time.Second)
		if err := kept.Ack("late"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		if got := <-answers; got != `430["late"]` || len(answers) > 0 {
			t.Errorf("%s, and %d more", got, len(answers))
		}
	})
}

// C-16: no time is left, so nothing is sent and nobody waits.
func TestTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, socketio.Options{})
		for _, retries := range []int{0, -1} {
			o := site.options(WebSocket)
			o.Retries = retries
			s := site.client("", o)
			connect(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			start := time.Now()
			if _, err := s.Timeout(-time.Second).EmitWithAck(ctx, "n"); !errors.Is(err, ErrTimeout) || time.Since(start) > 0 {
				t.Errorf("retries %d: %v after %v", retries, err, time.Since(start))
			}
		}
	})
}

// Neither calls that are over nor handlers that were removed leave anything behind.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, socketio.Options{})
		site.turn(false)
		s := site.client("", site.options())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Manager().Connect(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDown) {
			t.Error(err)
		}
		if n := len(s.Manager().waiters); n > 0 {
			t.Errorf("%d waiters", n)
		}
		for i := range 10 {
			off := s.On(fmt.Sprint(i), func(context.Context, *Event) {})
			off()
			off()
		}
		s.Once("once", func(context.Context, *Event) {})()
		if n := len(s.routes.events); n > 0 {
			t.Errorf("%d names", n)
		}
	})
}

// Options are read once.
func TestOptionsAreCopied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, socketio.Options{})
		r := newRecord()
		site.Of("/").OnConnection(func(_ context.Context, s *socketio.Socket) error {
			r.add("%s", s.Handshake().Header().Get("X-Who"))
			return nil
		})
		o := site.options(WebSocket)
		o.Header = http.Header{"X-Who": {"a"}}
		s := site.client("", o)
		o.Header.Set("X-Who", "b")
		connect(t, s)
		r.want(t, "a")
	})
}

// Send, of a connection that takes nothing, ends with the socket and, when the connection has broken, waits for the next one in peace.
func TestSendEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := against(t, Options{MaxBufferedPackets: 1}, func(p *peer) error {
			<-t.Context().Done()
			return nil
		})
		connect(t, s)
		if err := s.Manager().Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		for s.Emit("n", make([]byte, 50<<10)) == nil {
			time.Sleep(time.Second)
		}
		sent := make(chan error, 1)
		go func() { sent <- s.Send(t.Context(), "n") }()
		synctest.Wait()
		s.owner = false
		_ = s.Close()
		synctest.Wait()
		select {
		case err := <-sent:
			if !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		default:
			t.Error("Send waits for a socket that is closed")
		}
		_ = s.Manager().Close()
	})
}

// Calls that wait for a connection and are given up all at once take no time that goes with their number squared.
func TestManyCallsAreGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		site := newSite(t, socketio.Options{})
		r := newRecord()
		site.Of("/").Handle("n", func(_ context.Context, e *socketio.Event) { r.add("%s", e.Raw(0)) })
		s := site.client("", site.options(WebSocket))
		ctx, cancel := context.WithCancel(t.Context())
		const n = 5000
		var given atomic.Int32
		for i := range n {
			if i%1000 == 0 {
				if err := s.Emit("n", i); err != nil {
					t.Error(err)
				}
			}
			go func() {
				if _, err := s.EmitWithAck(ctx, "call"); errors.Is(err, context.Canceled) {
					given.Add(1)
				}
			}()
		}
		synctest.Wait()
		if packets, _ := s.Buffered(); packets != n+5 {
			t.Errorf("%d packets", packets)
		}
		cancel()
		synctest.Wait()
		packets, bytes := s.Buffered()
		if kept := len(s.buffer.waiting); packets != 5 || bytes == 0 || kept > 10 || given.Load() != n || len(s.acks) > 0 {
			t.Errorf("%d packets, %d bytes, %d kept, %d calls, %d acks", packets, bytes, kept, given.Load(), len(s.acks))
		}
		connect(t, s)
		r.want(t, "0", "1000", "2000", "3000", "4000")
	})
}
