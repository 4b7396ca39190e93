package plainws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/plainws"
	"github.com/perch-go/perch/socketio"
)

type item struct {
	ID   int    `json:"id"`
	Blob []byte `json:"blob,omitzero"`
}

func (i item) Validate() error {
	if i.ID < 0 {
		return errors.New("id is negative")
	}
	return nil
}

func handlers(r *perch.Router) {
	perch.On(r, "echo", func(_ context.Context, v any) (any, error) { return v, nil })
	perch.On(r, "text", func(_ context.Context, s string) (string, error) { return s, nil })
	perch.On(r, "item", func(_ context.Context, v item) (item, error) { return v, nil })
	perch.OnEvent(r, "void", func(context.Context, perch.None) error { return nil })
	perch.OnEvent(r, "boom", func(context.Context, perch.None) error { panic("boom") }) // rule 11: its client gets INTERNAL
	perch.OnEvent(r, "fail", func(context.Context, perch.None) error {
		return &perch.Error{Code: "NO", Message: "no.", Details: map[string]int{"n": 1}}
	})
	perch.On2(r, "sum", func(_ context.Context, a, b int) (int, error) { return a + b, nil })
	perch.On(r, "list", func(_ context.Context, list []int) (int, error) { return len(list), nil })
	perch.On(r, "reply", func(_ context.Context, v string) (perch.Reply[string], error) {
		return perch.Reply[string]{Event: "replied", Data: v}, nil
	})
	perch.OnStream(r, "count", func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				if !yield(i, nil) {
					return
				}
			}
		}
	})
	perch.OnEvent(r, "several", func(ctx context.Context, _ perch.None) error {
		s := perch.SocketFrom(ctx)
		return errors.Join(s.Emit("none"), s.Emit("one", []int{1}), s.Emit("two", "a", []byte("b")))
	})
	perch.OnAck(r, "later", func(_ context.Context, v string, ack perch.Ack[string]) error {
		go func() { _ = ack(v) }()
		return nil
	})
	perch.On(r, "ask", func(ctx context.Context, v string) (string, error) {
		answer, err := perch.SocketFrom(ctx).EmitWithAck(ctx, "question", v)
		if err != nil {
			return "", err
		}
		var s string
		return s, answer.Decode(0, &s)
	})
	perch.OnEvent(r, "kick", func(ctx context.Context, _ perch.None) error {
		perch.SocketFrom(ctx).Disconnect(false)
		return nil
	})
}

