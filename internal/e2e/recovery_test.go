package e2e

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/parser"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

func TestRecovery(t *testing.T) {
	suite(t, "recovery.test.mjs", map[string]string{
		"PERCH_RECOVERY_URL": startShelter(t, socketio.Recovery{}, nil),
		"PERCH_STRICT_URL":   startShelter(t, socketio.Recovery{RunMiddlewares: true}, nil),
		"PERCH_HASTY_URL":    startShelter(t, socketio.Recovery{MaxDisconnection: 500 * time.Millisecond}, nil),
		"PERCH_PACKED_URL":   startShelter(t, socketio.Recovery{}, msgpack.Parser{}),
	})
}

// shelter is a server whose sockets recover (S-76…S-78); recovery.test.mjs says what it expects of it. Clients are known by the
// key in their auth, and what happens to them is written down. `/control` does as it is told.
type shelter struct {
	main *socketio.Namespace

	mu    sync.Mutex
	diary map[string][]string // by key
}

func startShelter(t *testing.T, r socketio.Recovery, p parser.Parser) (url string) {
	t.Helper()
	srv, err := socketio.New(socketio.Options{
		Engine:   engineio.Options{PingInterval: 2 * time.Second, PingTimeout: 2 * time.Second},
		Recovery: &r,
		Parser:   p,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &shelter{main: srv.Of("/"), diary: map[string][]string{}}
	s.live(srv.Of("/"))
	s.live(srv.Of("/other"))
	s.control(srv.Of("/control"))
	return listen(t, srv, srv)
}

func (s *shelter) note(sock *socketio.Socket, what string) {
	key := authOf(sock).Key
	s.mu.Lock()
	defer s.mu.Unlock()
	s.diary[key] = append(s.diary[key], what)
}

func (s *shelter) live(ns *socketio.Namespace) {
	ns.Use(func(_ context.Context, sock *socketio.Socket) error {
		s.note(sock, "middleware")
		return nil
	})
	ns.Hook(socketio.Hooks{
		Connection: func(_ context.Context, sock *socketio.Socket) error {
			what := "connected"
			if sock.Recovered() {
				what = "recovered"
			}
			if authOf(sock).Token == "expired" {
				s.note(sock, "refused")
				return &socketio.ConnectError{Message: "token expired"}
			}
			s.note(sock, what)
			return sock.Join("everybody")
		},
		Disconnect: func(_ context.Context, sock *socketio.Socket, r socketio.Reason) { s.note(sock, string(r)) },
	})
	ns.Handle("join", func(_ context.Context, e *socketio.Event) { _ = e.Ack(e.Socket().Join(arg[string](e, 0)) == nil) })
	ns.Handle("leave", func(_ context.Context, e *socketio.Event) {
		e.Socket().Leave(arg[string](e, 0))
		_ = e.Ack()
	})
	ns.Handle("store", func(_ context.Context, e *socketio.Event) {
		e.Socket().Store(arg[string](e, 0), arg[any](e, 1))
		_ = e.Ack()
	})
	ns.Handle("me", func(_ context.Context, e *socketio.Event) {
		data, _ := e.Socket().Load("name")
		_ = e.Ack(map[string]any{
			"id": e.Socket().ID(), "recovered": e.Socket().Recovered(), "rooms": others(e.Socket()), "name": data,
			"known": slices.Contains(e.Socket().Rooms(), e.Socket().ID()),
		})
	})
	ns.Handle("kick", func(_ context.Context, e *socketio.Event) { e.Socket().Disconnect(false) })
	ns.Handle("back", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("back", all(e)...) })
	ns.Handle("volatile", func(_ context.Context, e *socketio.Event) {
		args := all(e)
		_ = e.Socket().Volatile().Emit(args[0].(string), args[1:]...)
	})
}

// control emits to rooms of "/" and tells what happened to a client.
func (s *shelter) control(ns *socketio.Namespace) {
	ns.Handle("emit", func(_ context.Context, e *socketio.Event) {
		args := arg[[]any](e, 2)
		to := s.main.To(arg[[]string](e, 0)...)
		if err := to.Emit(arg[string](e, 1), args...); err != nil {
			_ = e.Ack(err.Error())
			return
		}
		_ = e.Ack()
	})
	// count emits the numbers below n, one in each millisecond, to a room; every fifth with bytes.
	ns.Handle("count", func(_ context.Context, e *socketio.Event) {
		room, n, answer := arg[string](e, 0), arg[int](e, 1), e.Acker()
		go func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for i := range n {
				<-tick.C
				var more any = "text"
				if i%5 == 0 {
					more = []byte{byte(i)}
				}
				_ = s.main.To(room).Emit("number", i, more)
				_ = s.main.To("nobody").Emit("number", -1)
			}
			_ = answer.Ack(n)
		}()
	})
	ns.Handle("diary", func(_ context.Context, e *socketio.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = e.Ack(append([]string{}, s.diary[arg[string](e, 0)]...))
	})
}
