package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/parser"
)

// plainFrames is a parser of frames {"id", "event", "data"}.
type plainFrames struct{}

func (plainFrames) Format() string { return "test frames" }

func (plainFrames) Parse(p *parser.Packet, buf, data []byte, binary bool, l parser.Limits) ([]byte, error) {
	if binary {
		return buf, &parser.Error{Err: parser.ErrBinary}
	}
	var f struct {
		Event    *string
		ID, Data json.RawMessage
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return buf, err
	}
	if f.Event == nil {
		id, _ := strconv.ParseUint(string(f.ID), 10, 64)
		return buf, p.AssembleData(parser.Header{Type: parser.Ack, ID: min(id, parser.MaxID), HasID: true}, nil, f.Data, l)
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(*f.Event, "type ")); err == nil { // a packet that there should not be
		return buf, p.Assemble(parser.Header{Type: parser.Type(n), Attachments: n / int(parser.BinaryEvent)}, f.Data, nil, l)
	}
	// What the packet has of its own lies in the buffer, which is another event's when this one is over.
	buf = append(append(buf, f.ID...), f.Data...)
	id, body := buf[:len(f.ID):len(f.ID)], buf[len(f.ID):]
	if f.Data == nil {
		body = nil
	}
	err := p.AssembleData(parser.Header{Type: parser.Event, HasID: f.ID != nil}, []byte(*f.Event), body, l)
	if f.ID != nil {
		p.RawID = id
	}
	return buf, err
}

func (plainFrames) Append(dst []byte, o parser.Outgoing) (parser.Encoded, error) {
	start := len(dst)
	dst = append(dst, '{')
	switch {
	case o.RawID != nil:
		dst = append(append(dst, `"id":`...), o.RawID...)
	case o.HasID:
		dst = strconv.AppendUint(append(dst, `"id":`...), o.ID, 10)
	}
	if o.Type == parser.Event {
		if o.HasID {
			dst = append(dst, ',')
		}
		dst = strconv.AppendQuote(append(dst, `"event":`...), o.Event)
	}
	if len(o.Args) > 0 {
		dst = append(dst, `,"data":`...)
	}
	dst, err := o.AppendData(dst)
	if err != nil {
		return parser.Encoded{Data: dst[:start]}, err
	}
	return parser.Encoded{Data: append(dst, '}')}, nil
}

// servePlain is serve with plain clients at /ws, which join "/", and at /ns/{name...}.
func servePlain(t *testing.T, o Options) *harness {
	t.Helper()
	log := new(logs)
	o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", s)
	for path, namespace := range map[string]func(*http.Request) string{"/ws": nil, "/ns/{name...}": func(r *http.Request) string { return r.PathValue("name") }} {
		h, err := s.Plain(PlainOptions{Parser: plainFrames{}, Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle(path, h)
	}
	ts := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		ts.Close()
		if n := s.live.Load(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		if n := len(s.conns.all()); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if t.Failed() {
			t.Logf("server log:\n%s", log)
		}
	})
	return &harness{Server: s, url: ts.URL, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, log: log}
}

// plainClient is a WebSocket client.
type plainClient struct {
	t    *testing.T
	conn *websocket.Conn
}

func (h *harness) dialPlain(t *testing.T, path string) *plainClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, h.url+path, nil)
	if err != nil {
		t.Fatal(resp, err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &plainClient{t, conn}
}

// refusedPlain is the answer to a handshake that must fail.
func (h *harness) refusedPlain(t *testing.T, path string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, h.url+path, nil)
	switch {
	case err == nil:
		_ = conn.CloseNow()
		t.Fatalf("%s: it was let in", path)
	case resp == nil:
		t.Fatal(err)
	}
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func (c *plainClient) send(frames ...string) {
	c.t.Helper()
	for _, f := range frames {
		if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(f)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// next is the next frame, or the end as "code text".
func (c *plainClient) next() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, frame, err := c.conn.Read(ctx)
	if e := (websocket.CloseError{}); errors.As(err, &e) {
		return fmt.Sprint(int(e.Code), " ", e.Reason)
	}
	if err != nil {
		return err.Error()
	}
	return string(frame)
}

func (c *plainClient) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.next(); got != w {
			c.t.Fatalf("got %s, want %s", got, w)
		}
	}
}

