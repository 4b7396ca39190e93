package perchtest_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/perchtest"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/parser"
)

func want(t *testing.T, what string, got, want []perchtest.Sent) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b perchtest.Sent) bool { return reflect.DeepEqual(a, b) }) {
		t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	ctx, sock := perchtest.Context(t, perchtest.SocketOptions{
		ID: "ann", Namespace: "chat", Auth: Account{"Ann"}, Rooms: []string{"lobby"}, Recovered: true,
		Header: http.Header{"x-tenant": {"one"}}, Query: url.Values{"token": {"a b"}},
	})
	s := perch.SocketFrom(ctx)
	if s != sock.Socket || s != perch.SocketFrom(context.WithValue(ctx, User, 1)) || s != perch.SocketFrom(s.Context()) {
		t.Error("not the same socket each time")
	}
	if s.ID() != "ann" || s.Namespace() != "/chat" || !s.Connected() || !s.Recovered() || s.Transport() != "websocket" {
		t.Errorf("%q %q %v %v %q", s.ID(), s.Namespace(), s.Connected(), s.Recovered(), s.Transport())
	}
	h := s.Handshake()
	if h.Header().Get("X-Tenant") != "one" || h.Query().Get("token") != "a b" || h.Query().Get("EIO") != "4" || h.RemoteAddr() == "" {
		t.Errorf("%v %v %q", h.Header(), h.Query(), h.RemoteAddr())
	}
	if auth, err := perch.Auth[Account](ctx); auth.Name != "Ann" || err != nil {
		t.Error(auth, err)
	}
	User.Set(sock, Account{"Ann"})
	if got := User.Value(s); got.Name != "Ann" {
		t.Error(got)
	}
	if err := s.Join("a", "b", "a"); err != nil {
		t.Error(err)
	}
	s.Leave("a", "ann", "none")
	if got := s.Rooms(); !slices.Equal(got, []string{"ann", "lobby", "b"}) {
		t.Error(got)
	}
	if _, other := perchtest.Context(t, perchtest.SocketOptions{}); len(other.ID()) != 20 || other.Namespace() != "/" || other.Recovered() {
		t.Errorf("%q %q", other.ID(), other.Namespace())
	}
}

