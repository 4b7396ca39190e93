package socketio

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
)

// S-49, S-50, S-74, spec 3.4: the answer to CONNECT, the handshake, and namespaces that do not exist.
func TestConnect(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	root, chat := arrivals(h.Of("/")), arrivals(h.Of("chat"))
	if h.Of("/chat") != h.Of("chat") || h.Of("chat").Name() != "/chat" || h.Of("").Name() != "/" {
		t.Error("a leading slash makes another namespace")
	}

	c := h.dialQuery(t, "&token=a%20b")
	sid := c.connect("/", "")
	s := within(t, root)
	if sid != s.ID() || sid == c.sid || s.Conn().ID() != c.sid {
		t.Errorf("client was told %q, socket is %q, session %q", sid, s.ID(), c.sid)
	}
	hs := s.Handshake()
	if got := hs.Query().Get("token"); got != "a b" {
		t.Errorf("query %q", got)
	}
	if hs.Header().Get("X-Test") != "yes" || string(hs.RawAuth()) != "{}" {
		t.Errorf("header %v, auth %s", hs.Header(), hs.RawAuth())
	}
	if got, ok := h.Of("/").Socket(sid); got != s || !ok || h.Of("/").Len() != 1 {
		t.Error("the namespace does not know its socket")
	}

	chatID := c.connect("/chat", `{"token":"x"}`)
	s = within(t, chat)
	var auth struct{ Token string }
	if err := s.Handshake().DecodeAuth(&auth); err != nil || auth.Token != "x" || string(s.Handshake().RawAuth()) != `{"token":"x"}` {
		t.Errorf("auth %+v, %v", auth, err)
	}
	if chatID != s.ID() || chatID == sid || s.Conn().ID() != c.sid {
		t.Errorf("ids %q and %q of one client", chatID, sid)
	}

	c.send("0/nowhere,")
	c.expect(`4/nowhere,{"message":"Invalid namespace"}`)
	c.send("0/custom") // without the comma
	c.expect(`4/custom,{"message":"Invalid namespace"}`)
	c.send(`2["still here"]`, `20["x"]`)
}

// S-65: middlewares run in order before the socket is a member, and what they return decides.
func TestMiddleware(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	left := leavings(n)
	var mu sync.Mutex
	var order []string
	note := func(step string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, step)
	}
	n.Use(func(ctx context.Context, s *Socket) error {
		note("first")
		if s.Connected() || n.Len() != 0 || !errors.Is(s.Join("r"), ErrConnecting) {
			t.Error("a member before its middlewares have run")
		}
		var auth struct{ As string }
		if err := s.Handshake().DecodeAuth(&auth); err != nil {
			return err
		}
		switch auth.As {
		case "refused":
			return fmt.Errorf("wrapped: %w", &ConnectError{Message: "no", Data: map[string]int{"code": 7}})
		case "plain":
			return &ConnectError{Message: "no"}
		case "secret":
			return errors.New("the database is down")
		case "panic":
			panic("oops")
		case "unencodable":
			return &ConnectError{Message: "no", Data: make(chan int)}
		}
		return nil
	})
	n.Use(func(context.Context, *Socket) error {
		note("second")
		return nil
	})
	n.OnConnection(func(_ context.Context, s *Socket) error {
		note("hook")
		if s.Connected() || n.Len() != 1 || s.Join("r") != nil {
			t.Error("no member when its hooks run")
		}
		return nil
	})

	c := h.dial(t)
	for as, want := range map[string]string{
		"refused":     `4{"message":"no","data":{"code":7}}`,
		"plain":       `4{"message":"no"}`,
		"secret":      `4{"message":"internal server error"}`,
		"panic":       `4{"message":"internal server error"}`,
		"unencodable": `4{"message":"no"}`,
	} {
		c.send(`0{"as":"` + as + `"}`)
		c.expect(want)
	}
	if log := h.log.String(); !strings.Contains(log, "the database is down") || !strings.Contains(log, "oops") {
		t.Error("what is masked is not in the log")
	}
	c.connect("/", "") // a refused client may try again
	mu.Lock()
	if got := fmt.Sprint(order); got != "[first first first first first first second hook]" {
		t.Errorf("order %s", got)
	}
	mu.Unlock()
	c.close()
	if r := within(t, left); r != ReasonTransportClose {
		t.Errorf("left because of %q", r)
	}
	select {
	case r := <-left:
		t.Errorf("a refused socket left because of %q", r)
	default:
	}
}