// Middlewares and Admit are asked before the handshake is answered, in the order of registration, and what is sent meanwhile, by them
// and by connection hooks, leaves in order.
func TestPlainConnect(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{})
	n := h.Of("/")
	seen := new(notes)
	note := func(what string) func(context.Context, *Socket) error {
		return func(ctx context.Context, s *Socket) error {
			if from, ok := SocketFrom(ctx); !ok || from != s || !s.Plain() {
				t.Errorf("%s: socket %v", what, from)
			}
			if _, err := s.EmitWithAck(ctx, "x"); !errors.Is(err, ErrConnecting) {
				t.Errorf("%s awaits the client: %v", what, err)
			}
			seen.add("%s %t %d", what, s.Join("room") == nil, n.Len())
			if err := s.Volatile().Emit("volatile"); err != nil {
				t.Error(err)
			}
			return errors.Join(s.Emit(what), s.Send(ctx, what, 1, []byte{2}), n.Emit("all"))
		}
	}
	n.Use(note("middleware"))
	n.Hook(Hooks{Admit: note("admit"), Connection: note("connection")})
	n.OnConnection(note("second"))
	n.Hook(Hooks{Admit: note("admit 2")})
	n.Handle("hi", echo)
	c := h.dialPlain(t, "/ws")
	c.send(`{"event":"hi","data":1,"id":1}`)
	for _, what := range []string{"middleware", "admit", "admit 2", "connection", "second"} {
		c.expect(`{"event":"`+what+`"}`, `{"event":"`+what+`","data":[1,"Ag=="]}`)
		if what == "connection" || what == "second" {
			c.expect(`{"event":"all"}`)
		}
	}
	c.expect(`{"id":1,"data":1}`)
	if got, want := seen.take(), "middleware false 0 admit false 0 admit 2 false 0 connection true 1 second true 1"; got != want {
		t.Errorf("got %s", got)
	}
	if _, err := h.Plain(PlainOptions{}); err == nil {
		t.Error("without a parser")
	}
}

// What a refusal looks like, before the handshake is answered and after it.
func TestPlainRefusal(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{})
	n := h.Of("/")
	left := leavings(n)
	var asked atomic.Int32
	var errs []error
	refuse := func(when string) func(context.Context, *Socket) error {
		return func(_ context.Context, s *Socket) error {
			asked.Add(1)
			if i, err := strconv.Atoi(s.Handshake().Query().Get(when)); err == nil {
				return errs[i]
			}
			return nil
		}
	}
	n.Use(refuse("early"))
	n.OnConnection(refuse("late"))
	refusals := []struct {
		err    error
		status int
		body   string
		code   int
	}{
		{&ConnectError{Message: "no"}, 403, `{"message":"no"}`, 1008},
		{fmt.Errorf("more: %w", &ConnectError{Message: "no", Data: map[string]any{"b": []byte("bytes")}, Status: 402}), 402, `{"message":"no","data":{"b":"Ynl0ZXM="}}`, 1008},
		{&ConnectError{Message: "no", Data: math.NaN(), Status: 500}, 500, `{"message":"no"}`, 1011},
		{&ConnectError{Message: "no", Status: 200}, 403, `{"message":"no"}`, 1008},
		{&ConnectError{Message: "no", Status: 42}, 403, `{"message":"no"}`, 1008},
		{errors.New("secret"), 500, `{"message":"internal server error"}`, 1011},
		{(*ConnectError)(nil), 500, `{"message":"internal server error"}`, 1011},
	}
	for _, c := range refusals {
		errs = append(errs, c.err)
	}
	for i, c := range refusals {
		if status, body := h.refusedPlain(t, fmt.Sprint("/ws?early=", i)); status != c.status || body != c.body {
			t.Errorf("%v: %d %s", c.err, status, body)
		}
		p := h.dialPlain(t, fmt.Sprint("/ws?late=", i))
		p.expect(`{"event":"connect_error","data":` + c.body + `}`)
		if got := p.next(); !strings.HasPrefix(got, strconv.Itoa(c.code)+" ") {
			t.Errorf("%v: %s", c.err, got)
		}
	}
	if status, body := h.refusedPlain(t, "/ns/none"); status != 404 || body != `{"message":"Invalid namespace"}` {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, "nobody is left", func() bool { return h.live.Load() == 1 && h.Engine().Sessions() == 0 })
	if got, want := int(asked.Load()), 3*len(refusals); got != want {
		t.Errorf("asked %d times, want %d", got, want)
	}
	if len(left) != 0 || n.Len() != 0 {
		t.Errorf("%d of those refused have left, %d are there", len(left), n.Len())
	}
}

