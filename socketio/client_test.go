package socketio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// harness is a server under test.
type harness struct {
	*Server
	url  string // http://host:port
	http *http.Client
	log  *logs
}

// serve starts a server and ends it with the test.
func serve(t *testing.T, o Options) *harness {
	t.Helper()
	log := new(logs)
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(s)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		ts.Close()
		if t.Failed() {
			t.Logf("server log:\n%s", log)
		}
	})
	// A connection per request: none is left over when the test ends.
	return &harness{Server: s, url: ts.URL, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, log: log}
}

// logs is safe for concurrent use, which a bytes.Buffer is not.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// client is a WebSocket client that knows Engine.IO's framing and nothing of Socket.IO, so that tests see
// what is on the wire.
type client struct {
	t     *testing.T
	conn  net.Conn
	sid   string // the session's
	in    chan any
	mute  atomic.Bool // does not answer pings
	pings chan struct{}
}

// dial opens a session. Packets given here leave in the same write as the upgrade request.
func (h *harness) dial(t *testing.T, early ...any) *client {
	t.Helper()
	return h.dialQuery(t, "", early...)
}

func (h *harness) dialQuery(t *testing.T, query string, early ...any) *client {
	t.Helper()
	return h.dialProtocol(t, 4, query, early...)
}

func (h *harness) dialProtocol(t *testing.T, protocol int, query string, early ...any) *client {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &client{t: t, conn: conn, in: make(chan any, 1<<14), pings: make(chan struct{}, 1<<10)}
	request := "GET /socket.io/?EIO=" + strconv.Itoa(protocol) + "&transport=websocket" + query + " HTTP/1.1\r\nHost: test\r\n" +
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Test: yes\r\n\r\n"
	if _, err := conn.Write(append([]byte(request), frames(early...)...)); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", resp, err)
	}
	open, err := readFrame(r)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := open.(string)
	m := regexp.MustCompile(`^0\{"sid":"([\w-]{20})"`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("open packet %q", text)
	}
	c.sid = m[1]
	go c.read(r)
	return c
}

// read hands on messages and answers pings.
func (c *client) read(r *bufio.Reader) {
	defer close(c.in)
	defer c.close() // a client answers the server's close with its own
	for {
		m, err := readFrame(r)
		if err != nil {
			return
		}
		text, ok := m.(string)
		switch {
		case !ok:
			c.in <- m
		case text == "2":
			c.pings <- struct{}{}
			if !c.mute.Load() {
				if _, err := c.conn.Write(appendFrame(nil, 1, "3")); err != nil {
					return
				}
			}
		case strings.HasPrefix(text, "4"):
			c.in <- text[1:]
		}
	}
}

