package perchtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/perch-go/perch/event"
)

// WebSocketOptions is a plain value: how a plain WebSocket client connects. The zero value is what a program does that is no
// browser: there is no Origin.
type WebSocketOptions struct {
	// Header is added to the request. Nil: nothing.
	Header http.Header
	// Subprotocols are those asked for. Nil: none.
	Subprotocols []string
	// MaxFrame is the largest frame that is accepted, in bytes. Zero: 1 MiB.
	MaxFrame int64
}

// Frame is a plain value: what a plain WebSocket client and the platform of package plainws say to each other.
type Frame struct {
	// Event is the name of the event; empty if it is an answer.
	Event string `json:"event,omitempty"`
	// Data is the JSON of the argument, of an array of them if there are several, nil if there is none.
	Data json.RawMessage `json:"data,omitempty"`
	// ID is the JSON of the id, nil for none: of the event that is answered, or of one that wants an answer.
	ID json.RawMessage `json:"id,omitempty"`
}

// Decode decodes the data into what v points to.
func (f Frame) Decode(v any) error { return json.Unmarshal(f.Data, v) }

// String is the frame as JSON.
func (f Frame) String() string {
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Sprintf("%q %q %q", f.ID, f.Event, f.Data)
	}
	return string(b)
}

// WebSocket is safe for concurrent use. It is a plain WebSocket client, of package plainws's platform, that keeps every
// frame that comes until the test takes it.
type WebSocket struct {
	conn   *websocket.Conn
	cancel context.CancelFunc

	lastID atomic.Int64

	inbox  inbox
	frames []Frame // not taken yet
	err    error   // what it ended by
}

// DialWebSocket connects a plain WebSocket client to a URL relative to the server's: "/ws/lobby?token=x". It is closed when the test
// ends. That it is refused fails the test; [Server.RefusedWebSocket] is for who expects it.
func (s *Server) DialWebSocket(t testing.TB, url string, o WebSocketOptions) *WebSocket {
	t.Helper()
	conn, resp, err := s.dialWebSocket(t, url, o)
	if err != nil {
		if resp != nil {
			body, _ := io.ReadAll(resp.Body)
			t.Fatalf("perchtest: %s is answered with %s: %s", url, resp.Status, body)
		}
		t.Fatalf("perchtest: %s: %v", url, err)
	}
	if conn.SetReadLimit(o.MaxFrame); o.MaxFrame == 0 {
		conn.SetReadLimit(1 << 20)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &WebSocket{conn: conn, cancel: cancel}
	read := make(chan struct{})
	go func() {
		defer close(read)
		w.read(ctx)
	}()
	t.Cleanup(func() {
		_ = conn.Close(websocket.StatusNormalClosure, "")
		cancel()
		<-read
	})
	return w
}

// RefusedWebSocket is the answer to a plain WebSocket client that is not let in: the HTTP status and the body. That it is let in fails
// the test.
func (s *Server) RefusedWebSocket(t testing.TB, url string, o WebSocketOptions) (status int, body []byte) {
	t.Helper()
	conn, resp, err := s.dialWebSocket(t, url, o)
	if err == nil {
		_ = conn.CloseNow()
		t.Fatalf("perchtest: %s: the client was let in", url)
	}
	if resp == nil {
		t.Fatalf("perchtest: %s: %v", url, err)
	}
	if body, err = io.ReadAll(resp.Body); err != nil {
		t.Fatalf("perchtest: %s: %v", url, err)
	}
	return resp.StatusCode, body
}

func (s *Server) dialWebSocket(t testing.TB, url string, o WebSocketOptions) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return websocket.Dial(ctx, resolve(t, url), &websocket.DialOptions{
		HTTPClient: s.HTTPClient(), HTTPHeader: o.Header, Subprotocols: o.Subprotocols,
	})
}

