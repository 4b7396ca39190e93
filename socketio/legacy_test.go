package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
)

func older() Options { return Options{Engine: engineio.Options{AllowEIO3: true}} }

// dialOlder opens a session of protocol 3, which is connected to "/" by the server.
func (h *harness) dialOlder(t *testing.T, query string, early ...any) *client {
	t.Helper()
	return h.dialProtocol(t, 3, query, early...)
}

// Spec 3.3: a client of 2.x is connected to "/" before it says anything, is told no id, and its sockets are named after the
// session; the names are their rooms.
func TestLegacyConnect(t *testing.T) {
	t.Parallel()
	h := serve(t, older())
	root, chat := arrivals(h.Of("/")), arrivals(h.Of("/chat"))
	h.Of("/").Handle("hi", echo)
	c := h.dialOlder(t, "&token=x", `20["hi",1]`) // it need not wait for the answer
	c.expect("0", "30[1]")
	s := within(t, root)
	if s.ID() != c.sid || !slices.Equal(s.Rooms(), []string{c.sid}) || s.Conn().Protocol() != 3 {
		t.Errorf("id %q of session %q, rooms %q", s.ID(), c.sid, s.Rooms())
	}
	if got := s.Handshake().Query().Get("token"); got != "x" || string(s.Handshake().RawAuth()) != "{}" {
		t.Errorf("query %q, auth %s", got, s.Handshake().RawAuth())
	}

	c.send("0/chat")
	c.expect("0/chat,")
	s = within(t, chat)
	if s.ID() != "/chat#"+c.sid || !slices.Equal(s.Rooms(), []string{s.ID()}) {
		t.Errorf("id %q, rooms %q", s.ID(), s.Rooms())
	}
	if got, ok := h.Of("/chat").Socket(s.ID()); got != s || !ok {
		t.Error("the namespace does not know its socket")
	}
	if err := h.Of("/chat").To(s.ID()).Emit("x", []byte("xy")); err != nil {
		t.Error(err)
	}
	c.expect(`51-/chat,["x",{"_placeholder":true,"num":0}]`, []byte("\x04xy"))

	// Clients of both kinds live side by side.
	later := h.dial(t)
	if id := later.connect("/chat", ""); len(id) != 20 {
		t.Errorf("id %q", id)
	}
	within(t, chat)
	if err := h.Of("/chat").Emit("all", 1); err != nil {
		t.Error(err)
	}
	c.expect(`2/chat,["all",1]`)
	later.expect(`2/chat,["all",1]`)

	// A CONNECT for what is joined is as wrong as it is later on (S-94).
	c.send("0")
	c.expectEnd()
}

// Over polling the open packet comes alone, as from the reference, and the root with the next poll.
func TestLegacyPolling(t *testing.T) {
	t.Parallel()
	h := serve(t, older())
	h.Of("/").Handle("hi", echo)
	p := &poller{t: t, h: h, url: h.url + "/socket.io/?EIO=3&transport=polling"}
	open := p.get()
	sid := regexp.MustCompile(`^\d+:0\{"sid":"([\w-]{20})".*\}$`).FindStringSubmatch(open)
	if sid == nil {
		t.Fatalf("open packet %q", open)
	}
	p.url += "&sid=" + sid[1]
	if got := p.get(); got != "2:40" {
		t.Errorf("root %q", got)
	}
	resp, err := h.http.Post(p.url, "text/plain;charset=UTF-8", strings.NewReader(`13:420["hi","€"]`))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.body(resp); got != "ok" {
		t.Errorf("post %q", got)
	}
	if got := p.get(); got != "8:430[\"€\"]" {
		t.Errorf("answer %q", got)
	}
}

// Spec 3.3: the query of a namespace is the socket's auth.
func TestLegacyQuery(t *testing.T) {
	t.Parallel()
	h := serve(t, older())
	chat := arrivals(h.Of("/chat"))
	for query, want := range map[string]string{
		"":                    `{}`,
		"?":                   `{}`,
		"?token=x":            `{"token":"x"}`,
		"?a=1&b=x%20y+z&a=2&": `{"a":"2","b":"x y z"}`,
		"?a&=b":               `{"":"b","a":""}`,
		"?a=%zz&b=?":          `{"a":"%zz","b":"?"}`,
		"?a=%ff":              `{"a":"\ufffd"}`,
		`?a=%22%E2%82%AC`:     `{"a":"\"€"}`,
		"?pid=p&offset=o":     `{"offset":"o","pid":"p"}`,
		`?a=1,{"auth":"no"}`:  `{"a":"1"}`,
	} {
		c := h.dialOlder(t, "")
		c.expect("0")
		c.send("0/chat" + query)
		c.expect("0/chat,")
		if got := string(within(t, chat).Handshake().RawAuth()); got != want {
			t.Errorf("auth of %q is %s, want %s", query, got, want)
		}
		// With a query or without, it is the same namespace.
		c.send(`1/chat?x=1,`, "0/chat")
		c.expect("0/chat,")
		within(t, chat)
		c.close()
	}
	// A query has no meaning later on.
	c := h.dial(t)
	c.send("0/chat?x=1,")
	c.expect(`4/chat?x=1,{"message":"Invalid namespace"}`)
}

