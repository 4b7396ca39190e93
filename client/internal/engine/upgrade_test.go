package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/engineio"
)

// upgrading is a server whose polls are answered with noops once a second, and whose WebSocket is the test's.
func upgrading(t *testing.T, posted chan string, ws func(s *socket)) script {
	return script{
		get: func(w http.ResponseWriter, r *http.Request, _ int) {
			pause(r.Context(), time.Second)
			fmt.Fprint(w, "6")
		},
		post: func(w http.ResponseWriter, _ *http.Request, body string) {
			if posted != nil {
				posted <- body
			}
			fmt.Fprint(w, "ok")
		},
		websocket: func(s *socket, r *http.Request) {
			if r.URL.Query().Get("sid") != "abc" {
				t.Errorf("upgrade of %s", r.URL)
			}
			pause(context.Background(), time.Millisecond) // the first poll is there before
			ws(s)
		},
	}
}

// TestFailedUpgrade shows that polling goes on as if nothing had been.
func TestFailedUpgrade(t *testing.T) {
	t.Parallel()
	answers := func(frames ...[]byte) func(s *socket) {
		return func(s *socket) {
			if said := s.read(); said != "2probe" {
				t.Errorf("the client said %q", said)
			}
			for _, f := range frames {
				_, _ = s.conn.Write(f)
			}
			s.linger()
		}
	}
	for _, tt := range []struct {
		name  string
		ws    func(s *socket)
		err   string
		after time.Duration
	}{
		{"refused", nil, "400", 0},
		{"cut", func(*socket) {}, "", 0},
		{"cut after the probe", func(s *socket) { s.read() }, "EOF", 0},
		{"no answer", answers(), context.DeadlineExceeded.Error(), probeTimeout},
		{"the wrong pong", answers(frame(opText, "3")), errNotProbe.Error(), 0},
		{"another packet", answers(frame(opText, "4probe")), errNotProbe.Error(), 0},
		{"nonsense", answers(frame(opText, "")), errNotProbe.Error(), 0},
		{"a binary pong", answers(frame(opBinary, "3probe")), errNotProbe.Error(), 0},
		{"too early", answers(frame(opText, "3probe"), frame(opText, "4early")), errEarly.Error(), 0},
		{"a bad frame after the pong", answers(frame(opText, "3probe"), []byte("\xf1\x00")), "rsv", 0},
		{"closed after the pong", answers(frame(opText, "3probe"), frame(opClose, "\x03\xe8")), "1000", 0},
		{"cut after the pong", func(s *socket) { s.read(); s.say("3probe") }, "EOF", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				posted := make(chan string, 10)
				s := upgrading(t, posted, tt.ws)
				if tt.ws == nil {
					s.upgrade = func(w http.ResponseWriter, _ *http.Request) bool {
						http.Error(w, "no", http.StatusBadRequest)
						return false
					}
				}
				f := newServer(t, s.serve(t))
				defer f.close()
				start := time.Now()
				c := dial(t, f.config(Polling, WebSocket))
				if err := <-c.failed; !strings.Contains(err.Error(), tt.err) || time.Since(start).Truncate(time.Second) != tt.after {
					t.Errorf("%v after %v, want %q after %v", err, time.Since(start), tt.err, tt.after)
				}
				c.text(t, "still here")
				expect(t, posted, "4still here")
				pause(t.Context(), 10*time.Second)
				if c.Transport() != Polling || len(c.upgraded) > 0 || len(c.failed) > 0 {
					t.Errorf("on %s, %d upgrades, %d more failures", c.Transport(), len(c.upgraded), len(c.failed))
				}
				c.stop(t)
				expect(t, posted, "1")
			})
		})
	}
}

// deafConn is a connection that fails when the upgrade packet is written, and says nothing to who reads.
type deafConn struct {
	net.Conn
	frames int // written after the handshake
	ws     bool
}

func (c *deafConn) Write(p []byte) (int, error) {
	if c.ws {
		c.frames++
	}
	if c.frames == 2 {
		return 0, errHandler
	}
	c.ws = c.ws || bytes.Contains(p, []byte("Upgrade: websocket"))
	return c.Conn.Write(p)
}

// TestFailedSwitch has a WebSocket that breaks at the last moment.
func TestFailedSwitch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		posted := make(chan string, 10)
		f := newServer(t, upgrading(t, posted, func(s *socket) {
			s.read()
			s.say("3probe")
			s.linger()
		}).serve(t))
		defer f.close()
		transport := f.client.Transport.(*http.Transport)
		inner := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := inner(ctx, network, address)
			return &deafConn{Conn: conn}, err
		}
		c := dial(t, f.config(Polling, WebSocket))
		pause(t.Context(), 2*time.Millisecond)
		c.text(t, "held")
		if err := <-c.failed; !errors.Is(err, errHandler) {
			t.Errorf("error %v", err)
		}
		expect(t, posted, "4held")
		pause(t.Context(), 10*time.Second)
		c.stop(t)
		expect(t, posted, "1")
	})
}

