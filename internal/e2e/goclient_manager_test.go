package e2e

import (
	"errors"

	"github.com/perch-go/perch/client"
)

// managerCases: connections without a namespace, and with several.
var managerCases = []goCase{
	{"manager: Connect opens without a namespace, which then joins (C-10)", func(v *visit) {
		m := v.manager(v.at("plain"))
		opened := new(record)
		m.OnOpen(func() { opened.add("open") })
		if err := m.Connect(v.soon()); err != nil {
			v.Fatal(err)
		}
		session := m.SessionID()
		s := v.of(m, "/one")
		v.connect(s)
		v.want("session", []any{m.Connected(), m.SessionID(), opened.all()}, []any{true, session, []any{"open"}})
		s.Disconnect()
		v.noted("plain", "left", 1)
		v.want("connected", m.Connected(), true) // the manager itself was told to
		v.connect(v.of(m, "/"))
		v.want("session", m.SessionID(), session)
	}},
	{"manager: Disconnect is a forced close for all, and final until Connect (C-12)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		lives, attempts := []*record{v.life(root), v.life(one)}, new(record)
		m.OnReconnectAttempt(func(n int) { attempts.add(n) })
		m.Disconnect()
		for _, life := range lives {
			v.want("life", v.wait("OnDisconnect", life, 1), []any{"disconnect: forced close"})
		}
		v.noted("plain", "left", 2)
		eventually(v.T, "closed", func() bool { return !m.Connected() })
		v.want("active", []bool{root.Active(), one.Active()}, []bool{false, false})
		v.connect(one)
		v.want("echo", v.ask(one, "echo", 1), []any{1.0})
		v.want("root", []any{root.Connected(), attempts.all()}, []any{false, []any{}})
	}},
	{"manager: Disconnect while it is away stops coming back (C-12)", func(v *visit) {
		r, url := v.through("steady")
		m := v.manager(url)
		root := v.of(m, "/")
		v.connect(root)
		v.sever(r, root, "steady")
		connecting, soon := make(chan error, 1), v.soon()
		one := v.of(m, "/one")
		go func() { connecting <- one.Connect(soon) }()
		eventually(v.T, "it has begun", one.Active)
		m.Disconnect()
		if err := <-connecting; !errors.Is(err, client.ErrDisconnected) {
			v.Errorf("Connect: %v", err)
		}
		r.open(true)
		v.connect(root)
		v.want("echo", v.ask(root, "echo", 1), []any{1.0})
	}},
	{"manager: Disconnect may be called where attempts begin (C-7, C-12)", func(v *visit) {
		r, url := v.through("steady")
		m := v.manager(url)
		root := v.of(m, "/")
		v.connect(root)
		attempts := new(record)
		m.OnReconnectAttempt(func(n int) {
			attempts.add(n)
			m.Disconnect()
		})
		v.sever(r, root, "steady")
		v.wait("an attempt", attempts, 1)
		eventually(v.T, "it stops", func() bool { return !root.Active() && !m.Connected() })
		r.open(true)
		v.connect(root)
		v.want("attempts", attempts.all(), []any{1})
	}},
	{"manager: Connect fails as a socket's does (C-7, C-11)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		m := v.manager(url, func(o *client.Options) { o.NoReconnection = true })
		failures := new(record)
		m.OnError(func(error) { failures.add("error") })
		if err := m.Connect(v.soon()); err == nil {
			v.Error("it connected")
		}
		v.wait("OnError", failures, 1)
		r.open(true)
		if err := m.Connect(v.soon()); err != nil {
			v.Error(err)
		}
	}},
	{"manager: Close in a handler ends everything (C-6)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root := v.of(m, "/")
		v.connect(root)
		v.heard(root, "echo")
		closed := v.life(root)
		root.On("echo", noting(func() { _ = m.Close() }))
		v.emit(root, "echo")
		<-m.Done()
		v.want("life", len(closed.all()), 1)
	}},
	{"manager: closed sockets make room for new ones of the name (C-1)", func(v *visit) {
		m := v.manager(v.at("plain"))
		v.connect(v.of(m, "/"))
		one := v.of(m, "/one")
		v.connect(one)
		_ = one.Close()
		another := v.of(m, "/one")
		if another == one {
			v.Fatal("it is the closed one")
		}
		v.connect(another)
		v.want("echo", v.ask(another, "echo", 1), []any{1.0})
	}},
}
