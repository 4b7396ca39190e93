package e2e

import (
	"context"
	"strconv"

	"github.com/perch-go/perch/client"
)

// known dials a server that recovers connections, and lets the client hear something, so that it knows where it was.
func (v *visit) known(configuration, namespace string) (relay, *client.Socket) {
	v.Helper()
	r, url := v.through(configuration)
	s := v.dial(url + namespace)
	first := v.heard(s, "first")
	v.emit(s, "say", "first", 0)
	v.wait("the first event", first, 1)
	v.settled(s)
	return r, s
}

// helper is another client of the same server.
func (v *visit) helper(configuration, namespace string) *client.Socket {
	v.Helper()
	return v.dial(v.at(configuration)+namespace, func(o *client.Options) { o.Query.Set("key", v.key+" helper") })
}

// cast has a client's server emit to a room.
func (v *visit) cast(by *client.Socket, room string, args ...any) {
	v.Helper()
	v.ask(by, "cast", append([]any{object{"by": "namespace", "to": []string{room}}, "said"}, args...)...)
}

// recoveryCases: what comes back after a loss where the server keeps it (C-18).
var recoveryCases = []goCase{
	{"recovery: is the same socket after a loss (C-18)", func(v *visit) {
		r, s := v.known("lasting", "")
		id := s.ID()
		v.lose(r, s, "lasting", func() {})
		v.want("id", []any{s.ID(), s.Recovered(), v.ask(s, "id")[0]}, []any{id, true, id})
		v.want("the server's view", v.ask(s, "state")[0].(object)["recovered"], any(true))
	}},
	{"recovery: however often it is lost (C-18)", func(v *visit) {
		r, s := v.known("lasting", "")
		id := s.ID()
		for range 3 {
			v.lose(r, s, "lasting", func() {})
			v.want("id", []any{s.ID(), s.Recovered()}, []any{id, true})
		}
	}},
	{"recovery: what it missed comes once and in order, before OnConnect (C-14, C-18)", func(v *visit) {
		r, s := v.known("lasting", "")
		other, id := v.helper("lasting", ""), s.ID()
		said := v.heard(s, "said")
		s.OnConnect(func() { said.add("connect") })
		v.cast(other, id, "before")
		v.wait("the one before", said, 1)
		v.lose(r, s, "lasting", func() {
			for i := range 10 {
				v.cast(other, id, i, []byte{byte(i)})
			}
		})
		v.cast(other, id, "after")
		list := v.wait("all", said, 13)
		for i, got := range list[1:11] {
			v.want("missed", got.([]any)[:2], []any{float64(i), []byte{byte(i)}})
		}
		v.want("connect", list[11], any("connect"))
		v.want("before and after", []any{list[0].([]any)[0], list[12].([]any)[0]}, []any{"before", "after"})
		v.want("all", len(list), 13)
	}},
	{"recovery: what it had does not come again (C-18)", func(v *visit) {
		r, s := v.known("lasting", "")
		other, id := v.helper("lasting", ""), s.ID()
		said := v.heard(s, "said")
		for round := range 3 {
			for i := range 5 {
				v.cast(other, id, round*10+i)
			}
			v.wait("them", said, (round+1)*6-1)
			v.lose(r, s, "lasting", func() { v.cast(other, id, round*10+5) })
			v.wait("the one it missed", said, (round+1)*6)
		}
		for i, got := range said.all() {
			v.want("said", got.([]any)[0], any(float64(i/6*10+i%6)))
		}
		v.want("all", len(said.all()), 18)
	}},
	{"recovery: its rooms are kept, and only what is for it comes (C-18)", func(v *visit) {
		r, s := v.known("lasting", "")
		other := v.helper("lasting", "")
		room := v.key
		v.ask(s, "join", room)
		said := v.heard(s, "said")
		v.lose(r, s, "lasting", func() {
			v.cast(other, room+" elsewhere", "not for it")
			v.cast(other, room, "for it")
		})
		v.cast(other, room, "for it, too")
		list := v.wait("both", said, 2)
		v.want("said", []any{list[0].([]any)[0], list[1].([]any)[0]}, []any{"for it", "for it, too"})
		v.want("rooms", v.ask(s, "rooms"), []any{[]any{room}})
	}},
	{"recovery: in a namespace, too (C-18)", func(v *visit) {
		r, s := v.known("lasting", "/one")
		other, id := v.helper("lasting", "/one"), s.ID()
		said := v.heard(s, "said")
		v.lose(r, s, "lasting", func() { v.cast(other, id, "missed") })
		v.want("said", v.wait("the one it missed", said, 1)[0].([]any)[0], any("missed"))
		v.want("id", []any{s.ID(), s.Recovered()}, []any{id, true})
	}},
	{"recovery: each namespace of a connection recovers (C-18)", func(v *visit) {
		r, url := v.through("lasting")
		m := v.manager(url)
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		for _, s := range []*client.Socket{root, one} {
			first := v.heard(s, "first")
			v.emit(s, "say", "first", 0)
			v.wait("the first event", first, 1)
		}
		v.settled(root)
		ids := []string{root.ID(), one.ID()}
		v.sever(r, root, "lasting")
		v.noted("lasting", "left", 2)
		r.open(true)
		v.back(root, one)
		v.want("ids", []string{root.ID(), one.ID()}, ids)
		v.want("recovered", []bool{root.Recovered(), one.Recovered()}, []bool{true, true})
	}},
	{"recovery: events have their offset as last argument (C-18)", func(v *visit) {
		_, s := v.known("lasting", "")
		echoes := v.heard(s, "echo")
		v.emit(s, "echo", 1)
		args := v.wait("the echo", echoes, 1)[0].([]any)
		if _, text := args[len(args)-1].(string); len(args) != 2 || !text {
			v.Errorf("arguments %v", args)
		}
	}},
	{"recovery: auth comes besides (C-8, C-18)", func(v *visit) {
		r, url := v.through("lasting")
		calls := 0
		s := v.dial(url, func(o *client.Options) {
			o.AuthFunc = func(context.Context) (any, error) { calls++; return object{"n": calls}, nil }
		})
		first := v.heard(s, "first")
		v.emit(s, "say", "first", 0)
		v.wait("the first event", first, 1)
		v.settled(s)
		v.lose(r, s, "lasting", func() {})
		v.want("recovered", []any{s.Recovered(), v.ask(s, "handshake")[0].(object)["auth"].(object)["n"]}, []any{true, 2.0})
	}},
	{"recovery: what it emitted while it was away follows (C-14, C-18)", func(v *visit) {
		r, s := v.known("lasting", "")
		echoes := v.heard(s, "echo")
		v.lose(r, s, "lasting", func() {
			for i := range 5 {
				v.emit(s, "echo", i)
			}
		})
		for i, got := range v.wait("echoes", echoes, 5) {
			v.want("echo", got.([]any)[0], any(float64(i)))
		}
		v.want("recovered", s.Recovered(), true)
	}},
	{"recovery: with retries, nothing is lost either way (C-17, C-18)", func(v *visit) {
		r, url := v.through("lasting")
		s := v.dial(url, patient)
		first := v.heard(s, "first")
		v.ask(s, "emit", "first", 0)
		v.wait("the first event", first, 1)
		v.settled(s)
		other, id := v.helper("lasting", ""), s.ID()
		said := v.heard(s, "said")
		for i := range 3 {
			v.emit(s, "stubborn", strconv.Itoa(i), 1)
			v.lose(r, s, "lasting", func() {
				v.cast(other, id, i)
				v.emit(s, "stubborn", "away "+strconv.Itoa(i), 1)
			})
			v.wait("the one it missed", said, i+1)
		}
		for i, got := range said.all() {
			v.want("said", got.([]any)[0], any(float64(i)))
		}
		v.want("answer", v.ask(s, "stubborn", "last", 1), []any{1.0})
	}},
	{"recovery: who left is another when it comes back (C-18)", func(v *visit) {
		_, s := v.known("lasting", "")
		id := s.ID()
		s.Disconnect()
		v.noted("lasting", "left", 1)
		v.connect(s)
		if s.ID() == id || s.Recovered() {
			v.Errorf("id %s, recovered %v", s.ID(), s.Recovered())
		}
	}},
	{"recovery: who was disconnected by the server is another, too (C-18)", func(v *visit) {
		_, s := v.known("lasting", "")
		id, life := s.ID(), v.life(s)
		v.emit(s, "kick", false)
		v.until(life, "disconnect: io server disconnect", 1)
		v.connect(s)
		if s.ID() == id || s.Recovered() {
			v.Errorf("id %s, recovered %v", s.ID(), s.Recovered())
		}
	}},
	{"recovery: too late, it is another, and what it missed is lost (C-18)", func(v *visit) {
		r, s := v.known("forgetful", "") // after 100 ms
		other, id := v.helper("forgetful", ""), s.ID()
		said := v.heard(s, "said")
		v.lose(r, s, "forgetful", func() {
			v.cast(other, id, "missed")
			v.ask(other, "late", 250)
		})
		if s.ID() == id || s.Recovered() {
			v.Errorf("id %s, recovered %v", s.ID(), s.Recovered())
		}
		v.cast(other, s.ID(), "new")
		list := v.wait("the new one", said, 1)
		v.want("said", []any{len(list), list[0].([]any)[0]}, []any{1, "new"})
	}},
	{"afresh: where the server keeps nothing it is another, and what it missed is lost (C-18)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		other, id := v.helper("steady", ""), s.ID()
		v.ask(s, "join", v.key)
		said := v.heard(s, "said")
		v.lose(r, s, "steady", func() { v.cast(other, v.key, "missed") })
		if s.ID() == id || s.Recovered() {
			v.Errorf("id %s, recovered %v", s.ID(), s.Recovered())
		}
		v.want("rooms", v.ask(s, "rooms"), []any{[]any{}})
		v.ask(s, "join", v.key)
		v.cast(other, v.key, "new")
		v.want("said", v.wait("the new one", said, 1), []any{"new"})
	}},
	{"afresh: a last argument that is a text is no offset there (C-18)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url, func(o *client.Options) { o.Auth = object{"mine": 1} })
		said := v.heard(s, "said")
		v.ask(s, "emit", "said", "text")
		v.want("said", v.wait("it", said, 1), []any{"text"})
		v.lose(r, s, "steady", func() {})
		v.want("auth", v.ask(s, "handshake")[0].(object)["auth"], any(object{"mine": 1.0}))
	}},
}