// TestNoUpgrade shows when none is tried.
func TestNoUpgrade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		open   string
		change func(*Config)
	}{
		{"not offered", strings.Replace(openPacket, "websocket", "webtransport", 1), func(*Config) {}},
		{"not wanted", openPacket, func(c *Config) { c.Upgrade = false }},
		{"not listed", openPacket, func(c *Config) { c.Transports = []Transport{Polling} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newServer(t, script{open: answer(200, tt.open), get: never}.serve(t))
				defer f.close()
				config := f.config(Polling, WebSocket)
				tt.change(&config)
				c := dial(t, config)
				synctest.Wait()
				c.stop(t)
			})
		})
	}
}

// TestUpgradeWaits shows that the GET and the POST in flight are finished first, that what is sent meanwhile goes over the
// WebSocket, after the upgrade packet, and that what polling brought comes first.
func TestUpgradeWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pong := make(chan struct{})
		heard, got, answerGet, answerPost := make(chan string, 10), make(chan string, 10), make(chan string, 1), make(chan string, 1)
		s := upgrading(t, nil, func(s *socket) {
			heard <- s.read()
			<-pong
			s.say("3probe")
			for said := s.read(); said != "error"; said = s.read() {
				heard <- said
				switch said {
				case "5":
					s.say("4two")
				case "close":
					_, _ = s.conn.Write(frame(opClose, "\x03\xe8"))
				}
			}
		})
		s.get = func(w http.ResponseWriter, r *http.Request, n int) {
			if n > 0 {
				t.Error("another GET")
			}
			fmt.Fprint(w, <-answerGet)
		}
		s.post = func(w http.ResponseWriter, _ *http.Request, body string) {
			got <- body
			fmt.Fprint(w, <-answerPost)
		}
		f := newServer(t, s.serve(t))
		defer f.close()
		c := dial(t, f.config(Polling, WebSocket))
		c.text(t, "a")
		expect(t, got, "4a")
		expect(t, heard, "2probe")
		pong <- struct{}{}
		synctest.Wait()
		c.text(t, "b", "c")
		if p, b := c.Buffered(); p != 3 || b != 6 || c.Writable() || c.Transport() != Polling {
			t.Errorf("%d packets, %d bytes, on %s", p, b, c.Transport())
		}
		answerPost <- "ok"
		synctest.Wait()
		if len(heard) > 0 || len(c.upgraded) > 0 {
			t.Error("upgraded with a GET in flight")
		}
		answerGet <- "4one\x1e2"
		expect(t, heard, "5", "4b", "4c", "3")
		expect(t, c.messages, "one", "two")
		<-c.upgraded
		c.stop(t)
		expect(t, heard, "close")
	})
}

// TestUpgradeWithPost is the same with a POST that takes longer than the GET.
func TestUpgradeWithPost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		heard, posting := make(chan string, 10), make(chan struct{})
		s := upgrading(t, nil, func(s *socket) {
			heard <- s.read()
			<-posting
			s.say("3probe")
			heard <- s.read()
			s.linger()
		})
		s.post = func(w http.ResponseWriter, r *http.Request, _ string) {
			close(posting)
			pause(r.Context(), 5*time.Second)
			fmt.Fprint(w, "ok")
		}
		f := newServer(t, s.serve(t))
		defer f.close()
		start := time.Now()
		c := dial(t, f.config(Polling, WebSocket))
		c.text(t, "a")
		expect(t, heard, "2probe", "5")
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("upgraded after %v", d)
		}
		<-c.upgraded
		c.stop(t)
	})
}

// TestUpgradeGivenUp has a server that never answers the poll: its own bound for upgrades ends the WebSocket, and polling goes on.
func TestUpgradeGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		posted := make(chan string, 10)
		s := upgrading(t, posted, func(s *socket) {
			s.read()
			s.say("3probe")
			pause(t.Context(), 10*time.Second)
		})
		s.get = never
		f := newServer(t, s.serve(t))
		defer f.close()
		c := dial(t, f.config(Polling, WebSocket))
		pause(t.Context(), 2*time.Millisecond)
		c.text(t, "held")
		<-c.failed
		expect(t, posted, "4held")
		c.stop(t)
	})
}

