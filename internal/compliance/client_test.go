package compliance

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// Opcodes of RFC 6455, section 5.2.
const (
	opMore   = 0x0
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xa
)

// Close codes of RFC 6455, section 7.4.1, that the cases expect.
const (
	codeNormal   = 1000
	codeProtocol = 1002
	codeInvalid  = 1007
)

// frame is one that a client sends.
type frame struct {
	op      byte
	payload string
	open    bool // FIN is not set: the message goes on
	rsv     byte // the three bits
}

func text(s string) frame          { return frame{op: opText, payload: s} }
func firstText(s string) frame     { return frame{op: opText, payload: s, open: true} }
func more(s string) frame          { return frame{op: opMore, payload: s, open: true} }
func last(s string) frame          { return frame{op: opMore, payload: s} }
func ping(s string) frame          { return frame{op: opPing, payload: s} }
func pong(s string) frame          { return frame{op: opPong, payload: s} }
func closing(payload string) frame { return frame{op: opClose, payload: payload} }
func (f frame) reserved(bits byte) frame {
	f.rsv = bits
	return f
}

// closeWith is a close frame with a code and a reason.
func closeWith(code uint16, reason string) frame {
	return closing(string(binary.BigEndian.AppendUint16(nil, code)) + reason)
}

// fragments cuts a message into frames of at most size octets of payload.
func fragments(op byte, payload string, size int) (frames []frame) {
	for len(payload) > size {
		frames = append(frames, frame{op: op, payload: payload[:size], open: true})
		op, payload = opMore, payload[size:]
	}
	return append(frames, frame{op: op, payload: payload})
}

// encode builds what goes over the wire.
func encode(frames ...frame) []byte {
	const head = 14 // at most, with the mask
	size := 0
	for _, f := range frames {
		size += head + len(f.payload)
	}
	b := make([]byte, 0, size)
	mask := [4]byte{0x3d, 0xa7, 0x01, 0xf2}
	for i, f := range frames {
		first := f.op | f.rsv<<4
		if !f.open {
			first |= 0x80
		}
		b = append(b, first)
		switch n := len(f.payload); {
		case n < 126:
			b = append(b, 0x80|byte(n))
		case n < 1<<16:
			b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
		default:
			b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
		}
		mask[i%4] += byte(i) + 1
		b = append(b, mask[:]...)
		at := len(b)
		b = append(b, f.payload...)
		for j := range b[at:] {
			b[at+j] ^= mask[j%4]
		}
	}
	return b
}

// event is a message or a control frame of the server's, or, with an err, the end of the connection.
type event struct {
	op      byte
	payload []byte
	err     error
}

func (e event) String() string {
	if e.err != nil {
		return "end: " + e.err.Error()
	}
	return fmt.Sprintf("opcode %#x with %d octets %.40q", e.op, len(e.payload), e.payload)
}

// client is one connection of a case, which holds the server to what it may send: whole frames without a mask,
// lengths in the shortest form, text that is text, reserved bits and compression only as negotiated.
type client struct {
	t          *testing.T
	way        way
	dial       func() (net.Conn, error)
	offer      string // of extensions
	conn       net.Conn
	in         *bufio.Reader
	extension  string // what the server has answered
	compressed int    // messages that came compressed
}

// failf fails the case, and says on which way.
func (c *client) failf(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s: %s", c.way, fmt.Sprintf(format, args...))
}