// Architecture section 5: what goes in and what comes out, frame by frame (N-41).
func TestFrames(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, &gateway{register: handlers})
	p := dial(t, srv, "/ws", nil)
	internal := func(id string) string {
		return `{` + id + `"event":"exception","data":{"status":"error","code":"INTERNAL","message":"Internal server error"}}`
	}
	for _, c := range []struct {
		send string
		want []string
	}{
		{`{"event":"echo","data":{"a":[1,2]},"id":1}`, []string{`{"id":1,"data":{"a":[1,2]}}`}},
		{"\n {\"id\" : \"x\\u0041\" , \"data\" : \"\u00e9\", \"more\": [{}], \"event\":\"echo\" } ", []string{`{"id":"x\u0041","data":"é"}`}},
		{`{"event":"echo","data":0,"id":""}`, []string{`{"id":"","data":0}`}},
		{`{"event":"echo","data":false,"id":null}`, []string{`{"id":null,"data":false}`}},
		{`{"event":"echo","data":null,"id":true}`, []string{`{"id":true,"data":null}`}},
		{`{"event":"echo","data":[],"id":-1.5e3}`, []string{`{"id":-1.5e3,"data":[]}`}},
		{`{"\u0065vent":"ec\u0068o","data":1,"id":12345678901234567890}`, []string{`{"id":12345678901234567890,"data":1}`}},
		{`{"event":"void","id":2}`, []string{`{"id":2}`}},
		{`{"event":"void","data":7,"id":2}`, []string{`{"id":2}`}},
		{`{"event":"echo","data":"nobody asked"}`, nil},
		{`{"event":"item","data":{"id":1,"blob":"AQID"},"id":3}`, []string{`{"id":3,"data":{"id":1,"blob":"AQID"}}`}},
		{`{"event":"item","data":{"id":"x"},"id":3}`, []string{`{"id":3,"event":"exception","data":{"status":"error","code":"BAD_PAYLOAD","message":`}},
		{`{"event":"item","data":{"id":-1},"id":3}`, []string{`{"id":3,"event":"exception","data":{"status":"error","code":"INVALID","message":"id is negative"}}`}},
		{`{"event":"item","id":3}`, []string{`{"id":3,"event":"exception","data":{"status":"error","code":"BAD_PAYLOAD","message":"the payload is missing"}}`}},
		{`{"event":"fail","id":"f"}`, []string{`{"id":"f","event":"exception","data":{"status":"error","code":"NO","message":"no.","details":{"n":1}}}`}},
		{`{"event":"fail"}`, []string{`{"event":"exception","data":{"status":"error","code":"NO","message":"no.","details":{"n":1}}}`}},
		{`{"event":"boom","id":4}`, []string{internal(`"id":4,`)}},
		{`{"event":"boom"}`, []string{internal("")}},
		{`{"event":"unknown","id":5}`, []string{`{"id":5,"event":"exception","data":{"status":"error","code":"UNKNOWN_EVENT","message":"no handler for the event \"unknown\""}}`}},
		{`{"event":"unknown"}`, nil},
		{`{"event":"sum","data":[1,2],"id":6}`, []string{`{"id":6,"data":3}`}},
		{`{"event":"sum","data":[1, 2 , 3],"id":6}`, []string{`{"id":6,"event":"exception","data":{"status":"error","code":"BAD_PAYLOAD","message":"2 arguments are wanted, there are 3"}}`}},
		{`{"event":"sum","data":1,"id":6}`, []string{`{"id":6,"event":"exception","data":{"status":"error","code":"BAD_PAYLOAD","message":"2 arguments are wanted, there are 1"}}`}},
		{`{"event":"list","data":[1,2],"id":7}`, []string{`{"id":7,"data":2}`}},
		{`{"event":"reply","data":"hi","id":8}`, []string{`{"event":"replied","data":"hi"}`, `{"id":8}`}},
		{`{"event":"count","data":2,"id":9}`, []string{`{"event":"count","data":0}`, `{"event":"count","data":1}`, `{"id":9}`}},
		{`{"event":"several"}`, []string{`{"event":"none"}`, `{"event":"one","data":[1]}`, `{"event":"two","data":["a","Yg=="]}`}},
		{`{"event":"later","data":"on","id":"l"}`, []string{`{"id":"l","data":"on"}`}},
		{`{"id":77,"data":"an answer to nothing"}`, nil},
		{`{"id":"no number","data":1}`, nil},
	} {
		p.send(c.send)
		for _, want := range c.want {
			if got := p.read(); got != want && !(strings.HasSuffix(want, ":") && strings.HasPrefix(got, want)) {
				t.Errorf("%s: got %s, want %s", c.send, got, want)
			}
		}
	}
	p.send(`{"event":"ask","data":"?","id":"q"}`)
	question := p.read()
	var id int
	if _, err := fmt.Sscanf(question, `{"id":%d,"event":"question","data":"?"}`, &id); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	p.send(fmt.Sprintf(`{"id":%d,"data":"!"}`, id))
	p.expect(`{"id":"q","data":"!"}`)
	p.send(`{"event":"kick"}`)
	p.expectClose(1000, "server namespace disconnect")
}

