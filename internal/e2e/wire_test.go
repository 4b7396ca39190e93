package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio"
)

// patience is how long something may take that takes no time, on a machine that is busy.
const patience = 20 * time.Second

// quiet is a logger for servers whose clients misbehave on purpose.
var quiet = slog.New(slog.DiscardHandler)

// begin starts a server, over TLS if it is to be secure; then the result is what its clients need.
func begin(web *httptest.Server, secure bool) *tls.Config {
	if !secure {
		web.Start()
		return nil
	}
	web.StartTLS()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// serve runs a server of the given options on a port of its own until the test ends. prepare registers what it does.
func serve(t *testing.T, o socketio.Options, prepare func(*socketio.Server)) (srv *socketio.Server, address string) {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	srv, err := socketio.New(o)
	if err != nil {
		t.Fatal(err)
	}
	prepare(srv)
	url := listen(t, srv, srv)
	return srv, strings.TrimPrefix(url, "http://")
}

// The opcodes of RFC 6455.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
)

// wire is a WebSocket client that does what it is told and nothing of itself, so that bytes are written together, half or not
// at all. It belongs to one goroutine.
type wire struct {
	net.Conn
	in *bufio.Reader
}

// dial connects, over TLS if config is not nil.
func dial(address string, config *tls.Config) (*wire, error) {
	conn, err := (&net.Dialer{Timeout: patience}).Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	if config != nil {
		conn = tls.Client(conn, config)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &wire{conn, bufio.NewReader(conn)}, nil
}

// upgrade is the request for a WebSocket, of a new session or of the one named.
func upgrade(sid string) []byte {
	query := "EIO=4&transport=websocket"
	if sid != "" {
		query += "&sid=" + sid
	}
	return []byte("GET /socket.io/?" + query + " HTTP/1.1\r\nHost: perch.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
}

// frame appends a whole frame, masked as a client's are.
func frame(dst []byte, opcode byte, payload string) []byte {
	const key = "\x11\x22\x33\x44"
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, key...)
	for i := range len(payload) {
		dst = append(dst, payload[i]^key[i%4])
	}
	return dst
}

// send writes text messages in one write.
func (w *wire) send(messages ...string) error {
	var out []byte
	for _, m := range messages {
		out = frame(out, opText, m)
	}
	_, err := w.Write(out)
	return err
}

// accepted reads the answer to the upgrade request.
func (w *wire) accepted() error {
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: %s", resp.Status)
	}
	return nil
}

// next reads a frame.
func (w *wire) next() (opcode byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(w.in, head[:2]); err != nil {
		return 0, nil, err
	}
	opcode = head[0] & 15
	n := uint64(head[1] & 127)
	switch n {
	case 126:
		_, err = io.ReadFull(w.in, head[:2])
		n = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(w.in, head[:8])
		n = binary.BigEndian.Uint64(head[:8])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(w.in, payload)
	return opcode, payload, err
}

// text reads up to the next text message that is no ping. It answers pings, and a close, which is io.EOF.
func (w *wire) text() (string, error) {
	for {
		switch opcode, payload, err := w.next(); {
		case err != nil:
			return "", err
		case opcode == opClose:
			_, _ = w.Write(frame(nil, opClose, string(payload))) // as RFC 6455 wants it, or the other side waits for it
			return "", io.EOF
		case opcode == opText && string(payload) == "2":
			if err := w.send("3"); err != nil {
				return "", err
			}
		case opcode == opText:
			return string(payload), nil
		}
	}
}

// expect reads the next message and compares its beginning.
func (w *wire) expect(prefix string) error {
	got, err := w.text()
	if err != nil {
		return fmt.Errorf("awaiting %q: %w", prefix, err)
	}
	if !strings.HasPrefix(got, prefix) {
		return fmt.Errorf("got %q, not %q", got, prefix)
	}
	return nil
}

// reset ends the connection as a crash or a pulled cable does.
func (w *wire) reset() error {
	if tcp, ok := w.Conn.(*net.TCPConn); ok {
		if err := tcp.SetLinger(0); err != nil {
			return err
		}
	}
	return w.Close()
}

// connect dials and joins the main namespace; its session's id is in the open packet.
func connect(address string, config *tls.Config) (*wire, error) {
	w, err := dial(address, config)
	if err != nil {
		return nil, err
	}
	err = func() error {
		if _, err := w.Write(upgrade("")); err != nil {
			return err
		}
		if err := w.accepted(); err != nil {
			return err
		}
		if err := w.send("40"); err != nil {
			return err
		}
		return errors.Join(w.expect("0{"), w.expect(`40{"sid":"`))
	}()
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// member is connect for a test that cannot go on without.
func member(t *testing.T, address string, config *tls.Config) *wire {
	t.Helper()
	w, err := connect(address, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not so within %v: %s", patience, what)
		}
	}
}

// each calls fn for 0 to n-1 from a number of goroutines and returns the first errors.
func each(n, goroutines int, fn func(i int) error) error {
	numbers := make(chan int)
	errs := make(chan error, goroutines)
	for range goroutines {
		go func() {
			var first error
			for i := range numbers {
				if err := fn(i); err != nil && first == nil {
					first = fmt.Errorf("number %d: %w", i, err)
				}
			}
			errs <- first
		}()
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	var all []error
	for range goroutines {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// sessionOf is the id in an open packet.
func sessionOf(open string) string {
	_, rest, _ := strings.Cut(open, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	return sid
}
