package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fault is something a server does to an open connection, and how it ends.
type fault struct {
	name   string
	answer func(w http.ResponseWriter, r *http.Request) // to the GET, where it polls
	frames []string                                     // otherwise: bytes on the WebSocket
	want   Reason
	err    string // part of it; "" for no error
	told   bool   // the client said good-bye: a close packet or frame
}

var errHandler = errors.New("not a Socket.IO packet")

// handleFaults is a Handler's Message that refuses one message.
func handleFaults(got *[]string) func(data []byte, binary bool) error {
	return func(data []byte, binary bool) error {
		if string(data) == "bad" {
			return errHandler
		}
		*got = append(*got, fmt.Sprint(string(data), binary))
		return nil
	}
}

func TestPollingFaults(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, tt := range []fault{
		{"a refusal", answer(400, `{"code":1,"message":"Session ID unknown"}`), nil, TransportError, "GET answered with 400 Bad Request: Session ID unknown", false},
		{"an error", answer(500, "oops"), nil, TransportError, "GET answered with 500 Internal Server Error: oops", false},
		{"another success", answer(206, "4late"), nil, TransportError, "206", false},
		{"no packet", answer(200, ""), nil, TransportError, "empty", true},
		{"an empty packet", answer(200, "4one\x1e"), nil, TransportError, "empty packet", true},
		{"an unknown packet", answer(200, "4one\x1e9\x1e4late"), nil, TransportError, "unknown packet type '9'", true},
		{"bad base64", answer(200, "4one\x1eb-"), nil, TransportError, "binary packet", true},
		{"a second open packet", answer(200, "4one\x1e"+openPacket+"\x1e4late"), nil, TransportError, "second open", true},
		{"a close packet", answer(200, "4one\x1e1\x1e4late"), nil, TransportClose, "", false},
		{"not UTF-8", answer(200, "4\xff\xfe"), nil, TransportError, "UTF-8", true},
		{"too much", answer(200, "4"+strings.Repeat("x", 2000)), nil, TransportError, "larger than MaxPayload", true},
		{"half a body", func(w http.ResponseWriter, _ *http.Request) {
			cut(w, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n4late")
		}, nil, TransportError, "unexpected EOF", false},
		{"the end", func(w http.ResponseWriter, _ *http.Request) { cut(w, "") }, nil, TransportError, "broke before the answer came", false},
		{"no answer", hang, nil, PingTimeout, "", false},
		{"no end of an answer", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "4late")
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		}, nil, PingTimeout, "", false},
		{"no sense", answer(200, "4one\x1ebad\x1e4bad\x1e4late"), nil, ParseError, errHandler.Error(), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				told := make(chan string, 10)
				f := newServer(t, script{
					get: func(w http.ResponseWriter, r *http.Request, n int) {
						if n == 0 {
							fmt.Fprint(w, "3\x1e5\x1e6\x1e4zero\x1ebAAAA")
							return
						}
						tt.answer(w, r)
					},
					post: func(w http.ResponseWriter, _ *http.Request, body string) { told <- body; fmt.Fprint(w, "ok") },
				}.serve(t))
				defer f.close()
				config := f.config(Polling)
				config.MaxPayload = 2000
				var got []string
				c := dialWith(t, config, handleFaults(&got))
				start := time.Now()
				tt.check(t, c, &got, told, start)
			})
		})
	}
}

// check waits for the end of the connection and compares how it came.
func (tt *fault) check(t *testing.T, c *client, got *[]string, told chan string, start time.Time) {
	t.Helper()
	err := c.ended(t, tt.want)
	if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
		t.Errorf("error %v, want %q", err, tt.err)
	}
	if tt.want == ParseError && !errors.Is(err, errHandler) {
		t.Errorf("error %v, want the handler's", err)
	}
	took := time.Duration(0)
	if tt.want == PingTimeout {
		took = 45 * time.Second
	}
	if d := time.Since(start); d != took {
		t.Errorf("after %v, want %v", d, took)
	}
	synctest.Wait()
	if tt.told != (len(told) == 1) {
		t.Errorf("said good-bye %d times, want %t", len(told), tt.told)
	}
	for _, m := range *got {
		if strings.HasPrefix(m, "late") {
			t.Errorf("got %q", *got)
		}
	}
}

