package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// fleet starts servers that form a cluster, each with one client on "/".
func fleet(t *testing.T, count int) (nodes []*harness, clients []*client, sockets []*Socket) {
	t.Helper()
	broker := cluster.NewMemory(nil)
	for range count {
		h := serve(t, Options{Adapter: cluster.New(broker.Open, cluster.Options{Logger: slog.New(slog.DiscardHandler)})})
		c, s := gather(t, h, 1)
		nodes, clients, sockets = append(nodes, h), append(clients, c...), append(sockets, s...)
	}
	for _, h := range nodes {
		eventually(t, "the nodes know each other", func() bool {
			n, err := h.Of("/").Adapter().ServerCount(t.Context())
			return err == nil && n == count
		})
	}
	return nodes, clients, sockets
}

// eventually waits for what is true soon, and nothing tells when.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("not so: ", what)
		}
	}
}

// S-33, S-37, S-38, S-69: who of a cluster gets a broadcast.
func TestClusterBroadcast(t *testing.T) {
	t.Parallel()
	nodes, clients, sockets := fleet(t, 3)
	for i, rooms := range [][]string{{"r"}, {"r", "s"}, {"s"}} {
		if err := sockets[i].Join(rooms...); err != nil {
			t.Fatal(err)
		}
	}
	heard := new(notes)
	nodes[2].Of("/").OnAnyOutgoing(func(_ *Socket, event string, args []any) { heard.add("%s", event) })
	a := nodes[0]
	for i, tt := range []struct {
		emit func(event string, args ...any) error
		want []int
	}{
		{a.Emit, []int{0, 1, 2}},
		{a.To("r").Emit, []int{0, 1}},
		{a.To("r", "s").Except("r").Emit, []int{2}},
		{a.Local().Emit, []int{0}},
		{a.To(sockets[2].ID()).Emit, []int{2}},
		{sockets[0].Broadcast().Emit, []int{1, 2}},
		{sockets[0].To("r").Emit, []int{1}},
		{sockets[0].Local().Emit, nil},
		{a.Volatile().Compress(false).Emit, []int{0, 1, 2}},
	} {
		value := []byte{byte(i)}
		if err := tt.emit("x", i, map[string]any{"b": value}); err != nil {
			t.Error(err)
		}
		for _, c := range tt.want {
			clients[c].expect(fmt.Sprintf(`51-["x",%d,{"b":{"_placeholder":true,"num":0}}]`, i), value)
		}
	}
	if err := a.Emit("x", make(chan int)); err == nil {
		t.Error("a channel was sent")
	}
	if err := a.Emit("end"); err != nil {
		t.Error(err)
	}
	for _, c := range clients {
		c.expect(`2["end"]`)
	}
	if got := heard.take(); got != "x x x x x end" {
		t.Errorf("a listener of another node heard %q", got)
	}
}

