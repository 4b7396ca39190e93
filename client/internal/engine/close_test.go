package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/engineio"
)

// TestCloseIsBounded has servers that do not help.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		transports []Transport
		script     script
		bytes      int // sent before Close
		took       time.Duration
	}{
		{"a POST is not answered", []Transport{Polling}, script{get: never, post: func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }}, 1, closeTimeout},
		{"the close packet is not answered", []Transport{Polling}, script{get: never, post: func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }}, 0, closeTimeout},
		{"the close packet is refused", []Transport{Polling}, script{get: never, post: func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(500) }}, 0, 0},
		{"the close frame is not answered", []Transport{WebSocket}, script{websocket: func(s *socket, _ *http.Request) {
			s.say(openPacket)
			_, _ = io.Copy(io.Discard, s.r)
		}}, 1, closeTimeout},
		{"nothing is read", []Transport{WebSocket}, script{websocket: func(s *socket, _ *http.Request) {
			s.say(openPacket)
			s.chatter("6")
		}}, 1 << 20, closeTimeout},
		{"messages do not end", []Transport{WebSocket}, script{websocket: func(s *socket, _ *http.Request) {
			s.say(openPacket)
			s.chatter("4more")
		}}, 1, closeTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newServer(t, tt.script.serve(t))
				defer f.close()
				c := dial(t, f.config(tt.transports...))
				synctest.Wait()
				if tt.bytes > 0 {
					_ = c.Send(false, Message{Data: make([]byte, tt.bytes), Binary: true})
				}
				start := time.Now()
				c.stop(t)
				if d := time.Since(start); d != tt.took {
					t.Errorf("took %v, want %v", d, tt.took)
				}
			})
		})
	}
}

// TestHandlerErrorIsBounded is the same for an end that is not Close: who waits to connect again waits less.
func TestHandlerErrorIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newServer(t, script{websocket: func(s *socket, _ *http.Request) {
			s.say(openPacket, "4bad")
			s.chatter("6")
		}}.serve(t))
		defer f.close()
		start := time.Now()
		var got []string
		c := dialWith(t, f.config(WebSocket), handleFaults(&got))
		_ = c.ended(t, ParseError)
		if d := time.Since(start); d != shutTimeout {
			t.Errorf("took %v", d)
		}
	})
}

// TestCloseInHandler shows that who handles a message may close, and gets no other.
func TestCloseInHandler(t *testing.T) {
	t.Parallel()
	eachWayTimed(t, engineio.Options{}, true, func(t *testing.T, f *fixture, config Config) {
		conns := make(chan *Conn, 1)
		var got []string
		c := dialWith(t, config, func(data []byte, _ bool) error {
			got = append(got, string(data))
			if string(data) == "b" {
				conn := <-conns
				conn.Close()
				if err := conn.Send(true, Message{}); !errors.Is(err, ErrClosed) {
					t.Errorf("Send: %v", err)
				}
				// Long enough for the good-bye.
				pause(t.Context(), time.Second)
			}
			return nil
		})
		conns <- c.Conn
		_ = c.Send(false, Message{Data: []byte("a")}, Message{Data: []byte("b")}, Message{Data: []byte("c")})
		_ = c.ended(t, ForcedClose)
		if s := strings.Join(got, ""); s != "ab" && s != "abc" {
			t.Errorf("got %q", got)
		}
	})
}

// TestPeerWhileClosing shows that the reason is ours once we have closed, whatever the server does then.
func TestPeerWhileClosing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newServer(t, script{
			get: func(w http.ResponseWriter, r *http.Request, _ int) {
				pause(r.Context(), time.Second)
				fmt.Fprint(w, "1")
			},
			post: func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() },
		}.serve(t))
		defer f.close()
		c := dial(t, f.config(Polling))
		c.text(t, "a")
		start := time.Now()
		c.stop(t)
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// TestPingTimeout has a server that says nothing, and one that pings now and then.
func TestPingTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newServer(t, script{websocket: func(s *socket, _ *http.Request) {
			s.say(openPacket)
			for range 3 {
				pause(t.Context(), 44*time.Second)
				s.say("2")
				if said := s.read(); said != "3" {
					t.Errorf("the client said %q", said)
				}
			}
			s.say("4a", "6") // only pings count
			s.linger()
		}}.serve(t))
		defer f.close()
		start := time.Now()
		c := dial(t, f.config(WebSocket))
		_ = c.ended(t, PingTimeout)
		if d := time.Since(start); d != (3*44+45)*time.Second || len(c.pings) != 3 {
			t.Errorf("ended after %v and %d pings", d, len(c.pings))
		}
	})
}