// net/http would make a GET again by itself when a connection that it had used before has ended without an answer, and a POST that
// has an Idempotency-Key: but the answer may have been on its way, with packets that would be missing, and the POST may have arrived.
func TestRequestsAreNotRepeated(t *testing.T) {
	t.Parallel()
	for _, posting := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			gets, posts := 0, 0
			f := newServer(t, script{
				get: func(w http.ResponseWriter, r *http.Request, n int) {
					gets++
					switch {
					case n == 0:
						fmt.Fprint(w, "4zero")
					case n == 1 && !posting:
						cut(w, "")
					case n == 2:
						fmt.Fprint(w, "4late")
					default:
						<-r.Context().Done()
					}
				},
				post: func(w http.ResponseWriter, _ *http.Request, _ string) {
					if posts++; posts == 2 {
						cut(w, "")
					}
				},
			}.serve(t))
			defer f.close()
			config := f.config(Polling)
			config.Header = http.Header{"Idempotency-Key": {"x"}}
			c := dial(t, config)
			expect(t, c.messages, "zero")
			if posting {
				c.text(t, "one")
				synctest.Wait() // so that the second one finds a connection to use again
				c.text(t, "two")
			}
			if err := c.ended(t, TransportError); !errors.Is(err, errRepeated) {
				t.Errorf("error %v", err)
			}
			if gets != 2 || posting && posts != 2 || len(c.messages) != 0 {
				t.Errorf("%d GETs, %d POSTs, %d messages", gets, posts, len(c.messages))
			}
		})
	}
}

func TestWebSocketFaults(t *testing.T) {
	t.Parallel()
	text := func(s string) string { return string(frame(opText, s)) }
	for _, tt := range []fault{
		{"an unknown packet", nil, []string{text("4one"), text("9"), text("4late")}, TransportError, "unknown packet type '9'", true},
		{"an empty packet", nil, []string{text("")}, TransportError, "empty packet", true},
		{"bad base64", nil, []string{text("b-")}, TransportError, "binary packet", true},
		{"a second open packet", nil, []string{text(openPacket), text("4late")}, TransportError, "second open", true},
		{"a close packet", nil, []string{text("4one"), text("1"), text("4late")}, TransportClose, "", false},
		{"not UTF-8", nil, []string{text("4\xff\xfe"), text("4late")}, TransportError, "UTF-8", true},
		{"too much", nil, []string{text("4" + strings.Repeat("x", 2000))}, TransportError, "read limited", true},
		{"no sense", nil, []string{text("4one"), text("4bad"), text("4late")}, ParseError, errHandler.Error(), true},
		{"a close frame", nil, []string{text("4one"), string(frame(opClose, "\x0f\xa1bye"))}, TransportClose, "closed the websocket: 4001 bye", true},
		{"a close frame without a code", nil, []string{string(frame(opClose, ""))}, TransportClose, "closed the websocket: 1005", true},
		{"a bad close frame", nil, []string{string(frame(opClose, "\x00"))}, TransportError, "close payload", true},
		{"reserved bits", nil, []string{"\xc1\x01x"}, TransportError, "rsv", true},
		{"an unknown opcode", nil, []string{"\x83\x01x"}, TransportError, "opcode", true},
		{"a fragment of nothing", nil, []string{"\x80\x01x"}, TransportError, "continuation", true},
		{"a fragmented ping", nil, []string{"\x09\x00"}, TransportError, "fragmented control", true},
		{"two messages in one", nil, []string{"\x01\x024a\x81\x024b"}, TransportError, "without finishing", true},
		{"the end", nil, []string{text("4one"), "cut"}, TransportClose, "EOF", false},
		{"half a head", nil, []string{text("4late")[:1], "cut"}, TransportClose, "EOF", false},
		{"half a message", nil, []string{text("4late")[:5], "cut"}, TransportClose, "EOF", false},
		{"half of a long message", nil, []string{"\x01\x054late", "cut"}, TransportClose, "EOF", false},
		{"silence", nil, nil, PingTimeout, "", false},
		{"half a message and silence", nil, []string{text("4late")[:5]}, PingTimeout, "", false},
		{"no protocol", nil, []string{"HTTP/1.1 400 Bad Request\r\n\r\n"}, TransportError, "rsv", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				told := make(chan string, 10)
				f := newServer(t, script{
					websocket: func(s *socket, _ *http.Request) {
						s.say(openPacket, "3", "5", "6", "4zero", "bAAAA")
						for _, b := range tt.frames {
							if b == "cut" {
								return
							}
							_, _ = io.WriteString(s.conn, b)
						}
						for {
							said := s.read()
							if said == "error" {
								return
							}
							told <- said
							if said == "close" {
								_, _ = s.conn.Write(frame(opClose, "\x03\xe8"))
								return
							}
						}
					},
				}.serve(t))
				defer f.close()
				config := f.config(WebSocket)
				config.MaxPayload = 2000
				var got []string
				c := dialWith(t, config, handleFaults(&got))
				start := time.Now()
				tt.check(t, c, &got, told, start)
			})
		})
	}
}

