package socketio

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"

	"github.com/perch-go/perch/internal/stream"
)

// peer is a client of the stateful test. It knows the protocol by itself, and of each namespace what has to come. What is not
// noted otherwise is guarded by world.mu.
type peer struct {
	w      *world
	number int
	sid    string
	socket *stream.PipeConn // nil while it is polling
	probe  *stream.PipeConn // an upgrade under way
	probed bool             // and its probe was answered

	cancel    context.CancelFunc // of the pending poll; nil without one
	following bool               // polls again at once, and answers pings
	pings     int                // that were not answered
	mute      bool               // answers none
	ended     bool               // whatever happened, the connection is to end
	gone      bool               // it has
	deaf      bool               // looks at no message

	turn    chan struct{}     // held while something is sent, by whoever has put something in
	visits  map[string]*visit // the latest of each namespace
	heard   map[string]*visit // the latest whose CONNECT was answered
	all     []*visit
	calls   map[int]*call // by the id of the acknowledgement
	partial *packet       // whose attachments are awaited
	owed    [][]byte      // attachments that were announced and not sent
	debtor  *visit        // of which
}

// visit is the time of a peer in a namespace, from its CONNECT on.
type visit struct {
	namespace string
	sid       string
	answered  bool
	refusable bool // CONNECT_ERROR is to come
	over      bool // left, kicked out or cut off: nothing more is sure
	kicked    bool // by the server, which drops what it has not handled
	rooms     map[string]bool

	sent, settled int // events, and how many of them the server must have read
	flows         map[string]*flow
	asks          []ask
}

// flow is a sequence of events that the server has sent.
type flow struct {
	sent int // -1: it is not known which of them are for this visit
	next int
}

// call is an event that wants to be acknowledged.
type call struct {
	visit *visit
	want  int
	got   int // acknowledgements
}

// ask is what the server wants to be acknowledged.
type ask struct{ id, value int }

func (w *world) newPeer() *peer {
	p := &peer{
		w: w, number: len(w.peers), turn: make(chan struct{}, 1),
		visits: map[string]*visit{}, heard: map[string]*visit{}, calls: map[int]*call{},
	}
	w.peers = append(w.peers, p)
	return p
}