// S-35, S-71: who answered what, wherever it is. A socket that leaves, and a node that goes, are no reason to wait.
func TestClusterAcks(t *testing.T) {
	t.Parallel()
	nodes, clients, sockets := fleet(t, 3)
	ids := make([]string, len(sockets))
	for i, s := range sockets {
		ids[i] = s.ID()
	}
	got := survey(t.Context(), nodes[0].Of("/").all(), "q", "?")
	for i, c := range clients {
		if i == 1 {
			next, _ := c.next().(string)
			id := strings.TrimSuffix(next[1:], `["q","?"]`)
			c.send(`61-`+id+`[{"_placeholder":true,"num":0},2]`, []byte("bin"))
			continue
		}
		c.answer(`["q","?"]`, fmt.Sprintf("[%d,2]", i))
	}
	answered := within(t, got)
	if want := map[string]string{ids[0]: "0", ids[1]: `{"_placeholder":true,"num":0}`, ids[2]: "2"}; answered.err != nil || !maps.Equal(answered.said(), want) {
		t.Errorf("%v, %v", answered.said(), answered.err)
	}
	for _, a := range answered.list {
		var bin []byte
		var two int
		if err := a.Decode(1, &two); err != nil || two != 2 || a.SocketID == ids[1] && (a.Decode(0, &bin) != nil || string(bin) != "bin") {
			t.Errorf("%v, %d, %q", err, two, bin)
		}
	}

	// One remote socket leaves, another says nothing until the call is given up.
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan answers, 1)
	go func() {
		var got answers
		for a, err := range nodes[0].Answers(ctx, "q") {
			if got.err = err; err == nil {
				got.list = append(got.list, a)
			}
			if len(got.list) == 2 {
				// When the third node answers this, it has told whom it has asked.
				if _, err := nodes[0].Of("/").FetchSockets(t.Context()); err != nil {
					t.Error(err)
				}
				cancel(errCause)
			}
		}
		done <- got
	}()
	clients[0].answer(`["q"]`, "[1]")
	clients[2].next()
	question, _ := clients[1].next().(string)
	clients[1].send("1")
	answered = within(t, done)
	if want := map[string]string{ids[0]: "1", ids[1]: ErrDisconnected.Error()}; !maps.Equal(answered.said(), want) {
		t.Errorf("%v of %q", answered.said(), question)
	}
	var incomplete *IncompleteError
	if !errors.As(answered.err, &incomplete) || incomplete.Missing != 1 || !slices.Equal(incomplete.Members, ids[2:]) || !errors.Is(answered.err, errCause) {
		t.Errorf("%v: %+v", answered.err, incomplete)
	}

	// A node goes with all its sockets.
	eventually(t, "the one that left is no member", func() bool { return nodes[1].Of("/").Len() == 0 })
	got = survey(t.Context(), nodes[0].Except("nowhere"), "q")
	clients[0].answer(`["q"]`, "[1]")
	clients[2].next()
	if err := nodes[2].Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	answered = within(t, got)
	if want := map[string]string{ids[0]: "1", ids[2]: ErrDisconnected.Error()}; answered.err != nil || !maps.Equal(answered.said(), want) {
		t.Errorf("%v, %v", answered.said(), answered.err)
	}
}

