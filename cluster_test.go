package perch_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// S-40 to S-45, S-71: what a namespace can be asked, and done to all of its sockets.
func TestServerAsksAndActs(t *testing.T) {
	t.Parallel()
	name := perch.NewKey[string]("name")
	ids := make(chan string, 2)
	g := &hooked{}
	g.options.Namespace = "chat"
	g.onConnection = func(_ context.Context, s *perch.Socket) error {
		name.Set(s, "Ada")
		ids <- s.ID()
		return s.Join("r")
	}
	left := make(chan struct{}, 2)
	g.onDisconnect = func(context.Context, *perch.Socket, perch.Reason) { left <- struct{}{} }
	for _, err := range []error{
		g.Server().SocketsJoin("x"), g.Server().SocketsLeave("x"), g.Server().DisconnectSockets(false), g.Server().ServerSideEmit("x"),
		second(g.Server().EmitWithAck(t.Context(), "x")), second(g.Server().FetchSockets(t.Context())),
		second(g.Server().ServerSideEmitWithAck(t.Context(), "x")), second(g.Server().HandleServerSide("x", nil)),
	} {
		if !errors.Is(err, perch.ErrNotStarted) {
			t.Errorf("before start: %v", err)
		}
	}
	srv := serve(t, g)
	a, b := join(t, srv, "/chat"), join(t, srv, "/chat")
	idA, idB := <-ids, <-ids

	answers := make(chan []perch.SocketAnswer, 1)
	go func() {
		list, err := g.Server().Timeout(patience).EmitWithAck(context.Background(), "q", 1)
		if err != nil {
			t.Error(err)
		}
		answers <- list
	}()
	a.want(`42/chat,0["q",1]`)
	a.send(`43/chat,0["from a"]`)
	b.want(`42/chat,0["q",1]`)
	b.send(`41/chat,`)
	for _, answer := range <-answers {
		var said string
		err := answer.Decode(0, &said)
		switch answer.SocketID {
		case idA:
			if err != nil || said != "from a" {
				t.Errorf("a said %q, %v", said, err)
			}
		case idB:
			if !errors.Is(err, socketio.ErrDisconnected) {
				t.Errorf("b said %q, %v", said, err)
			}
		}
	}

	<-left
	sockets, err := g.Server().To("r").FetchSockets(t.Context())
	if err != nil || len(sockets) != 1 || sockets[0].ID() != idA || name.Value(sockets[0]) != "Ada" {
		t.Fatalf("%v, %v", sockets, err)
	}
	if err := errors.Join(
		g.Server().SocketsJoin("s", "t"), g.Server().In("t").SocketsLeave("r"), g.Server().SocketsLeave("s"),
		sockets[0].Emit("hi"), g.Server().Compress(false).In("t").Emit("plain"),
	); err != nil {
		t.Error(err)
	}
	a.want(`42/chat,["hi"]`)
	a.want(`42/chat,["plain"]`)
	if s, ok := g.Server().Socket(idA); !ok || !slices.Equal(s.Rooms(), []string{idA, "t"}) {
		t.Errorf("rooms %q", s.Rooms())
	}
	off, err := g.Server().HandleServerSide("x", func(context.Context, *perch.ServerEvent) { t.Error("told of its own event") })
	if err != nil {
		t.Fatal(err)
	}
	defer off()
	list, err := g.Server().ServerSideEmitWithAck(t.Context(), "x")
	if err := errors.Join(err, g.Server().ServerSideEmit("x")); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
	if err := g.Server().DisconnectSockets(false); err != nil {
		t.Error(err)
	}
	a.want(`41/chat,`)
}

// second is the error of a call that returns something else with it.
func second[T any](_ T, err error) error { return err }

// S-3: gateways of several processes, joined by an adapter, share their namespaces.
func TestWithAdapter(t *testing.T) {
	t.Parallel()
	broker := cluster.NewMemory(nil)
	var gateways []*gateway
	var clients []*client
	for range 2 {
		g := handlers(nil)
		_, srv := start(t, perch.WithGateways(g), perch.WithAdapter(cluster.New(broker.Open, cluster.Options{})))
		gateways, clients = append(gateways, g), append(clients, join(t, srv, "/"))
	}
	if err := gateways[0].Server().Emit("news", 1); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.want(`42["news",1]`)
	}
	sockets, err := gateways[1].Server().FetchSockets(t.Context())
	if err != nil || len(sockets) != 2 {
		t.Errorf("%v, %v", sockets, err)
	}
}