// hijacked is the http.ResponseWriter of an upgrade request.
type hijacked struct {
	*httptest.ResponseRecorder
	conn *stream.PipeConn
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

const target = "http://perch.test/socket.io/?EIO=4&transport="

// request has the server answer, and returns when it has.
func (p *peer) request(ctx context.Context, method, query, body string, header ...string) (status int, answer string) {
	ctx, cancel := context.WithCancel(ctx) // as net/http does, when the handler returns
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, target+query, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	p.w.server.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// post sends a payload, whatever it is.
func (p *peer) post(body string, header ...string) (status int) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	status, _ = p.request(context.Background(), http.MethodPost, "polling&sid="+p.sid, body, header...)
	return status
}

// dial opens a WebSocket, for a new session or as the probe of this one, and returns the client's end.
func (p *peer) dial() *stream.PipeConn {
	conn, server := stream.Pipe()
	query := "websocket"
	if p.sid != "" {
		query += "&sid=" + p.sid
	}
	r := httptest.NewRequest(http.MethodGet, target+query, nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	rec := &hijacked{httptest.NewRecorder(), server}
	p.w.server.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK { // nobody has hijacked it
		_ = conn.Close()
	}
	return conn
}

// poll begins a GET, if there is none.
func (p *peer) poll() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.cancel != nil || p.gone {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		for {
			query := "polling"
			if p.sid != "" {
				query += "&sid=" + p.sid
			}
			status, body := p.request(ctx, http.MethodGet, query, "")
			if !p.polled(ctx, status, body) {
				cancel()
				return
			}
		}
	}()
}

// polled takes the answer to a poll, and reports whether to poll again.
func (p *peer) polled(ctx context.Context, status int, body string) bool {
	p.w.mu.Lock()
	if ctx.Err() != nil { // nobody has answered it
		p.gone = true
	} else if status == http.StatusOK {
		for text := range strings.SplitSeq(body, "\x1e") {
			p.packet(text)
		}
	} else if p.socket == nil {
		p.gone = true
	}
	pongs := p.pings
	if p.mute || !p.following || p.gone || p.socket != nil {
		pongs = 0
	}
	p.pings -= pongs
	p.w.mu.Unlock()
	for range pongs {
		p.post("3")
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	again := p.following && !p.gone && p.socket == nil && ctx.Err() == nil
	if !again {
		p.cancel = nil
	}
	return again
}

// read takes what comes on a WebSocket until that ends.
func (p *peer) read(conn *stream.PipeConn) {
	defer p.lost(conn)
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return
	}
	for {
		m, err := readFrame(r)
		if err != nil {
			return // io.EOF also stands for a close frame
		}
		p.w.mu.Lock()
		pong := false
		switch m := m.(type) {
		case []byte:
			p.attachment(m)
		case string:
			switch {
			case m == "3probe" && conn == p.probe:
				p.probed = true
			case m == "2":
				pong = !p.mute
			default:
				p.packet(m)
			}
		}
		p.w.mu.Unlock()
		if pong {
			p.write(conn, masked(1, "3"))
		}
	}
}

// lost is told when a WebSocket has ended. The client answers the server's close frame, or there is nobody.
func (p *peer) lost(conn *stream.PipeConn) {
	p.write(conn, masked(8, "\x03\xe8"))
	_ = conn.Close()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	switch conn {
	case p.probe:
		p.probe, p.probed = nil, false
	case p.socket:
		p.gone = true
	}
}

func (p *peer) write(conn *stream.PipeConn, b []byte) {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	_, _ = conn.Write(b) // who reads notices that it has ended
}

// masked is a client's frame.
func masked(op byte, payload string) []byte {
	b := appendFrame(nil, op, payload)
	mask := b[len(b)-len(payload)-4:][:4]
	copy(mask, "\x11\x82\xf3\x04")
	for i, data := 0, b[len(b)-len(payload):]; i < len(data); i++ {
		data[i] ^= mask[i%4]
	}
	return b
}

// send sends Socket.IO packets (strings) and attachments (byte slices) in one POST or one write, and that in pieces if chop is not 0.
func (p *peer) send(chop int, packets ...any) {
	conn := p.conn()
	var out []byte
	for i, m := range packets {
		op, payload := byte(1), ""
		switch m := m.(type) {
		case string:
			payload = "4" + m
		case []byte:
			if op, payload = 2, string(m); conn == nil {
				payload = "b" + base64.StdEncoding.EncodeToString(m)
			}
		}
		switch {
		case conn != nil:
			out = append(out, masked(op, payload)...)
		case i > 0:
			out = append(append(out, 0x1e), payload...)
		default:
			out = append(out, payload...)
		}
	}
	if conn == nil {
		if status := p.post(string(out)); status != http.StatusOK && !p.isEnded() {
			p.w.failf("post of peer %d: %d", p.number, status)
		}
		return
	}
	for chop > 0 && len(out) > chop {
		p.write(conn, out[:chop])
		out = out[chop:]
		if len(out) > 50*chop {
			break
		}
	}
	p.write(conn, out)
}

func (p *peer) conn() *stream.PipeConn {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.socket
}

func (p *peer) isEnded() bool {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.ended
}

// packet takes an Engine.IO packet. Called with world.mu held, like what follows.
func (p *peer) packet(text string) {
	if text == "" {
		p.w.failLocked("peer %d got an empty packet", p.number)
		return
	}
	switch body := text[1:]; text[0] {
	case '0':
		var open struct{ SID string }
		if err := json.Unmarshal([]byte(body), &open); err != nil || open.SID == "" || p.sid != "" {
			p.w.failLocked("open packet %q: %v", text, err)
		}
		p.sid = open.SID
	case '1':
		p.gone = true
	case '2':
		p.pings++
	case '4':
		p.message(body)
	case 'b':
		data, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			p.w.failLocked("binary packet %.40q: %v", text, err)
		}
		p.attachment(data)
	case '6':
	default:
		p.w.failLocked("packet %.40q", text)
	}
}

// packet is what a client makes of a Socket.IO packet.
type packet struct {
	kind        byte
	attachments int
	namespace   string
	id          int // -1 without
	data        json.RawMessage
	got         [][]byte
}

var packetForm = regexp.MustCompile(`(?s)^([0-6])(?:(\d+)-)?(?:(/[^,]*),)?(\d*)(.*)$`)