// TestFragments shows that a message may come in parts, with pings of the WebSocket's own between them.
func TestFragments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newServer(t, script{websocket: func(s *socket, _ *http.Request) {
			s.say(openPacket)
			_, _ = io.WriteString(s.conn, "\x01\x024a\x00\x00\x89\x01p\x80\x01b")
			s.linger()
		}}.serve(t))
		defer f.close()
		c := dial(t, f.config(WebSocket))
		expect(t, c.messages, "ab")
		c.stop(t)
	})
}

// TestPostFaults has a POST that fails: nothing more is asked of the server.
func TestPostFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		post func(w http.ResponseWriter, r *http.Request, body string)
		want Reason
		err  string
	}{
		{"too large", func(w http.ResponseWriter, _ *http.Request, _ string) { w.WriteHeader(413) }, TransportError, "POST answered with 413"},
		{"a refusal", func(w http.ResponseWriter, _ *http.Request, _ string) {
			answer(400, `{"code":3,"message":"Bad request"}`)(w, nil)
		}, TransportError, "POST answered with 400 Bad Request: Bad request"},
		{"the end", func(w http.ResponseWriter, _ *http.Request, _ string) { cut(w, "") }, TransportError, "POST: EOF"},
		{"half a body", func(w http.ResponseWriter, _ *http.Request, _ string) {
			cut(w, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
		}, TransportError, "POST: unexpected EOF"},
		{"no answer", func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }, PingTimeout, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				posts := 0
				f := newServer(t, script{get: never, post: func(w http.ResponseWriter, r *http.Request, body string) {
					posts++
					tt.post(w, r, body)
				}}.serve(t))
				defer f.close()
				c := dial(t, f.config(Polling))
				c.text(t, "one")
				synctest.Wait()
				_ = c.Send(false, Message{Data: []byte("two")})
				flushed := make(chan error)
				go func() { flushed <- c.Flush(t.Context()) }()
				err := c.ended(t, tt.want)
				if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				if posts != 1 {
					t.Errorf("%d POSTs", posts)
				}
				if err := <-flushed; !errors.Is(err, ErrClosed) {
					t.Errorf("Flush: %v", err)
				}
				if p, b := c.Buffered(); p != 0 || b != 0 {
					t.Errorf("%d packets, %d bytes left", p, b)
				}
			})
		})
	}
}

// TestRequestTimeout bounds each request of polling (C-4).
func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"open", "get", "body", "post"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script{get: never, post: func(_ http.ResponseWriter, r *http.Request, _ string) { <-r.Context().Done() }}
				switch stage {
				case "open":
					s.open = func(w http.ResponseWriter, r *http.Request) { never(w, r, 0) }
				case "body":
					s.get = func(w http.ResponseWriter, r *http.Request, n int) {
						fmt.Fprint(w, "4")
						_ = http.NewResponseController(w).Flush()
						never(w, r, n)
					}
				case "post":
					s.get = func(w http.ResponseWriter, r *http.Request, n int) {
						pause(r.Context(), 6*time.Second)
						fmt.Fprint(w, "6")
					}
				}
				f := newServer(t, s.serve(t))
				defer f.close()
				config := f.config(Polling)
				config.RequestTimeout = 7 * time.Second
				start := time.Now()
				var err error
				if stage == "open" {
					_, err = Dial(t.Context(), config)
				} else {
					c := dial(t, config)
					if stage == "post" {
						c.text(t, "hello")
					}
					err = c.ended(t, TransportError)
				}
				if !errors.Is(err, errRequestTimeout) || time.Since(start) != config.RequestTimeout {
					t.Errorf("error %v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// pause waits, or until nobody waits for it any more.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