const handshake = "GET / HTTP/1.1\r\nHost: perch.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// open makes a connection, with the example of RFC 6455, section 1.3, for its handshake.
func (c *client) open() {
	c.t.Helper()
	conn, err := c.dial()
	if err != nil {
		c.failf("%v", err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	c.conn, c.in = conn, bufio.NewReader(conn)
	request := handshake
	if c.offer != "" {
		request += "Sec-WebSocket-Extensions: " + c.offer + "\r\n"
	}
	c.write([]byte(request + "\r\n"))
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.failf("handshake: %v", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		c.failf("handshake: %s %v", resp.Status, resp.Header)
	}
	c.extension = resp.Header.Get("Sec-Websocket-Extensions")
}

// again makes a new connection, once the server has ended the last one.
func (c *client) again() {
	c.t.Helper()
	_ = c.conn.Close()
	c.open()
}

// send sends frames in one write, or octet by octet where that is the way.
func (c *client) send(frames ...frame) {
	c.t.Helper()
	c.write(encode(frames...))
}

// Where octets are sent one by one, the beginning and the end of a write are: of megabytes the middle goes in pieces of the
// size that the case list has for that.
const (
	octetsAtBeginning = 2048
	octetsAtEnd       = 64
	piece             = 997
)

func (c *client) write(b []byte) {
	c.t.Helper()
	if !c.way.octets {
		c.pieces(b, len(b))
		return
	}
	begin := min(len(b), octetsAtBeginning)
	c.pieces(b[:begin], 1)
	end := max(begin, len(b)-octetsAtEnd)
	c.pieces(b[begin:end], piece)
	c.pieces(b[end:], 1)
}

// pieces sends b in pieces of the given size, on either way.
func (c *client) pieces(b []byte, size int) {
	c.t.Helper()
	for len(b) > 0 {
		n := min(size, len(b))
		if _, err := c.conn.Write(b[:n]); err != nil {
			// The server may have ended it already: what it said stands in our buffer, and is compared.
			return
		}
		b = b[n:]
	}
}

// next reads the next message or control frame.
func (c *client) next() event {
	var head [10]byte
	if _, err := io.ReadFull(c.in, head[:2]); err != nil {
		return event{err: err}
	}
	op, rsv, n := head[0]&0xf, head[0]>>4&7, uint64(head[1])
	var shortest uint64
	var err error
	switch n {
	case 126:
		_, err = io.ReadFull(c.in, head[2:4])
		n, shortest = uint64(binary.BigEndian.Uint16(head[2:])), 126
	case 127:
		_, err = io.ReadFull(c.in, head[2:10])
		n, shortest = binary.BigEndian.Uint64(head[2:]), 1<<16
	}
	if err != nil {
		return event{err: err}
	}
	data := op == opText || op == opBinary
	switch {
	case head[1]&0x80 != 0:
		err = errors.New("a server's frame has a mask")
	case head[0]&0x80 == 0 || !data && op != opPong && op != opClose:
		err = fmt.Errorf("a frame begins with %#x", head[0])
	case rsv != 0 && (rsv != 4 || !data || c.extension == ""):
		err = fmt.Errorf("reserved bits %03b of opcode %#x", rsv, op)
	case n < shortest || n > MaxPayload || !data && n > 125:
		err = fmt.Errorf("a length of %d", n)
	}
	if err != nil {
		return event{err: err}
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(c.in, payload); err != nil {
		return event{err: err}
	}
	if rsv != 0 {
		c.compressed++
		if payload, err = inflate(payload); err != nil {
			return event{err: err}
		}
	}
	if op == opText && !utf8.Valid(payload) {
		return event{err: errors.New("the server's text is not valid UTF-8")}
	}
	return event{op: op, payload: payload}
}

// want compares what comes next.
func (c *client) want(op byte, payload string) {
	c.t.Helper()
	if got := c.next(); got.err != nil || got.op != op || string(got.payload) != payload {
		c.failf("got %v, want %v", got, event{op: op, payload: []byte(payload)})
	}
}

// closed expects the server's close frame.
func (c *client) closed(code uint16) {
	c.t.Helper()
	got := c.next()
	if got.err != nil || got.op != opClose || len(got.payload) < 2 || !utf8.Valid(got.payload[2:]) {
		c.failf("got %v, want a close frame", got)
	}
	if is := binary.BigEndian.Uint16(got.payload); is != code {
		c.failf("closed with %d, want %d", is, code)
	}
}

// ended expects that the server has closed the connection, and has said nothing more.
func (c *client) ended() {
	c.t.Helper()
	if got := c.next(); got.err != io.EOF {
		c.failf("after the close frame: %v", got)
	}
}

// cut is ended for a client that has sent more than it may: the connection may also be reset.
func (c *client) cut() {
	c.t.Helper()
	if got := c.next(); got.err != io.EOF && !errors.Is(got.err, syscall.ECONNRESET) {
		c.failf("after the close frame: %v", got)
	}
}

// leave closes as a client should, and expects the same of the server.
func (c *client) leave() {
	c.t.Helper()
	c.send(closeWith(codeNormal, ""))
	c.closed(codeNormal)
	c.ended()
}

// failed expects that the server fails the connection, and that what was sent meanwhile has no answer.
func (c *client) failed(code uint16) {
	c.t.Helper()
	c.closed(code)
	c.send(closeWith(code, ""))
	c.ended()
}

// echoed sends a message in one frame and expects it back.
func (c *client) echoed(f frame) {
	c.t.Helper()
	c.send(f)
	c.want(f.op, f.payload)
}

// deflate compresses a message as RFC 7692, section 7.2.1, wants it.
func deflate(payload string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed) // the level is a valid one
	_, _ = io.WriteString(w, payload)            // to memory
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// inflate is its opposite, for a server without context takeover.
func inflate(payload []byte) ([]byte, error) {
	r := flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	return io.ReadAll(io.LimitReader(r, MaxPayload+1))
}

// patience is how long a case may wait for the server, on a machine that does other things.
const patience = 2 * time.Minute
