package perch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// rooms is a gateway on a pattern whose handlers say where they are called.
func rooms(pattern string) *hooked {
	g := &hooked{gateway: gateway{options: perch.Options{Namespace: pattern}}}
	g.register = func(r *perch.Router) {
		perch.On(r, "where", func(ctx context.Context, wildcard string) (string, error) {
			s := perch.SocketFrom(ctx)
			return fmt.Sprintf("%s %s=%s", s.Namespace(), wildcard, s.PathValue(wildcard)), nil
		})
		perch.OnEvent(r, "all", func(_ context.Context, text string) error { return g.Server().Emit("said", text) })
		perch.OnEvent(r, "room", func(ctx context.Context, text string) error {
			return perch.SocketFrom(ctx).Server().Emit("said", text)
		})
		perch.OnEvent(r, "others", func(ctx context.Context, text string) error {
			return perch.SocketFrom(ctx).Broadcast().Emit("said", text)
		})
		perch.On(r, "reply", func(_ context.Context, text string) (perch.Reply[string], error) {
			return perch.Reply[string]{Event: "said", Data: text, Everyone: true}, nil
		})
		perch.OnEvent(r, "in", func(ctx context.Context, name string) error {
			return g.Server().Of(name).Except("nobody").Emit("said", name)
		})
	}
	return g
}

// N-9, N-11, #5750: gateways on a pattern live in each namespace that it stands for, with its own hooks, sockets and broadcasts.
func TestPattern(t *testing.T) {
	t.Parallel()
	calls := make(chan string, 100)
	g := rooms("room/{id}")
	g.onConnection = func(_ context.Context, s *perch.Socket) error {
		calls <- "joins " + s.PathValue("id")
		if s.PathValue("id") == "0" {
			return perch.Errorf("CLOSED", "no such room")
		}
		return nil
	}
	g.onDisconnect = func(_ context.Context, s *perch.Socket, _ perch.Reason) { calls <- "leaves " + s.Namespace() }
	second := &gateway{options: perch.Options{Namespace: "/room/{id}"}}
	second.register = func(r *perch.Router) {
		perch.On(r, "second", func(ctx context.Context, _ perch.None) (string, error) {
			return perch.SocketFrom(ctx).PathValue("id"), nil
		})
	}
	app, srv := start(t, perch.WithGateways(g, second))
	a, b, c := join(t, srv, "/room/1"), join(t, srv, "/room/1"), join(t, srv, "/room/ä-2")
	for _, want := range []string{"joins 1", "joins 1", "joins ä-2"} {
		if got := receive(t, calls); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, tt := range []struct {
		who        *client
		send, want string
	}{
		{a, `42/room/1,1["where","id"]`, `43/room/1,1["/room/1 id=1"]`},
		{a, `42/room/1,1["where","x"]`, `43/room/1,1["/room/1 x="]`},
		{a, `42/room/1,1["second"]`, `43/room/1,1["1"]`},
		{c, `42/room/ä-2,1["where","id"]`, `43/room/ä-2,1["/room/ä-2 id=ä-2"]`},
		{c, `42/room/ä-2,1["nothing"]`, `43/room/ä-2,1[{"status":"error","code":"UNKNOWN_EVENT","message":"no handler for the event \"nothing\""}]`},
		{dial(t, srv), `40/room/0,`, `44/room/0,{"message":"no such room","data":{"code":"CLOSED"}}`},
		{dial(t, srv), `40/room/`, `44/room/,{"message":"Invalid namespace"}`},
		{dial(t, srv), `40/room/1/2,`, `44/room/1/2,{"message":"Invalid namespace"}`},
	} {
		if got := tt.who.ask(tt.send); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	if got := receive(t, calls); got != "joins 0" {
		t.Errorf("got %q", got)
	}

	said := map[*client]string{a: `42/room/1,["said",%q]`, b: `42/room/1,["said",%q]`, c: `42/room/ä-2,["said",%q]`}
	for _, tt := range []struct {
		event, text string
		to          []*client
	}{
		{"all", "everyone", []*client{a, b, c}},
		{"room", "us", []*client{a, b}},
		{"others", "you", []*client{b}},
		{"reply", "again", []*client{a, b}},
		{"in", "/room/ä-2", []*client{c}},
		{"in", "room/1", []*client{a, b}},
		{"in", "/room/none", nil},
	} {
		a.send(fmt.Sprintf(`42/room/1,[%q,%q]`, tt.event, tt.text))
		for _, to := range tt.to {
			to.want(fmt.Sprintf(said[to], tt.text))
		}
		for _, who := range []*client{a, b, c} { // and nobody else
			name, _, _ := strings.Cut(strings.TrimPrefix(said[who], "42"), ",")
			if got := who.ask("42" + name + `,7["second"]`); !strings.HasPrefix(got, "43"+name+",7") {
				t.Fatalf("%s: unexpected %s", tt.event, got)
			}
		}
	}

	if got := g.Server().Namespace() + " " + g.Server().Of("room/1").Namespace(); got != "/room/{id} /room/1" {
		t.Errorf("names %s", got)
	}
	for _, h := range app.Handlers() {
		if h.Namespace != "/room/{id}" || !strings.HasSuffix(h.Gateway, "(namespace /room/{id})") {
			t.Errorf("handler %+v", h)
		}
	}
	a.send("41/room/1,")
	if got := receive(t, calls); got != "leaves /room/1" {
		t.Errorf("got %q", got)
	}
}

// A name without wildcards comes before a pattern and the narrower pattern before the wider one, whatever the order of gateways.
func TestPatternPrecedence(t *testing.T) {
	t.Parallel()
	patterns := []string{"/{all...}", "/room/{id}", "/room/lobby", "/{kind}/{id}", "/room/{id}/{rest...}"}
	for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			var gateways []perch.Gateway
			for _, i := range order {
				gateways = append(gateways, &gateway{
					options: perch.Options{Namespace: patterns[i]},
					register: func(r *perch.Router) {
						perch.On(r, "who", func(context.Context, perch.None) (string, error) { return patterns[i], nil })
					},
				})
			}
			srv := serve(t, gateways...)
			for name, want := range map[string]string{
				"/room/lobby": "/room/lobby", "/room/1": "/room/{id}", "/hall/1": "/{kind}/{id}", "/room/1/a/b": "/room/{id}/{rest...}",
				"/hall/1/2": "/{all...}", "/x": "/{all...}",
			} {
				if got := join(t, srv, name).ask("42" + name + `,1["who"]`); got != "43"+name+`,1["`+want+`"]` {
					t.Errorf("%s is answered by %s, want %s", name, got, want)
				}
			}
			// The root namespace has a name.
			if got := join(t, srv, "/").ask(`421["who"]`); !strings.Contains(got, "UNKNOWN_EVENT") {
				t.Errorf("/ is answered by %s", got)
			}
		})
	}
}

