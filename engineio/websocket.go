package engineio

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/internal/wsframe"
)

// webSocket is one WebSocket connection: of a session that opened on it, or one that probes to take
// a polling session over. Its reader owns it, which is a goroutine or, while the connection is parked,
// the server's poller. conn's writing side belongs to the session's writer once the connection is the
// session's transport, and to the reader until then.
type webSocket struct {
	session  *Session
	conn     stream.Conn
	frames   *wsframe.Reader // nil while it is parked between two messages
	trial    *trial          // nil once it is the session's transport; changes under the session's lock
	activity atomic.Uint32   // see readers
	woken    uint32          // when it was taken up last, see busy
	since    uint32          // when a message began that is under way, see inTime; the reader's own
	watched  bool            // by the sweeps; the reader's own, as is
	patience uint8           // how many sweeps it may be quiet
	text     bool            // the client asked for base64 (b64=1)
	deflates bool            // compression was negotiated
}

// trial is the state of a connection that probes.
type trial struct {
	answered bool // the probe was; guarded by the session's lock
	expiry   wheel.Timer
	noop     wheel.Timer // of a poll that came during it
}

// noopDelay is how long a poll waits for something to say while an upgrade is under way. Every one
// returns then (spec 3.1), because the client waits for it before it upgrades; but not at once, or a
// client that never hears our answer to its probe would poll in a tight loop until the upgrade times out.
const noopDelay = 25 * time.Millisecond

// isUpgrade reports whether a request asks for another protocol.
func isUpgrade(r *http.Request) bool {
	return headerHas(r.Header, "Connection", "upgrade") && headerHas(r.Header, "Upgrade", "websocket")
}

// headerHas reports whether a comma-separated header has a token, whatever its case.
func headerHas(h http.Header, name, token string) bool {
	for _, v := range h[name] {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// takeover is the connection of an upgrade request, taken over from net/http.
type takeover struct {
	conn          stream.Conn
	answer, early []byte
	deflates      bool // negotiated
}

// checkUpgrade answers an upgrade request that RFC 6455 does not allow.
func (s *Server) checkUpgrade(w http.ResponseWriter, r *http.Request) error {
	switch {
	case r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1):
		w.Header().Set("Allow", http.MethodGet)
		return s.refuseUpgrade(w, r, http.StatusMethodNotAllowed, "must be GET over HTTP/1.1")
	case r.Header.Get("Sec-Websocket-Version") != "13":
		w.Header().Set("Sec-WebSocket-Version", "13")
		return s.refuseUpgrade(w, r, http.StatusUpgradeRequired, "WebSocket version must be 13")
	case !validKey(r.Header.Get("Sec-Websocket-Key")):
		return s.refuseUpgrade(w, r, http.StatusBadRequest, "Sec-WebSocket-Key is not 16 bytes in base64")
	}
	return nil
}

// validKey reports whether key is 16 bytes in base64. Nobody wants to know which.
func validKey(key string) bool {
	digits, padded := strings.CutSuffix(key, "==")
	for i := range len(digits) {
		switch c := digits[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/':
		default:
			return false
		}
	}
	return padded && len(digits) == 22
}

// takeOver takes the connection of an upgrade request over from net/http. Anything that is wrong with
// the request is answered before that. The answer itself is returned unwritten, so that it can leave
// together with the first frames, and so are bytes that the client has sent already. protocol is the
// subprotocol it names, if any; opens is whether it is the answer that opens a session.
//
// A fresh goroutine has a small stack, and one that grows is copied. What lies on net/http's until the connection is taken over,
// frames of this and of those who call it, is kept so small that it need not grow: the rest is in functions of its own.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request, protocol string, opens bool) (*takeover, error) {
	if err := s.checkUpgrade(w, r); err != nil {
		return nil, err
	}
	var t takeover
	var extension string
	if s.opts.PerMessageDeflate != nil {
		var err error
		if extension, err = wsframe.NegotiateDeflate(r.Header["Sec-Websocket-Extensions"]); err != nil {
			return nil, s.refuseUpgrade(w, r, http.StatusBadRequest, err.Error())
		}
		t.deflates = extension != ""
	}
	header := w.Header()
	if opens {
		s.setInitialHeaders(header, r, WebSocket, "")
	}
	s.setHeaders(header, r)
	netConn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, errors.Join(err, s.refuseUpgrade(w, r, http.StatusNotImplemented,
			"this server or a middleware around it does not let connections be taken over"))
	}
	// A foreign server may have set deadlines for the request.
	_ = netConn.SetDeadline(time.Time{})
	if n := rw.Reader.Buffered(); n > 0 {
		peeked, _ := rw.Reader.Peek(n)
		t.early = append(t.early, peeked...)
	}
	t.conn = stream.New(netConn, &s.poller)
	t.answer = switchingProtocols(r.Header.Get("Sec-Websocket-Key"), protocol, extension, header)
	return &t, nil
}