// S-40 to S-43, S-51: sockets of other nodes are described, their data have their type again, and what is done to them happens.
func TestClusterSockets(t *testing.T) {
	t.Parallel()
	nodes, clients, sockets := fleet(t, 3)
	key, visits := NewKey[account]("account"), NewKey[int]("visits")
	for i, s := range sockets {
		key.Set(s, account{Name: fmt.Sprint("user", i), Age: 30 + i, Key: []byte{1, 2}})
		visits.Set(s, i)
	}
	if err := sockets[1].Join("r"); err != nil {
		t.Fatal(err)
	}
	list, err := nodes[0].FetchSockets(t.Context())
	if err != nil || len(list) != len(sockets) {
		t.Fatalf("%v, %v", list, err)
	}
	if own := slices.Collect(nodes[0].Sockets()); len(own) != 1 || own[0] != sockets[0] {
		t.Errorf("%d sockets of this process", len(own))
	}
	byID := map[string]*RemoteSocket{}
	for _, r := range list {
		byID[r.ID()] = r
	}
	for i, s := range sockets {
		r := byID[s.ID()]
		if r == nil {
			t.Fatalf("socket %d is missing", i)
		}
		got, ok := key.Lookup(r)
		if n, counted := visits.Lookup(r); !ok || got.Name != fmt.Sprint("user", i) || got.Age != 30+i || string(got.Key) != "\x01\x02" || !counted || n != i {
			t.Errorf("socket %d: data %+v, %v, %d", i, got, ok, n)
		}
		if local, ok := r.Local(); ok != (i == 0) || ok && local != s {
			t.Errorf("socket %d is local: %v", i, ok)
		}
		h := r.Handshake()
		if h.Header.Get("X-Test") != "yes" || h.Query.Get("EIO") != "4" || h.Address != s.Handshake().RemoteAddr() || !h.Issued.Equal(s.Handshake().Issued()) {
			t.Errorf("socket %d: handshake %+v", i, h)
		}
		if !slices.Equal(r.Rooms(), s.Rooms()) {
			t.Errorf("socket %d: rooms %q", i, r.Rooms())
		}
	}
	if list, err := nodes[0].Local().FetchSockets(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("local: %v, %v", list, err)
	}
	list, err = nodes[2].In("r").FetchSockets(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	r := list[0]
	if err := r.Emit("hi", 1); err != nil {
		t.Error(err)
	}
	clients[1].expect(`2["hi",1]`)
	asked := request(t.Context(), r.Timeout(patience), "q")
	clients[1].answer(`["q"]`, `["me"]`)
	if a := within(t, asked); a.err != nil || string(a.reply.Raw(0)) != `"me"` {
		t.Errorf("%+v", a)
	}
	rooms := func(i int, want ...string) func() bool {
		return func() bool { return slices.Equal(sockets[i].Rooms(), append([]string{sockets[i].ID()}, want...)) }
	}
	if err := errors.Join(r.Join("s", "t"), r.Leave("r")); err != nil {
		t.Error(err)
	}
	eventually(t, "the remote socket has changed rooms", rooms(1, "s", "t"))
	if err := errors.Join(nodes[0].Except("s").SocketsJoin("u"), nodes[0].In("s").SocketsLeave("t"), nodes[0].Local().SocketsJoin("l")); err != nil {
		t.Error(err)
	}
	eventually(t, "0 has changed rooms", rooms(0, "u", "l"))
	eventually(t, "1 has changed rooms", rooms(1, "s"))
	eventually(t, "2 has changed rooms", rooms(2, "u"))
	if err := r.Disconnect(false); err != nil {
		t.Error(err)
	}
	clients[1].expect("1")
	within(t, sockets[1].Done())
	if _, err := r.EmitWithAck(t.Context(), "q"); !errors.Is(err, ErrDisconnected) {
		t.Errorf("one that has left: %v", err)
	}
	if err := nodes[1].In("u").Except(sockets[0].ID()).DisconnectSockets(true); err != nil {
		t.Error(err)
	}
	clients[2].expectEnd("1")
	if !sockets[0].Connected() {
		t.Error("the wrong one was disconnected")
	}
}

// S-44, S-45: events between servers, their answers, and who has not answered.
func TestClusterServerSide(t *testing.T) {
	t.Parallel()
	nodes, _, _ := fleet(t, 3)
	heard := make(chan string, 10)
	for i, h := range nodes {
		h.HandleServerSide("hello", func(_ context.Context, e *ServerEvent) {
			var b []byte
			if err := e.Decode(1, &b); err != nil {
				t.Error(err)
			}
			heard <- fmt.Sprint(i, string(e.Raw(0)), string(b), e.WantsAck())
		})
		h.Of("/other").HandleServerSide("hello", func(context.Context, *ServerEvent) { t.Error("another namespace") })
		h.HandleServerSide("count", func(_ context.Context, e *ServerEvent) {
			if e.WantsAck() {
				go func() { _ = e.Ack(map[string]any{"node": i, "bytes": []byte("b")}) }()
			}
		})
	}
	if err := nodes[0].ServerSideEmit("hello", 1, []byte("x")); err != nil {
		t.Error(err)
	}
	if got := []string{within(t, heard), within(t, heard)}; !slices.Contains(got, "11xfalse") || !slices.Contains(got, "21xfalse") {
		t.Errorf("heard %q", got)
	}
	list, err := nodes[1].ServerSideEmitWithAck(t.Context(), "count")
	var from []int
	for _, a := range list {
		var answer struct {
			Node  int
			Bytes []byte
		}
		if err := a.Decode(&answer); err != nil || string(answer.Bytes) != "b" || a.Node == "" {
			t.Errorf("%+v, %v", answer, err)
		}
		from = append(from, answer.Node)
	}
	if slices.Sort(from); err != nil || !slices.Equal(from, []int{0, 2}) {
		t.Errorf("answers of %v, %v", from, err)
	}

	nodes[2].HandleServerSide("partly", func(_ context.Context, e *ServerEvent) { _ = e.Ack("done") })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	list, err = nodes[0].ServerSideEmitWithAck(ctx, "partly")
	var incomplete *IncompleteError
	if len(list) != 1 || !errors.As(err, &incomplete) || incomplete.Missing != 1 || len(incomplete.Nodes) != 1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %+v", list, err)
	}
}
