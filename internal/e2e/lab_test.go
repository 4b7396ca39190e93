package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
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
func startLab(t *testing.T) (url string) { return startLabWith(t, socketio.Options{}) }

// startLabWith is startLab with further options, and with what is added to it.
func startLabWith(t *testing.T, o socketio.Options, add ...func(*testing.T, *socketio.Server)) (url string) {
	t.Helper()
	o.Engine = engineio.Options{
		PingInterval: time.Second, PingTimeout: time.Second,
		AllowEIO3: true,
		CORS:      &engineio.CORS{Origins: []string{"*"}},
	}
	srv, err := socketio.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{server: srv, reasons: map[string]socketio.Reason{}}
	l.rooms(srv.Of("/lab"))
	l.questions(srv.Of("/lab"))
	l.polls(srv.Of("/lab"))
	l.spies(srv.Of("/lab"))
	l.presence(srv.Of("/lab"), srv.Of("/journal"))
	guard(srv.Of("/guarded"))
	for _, fn := range add {
		fn(t, srv)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.HandleFunc("POST /shutdown", l.shutdown)
	return listen(t, srv, mux)
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

// askBack acks with what the client answers to a question.
func askBack(ctx context.Context, e *socketio.Event) {
	reply, err := e.Socket().Timeout(startTime).EmitWithAck(ctx, "question", arg[any](e, 0))
	if err != nil {
		_ = e.Ack(err.Error())
		return
	}
	var answer any
	_ = reply.Decode(0, &answer)
	_ = e.Ack(answer)
}

func (l *lab) questions(ns *socketio.Namespace) {
	ns.Handle("echo", func(_ context.Context, e *socketio.Event) { _ = e.Ack(all(e)...) })
	// What JavaScript does not count exactly must not go through float64 here either.
	ns.Handle("exact", func(_ context.Context, e *socketio.Event) { _ = e.Ack(json.RawMessage(e.Raw(0))) })
	ns.Handle("back", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("back", all(e)...) })
	ns.Handle("ask", askBack)
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

// polls ask whole rooms (S-71): "poll" says who answered what, and whether that is all.
func (l *lab) polls(ns *socketio.Namespace) {
	type vote struct {
		ID     string `json:"id"`
		Answer any    `json:"answer"`
		Error  string `json:"error,omitempty"`
	}
	ns.Handle("poll", func(ctx context.Context, e *socketio.Event) {
		wait := time.Duration(arg[int](e, 1)) * time.Millisecond
		votes, complete := []vote{}, true
		for a, err := range ns.In(arg[string](e, 0)).Timeout(wait).Answers(ctx, "question", arg[any](e, 2)) {
			if err != nil {
				complete = false
				break
			}
			v := vote{ID: a.SocketID}
			if a.Err != nil {
				v.Error = a.Err.Error()
			} else {
				_ = a.Decode(0, &v.Answer)
			}
			votes = append(votes, v)
		}
		_ = e.Ack(votes, complete)
	})
	// "census" describes a room, "evict" throws everybody out of it (S-40 to S-43).
	ns.Handle("census", func(ctx context.Context, e *socketio.Event) {
		type member struct {
			ID    string   `json:"id"`
			Rooms []string `json:"rooms"`
		}
		members := []member{}
		sockets, err := ns.In(arg[string](e, 0)).FetchSockets(ctx)
		for _, s := range sockets {
			members = append(members, member{s.ID(), s.Rooms()[1:]})
		}
		_ = e.Ack(members, err == nil)
	})
	ns.Handle("move", func(_ context.Context, e *socketio.Event) {
		from, to := ns.In(arg[string](e, 0)), arg[string](e, 1)
		_ = e.Ack(from.SocketsJoin(to) == nil && from.SocketsLeave(arg[string](e, 0)) == nil)
	})
	ns.Handle("evict", func(_ context.Context, e *socketio.Event) {
		_ = e.Ack(ns.In(arg[string](e, 0)).DisconnectSockets(arg[bool](e, 1)) == nil)
	})
}

// spies hear of everything that a socket which asks for one gets and sends (S-58, S-59), and a middleware lets nobody
// through to "forbidden" (S-66).
func (l *lab) spies(ns *socketio.Namespace) {
	ns.Handle("spy", func(_ context.Context, e *socketio.Event) {
		s := e.Socket()
		var mu sync.Mutex
		heard := []string{}
		note := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, what)
		}
		in := s.OnAny(func(_ context.Context, e *socketio.Event) { note("in " + e.Name()) })
		out := s.OnAnyOutgoing(func(_ *socketio.Socket, event string, args []any) { note("out " + event) })
		s.Once("spied", func(_ context.Context, e *socketio.Event) {
			in()
			out()
			mu.Lock()
			defer mu.Unlock()
			_ = e.Ack(heard)
		})
		_ = e.Ack()
	})
	ns.UseEvent(func(_ context.Context, e *socketio.Event) error {
		if e.Name() == "forbidden" {
			return &socketio.EventError{Code: "FORBIDDEN", Message: "not for you", Details: all(e)}
		}
		return nil
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