// TestClockStandsStill has a Message that takes its time, with the ping behind it.
func TestClockStandsStill(t *testing.T) {
	t.Parallel()
	for _, transport := range []Transport{Polling, WebSocket} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newServer(t, script{
					websocket: func(s *socket, _ *http.Request) {
						s.say(openPacket)
						pause(t.Context(), 20*time.Second)
						s.say("4a", "4b", "2")
						s.linger()
					},
					get: func(w http.ResponseWriter, r *http.Request, n int) {
						if n > 0 {
							never(w, r, n)
						}
						pause(r.Context(), 20*time.Second)
						fmt.Fprint(w, "4a\x1e4b\x1e2")
					},
				}.serve(t))
				defer f.close()
				start := time.Now()
				c := dialWith(t, f.config(transport), func([]byte, bool) error {
					pause(t.Context(), 10*time.Minute)
					return nil
				})
				<-c.pings
				if d := time.Since(start); d != 20*time.Second+20*time.Minute {
					t.Errorf("the ping came after %v", d)
				}
				start = time.Now()
				_ = c.ended(t, PingTimeout)
				if d := time.Since(start); d != 45*time.Second {
					t.Errorf("ended %v later", d)
				}
			})
		})
	}
}

// TestClockGoesOn shows that only the time of handling is left out.
func TestClockGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newServer(t, script{websocket: func(s *socket, _ *http.Request) {
			s.say(openPacket)
			for pause(t.Context(), 4*time.Second); s.says("4a"); pause(t.Context(), 4*time.Second) {
			}
		}}.serve(t))
		defer f.close()
		start := time.Now()
		c := dialWith(t, f.config(WebSocket), func([]byte, bool) error {
			pause(t.Context(), time.Second)
			return nil
		})
		_ = c.ended(t, PingTimeout)
		// A second of four is not counted.
		if d := time.Since(start); d < 56*time.Second || d > 60*time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

// TestBlockedHandler shows that the end waits for nobody but who handles a message.
func TestBlockedHandler(t *testing.T) {
	t.Parallel()
	eachWayTimed(t, engineio.Options{}, true, func(t *testing.T, f *fixture, config Config) {
		blocked, release := make(chan struct{}), make(chan struct{})
		c := dialWith(t, config, func([]byte, bool) error {
			close(blocked)
			<-release
			return nil
		})
		c.text(t, "a", "b")
		<-blocked
		c.Close()
		pause(t.Context(), closeTimeout+time.Millisecond)
		p := <-f.peers
		if len(p.closed) != 1 {
			t.Error("the server does not know yet")
		}
		select {
		case <-c.over:
			t.Error("Serve has returned with a Message under way")
		default:
		}
		close(release)
		_ = c.ended(t, ForcedClose)
	})
}

// TestGoroutines counts what a connection costs while nothing happens. It is not parallel: others' would count.
func TestGoroutines(t *testing.T) {
	for i, way := range ways {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, engineio.Options{}, true, nil)
			defer f.close()
			config := f.config(way.transports...)
			config.Upgrade = way.upgrade
			c := dial(t, config)
			c.text(t, "hello")
			expect(t, c.messages, "hello")
			if way.upgrade {
				<-c.upgraded
			}
			all := make([]byte, 1<<20)
			var stacks []byte
			frames := 0
			for range 100 { // a goroutine that has ended may be seen for a moment more, under the name of who made it
				synctest.Wait()
				stacks = all[:runtime.Stack(all, true)]
				if frames = bytes.Count(stacks, []byte("engine.(*Conn).")); frames <= []int{2, 4, 4}[i] {
					break
				}
				runtime.Gosched()
			}
			if n := bytes.Count(stacks, []byte("engine.(*Conn).Serve(")); n != 1 {
				t.Errorf("%s: %d goroutines in Serve", way.name, n)
			}
			if frames > []int{2, 4, 4}[i] {
				t.Errorf("%s: %d frames of the connection's:\n%s", way.name, frames, stacks)
			}
			if n := bytes.Count(stacks, []byte("engine.(*Conn).write(")); n != 0 {
				t.Errorf("%s: the writer runs", way.name)
			}
			c.stop(t)
		})
	}
}

// TestServeAfterEnd shows that a context which is done already ends a connection too.
func TestServeAfterEnd(t *testing.T) {
	t.Parallel()
	eachWayTimed(t, engineio.Options{}, false, func(t *testing.T, f *fixture, config Config) {
		conn, err := Dial(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errHandler)
		if reason, err := conn.Serve(ctx, &client{}); reason != ForcedClose || !errors.Is(err, errHandler) {
			t.Errorf("%q, %v", reason, err)
		}
	})
}

// TestNonsenseWhileClosing shows that what was sent before Close leaves, even if the server is heard no more.
func TestNonsenseWhileClosing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		posted, answers := make(chan string, 10), make(chan string, 10)
		polled := make(chan string)
		f := newServer(t, script{
			get: func(w http.ResponseWriter, _ *http.Request, _ int) { fmt.Fprint(w, <-polled) },
			post: func(w http.ResponseWriter, _ *http.Request, body string) {
				posted <- body
				fmt.Fprint(w, <-answers)
			},
		}.serve(t))
		defer f.close()
		c := dial(t, f.config(Polling))
		c.text(t, "a")
		synctest.Wait()
		c.text(t, "b")
		c.Close()
		polled <- "9"
		synctest.Wait()
		for range 3 {
			answers <- "ok"
		}
		if err := c.ended(t, ForcedClose); err != nil {
			t.Errorf("error %v", err)
		}
		expect(t, posted, "4a", "4b", "1")
	})
}
