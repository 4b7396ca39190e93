package e2e

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// Spec 3.7: a node of ours and one of Socket.IO's own are a cluster.
func TestClusterWithNode(t *testing.T) {
	bus, address := listenLines(t)
	srv, err := socketio.New(socketio.Options{Adapter: cluster.New(bus.open, cluster.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	obey(srv.Of("/"))
	obey(srv.Of("/other"))
	url := listen(t, srv, srv)
	suite(t, "cluster.test.mjs", map[string]string{"PERCH_CLUSTER_URL": url, "PERCH_CLUSTER_BUS": address})
}

// obey does what clients ask for; cluster.test.mjs says what it expects of each.
func obey(ns *socketio.Namespace) {
	handle := func(event string, fn func(ctx context.Context, e *socketio.Event) any) {
		ns.Handle(event, func(ctx context.Context, e *socketio.Event) {
			if answer := fn(ctx, e); e.WantsAck() {
				_ = e.Ack(answer)
			}
		})
	}
	to := func(e *socketio.Event, i int) *socketio.Broadcast { return ns.To(arg[[]string](e, i)...) }
	handle("count", func(ctx context.Context, _ *socketio.Event) any {
		n, _ := ns.Adapter().ServerCount(ctx)
		return n
	})
	handle("emit", func(_ context.Context, e *socketio.Event) any {
		return to(e, 0).Except(arg[[]string](e, 1)...).Emit(arg[string](e, 2), all(e)[3:]...)
	})
	handle("join", func(_ context.Context, e *socketio.Event) any { return to(e, 0).SocketsJoin(arg[[]string](e, 1)...) })
	handle("leave", func(_ context.Context, e *socketio.Event) any { return to(e, 0).SocketsLeave(arg[[]string](e, 1)...) })
	handle("disconnect-all", func(_ context.Context, e *socketio.Event) any {
		return ns.To(arg[string](e, 0)).DisconnectSockets(false)
	})
	handle("store", func(_ context.Context, e *socketio.Event) any {
		e.Socket().Store(arg[string](e, 0), arg[any](e, 1))
		return nil
	})
	handle("fetch", func(ctx context.Context, _ *socketio.Event) any {
		sockets, err := ns.FetchSockets(ctx)
		if err != nil {
			return err.Error()
		}
		var list []map[string]any
		for _, s := range sockets {
			var user any
			_, _ = s.Decode("user", &user)
			h := s.Handshake()
			list = append(list, map[string]any{
				"id": s.ID(), "rooms": s.Rooms(), "user": user, "auth": h.Auth, "address": h.Address, "issued": h.Issued.UnixMilli(),
			})
		}
		return list
	})
	handle("ask", func(ctx context.Context, e *socketio.Event) any {
		limit := time.Duration(arg[int](e, 0)) * time.Millisecond
		answers, err := ns.Timeout(limit).EmitWithAck(ctx, arg[string](e, 1), all(e)[2:]...)
		missing := 0
		if incomplete := (*socketio.IncompleteError)(nil); errors.As(err, &incomplete) {
			missing = incomplete.Missing
		}
		list := []map[string]any{}
		for _, a := range answers {
			var value any
			_ = a.Decode(0, &value)
			list = append(list, map[string]any{"id": a.SocketID, "value": value})
		}
		return map[string]any{"answers": list, "missing": missing}
	})
	handle("server-side", func(_ context.Context, e *socketio.Event) any {
		return ns.ServerSideEmit(arg[string](e, 0), all(e)[1:]...)
	})
	handle("server-side-ask", func(ctx context.Context, e *socketio.Event) any {
		answers, err := ns.ServerSideEmitWithAck(ctx, arg[string](e, 0), all(e)[1:]...)
		if err != nil {
			return err.Error()
		}
		var list []any
		for _, a := range answers {
			var value any
			_ = a.Decode(&value)
			list = append(list, value)
		}
		return list
	})
	ns.HandleServerSide("say", func(_ context.Context, e *socketio.ServerEvent) {
		var word string
		var bytes []byte
		_, _ = e.Decode(0, &word), e.Decode(1, &bytes)
		_ = ns.Local().Emit("heard", e.Name(), word, bytes)
	})
	ns.HandleServerSide("double", func(_ context.Context, e *socketio.ServerEvent) {
		var n int
		_ = e.Decode(0, &n)
		_ = e.Ack(2 * n)
	})
}

// lines is a broker: whoever connects to it, gets and sends messages, one to a line.
type lines struct {
	mu      sync.Mutex
	conns   []net.Conn
	receive map[string]func(*cluster.Message) // by namespace
}

// listenLines serves a broker until the test ends.
func listenLines(t *testing.T) (*lines, string) {
	t.Helper()
	listener, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	l := &lines{receive: make(map[string]func(*cluster.Message))}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			l.mu.Lock()
			l.conns = append(l.conns, conn)
			l.mu.Unlock()
			wg.Go(func() { l.read(t, conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.mu.Lock()
		for _, conn := range l.conns {
			_ = conn.Close()
		}
		l.mu.Unlock()
		wg.Wait()
	})
	return l, listener.Addr().String()
}

func (l *lines) read(t *testing.T, conn net.Conn) {
	in := bufio.NewScanner(conn)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		data, err := base64.StdEncoding.DecodeString(in.Text())
		if err != nil {
			t.Errorf("a line of Node's: %v", err)
			continue
		}
		m, err := cluster.Decode(data)
		if err != nil {
			t.Errorf("a message of Node's: %v: %q", err, data)
			continue
		}
		l.mu.Lock()
		receive := l.receive[m.Namespace]
		l.mu.Unlock()
		if receive != nil {
			receive(m)
		}
	}
}

func (l *lines) open(namespace, _ string) cluster.Bus { return &line{l, namespace} }

// line is the Bus of a namespace. The kernel's buffer is its queue.
type line struct {
	lines     *lines
	namespace string
}

func (b *line) Subscribe(receive func(*cluster.Message)) {
	b.lines.mu.Lock()
	defer b.lines.mu.Unlock()
	b.lines.receive[b.namespace] = receive
}

func (b *line) Publish(m *cluster.Message) error {
	data, err := cluster.Encode(m)
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(data) + "\n"
	b.lines.mu.Lock()
	defer b.lines.mu.Unlock()
	b.lines.conns = slices.DeleteFunc(b.lines.conns, func(conn net.Conn) bool {
		_, err := conn.Write([]byte(text))
		return err != nil // it has gone
	})
	return nil
}

func (b *line) Send(_ string, m *cluster.Message) error { return b.Publish(m) } // who it is not for ignores it

func (b *line) Close() error {
	b.lines.mu.Lock()
	defer b.lines.mu.Unlock()
	delete(b.lines.receive, b.namespace)
	return nil
}