// switchingProtocols is the answer to an upgrade request.
func switchingProtocols(key, protocol, extension string, header http.Header) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	answer = base64.StdEncoding.AppendEncode(answer, sum[:])
	if protocol != "" {
		answer = append(append(answer, "\r\nSec-WebSocket-Protocol: "...), protocol...)
	}
	if extension != "" {
		answer = append(append(answer, "\r\nSec-WebSocket-Extensions: "...), extension...)
	}
	answer = append(answer, "\r\n"...)
	if len(header) > 0 {
		more := bytes.NewBuffer(answer)
		_ = header.WriteSubset(more, ownHeaders)
		answer = more.Bytes()
	}
	return append(answer, "\r\n"...)
}

// ownHeaders are those of the answer to an upgrade that nobody else can set.
var ownHeaders = map[string]bool{
	"Connection": true, "Upgrade": true, "Content-Length": true, "Transfer-Encoding": true,
	"Sec-Websocket-Accept": true, "Sec-Websocket-Protocol": true, "Sec-Websocket-Extensions": true,
	"Sec-WebSocket-Accept": true, "Sec-WebSocket-Protocol": true, "Sec-WebSocket-Extensions": true,
}

func (s *Server) refuseUpgrade(w http.ResponseWriter, r *http.Request, status int, message string) error {
	err := errors.New("engineio: " + message)
	s.report(&ConnectionError{Request: r, Code: CodeBadRequest, Message: message, Context: ContextTransportHandshakeError, Err: err})
	s.writeBody(w, r, status, "text/plain; charset=utf-8", message)
	return err
}

// subprotocol returns the first protocol the client offers: the reference accepts it, and some
// clients take no answer for a failure.
func subprotocol(h http.Header) string {
	first, _, _ := strings.Cut(h.Get("Sec-Websocket-Protocol"), ",")
	first = strings.TrimSpace(first)
	for i := range len(first) {
		if c := first[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return ""
		}
	}
	return first
}

// use takes what an upgrade request has brought. For one that probes, called with the session's lock held.
func (ws *webSocket) use(t *takeover) {
	ws.conn, ws.deflates = t.conn, t.deflates
}

// serveOpen starts a session on a new WebSocket connection.
func (s *Server) serveOpen(w http.ResponseWriter, r *http.Request, id string, place *ticket) {
	if t, err := s.takeOver(w, r, subprotocol(r.Header), true); err == nil {
		s.openOn(t, r, id, place)
	}
}

// openOn opens a session on a connection that has been taken over for it.
func (s *Server) openOn(t *takeover, r *http.Request, id string, place *ticket) {
	session := s.newSession(r, WebSocket, id)
	session.speak(r)
	ws := &webSocket{session: session, text: param(r.URL.RawQuery, "b64") != ""}
	ws.use(t)
	session.ws = ws

	// The answer to the handshake, the open packet and whatever the layer above sends at once leave
	// in one write.
	session.mu.Lock()
	session.queue().addRaw(t.answer)
	session.mu.Unlock()
	if s.openSession(session, place) {
		ws.start(t.early)
	}
}

// serveUpgrade lets a new connection probe for a polling session.
func (s *Session) serveUpgrade(w http.ResponseWriter, r *http.Request) {
	ws := &webSocket{session: s, trial: new(trial), text: param(r.URL.RawQuery, "b64") != ""}
	s.mu.Lock()
	if s.state != open || !s.polling || s.upgrade != nil {
		s.mu.Unlock()
		s.server.turnAway(w, r)
		return
	}
	// The place is taken before the connection is, so that two cannot both pass.
	s.upgrade = ws
	s.mu.Unlock()

	t, err := s.server.takeOver(w, r, subprotocol(r.Header), false)
	s.mu.Lock()
	if err != nil || s.upgrade != ws {
		if s.upgrade == ws {
			s.upgrade = nil
		}
		s.mu.Unlock()
		if err == nil {
			_ = t.conn.Close() // the session ended meanwhile
		}
		return
	}
	ws.use(t)
	expiry := &ws.trial.expiry
	s.mu.Unlock()
	s.server.wheel.Schedule(expiry, s.server.opts.UpgradeTimeout, func() { ws.abandon() })
	s.server.goroutines.run(func() {
		if _, err := ws.conn.Write([][]byte{t.answer}); err != nil {
			ws.abandon()
			return
		}
		ws.run(t.early)
	})
}

// maxTurning is how many connections may be turned away by a close frame at a time.
const maxTurning = 1024