// send writes Socket.IO packets (strings) and attachments (byte slices) in one write.
func (c *client) send(packets ...any) {
	c.t.Helper()
	if _, err := c.conn.Write(frames(packets...)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// next waits for the next packet or attachment; nil means that the connection has ended.
func (c *client) next() any {
	c.t.Helper()
	select {
	case m := <-c.in:
		return m
	case <-time.After(patience):
		c.t.Fatal("nothing came")
		return nil
	}
}

// expect waits for exactly these.
func (c *client) expect(want ...any) {
	c.t.Helper()
	for _, w := range want {
		got := c.next()
		if b, ok := got.([]byte); ok {
			if wb, ok := w.([]byte); !ok || !bytes.Equal(b, wb) {
				c.t.Fatalf("got binary %q, want %q", b, w)
			}
			continue
		}
		if got != w {
			c.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// expectEnd waits until the server has closed the connection, and wants nothing but the given packets before that.
func (c *client) expectEnd(want ...any) {
	c.t.Helper()
	c.expect(append(slices.Clip(want), nil)...)
}

// connect joins a namespace and returns the socket's id.
func (c *client) connect(namespace, auth string) string {
	c.t.Helper()
	c.send("0" + wire(namespace) + auth)
	return c.connected(namespace)
}

// connected waits for the answer to CONNECT.
func (c *client) connected(namespace string) string {
	c.t.Helper()
	got, _ := c.next().(string)
	m := regexp.MustCompile(`^0` + wire(namespace) + `\{"sid":"([\w-]{20})"\}$`).FindStringSubmatch(got)
	if m == nil {
		c.t.Fatalf("answer to CONNECT %s: %q", namespace, got)
	}
	return m[1]
}

func (c *client) close() { _ = c.conn.Close() }

// wire is how a namespace stands in a packet.
func wire(namespace string) string {
	if namespace == "/" {
		return ""
	}
	return namespace + ","
}

func frames(packets ...any) (b []byte) {
	for _, p := range packets {
		switch p := p.(type) {
		case string:
			b = appendFrame(b, 1, "4"+p)
		case []byte:
			b = appendFrame(b, 2, string(p))
		}
	}
	return b
}

// appendFrame appends a frame as a client sends it; the mask is zero.
func appendFrame(b []byte, op byte, payload string) []byte {
	b = append(b, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}

// readFrame returns a string for a text frame and a byte slice for a binary one.
func readFrame(r io.Reader) (any, error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return nil, err
	}
	op, n := h[0]&15, uint64(h[1]&127)
	switch n {
	case 126:
		if _, err := io.ReadFull(r, h[:2]); err != nil {
			return nil, err
		}
		n = uint64(binary.BigEndian.Uint16(h[:]))
	case 127:
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return nil, err
		}
		n = binary.BigEndian.Uint64(h[:])
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, err
	}
	switch op {
	case 1:
		return string(payload), nil
	case 2:
		return payload, nil
	}
	return nil, io.EOF
}

// poller is a long-polling client.
type poller struct {
	t   *testing.T
	h   *harness
	url string
	in  chan string // what came, when it follows
}

func (h *harness) poll(t *testing.T) *poller {
	t.Helper()
	p := &poller{t: t, h: h, url: h.url + "/socket.io/?EIO=4&transport=polling", in: make(chan string, 1<<10)}
	m := regexp.MustCompile(`^0\{"sid":"([\w-]{20})"`).FindStringSubmatch(p.get())
	if m == nil {
		t.Fatal("no open packet")
	}
	p.url += "&sid=" + m[1]
	return p
}

// follow polls until the session ends, as clients do.
func (p *poller) follow() {
	go func() {
		defer close(p.in)
		for {
			resp, err := p.h.http.Get(p.url)
			if err != nil {
				return
			}
			if resp.StatusCode != http.StatusOK {
				_ = resp.Body.Close()
				return
			}
			for packet := range strings.FieldsSeq(p.body(resp)) {
				p.in <- packet
			}
		}
	}()
}

// get answers one poll, its packets separated by spaces.
func (p *poller) get() string {
	p.t.Helper()
	resp, err := p.h.http.Get(p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.body(resp)
}

// post sends Socket.IO packets in one payload.
func (p *poller) post(packets ...string) string {
	p.t.Helper()
	body := "4" + strings.Join(packets, "\x1e4")
	resp, err := p.h.http.Post(p.url, "text/plain;charset=UTF-8", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.body(resp)
}

func (p *poller) body(resp *http.Response) string {
	p.t.Helper()
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		p.t.Error(err)
	}
	return strings.ReplaceAll(string(b), "\x1e", " ")
}

// within waits for one value of a channel.
func within[T any](t *testing.T, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("no %T came", v)
	}
	return v
}

// leavings records why sockets of a namespace left.
func leavings(n *Namespace) <-chan Reason {
	ch := make(chan Reason, 1<<12)
	n.OnDisconnect(func(_ context.Context, _ *Socket, r Reason) { ch <- r })
	return ch
}

// arrivals hands out sockets as they connect.
func arrivals(n *Namespace) <-chan *Socket {
	ch := make(chan *Socket, 1<<12)
	n.OnConnection(func(_ context.Context, s *Socket) error {
		ch <- s
		return nil
	})
	return ch
}

// echo acknowledges an event with its arguments.
func echo(_ context.Context, e *Event) {
	args := make([]any, e.NumArgs())
	for i := range args {
		if err := e.Decode(i, &args[i]); err != nil {
			args[i] = fmt.Sprint(err)
		}
	}
	_ = e.Ack(args...)
}

// fast heartbeats show within a test that they go on.
func fast() Options {
	return Options{Engine: engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: patience}}
}
