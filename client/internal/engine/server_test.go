package engine

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// openPacket is what a server written by a test says first.
const openPacket = `0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000}`

// script is a server written by a test, a function for each thing that a client may ask; one that is missing is a failure.
type script struct {
	open      func(w http.ResponseWriter, r *http.Request)                 // nil: openPacket
	get       func(w http.ResponseWriter, r *http.Request, n int)          // the n-th GET of the session, from 0
	post      func(w http.ResponseWriter, r *http.Request, body string)    // nil: "ok"
	websocket func(s *socket, r *http.Request)                             // with or without sid
	upgrade   func(w http.ResponseWriter, r *http.Request) (accepted bool) // before that; nil: true
}

func (s script) serve(t *testing.T) http.HandlerFunc {
	gets := make(chan int, 1)
	gets <- 0
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("transport") == "websocket":
			if s.upgrade != nil && !s.upgrade(w, r) {
				return
			}
			if s.websocket == nil {
				t.Error("an unexpected websocket")
				return
			}
			ws := hijack(t, w, r)
			defer ws.conn.Close()
			s.websocket(ws, r)
		case r.Method == http.MethodPost:
			body := drain(r.Body)
			if s.post == nil {
				fmt.Fprint(w, "ok")
				return
			}
			s.post(w, r, body)
		case q.Get("sid") == "" && s.open == nil:
			fmt.Fprint(w, openPacket)
		case q.Get("sid") == "":
			s.open(w, r)
		default:
			n := <-gets
			gets <- n + 1
			if s.get == nil {
				t.Errorf("an unexpected GET, the %d-th", n)
				return
			}
			s.get(w, r, n)
		}
	}
}

// never keeps a request waiting until the client gives up.
func never(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }

// cut ends a connection in the middle of an answer.
func cut(w http.ResponseWriter, begin string) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = rw.WriteString(begin)
	_ = rw.Flush()
	_ = conn.Close()
}

// socket is a WebSocket to a client, bare, so that tests can say anything.
type socket struct {
	conn net.Conn
	r    *bufio.Reader
}

func hijack(t *testing.T, w http.ResponseWriter, r *http.Request) *socket {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Fatal(err)
	}
	key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(key[:]))
	return &socket{conn, rw.Reader}
}

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
)

// frame is an unmasked frame, of a whole message.
func frame(op byte, payload string) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func (s *socket) say(texts ...string) {
	for _, text := range texts {
		_, _ = s.conn.Write(frame(opText, text))
	}
}

// says is say for one text; it reports whether the client is still there.
func (s *socket) says(text string) bool {
	_, err := s.conn.Write(frame(opText, text))
	return err == nil
}

// chatter says something all the time until the client is gone, and reads nothing.
func (s *socket) chatter(text string) {
	for s.says(text) {
		pause(context.Background(), time.Millisecond)
	}
}

// read returns the next frame; "close" for a close frame, "error" if there is none.
func (s *socket) read() string {
	var head [14]byte
	if _, err := io.ReadFull(s.r, head[:2]); err != nil {
		return "error"
	}
	n := uint64(head[1] & 0x7f)
	size := map[uint64]int{126: 2, 127: 8}[n]
	if _, err := io.ReadFull(s.r, head[2:2+size+4]); err != nil {
		return "error"
	}
	switch n {
	case 126:
		n = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		n = binary.BigEndian.Uint64(head[2:])
	}
	mask := head[2+size : 2+size+4]
	payload := make([]byte, n)
	if _, err := io.ReadFull(s.r, payload); err != nil {
		return "error"
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	switch head[0] & 0xf {
	case opClose:
		return "close"
	case opBinary:
		return "b:" + string(payload)
	}
	return string(payload)
}

// linger reads until the client is gone, and answers a close frame.
func (s *socket) linger() {
	for {
		switch s.read() {
		case "error":
			return
		case "close":
			_, _ = s.conn.Write(frame(opClose, "\x03\xe8"))
			return
		}
	}
}