// turnAway accepts a second WebSocket for a session that is upgrading or has upgraded, and closes it
// at once (spec 3.1): clients understand a closed connection better than a refused one.
func (s *Server) turnAway(w http.ResponseWriter, r *http.Request) {
	if s.turning.Add(1) > maxTurning { // they are no sessions, so nothing else counts them
		s.turning.Add(-1)
		s.refuse(w, r, CodeBadRequest, ContextTransportMismatch)
		return
	}
	t, err := s.takeOver(w, r, subprotocol(r.Header), false)
	if err != nil {
		s.turning.Add(-1)
		return
	}
	s.stats.refused.Add(1)
	conn := t.conn
	deadline := new(wheel.Timer)
	s.wheel.Schedule(deadline, closeTimeout, func() { _ = conn.Close() })
	s.goroutines.run(func() {
		defer s.turning.Add(-1)
		defer conn.Close()
		defer s.wheel.Stop(deadline)
		if _, err := conn.Write([][]byte{wsframe.AppendClose(t.answer, wsframe.StatusProtocol, "")}); err != nil {
			return
		}
		_ = conn.CloseWrite()
		for {
			buf, err := conn.Read()
			if err != nil {
				return
			}
			buf.Release()
		}
	})
}

// abandon closes a connection that has not become its session's transport. The session goes on.
func (ws *webSocket) abandon() {
	s := ws.session
	s.mu.Lock()
	if s.ws == ws {
		s.mu.Unlock() // it has, just now
		return
	}
	if s.upgrade == ws {
		s.upgrade = nil
		s.server.stats.upgradesFailed.Add(1)
	}
	s.mu.Unlock()
	s.server.wheel.Stop(&ws.trial.expiry)
	s.server.wheel.Stop(&ws.trial.noop)
	_ = ws.conn.Close()
}

// releasePoll lets the pending poll of an upgrading session return with a noop, or with what there is.
func (ws *webSocket) releasePoll() {
	s := ws.session
	s.mu.Lock()
	p := s.poll
	if s.upgrade != ws || p == nil {
		s.mu.Unlock()
		return
	}
	s.poll = nil
	p.box, s.out = s.out, nil
	p.noop = p.box == nil
	s.mu.Unlock()
	close(p.ready)
}

// start lets the first packets of a session go, and reads what comes. All that is on the reader's goroutine, because net/http's
// would have to grow its stack for it.
func (ws *webSocket) start(early []byte) {
	ws.session.server.goroutines.run(func() {
		ws.session.Flush()
		ws.session.opened()
		ws.run(early)
	})
}

// run is the life of a reader that begins on a goroutine.
func (ws *webSocket) run(early []byte) {
	ws.startReading()
	if len(early) > 0 && !ws.handle(early) {
		ws.discard()
		return
	}
	ws.read()
}

// read reads until the connection ends or is parked.
func (ws *webSocket) read() {
	for {
		ws.beWatched()
		ws.pause()
		switch err := ws.conn.ReadEach(ws.take); err {
		case nil: // take has seen enough
			ws.discard()
			return
		case stream.ErrInterrupted:
			ws.stopReading()
			if ws.park() {
				return
			}
			ws.startReading()
		default:
			ws.lost(err)
			return
		}
	}
}

// take handles what one read has brought, and reports whether to read on.
func (ws *webSocket) take(buf *stream.Buffer) bool {
	ws.stir()
	if !ws.handle(buf.Bytes()) {
		return false
	}
	ws.beWatched()
	ws.pause()
	return true
}

// lost ends what depends on the connection.
func (ws *webSocket) lost(err error) {
	ws.activity.Store(readerDone)
	if ws.trial != nil {
		ws.abandon()
		return
	}
	ws.session.end(ReasonTransportClose, err)
	ws.stopReading()
}

// discard reads on after our own close until the peer closes too; see Session.drainedUnlock. The
// session's timer ends a peer that does not.
func (ws *webSocket) discard() {
	ws.activity.Store(readerDone)
	if ws.trial != nil {
		ws.abandon()
		return
	}
	for {
		ws.pause()
		buf, err := ws.conn.Read()
		if err == stream.ErrInterrupted {
			continue
		}
		if err != nil {
			ws.session.end(ReasonTransportClose, err)
			ws.stopReading()
			return
		}
		buf.Release()
	}
}

// handle handles the bytes of one read as a batch and reports whether to read on.
func (ws *webSocket) handle(data []byte) bool {
	s := ws.session
	b := batch{session: s}
	defer b.end()
	if ws.frames == nil {
		ws.takeFrames()
	}
	ws.frames.Feed(data)
	for {
		m, ok, err := ws.frames.Next()
		if err != nil {
			ws.violated(err, &b)
			return false
		}
		if !ok {
			return ws.inTime(&b)
		}
		if ws.since != 0 && !ws.frames.Fragmented() {
			ws.since = 0
		}
		if !ws.handleFrame(m, &b) {
			return false
		}
		if ws.trial == nil && !s.admit(&b) {
			return false
		}
	}
}

