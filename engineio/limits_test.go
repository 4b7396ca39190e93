package engineio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// from serves requests as if they came from the address in their header X-Address; others come from none.
func (f *fixture) from() {
	next := f.http.Handler
	f.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("X-Address"); a != "" {
			r.RemoteAddr = a
		}
		next.ServeHTTP(w, r)
	})
}

// raw sends a request in pieces, and returns the connection.
func (f *fixture) raw(request string) (net.Conn, *bufio.Reader) {
	f.t.Helper()
	conn, err := f.listener.Dial()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		f.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// answer reads a whole answer.
func answer(t *testing.T, r *bufio.Reader) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestLimitsAreChecked(t *testing.T) {
	t.Parallel()
	for _, l := range []Limits{
		{MaxSessions: -1}, {MaxPerAddress: -1}, {MaxHandshakes: -1}, {HandshakeTimeout: -1}, {HandshakeBytes: -1}, {HandshakeRate: -1},
		{HandshakeRate: 1e-9}, {HandshakeRate: 1, HandshakeBurst: 1e7}, {Strikes: Strikes{Limit: -1}}, {Strikes: Strikes{Window: -1}},
		{Strikes: Strikes{Ban: -1}}, {MaxAddresses: -1}, {PacketsPerPost: -1}, {Fragments: -1}, {MessageTimeout: -1}, {BodyTimeout: -1}, {AnswerTimeout: -1},
	} {
		if _, err := New(Options{Limits: l}, nil); err == nil || !strings.Contains(err.Error(), "Limits.") {
			t.Errorf("%+v: %v", l, err)
		}
	}
	strict := StrictLimits()
	complete, err := strict.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if strict.MaxAddresses = complete.MaxAddresses; strict != complete {
		t.Errorf("the preset leaves something to the defaults: %+v, %+v", strict, complete)
	}
	// What bounds memory, size and time is on without being asked for, and what hits whole networks is not.
	o, err := Options{}.withDefaults()
	l := o.Limits
	if err != nil || l.MaxHandshakes == 0 || l.HandshakeTimeout == 0 || l.HandshakeBytes == 0 || l.PacketsPerPost == 0 ||
		l.Fragments == 0 || l.MessageTimeout == 0 || l.BodyTimeout == 0 || l.AnswerTimeout == 0 || l.MaxAddresses == 0 || l.byAddress() || l.MaxSessions != 0 {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestMaxSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book errorBook
		f := newFixture(t, Options{Limits: Limits{MaxSessions: 2}, OnConnectionError: book.add}, true)
		defer f.close()
		sid, _ := f.openPolling()
		c, r := f.openWS()
		for range 2 {
			status, body, h := f.do("GET", base, "")
			if status != 503 || body != `{"code":4,"message":"the server is full"}` || h.Get("Retry-After") == "" {
				t.Errorf("%d %s %v", status, body, h)
			}
		}
		if resp, body := f.handshake(""); resp.StatusCode != 503 || body != "the server is full" {
			t.Errorf("websocket: %d %s", resp.StatusCode, body)
		}
		var met *LimitError
		if errs := book.take(); len(errs) != 3 || !errors.As(&errs[0], &met) || met.Limit != "Limits.MaxSessions" || errs[0].Context != met.Limit {
			t.Errorf("%+v", errs)
		}
		// Those that are in are served, and a place that was given up is there for the next.
		if status, _, _ := f.do("POST", base+"&sid="+sid, "4x"); status != 200 {
			t.Errorf("post: %d", status)
		}
		c.conn.Close()
		<-r.closed
		synctest.Wait()
		f.openWS()
		if resp, _ := f.handshake("&sid=" + sid); resp.StatusCode != 101 {
			t.Errorf("an upgrade takes no place, but: %d", resp.StatusCode)
		}
		if s := f.server.Stats().Limits; s.Sessions != 3 || s.Pending != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// AllowRequest and its like may be slow; who waits for it is bounded in number and in time.
func TestPendingHandshakes(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				slow := func(r *http.Request) error {
					<-r.Context().Done()
					return r.Context().Err()
				}
				o := Options{Limits: Limits{MaxHandshakes: 3, HandshakeTimeout: 5 * time.Second}}
				var f *fixture
				request := "GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: perch.test\r\n\r\n"
				if plain {
					f = newPlain(t, o, Plain{}, func(_ *Session, r *http.Request) error { return slow(r) }).fixture
					request = plainRequest + "\r\n"
				} else {
					o.AllowRequest = slow
					f = newFixture(t, o, true)
				}
				defer f.close()
				var waiting []*bufio.Reader
				for range 3 {
					_, r := f.raw(request)
					waiting = append(waiting, r)
				}
				synctest.Wait()
				if s := f.server.Stats().Limits; s.Pending != 3 {
					t.Errorf("%+v", s)
				}
				_, r := f.raw(request)
				if status, body := answer(t, r); status != 503 || !strings.Contains(body, "the server is busy") {
					t.Errorf("%d %s", status, body)
				}
				began := time.Now()
				for _, r := range waiting {
					if status, body := answer(t, r); status != 503 || !strings.Contains(body, "the handshake took too long") {
						t.Errorf("%d %s", status, body)
					}
				}
				if d := time.Since(began); d != 5*time.Second {
					t.Errorf("after %v", d)
				}
				synctest.Wait()
				if s := f.server.Stats().Limits; s.Pending != 0 || s.Handshakes != 1 || s.HandshakeTimeouts != 3 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// The same for GenerateID and for middlewares, whose request's context ends too.
func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow bool
		f := newFixture(t, Options{
			Limits: Limits{HandshakeTimeout: time.Second},
			GenerateID: func(r *http.Request) (string, error) {
				if slow {
					<-r.Context().Done()
					return "", r.Context().Err()
				}
				return newID(), nil
			},
		}, true)
		defer f.close()
		sid, _ := f.openPolling()
		slow = true
		if status, _, _ := f.do("GET", base, ""); status != 503 {
			t.Errorf("%d", status)
		}
		slow = false
		f.server.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Slow") != "" {
					<-r.Context().Done()
				}
				next.ServeHTTP(w, r)
			})
		})
		if status, _, _ := f.do("GET", base, "", "X-Slow", "1"); status != 503 {
			t.Errorf("middleware: %d", status)
		}
		go func() {
			<-time.After(20 * time.Second)
			f.server.sessions.find(sid).SendText([]byte("late"))
		}()
		if status, body, _ := f.do("GET", base+"&sid="+sid, ""); status != 200 || body != "4late" {
			t.Errorf("a poll is no handshake: %d %s", status, body)
		}
		if s := f.server.Stats(); s.Limits.HandshakeTimeouts != 2 || s.Sessions != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A session keeps its request, so that has a size (CVE-2024-37890 is another reason).
func TestHandshakeBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, true)
		defer f.close()
		long := strings.Repeat("x", DefaultHandshakeBytes)
		if status, body, _ := f.do("GET", base, "", "Cookie", long); status != 431 || !strings.Contains(body, "URL and headers are too long") {
			t.Errorf("%d %s", status, body)
		}
		if status, _, _ := f.do("GET", base+"&token="+long, ""); status != 431 {
			t.Errorf("URL: %d", status)
		}
		if status, _, _ := f.do("GET", base, "", "Cookie", long[:DefaultHandshakeBytes-1000]); status != 200 {
			t.Errorf("%d", status)
		}
		if s := f.server.Stats(); s.Limits.HandshakeBytes != 2 || s.Opened != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPacketsPerPost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, url, one, many string }{
		{"protocol 4", base, "4a\x1e4b\x1e4c", "4a\x1e4b\x1e4c\x1e4d"},
		{"protocol 3", strings.Replace(base, "EIO=4", "EIO=3", 1), "2:4a2:4b2:4c", "2:4a2:4b2:4c2:4d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, Options{AllowEIO3: true, Limits: Limits{PacketsPerPost: 3}}, false)
			defer f.close()
			_, open, _ := f.do("GET", tt.url, "")
			open = open[strings.IndexByte(open, '{')-1:]
			r := <-f.sessions
			url := tt.url + "&sid=" + openID(t, open[:strings.LastIndexByte(open, '}')+1])
			if status, _, _ := f.do("POST", url, tt.one); status != 200 {
				t.Errorf("%d", status)
			}
			status, body, _ := f.do("POST", url, tt.many)
			if status != 400 || body != `{"code":3,"message":"too many packets in one body"}` {
				t.Errorf("%d %s", status, body)
			}
			if reason := <-r.closed; reason != ReasonForcedServerClose {
				t.Error(reason)
			}
			if s := f.server.Stats(); s.Limits.Packets != 1 || s.Sessions != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// CVE-2026-48779: many small fragments, and a message that never gets complete.
func TestFragments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{Limits: Limits{Fragments: 10}}, true)
		defer f.close()
		c, r := f.openWS()
		send := func(n int, last bool) {
			for i := range n {
				frame := masked(wsframe.Text, "4")
				if i > 0 {
					frame[0] = 0
				} else {
					frame[0] &^= 0x80
				}
				if i == n-1 && last {
					frame[0] |= 0x80
				}
				_, _ = c.conn.Write(frame)
			}
		}
		send(10, true)
		if got := c.read(); got != "4444444444" {
			t.Errorf("%s", got)
		}
		send(11, false)
		if got := c.read(); got != "close:1009" {
			t.Errorf("%s", got)
		}
		if reason := <-r.closed; reason != ReasonTransportError {
			t.Error(reason)
		}
		if s := f.server.Stats().Limits; s.Fragments != 1 || s.Payloads != 0 {
			t.Errorf("%+v", s)
		}
		c.conn.Close()
	})
}

func TestMessageTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newPlain(t, Options{PingInterval: time.Hour, Limits: Limits{MessageTimeout: 10 * time.Second}}, Plain{}, nil)
		defer f.close()
		c, r := f.open("")
		// One that trickles, with pongs in between as only plain clients can.
		first := masked(wsframe.Text, "x")
		first[0] &^= 0x80
		began := time.Now()
		for _, err := c.conn.Write(first); err == nil && time.Since(began) < time.Minute; {
			<-time.After(time.Second)
			more := masked(wsframe.Text, "x")
			more[0] = 0
			if _, err = c.conn.Write(append(more, masked(wsframe.Pong, "")...)); err != nil || len(r.closed) > 0 {
				break
			}
		}
		if reason := <-r.closed; reason != ReasonTransportError {
			t.Error(reason)
		}
		if d := time.Since(began); d < 10*time.Second || d > 12*time.Second {
			t.Errorf("after %v", d)
		}
		if got := c.read(); got != "close:1008" {
			t.Errorf("%s", got)
		}
		if s := f.server.Stats().Limits; s.MessageTimeouts != 1 {
			t.Errorf("%+v", s)
		}
		c.conn.Close()

		// Reads that always end in the middle of some message are no slow message.
		c, r = f.open("")
		all := strings.Repeat(string(masked(wsframe.Text, "message")), 20)
		cut := len(all)/20 - 3
		for i := range 20 {
			end := min((i+1)*len(all)/20+cut, len(all))
			_, _ = io.WriteString(c.conn, all[:end][max(0, i*len(all)/20+cut)*min(i, 1):])
			<-time.After(3 * time.Second)
		}
		synctest.Wait()
		if len(r.messages) != 20 || len(r.closed) != 0 {
			t.Errorf("%d messages, %d closed", len(r.messages), len(r.closed))
		}
		c.conn.Close()
	})
}

// The body of a POST that trickles (CVE-2026-59725), and one that nobody reads.
func TestBodyTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{PingInterval: time.Hour, Limits: Limits{BodyTimeout: 7 * time.Second}}, true)
		defer f.close()
		sid, rec := f.openPolling()
		trickle := func(request string) (status int, body string, after time.Duration) {
			t.Helper()
			began := time.Now()
			conn, r := f.raw(request + " HTTP/1.1\r\nHost: perch.test\r\nContent-Length: 1000\r\n\r\n")
			go func() {
				for {
					<-time.After(time.Second)
					if _, err := io.WriteString(conn, "x"); err != nil || time.Since(began) > time.Minute {
						return
					}
				}
			}()
			status, body = answer(t, r)
			_, _ = r.ReadByte() // until it is closed
			return status, body, time.Since(began)
		}
		status, body, after := trickle("POST /engine.io/?EIO=4&transport=polling&sid=" + sid)
		if status != 408 || body != `{"code":3,"message":"a body took too long to arrive"}` || after < 7*time.Second || after > 7*time.Second+closeTimeout {
			t.Errorf("%d %s after %v", status, body, after)
		}
		if reason := <-rec.closed; reason != ReasonTransportError {
			t.Error(reason)
		}
		if s := f.server.Stats().Limits; s.BodyTimeouts != 1 {
			t.Errorf("%+v", s)
		}
		// Those that are refused for something else, and those that have a body without need.
		for _, request := range []string{
			"POST /engine.io/?EIO=4&transport=polling&sid=unknown", "POST /engine.io/?EIO=4&transport=polling",
			"GET /engine.io/?EIO=4&transport=polling", "OPTIONS /engine.io/?EIO=4&transport=polling",
		} {
			if _, _, after := trickle(request); after > 7*time.Second+closeTimeout {
				t.Errorf("%s: after %v", request, after)
			}
		}
		// A middleware that reads it, or answers without.
		f.server.Use(func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					_, _ = io.Copy(io.Discard, r.Body)
				}
				w.WriteHeader(http.StatusTeapot)
			})
		})
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if status, _, after := trickle(method + " /engine.io/?EIO=4&transport=polling"); status != http.StatusTeapot || after > 8*time.Second {
				t.Errorf("middleware, %s: %d after %v", method, status, after)
			}
		}
	})
}

