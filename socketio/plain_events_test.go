package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter/cluster"
	"github.com/perch-go/perch/socketio/parser"
)

// answer waits for a question and answers it.
func (c *plainClient) answer(event, data, reply string) {
	c.t.Helper()
	got := c.next()
	var id int
	if _, err := fmt.Sscanf(got, `{"id":%d,`, &id); err != nil || got != fmt.Sprintf(`{"id":%d,"event":%q%s}`, id, event, data) {
		c.t.Fatalf("asked %s", got)
	}
	c.send(fmt.Sprintf(`{"id":%d%s}`, id, reply))
}

// Ids come back as they were, whatever they are, whoever answers and whenever: when the event's memory is another one's.
func TestPlainIDs(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{})
	n := h.Of("/")
	n.Handle("echo", echo)
	n.Handle("error", func(_ context.Context, e *Event) { _ = e.AckError("exception", e.NumArgs()) })
	var mu sync.Mutex
	var later []*Acker
	n.Handle("later", func(_ context.Context, e *Event) {
		mu.Lock()
		defer mu.Unlock()
		later = append(later, e.Acker())
	})
	n.Handle("aside", func(_ context.Context, e *Event) {
		release := make(chan struct{})
		e.Go(func() {
			<-release
			_ = e.Ack("aside")
		})
		close(release)
	})
	n.Handle("now", func(context.Context, *Event) {
		mu.Lock()
		defer mu.Unlock()
		for i, a := range later {
			if !a.wanted {
				if err := a.Ack(); !errors.Is(err, ErrNoAck) {
					t.Error(err)
				}
			} else if i%2 == 0 {
				_ = a.Ack(i)
				if err := a.Ack(i); !errors.Is(err, ErrAcked) {
					t.Errorf("acked twice: %v", err)
				}
			} else if err := a.answer("exception", []any{i}); err != nil {
				t.Error(err)
			}
		}
		later = nil
	})
	c := h.dialPlain(t, "/ws")
	c.conn.SetReadLimit(1 << 20)
	ids := []string{"0", "1", "-1.5e300", "12345678901234567890123456789", `""`, `"x"`, `"\"\u0000\\"`, `"é😀"`, "null", "true", "false", `"` + strings.Repeat("long ", 20_000) + `"`}
	for _, id := range ids {
		c.send(`{"event":"echo","id":` + id + `,"data":"one"}`)
		c.expect(`{"id":` + id + `,"data":"one"}`)
		c.send(`{"event":"error","id":` + id + `}`)
		c.expect(`{"id":` + id + `,"event":"exception","data":0}`)
		c.send(`{"event":"aside","id":` + id + `}`)
		c.expect(`{"id":` + id + `,"data":"aside"}`)
	}
	for _, id := range ids {
		c.send(`{"event":"later","id":` + id + `}`)
	}
	for range 100 { // which use the memory again
		c.send(`{"event":"echo","id":"other","data":"` + strings.Repeat("z", 100) + `"}`)
		c.next()
	}
	c.send(`{"event":"now"}`)
	for i, id := range ids {
		event := ""
		if i%2 == 1 {
			event = `"event":"exception",`
		}
		c.expect(fmt.Sprintf(`{"id":%s,%s"data":%d}`, id, event, i))
	}
	c.send(`{"event":"error"}`, `{"event":"echo"}`, `{"event":"aside"}`, `{"event":"later"}`, `{"event":"now"}`, `{"event":"echo","id":"end"}`)
	c.expect(`{"id":"end"}`)
	// The same id again, before and after it was answered, is the client's own business.
	c.send(`{"event":"later","id":1}`, `{"event":"echo","id":1}`, `{"event":"now"}`, `{"event":"echo","id":1}`)
	c.expect(`{"id":1}`, `{"id":1,"data":0}`, `{"id":1}`)
}