func (p *peer) message(text string) {
	if p.deaf {
		return
	}
	m := packetForm.FindStringSubmatch(text)
	if m == nil || p.partial != nil || m[5] != "" && !json.Valid([]byte(m[5])) {
		p.w.failLocked("peer %d got %.60q, attachments awaited: %t", p.number, text, p.partial != nil)
		return
	}
	in := &packet{kind: m[1][0], namespace: m[3], id: -1, data: json.RawMessage(m[5])}
	if in.namespace == "" {
		in.namespace = "/"
	}
	if m[4] != "" {
		in.id, _ = strconv.Atoi(m[4])
	}
	if in.attachments, _ = strconv.Atoi(m[2]); in.attachments > 0 {
		p.partial = in
		return
	}
	p.handle(in)
}

func (p *peer) attachment(data []byte) {
	in := p.partial
	if p.deaf {
		return
	}
	if in == nil {
		p.w.failLocked("peer %d got an attachment of nothing", p.number)
		return
	}
	if in.got = append(in.got, data); len(in.got) == in.attachments {
		p.partial = nil
		p.handle(in)
	}
}

// handle compares a packet with what may come.
func (p *peer) handle(in *packet) {
	v := p.visits[in.namespace]
	old := p.heard[in.namespace]
	switch in.kind {
	case '0':
		var reply struct{ SID string }
		if err := json.Unmarshal(in.data, &reply); err != nil || v == nil || v.answered || v.refusable || reply.SID == "" {
			p.w.failLocked("peer %d got an answer to no CONNECT: %s %s", p.number, in.namespace, in.data)
			return
		}
		v.sid, v.answered = reply.SID, true
		p.heard[in.namespace] = v
		p.w.joined[v.sid] = v
	case '1':
		if old == nil || !old.kicked {
			p.w.failLocked("peer %d was put out of %s", p.number, in.namespace)
		}
	case '2', '5':
		p.event(old, in)
	case '3', '6':
		c := p.calls[in.id]
		if c == nil || c.visit.namespace != in.namespace || c.got > 0 || string(in.data) != fmt.Sprintf("[%d]", c.want) {
			p.w.failLocked("peer %d got acknowledgement %d of %s: %s, expected %+v", p.number, in.id, in.namespace, in.data, c)
			return
		}
		c.got++
	case '4':
		if v == nil || !v.refusable {
			p.w.failLocked("peer %d was refused %s: %s", p.number, in.namespace, in.data)
			return
		}
		v.refusable, v.over = false, true
	}
}

// event takes an event, which is of a flow or a question.
func (p *peer) event(v *visit, in *packet) {
	var args []json.RawMessage
	_ = json.Unmarshal(in.data, &args)
	if v == nil || len(args) < 2 {
		p.w.failLocked("peer %d got an event of no socket: %s %.60s", p.number, in.namespace, in.data)
		return
	}
	if string(args[0]) == `"ask"` {
		value, err := strconv.Atoi(string(args[1]))
		if err != nil || in.id < 0 {
			p.w.failLocked("question %s: %v", in.data, err)
		}
		v.asks = append(v.asks, ask{in.id, value})
		return
	}
	var name string
	var seq, size int
	if len(args) != 5 {
		p.w.failLocked("event %.60s", in.data)
		return
	}
	err := errors.Join(json.Unmarshal(args[1], &name), json.Unmarshal(args[2], &seq), json.Unmarshal(args[3], &size))
	content := ""
	if len(in.got) == 1 {
		content = string(in.got[0])
	} else {
		err = errors.Join(err, json.Unmarshal(args[4], &content))
	}
	if err != nil || content != filler(seq, size) {
		p.w.failLocked("event %.60s: %v", in.data, err)
	}
	f := v.flows[name]
	if f == nil {
		f = &flow{sent: -1, next: seq}
		v.flows[name] = f
	}
	if seq != f.next || f.sent >= 0 && seq >= f.sent {
		p.w.failLocked("peer %d, %s: event %d of flow %s came, of %d, when %d was to", p.number, v.namespace, seq, name, f.sent, f.next)
	}
	f.next = seq + 1
}

// filler is the content of an event.
func filler(seq, size int) string {
	return strings.Repeat(string(rune('a'+seq%26)), size)
}
