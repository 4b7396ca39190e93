package socketio

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/socketio/adapter"
)

// lab is a server in a bubble of fake time, on connections in memory that can be broken at any byte. Its session is called
// "session". The event "say" is answered by the event "heard", and kept, and puts the socket into a room.
type lab struct {
	*Server
	t        *testing.T
	listener *stream.Listener
	log      *logs

	mu      sync.Mutex
	said    []string
	reasons []Reason
	joined  int
}

// inLab runs a test. Shutdown is called only when the test has found everything released; that no goroutine is left then either, the
// end of the bubble shows.
func inLab(t *testing.T, o Options, test func(l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, listener: stream.NewListener(), log: new(logs)}
		sessions := 0
		o.Engine.GenerateID = func(*http.Request) (string, error) {
			if sessions++; sessions > 1 {
				return fmt.Sprint("session-", sessions), nil
			}
			return "session", nil
		}
		o.Logger = slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		var err error
		if l.Server, err = New(o); err != nil {
			t.Fatal(err)
		}
		n := l.Of("/")
		n.OnConnection(func(context.Context, *Socket) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.joined++
			return nil
		})
		n.Handle("say", func(_ context.Context, e *Event) {
			var text string
			var raw []byte
			if e.NumArgs() > 1 {
				_ = e.Decode(1, &raw)
			}
			if err := e.Decode(0, &text); err != nil {
				t.Error(err)
			}
			text += string(raw)
			l.mu.Lock()
			l.said = append(l.said, text)
			l.mu.Unlock()
			_ = e.Socket().Join("talkers")
			_ = e.Socket().Emit("heard", text)
		})
		n.OnDisconnect(func(_ context.Context, _ *Socket, r Reason) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.reasons = append(l.reasons, r)
		})
		server := &http.Server{
			Handler: l.Server, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: log.New(l.log, "", 0),
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = server.Serve(l.listener)
		}()
		test(l)
		if err := l.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		_ = server.Close()
		<-served
		if strings.Contains(l.log.String(), "panic") {
			t.Error(l.log)
		}
	})
}

// expectReleased wants nothing to be left of any client, when so much time has passed at most, and who connected to have left for one
// of these reasons.
func (l *lab) expectReleased(within time.Duration, reasons ...Reason) {
	l.t.Helper()
	begun := time.Now()
	for synctest.Wait(); l.engine.Sessions() > 0 && time.Since(begun) < within; synctest.Wait() {
		<-time.After(500 * time.Millisecond)
	}
	<-time.After(3 * time.Second) // of idle workers, and of the clock that nobody reads
	synctest.Wait()
	if n := l.engine.Sessions(); n != 0 {
		l.t.Errorf("%d sessions after %v", n, within)
	}
	if n := len(l.conns.all()); n != 0 {
		l.t.Errorf("%d connections", n)
	}
	if n := l.live.Load() - 1; n != 0 {
		l.t.Errorf("%d lanes", n)
	}
	if n := l.Of("/").Len(); n != 0 {
		l.t.Errorf("%d sockets", n)
	}
	if m, ok := l.Of("/").adapter.(*adapter.Memory); ok && len(m.Members(adapter.Selection{Rooms: []string{"talkers"}})) != 0 {
		l.t.Error("a room has members")
	}
	if n := l.wheel.Len(); n != 0 {
		l.t.Errorf("%d timers", n)
	}
	if n := l.pool.idle(); n != 0 {
		l.t.Errorf("%d idle workers", n)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.reasons) != l.joined {
		l.t.Errorf("%d sockets connected, %d left", l.joined, len(l.reasons))
	}
	for _, r := range l.reasons {
		if !slices.Contains(reasons, r) {
			l.t.Errorf("reason %q", r)
		}
	}
}

// line is one connection of a client. What it writes is cut off after limit bytes, and broken there by fault.
type line struct {
	*stream.PipeConn
	l     *lab
	r     *bufio.Reader
	read  counter
	wrote int
	limit int // -1: none
	fault func(*stream.PipeConn)
	cut   bool // nothing more can be done with it
}

func (l *lab) connect() *line {
	l.t.Helper()
	conn, err := l.listener.Dial()
	if err != nil {
		l.t.Fatal(err)
	}
	pipe := conn.(*stream.PipeConn)
	c := &line{PipeConn: pipe, l: l, limit: -1}
	c.r = bufio.NewReader(io.TeeReader(pipe, &c.read))
	return c
}

// counter counts what is written to it.
type counter int

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}

// write reports whether everything was written.
func (c *line) write(text string) bool {
	if c.cut {
		return false
	}
	if c.limit < 0 || c.wrote+len(text) <= c.limit {
		_, err := c.Write([]byte(text))
		c.wrote += len(text)
		c.cut = err != nil
		return err == nil
	}
	_, _ = c.Write([]byte(text[:c.limit-c.wrote]))
	c.wrote = c.limit
	synctest.Wait() // it has arrived, and was acted upon
	c.fault(c.PipeConn)
	c.cut = true
	return false
}

// answer reads an answer of HTTP; it is "" if the connection breaks.
func (c *line) answer() string {
	if c.cut {
		return ""
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.cut = true
		return ""
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return "upgraded"
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.cut = true
		return ""
	}
	return string(b)
}

// frame reads a frame; it is "" if the connection breaks.
func (c *line) frame() string {
	if c.cut {
		return ""
	}
	m, err := readFrame(c.r)
	switch m := m.(type) {
	case string:
		return m
	case []byte:
		return string(m)
	}
	c.cut = err != nil
	return ""
}

const (
	pollTarget = "/socket.io/?EIO=4&transport=polling"
	socketHead = " HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	openPoll    = "GET " + pollTarget + " HTTP/1.1\r\nHost: t\r\n\r\n"
	nextPoll    = "GET " + pollTarget + "&sid=session HTTP/1.1\r\nHost: t\r\n\r\n"
	openSocket  = "GET /socket.io/?EIO=4&transport=websocket" + socketHead
	otherSocket = "GET /socket.io/?EIO=4&transport=websocket&sid=session" + socketHead
)

func post(body string) string {
	return fmt.Sprintf("POST %s&sid=session HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s", pollTarget, len(body), body)
}

func text(packet string) string       { return string(appendFrame(nil, 1, packet)) }
func attachment(packet string) string { return string(appendFrame(nil, 2, packet)) }