// Acknowledgements of plain clients: what they answer, that they leave, that they take too long, and answers to nothing.
func TestPlainAcks(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{})
	n := h.Of("/")
	sockets := arrivals(n)
	c := h.dialPlain(t, "/ws")
	s := within(t, sockets)
	eventually(t, "it is connected", s.Connected)
	ask := func(ctx context.Context, s *Socket, timeout time.Duration) <-chan string {
		ch := make(chan string, 1)
		go func() {
			r, err := s.Timeout(timeout).EmitWithAck(ctx, "q", []byte{1})
			if err != nil {
				ch <- err.Error()
				return
			}
			ch <- fmt.Sprintf("%d %s %s", r.NumArgs(), r.Raw(0), r.Raw(1))
		}()
		return ch
	}
	for reply, want := range map[string]string{"": "0  ", `,"data":[1,2]`: "1 [1,2] ", `,"data":null`: "1 null "} {
		got := ask(t.Context(), s, 0)
		c.answer("q", `,"data":"AQ=="`, reply)
		if r := within(t, got); r != want {
			t.Errorf("%s: %s", reply, r)
		}
	}
	got := ask(t.Context(), s, time.Millisecond)
	late := c.next()
	if r := within(t, got); r != ErrTimeout.Error() {
		t.Error(r)
	}
	c.send(late[:strings.Index(late, `,"event"`)]+"}", `{"id":0}`, `{"id":"0"}`, `{"id":9007199254740993}`) // answers to nothing
	ctx, cancel := context.WithCancel(t.Context())
	got = ask(ctx, s, 0)
	c.next()
	cancel()
	if r := within(t, got); r != context.Canceled.Error() {
		t.Error(r)
	}
	got = ask(t.Context(), s, 0)
	c.next()
	_ = c.conn.CloseNow()
	if r := within(t, got); r != ErrDisconnected.Error() {
		t.Error(r)
	}
	if err := s.Emit("x"); !errors.Is(err, ErrDisconnected) {
		t.Error(err)
	}
	// A handler that waits for the client that sent the event, behind whose answer there are others.
	n.Handle("ask", func(ctx context.Context, e *Event) {
		r, err := e.Socket().EmitWithAck(ctx, "q")
		if err != nil {
			t.Error(err)
			return
		}
		_ = e.Ack(parser.Raw{JSON: r.Raw(0)})
	})
	n.Handle("echo", echo)
	c = h.dialPlain(t, "/ws")
	c.send(`{"event":"ask","id":1}`, `{"event":"echo","id":2}`)
	c.answer("q", "", `,"data":{"a":1}`)
	c.expect(`{"id":1,"data":{"a":1}}`, `{"id":2}`)
}

// A middleware for events refuses: the client is told by "exception", with the id if there is one.
func TestPlainEventMiddleware(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{})
	n := h.Of("/")
	n.UseEvent(func(_ context.Context, e *Event) error {
		switch e.Name() {
		case "no":
			return &EventError{Code: "NO", Message: "no.", Details: []byte{1}}
		case "unspeakable":
			return &EventError{Message: "no.", Details: make(chan int)}
		case "broken":
			return errCause
		}
		return nil
	})
	n.Handle("echo", echo)
	c := h.dialPlain(t, "/ws")
	c.send(`{"event":"no","id":1}`, `{"event":"no"}`, `{"event":"unspeakable","id":"u"}`, `{"event":"broken","id":2}`, `{"event":"echo","id":3}`)
	c.expect(`{"id":1,"event":"exception","data":{"status":"error","code":"NO","message":"no.","details":"AQ=="}}`,
		`{"id":"u","event":"exception","data":{"status":"error","code":"ERROR","message":"no."}}`,
		`{"id":2,"event":"exception","data":{"status":"error","code":"INTERNAL","message":"internal server error"}}`, `{"id":3}`)
}

// A client that does not take what it is sent is cut, and one that sends more than is handled is not read from meanwhile.
func TestPlainBudgets(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{Engine: engineio.Options{OutboundBytes: 100_000, InboundEvents: 10}})
	n := h.Of("/")
	left, sockets := leavings(n), arrivals(n)
	h.dialPlain(t, "/ws")
	s := within(t, sockets)
	eventually(t, "the budget is used up", func() bool { return s.Emit("x", make([]byte, 10_000)) != nil })
	if r := within(t, left); r != Reason(engineio.ReasonOutboundOverflow) {
		t.Errorf("left because of %s", r)
	}

	entered, leave := make(chan struct{}, 1000), make(chan struct{})
	n.Handle("slow", func(_ context.Context, e *Event) {
		entered <- struct{}{}
		<-leave
		_ = e.Ack()
	})
	c := h.dialPlain(t, "/ws")
	s = within(t, sockets)
	sent := make(chan error, 1)
	go func() {
		var err error
		for range 1000 {
			err = errors.Join(err, c.conn.Write(t.Context(), websocket.MessageText, []byte(`{"event":"slow","id":1,"data":"`+strings.Repeat("x", 10_000)+`"}`)))
		}
		sent <- err
	}()
	within(t, entered)
	eventually(t, "reading stands still", func() bool {
		before := s.Conn().Stats().PacketsIn
		<-time.After(20 * time.Millisecond)
		return before > 0 && s.Conn().Stats().PacketsIn == before
	})
	if in := s.Conn().Stats().PacketsIn; in > 30 { // what one read brought is handed over
		t.Errorf("%d events were read", in)
	}
	close(leave)
	for range 1000 {
		c.expect(`{"id":1}`)
	}
	if err := within(t, sent); err != nil {
		t.Error(err)
	}
}