// S-48, N-11: what the server of a pattern can be asked and told, and that of one of its namespaces.
func TestPatternServer(t *testing.T) {
	t.Parallel()
	g := rooms("/room/{id}")
	other := &gateway{options: perch.Options{Namespace: "other"}}
	sockets := make(chan *perch.Socket, 3)
	g.onConnection = func(_ context.Context, s *perch.Socket) error { sockets <- s; return s.Join("members") }
	srv := serve(t, g, other)
	var clients []*client
	var ids []string
	for _, name := range []string{"/room/1", "/room/1", "/room/2"} {
		clients, ids = append(clients, join(t, srv, name)), append(ids, receive(t, sockets).ID())
	}
	all, one, none := g.Server(), other.Server().Of("room/1"), other.Server().Of("/room/none")

	for _, tt := range []struct {
		name   string
		server *perch.Server
		want   []string
	}{{"all", all, ids}, {"one", one, ids[:2]}, {"none", none, nil}} {
		want := slices.Sorted(slices.Values(tt.want))
		var got []string
		for s := range tt.server.Sockets() {
			got = append(got, s.ID())
		}
		if slices.Sort(got); !slices.Equal(got, want) || tt.server.Len() != len(want) {
			t.Errorf("%s: sockets %q, %d of them, want %q", tt.name, got, tt.server.Len(), want)
		}
		fetched, err := tt.server.To("members").FetchSockets(t.Context())
		got = nil
		for _, s := range fetched {
			got = append(got, s.ID())
		}
		if slices.Sort(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: fetched %q, %v, want %q", tt.name, got, err, want)
		}
		for i, id := range ids {
			if _, ok := tt.server.Socket(id); ok != slices.Contains(want, id) {
				t.Errorf("%s: socket %d is found: %t", tt.name, i, ok)
			}
		}
	}
	for range all.Sockets() {
		break // is heeded
	}

	answers := make(chan []perch.SocketAnswer, 1)
	for _, server := range []*perch.Server{all, one, none} {
		asked := clients[:server.Len()]
		go func() {
			list, err := server.Timeout(patience).EmitWithAck(context.Background(), "q")
			if err != nil {
				t.Error(err)
			}
			answers <- list
		}()
		questions := make([]string, len(asked))
		for i, c := range asked { // all of them before anyone answers
			questions[i] = c.next()
		}
		for i, c := range asked {
			prefix := "2" + []string{"/room/1", "/room/1", "/room/2"}[i] + ","
			id, ok := strings.CutSuffix(strings.TrimPrefix(questions[i], "4"+prefix), `["q"]`)
			if !ok {
				t.Fatalf("got %s", questions[i])
			}
			c.send("43" + prefix[1:] + id + "[]")
		}
		if got := receive(t, answers); len(got) != len(asked) {
			t.Errorf("%d answers, want %d", len(got), len(asked))
		}
	}

	if err := errors.Join(
		all.SocketsJoin("x", "y"), one.SocketsLeave("x"), none.SocketsJoin("z"), all.To("x").Emit("x"), one.In("y").Emit("y"), none.Volatile().Emit("none"),
	); err != nil {
		t.Error(err)
	}
	clients[0].want(`42/room/1,["y"]`)
	clients[1].want(`42/room/1,["y"]`)
	clients[2].want(`42/room/2,["x"]`)

	off, err := all.HandleServerSide("x", func(context.Context, *perch.ServerEvent) {})
	if err != nil {
		t.Fatal(err)
	}
	off()
	for name, err := range map[string]error{
		"ServerSideEmit to all":           all.ServerSideEmit("x"),
		"ServerSideEmitWithAck to all":    second(all.ServerSideEmitWithAck(t.Context(), "x")),
		"HandleServerSide of one of them": second(one.HandleServerSide("x", nil)),
	} {
		if !errors.Is(err, perch.ErrPattern) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(one.ServerSideEmit("x"), second(one.ServerSideEmitWithAck(t.Context(), "x"))); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"reserved to all": all.Emit("connect"), "reserved to one": one.Emit("connect"), "reserved to none": none.Emit("connect"),
	} {
		if !errors.Is(err, socketio.ErrReserved) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := g.Server().Of("/hall/1").Emit("x"); !errors.Is(err, perch.ErrNoNamespace) {
		t.Errorf("a name that matches nothing: %v", err)
	}
	if err := all.DisconnectSockets(false); err != nil {
		t.Error(err)
	}
	for i, c := range clients {
		c.want([]string{"41/room/1,", "41/room/1,", "41/room/2,"}[i])
	}
}

// S-75: a pattern's namespace goes with its last client, whoever has been sent something by its name.
func TestPatternIsDropped(t *testing.T) {
	t.Parallel()
	dropped := make(chan string, 10)
	factory := func(h adapter.Host) adapter.Adapter {
		return &noticed{adapter.NewMemory(h), func() { dropped <- h.Name() }}
	}
	g := rooms("/room/{id}")
	_, srv := start(t, perch.WithGateways(g), perch.WithAdapter(factory), perch.WithMaxNamespaces(1))
	for range 3 {
		c := join(t, srv, "/room/1")
		if err := g.Server().Of("/room/1").Emit("hi"); err != nil {
			t.Fatal(err)
		}
		c.want(`42/room/1,["hi"]`)
		if got := dial(t, srv).ask("40/room/2,"); got != `44/room/2,{"message":"too many namespaces"}` {
			t.Errorf("got %s", got)
		}
		c.send("41/room/1,")
		if got := receive(t, dropped); got != "/room/1" {
			t.Errorf("%s is dropped", got)
		}
	}
}

// noticed is an adapter whose end is noticed.
type noticed struct {
	*adapter.Memory
	closed func()
}

func (n *noticed) Close() error {
	n.closed()
	return n.Memory.Close()
}

// A namespace of a pattern is one in all nodes of a cluster, also for a node where nobody is in it.
func TestPatternInCluster(t *testing.T) {
	t.Parallel()
	broker := cluster.NewMemory(nil)
	var gateways []*hooked
	var clients []*client
	for i := range 2 {
		g := rooms("/room/{id}")
		_, srv := start(t, perch.WithGateways(g), perch.WithAdapter(cluster.New(broker.Open, cluster.Options{})))
		gateways, clients = append(gateways, g), append(clients, join(t, srv, fmt.Sprintf("/room/%d", i)))
	}
	away := gateways[0].Server().Of("/room/1")
	if err := errors.Join(away.Emit("hi"), away.SocketsJoin("r"), away.To("r").Emit("you")); err != nil {
		t.Fatal(err)
	}
	clients[1].want(`42/room/1,["hi"]`, `42/room/1,["you"]`)
	for name, err := range map[string]error{
		"FetchSockets":          second(away.FetchSockets(t.Context())),
		"EmitWithAck":           second(away.EmitWithAck(t.Context(), "q")),
		"ServerSideEmitWithAck": second(away.ServerSideEmitWithAck(t.Context(), "q")),
	} {
		if !errors.Is(err, perch.ErrNobodyHere) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if sockets, err := gateways[1].Server().Of("/room/1").FetchSockets(t.Context()); err != nil || len(sockets) != 1 {
		t.Errorf("%d sockets, %v", len(sockets), err)
	}
}