// What is no frame ends the connection that it came on, with a code that says why, and nothing else.
func TestBadFrames(t *testing.T) {
	t.Parallel()
	var came, left atomic.Int32
	t.Cleanup(func() {
		if came.Load() == 0 || came.Load() != left.Load() {
			t.Errorf("%d came, %d left", came.Load(), left.Load())
		}
	})
	srv, _ := serve(t, &gateway{
		register: handlers,
		connect:  func(context.Context, *perch.Socket) error { came.Add(1); return nil },
		leave:    func(*perch.Socket, perch.Reason) { left.Add(1) },
	}, perch.WithEngine(perch.EngineOptions{MaxPayload: 1000}))
	other := dial(t, srv, "/ws", nil)
	for frame, code := range map[string]int{
		``: 1007, `x`: 1007, `[]`: 1007, `{}`: 1007, `{"event":1}`: 1007, `{"data":1}`: 1007, `{"event":"e"`: 1007, `{"event":"e"}}`: 1007, `{"event":"e",}`: 1007,
		`{"event":"e","id":[]}`: 1007, `{"event":"e","id":{}}`: 1007, `{"event":"e","data":}`: 1007, `{"event":"e","data":01}`: 1007, `{"event":"e","data":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`: 1007,
		`{"event":"connect"}`: 1007, `{"event":"disconnect","id":1}`: 1007, "{\"event\":\"\xff\"}": 1007, `{"event"`: 1007, `{"event":`: 1007, `{"`: 1007, `{"event":"e" "data":1}`: 1007,
		`{"event":"echo","data":"` + strings.Repeat("x", 1000) + `"}`: 1009,
	} {
		t.Run(fmt.Sprintf("%.40s", frame), func(t *testing.T) {
			p := dial(t, srv, "/ws", nil)
			p.send(frame)
			p.expectClose(code, "")
		})
	}
	p := dial(t, srv, "/ws", nil)
	if err := p.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"event":"void","id":1}`)); err != nil {
		t.Fatal(err)
	}
	p.expectClose(1003, "")
	other.send(`{"event":"echo","data":1,"id":1}`)
	other.expect(`{"id":1,"data":1}`)
}

// Both kinds of clients are in the same rooms, and the calls that concern all members concern plain ones too.
func TestSameRooms(t *testing.T) {
	t.Parallel()
	g := &gateway{options: perch.Options{Namespace: "/chat"}}
	g.register = func(r *perch.Router) {
		handlers(r)
		perch.OnEvent(r, "join", func(ctx context.Context, room string) error { return perch.SocketFrom(ctx).Join(room) })
		perch.OnEvent(r, "say", func(ctx context.Context, text string) error {
			return perch.SocketFrom(ctx).To("room").Emit("said", text, []byte{1})
		})
	}
	srv, _ := serve(t, g)
	p, quiet := dial(t, srv, "/ws", nil), dial(t, srv, "/ws", nil)
	s := connect(t, srv, "/chat")
	said := heard(s, "said")
	ctx := t.Context()
	if _, err := s.EmitWithAck(ctx, "join", "room"); err != nil {
		t.Fatal(err)
	}
	p.send(`{"event":"join","data":"room","id":1}`)
	p.expect(`{"id":1}`)

	if err := s.Emit("say", "from Socket.IO"); err != nil {
		t.Fatal(err)
	}
	p.expect(`{"event":"said","data":["from Socket.IO","AQ=="]}`)
	p.send(`{"event":"say","data":"from a WebSocket"}`)
	if got := next(t, said); got != `"from a WebSocket"` {
		t.Error(got)
	}
	if err := g.Server().To("room").Emit("said", "to both"); err != nil {
		t.Fatal(err)
	}
	p.expect(`{"event":"said","data":"to both"}`)
	if got := next(t, said); got != `"to both"` {
		t.Error(got)
	}
	quiet.send(`{"event":"void","id":0}`)
	quiet.expect(`{"id":0}`)

	// Everybody is asked, and answers.
	s.On("ask", func(_ context.Context, e *clientEvent) { _ = e.Ack("io") })
	answered := make(chan []string)
	go func() {
		answers, err := g.Server().To("room").EmitWithAck(ctx, "ask", 1)
		if err != nil {
			t.Error(err)
		}
		var texts []string
		for _, a := range answers {
			var text string
			if err := a.Reply.Decode(0, &text); err != nil {
				t.Error(err)
			}
			texts = append(texts, text)
		}
		slices.Sort(texts)
		answered <- texts
	}()
	var id int
	question := p.read()
	if _, err := fmt.Sscanf(question, `{"id":%d,"event":"ask","data":1}`, &id); err != nil {
		t.Fatal(question, err)
	}
	p.send(fmt.Sprintf(`{"data":"plain","id":%d}`, id))
	if got := <-answered; !slices.Equal(got, []string{"io", "plain"}) {
		t.Error(got)
	}

	sockets, err := g.Server().FetchSockets(ctx)
	if err != nil || len(sockets) != 3 || g.Server().Len() != 3 {
		t.Errorf("%d sockets, %v", len(sockets), err)
	}
	if err := g.Server().SocketsJoin("all"); err != nil {
		t.Fatal(err)
	}
	if err := g.Server().To("all").Except("room").Emit("said", "the third"); err != nil {
		t.Fatal(err)
	}
	quiet.expect(`{"event":"said","data":"the third"}`)
	if err := g.Server().DisconnectSockets(false); err != nil {
		t.Fatal(err)
	}
	quiet.expectClose(1000, "")
	p.expectClose(1000, "")
}

type credentials struct {
	Token string `json:"token"`
}

// Connection guards are asked before the handshake is answered, HandleConnection after it.
func TestRefusal(t *testing.T) {
	t.Parallel()
	var left []string
	g := &gateway{
		register: func(r *perch.Router) {
			handlers(r)
			r.UseConnectionGuards(func(ctx context.Context, ec *perch.ExecutionContext) error {
				auth, err := perch.Auth[credentials](ctx)
				switch {
				case err != nil:
					return err
				case auth.Token == "":
					return perch.ErrForbidden
				case auth.Token == "bad":
					return &perch.Error{Code: "unauthorized", Message: "who are you?", Details: []int{1}}
				case auth.Token == "broken":
					return errors.New("not for you to know")
				case auth.Token == "panic":
					panic("not for you to know") // rule 11: refused, and not told why
				case auth.Token == "early":
					return ec.Socket().Emit("welcome", "you")
				}
				return nil
			})
		},
		connect: func(ctx context.Context, s *perch.Socket) error {
			switch auth, _ := perch.Auth[credentials](ctx); auth.Token {
			case "late":
				_ = s.Emit("lost", "as it is refused")
				return &perch.Error{Code: "full", Message: "no room"}
			case "broken late":
				return errors.New("not for you to know")
			case "early":
				return s.Emit("welcome", "again")
			}
			return nil
		},
		leave: func(s *perch.Socket, _ perch.Reason) { left = append(left, s.ID()) },
	}
	srv, _ := serve(t, g)
	for token, want := range map[string]struct {
		status int
		body   string
	}{
		"":       {403, `{"message":"Forbidden resource","data":{"code":"FORBIDDEN"}}`},
		"bad":    {401, `{"message":"who are you?","data":{"code":"unauthorized","details":[1]}}`},
		"broken": {500, `{"message":"Internal server error","data":{"code":"INTERNAL"}}`},
		"panic":  {500, `{"message":"Internal server error","data":{"code":"INTERNAL"}}`},
	} {
		if status, body := refused(t, srv, "/ws?token="+token, nil); status != want.status || body != want.body {
			t.Errorf("%s: %d %s", token, status, body)
		}
	}
	p := dial(t, srv, "/ws?token=late", nil)
	p.expect(`{"event":"connect_error","data":{"message":"no room","data":{"code":"full"}}}`)
	p.expectClose(1008, "no room")
	p = dial(t, srv, "/ws?token=broken+late", nil)
	p.expect(`{"event":"connect_error","data":{"message":"Internal server error","data":{"code":"INTERNAL"}}}`)
	p.expectClose(1011, "Internal server error")

	p = dial(t, srv, "/ws?token=early", nil)
	p.expect(`{"event":"welcome","data":"you"}`)
	p.expect(`{"event":"welcome","data":"again"}`)
	p.send(`{"event":"echo","data":1,"id":1}`)
	p.expect(`{"id":1,"data":1}`)
	if len(left) != 0 {
		t.Errorf("%d of those refused have left", len(left))
	}

	if status, body := refused(t, srv, "/ws?token=x", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://elsewhere.example"}}}); status != 403 || body == "" {
		t.Errorf("another origin: %d %s", status, body)
	}
	answer, err := http.Get(srv.URL + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusUpgradeRequired || answer.Header.Get("Upgrade") != "websocket" {
		t.Errorf("no WebSocket: %d %v %s", answer.StatusCode, answer.Header, text)
	}
	if answer, err = http.Get(srv.URL + "/ws/"); err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %d", answer.StatusCode)
	}
}

// Section 3 of nest.md, "URL parameters": the values of a path's wildcards, and subprotocols.
func TestPath(t *testing.T) {
	t.Parallel()
	g := &gateway{
		options: perch.Options{Platforms: []perch.Platform{plainws.At("/ws/{room}/{rest...}", plainws.WithSubprotocols("v2", "v1"))}},
		register: func(r *perch.Router) {
			perch.On(r, "where", func(ctx context.Context, _ perch.None) ([]string, error) {
				s := perch.SocketFrom(ctx)
				return []string{s.PathValue("room"), s.PathValue("rest"), s.PathValue("other"), s.Namespace(), s.Handshake().Query().Get("q")}, nil
			})
		},
	}
	srv, _ := serve(t, g)
	p := dial(t, srv, "/ws/l%20bby/a/b?q=1", &websocket.DialOptions{Subprotocols: []string{"v0", "v1", "v2"}})
	if got := p.conn.Subprotocol(); got != "v2" {
		t.Errorf("subprotocol %q", got)
	}
	p.send(`{"event":"where","id":1}`)
	p.expect(`{"id":1,"data":["l bby","a/b","","/","1"]}`)
	if p := dial(t, srv, "/ws/x/", nil); p.conn.Subprotocol() != "" {
		t.Errorf("subprotocol %q", p.conn.Subprotocol())
	}
	if status, body := refused(t, srv, "/ws/x/", &websocket.DialOptions{Subprotocols: []string{"v0"}}); status != 400 || !strings.Contains(body, "v2, v1") {
		t.Errorf("%d %s", status, body)
	}
	// Nobody serves Socket.IO here.
	answer, err := http.Get(srv.URL + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("Socket.IO: %d", answer.StatusCode)
	}
}

// Shutdown handles what was read, tells the client, and HandleDisconnect hears of it.
func TestShutdown(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	reasons := make(chan perch.Reason, 2)
	g := &gateway{
		register: func(r *perch.Router) {
			handlers(r)
			perch.On(r, "slow", func(context.Context, perch.None) (string, error) {
				close(entered)
				<-leave
				return "done", nil
			})
		},
		leave: func(_ *perch.Socket, reason perch.Reason) { reasons <- reason },
	}
	srv, app := serve(t, g)
	p, idle := dial(t, srv, "/ws", nil), dial(t, srv, "/ws", nil)
	idle.send(`{"event":"void","id":1}`)
	idle.expect(`{"id":1}`)
	p.send(`{"event":"slow","id":1}`)
	<-entered
	p.send(`{"event":"echo","data":"behind","id":2}`)
	done := make(chan error)
	go func() { done <- app.Shutdown(context.Background()) }()
	idle.expectClose(1001, "server shutting down")
	if status, _ := refused(t, srv, "/ws", nil); status != 503 {
		t.Errorf("a client that comes now: %d", status)
	}
	close(leave)
	p.expect(`{"id":1,"data":"done"}`)
	p.conn.CloseRead(t.Context())
	if err := <-done; err != nil {
		t.Error(err)
	}
	for range 2 {
		if r := <-reasons; r != "server shutting down" {
			t.Error(r)
		}
	}
}

var posted = event.Event[item]("posted")

// A gateway for plain clients alone, beside one of Socket.IO, is not there for Socket.IO's clients.
func TestPlatformOfEachGateway(t *testing.T) {
	t.Parallel()
	only := &gateway{options: perch.Options{Namespace: "/only", Platforms: []perch.Platform{plainws.At("/only")}}, register: handlers}
	srv, app := serve(t, only, perch.WithGateways(&gateway{options: perch.Options{Platforms: []perch.Platform{perch.SocketIO()}}, register: handlers}))
	for _, h := range app.Handlers() {
		if plain := h.Platforms[0].Path() == "/only"; len(h.Platforms) != 1 || plain != (h.Namespace == "/only") {
			t.Errorf("%+v", h)
		}
	}
	connect(t, srv, "/")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := dialIO(ctx, srv.URL+"/only"); err == nil || !strings.Contains(err.Error(), "Invalid namespace") {
		t.Errorf("%v", err)
	}
	p := dial(t, srv, "/only", nil)
	p.settle()
	if err := only.Server().Emit(string(posted), item{ID: 1}); err != nil {
		t.Fatal(err)
	}
	p.expect(`{"event":"posted","data":{"id":1}}`)
}

func TestStartUpErrors(t *testing.T) {
	t.Parallel()
	with := func(namespace string, platforms ...perch.Platform) *gateway {
		return &gateway{options: perch.Options{Namespace: namespace, Platforms: platforms}}
	}
	for name, c := range map[string]struct {
		gateways []perch.Gateway
		want     string
	}{
		"nil platform":      {[]perch.Gateway{with("/a", nil, perch.SocketIO())}, "platform 1 is nil"},
		"empty list":        {[]perch.Gateway{with("/a", []perch.Platform{}...)}, "its list of platforms is empty"},
		"twice":             {[]perch.Gateway{with("/a", plainws.At("/x"), plainws.At("/x"))}, "two of its platforms have the path"},
		"no slash":          {[]perch.Gateway{with("/a", plainws.At("x"))}, "does not begin with a slash"},
		"bad pattern":       {[]perch.Gateway{with("/a", plainws.At("/x/{"))}, "cannot be served"},
		"one path, two":     {[]perch.Gateway{with("/a", plainws.At("/x")), with("/b", plainws.At("/x"))}, "cannot be served"},
		"the path of ours":  {[]perch.Gateway{with("/a", perch.SocketIO(), plainws.At("/socket.io"))}, "cannot be served"},
		"differ":            {[]perch.Gateway{with("/a", perch.SocketIO()), with("/a", plainws.At("/x"))}, "its platforms differ from those of"},
		"the same is right": {[]perch.Gateway{with("/a", perch.SocketIO(), plainws.At("/x")), with("/a", plainws.At("/x"), perch.SocketIO())}, ""},
	} {
		app, err := perch.New(perch.WithGateways(c.gateways...))
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = app.Shutdown(t.Context())
		}
	}
}

// A request that names a namespace which does not exist is not found.
func TestUnknownNamespace(t *testing.T) {
	t.Parallel()
	s, err := socketio.New(socketio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	h, err := plainws.At("/ws").Handler(s, func(r *http.Request) string { return r.URL.Query().Get("of") })
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	if status, body := refused(t, srv, "/ws?of=nowhere", nil); status != 404 || body != `{"message":"Invalid namespace"}` {
		t.Errorf("%d %s", status, body)
	}
	dial(t, srv, "/ws?of=", nil)
}

// A hook may say to a client, before it is one, that it comes too often.
func TestRateLimitedHandshake(t *testing.T) {
	t.Parallel()
	srv, _ := serve(t, new(gateway), perch.WithConnectionGuards(func(context.Context, *perch.ExecutionContext) error {
		return perch.Errorf(perch.CodeRateLimited, "later")
	}))
	if status, _ := refused(t, srv, "/ws", nil); status != http.StatusTooManyRequests {
		t.Errorf("answered %d", status)
	}
}
