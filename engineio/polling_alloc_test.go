package engineio

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// poller speaks HTTP on one connection that is kept alive, and costs nothing but system calls.
type poller struct {
	tb   testing.TB
	conn net.Conn
	buf  []byte
}

func newPoller(tb testing.TB, h http.Handler, count *counter) *poller {
	tb.Helper()
	ts := httptest.NewUnstartedServer(h)
	if count != nil {
		ts.Listener = countingListener{ts.Listener, count}
	}
	ts.Start()
	tb.Cleanup(ts.Close)
	conn, err := net.Dial("tcp", strings.TrimPrefix(ts.URL, "http://"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // an answer without length fails the test
	return &poller{tb, conn, make([]byte, 64<<10)}
}

// do sends a request and returns the body of its answer, which is good until the next one.
func (p *poller) do(request []byte) []byte {
	p.tb.Helper()
	if _, err := p.conn.Write(request); err != nil {
		p.tb.Fatal(err)
	}
	for n := 0; ; {
		m, err := p.conn.Read(p.buf[n:])
		if err != nil {
			p.tb.Fatal(err)
		}
		n += m
		head, body, whole := bytes.Cut(p.buf[:n], []byte("\r\n\r\n"))
		if !whole {
			continue
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
			p.tb.Fatalf("answer %q", p.buf[:n])
		}
		_, length, _ := bytes.Cut(head, []byte("Content-Length: "))
		length, _, _ = bytes.Cut(length, []byte("\r"))
		want := 0
		for _, digit := range length {
			want = want*10 + int(digit-'0')
		}
		if len(length) > 0 && len(body) == want {
			return body
		}
	}
}

// counter counts what a server asks of its connections.
type counter struct{ writes, writeDeadlines atomic.Int64 }

type countingListener struct {
	net.Listener
	count *counter
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c, l.count}, nil
}

type countingConn struct {
	net.Conn
	count *counter
}

func (c countingConn) Write(b []byte) (int, error) {
	c.count.writes.Add(1)
	return c.Conn.Write(b)
}

func (c countingConn) SetWriteDeadline(t time.Time) error {
	c.count.writeDeadlines.Add(1)
	return c.Conn.SetWriteDeadline(t)
}

const (
	pollRequest = "GET /engine.io/?EIO=4&transport=polling&sid=@ HTTP/1.1\r\nHost: perch.test\r\n\r\n"
	postRequest = "POST /engine.io/?EIO=4&transport=polling&sid=@ HTTP/1.1\r\nHost: perch.test\r\n" +
		"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: "
	polledMessage = `42["echo","abcdefghijklmnopqrstuvwxyz012345"]`
)

// rounds returns a function that posts a message and polls the echo of it.
func (p *poller) rounds(sid string) func() {
	get := []byte(strings.Replace(pollRequest, "@", sid, 1))
	post := []byte(strings.Replace(postRequest, "@", sid, 1) + strconv.Itoa(len(polledMessage)) + "\r\n\r\n" + polledMessage)
	return func() {
		if body := p.do(post); string(body) != "ok" {
			p.tb.Fatalf("post: %q", body)
		}
		if body := p.do(get); string(body) != polledMessage {
			p.tb.Fatalf("poll: %q", body)
		}
	}
}

// copier sends back what it gets, and allocates nothing for it.
type copier struct{ session *Session }

func (c *copier) HandleMessage(data []byte, _ bool) { _ = c.session.SendText(data) }
func (c *copier) HandleClose(Reason, error)         {}

// engineRounds are those of a session of ours.
func engineRounds(tb testing.TB, count *counter) func() {
	tb.Helper()
	s, err := New(Options{}, func(s *Session) Handler { return &copier{s} })
	if err != nil {
		tb.Fatal(err)
	}
	p := newPoller(tb, s, count)
	tb.Cleanup(func() {
		for session := range s.sessions.all() {
			session.end(ReasonForcedClose, nil) // nobody polls to hear of it
		}
		if err := s.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	body := p.do([]byte(strings.Replace(pollRequest, "&sid=@", "", 1)))
	_, sid, _ := bytes.Cut(body, []byte(`"sid":"`))
	sid, _, _ = bytes.Cut(sid, []byte(`"`))
	return p.rounds(string(sid))
}

// bareRounds are those of handlers that only read and write the same: what they allocate is net/http's.
func bareRounds(tb testing.TB, count *counter) func() {
	tb.Helper()
	answer, b := []byte(polledMessage), make([]byte, 512)
	return newPoller(tb, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Cache-Control"] = noStore
		if r.Method == http.MethodGet {
			h["Content-Type"] = payloadType
			_, _ = w.Write(answer)
			return
		}
		h["Content-Type"] = htmlType
		if n, err := r.Body.Read(b); n != len(polledMessage) || err != io.EOF {
			tb.Errorf("read %d bytes: %v", n, err)
		}
		_, _ = w.Write(okAnswer)
	}), count).rounds("none")
}

const pollingRounds = 300

// allocations are those of the process for each round.
func allocations(round func()) float64 {
	for range 100 {
		round()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range pollingRounds {
		round()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / pollingRounds
}

// A post and a poll that is answered at once allocate nothing beyond what net/http does for handlers that do nothing.
func TestPollingAllocations(t *testing.T) { // not parallel: it counts those of the process
	if raceEnabled {
		return // the race detector makes pools forget on purpose
	}
	bare := allocations(bareRounds(t, nil))
	if got := allocations(engineRounds(t, nil)); got > bare+0.5 { // the collector empties pools now and then
		t.Errorf("%.2f allocations for a post and a poll, want the %.2f of net/http", got, bare)
	}
}

// Each answer leaves in one write, with one deadline of ours.
func TestPollingWrites(t *testing.T) {
	t.Parallel()
	var bare, ours counter
	for count, rounds := range map[*counter]func(testing.TB, *counter) func(){&bare: bareRounds, &ours: engineRounds} {
		round := rounds(t, count)
		count.writes.Store(0)
		for range pollingRounds {
			round()
		}
	}
	if got := ours.writes.Load(); got != 2*pollingRounds {
		t.Errorf("%d writes for %d answers", got, 2*pollingRounds)
	}
	// And two of the handshake; the server may not have taken off the last one of the bare handlers' yet.
	if got, most := ours.writeDeadlines.Load(), bare.writeDeadlines.Load()+2*pollingRounds+3; got > most {
		t.Errorf("write deadlines were set %d times, want at most %d", got, most)
	}
}

// BenchmarkPolling is about rounds of two requests: one that brings a message and one that fetches its echo.
func BenchmarkPolling(b *testing.B) {
	for _, bb := range []struct {
		name   string
		rounds func(testing.TB, *counter) func()
	}{{"engine", engineRounds}, {"bare", bareRounds}} {
		b.Run(bb.name, func(b *testing.B) {
			round := bb.rounds(b, nil)
			b.ReportAllocs()
			for b.Loop() {
				round()
			}
		})
	}
}
