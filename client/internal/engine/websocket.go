package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// webSocket is a WebSocket to the server. One goroutine reads, one writes.
type webSocket struct {
	conn   *websocket.Conn
	link   *link
	base64 bool
	// threshold is the size from which messages are compressed; 0 if none is.
	threshold int
}

var (
	errNotUTF8    = errors.New("engine: a text that is not UTF-8")
	errSecondOpen = errors.New("engine: a second open packet")
)

// dialWebSocket makes the connection. ctx bounds no more than that. A refusal is a *HandshakeError.
func dialWebSocket(ctx context.Context, c *Config, sid string, n uint64) (*webSocket, error) {
	header := c.header(WebSocket)
	o := &websocket.DialOptions{HTTPHeader: header, Host: header.Get("Host"), Subprotocols: c.Protocols}
	header.Del("Host")
	w := &webSocket{base64: c.ForceBase64}
	if c.Deflate {
		o.CompressionMode = websocket.CompressionNoContextTakeover
		o.CompressionThreshold = c.DeflateThreshold
	}
	tap := &tap{base: c.HTTPClient.Transport}
	client := *c.HTTPClient
	client.Transport, client.Timeout = tap, 0
	o.HTTPClient = &client
	conn, resp, err := websocket.Dial(ctx, c.address(WebSocket, sid, n), o)
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, refusal(resp.StatusCode, resp.Body)
		}
		return nil, fmt.Errorf("engine: websocket: %w", withoutURL(err))
	}
	conn.SetReadLimit(c.MaxPayload)
	w.conn, w.link = conn, tap.link
	if strings.Contains(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
		w.threshold = c.DeflateThreshold
	}
	return w, nil
}

// read waits for the next message. Unless there is an error the caller gives the buffer back.
func (w *webSocket) read(ctx context.Context) (binary bool, b *[]byte, err error) {
	kind, r, err := w.conn.Reader(ctx)
	if err != nil {
		return false, nil, err
	}
	b = takeBuffer()
	if err = readInto(b, r); err == nil {
		err = w.link.broke() // a connection that ends between two fragments looks like the end of the message
	}
	if err != nil {
		giveBuffer(b)
		return false, nil, err
	}
	return kind == websocket.MessageBinary, b, nil
}

// send writes the first of the packets, one at least, and returns how many.
func (w *webSocket) send(items []item) (n int, err error) {
	if len(items) == 1 {
		return 1, w.sendOne(&items[0])
	}
	w.link.hold()
	for n < len(items) && err == nil && !w.link.full() {
		err = w.sendOne(&items[n])
		n++
	}
	if e := w.link.flush(); err == nil {
		err = e
	}
	return n, err
}

func (w *webSocket) sendOne(i *item) error {
	if i.Binary && !w.base64 {
		return w.writeMessage(websocket.MessageBinary, i.Data, i.NoCompress)
	}
	b := takeBuffer()
	*b = i.appendText(*b)
	err := w.writeMessage(websocket.MessageText, *b, i.NoCompress)
	giveBuffer(b)
	return err
}

func (w *webSocket) writeMessage(kind websocket.MessageType, data []byte, plain bool) error {
	// Without a context that can end nothing is allocated for it; abort is what interrupts.
	ctx := context.Background()
	if !plain || w.threshold == 0 || len(data) < w.threshold {
		return w.conn.Write(ctx, kind, data)
	}
	// Whether a message is compressed is decided by its first frame, and an empty one is below any threshold.
	m, err := w.conn.Writer(ctx, kind)
	if err != nil {
		return err
	}
	if _, err = m.Write(nil); err == nil {
		_, err = m.Write(data)
	}
	if e := m.Close(); err == nil {
		err = e
	}
	return err
}

// sayTo writes a packet of the engine's own, out of the queue's turn. ctx ends the connection with it.
func (w *webSocket) sayTo(ctx context.Context, kind byte, data []byte) error {
	i := item{Message: Message{Data: data}, kind: kind}
	return w.conn.Write(ctx, websocket.MessageText, i.appendText(nil))
}

// reason is why a connection ended that could not be read or written any more.
func (w *webSocket) reason(err error) (Reason, error) {
	var e websocket.CloseError
	switch {
	case errors.As(err, &e):
		said := strings.TrimSpace(fmt.Sprintf("%d %s", e.Code, e.Reason))
		return TransportClose, errors.New("engine: the server closed the websocket: " + said)
	case w.link.failed() != nil:
		return TransportClose, fmt.Errorf("engine: websocket: %w", w.link.failed())
	default:
		return TransportError, fmt.Errorf("engine: websocket: %w", err)
	}
}

// abort ends the connection from any goroutine; reads and writes under way fail.
func (w *webSocket) abort() { w.link.Close() }

// close says good-bye and waits for the answer, for which somebody must be reading. abort interrupts it.
func (w *webSocket) close() { _ = w.conn.Close(websocket.StatusNormalClosure, "") }

// release lets go of everything. It is called once nobody reads or writes any more.
func (w *webSocket) release() {
	w.abort()
	_ = w.conn.CloseNow()
}

// readWebSocket handles what comes until the connection has ended.
func (c *Conn) readWebSocket(ws *webSocket) {
	c.clock.hold()
	ws.link.clock.Store(&c.clock)
	for {
		binary, b, err := ws.read(context.Background())
		if !c.receivedFrame(ws, binary, b, err) {
			return
		}
	}
}

// receivedFrame handles what ws.read has returned and reports whether to go on.
func (c *Conn) receivedFrame(ws *webSocket, binary bool, b *[]byte, err error) bool {
	if err != nil {
		c.end(ws.reason(err))
		return false
	}
	defer giveBuffer(b)
	if binary {
		return c.received(packet{kind: packetMessage, binary: true, data: *b})
	}
	if !utf8.Valid(*b) {
		c.shut(TransportError, errNotUTF8)
		return false
	}
	p, err := decodeText(*b, nil)
	if err != nil {
		c.shut(TransportError, err)
		return false
	}
	return c.received(p)
}
