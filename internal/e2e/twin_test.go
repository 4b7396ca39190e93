package e2e

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perch-go/perch/socketio"
)

// journal is what happened to the clients of one server, by the key of their query.
type journal struct {
	mu      sync.Mutex
	entries map[string][][]any
}

func (j *journal) write(key string, entry ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries[key] = append(j.entries[key], entry)
}

func (j *journal) of(key string) [][]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([][]any{}, j.entries[key]...)
}

func keyOf(s *socketio.Socket) string { return s.Handshake().Query().Get("key") }

// twin is a server with the vocabulary of differential/vocabulary.mjs.
type twin struct {
	server  *socketio.Server
	journal *journal
}

// call is one word that a client said.
type call struct {
	*socketio.Event
	socket *socketio.Socket
	ctx    context.Context
}

// ack answers if the client asked for it.
func (c call) ack(args ...any) {
	if c.WantsAck() {
		_ = c.Ack(args...)
	}
}

// done answers with a word, or with what went wrong.
func (c call) done(err error, word string) {
	if err != nil {
		c.ack(fault(err))
		return
	}
	c.ack(word)
}

// fault is an error as both servers name it.
func fault(err error) map[string]any {
	switch {
	case errors.Is(err, socketio.ErrReserved):
		return map[string]any{"error": "reserved"}
	case errors.Is(err, socketio.ErrTimeout):
		return map[string]any{"error": "timeout"}
	}
	return map[string]any{"error": err.Error()}
}

// flags describe an operator.
type flags struct {
	By, As    string
	To, In    []string
	Except    []string
	Broadcast bool
	Local     bool
	Volatile  bool
	Compress  *bool
	Timeout   int64
}

func (f flags) wait() time.Duration { return time.Duration(f.Timeout) * time.Millisecond }

// alone reports whether the flags mean the one socket.
func (f flags) alone() bool {
	return f.By == "" && !f.Broadcast && f.To == nil && f.In == nil && f.Except == nil && !f.Local
}

// operator is the broadcast that the flags describe.
func operator(s *socketio.Socket, f flags) *socketio.Broadcast {
	var b *socketio.Broadcast
	switch {
	case f.By == "namespace":
		b = s.Namespace().To()
	case f.By == "server":
		b = s.Namespace().Server().Of("/").To()
	default:
		b = s.Broadcast()
	}
	b = b.To(f.To...).In(f.In...).Except(f.Except...)
	if f.Local {
		b = b.Local()
	}
	if f.Volatile {
		b = b.Volatile()
	}
	return b
}

// from are the arguments from i on.
func (c call) from(i int) []any { return all(c.Event)[i:] }

