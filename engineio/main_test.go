package engineio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wsframe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a Handler for tests: it passes everything on, or echoes.
type recorder struct {
	session  *Session
	messages chan string // text as it came, binary with "b:" before it
	closed   chan Reason
	echo     bool
}

func (r *recorder) HandleMessage(data []byte, binary bool) {
	if r.echo {
		var m Message
		if binary {
			m.AppendBinary(data)
		} else {
			m.AppendText(data)
		}
		_ = r.session.Send(&m)
		return
	}
	s := string(data)
	if binary {
		s = "b:" + s
	}
	r.messages <- s
}

func (r *recorder) HandleClose(reason Reason, err error) {
	r.closed <- reason
}

// fixture is a server on an in-memory listener, so that fake time works on all of it.
type fixture struct {
	t        *testing.T
	server   *Server
	listener *stream.Listener
	http     *http.Server
	client   *http.Client
	sessions chan *recorder
	served   chan struct{}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// newFixture serves until close. What is set of the http.Server but its Handler has to be set before it serves.
func newFixture(t *testing.T, o Options, echo bool, set ...func(*http.Server)) *fixture {
	t.Helper()
	f := &fixture{t: t, listener: stream.NewListener(), sessions: make(chan *recorder, 10_000), served: make(chan struct{})}
	if o.Logger == nil {
		o.Logger = quiet()
	}
	server, err := New(o, func(s *Session) Handler {
		r := &recorder{session: s, messages: make(chan string, 10_000), closed: make(chan Reason, 2), echo: echo}
		f.sessions <- r
		return r
	})
	if err != nil {
		t.Fatal(err)
	}
	f.server = server
	f.http = &http.Server{Handler: server}
	for _, fn := range set {
		fn(f.http)
	}
	f.client = &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return f.listener.Dial() },
	}}
	go func() {
		defer close(f.served)
		_ = f.http.Serve(f.listener)
	}()
	return f
}

// close ends everything; a test under synctest must call it before it returns.
func (f *fixture) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := f.server.Shutdown(ctx); err != nil {
		f.t.Errorf("shutdown: %v", err)
	}
	f.client.CloseIdleConnections()
	_ = f.http.Close()
	<-f.served
}

const base = "http://perch.test/engine.io/?EIO=4&transport=polling"

func (f *fixture) do(method, url, body string, headers ...string) (status int, text string, h http.Header) {
	f.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// openPolling starts a polling session and returns its id and server side.
func (f *fixture) openPolling() (sid string, r *recorder) {
	f.t.Helper()
	status, body, _ := f.do("GET", base, "")
	if status != 200 || body == "" || body[0] != '0' {
		f.t.Fatalf("handshake: %d %q", status, body)
	}
	return openID(f.t, body), <-f.sessions
}

func openID(t *testing.T, packet string) string {
	t.Helper()
	var open struct{ SID string }
	if err := json.Unmarshal([]byte(packet[1:]), &open); err != nil {
		t.Fatalf("open packet %q: %v", packet, err)
	}
	return open.SID
}

// wsClient is a bare WebSocket client, so that tests can say anything.
type wsClient struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

const wsRequest = "GET /engine.io/?EIO=4&transport=websocket%s HTTP/1.1\r\nHost: perch.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"

// dialWS sends the handshake and whatever early is in one write.
func dialWS(t *testing.T, conn net.Conn, query string, early ...[]byte) *wsClient {
	t.Helper()
	return dialRequest(t, conn, fmt.Sprintf(wsRequest, query), early...)
}

func dialRequest(t *testing.T, conn net.Conn, request string, early ...[]byte) *wsClient {
	t.Helper()
	if _, err := conn.Write(append([]byte(request), bytes.Join(early, nil)...)); err != nil {
		t.Fatal(err)
	}
	c := &wsClient{t, conn, bufio.NewReader(conn)}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("handshake: %s", resp.Status)
	}
	return c
}

func (f *fixture) dial(query string, early ...[]byte) *wsClient {
	f.t.Helper()
	conn, err := f.listener.Dial()
	if err != nil {
		f.t.Fatal(err)
	}
	return dialWS(f.t, conn, query, early...)
}

// openWS starts a WebSocket session.
func (f *fixture) openWS() (*wsClient, *recorder) {
	f.t.Helper()
	c := f.dial("")
	if open := c.read(); open[0] != '0' {
		f.t.Fatalf("open packet %q", open)
	}
	return c, <-f.sessions
}

// masked builds a client's frame.
func masked(op wsframe.Op, payload string) []byte {
	b := wsframe.AppendHeader(nil, op, len(payload))
	b[1] |= 0x80
	mask := [4]byte{7, 77, 177, 9}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func (c *wsClient) send(packets ...string) {
	var b []byte
	for _, p := range packets {
		b = append(b, masked(wsframe.Text, p)...)
	}
	if _, err := c.conn.Write(b); err != nil {
		c.t.Error(err)
	}
}

// next returns the next frame.
func (c *wsClient) next() (op wsframe.Op, payload string, err error) {
	var head [10]byte
	if _, err := io.ReadFull(c.r, head[:2]); err != nil {
		return 0, "", err
	}
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(c.r, head[2:4])
		n = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		_, err = io.ReadFull(c.r, head[2:10])
		n = binary.BigEndian.Uint64(head[2:])
	}
	if err != nil {
		return 0, "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(c.r, b)
	return wsframe.Op(head[0] & 0xf), string(b), err
}

// read returns the next data message, binary with "b:" before it, or "close:CODE".
func (c *wsClient) read() string {
	op, payload, err := c.next()
	switch {
	case err != nil:
		return "error:" + err.Error()
	case op == wsframe.Close:
		code, _ := wsframe.CloseCode([]byte(payload))
		return fmt.Sprintf("close:%d", code)
	case op == wsframe.Binary:
		return "b:" + payload
	case op == wsframe.Pong:
		return "pong:" + payload
	}
	return payload
}

// eventually polls for a condition that another goroutine brings about, yielding in between.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain until " + what)
		}
		<-time.After(time.Millisecond)
	}
}

// parallel runs n copies of fn and waits for them.
func parallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}