// However it ends while middlewares are asked: nobody is left in a namespace, a dynamic one is dropped, and Shutdown does not wait for
// anybody who is gone.
func TestPlainEndsWhileAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ask    func(ctx context.Context, h *harness, s *Socket, hangUp func()) error
		status int // 0: the connection ends without an answer
	}{
		"refused":      {func(context.Context, *harness, *Socket, func()) error { return &ConnectError{Message: "no"} }, 403},
		"panic":        {func(context.Context, *harness, *Socket, func()) error { panic("no") }, 500}, // rule 11
		"goexit":       {func(context.Context, *harness, *Socket, func()) error { runtime.Goexit(); return nil }, 0},
		"disconnected": {func(_ context.Context, _ *harness, s *Socket, _ func()) error { s.Disconnect(false); return nil }, 503},
		"closed": {func(_ context.Context, _ *harness, s *Socket, _ func()) error {
			s.Conn().Close(engineio.ReasonForcedClose)
			return nil
		}, 503},
		"closed with all": {func(_ context.Context, _ *harness, s *Socket, _ func()) error { s.Disconnect(true); return nil }, 503},
		"shut down": {func(_ context.Context, h *harness, s *Socket, _ func()) error {
			go func() { _ = h.Shutdown(context.Background()) }()
			<-s.Done()
			return nil
		}, 503},
		"shut down in no time": {func(_ context.Context, h *harness, _ *Socket, _ func()) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := h.Shutdown(ctx); !errors.Is(err, context.Canceled) {
				return errors.New("Shutdown did not wait")
			}
			return nil
		}, 503},
		"gone": {func(ctx context.Context, _ *harness, _ *Socket, hangUp func()) error {
			hangUp()
			<-ctx.Done()
			return nil
		}, 0},
		"gone and refused": {func(ctx context.Context, _ *harness, _ *Socket, hangUp func()) error {
			hangUp()
			<-ctx.Done()
			return ctx.Err()
		}, 0},
		"too late": {func(ctx context.Context, _ *harness, _ *Socket, _ func()) error {
			<-ctx.Done()
			return ctx.Err()
		}, 500},
		"sends too much": {func(_ context.Context, _ *harness, s *Socket, _ func()) error {
			for s.Emit("x", make([]byte, 1000)) == nil {
			}
			return nil
		}, 503},
	} {
		for _, where := range []string{"middleware", "admit"} {
			t.Run(name+", "+where, func(t *testing.T) {
				t.Parallel()
				factory, closed := closings()
				o := Options{Adapter: factory, Engine: engineio.Options{OutboundBytes: 10_000}}
				if name == "too late" {
					o.ConnectTimeout = 10 * time.Millisecond
				}
				h := servePlain(t, o)
				parent := h.ofPattern(t, "/room/{id}")
				left := make(chan Reason, 10)
				parent.OnDisconnect(func(_ context.Context, _ *Socket, r Reason) { left <- r })
				hangUp, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				var asked, opened atomic.Int32
				ask := func(ctx context.Context, s *Socket) error {
					asked.Add(1)
					return c.ask(ctx, h, s, cancel)
				}
				parent.OnOpen(func(*Socket) { opened.Add(1) })
				if where == "admit" {
					parent.Hook(Hooks{Admit: ask})
				} else {
					parent.Use(ask)
				}
				conn, resp, err := websocket.Dial(hangUp, h.url+"/ns/room/1", nil)
				switch {
				case err == nil:
					_ = conn.CloseNow()
					t.Error("let in")
				case c.status == 0 && resp != nil, c.status != 0 && (resp == nil || resp.StatusCode != c.status):
					t.Errorf("%v %v", resp, err)
				}
				if got := within(t, closed); got != "/room/1" && name[:4] != "shut" {
					t.Errorf("%s was closed", got)
				}
				eventually(t, "no session and no socket is left", func() bool { return h.live.Load() <= 1 && h.Engine().Sessions() == 0 && children(parent) == "" })
				if asked.Load() != 1 || opened.Load() != 1 {
					t.Errorf("asked %d times, told of the socket %d times", asked.Load(), opened.Load())
				}
				if len(left) != 0 {
					t.Errorf("one that was not let in has left: %s", <-left)
				}
			})
		}
	}
}

// A request that comes when Shutdown has begun, and was on its way before, is refused like any other.
func TestPlainShutdownRace(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := s.Plain(PlainOptions{Parser: plainFrames{}, Namespace: func(*http.Request) string {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		return "/"
	}})
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(plain)
	defer ts.Close()
	_, resp, err := websocket.Dial(t.Context(), ts.URL, nil)
	if err == nil || resp == nil || resp.StatusCode != 503 {
		t.Errorf("%v %v", resp, err)
	}
	if n := s.live.Load(); n != 0 {
		t.Errorf("%d sockets", n)
	}
}