// S-65, spec 3.3: a refusal carries the bare data, or the message.
func TestLegacyRefused(t *testing.T) {
	t.Parallel()
	h := serve(t, older())
	var mu sync.Mutex
	var reason error
	refuse := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		reason = err
	}
	for _, name := range []string{"/", "/chat"} {
		h.Of(name).Use(func(context.Context, *Socket) error {
			mu.Lock()
			defer mu.Unlock()
			return reason
		})
	}
	h.OfFunc(func(context.Context, string, *Handshake) error { return errors.New("nobody") }) // which is asked before the answer
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&ConnectError{Message: "no"}, `"no"`},
		{&ConnectError{Message: "no", Data: map[string]int{"code": 7}}, `{"code":7}`},
		{&ConnectError{Message: "no", Data: "why"}, `"why"`},
		{&ConnectError{Message: "no", Data: ""}, `"no"`},
		{&ConnectError{Message: "no", Data: 7}, `"no"`}, // which its parser would not take
		{&ConnectError{Message: "no", Data: make(chan int)}, `"no"`},
		{errors.New("the database is down"), `"internal server error"`},
	} {
		refuse(tt.err)
		c := h.dialOlder(t, "")
		c.expect("4" + tt.want)
		c.send("0/chat?x=1")
		c.expect("4/chat," + tt.want)
		c.send("0/nowhere")
		c.expect(`4/nowhere,{"message":"Invalid namespace"}`) // as the reference: an object here too
		refuse(nil)
		c.send("0/chat")
		c.expect("0/chat,")
		c.send("0") // it may try the root again, though clients do not
		c.expect("0")
		c.close()
	}
}

// S-5: one whose root was refused and that has joined nothing is closed in time; one that has joined another namespace is not.
func TestLegacyConnectTimeout(t *testing.T) {
	t.Parallel()
	o := older()
	o.ConnectTimeout = time.Second
	h := serve(t, o)
	h.Of("/").Use(func(context.Context, *Socket) error { return &ConnectError{Message: "no"} })
	h.Of("/open").Handle("hi", echo)
	idle, busy := h.dialOlder(t, ""), h.dialOlder(t, "", "0/open")
	idle.expectEnd(`4"no"`)
	busy.send(`2/open,0["hi"]`)
	for want := []any{`4"no"`, "0/open,", "3/open,0[]"}; len(want) > 0; {
		got := busy.next()
		i := slices.Index(want, got)
		if i < 0 {
			t.Fatalf("got %q, want %q", got, want)
		}
		want = slices.Delete(want, i, i+1)
	}
}

// All sockets of a client of 2.x in a namespace have one id, one after the other. The one that comes waits until the one
// before it is gone with its events and hooks, or that would take it out of its rooms.
func TestLegacyReturns(t *testing.T) {
	t.Parallel()
	h := serve(t, older())
	n := h.Of("/chat")
	var mu sync.Mutex
	var order []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	release := make(chan struct{})
	n.OnConnection(func(_ context.Context, s *Socket) error {
		note("in")
		return s.Join("room")
	})
	n.OnDisconnect(func(context.Context, *Socket, Reason) { note("out") })
	n.Handle("slow", func(context.Context, *Event) {
		<-release
		note("slow")
	})
	n.Handle("hi", echo)
	c := h.dialOlder(t, "")
	c.expect("0")
	c.send("0/chat")
	c.expect("0/chat,")
	c.send(`2/chat,["slow"]`, "1/chat,", "0/chat", `2/chat,["lost"]`, "1/chat,", "0/chat", `2/chat,0["hi",1]`)
	close(release)
	for {
		// That the second one is answered before it is told to leave is a matter of luck.
		if got := c.next(); got == "3/chat,0[1]" {
			break
		} else if got != "0/chat," {
			t.Fatalf("got %q", got)
		}
	}
	id := "/chat#" + c.sid
	if s, ok := n.Socket(id); !ok || !s.Connected() || !slices.Equal(s.Rooms(), []string{id, "room"}) || n.Len() != 1 {
		t.Errorf("the socket that came back: %v", ok)
	}
	if err := n.To("room").Emit("x"); err != nil {
		t.Error(err)
	}
	c.expect(`2/chat,["x"]`)
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(order, " "); !strings.HasPrefix(got, "in slow out in") || strings.Contains(got, "in in") || strings.Contains(got, "out out") {
		t.Errorf("order %q", got)
	}
}

