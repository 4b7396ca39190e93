package e2e

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"

	"github.com/perch-go/perch/client"
)

// connectCases: sockets, namespaces, managers, and what a client brings along.
var connectCases = []goCase{
	{"connect: Dial returns a connected socket with the id that the server knows (C-1, C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.want("connected", []bool{s.Connected(), s.Active(), s.Recovered()}, []bool{true, true, false})
		v.want("id", v.ask(s, "id"), []any{s.ID()})
		if s.ID() == s.Manager().SessionID() {
			v.Error("the socket's id is the session's")
		}
	}},
	{"connect: a namespace has an id of its own (C-1)", func(v *visit) {
		s := v.dial(v.at("plain") + "/one")
		v.want("namespace", s.Namespace(), "/one")
		v.want("id", v.ask(s, "id"), []any{s.ID()})
	}},
	{"connect: nothing happens before Connect, and then nothing is missed (C-7)", func(v *visit) {
		s := v.socket(v.at("plain"), func(o *client.Options) { o.Query.Set("greet", "3") })
		greetings := v.heard(s, "greeting")
		v.want("before", []any{s.Connected(), s.Active(), s.ID(), s.Manager().Connected()}, []any{false, false, "", false})
		v.want("journal", len(v.journal("plain")), 0)
		v.connect(s)
		v.want("greetings", v.wait("three greetings", greetings, 3), numbers(3))
	}},
	{"connect: what is connected, active and has an id changes together (C-20)", func(v *visit) {
		s := v.socket(v.at("plain"))
		state := func() []any { return []any{s.Connected(), s.Active(), s.ID() != ""} }
		v.want("at first", state(), []any{false, false, false})
		v.connect(s)
		v.want("connected", state(), []any{true, true, true})
		s.Disconnect()
		v.want("disconnected", state(), []any{false, false, false})
		v.connect(s)
		v.want("connected again", state(), []any{true, true, true})
		_ = s.Close()
		v.want("closed", state(), []any{false, false, false})
	}},
	{"connect: two namespaces share the connection of their manager (C-1)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		v.want("ids", []any{v.ask(root, "id")[0], v.ask(one, "id")[0]}, []any{root.ID(), one.ID()})
		if root.ID() == one.ID() || root.Manager() != one.Manager() {
			v.Errorf("ids %s and %s, managers %p and %p", root.ID(), one.ID(), root.Manager(), one.Manager())
		}
	}},
	{"connect: a manager has one socket for a namespace (C-1)", func(v *visit) {
		m := v.manager(v.at("plain"))
		if a, b := v.of(m, "/one"), v.of(m, "/one"); a != b {
			v.Error("it has two")
		}
	}},
	{"connect: two Dials are two connections (C-1)", func(v *visit) {
		a, b := v.dial(v.at("plain")), v.dial(v.at("plain"))
		if a.ID() == b.ID() || a.Manager().SessionID() == b.Manager().SessionID() {
			v.Error("they share something")
		}
	}},
	{"connect: ten clients have each their own answers (C-1, C-16)", func(v *visit) {
		sockets := make([]*client.Socket, 10)
		for i := range sockets {
			sockets[i] = v.dial(v.at("plain"))
		}
		for i, s := range sockets {
			v.want("answer", v.ask(s, "echo", i), []any{float64(i)})
			v.want("id", v.ask(s, "id"), []any{s.ID()})
		}
	}},
	{"connect: a namespace joins a connection that is open already (C-1)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root := v.of(m, "/")
		v.connect(root)
		session := m.SessionID()
		one := v.of(m, "/one")
		v.connect(one)
		v.want("id", v.ask(one, "id"), []any{one.ID()})
		v.want("session", m.SessionID(), session)
	}},
	{"connect: a namespace joins while another leaves (C-20)", func(v *visit) {
		m := v.manager(v.at("plain"))
		one, two := v.of(m, "/one"), v.of(m, "/two")
		v.connect(one)
		one.Disconnect()
		v.connect(two)
		v.want("answer", v.ask(two, "echo", 1), []any{1.0})
	}},
	{"connect: a namespace joins after the connection was closed, which opens another (C-1)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root := v.of(m, "/")
		v.connect(root)
		session := m.SessionID()
		root.Disconnect()
		eventually(v.T, "closed", func() bool { return !m.Connected() })
		one := v.of(m, "/one")
		v.connect(one)
		if m.SessionID() == session {
			v.Error("it is the same connection")
		}
		v.want("root", root.Connected(), false)
	}},
	{"connect: who is connected already stays (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		id := s.ID()
		v.connect(s, s)
		v.want("id", s.ID(), id)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
		v.want("connections", len(v.noted("plain", "connection", 1)), 1)
	}},
	{"connect: many Connects at a time make one socket (C-20)", func(v *visit) {
		s := v.socket(v.at("plain"))
		life, soon := v.life(s), v.soon()
		var all sync.WaitGroup
		errs := make(chan error, 8)
		for range cap(errs) {
			all.Go(func() { errs <- s.Connect(soon) })
		}
		all.Wait()
		for range cap(errs) {
			if err := <-errs; err != nil {
				v.Error(err)
			}
		}
		v.want("life", v.wait("OnConnect", life, 1), []any{"connect"})
		v.want("connections", len(v.noted("plain", "connection", 1)), 1)
	}},
	{"connect: what came before OnConnect is heard before it (C-14)", func(v *visit) {
		s := v.socket(v.at("plain"), func(o *client.Options) { o.Query.Set("greet", "1") })
		order := v.heard(s, "greeting")
		s.OnConnect(func() { order.add("connect") })
		v.connect(s)
		v.wait("both", order, 2) // the server sends its greeting after the answer to CONNECT
		v.want("order", order.all(), []any{"connect", 0.0})
	}},
	{"connect: OnConnect may ask the server (C-14, C-16)", func(v *visit) {
		s := v.socket(v.at("plain"))
		answers := new(record)
		s.OnConnect(func() {
			reply, err := s.EmitWithAck(v.always(), "echo", "hello")
			if err != nil {
				answers.add(err.Error())
				return
			}
			answers.add(values(reply)[0])
		})
		v.connect(s)
		v.want("answer", v.wait("an answer", answers, 1), []any{"hello"})
	}},
	{"connect: what it uses is what it was told to use (C-3)", func(v *visit) {
		s := v.dial(v.at("plain"))
		last := goWays[v.way][len(goWays[v.way])-1]
		eventually(v.T, "on the last transport", func() bool { return s.Manager().Transport() == last })
		state := v.ask(s, "state")[0].(map[string]any)
		v.want("the server's view", []any{state["transport"], state["protocol"], state["connected"]}, []any{string(last), 4.0, true})
	}},
	{"connect: the context's end while connecting is Connect's error (C-7)", func(v *visit) {
		r, url := v.through("plain")
		r.silence(1)
		s := v.socket(url)
		ctx, cancel := context.WithCancelCause(v.soon())
		enough := errors.New("enough")
		connecting := make(chan error, 1)
		go func() { connecting <- s.Connect(ctx) }()
		eventually(v.T, "the client is there", func() bool { return r.came() > 0 })
		cancel(enough)
		if err := <-connecting; !errors.Is(err, context.Canceled) && !errors.Is(err, enough) {
			v.Errorf("Connect: %v", err)
		}
	}},
	{"connect: leaving while connecting is quiet (C-11, C-20)", func(v *visit) {
		r, url := v.through("plain")
		r.silence(1)
		s := v.socket(url)
		life, soon := v.life(s), v.soon()
		connecting := make(chan error, 1)
		go func() { connecting <- s.Connect(soon) }()
		eventually(v.T, "the client is there", func() bool { return r.came() > 0 })
		s.Disconnect()
		if err := <-connecting; err == nil {
			v.Error("Connect returned nil")
		}
		v.want("active", s.Active(), false)
		v.connect(s)
		v.want("life", v.wait("OnConnect", life, 1), []any{"connect"})
	}},
	{"connect: auth comes with CONNECT and is not in the query (C-8)", func(v *visit) {
		auth := map[string]any{"token": "abc", "deep": []any{1.0, map[string]any{"a": nil}}}
		s := v.dial(v.at("plain"), func(o *client.Options) { o.Auth = auth })
		h := v.ask(s, "handshake")[0].(map[string]any)
		v.want("auth", h["auth"], any(auth))
		v.want("query", h["query"].(map[string]any)["token"], nil)
	}},
	{"connect: auth may be a struct (C-8)", func(v *visit) {
		s := v.dial(v.at("plain"), func(o *client.Options) { o.Auth = clientAuth{Key: "k", Token: "t"} })
		v.want("auth", v.ask(s, "handshake")[0].(map[string]any)["auth"], any(map[string]any{"key": "k", "token": "t"}))
	}},
	{"connect: without auth there is an empty one (C-8)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.want("auth", v.ask(s, "handshake")[0].(map[string]any)["auth"], any(map[string]any{}))
	}},
	{"connect: each socket of a manager has its own auth (C-8)", func(v *visit) {
		m := v.manager(v.at("plain"), func(o *client.Options) { o.Auth = map[string]int{"n": 0} })
		for i, name := range []string{"/", "/one", "/two"} {
			var o *client.SocketOptions
			if i > 0 {
				o = &client.SocketOptions{Auth: map[string]int{"n": i}}
			}
			s, err := m.Socket(name, o)
			if err != nil {
				v.Fatal(err)
			}
			v.connect(s)
			v.want(name, v.ask(s, "handshake")[0].(map[string]any)["auth"], any(map[string]any{"n": float64(i)}))
		}
	}},
	{"connect: the auth function is asked on every CONNECT (C-8)", func(v *visit) {
		r, url := v.through("steady")
		calls := 0 // one CONNECT at a time
		s := v.dial(url, func(o *client.Options) {
			o.AuthFunc = func(context.Context) (any, error) { calls++; return map[string]int{"n": calls}, nil }
		})
		auth := func() any { return v.ask(s, "handshake")[0].(map[string]any)["auth"].(map[string]any)["n"] }
		v.want("the first", auth(), 1.0)
		s.Disconnect()
		v.connect(s)
		v.want("the second", auth(), 2.0)
		v.lose(r, s, "steady", func() {})
		v.want("the third", auth(), 3.0)
	}},
	{"connect: an auth function that fails is a connect_error, and asked again (C-8, C-11)", func(v *visit) {
		calls := make(chan int, 1)
		calls <- 0
		s := v.socket(v.at("plain"), func(o *client.Options) {
			o.AuthFunc = func(context.Context) (any, error) {
				n := <-calls + 1
				calls <- n
				if n < 3 {
					return nil, errors.New("no token yet")
				}
				return map[string]int{"n": n}, nil
			}
		})
		failures := new(record)
		s.OnConnectError(func(err error) { failures.add(errors.Is(err, client.ErrAuth)) })
		v.connect(s)
		v.want("auth", v.ask(s, "handshake")[0].(map[string]any)["auth"], any(map[string]any{"n": 3.0}))
		v.want("failures", failures.all(), []any{true, true})
	}},
	{"connect: an auth that is no object is an error, not retried for ever (C-8)", func(v *visit) {
		s := v.socket(v.at("plain"), func(o *client.Options) { o.Auth = "text"; o.NoReconnection = true })
		if err := s.Connect(v.soon()); !errors.Is(err, client.ErrAuth) {
			v.Errorf("Connect: %v", err)
		}
	}},
	{"connect: rooms and broadcasts tell clients apart (C-20)", func(v *visit) {
		a, b, c := v.dial(v.at("plain")), v.dial(v.at("plain")), v.dial(v.at("plain"))
		heardB, heardC := v.heard(b, "said"), v.heard(c, "said")
		red := v.key
		v.ask(b, "join", red)
		v.want("rooms", v.ask(b, "rooms"), []any{[]any{red}})
		v.ask(a, "cast", map[string]any{"to": []string{red}}, "said", "to the room")
		v.ask(a, "cast", map[string]any{"to": []string{c.ID()}}, "said", "to an id", []byte{1})
		v.want("b", v.wait("b hears", heardB, 1), []any{"to the room"})
		v.want("c", v.wait("c hears", heardC, 1), []any{[]any{"to an id", []byte{1}}})
	}},
	{"connect: many goroutines may use a socket (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		soon := v.soon()
		var all sync.WaitGroup
		answers := new(record)
		for i := range 8 {
			all.Go(func() {
				for j := range 25 {
					reply, err := s.EmitWithAck(soon, "echo", i, j)
					if err != nil || !slices.Equal(values(reply), []any{float64(i), float64(j)}) {
						answers.add(strconv.Itoa(i) + " is not answered")
						return
					}
				}
			})
		}
		all.Wait()
		v.want("failures", answers.all(), []any{})
	}},
}