// read collects frames, and lets pings be answered.
func (w *WebSocket) read(ctx context.Context) {
	for {
		_, data, err := w.conn.Read(ctx)
		var f Frame
		if err == nil {
			if err = json.Unmarshal(data, &f); err != nil {
				err = fmt.Errorf("frame %q: %w", data, err)
			}
		}
		w.inbox.add(func() {
			if err != nil {
				w.err = fmt.Errorf("the connection has ended: %w", err)
			} else {
				w.frames = append(w.frames, f)
			}
		})
		if err != nil {
			return
		}
	}
}

// Subprotocol is what the server has chosen, empty for none.
func (w *WebSocket) Subprotocol() string { return w.conn.Subprotocol() }

// Write sends a frame.
func (w *WebSocket) Write(t testing.TB, f Frame) {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatalf("perchtest: frame %v: %v", f, err)
	}
	if err := w.conn.Write(t.Context(), websocket.MessageText, b); err != nil {
		t.Fatalf("perchtest: frame %s: %v", b, err)
	}
}

// Send sends an event that wants no answer, [event.None] as data is none.
func (w *WebSocket) Send(t testing.TB, name string, data any) {
	t.Helper()
	w.Write(t, Frame{Event: name, Data: dataOf(t, data)})
}

// Call sends an event with an id of its own and returns what comes with that id: the answer, or the event "exception".
func (w *WebSocket) Call(t testing.TB, name string, data any) Frame {
	t.Helper()
	id := strconv.FormatInt(w.lastID.Add(1), 10)
	w.Write(t, Frame{ID: json.RawMessage(id), Event: name, Data: dataOf(t, data)})
	return w.take(t, fmt.Sprintf("answer to %q", name), func(f Frame) bool {
		return string(f.ID) == id && (f.Event == "" || f.Event == "exception")
	})
}

// Answer answers an event that came with an id.
func (w *WebSocket) Answer(t testing.TB, f Frame, data any) {
	t.Helper()
	w.Write(t, Frame{ID: f.ID, Data: dataOf(t, data)})
}

func dataOf(t testing.TB, data any) json.RawMessage {
	t.Helper()
	if _, none := data.(event.None); none {
		return nil
	}
	b, err := json.Marshal(data)
	if err != nil {
		t.Fatalf("perchtest: %v", err)
	}
	return b
}

// Next takes the oldest frame of that event that was not taken yet, and waits for it if there is none; after ten seconds the
// test fails.
func (w *WebSocket) Next(t testing.TB, name string) Frame {
	t.Helper()
	return w.take(t, fmt.Sprintf("event %q", name), func(f Frame) bool { return f.Event == name })
}

// take waits for a frame.
func (w *WebSocket) take(t testing.TB, what string, is func(Frame) bool) (f Frame) {
	t.Helper()
	w.inbox.wait(t, what, func() (bool, error) {
		i := slices.IndexFunc(w.frames, is)
		if i < 0 {
			return false, w.err
		}
		f = w.frames[i]
		w.frames = slices.Delete(w.frames, i, i+1)
		return true, nil
	}, w.describe)
	return f
}

// NextClose waits until the connection has ended, and returns the server's close code and reason; without a close frame the code
// is 1006. After ten seconds the test fails.
func (w *WebSocket) NextClose(t testing.TB) (code int, reason string) {
	t.Helper()
	w.inbox.wait(t, "end of the connection", func() (bool, error) {
		if w.err == nil {
			return false, nil
		}
		var e websocket.CloseError
		if code = int(websocket.StatusAbnormalClosure); errors.As(w.err, &e) {
			code, reason = int(e.Code), e.Reason
		}
		return true, nil
	}, w.describe)
	return code, reason
}

// NoFrames fails the test if frames have come that were not taken; see [Client.NoEvents].
func (w *WebSocket) NoFrames(t testing.TB) {
	t.Helper()
	settle(t)
	w.inbox.mu.Lock()
	defer w.inbox.mu.Unlock()
	for _, f := range w.frames {
		t.Errorf("perchtest: frame %v came", f)
	}
}

func (w *WebSocket) describe() string { return fmt.Sprintf("what came is %v", w.frames) }

// Close says goodbye and ends the connection.
func (w *WebSocket) Close() {
	_ = w.conn.Close(websocket.StatusNormalClosure, "")
	w.cancel()
}