// Architecture 5: what is sent while the hooks run, broadcasts included, follows the answer; events wait for it.
func TestSendsWaitForTheAnswer(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	n.Handle("hi", echo)
	n.OnConnection(func(ctx context.Context, s *Socket) error {
		if _, err := s.EmitWithAck(ctx, "x"); !errors.Is(err, ErrConnecting) {
			t.Errorf("awaiting the client in its hook: %v", err)
		}
		if err := s.Volatile().Emit("dropped"); err != nil {
			t.Errorf("volatile: %v", err)
		}
		return errors.Join(s.Emit("one", 1), n.Emit("all"), s.Emit("bin", []byte{1}), n.To(s.ID()).Emit("own"),
			s.Broadcast().Emit("others"), s.Emit("last"))
	})
	c := h.dial(t, "0", `21["hi",5]`)
	c.connected("/")
	c.expect(`2["one",1]`, `2["all"]`, `51-["bin",{"_placeholder":true,"num":0}]`, []byte{1}, `2["own"]`, `2["last"]`, `31[5]`)
}

// A refusal drops what was sent and what was read, and takes back what earlier hooks have accepted.
func TestRefusedByHook(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	undone := make(chan string, 10)
	pair := func(name string, err error) {
		n.Hook(Hooks{
			Connection: func(_ context.Context, s *Socket) error {
				if err := errors.Join(s.Join("r"), s.Emit("never seen")); err != nil {
					t.Error(err)
				}
				return err
			},
			Disconnect: func(_ context.Context, s *Socket, r Reason) {
				undone <- fmt.Sprint(name, " ", r, " ", len(s.Rooms()), " ", n.Len(), " ", s.Emit("x") == ErrDisconnected, s.Join("x") == ErrDisconnected)
			},
		})
	}
	lone := leavings(n)
	n.Handle("x", func(context.Context, *Event) { t.Error("an event of a refused socket was handled") })
	pair("a", nil)
	pair("b", nil)
	pair("c", &ConnectError{Message: "full"})
	pair("d", nil)
	c := h.dial(t, "0", `21["x"]`)
	c.expect(`4{"message":"full"}`)
	for _, name := range []string{"a", "b"} {
		if got, want := within(t, undone), name+" server namespace disconnect 2 0 true true"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	c.send(`2["x"]`) // not joined
	c.expectEnd()
	select {
	case got := <-undone:
		t.Errorf("also undone: %s", got)
	case r := <-lone:
		t.Errorf("a refused socket left because of %q", r)
	default:
	}
}

// A client that leaves while a hook runs is not answered, and the hooks that had accepted it are told.
func TestClientLeavesDuringHooks(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	running, goOn, undone := make(chan *Socket), make(chan struct{}), make(chan string, 10)
	n.Hook(Hooks{
		Connection: func(_ context.Context, s *Socket) error {
			running <- s
			<-goOn
			return nil
		},
		Disconnect: func(_ context.Context, s *Socket, r Reason) { undone <- "first " + string(r) },
	})
	n.Hook(Hooks{
		Connection: func(context.Context, *Socket) error {
			t.Error("a hook ran for a client that had left")
			return nil
		},
		Disconnect: func(context.Context, *Socket, Reason) { undone <- "second" },
	})
	for _, leave := range []struct {
		how    string
		leave  func(c *client)
		reason Reason
	}{
		{"namespace", func(c *client) { c.send("1") }, ReasonClientNamespaceDisconnect},
		{"connection", func(c *client) { c.close() }, ReasonTransportClose},
	} {
		c := h.dial(t, "0")
		s := within(t, running)
		leave.leave(c)
		within(t, s.Done())
		goOn <- struct{}{}
		if got := within(t, undone); got != "first "+string(leave.reason) {
			t.Errorf("%s: %s", leave.how, got)
		}
		if n.Len() != 0 {
			t.Errorf("%s: %d members are left", leave.how, n.Len())
		}
		if leave.how == "namespace" {
			c.send("0/nowhere,")
			c.expect(`4/nowhere,{"message":"Invalid namespace"}`) // and no answer to CONNECT before it
		}
	}
}

// "It must show": 2,000 CONNECT packets for one namespace in one POST make one socket. Those that come while it is pending are
// ignored; one that comes later ends the connection (S-94).
func TestConnectBurst(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	sockets, goOn := arrivals(n), make(chan struct{})
	n.OnConnection(func(context.Context, *Socket) error {
		<-goOn
		return nil
	})
	left := leavings(n)
	burst := strings.Split(strings.Repeat("0 ", 1999)+"0", " ")

	p := h.poll(t)
	if got := p.post(burst...); got != "ok" {
		t.Fatal(got)
	}
	s := within(t, sockets)
	close(goOn)
	p.follow()
	if got, want := within(t, p.in), `40{"sid":"`+s.ID()+`"}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if len(sockets) != 0 || n.Len() != 1 {
		t.Errorf("%d sockets more, %d members", len(sockets), n.Len())
	}
	p.post("0")
	if r := within(t, left); r != ReasonForcedServerClose {
		t.Errorf("left because of %q", r)
	}

	// Without a hook that holds it up: at most one socket, an answer at most once.
	p = h.poll(t)
	p.follow()
	p.post(burst...)
	within(t, p.in)
	if len(sockets) != 1 {
		t.Errorf("%d sockets", len(sockets))
	}
}

// Peers, Z "Lost CONNECT": clients that send CONNECT together with the upgrade request all get their answer.
func TestEarlyConnect(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	for range 300 {
		c := h.dial(t, "0", `20["x"]`)
		c.connected("/")
		c.close()
	}
}

// S-5: a connection that joins nothing ends, one that has joined stays.
func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{ConnectTimeout: 500 * time.Millisecond})
	stays, ends := h.dial(t), h.dial(t)
	stays.connect("/", "")
	ends.send("0/nowhere,")
	ends.expectEnd(`4/nowhere,{"message":"Invalid namespace"}`)
	stays.send("0/nowhere,")
	stays.expect(`4/nowhere,{"message":"Invalid namespace"}`)
}

// Disconnect in a hook: the client is answered first and then told, so that it does not come again by itself.
func TestDisconnectInHook(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	left := leavings(n)
	n.OnConnection(func(_ context.Context, s *Socket) error {
		var auth struct{ Close bool }
		err := s.Handshake().DecodeAuth(&auth)
		if err := s.Emit("bye"); err != nil {
			t.Error(err)
		}
		s.Disconnect(auth.Close)
		if err := s.Emit("too late"); !errors.Is(err, ErrDisconnected) {
			t.Error(err)
		}
		return err
	})
	c := h.dial(t)
	c.connect("/", "")
	c.expect(`2["bye"]`, "1")
	c.connect("/", `{"close":true}`)
	c.expectEnd(`2["bye"]`, "1")
	for range 2 {
		if r := within(t, left); r != ReasonServerNamespaceDisconnect {
			t.Errorf("left because of %q", r)
		}
	}
}

// What waits for the answer counts against the outbound budget.
func TestSendsBeforeTheAnswerAreBounded(t *testing.T) {
	t.Parallel()
	for _, policy := range []engineio.Overflow{engineio.Disconnect, engineio.DropNewest} {
		h := serve(t, Options{Engine: engineio.Options{OutboundPackets: 4, Overflow: policy}})
		n := h.Of("/")
		n.OnConnection(func(_ context.Context, s *Socket) error {
			for i := range 5 {
				if err := s.Emit("x", i); (err != nil) != (i >= 3) {
					t.Errorf("%d: %v", i, err)
				}
			}
			return nil
		})
		c := h.dial(t, "0")
		if policy == engineio.DropNewest {
			c.connected("/")
			c.expect(`2["x",0]`, `2["x",1]`, `2["x",2]`)
			continue
		}
		for c.next() != nil {
		}
	}
}

// Engine rule 12: handlers see the values of the context of the request that opened the connection, and not its end.
func TestContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	h := serve(t, Options{})
	n := h.Of("/")
	done := make(chan struct{})
	n.Handle("x", func(ctx context.Context, e *Event) {
		defer close(done)
		if s, ok := SocketFrom(context.WithValue(ctx, key{}, 1)); !ok || s != e.Socket() || ctx != s.Context() {
			t.Error("no socket in the context")
		}
		if _, ok := ctx.Value(http.ServerContextKey).(*http.Server); !ok {
			t.Error("the values of the request's context are gone")
		}
		if _, ok := ctx.Deadline(); ok || ctx.Done() != nil || ctx.Err() != nil {
			t.Error("the context can end")
		}
		if !strings.Contains(fmt.Sprint(ctx), e.Socket().ID()) {
			t.Error("the context does not say what it is")
		}
	})
	if _, ok := SocketFrom(t.Context()); ok {
		t.Error("a socket in a context that has none")
	}
	h.dial(t, "0", `2["x"]`)
	within(t, done)
}