func (ws *webSocket) handleFrame(m wsframe.Message, b *batch) bool {
	s := ws.session
	switch m.Op {
	case wsframe.Text:
		if ws.trial != nil {
			return ws.probe(m.Payload)
		}
		if s.plain {
			b.begin()
			s.deliver(m.Payload, false)
			return true
		}
		if s.v3 != nil {
			return b.handled(s.handleText3(m.Payload, b))
		}
		return b.handled(s.handleText(m.Payload, b))
	case wsframe.Binary:
		if ws.trial != nil {
			return false
		}
		if s.v3 != nil {
			return b.handled(s.handleBinary3(m.Payload, b))
		}
		b.begin()
		s.deliver(m.Payload, true)
	case wsframe.Ping:
		return ws.control(wsframe.Pong, m.Payload)
	case wsframe.Pong:
		if s.plain {
			s.pong()
		}
	case wsframe.Close:
		code, _ := wsframe.CloseCode(m.Payload)
		if ws.trial != nil {
			_, _ = ws.conn.Write([][]byte{wsframe.AppendClose(nil, code, "")})
			return false
		}
		b.handOver()
		s.mu.Lock()
		s.peerDone = true
		answered := s.state == draining && s.out == nil && !s.writing
		s.mu.Unlock()
		if answered {
			s.end(ReasonTransportClose, nil)
			return false
		}
		s.shut(ReasonTransportClose, nil, code, "")
		return false
	}
	return true
}

// handled ends the session if what became of a packet says so, and reports whether to read on.
func (b *batch) handled(reason Reason, err error) bool {
	if reason == "" {
		return true
	}
	b.handOver()
	status := wsframe.StatusNormal
	if err != nil {
		status = wsframe.StatusProtocol
	}
	b.session.shut(reason, err, status, "")
	return false
}

// control answers a WebSocket control frame, which has nothing to do with the heartbeat above it.
func (ws *webSocket) control(op wsframe.Op, payload []byte) bool {
	frame := append(wsframe.AppendHeader(nil, op, len(payload)), payload...)
	if ws.trial != nil {
		_, err := ws.conn.Write([][]byte{frame})
		return err == nil
	}
	s := ws.session
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return false
	}
	// It counts in the budget: pings of a peer that reads nothing must not pile up. Where the budget is used up and the session
	// lives on, they are not answered, but the peer is still heard.
	if s.reserve(len(frame), 1) != nil {
		goOn := !s.doomed
		s.mu.Unlock()
		return goOn
	}
	s.queue().add(frame, 1, false)
	s.flushUnlock()
	return true
}

// fail ends the session, or only this connection while it is probing.
func (ws *webSocket) fail(reason Reason, err error, status uint16) {
	if ws.trial != nil {
		_, _ = ws.conn.Write([][]byte{wsframe.AppendClose(nil, status, "")})
		return
	}
	ws.session.shut(reason, err, status, "")
}

// probe handles what comes before the upgrade is complete (spec 3.1): the probe, which is answered
// and lets every poll return, so that the client can pause polling; then the upgrade itself.
func (ws *webSocket) probe(packet []byte) bool {
	s := ws.session
	switch {
	case string(packet) == "2probe" && !ws.trial.answered:
		answer := appendText(nil, packetPong, []byte("probe"))
		if _, err := ws.conn.Write([][]byte{answer}); err != nil {
			return false
		}
		s.mu.Lock()
		ws.trial.answered = true
		s.mu.Unlock()
		s.server.wheel.Schedule(&ws.trial.noop, noopDelay, ws.releasePoll)
		return true
	case string(packet) == "5" && ws.trial.answered:
		s.mu.Lock()
		if s.state != open || s.upgrade != ws {
			s.mu.Unlock()
			return false
		}
		p := s.poll
		s.polling, s.ws, s.upgrade, s.poll = false, ws, nil, nil
		s.upgraded, s.reading = true, true
		s.server.stats.upgrades.Add(1)
		done := ws.trial
		ws.trial = nil
		ws.frames.Limit = s.server.opts.MaxPayload
		if x := s.rare; x != nil && x.onUpgrade != nil {
			fn := x.onUpgrade
			x.onUpgrade = nil
			s.server.goroutines.run(fn)
		}
		if p != nil {
			p.moved = true // the client was not to poll any more, and is told so
			close(p.ready)
		}
		s.server.wheel.Stop(&done.expiry)
		s.server.wheel.Stop(&done.noop)
		s.flushUnlock()
		return true
	default:
		if log := s.server.opts.Logger; log.Enabled(context.Background(), slog.LevelDebug) {
			log.Debug("engine.io upgrade abandoned", "packet", fmt.Sprintf("%.20q", packet))
		}
		_, _ = ws.conn.Write([][]byte{wsframe.AppendClose(nil, wsframe.StatusProtocol, "")})
		return false
	}
}
