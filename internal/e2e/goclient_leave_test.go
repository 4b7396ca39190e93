package e2e

import (
	"errors"
	"slices"

	"github.com/perch-go/perch/client"
)

// breaks is a case of a server that sends what is no packet: the connection ends and is made again (C-20).
func breaks(name string, packets ...string) goCase {
	return goCase{name, func(v *visit) {
		s := v.dial(v.at("plain"))
		v.settled(s)
		life := v.life(s)
		for i, packet := range packets {
			v.emit(s, "raw", packet)
			v.until(life, "connect", i+1)
			v.want("echo", v.ask(s, "echo", 1), []any{1.0})
		}
		want := slices.Repeat([]any{"disconnect: parse error", "connect"}, len(packets))
		v.want("life", life.all(), want)
	}}
}

// leaveCases: how a socket and its connection end, and what both sides are told.
var leaveCases = []goCase{
	{"leave: both sides know why (C-12)", func(v *visit) {
		m := v.manager(v.at("plain"))
		v.connect(v.of(m, "/"))
		one := v.of(m, "/one")
		v.connect(one)
		life := v.life(one)
		one.Disconnect()
		v.want("life", v.wait("OnDisconnect", life, 1), []any{"disconnect: io client disconnect"})
		v.want("left", v.noted("plain", "left", 1)[0][:2], []any{"/one", "client namespace disconnect"})
		v.want("open", m.Connected(), true)
	}},
	{"leave: twice is once (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		life := v.life(s)
		s.Disconnect()
		s.Disconnect()
		_ = s.Close()
		_ = s.Close()
		v.want("life", life.all(), []any{"disconnect: io client disconnect"})
		v.noted("plain", "left", 1)
	}},
	{"leave: before connecting is nothing (C-20)", func(v *visit) {
		s := v.socket(v.at("plain"))
		life := v.life(s)
		s.Disconnect()
		v.connect(s)
		v.want("life", v.wait("OnConnect", life, 1), []any{"connect"})
	}},
	{"leave: one namespace does not close the connection (C-20)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		session := m.SessionID()
		root.Disconnect()
		v.noted("plain", "left", 1)
		v.want("echo", v.ask(one, "echo", 1), []any{1.0})
		v.want("session", []any{m.SessionID(), m.Connected()}, []any{session, true})
	}},
	{"leave: the last namespace closes the connection (C-20)", func(v *visit) {
		m := v.manager(v.at("plain"))
		closed := new(record)
		m.OnClose(func(reason client.Reason, _ error) { closed.add(string(reason)) })
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		root.Disconnect()
		one.Disconnect()
		v.want("closed", v.wait("OnClose", closed, 1), []any{"forced close"})
		v.want("left", len(v.noted("plain", "left", 2)), 2)
	}},
	{"leave: Close is final (C-6)", func(v *visit) {
		s := v.dial(v.at("plain"))
		if err := s.Close(); err != nil {
			v.Errorf("Close: %v", err)
		}
		for what, err := range map[string]error{
			"Emit": s.Emit("echo"), "Send": s.Send(v.soon(), "echo"), "Connect": s.Connect(v.soon()), "volatile Emit": s.Volatile().Emit("echo"),
		} {
			if !errors.Is(err, client.ErrClosed) {
				v.Errorf("%s: %v", what, err)
			}
		}
		if _, err := s.EmitWithAck(v.soon(), "echo"); !errors.Is(err, client.ErrClosed) {
			v.Errorf("EmitWithAck: %v", err)
		}
		<-s.Manager().Done() // it was made for this socket
	}},
	{"leave: Close sends what was emitted before (C-19)", func(v *visit) {
		s := v.dial(v.at("plain") + "?watch=any")
		for i := range 100 {
			v.emit(s, "farewell", i)
		}
		if err := s.Close(); err != nil {
			v.Errorf("Close: %v", err)
		}
		for i, e := range v.noted("plain", "any", 100) {
			v.want("heard", e, []any{"farewell", float64(i)})
		}
		v.want("left", v.noted("plain", "left", 1)[0][1], any("client namespace disconnect"))
	}},
	{"leave: Disconnect sends what was emitted before (C-19)", func(v *visit) {
		s := v.dial(v.at("plain") + "?watch=any")
		for i := range 20 {
			v.emit(s, "farewell", i)
		}
		s.Disconnect()
		v.want("left", v.noted("plain", "left", 1)[0][1], any("client namespace disconnect"))
		v.want("heard", len(v.noted("plain", "any", 0)), 20)
	}},
	{"leave: a manager's Close ends all its sockets (C-12, C-20)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		lives := []*record{v.life(root), v.life(one)}
		if err := m.Close(); err != nil {
			v.Errorf("Close: %v", err)
		}
		<-m.Done()
		for _, life := range lives {
			events := v.wait("the end", life, 1)
			v.want("life", []any{len(events), events[0] == "disconnect: forced close" || events[0] == "disconnect: io client disconnect"}, []any{1, true})
		}
		if _, err := m.Socket("/two", nil); !errors.Is(err, client.ErrClosed) {
			v.Errorf("Socket: %v", err)
		}
		v.noted("plain", "left", 2)
	}},
	{"leave: the server disconnects the socket: no reconnection (C-12)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		life := v.life(one)
		attempts := new(record)
		m.OnReconnectAttempt(func(n int) { attempts.add(n) })
		v.emit(one, "kick", false)
		v.want("life", v.wait("OnDisconnect", life, 1), []any{"disconnect: io server disconnect"})
		v.want("one", []bool{one.Connected(), one.Active()}, []bool{false, false})
		v.want("echo", v.ask(root, "echo", 1), []any{1.0})
		v.want("attempts", attempts.all(), []any{})
		v.connect(one) // by hand it may
		v.want("again", v.ask(one, "echo", 1), []any{1.0})
	}},
	{"leave: the server disconnects the client: no reconnection (C-12)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		lives := []*record{v.life(root), v.life(one)}
		attempts := new(record)
		m.OnReconnectAttempt(func(n int) { attempts.add(n) })
		v.emit(one, "kick", true)
		for _, life := range lives {
			v.want("life", v.wait("OnDisconnect", life, 1), []any{"disconnect: io server disconnect"})
		}
		eventually(v.T, "closed", func() bool { return !m.Connected() })
		v.want("attempts", attempts.all(), []any{})
		v.connect(root)
		v.want("again", v.ask(root, "echo", 1), []any{1.0})
	}},
	{"leave: the server disconnects the only socket, which closes the connection (C-12, C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.emit(s, "kick", false)
		eventually(v.T, "closed", func() bool { return !s.Manager().Connected() })
		v.connect(s)
		v.want("again", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"leave: the server hangs up: that is a loss, and it comes back (C-12)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.settled(s)
		life := v.life(s)
		v.emit(s, "hangUp")
		v.want("life", v.wait("back", life, 2), []any{"disconnect: transport close", "connect"})
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"leave: what is queued when the server disconnects is no error (C-12)", func(v *visit) {
		s := v.dial(v.at("plain"))
		life := v.life(s)
		v.emit(s, "kick", false)
		for range 100 {
			v.emit(s, "echo", 1) // before it is known, or offline after
		}
		v.wait("OnDisconnect", life, 1)
		v.connect(s)
		v.want("echo", v.ask(s, "echo", 2), []any{2.0})
	}},
	breaks("leave: a packet that is none is a parse error (C-12, C-20)", "2", "2{}", "2[", "9", "x", `2["a"]]`),
	breaks("leave: a packet that its type cannot have is a parse error (C-20)", "0[1]", `1"bye"`, "3{}", "4[1]"),
	breaks("leave: an event of the protocol's is a parse error (C-20)", `2["connect"]`, `2["disconnect"]`, `2["newListener"]`),
	{"leave: a text where an attachment should come is a parse error (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.settled(s)
		life := v.life(s)
		v.emit(s, "raw", `51-["a",{"_placeholder":true,"num":0}]`)
		v.emit(s, "echo", "text")
		v.want("life", v.wait("back", life, 2), []any{"disconnect: parse error", "connect"})
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
}
