package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/internal/e2e/chaos"
)

// lost reports whether something is how a life notes that the network took the connection.
func lost(what any) bool {
	return what == "disconnect: transport close" || what == "disconnect: transport error"
}

// reconnectCases: what happens after the connection was lost.
var reconnectCases = []goCase{
	{"reconnect: comes back by itself, as another socket (C-7, C-12)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		life, id := v.life(s), s.ID()
		v.lose(r, s, "steady", func() {
			v.want("while it is away", []any{s.Connected(), s.Active(), s.ID()}, []any{false, true, ""})
		})
		v.until(life, "connect", 1)
		events := slices.DeleteFunc(life.all(), func(x any) bool { return x == "connect_error" })
		if len(events) != 2 || !lost(events[0]) || events[1] != "connect" {
			v.Errorf("life: %v", events)
		}
		v.want("id", v.ask(s, "id"), []any{s.ID()})
		if s.ID() == id || s.Recovered() {
			v.Errorf("id %s, recovered %v: it is the same socket", s.ID(), s.Recovered())
		}
	}},
	{"reconnect: comes back from a reset, too (C-12)", func(v *visit) {
		r, url := v.through("plain")
		s := v.dial(url)
		life := v.life(s)
		v.settled(s)
		r.settle(v.T)
		for _, l := range r.Links() {
			l.Cut(true)
		}
		v.until(life, "connect", 1)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"reconnect: comes back when it is cut in the midst of a message (C-12, C-19)", func(v *visit) {
		r, url := v.through("plain")
		s := v.dial(url)
		life := v.life(s)
		v.settled(s)
		for _, l := range r.Links() {
			l.CutAfter(chaos.Down, 10_000, false)
		}
		noise := make([]byte, 100_000) // polls are compressed
		_, _ = rand.Read(noise)
		if _, err := s.EmitWithAck(v.soon(), "echo", noise); !errors.Is(err, client.ErrDisconnected) {
			v.Errorf("echo: %v", err)
		}
		v.until(life, "connect", 1)
		eventually(v.T, "the answer is whole", func() bool { // the other link of polling has its cut before it
			reply, err := s.EmitWithAck(v.soon(), "echo", noise)
			return err == nil && bytes.Equal(values(reply)[0].([]byte), noise)
		})
	}},
	{"reconnect: comes back again and again (C-7)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		ids := map[string]bool{s.ID(): true}
		for range 3 {
			v.lose(r, s, "steady", func() {})
			v.want("echo", v.ask(s, "echo", 1), []any{1.0})
			ids[s.ID()] = true
		}
		v.want("ids", len(ids), 4)
	}},
	{"reconnect: comes back to all its namespaces (C-7)", func(v *visit) {
		r, url := v.through("steady")
		m := v.manager(url)
		sockets := []*client.Socket{v.of(m, "/"), v.of(m, "/one"), v.of(m, "/two")}
		v.connect(sockets...)
		v.sever(r, sockets[0], "steady")
		r.open(true)
		v.back(sockets...)
		for _, s := range sockets {
			v.want("id", v.ask(s, "id"), []any{s.ID()})
		}
	}},
	{"reconnect: not to a namespace that it has left (C-20)", func(v *visit) {
		r, url := v.through("steady")
		m := v.manager(url)
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		one.Disconnect()
		v.noted("steady", "left", 1)
		v.lose(r, root, "steady", func() {})
		v.ask(root, "echo")
		v.want("one", []bool{one.Connected(), one.Active()}, []bool{false, false})
		v.want("connections", len(v.noted("steady", "connection", 3)), 3)
	}},
	{"reconnect: by hand, after leaving, as another socket (C-12, C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		life, id := v.life(s), s.ID()
		s.Disconnect()
		v.connect(s)
		if s.ID() == id {
			v.Error("the id is the same")
		}
		v.want("life", v.wait("both", life, 2), []any{"disconnect: io client disconnect", "connect"})
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"reconnect: by itself, after it came back by hand (C-7, C-12)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		s.Disconnect()
		v.noted("steady", "left", 1)
		v.connect(s)
		v.lose(r, s, "steady", func() {})
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"reconnect: not if it is told not to; by hand it does (C-7)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url, func(o *client.Options) { o.NoReconnection = true })
		attempts := new(record)
		s.Manager().OnReconnectAttempt(func(n int) { attempts.add(n) })
		v.sever(r, s, "steady")
		r.open(true)
		eventually(v.T, "closed", func() bool { return !s.Manager().Connected() })
		v.want("attempts", attempts.all(), []any{})
		v.connect(s)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"reconnect: not after Disconnect while it is away (C-12)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		v.sever(r, s, "steady")
		s.Disconnect()
		v.want("active", s.Active(), false)
		came := r.came()
		r.open(true)
		other := v.dial(v.at("steady"))
		v.ask(other, "echo")
		if n := r.came(); n > came+1 { // one may have been under way
			v.Errorf("%d attempts after Disconnect", n-came)
		}
		v.connect(s)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"reconnect: not after Close while it is away, which is final (C-6)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		v.sever(r, s, "steady")
		_ = s.Close()
		r.open(true)
		if err := s.Connect(v.soon()); !errors.Is(err, client.ErrClosed) {
			v.Errorf("Connect: %v", err)
		}
		<-s.Manager().Done()
	}},
	{"reconnect: one socket gives up while another goes on (C-20)", func(v *visit) {
		r, url := v.through("steady")
		m := v.manager(url)
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		v.sever(r, root, "steady")
		one.Disconnect()
		v.want("active", []bool{root.Active(), one.Active()}, []bool{true, false})
		r.open(true)
		v.back(root)
		v.ask(root, "echo")
		v.want("one", one.Connected(), false)
	}},
	{"reconnect: another namespace joins while the connection is away (C-1)", func(v *visit) {
		r, url := v.through("steady")
		m := v.manager(url)
		root := v.of(m, "/")
		v.connect(root)
		v.sever(r, root, "steady")
		one := v.of(m, "/one")
		connecting, soon := make(chan error, 1), v.soon()
		go func() { connecting <- one.Connect(soon) }()
		eventually(v.T, "it has begun", one.Active)
		r.open(true)
		if err := <-connecting; err != nil {
			v.Error(err)
		}
		v.back(root)
		v.want("echoes", []any{v.ask(root, "echo", 1), v.ask(one, "echo", 2)}, []any{[]any{1.0}, []any{2.0}})
	}},
	{"reconnect: events of the manager, in order (C-10)", func(v *visit) {
		r, url := v.through("steady")
		m := v.manager(url)
		events := new(record)
		m.OnOpen(func() { events.add("open") })
		m.OnClose(func(reason client.Reason, _ error) {
			if lost("disconnect: " + string(reason)) {
				events.add("close")
				return
			}
			events.add("close: " + string(reason))
		})
		m.OnReconnectAttempt(func(n int) { events.add("attempt " + strconv.Itoa(n)) })
		m.OnReconnectError(func(err error) { events.add("error") })
		m.OnReconnect(func(n int) { events.add("reconnect " + strconv.Itoa(n)) })
		m.OnReconnectFailed(func() { events.add("failed") })
		s := v.of(m, "/")
		v.connect(s)
		v.lose(r, s, "steady", func() { v.until(events, "error", 2) })
		last := func() string { list := events.all(); return list[len(list)-1].(string) }
		eventually(v.T, "OnReconnect", func() bool { return strings.HasPrefix(last(), "reconnect ") })
		list, n := events.all(), strings.TrimPrefix(last(), "reconnect ")
		v.want("at first", list[:6], []any{"open", "close", "attempt 1", "error", "attempt 2", "error"})
		v.want("at last", list[len(list)-3:], []any{"attempt " + n, "open", "reconnect " + n})
		v.want("opens", events.count("open"), 2)
	}},
	{"reconnect: a loss is no connect_error (C-11)", func(v *visit) {
		r, url := v.through("plain")
		s := v.dial(url)
		v.settled(s)
		life := v.life(s)
		r.settle(v.T)
		r.cut()
		v.until(life, "connect", 1)
		v.want("errors", life.count("connect_error"), 0)
	}},
	{"reconnect: attempts while it is away are connect_errors (C-11)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		life := v.life(s)
		v.lose(r, s, "steady", func() { v.until(life, "connect_error", 2) })
		v.until(life, "connect", 1)
		v.want("events", len(life.all()) >= 4, true)
	}},
	{"reconnect: silence is a ping timeout (C-12, C-19)", func(v *visit) {
		r, url := v.through("quick")
		s := v.dial(url)
		life := v.life(s)
		v.settled(s)
		r.silence(0)
		v.until(life, "disconnect: ping timeout", 1)
		v.until(life, "connect", 1)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"reconnect: heartbeats keep a quiet connection (C-10, C-19)", func(v *visit) {
		s := v.socket(v.at("quick"))
		life, pings := v.life(s), new(record)
		s.Manager().OnPing(func() { pings.add("ping") })
		v.connect(s)
		id := s.ID()
		v.wait("four pings", pings, 4)
		v.want("life", life.all(), []any{"connect"})
		v.want("id", v.ask(s, "id"), []any{id})
	}},
	{"reconnect: the server's end is a transport close (C-12)", func(v *visit) {
		url := v.fresh("plain")
		r, through := startRelay(v.T, url)
		s := v.dial(through, func(o *client.Options) { o.NoReconnection = true })
		life := v.life(s)
		v.settled(s)
		r.settle(v.T) // a poll is there to be answered
		done := make(chan struct{})
		go func() {
			defer close(done)
			resp, err := requester.Get(v.peer.control + "/shutdown?server=" + strings.ReplaceAll(url, ":", "%3A"))
			if err == nil {
				_ = resp.Body.Close()
			}
		}()
		v.want("life", v.wait("the end", life, 1), []any{"disconnect: transport close"})
		<-done
	}},
	{"reconnect: the context's end is the end (C-6)", func(v *visit) {
		ctx, cancel := context.WithCancel(v.always())
		s, err := client.Dial(ctx, v.at("plain"), v.options())
		if err != nil {
			v.Fatal(err)
		}
		asking := make(chan error, 1)
		go func() {
			_, err := s.EmitWithAck(v.always(), "ignore")
			asking <- err
		}()
		v.ask(s, "echo")
		cancel()
		<-s.Manager().Done()
		if err := <-asking; !errors.Is(err, client.ErrDisconnected) && !errors.Is(err, client.ErrClosed) {
			v.Errorf("an answer that cannot come: %v", err)
		}
		if err := s.Emit("echo"); !errors.Is(err, client.ErrClosed) {
			v.Errorf("Emit: %v", err)
		}
		if err := s.Connect(v.always()); !errors.Is(err, client.ErrClosed) {
			v.Errorf("Connect: %v", err)
		}
		v.want("state", []bool{s.Connected(), s.Active(), s.Manager().Connected()}, []bool{false, false, false})
	}},
}

