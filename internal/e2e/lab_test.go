package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// lab is a server with what the conformance profiles have no event for; lab.test.mjs says what it expects of each. It
// knows why each of its sockets left.
type lab struct {
	server *socketio.Server

	mu      sync.Mutex
	reasons map[string]socketio.Reason // by the key in a client's auth
}

// startLab serves a lab until the test ends.
func startLab(t *testing.T) (url string) {
	t.Helper()
	srv, err := socketio.New(socketio.Options{
		Engine: engineio.Options{
			PingInterval: time.Second, PingTimeout: time.Second,
			CORS: &engineio.CORS{Origins: []string{"*"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{server: srv, reasons: map[string]socketio.Reason{}}
	l.rooms(srv.Of("/lab"))
	l.questions(srv.Of("/lab"))
	l.presence(srv.Of("/lab"), srv.Of("/journal"))
	guard(srv.Of("/guarded"))
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.HandleFunc("POST /shutdown", l.shutdown)
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		web.Close()
	})
	return web.URL
}

// clientAuth is what clients of /lab and /guarded bring along.
type clientAuth struct {
	Key   string `json:"key"`
	Token string `json:"token"`
}

func authOf(s *socketio.Socket) (a clientAuth) {
	_ = s.Handshake().DecodeAuth(&a) // without one it stays empty
	return a
}

// all decodes every argument.
func all(e *socketio.Event) []any {
	args := make([]any, e.NumArgs())
	for i := range args {
		_ = e.Decode(i, &args[i])
	}
	return args
}

// arg decodes one argument; a wrong one is the zero value.
func arg[T any](e *socketio.Event, i int) (v T) {
	_ = e.Decode(i, &v)
	return v
}

func (l *lab) rooms(ns *socketio.Namespace) {
	handle := func(event string, fn func(s *socketio.Socket, e *socketio.Event) error) {
		ns.Handle(event, func(_ context.Context, e *socketio.Event) {
			if err := fn(e.Socket(), e); err != nil {
				_ = e.Ack(err.Error())
				return
			}
			_ = e.Ack()
		})
	}
	handle("join", func(s *socketio.Socket, e *socketio.Event) error { return s.Join(arg[string](e, 0)) })
	handle("leave", func(s *socketio.Socket, e *socketio.Event) error {
		s.Leave(arg[string](e, 0))
		return nil
	})
	handle("say", func(s *socketio.Socket, e *socketio.Event) error {
		return s.To(arg[[]string](e, 0)...).Emit(arg[string](e, 1), arg[any](e, 2))
	})
	handle("in", func(_ *socketio.Socket, e *socketio.Event) error {
		return ns.In(arg[[]string](e, 0)...).Except(arg[[]string](e, 1)...).Emit(arg[string](e, 2), arg[any](e, 3))
	})
	handle("shout", func(s *socketio.Socket, e *socketio.Event) error {
		return s.Broadcast().Emit(arg[string](e, 0), arg[any](e, 1))
	})
	ns.Handle("rooms", func(_ context.Context, e *socketio.Event) { _ = e.Ack(others(e.Socket())) })
}

// others are a socket's rooms but its own, sorted.
func others(s *socketio.Socket) []string {
	rooms := slices.DeleteFunc(s.Rooms(), func(room string) bool { return room == s.ID() })
	slices.Sort(rooms)
	return rooms
}

func (l *lab) questions(ns *socketio.Namespace) {
	ns.Handle("echo", func(_ context.Context, e *socketio.Event) { _ = e.Ack(all(e)...) })
	ns.Handle("back", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("back", all(e)...) })
	ns.Handle("ask", func(ctx context.Context, e *socketio.Event) {
		reply, err := e.Socket().Timeout(startTime).EmitWithAck(ctx, "question", arg[any](e, 0))
		if err != nil {
			_ = e.Ack(err.Error())
			return
		}
		var answer any
		_ = reply.Decode(0, &answer)
		_ = e.Ack(answer)
	})
	ns.Handle("ask-timeout", func(ctx context.Context, e *socketio.Event) {
		wait := time.Duration(arg[int](e, 0)) * time.Millisecond
		switch _, err := e.Socket().Timeout(wait).EmitWithAck(ctx, "question", nil); {
		case err == nil:
			_ = e.Ack("answered")
		case errors.Is(err, socketio.ErrTimeout):
			_ = e.Ack("timeout")
		default:
			_ = e.Ack(err.Error())
		}
	})
	ns.Handle("burst", func(_ context.Context, e *socketio.Event) {
		n := arg[int](e, 0)
		for i := range n {
			var value any = []byte{byte(i), byte(i >> 8)}
			if i%3 != 0 {
				value = "text " + strconv.Itoa(i)
			}
			if err := e.Socket().Emit("tick", i, value); err != nil {
				_ = e.Ack(err.Error())
				return
			}
		}
		_ = e.Ack(n)
	})
	ns.Handle("sleepy", func(_ context.Context, e *socketio.Event) {
		ms := arg[int](e, 0)
		<-time.After(time.Duration(ms) * time.Millisecond)
		_ = e.Ack(ms)
	})
}

// presence greets who comes to /lab, disconnects who asks for it, and tells /journal who left and why.
func (l *lab) presence(ns, journal *socketio.Namespace) {
	ns.OnConnection(func(_ context.Context, s *socketio.Socket) error {
		var auth any = map[string]any{}
		if len(s.Handshake().RawAuth()) > 0 {
			if err := s.Handshake().DecodeAuth(&auth); err != nil {
				return err
			}
		}
		return s.Emit("hello", map[string]any{"auth": auth, "query": s.Handshake().Query().Get("team")})
	})
	ns.Handle("kick", func(_ context.Context, e *socketio.Event) { e.Socket().Disconnect(arg[bool](e, 0)) })
	ns.OnDisconnect(func(_ context.Context, s *socketio.Socket, r socketio.Reason) {
		key := authOf(s).Key
		l.mu.Lock()
		l.reasons[key] = r
		l.mu.Unlock()
		_ = journal.Emit("gone", map[string]any{"key": key, "reason": r, "rooms": others(s)})
	})
}

// guard lets in who has the word (S-65).
func guard(ns *socketio.Namespace) {
	ns.Use(func(_ context.Context, s *socketio.Socket) error {
		if authOf(s).Token == "secret" {
			return nil
		}
		return &socketio.ConnectError{
			Message: "not authorized",
			Data:    map[string]any{"code": 401, "hint": "bring a token"},
		}
	})
	ns.OnConnection(func(_ context.Context, s *socketio.Socket) error { return s.Emit("welcome", authOf(s).Token) })
}

// shutdown ends the Socket.IO server and answers with the reasons its sockets were given (S-88).
func (l *lab) shutdown(w http.ResponseWriter, r *http.Request) {
	if err := l.server.Shutdown(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	l.mu.Lock()
	reasons := maps.Clone(l.reasons)
	l.mu.Unlock()
	_ = json.NewEncoder(w).Encode(reasons)
}