// TestCloseWhileUpgrading closes at each stage of an upgrade; what was sent arrives all the same.
func TestCloseWhileUpgrading(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		pong bool
	}{
		{"before the probe is answered", false},
		{"while a poll is awaited", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				posted, heard := make(chan string, 10), make(chan string, 10)
				f := newServer(t, upgrading(t, posted, func(s *socket) {
					s.read()
					if tt.pong {
						s.say("3probe")
					}
					for said := s.read(); said != "error"; said = s.read() {
						heard <- said
					}
				}).serve(t))
				defer f.close()
				c := dial(t, f.config(Polling, WebSocket))
				pause(t.Context(), 2*time.Millisecond)
				start := time.Now()
				c.text(t, "last words")
				c.stop(t)
				if d := time.Since(start); d != 0 {
					t.Errorf("took %v", d)
				}
				expect(t, posted, "4last words", "1")
				if len(heard) > 0 {
					t.Errorf("heard %q on the WebSocket", <-heard)
				}
				if len(c.failed) > 0 {
					t.Errorf("%v is no news to who closed", <-c.failed)
				}
			})
		})
	}
}

// TestEndWhileUpgrading ends the connection at each stage.
func TestEndWhileUpgrading(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ws   func(s *socket)
	}{
		{"connecting", nil},
		{"probing", func(s *socket) { s.linger() }},
		{"probed", func(s *socket) { s.read(); s.say("3probe"); s.linger() }},
	} {
		for _, how := range []Reason{ForcedClose, PingTimeout, TransportError, TransportClose, ParseError} {
			t.Run(tt.name+"/"+string(how), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := upgrading(t, make(chan string, 10), tt.ws)
					// The poll is not answered before it is what ends the connection.
					s.get = func(w http.ResponseWriter, r *http.Request, _ int) {
						pause(r.Context(), time.Second)
						switch how {
						case TransportError:
							w.WriteHeader(500)
						case TransportClose:
							fmt.Fprint(w, "1")
						case ParseError:
							fmt.Fprint(w, "4bad")
						default:
							never(w, r, 0)
						}
					}
					if tt.ws == nil {
						s.upgrade = func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return false }
					}
					f := newServer(t, s.serve(t))
					defer f.close()
					config := f.config(Polling, WebSocket)
					var got []string
					c := dialWith(t, config, handleFaults(&got))
					if how == ForcedClose {
						pause(t.Context(), time.Second)
						c.cancel()
					}
					_ = c.ended(t, how)
					if len(c.upgraded) > 0 {
						t.Error("upgraded")
					}
				})
			})
		}
	}
}

// TestEndAfterUpgrade shows that it is the WebSocket whose end counts, once polling has stopped.
func TestEndAfterUpgrade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		after func(s *socket)
		want  Reason
	}{
		{"cut", func(*socket) {}, TransportClose},
		{"a close frame", func(s *socket) { _, _ = s.conn.Write(frame(opClose, "\x03\xe8")); s.linger() }, TransportClose},
		{"a bad frame", func(s *socket) { _, _ = s.conn.Write([]byte("\xf1\x00")); s.linger() }, TransportError},
		{"silence", func(s *socket) { s.linger() }, PingTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newServer(t, upgrading(t, nil, func(s *socket) {
					s.read()
					s.say("3probe")
					s.read()
					tt.after(s)
				}).serve(t))
				defer f.close()
				c := dial(t, f.config(Polling, WebSocket))
				_ = c.ended(t, tt.want)
				if len(c.upgraded) != 1 || len(c.failed) > 0 || c.Transport() != WebSocket {
					t.Errorf("%d upgrades, %d failures, on %s", len(c.upgraded), len(c.failed), c.Transport())
				}
			})
		})
	}
}

// TestHandlerTakesTurns has a Message that blocks while the upgrade fails: the methods of the Handler are called one at a time.
func TestHandlerTakesTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := upgrading(t, nil, func(s *socket) { pause(t.Context(), time.Second) })
		s.get = func(w http.ResponseWriter, r *http.Request, n int) {
			if n > 0 {
				never(w, r, n)
			}
			fmt.Fprint(w, "4block")
		}
		f := newServer(t, s.serve(t))
		defer f.close()
		start := time.Now()
		c := dialWith(t, f.config(Polling, WebSocket), func([]byte, bool) error {
			pause(t.Context(), 3*time.Second)
			return nil
		})
		<-c.failed
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("told of the failure after %v", d)
		}
		c.stop(t)
	})
}

// TestManyUpgrades upgrades many connections to our own server at once, with messages on their way both ways.
func TestManyUpgrades(t *testing.T) {
	t.Parallel()
	f := newFixture(t, engineio.Options{}, true, loopback(t))
	defer f.close()
	over := make(chan struct{})
	const n, messages = 50, 100
	for range n {
		go func() {
			defer func() { over <- struct{}{} }()
			c := dial(t, f.config(Polling, WebSocket))
			for i := range messages {
				c.text(t, fmt.Sprint(i))
				if i%10 == 9 {
					for j := i - 9; j <= i; j++ {
						expect(t, c.messages, fmt.Sprint(j))
					}
				}
			}
			c.stop(t)
		}()
	}
	for range n {
		<-over
	}
}