var words = map[string]func(c call){
	"echo": func(c call) {
		if c.WantsAck() {
			_ = c.Ack(all(c.Event)...)
			return
		}
		_ = c.socket.Emit("echo", all(c.Event)...)
	},
	"ignore": func(call) {},
	"twice": func(c call) {
		_ = c.Ack("first")
		_ = c.Ack("second")
	},
	"late": func(c call) {
		answer, args := c.Acker(), c.from(1)
		time.AfterFunc(time.Duration(arg[int](c.Event, 0))*time.Millisecond, func() { _ = answer.Ack(args...) })
	},
	"emit": func(c call) {
		c.done(c.socket.Emit(arg[string](c.Event, 0), c.from(1)...), "emitted")
	},
	"cast": func(c call) {
		f, event, args := arg[flags](c.Event, 0), arg[string](c.Event, 1), c.from(2)
		switch {
		case f.alone() && f.Volatile:
			c.done(c.socket.Volatile().Emit(event, args...), "cast")
		case f.alone():
			c.done(c.socket.Emit(event, args...), "cast")
		default:
			c.done(operator(c.socket, f).Emit(event, args...), "cast")
		}
	},
	"ask": func(c call) {
		f, event, args := arg[flags](c.Event, 0), arg[string](c.Event, 1), c.from(2)
		var reply *socketio.Reply
		var err error
		if f.Timeout > 0 {
			reply, err = c.socket.Timeout(f.wait()).EmitWithAck(c.ctx, event, args...)
		} else {
			reply, err = c.socket.EmitWithAck(c.ctx, event, args...)
		}
		if err != nil {
			c.ack(fault(err))
			return
		}
		answer := make([]any, reply.NumArgs())
		for i := range answer {
			_ = reply.Decode(i, &answer[i])
		}
		c.ack(map[string]any{"answer": answer})
	},
	"join":  func(c call) { c.done(c.socket.Join(texts(c.from(0))...), "joined") },
	"leave": func(c call) { c.socket.Leave(arg[string](c.Event, 0)); c.ack("left") },
	"rooms": func(c call) { c.ack(others(c.socket)) },
	"inOwnRoom": func(c call) {
		c.ack(slices.Contains(c.socket.Rooms(), c.socket.ID()))
	},
	"kick": func(c call) { c.socket.Disconnect(arg[bool](c.Event, 0)) },
	"data": func(c call) {
		if c.NumArgs() > 0 {
			c.socket.Store("value", arg[any](c.Event, 0))
		}
		data := map[string]any{}
		for _, name := range []string{"value", "first", "second", "third"} {
			if v, ok := c.socket.Load(name); ok {
				data[name] = v
			}
		}
		c.ack(data)
	},
	"handshake": func(c call) {
		h := c.socket.Handshake()
		var tag any
		if v := h.Header().Get("X-Tag"); v != "" {
			tag = v
		}
		var auth any
		_ = h.DecodeAuth(&auth)
		address, _, _ := strings.Cut(h.RemoteAddr(), ":")
		c.ack(map[string]any{
			"tag": tag, "address": address, "xdomain": h.CrossDomain(), "secure": h.Secure(), "path": h.URL().Path,
			"query": params(h.Query()), "auth": auth,
		})
	},
	"state": func(c call) {
		c.ack(map[string]any{
			"connected": c.socket.Connected(), "recovered": false, "transport": c.socket.Conn().Transport(),
			"protocol": 4, "namespace": c.socket.Namespace().Name(),
		})
	},
	"count": func(c call) { c.ack(c.socket.Namespace().Len()) },
	"bytes": func(c call) {
		b := make([]byte, arg[int](c.Event, 0))
		for i := range b {
			b[i] = 7
		}
		c.ack(b)
	},
	"burst": func(c call) {
		n := arg[int](c.Event, 0)
		for i := range n {
			_ = c.socket.Emit("tick", i, tick(i))
		}
		c.ack(n)
	},
	"say": func(c call) { _ = c.socket.Emit(arg[string](c.Event, 0), arg[any](c.Event, 1)) },
}

func texts(args []any) []string {
	list := make([]string, len(args))
	for i, v := range args {
		list[i], _ = v.(string)
	}
	return list
}

// params are the parameters of a URL but its time.
func params(query url.Values) map[string]string {
	all := map[string]string{}
	for name, values := range query {
		if name != "t" {
			all[name] = values[0]
		}
	}
	return all
}

// speak teaches a namespace the words.
func (t *twin) speak(ns *socketio.Namespace) {
	for word, act := range words {
		ns.Handle(word, func(ctx context.Context, e *socketio.Event) { act(call{e, e.Socket(), ctx}) })
	}
	ns.Hook(socketio.Hooks{
		Connection: func(_ context.Context, s *socketio.Socket) error {
			t.journal.write(keyOf(s), "connection", ns.Name())
			for i := range greetings(s) {
				if err := s.Emit("greeting", i); err != nil {
					return err
				}
			}
			return nil
		},
		Disconnect: func(_ context.Context, s *socketio.Socket, r socketio.Reason) {
			t.journal.write(keyOf(s), "left", ns.Name(), r, others(s))
		},
	})
}

// guard refuses by the auth's token, at once or later (S-65).
func (t *twin) guard(ns *socketio.Namespace) {
	refusals := map[string]error{
		"plain": &socketio.ConnectError{Message: "not authorized"},
		"data":  &socketio.ConnectError{Message: "not authorized", Data: map[string]any{"code": 401, "hint": "bring a token"}},
		"text":  &socketio.ConnectError{Message: "refused", Data: "with words"},
		"zero":  &socketio.ConnectError{Message: "refused", Data: 0},
		"list":  &socketio.ConnectError{Message: "refused", Data: []any{1, []any{2}}},
		"empty": &socketio.ConnectError{},
	}
	ns.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct {
			Token string
			Wait  int
		}
		_ = s.Handshake().DecodeAuth(&auth)
		<-time.After(time.Duration(auth.Wait) * time.Millisecond)
		return refusals[auth.Token]
	})
}

// chain is a row of middlewares that note their turn and stop whom the auth names.
func (t *twin) chain(ns *socketio.Namespace) {
	for _, step := range []string{"first", "second", "third"} {
		ns.Use(func(_ context.Context, s *socketio.Socket) error {
			t.journal.write(keyOf(s), "middleware", step, s.Connected())
			s.Store(step, true)
			var auth struct{ Stop string }
			if _ = s.Handshake().DecodeAuth(&auth); auth.Stop == step {
				return &socketio.ConnectError{Message: "stopped by the " + step}
			}
			return nil
		})
	}
}
