package crowd

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// patience is how long a server may take to answer, on a machine that is busy.
const patience = 20 * time.Second

// line is a connection that does what it is told and nothing of itself. It belongs to one goroutine, but send and Close may be
// called by any. It ends with the context that it was dialed with.
type line struct {
	net.Conn
	in    *bufio.Reader
	leave func() bool

	mu sync.Mutex // of what is written
}

// dial connects from one of the server's addresses.
func dial(ctx context.Context, s *Server, from net.IP) (*line, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: from}, KeepAlive: -1}
	conn, err := d.DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, err
	}
	s.connections.Add(1)
	now := s.open.Add(1)
	for most := s.most.Load(); now > most && !s.most.CompareAndSwap(most, now); most = s.most.Load() {
	}
	l := &line{Conn: conn, in: bufio.NewReaderSize(conn, 512)}
	l.leave = context.AfterFunc(ctx, func() { _ = conn.Close() })
	l.Conn = &counted{Conn: conn, server: s}
	return l, nil
}

// counted is a connection that is counted while it is open.
type counted struct {
	net.Conn
	server *Server
	once   sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.server.open.Add(-1) })
	return c.Conn.Close()
}

func (l *line) Close() error {
	l.leave()
	return l.Conn.Close()
}

// reset ends the connection as a crash does.
func (l *line) reset() {
	if c, ok := l.Conn.(*counted); ok {
		abort(c.Conn)
	}
	_ = l.Close()
}

// abort has a connection be reset when it is closed.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// put writes text in one write.
func (l *line) put(text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.SetWriteDeadline(time.Now().Add(patience))
	_, err := io.WriteString(l.Conn, text)
	return err
}

// send writes text messages in one write.
func (l *line) send(messages ...string) error {
	var out []byte
	for _, m := range messages {
		out = frame(out, opText, m)
	}
	return l.put(string(out))
}

// wait bounds the time until the next thing has come.
func (l *line) wait(d time.Duration) { _ = l.SetReadDeadline(time.Now().Add(d)) }

// The paths of protocol 4, of protocol 3, and of plain WebSocket.
const (
	version4 = "/socket.io/?EIO=4&transport="
	version3 = "/socket.io/?EIO=3&transport="
	plainAt  = "/ws"
)

// upgrade asks for a WebSocket.
func (l *line) upgrade(path string) error {
	err := l.put("GET " + path + " HTTP/1.1\r\nHost: perch.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if err != nil {
		return err
	}
	l.wait(patience)
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: %s", resp.Status)
	}
	return nil
}

// get polls; post sends a body. Both return that of the answer.
func (l *line) get(path string) (string, error) {
	return l.request("GET " + path + " HTTP/1.1\r\nHost: perch.test\r\n\r\n")
}

func (l *line) post(path, body string) (string, error) {
	return l.request("POST " + path + " HTTP/1.1\r\nHost: perch.test\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

func (l *line) request(text string) (string, error) {
	if err := l.put(text); err != nil {
		return "", err
	}
	l.wait(patience)
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	return string(body), errors.Join(err, resp.Body.Close())
}

// The opcodes of RFC 6455.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
	final          = 0x80
)

// header appends the head of a frame that is masked with zeros, whose payload is therefore as it is.
func header(dst []byte, first byte, length uint64) []byte {
	switch dst = append(dst, first); {
	case length < 126:
		dst = append(dst, 0x80|byte(length))
	case length < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(length))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), length)
	}
	return append(dst, 0, 0, 0, 0)
}

func frame(dst []byte, op byte, payload string) []byte {
	return append(header(dst, final|op, uint64(len(payload))), payload...)
}

// next reads a whole frame.
func (l *line) next() (op byte, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(l.in, head[:2]); err != nil {
		return 0, nil, err
	}
	op = head[0] & 15
	n := uint64(head[1] & 127)
	switch n {
	case 126:
		_, err = io.ReadFull(l.in, head[:2])
		n = uint64(binary.BigEndian.Uint16(head[:2]))
	case 127:
		_, err = io.ReadFull(l.in, head[:8])
		n = binary.BigEndian.Uint64(head[:8])
	}
	const most = 1 << 20
	if err == nil && n > most {
		err = fmt.Errorf("a frame of %d bytes", n)
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(l.in, payload)
	return op, payload, err
}

// text reads up to the next text message that is no ping, and answers what the protocol wants answered.
func (l *line) text() (string, error) {
	for {
		op, payload, err := l.next()
		switch {
		case err != nil:
			return "", err
		case op == opClose:
			_ = l.put(string(frame(nil, opClose, string(payload))))
			return "", io.EOF
		case op == opPing:
			err = l.put(string(frame(nil, opPong, string(payload))))
		case op == opText && string(payload) == "2":
			err = l.send("3")
		case op == opText:
			return string(payload), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// open opens a session of protocol 4 over WebSocket, and joins if it is to.
func (l *line) open(join bool) error {
	if err := l.upgrade(version4 + "websocket"); err != nil {
		return err
	}
	l.wait(patience)
	if err := l.expect("0{"); err != nil || !join {
		return err
	}
	if err := l.send("40"); err != nil {
		return err
	}
	return l.expect(`40{"sid":"`)
}

// expect reads the next message and compares its beginning.
func (l *line) expect(prefix string) error {
	got, err := l.text()
	if err != nil {
		return fmt.Errorf("awaiting %q: %w", prefix, err)
	}
	if !strings.HasPrefix(got, prefix) {
		return fmt.Errorf("got %.200q, not %q", got, prefix)
	}
	return nil
}

// sessionOf is the id in an open packet.
func sessionOf(open string) string {
	_, rest, _ := strings.Cut(open, `"sid":"`)
	sid, _, _ := strings.Cut(rest, `"`)
	return sid
}