// After the server has disconnected it, a client may come back on the same session.
func TestLegacyDisconnectedByServer(t *testing.T) {
	t.Parallel()
	h := serve(t, older())
	root := arrivals(h.Of("/"))
	left := leavings(h.Of("/"))
	c := h.dialOlder(t, "")
	c.expect("0")
	within(t, root).Disconnect(false)
	c.expect("1")
	if r := within(t, left); r != ReasonServerNamespaceDisconnect {
		t.Errorf("reason %q", r)
	}
	c.send("0")
	c.expect("0")
	within(t, root).Disconnect(true)
	c.expectEnd("1")
}

// Sessions of protocol 3 that end anyhow, while their sockets come and go, leave nothing behind; TestMain sees goroutines.
func TestLegacyDirtyDisconnects(t *testing.T) {
	t.Parallel()
	o := older()
	o.Engine.PingInterval, o.Engine.PingTimeout = time.Second, time.Second
	h := serve(t, o)
	namespaces := []*Namespace{h.Of("/"), h.Of("/chat")}
	for _, n := range namespaces {
		n.OnConnection(func(_ context.Context, s *Socket) error { return s.Join("room") })
		n.OnDisconnect(func(_ context.Context, s *Socket, _ Reason) { _ = n.To("room").Emit("left", s.ID()) })
	}
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			c := h.dialOlder(t, "", "0/chat", "1/chat,", "0/chat?x=1", `51-["x",{"_placeholder":true,"num":0}]`)
			switch i % 3 {
			case 0:
				c.close()
			case 1:
				c.send("1/chat,", "0/chat", "1")
				c.close()
			} // the others send no ping
		})
	}
	wg.Wait()
	gone := func() bool {
		for _, n := range namespaces {
			if n.Len() > 0 || len(n.adapter.Members(adapter.Selection{Rooms: []string{"room"}})) > 0 {
				return false
			}
		}
		return h.Engine().Sessions() == 0 && h.live.Load() == 1 && len(h.conns.all()) == 0
	}
	for deadline := time.Now().Add(patience); !gone(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("left: %d sessions, %d sockets", h.Engine().Sessions(), h.live.Load()-1)
		}
	}
}

// S-74: a dynamic namespace knows the auth from the query; what nobody makes is an object, as where there is no parent.
func TestLegacyDynamicNamespaces(t *testing.T) {
	t.Parallel()
	h := serve(t, older())
	parent := h.OfFunc(func(_ context.Context, name string, hs *Handshake) error {
		var auth struct{ Token string }
		if err := hs.DecodeAuth(&auth); err != nil {
			return err
		}
		if name != "/made" || auth.Token != "x" {
			return errors.New("no")
		}
		return nil
	})
	parent.Handle("hi", echo)
	parent.Use(func(_ context.Context, s *Socket) error {
		if strings.Contains(string(s.Handshake().RawAuth()), "barred") {
			return &ConnectError{Message: "barred"}
		}
		return nil
	})
	c := h.dialOlder(t, "")
	c.expect("0")
	c.send("0/made")
	c.expect(`4/made,{"message":"Invalid namespace"}`)
	c.send("0/made?token=x&barred=1")
	c.expect(`4/made,"barred"`)
	c.send("0/made?token=x", `2/made,7["hi",1]`)
	c.expect("0/made,", "3/made,7[1]")
	if s, ok := h.Of("/made").Socket("/made#" + c.sid); !ok || !s.Connected() {
		t.Error("the namespace does not know its socket")
	}
	// The one that comes back waits for its namespace too.
	c.send("1/made,", "0/made?token=x", `2/made,8["hi",2]`)
	c.expect("0/made,", "3/made,8[2]")
}

// S-6, S-78: where sockets are recovered, those of 2.x clients are none the wiser: they get no pid, and no offset with their
// events.
func TestLegacyRecoversNothing(t *testing.T) {
	t.Parallel()
	o := older()
	o.Recovery = new(Recovery)
	h := serve(t, o)
	n := h.Of("/chat")
	chat := arrivals(n)
	later := h.dial(t)
	later.send("0/chat,")
	var answer struct{ SID, PID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(later.next().(string), "0/chat,")), &answer); err != nil || answer.PID == "" {
		t.Fatalf("%+v, %v", answer, err)
	}
	within(t, chat)
	later.close()
	c := h.dialOlder(t, "")
	c.expect("0")
	c.send("0/chat?pid=" + answer.PID)
	c.expect("0/chat,")
	s := within(t, chat)
	if s.Recovered() || s.ID() != "/chat#"+c.sid {
		t.Errorf("recovered %v, id %q", s.Recovered(), s.ID())
	}
	if err := errors.Join(n.Emit("all", 1), s.Emit("one", 1)); err != nil {
		t.Error(err)
	}
	c.expect(`2/chat,["all",1]`, `2/chat,["one",1]`)
}