// A poll whose answer is not taken, and refusals that are not.
func TestAnswerTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{PingInterval: time.Hour, NoHTTPCompression: true, Limits: Limits{AnswerTimeout: 4 * time.Second}}, true)
		defer f.close()
		sid, rec := f.openPolling()
		_ = rec.session.SendText([]byte(strings.Repeat("x", 1<<20)))
		began := time.Now()
		conn, _ := f.raw("GET /engine.io/?EIO=4&transport=polling&sid=" + sid + " HTTP/1.1\r\nHost: perch.test\r\n\r\n")
		if reason := <-rec.closed; reason != ReasonTransportError || time.Since(began) != 4*time.Second {
			t.Errorf("%s after %v", reason, time.Since(began))
		}
		if s := f.server.Stats().Limits; s.AnswerTimeouts != 1 {
			t.Errorf("%+v", s)
		}
		conn.Close()

		bad := "GET /engine.io/?EIO=4&transport=polling&sid=unknown HTTP/1.1\r\nHost: perch.test\r\n\r\n"
		conn, _ = f.raw("")
		began = time.Now()
		for err := error(nil); err == nil && time.Since(began) < time.Minute; {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err = io.WriteString(conn, strings.Repeat(bad, 10)); errors.Is(err, os.ErrDeadlineExceeded) {
				err = nil
			}
		}
		if d := time.Since(began); d > 6*time.Second {
			t.Errorf("a client that takes no refusals was given %v", d)
		}
	})
}

// What a compressed message may be, and how it is counted.
func TestInflationIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{MaxPayload: 10_000, PerMessageDeflate: &Deflate{}}, true)
		defer f.close()
		c, _ := f.deflating()
		_, _ = c.conn.Write(deflatedFrame("4" + strings.Repeat("x", 1_000_000)))
		if got := c.read(); got != "close:1009" {
			t.Errorf("%.20s", got)
		}
		c.conn.Close()
		sid, _ := f.openPolling()
		if status, _, _ := f.do("POST", base+"&sid="+sid, "4"+strings.Repeat("x", 10_000)); status != 413 {
			t.Errorf("%d", status)
		}
		if s := f.server.Stats().Limits; s.Payloads != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// A connection that has not become its session's transport has little to say.
func TestProbesAreSmall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, true)
		defer f.close()
		sid, r := f.openPolling()
		c := f.dial("&sid=" + sid)
		c.send(strings.Repeat("x", maxProbe+1))
		if got := c.read(); got != "close:1009" {
			t.Errorf("%s", got)
		}
		c.conn.Close()
		synctest.Wait()
		c = f.dial("&sid=" + sid)
		long := "4" + strings.Repeat("x", 10*maxProbe)
		c.send("2probe", "5", long)
		c.read()
		if got := c.read(); got != long {
			t.Errorf("%s", got)
		}
		c.conn.Close()
		<-r.closed
	})
}

// Connections that are turned away with a close frame are no sessions, so they are counted by themselves.
func TestTurnedAwayAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, true)
		defer f.close()
		sid, _ := f.openPolling()
		first := f.dial("&sid=" + sid)
		defer first.conn.Close()
		var conns []net.Conn
		for range maxTurning {
			c := f.dial("&sid=" + sid)
			conns = append(conns, c.conn)
		}
		if resp, _ := f.handshake("&sid=" + sid); resp.StatusCode != 400 {
			t.Errorf("%d", resp.StatusCode)
		}
		for _, c := range conns {
			c.Close()
		}
		synctest.Wait()
		if resp, _ := f.handshake("&sid=" + sid); resp.StatusCode != 101 {
			t.Errorf("%d", resp.StatusCode)
		}
		if n := f.server.turning.Load(); n > 1 {
			t.Errorf("%d", n)
		}
	})
}