func TestContextSends(t *testing.T) {
	t.Parallel()
	ctx, s := perchtest.Context(t, perchtest.SocketOptions{ID: "ann"})
	post := Post{"lobby", "hi"}
	for _, err := range []error{
		s.Emit("posted", post, 2),
		s.EmitVolatile("typing"),
		s.Send(ctx, "posted", &post),
		s.To("a").To("b").Except("c").Emit("posted", post),
		s.Broadcast().Volatile().Local().Compress(false).Emit("typing"),
		s.To("ann").Emit("to nobody"),
		s.In("a").SocketsLeave("a"),
		s.Except("c").DisconnectSockets(true),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want(t, "sent", s.Sent(), []perchtest.Sent{
		{Event: "posted", Args: []any{post, 2}},
		{Event: "typing", Volatile: true},
		{Event: "posted", Args: []any{&post}},
	})
	want(t, "broadcasts", s.Broadcasts(), []perchtest.Sent{
		{Event: "posted", Args: []any{post}, To: []string{"a", "b"}, Except: []string{"c"}},
		{Event: "typing", Volatile: true, Local: true, NoCompress: true},
		{Event: "to nobody", To: []string{"ann"}},
		{Call: "SocketsLeave", Args: []any{"a"}, To: []string{"a"}},
		{Call: "DisconnectSockets", Args: []any{true}, Except: []string{"c"}},
	})
	if list, err := s.To("a").FetchSockets(ctx); len(list) != 0 || err != nil {
		t.Error(list, err)
	}
	if answers, err := s.To("a").EmitWithAck(ctx, "anyone"); len(answers) != 0 || err != nil {
		t.Error(answers, err)
	}
}

// A socket's Server sends to its namespace, the socket included, and tells what it came by.
func TestContextOfPattern(t *testing.T) {
	t.Parallel()
	_, s := perchtest.Context(t, perchtest.SocketOptions{Namespace: "/room/42", PathValues: map[string]string{"id": "42"}})
	if s.PathValue("id") != "42" || s.PathValue("x") != "" || s.Server().Namespace() != "/room/42" {
		t.Errorf("%q %q", s.PathValue("id"), s.Server().Namespace())
	}
	for _, err := range []error{s.Server().Emit("all", 1), s.Server().To("a").Except("b").Emit("some")} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := s.Server().Emit("connect"); !errors.Is(err, socketio.ErrReserved) {
		t.Error(err)
	}
	if err := s.Server().Of("/elsewhere").Emit("all"); !errors.Is(err, perch.ErrNoNamespace) {
		t.Error(err)
	}
	want(t, "sent", s.Sent(), nil)
	want(t, "broadcasts", s.Broadcasts(), nil)
	want(t, "by its server", s.ServerSent(), []perchtest.Sent{{Event: "all", Args: []any{1}}, {Event: "some", To: []string{"a"}, Except: []string{"b"}}})
}

// What could not be sent to a client is an error, and was not sent.
func TestContextRefuses(t *testing.T) {
	t.Parallel()
	ctx, s := perchtest.Context(t, perchtest.SocketOptions{})
	for _, emit := range []func(event string, args ...any) error{
		s.Emit, s.EmitVolatile, s.Broadcast().Emit, s.To("a").Emit,
		func(event string, args ...any) error { return s.Send(ctx, event, args...) },
		func(event string, args ...any) error { _, err := s.EmitWithAck(ctx, event, args...); return err },
		func(event string, args ...any) error {
			_, err := s.To("a").EmitWithAck(ctx, event, args...)
			return err
		},
	} {
		if err := emit("connect", 1); !errors.Is(err, socketio.ErrReserved) {
			t.Errorf("a reserved name: %v", err)
		}
		for _, bad := range []any{math.NaN(), make(chan int), func() {}} {
			if err := emit("posted", "fine", bad); err == nil {
				t.Errorf("%T was sent", bad)
			}
		}
	}
	want(t, "sent", s.Sent(), nil)
	want(t, "broadcasts", s.Broadcasts(), nil)
}

func TestContextAnswers(t *testing.T) {
	t.Parallel()
	ctx, s := perchtest.Context(t, perchtest.SocketOptions{Answer: func(event string, args []any) (any, error) {
		switch {
		case event == string(Confirm) && len(args) == 1:
			return args[0] == "sure?", nil
		case event == "none":
			return perch.None{}, nil
		case event == "bad":
			return math.Inf(1), nil
		}
		return nil, socketio.ErrTimeout
	}})
	g := &Chat{}
	for question, answer := range map[string]bool{"sure?": true, "really?": false} {
		if got, err := g.Ask(ctx, question); got != answer || err != nil {
			t.Errorf("%s %v %v", question, got, err)
		}
	}
	if reply, err := s.EmitWithAck(ctx, "none"); err != nil || reply.NumArgs() != 0 {
		t.Error(reply, err)
	}
	if _, err := s.EmitWithAck(ctx, "bad"); err == nil {
		t.Error("an acknowledgement that no client could send")
	}
	if _, err := s.EmitWithAck(ctx, "other"); !errors.Is(err, socketio.ErrTimeout) {
		t.Error(err)
	}
	if list, err := s.To("room").EmitWithAck(ctx, "none"); len(list) > 0 || err != nil {
		t.Error("answered for others", list, err)
	}
	if sent := s.Sent(); len(sent) != 5 || !sent[0].Ack {
		t.Errorf("%+v", sent)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.EmitWithAck(done, "none"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, s = perchtest.Context(t, perchtest.SocketOptions{})
	if _, err := s.EmitWithAck(ctx, "none"); err == nil {
		t.Error("nobody has answered")
	}
}

func TestContextDisconnects(t *testing.T) {
	t.Parallel()
	ctx, s := perchtest.Context(t, perchtest.SocketOptions{ID: "ann", Rooms: []string{"a"}})
	g := &Chat{}
	if _, err := g.Leave(ctx, perch.None{}); err != nil {
		t.Error(err)
	}
	s.Disconnect(false)
	if got := s.Disconnects(); !slices.Equal(got, []bool{true, false}) || s.Connected() {
		t.Error(got, s.Connected())
	}
	_, ackErr := s.EmitWithAck(ctx, "b")
	for _, err := range []error{s.Emit("b"), s.EmitVolatile("b"), s.Send(ctx, "b"), s.Join("b"), ackErr} {
		if !errors.Is(err, socketio.ErrDisconnected) {
			t.Error(err)
		}
	}
	s.Leave("a")
	if got := s.Rooms(); !slices.Equal(got, []string{"ann", "a"}) {
		t.Error(got)
	}
	if err := s.To("a").Emit("left"); err != nil { // as HandleDisconnect does
		t.Error(err)
	}
	if len(s.Sent()) != 0 || len(s.Broadcasts()) != 1 {
		t.Error(s.Sent(), s.Broadcasts())
	}
}

// A hook is a function, too.
func TestHandleConnection(t *testing.T) {
	t.Parallel()
	g := &Chat{}
	ctx, s := perchtest.Context(t, perchtest.SocketOptions{Connecting: true})
	var refused *perch.Error
	if err := g.HandleConnection(ctx, s.Socket); !errors.As(err, &refused) || refused.Code != "NO_NAME" {
		t.Error(err)
	}
	if _, err := s.EmitWithAck(ctx, "a"); !errors.Is(err, socketio.ErrConnecting) || s.Connected() {
		t.Error(err)
	}
	ctx, s = perchtest.Context(t, perchtest.SocketOptions{Connecting: true, Auth: map[string]string{"name": "Ann"}})
	if err := g.HandleConnection(ctx, s.Socket); err != nil || User.Value(s).Name != "Ann" {
		t.Error(err)
	}
	want(t, "sent", s.Sent(), []perchtest.Sent{{Event: "welcome", Args: []any{"Ann"}}})
	wantFailure(t, "Auth", func(t testing.TB) { perchtest.Context(t, perchtest.SocketOptions{Auth: []int{1}}) })
}

// roles is a guard.
func roles(ctx context.Context, ec *perch.ExecutionContext) error {
	if ec.IsConnection() {
		return nil
	}
	if User.Value(ec.Socket()).Name != ec.Metadata("for") {
		return perch.ErrForbidden
	}
	return nil
}

func TestExecutionContext(t *testing.T) {
	t.Parallel()
	ctx, s := perchtest.Context(t, perchtest.SocketOptions{Namespace: "chat"})
	User.Set(s, Account{"Ann"})
	for name, err := range map[string]error{"Ann": nil, "Ben": perch.ErrForbidden} {
		e := &perchtest.Event{Name: "ban", Handler: &perch.HandlerInfo{Metadata: map[string]any{"for": name}}}
		if got := roles(ctx, s.ExecutionContext(t, e)); got != err {
			t.Errorf("for %s: %v", name, got)
		}
	}

	ec := s.ExecutionContext(t, nil)
	if !ec.IsConnection() || ec.Socket() != s.Socket || ec.Event() != "" || ec.NumArgs() != 0 || ec.Raw(0) != nil ||
		ec.WantsAck() || ec.Handler() != nil || ec.Payload() != nil || ec.Decode(0, new(int)) == nil {
		t.Errorf("a connection: %+v", ec)
	}

	in := Post{"r", "x"}
	ec = s.ExecutionContext(t, &perchtest.Event{Name: "say", Args: []any{in, []byte("b")}, WantsAck: true, Payload: &in})
	var post Post
	var data []byte
	if err := errors.Join(ec.Decode(0, &post), ec.Decode(1, &data)); err != nil || post != in || string(data) != "b" {
		t.Error(post, data, err)
	}
	if ec.IsConnection() || ec.Event() != "say" || ec.NumArgs() != 2 || string(ec.Raw(0)) != `{"room":"r","text":"x"}` || ec.Raw(2) != nil ||
		!ec.WantsAck() || ec.Payload() != &in || ec.Handler().Event != "say" || ec.Handler().Namespace != "/chat" || ec.Metadata("for") != nil {
		t.Errorf("an event: %+v", ec)
	}
	if err := ec.Decode(2, &data); !errors.Is(err, socketio.ErrNoArgument) {
		t.Error(err)
	}
	if ec = s.ExecutionContext(t, &perchtest.Event{Name: "say"}); ec.Payload() != nil || ec.WantsAck() {
		t.Errorf("not decoded: %v", ec.Payload())
	}
	wantFailure(t, "say", func(t testing.TB) { s.ExecutionContext(t, &perchtest.Event{Name: "say", Args: []any{func() {}}}) })
}

func TestRecord(t *testing.T) {
	t.Parallel()
	g, other := &Chat{port: 3000}, &echo{}
	if err := g.Server().Emit("posted"); !errors.Is(err, perch.ErrNotStarted) {
		t.Error(err)
	}
	r := perchtest.Record(t, g, perch.WithGateways(other))
	ctx, _ := perchtest.Context(t, perchtest.SocketOptions{})
	post := Post{"lobby", "hi"}
	if got, err := g.Say(ctx, post); got.ID != 1 || err != nil {
		t.Error(got, err)
	}
	server := g.Server()
	for _, err := range []error{
		server.Except("c").Emit("posted", &post),
		server.Emit("typing"),
		server.Of("/chat").Emit("typing"),
		server.To("a").SocketsJoin("b", "c"),
		server.ServerSideEmit("sync", 1),
		other.Server().Emit("echoed"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range []error{
		server.Emit("disconnect"), server.To("a").Emit("posted", math.NaN()), server.ServerSideEmit("sync", func() {}),
		server.Of("/nowhere").Emit("posted"),
	} {
		if err == nil {
			t.Error("sent what cannot be")
		}
	}
	want(t, "sent", r.Sent(), []perchtest.Sent{
		{Event: "posted", Args: []any{post}, To: []string{"lobby"}},
		{Event: "posted", Args: []any{&post}, Except: []string{"c"}},
		{Event: "typing"},
		{Event: "typing"},
		{Call: "SocketsJoin", Args: []any{"b", "c"}, To: []string{"a"}},
		{Call: "ServerSideEmit", Event: "sync", Args: []any{parser.Raw{JSON: []byte("1")}}},
		{Event: "echoed", Namespace: "/"},
	})
	if got := perchtest.Values(t, r.Sent(), Posted); !slices.Equal(got, []Post{post, post}) {
		t.Errorf("%v", got)
	}
	if got := perchtest.Values(t, r.Sent(), Typing); !slices.Equal(got, []event.None{{}, {}}) {
		t.Errorf("%v", got)
	}
	if server.Len() != 0 {
		t.Error("somebody is connected")
	}
	if answers, err := server.EmitWithAck(ctx, "anyone"); len(answers) > 0 || err != nil {
		t.Error(answers, err)
	}
	wantFailure(t, "AfterInit: no database", func(t testing.TB) { perchtest.Record(t, &broken{}) })
}

func TestRecordOfPattern(t *testing.T) {
	t.Parallel()
	g := &rooms{}
	r := perchtest.Record(t, g)
	for _, err := range []error{g.Server().Emit("nowhere"), g.Server().Of("/room/42").To("a").Emit("some")} {
		if err != nil {
			t.Error(err)
		}
	}
	want(t, "sent", r.Sent(), []perchtest.Sent{{Event: "some", To: []string{"a"}, Namespace: "/room/42"}})
}

// rooms is a gateway of many namespaces.
type rooms struct{ echo }

func (g *rooms) Options() perch.Options { return perch.Options{Namespace: "/room/{id}"} }

func TestValues(t *testing.T) {
	t.Parallel()
	sent := []perchtest.Sent{
		{Event: "n", Args: []any{1}}, {Event: "n", Args: []any{int64(2)}}, {Event: "other", Args: []any{"x"}},
		{Event: "two", Args: []any{1, 2}}, {Event: "n", Call: "ServerSideEmit", Args: []any{"x"}},
	}
	if got := perchtest.Values[int](t, sent, "n"); !slices.Equal(got, []int{1, 2}) {
		t.Error(got)
	}
	if got := perchtest.Values[int](t, sent, "none"); len(got) != 0 {
		t.Error(got)
	}
	wantFailure(t, `event "other" with []interface {}{"x"} is no int`, func(t testing.TB) { perchtest.Values[int](t, sent, "other") })
	wantFailure(t, "2 arguments", func(t testing.TB) { perchtest.Values[int](t, sent, "two") })
	wantFailure(t, "has an argument", func(t testing.TB) { perchtest.Values[event.None](t, sent, "other") })
}