// Plain members on two nodes of a cluster, beside clients of Socket.IO.
func TestPlainCluster(t *testing.T) {
	t.Parallel()
	broker := cluster.NewMemory(nil)
	nodes := make([]*harness, 2)
	plains, ios, ids := make([]*plainClient, 2), make([]*client, 2), make([]string, 2)
	for i := range nodes {
		h := servePlain(t, Options{Adapter: cluster.New(broker.Open, cluster.Options{Logger: slog.New(slog.DiscardHandler)})})
		sockets := arrivals(h.Of("/"))
		nodes[i] = h
		plains[i] = h.dialPlain(t, fmt.Sprint("/ws?n=", i))
		s := within(t, sockets)
		ids[i] = s.ID()
		s.Store("n", []byte{byte(i)})
		if err := s.Join("plain"); err != nil {
			t.Fatal(err)
		}
		ios[i] = h.dial(t)
		ios[i].connect("/", "")
	}
	for _, h := range nodes {
		eventually(t, "the nodes know each other", func() bool {
			n, err := h.Of("/").Adapter().ServerCount(t.Context())
			return err == nil && n == 2
		})
	}
	// Bytes in all places, which travel between the nodes as bytes.
	raw := parser.Raw{JSON: []byte(`{"_placeholder":true,"num":0}`), Attachments: [][]byte{{2}}}
	type inner struct{ B []byte }
	if err := nodes[0].Emit("x", []byte{1}, map[string]any{"b": []any{[]byte{3}}}, inner{[]byte{4}}, raw); err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		plains[i].expect(`{"event":"x","data":["AQ==",{"b":["Aw=="]},{"B":"BA=="},"Ag=="]}`)
		ios[i].expect(`54-["x",{"_placeholder":true,"num":0},{"b":[{"_placeholder":true,"num":1}]},{"B":{"_placeholder":true,"num":2}},{"_placeholder":true,"num":3}]`,
			[]byte{1}, []byte{3}, []byte{4}, []byte{2})
	}
	got := survey(t.Context(), nodes[0].To("plain"), "q", 1)
	plains[0].answer("q", `,"data":1`, `,"data":"zero"`)
	plains[1].answer("q", `,"data":1`, `,"data":{"a":[1]}`)
	if answered := within(t, got); answered.err != nil || !maps.Equal(answered.said(), map[string]string{ids[0]: `"zero"`, ids[1]: `{"a":[1]}`}) {
		t.Errorf("%v %v", answered.said(), answered.err)
	}
	remote, err := nodes[1].To("plain").FetchSockets(t.Context())
	if err != nil || len(remote) != 2 {
		t.Fatal(remote, err)
	}
	for _, r := range remote {
		i := slices.Index(ids, r.ID())
		var b []byte
		if ok, err := r.Decode("n", &b); !ok || err != nil || len(b) != 1 || int(b[0]) != i || !slices.Contains(r.Rooms(), "plain") {
			t.Errorf("%d: %v %v %v", i, b, r.Rooms(), err)
		}
		if h := r.Handshake(); h.Query.Get("n") != fmt.Sprint(i) || string(h.Auth) != fmt.Sprintf(`{"n":"%d"}`, i) {
			t.Errorf("handshake %+v", h)
		}
	}
	if err := nodes[0].To(ids[1]).SocketsJoin("other"); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].To("other").Emit("y"); err != nil {
		t.Fatal(err)
	}
	plains[1].expect(`{"event":"y"}`)
	if err := nodes[0].To("plain").DisconnectSockets(true); err != nil {
		t.Fatal(err)
	}
	for _, c := range plains {
		c.expect("1000 server namespace disconnect")
	}
	for _, h := range nodes {
		eventually(t, "the plain ones have left", func() bool { return h.Of("/").Len() == 1 })
	}
}

// Many clients come, are refused, kicked, or leave, while others broadcast and the server shuts down.
func TestPlainHammer(t *testing.T) {
	t.Parallel()
	h := servePlain(t, Options{})
	p := h.ofPattern(t, "/room/{id}")
	p.Use(func(_ context.Context, s *Socket) error {
		if s.Handshake().Query().Get("n") == "0" {
			return &ConnectError{Message: "no"}
		}
		return nil
	})
	var mu sync.Mutex
	here := 0
	count := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		here += by
	}
	p.OnConnection(func(_ context.Context, s *Socket) error {
		count(1)
		switch s.Handshake().Query().Get("n") {
		case "1":
			count(-1)
			return &ConnectError{Message: "no"}
		case "2":
			go s.Disconnect(false)
		}
		return s.Emit("welcome")
	})
	p.OnDisconnect(func(context.Context, *Socket, Reason) { count(-1) })
	p.Handle("echo", echo)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil && i < 60; i++ {
				conn, resp, err := websocket.Dial(ctx, fmt.Sprintf("%s/ns/room/%d?n=%d", h.url, worker%3, i%5), nil)
				if err != nil {
					if resp != nil && resp.StatusCode == 503 {
						return
					}
					continue
				}
				_ = conn.Write(ctx, websocket.MessageText, []byte(`{"event":"echo","id":1}`))
				_ = p.Emit("all", i)
				for range 2 {
					if _, _, err := conn.Read(ctx); err != nil {
						break
					}
				}
				if i%2 == 0 {
					_ = conn.CloseNow()
				} else {
					_ = conn.Close(websocket.StatusNormalClosure, "")
				}
			}
		})
	}
	eventually(t, "some came", func() bool { return h.Engine().Stats().Opened > 50 })
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	mu.Lock()
	if here != 0 {
		t.Errorf("%d did not leave", here)
	}
	mu.Unlock()
	wg.Wait()
	if s := h.Engine().Stats(); s.Sessions != 0 {
		t.Errorf("%+v", s)
	}
}
