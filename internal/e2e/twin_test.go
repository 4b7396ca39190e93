package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perch-go/perch/engineio"
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
	j.entries[key] = append(j.entries[key], readable(entry).([]any))
}

// readable is a value as JSON can show it.
func readable(v any) any {
	switch v := v.(type) {
	case []byte:
		return fmt.Sprintf("<%x>", v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = readable(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key := range v {
			m[key] = readable(v[key])
		}
		return m
	}
	return v
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
	if f.Compress != nil {
		b = b.Compress(*f.Compress)
	}
	return b.Timeout(f.wait())
}

// own is the operator of the one socket that the flags mean.
func own(s *socketio.Socket, f flags) socketio.Emitter {
	e := s.Timeout(f.wait())
	if f.Volatile {
		e = e.Volatile()
	}
	if f.Compress != nil {
		e = e.Compress(*f.Compress)
	}
	return e
}

// from are the arguments from i on.
func (c call) from(i int) []any { return all(c.Event)[i:] }

var words = map[string]func(c call){
	"echo": func(c call) {
		for i := range c.NumArgs() {
			if err := c.Decode(i, new(any)); err != nil {
				c.ack(map[string]any{"error": "cannot be decoded"})
				return
			}
		}
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
		if f.alone() {
			c.done(own(c.socket, f).Emit(event, args...), "cast")
			return
		}
		c.done(operator(c.socket, f).Emit(event, args...), "cast")
	},
	"ask": func(c call) {
		reply, err := own(c.socket, arg[flags](c.Event, 0)).EmitWithAck(c.ctx, arg[string](c.Event, 1), c.from(2)...)
		if err != nil {
			c.ack(fault(err))
			return
		}
		c.ack(map[string]any{"answer": decoded(reply)})
	},
	"askAll": func(c call) {
		answers, err := operator(c.socket, arg[flags](c.Event, 0)).EmitWithAck(c.ctx, arg[string](c.Event, 1), c.from(2)...)
		result := map[string]any{}
		if err != nil {
			result = fault(err)
		}
		values := []any{} // the first argument of each that answered, as the reference has it
		for _, answer := range answers {
			var v any
			if answer.Decode(0, &v) == nil || answer.Err == nil {
				values = append(values, v)
			}
		}
		result["answers"] = values
		c.ack(result)
	},
	"join":  func(c call) { c.done(c.socket.Join(texts(c.from(0))...), "joined") },
	"leave": func(c call) { c.socket.Leave(arg[string](c.Event, 0)); c.ack("left") },
	"rooms": func(c call) { c.ack(others(c.socket)) },
	"inOwnRoom": func(c call) {
		c.ack(slices.Contains(c.socket.Rooms(), c.socket.ID()))
	},
	"kick": func(c call) { c.socket.Disconnect(arg[bool](c.Event, 0)) },
	"fetchSockets": func(c call) {
		found, err := operator(c.socket, arg[flags](c.Event, 0)).FetchSockets(c.ctx)
		if err != nil {
			c.ack(fault(err))
			return
		}
		list := make([]any, len(found))
		for i, s := range found {
			rooms := slices.DeleteFunc(s.Rooms(), func(room string) bool { return room == s.ID() })
			slices.Sort(rooms)
			var auth any
			_ = json.Unmarshal(s.Handshake().Auth, &auth)
			list[i] = map[string]any{"id": s.ID(), "rooms": rooms, "data": data(s), "key": s.Handshake().Query.Get("key"), "auth": auth}
		}
		c.ack(list)
	},
	"socketsJoin": func(c call) {
		c.done(operator(c.socket, arg[flags](c.Event, 0)).SocketsJoin(arg[[]string](c.Event, 1)...), "joined")
	},
	"socketsLeave": func(c call) {
		c.done(operator(c.socket, arg[flags](c.Event, 0)).SocketsLeave(arg[[]string](c.Event, 1)...), "left")
	},
	"disconnectSockets": func(c call) {
		b, closeConn := operator(c.socket, arg[flags](c.Event, 0)), arg[bool](c.Event, 1)
		c.ack("disconnecting")
		time.AfterFunc(20*time.Millisecond, func() { _ = b.DisconnectSockets(closeConn) })
	},
	"data": func(c call) {
		if c.NumArgs() > 0 {
			c.socket.Store("value", arg[any](c.Event, 0))
		}
		c.ack(data(c.socket))
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
			"connected": c.socket.Connected(), "recovered": c.socket.Recovered(), "transport": c.socket.Conn().Transport(),
			"protocol": c.socket.Conn().Protocol(), "namespace": c.socket.Namespace().Name(),
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
	"say":    func(c call) { _ = c.socket.Emit(arg[string](c.Event, 0), arg[any](c.Event, 1)) },
	"id":     func(c call) { c.ack(c.socket.ID()) },
	"header": func(c call) { c.ack(header(c.socket, arg[string](c.Event, 0))) },
	"shape":  func(c call) { c.ack(readable(all(c.Event)).([]any)...) },
	"date":   func(c call) { c.ack(map[string]any{"date": time.Now()}) },
	"attachments": func(c call) {
		list := make([][]byte, arg[int](c.Event, 0))
		for i := range list {
			list[i] = []byte{byte(i)}
		}
		_ = c.socket.Emit("attachments", list)
	},
	"stream": func(c call) {
		n := arg[int](c.Event, 0)
		for i := range n {
			_ = c.socket.Emit("stream", i)
		}
		c.ack(n)
	},
	"raw":    func(c call) { _ = c.socket.Conn().SendText([]byte(arg[string](c.Event, 0))) },
	"hangUp": func(c call) { c.socket.Conn().Close(engineio.ReasonForcedServerClose) },
	"stubborn": func(c call) {
		if n := pleas.count(keyOf(c.socket) + " " + arg[string](c.Event, 0)); n >= arg[int](c.Event, 1) {
			c.ack(n)
		}
	},
}

// pleas is how often the clients of one key have said "stubborn", which outlives their sockets.
var pleas = &counter{n: map[string]int{}}

type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) count(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[key]++
	return c.n[key]
}

// header is a header of the handshake, or nil.
func header(s *socketio.Socket, name string) any {
	if values := s.Handshake().Header().Values(name); len(values) > 0 {
		return values[0]
	}
	return nil
}

// data is what is kept with a socket here.
func data(h socketio.Holder) map[string]any {
	all := map[string]any{}
	for _, name := range []string{"value", "first", "second", "third"} {
		if v, ok := h.Load(name); ok {
			all[name] = v
		}
	}
	return all
}

// decoded are the arguments of an acknowledgement.
func decoded(r *socketio.Reply) []any {
	args := make([]any, r.NumArgs())
	for i := range args {
		_ = r.Decode(i, &args[i])
	}
	return args
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

// teachable is a namespace, or a parent of some.
type teachable interface {
	Handle(event string, h socketio.Handler) (off func())
	OnError(fn func(context.Context, *socketio.Event, error)) (off func())
	Hook(h socketio.Hooks)
	Use(mw socketio.Middleware)
}

// speak teaches a namespace the words.
func (t *twin) speak(ns teachable) {
	ns.OnError(func(_ context.Context, e *socketio.Event, err error) {
		t.journal.write(keyOf(e.Socket()), "error", err.Error())
	})
	for word, act := range words {
		ns.Handle(word, func(ctx context.Context, e *socketio.Event) { act(call{e, e.Socket(), ctx}) })
	}
	ns.Hook(socketio.Hooks{
		Connection: func(_ context.Context, s *socketio.Socket) error {
			t.journal.write(keyOf(s), "connection", s.Namespace().Name())
			t.watch(s)
			for i := range greetings(s) {
				if err := s.Emit("greeting", i); err != nil {
					return err
				}
			}
			return nil
		},
		Disconnect: func(_ context.Context, s *socketio.Socket, r socketio.Reason) {
			t.journal.write(keyOf(s), "left", s.Namespace().Name(), r, others(s))
		},
	})
}

// watch journals what the query's parameter watch names: any, outgoing, packets (S-57 to S-59).
func (t *twin) watch(s *socketio.Socket) {
	key := keyOf(s)
	note := func(what string) socketio.Handler {
		return func(_ context.Context, e *socketio.Event) { t.journal.write(key, append([]any{what}, packet(e)...)...) }
	}
	for what := range strings.SplitSeq(s.Handshake().Query().Get("watch"), ",") {
		switch what {
		case "any":
			s.OnAny(note("any"))
		case "outgoing":
			s.OnAnyOutgoing(func(_ *socketio.Socket, event string, args []any) {
				t.journal.write(key, append([]any{"outgoing", event}, args...)...)
			})
		case "packets":
			s.Use(func(ctx context.Context, e *socketio.Event) error {
				note("packet")(ctx, e)
				switch e.Name() {
				case "forbidden":
					return &socketio.EventError{Message: "forbidden event"}
				case "slow":
					<-time.After(50 * time.Millisecond)
				}
				return nil
			})
			s.Use(func(_ context.Context, e *socketio.Event) error {
				t.journal.write(key, "second", e.Name())
				return nil
			})
		}
	}
}

// packet is an event as the reference shows it: its name, its arguments, its acknowledgement.
func packet(e *socketio.Event) []any {
	list := append([]any{e.Name()}, all(e)...)
	if e.WantsAck() {
		list = append(list, "(ack)")
	}
	return list
}

type hint struct {
	Code int    `json:"code"`
	Hint string `json:"hint"`
}

// guard refuses by the auth's token, at once or later (S-65).
func (t *twin) guard(ns *socketio.Namespace) {
	refusals := map[string]error{
		"plain": &socketio.ConnectError{Message: "not authorized"},
		"data":  &socketio.ConnectError{Message: "not authorized", Data: hint{401, "bring a token"}},
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

// dynamic makes the namespaces that clients ask for: numbered ones by an expression, personal ones by a function.
func (t *twin) dynamic() {
	t.server.OnNamespace(func(ns *socketio.Namespace) { t.journal.write("namespaces", "made", ns.Name()) })
	numbered := t.server.OfRegexp(regexp.MustCompile(`^/number-\d+$`))
	numbered.Use(func(_ context.Context, s *socketio.Socket) error {
		if authOf(s).Token == "plain" {
			return &socketio.ConnectError{Message: "not authorized"}
		}
		return nil
	})
	t.speak(numbered)
	t.speak(t.server.OfFunc(func(_ context.Context, name string, h *socketio.Handshake) error {
		var auth clientAuth
		if err := h.DecodeAuth(&auth); err != nil {
			return err
		}
		if person, ok := strings.CutPrefix(name, "/person-"); !ok || person != auth.Token {
			return errors.New("not this one")
		}
		return nil
	}))
}

// chain is a row of middlewares that note their turn and stop whom the auth names.
func (t *twin) chain(ns *socketio.Namespace) {
	for _, step := range []string{"first", "second", "third"} {
		ns.Use(func(_ context.Context, s *socketio.Socket) error {
			t.journal.write(keyOf(s), "middleware", step, s.Connected())
			s.Store(step, true)
			var auth struct{ Stop, Emit string }
			_ = s.Handshake().DecodeAuth(&auth)
			if auth.Emit == step {
				_ = s.Emit("from", step)
			}
			if auth.Stop == step {
				return &socketio.ConnectError{Message: "stopped by the " + step}
			}
			return nil
		})
	}
}

// refused notes requests that the engine refused (S-79), with what AllowRequest said where the reference has it.
func (t *twin) refused(e *engineio.ConnectionError) {
	why := e.Context
	if e.Code == engineio.CodeForbidden && why == "" {
		why = e.Message
	}
	t.journal.write(e.Request.URL.Query().Get("key"), "connection_error", int(e.Code), e.Code.String(), why)
}