// attemptCases: how often, and when, a connection is tried.
var attemptCases = []goCase{
	{"attempt: Dial returns the first failure (C-7)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		if s, err := client.Dial(v.soon(), url, v.options()); err == nil || s != nil {
			v.Errorf("Dial = %v, %v", s, err)
		}
		v.want("attempts", r.came(), uint64(1))
	}},
	{"attempt: Connect goes on until somebody is there (C-7)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		s := v.socket(url)
		attempts := new(record)
		s.Manager().OnReconnectAttempt(func(n int) { attempts.add(n) })
		connecting, soon := make(chan error, 1), v.soon()
		go func() { connecting <- s.Connect(soon) }()
		v.want("attempts", v.wait("three attempts", attempts, 3)[:3], []any{1, 2, 3})
		r.open(true)
		if err := <-connecting; err != nil {
			v.Error(err)
		}
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"attempt: as many as allowed, then it has failed (C-7, C-10)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		m := v.manager(url, func(o *client.Options) { o.ReconnectionAttempts = 2 })
		events := new(record)
		m.OnReconnectAttempt(func(n int) { events.add(n) })
		m.OnReconnectError(func(error) { events.add("error") })
		m.OnReconnectFailed(func() { events.add("failed") })
		m.OnReconnect(func(int) { events.add("reconnect") })
		s := v.of(m, "/")
		if err := s.Connect(v.soon()); !errors.Is(err, client.ErrReconnectionFailed) {
			v.Errorf("Connect: %v", err)
		}
		v.until(events, "failed", 1)
		v.want("events", events.all(), []any{1, "error", 2, "error", "failed"})
		v.want("connections", r.came(), uint64(3))
		r.open(true)
		v.connect(s) // counts anew
	}},
	{"attempt: the count begins anew after each success (C-9)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url, func(o *client.Options) { o.ReconnectionAttempts = 1000 })
		attempts, back := new(record), new(record)
		s.Manager().OnReconnectAttempt(func(n int) { attempts.add(n) })
		s.Manager().OnReconnect(func(n int) { back.add(n) })
		for i := range 2 {
			v.lose(r, s, "steady", func() { eventually(v.T, "the second attempt", func() bool { return attempts.count(2) > i }) })
		}
		v.want("first attempts", attempts.count(1), 2)
		v.wait("reconnect", back, 2)
	}},
	{"attempt: each waits longer than the one before (C-9)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		m := v.manager(url, func(o *client.Options) {
			o.ReconnectionAttempts, o.RandomizationFactor = 4, -1
			o.ReconnectionDelay, o.ReconnectionDelayMax = 20*time.Millisecond, 80*time.Millisecond
		})
		began := time.Now()
		if err := v.of(m, "/").Connect(v.soon()); !errors.Is(err, client.ErrReconnectionFailed) {
			v.Errorf("Connect: %v", err)
		}
		if least := 220 * time.Millisecond; time.Since(began) < least { // 20, 40, 80 and 80
			v.Errorf("four attempts took %v, want at least %v", time.Since(began), least)
		}
	}},
	{"attempt: none if the first succeeds (C-7)", func(v *visit) {
		m := v.manager(v.at("plain"))
		attempts := new(record)
		m.OnReconnectAttempt(func(n int) { attempts.add(n) })
		m.OnReconnect(func(n int) { attempts.add(n) })
		s := v.of(m, "/")
		v.connect(s)
		v.ask(s, "echo")
		v.want("attempts", attempts.all(), []any{})
	}},
	{"attempt: one without reconnection (C-7)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		s := v.socket(url, func(o *client.Options) { o.NoReconnection = true })
		failures := new(record)
		s.OnConnectError(func(error) { failures.add("connect_error") })
		err := s.Connect(v.soon())
		if err == nil || errors.Is(err, client.ErrReconnectionFailed) {
			v.Errorf("Connect: %v", err)
		}
		v.wait("OnConnectError", failures, 1)
		v.want("failures", []any{len(failures.all()), s.Active(), r.came()}, []any{1, false, uint64(1)})
	}},
	{"attempt: one that takes too long is a timeout (C-7)", func(v *visit) {
		r, url := v.through("plain")
		r.silence(1)
		s := v.socket(url, func(o *client.Options) { o.Timeout, o.NoReconnection = 50*time.Millisecond, true })
		life := v.life(s)
		if err := s.Connect(v.soon()); !errors.Is(err, client.ErrOpenTimeout) {
			v.Errorf("Connect: %v", err)
		}
		v.want("life", v.wait("OnConnectError", life, 1), []any{"connect_error"})
	}},
	{"attempt: timeouts are tried again, too (C-7, C-10)", func(v *visit) {
		r, url := v.through("plain")
		r.silence(3)
		m := v.manager(url, func(o *client.Options) { o.Timeout, o.ReconnectionAttempts = 30*time.Millisecond, 2 })
		events := new(record)
		m.OnReconnectAttempt(func(n int) { events.add(n) })
		m.OnReconnectError(func(err error) { events.add(errors.Is(err, client.ErrOpenTimeout)) })
		m.OnReconnectFailed(func() { events.add("failed") })
		err := v.of(m, "/").Connect(v.soon())
		if !errors.Is(err, client.ErrReconnectionFailed) || !errors.Is(err, client.ErrOpenTimeout) {
			v.Errorf("Connect: %v", err)
		}
		v.until(events, "failed", 1)
		v.want("events", events.all(), []any{1, true, 2, true, "failed"})
	}},
	{"attempt: a second namespace does not begin them anew (C-10)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		m := v.manager(url, func(o *client.Options) { o.ReconnectionAttempts = 3 })
		events := new(record)
		var one *client.Socket
		soon, second := v.soon(), make(chan error, 1)
		m.OnReconnectAttempt(func(n int) {
			events.add(n)
			if n == 1 {
				go func() { second <- one.Connect(soon) }()
			}
		})
		m.OnReconnectFailed(func() { events.add("failed") })
		one = v.of(m, "/one")
		first := v.of(m, "/").Connect(soon)
		for _, err := range []error{first, <-second} {
			if !errors.Is(err, client.ErrReconnectionFailed) {
				v.Errorf("Connect: %v", err)
			}
		}
		v.until(events, "failed", 1)
		v.want("events", events.all()[:4], []any{1, 2, 3, "failed"})
	}},
	{"attempt: a port where nobody listens (C-7)", func(v *visit) {
		l, err := net.Listen("tcp", anyPort)
		if err != nil {
			v.Fatal(err)
		}
		url := "http://" + l.Addr().String()
		_ = l.Close()
		s := v.socket(url, func(o *client.Options) { o.ReconnectionAttempts = 2 })
		life := v.life(s)
		if err := s.Connect(v.soon()); !errors.Is(err, client.ErrReconnectionFailed) || !errors.Is(err, syscall.ECONNREFUSED) {
			v.Errorf("Connect: %v", err)
		}
		v.want("life", v.wait("three failures", life, 3), []any{"connect_error", "connect_error", "connect_error"})
	}},
	{"attempt: leaving when one begins stops them, and Connect begins anew (C-7, C-12)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		attempts := new(record)
		off := s.Manager().OnReconnectAttempt(func(n int) {
			attempts.add(n)
			s.Disconnect()
		})
		v.sever(r, s, "steady")
		v.wait("an attempt", attempts, 1)
		eventually(v.T, "it stops", func() bool { return !s.Active() })
		off()
		r.open(true)
		v.connect(s)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
		v.want("attempts", attempts.all(), []any{1})
	}},
	{"attempt: one that comes back to be refused (C-8, C-11)", func(v *visit) {
		r, url := v.through("steady")
		m := v.manager(url)
		tokens := make(chan string, 2)
		guarded, err := m.Socket("/guarded", &client.SocketOptions{AuthFunc: func(context.Context) (any, error) {
			return clientAuth{Token: <-tokens}, nil
		}})
		if err != nil {
			v.Fatal(err)
		}
		root := v.of(m, "/")
		tokens <- "secret"
		v.connect(root, guarded)
		life := v.life(guarded)
		v.sever(r, root, "steady")
		tokens <- "plain"
		r.open(true)
		v.back(root)
		eventually(v.T, "it is refused", func() bool { return !guarded.Active() })
		events := v.wait("a loss and a refusal", life, 2)
		v.want("at last", []any{lost(events[0]), events[len(events)-1], guarded.Connected()}, []any{true, "connect_error", false})
		v.want("root", v.ask(root, "echo", 1), []any{1.0})
	}},
	{"attempt: the end of Connect's context names the last failure (C-7)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		s := v.socket(url)
		attempts := new(record)
		s.Manager().OnReconnectError(func(error) { attempts.add("error") })
		ctx, cancel := context.WithCancel(v.soon())
		connecting := make(chan error, 1)
		go func() { connecting <- s.Connect(ctx) }()
		v.wait("an attempt", attempts, 1)
		cancel()
		err := <-connecting
		if !errors.Is(err, context.Canceled) || err.Error() == context.Canceled.Error() {
			v.Errorf("Connect: %v", err)
		}
	}},
}