// What a hook does to a client that has the answer to its handshake.
func TestPlainEndsInHook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hook    func(h *harness, s *Socket)
		dropped bool // its events are, because it is not the client that left
		want    []string
	}{
		"disconnected":       {func(_ *harness, s *Socket) { s.Disconnect(false) }, true, []string{`{"event":"before"}`, "1000 server namespace disconnect"}},
		"and the connection": {func(_ *harness, s *Socket) { s.Disconnect(true) }, true, []string{`{"event":"before"}`, "1000 server namespace disconnect"}},
		"shut down": {func(h *harness, s *Socket) {
			go func() { _ = h.Shutdown(context.Background()) }()
			<-s.Done()
		}, false, []string{"1001 server shutting down"}},
		"goexit": {func(*harness, *Socket) { runtime.Goexit() }, true, []string{
			`{"event":"connect_error","data":{"message":"internal server error"}}`, "1011 internal server error"}},
		"too long": {func(_ *harness, s *Socket) { <-s.Done() }, false, []string{"1008 no namespace was joined in time"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{}
			if name == "too long" {
				o.ConnectTimeout = 10 * time.Millisecond
			}
			h := servePlain(t, o)
			n := h.Of("/")
			n.Handle("x", func(context.Context, *Event) {
				if c.dropped {
					t.Error("an event was handled")
				}
			})
			n.OnConnection(func(_ context.Context, s *Socket) error {
				_ = s.Emit("before")
				c.hook(h, s)
				return nil
			})
			p := h.dialPlain(t, "/ws")
			p.send(`{"event":"x"}`)
			p.expect(c.want...)
			eventually(t, "nobody is left", func() bool { return h.live.Load() <= 1 && n.Len() == 0 && h.Engine().Sessions() == 0 })
		})
	}
}

// Frames that a client must not send, each with the code that says so.
func TestPlainMisbehaves(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{})
	n := h.Of("/")
	left := leavings(n)
	for frame, want := range map[string]string{
		`nonsense`:                                  "1007 ",
		`{"event":"disconnect"}`:                    "1007 event name is reserved",
		`{"event":"x","data":[1}`:                   "1007 ",
		`{"event":"type 0"}`:                        "1007 unknown packet type",
		`{"event":"type 1"}`:                        "1007 unknown packet type",
		`{"event":"type 4","data":{"message":"x"}}`: "1007 unknown packet type",
		`{"event":"type 5","data":["x",{"_placeholder":true,"num":0}]}`: "1007 unknown packet type",
		"\x00binary": "1003 ",
	} {
		p := h.dialPlain(t, "/ws")
		kind := websocket.MessageText
		if strings.HasPrefix(frame, "\x00") {
			kind = websocket.MessageBinary
		}
		if err := p.conn.Write(t.Context(), kind, []byte(frame)); err != nil {
			t.Fatal(err)
		}
		if got := p.next(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", frame, got)
		}
		within(t, left)
	}
	eventually(t, "nobody is left", func() bool { return n.Len() == 0 && h.Engine().Sessions() == 0 })
}

// Recovery is for clients of Socket.IO, beside whom plain ones are members as ever.
func TestPlainBesideRecovery(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{Recovery: &Recovery{}})
	n := h.Of("/")
	n.Handle("hi", echo)
	sockets := arrivals(n)
	p := h.dialPlain(t, "/ws")
	if s := within(t, sockets); s.Recovered() || !s.Plain() {
		t.Error("recovered")
	}
	c := h.dial(t)
	sid, pid := c.enter("")
	within(t, sockets)
	if err := n.Emit("first", 1); err != nil {
		t.Fatal(err)
	}
	offset := c.event(`2["first",1,`)
	p.expect(`{"event":"first","data":1}`)
	c.close()
	eventually(t, "it is away", func() bool { return n.Len() == 1 })
	if err := n.Emit("missed", []byte{1}); err != nil { // encoded for a plain client first, and kept for the other
		t.Fatal(err)
	}
	p.expect(`{"event":"missed","data":"AQ=="}`)
	back := h.dial(t)
	back.send(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, pid, offset))
	back.event(`51-["missed",{"_placeholder":true,"num":0},`)
	if got, ok := back.next().([]byte); !ok || string(got) != "\x01" {
		t.Errorf("got %q", got)
	}
	if again, _ := back.entered(); again != sid {
		t.Error("not recovered")
	}
	p.send(`{"event":"hi","data":[2],"id":"x"}`)
	p.expect(`{"id":"x","data":[2]}`)
}
