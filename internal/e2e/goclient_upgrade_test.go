package e2e

import (
	"net/http"
	"sync"

	"github.com/perch-go/perch/client"
)

// upgradeCases: which transport opens a connection, and how it becomes another.
var upgradeCases = []goCase{
	{"upgrade: begins with polling and goes on over WebSocket (C-3, C-10, C-19)", func(v *visit) {
		m := v.manager(v.at("plain"))
		upgrades, opened := new(record), new(record)
		m.OnUpgrade(func(t client.Transport) { upgrades.add(string(t)) })
		m.OnOpen(func() { opened.add(string(m.Transport())) })
		s := v.of(m, "/")
		v.connect(s)
		v.wait("an upgrade", upgrades, 1)
		v.want("transports", []any{opened.all(), upgrades.all(), string(m.Transport())}, []any{[]any{"polling"}, []any{"websocket"}, "websocket"})
		v.want("the server's view", v.ask(s, "state")[0].(map[string]any)["transport"], any("websocket"))
	}},
	{"upgrade: nothing is lost or out of order (C-19)", func(v *visit) {
		s := v.dial(v.at("plain"))
		echoes := v.heard(s, "echo")
		const count = 500
		value := func(i int) any {
			if i%3 == 0 {
				return []byte{byte(i), byte(i >> 8)}
			}
			return float64(i)
		}
		upgraded := make(chan struct{})
		var once sync.Once
		s.Manager().OnUpgrade(func(client.Transport) { once.Do(func() { close(upgraded) }) })
		for i := range count {
			v.emit(s, "echo", value(i))
			if i%100 == 50 {
				v.ask(s, "id")
			}
		}
		for i, got := range v.wait("all echoes", echoes, count) {
			v.want("echo", got, value(i))
		}
		v.settled(s)
		v.want("journal", len(v.noted("plain", "left", 0)), 0)
	}},
	{"upgrade: what the server emits meanwhile arrives in order (C-19)", func(v *visit) {
		s := v.dial(v.at("plain"))
		ticks := v.heard(s, "tick")
		v.emit(s, "burst", 300)
		for i, got := range v.wait("all ticks", ticks, 300) {
			want := tick(i)
			v.want("tick", got, any([]any{float64(i), want}))
		}
		v.settled(s)
	}},
	{"upgrade: not if it is told not to (C-3)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.dial(w.web.URL, func(o *client.Options) { o.NoUpgrade = true })
		for i := range 5 {
			v.want("echo", v.ask(s, "echo", i), []any{float64(i)})
		}
		v.want("requests", []any{len(w.requests("websocket")), s.Manager().Transport()}, []any{0, client.Polling})
	}},
	{"upgrade: not if the server does not offer it (C-19)", func(v *visit) {
		w := startWindow(v.T, v.at("still"), false, nil)
		s := v.dial(w.web.URL)
		for i := range 5 {
			v.want("echo", v.ask(s, "echo", i), []any{float64(i)})
		}
		v.want("requests", []any{len(w.requests("websocket")), s.Manager().Transport()}, []any{0, client.Polling})
	}},
	{"upgrade: one that fails leaves polling as it is (C-19)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, isUpgrade)
		s := v.dial(w.web.URL)
		life := v.life(s)
		eventually(v.T, "it is tried", func() bool { return len(w.requests("websocket")) > 0 })
		for i := range 5 {
			v.want("echo", v.ask(s, "echo", i, []byte{1}), []any{float64(i), []byte{1}})
		}
		v.want("after", []any{life.all(), s.Manager().Transport()}, []any{[]any{}, client.Polling})
	}},
	{"upgrade: leaving while it is under way loses nothing (C-19)", func(v *visit) {
		s := v.dial(v.at("plain") + "?watch=any")
		v.emit(s, "farewell", "the last words")
		_ = s.Close()
		v.want("heard", v.noted("plain", "any", 1), [][]any{{"farewell", "the last words"}})
		v.want("left", v.noted("plain", "left", 1)[0][1], any("client namespace disconnect"))
	}},
	{"upgrade: is remembered, if it is told to (C-3)", func(v *visit) {
		r, url := v.through("plain")
		for _, remember := range []bool{true, false} {
			s := v.dial(url, func(o *client.Options) { o.RememberUpgrade = remember })
			v.settled(s)
			opened := new(record)
			s.Manager().OnOpen(func() { opened.add(string(s.Manager().Transport())) })
			r.cut() // an attempt that fails would make it forget
			v.wait("another connection", opened, 1)
			want := map[bool]string{true: "websocket", false: "polling"}[remember]
			v.want("opened", opened.all(), []any{want})
			v.settled(s)
			_ = s.Close()
		}
	}},
	{"upgrade: tries the next transport if the first fails, if it is told to (C-3)", func(v *visit) {
		backwards := []client.Transport{client.WebSocket, client.Polling}
		w := startWindow(v.T, v.at("plain"), false, isUpgrade)
		s := v.dial(w.web.URL, func(o *client.Options) { o.Transports, o.TryAllTransports = backwards, true })
		v.want("transport", s.Manager().Transport(), client.Polling)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
		s = v.socket(w.web.URL, func(o *client.Options) { o.Transports, o.NoReconnection = backwards, true })
		if err := s.Connect(v.soon()); err == nil {
			v.Error("it was not told to, and did")
		}
	}},
	{"upgrade: tries the next transport if polling fails, too (C-3)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, func(r *http.Request) bool { return !isUpgrade(r) })
		s := v.dial(w.web.URL, func(o *client.Options) { o.TryAllTransports = true })
		v.want("transport", s.Manager().Transport(), client.WebSocket)
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"upgrade: WebSocket first needs none (C-3)", func(v *visit) {
		w := startWindow(v.T, v.at("plain"), false, nil)
		s := v.dial(w.web.URL, func(o *client.Options) { o.Transports = []client.Transport{client.WebSocket, client.Polling} })
		v.want("echo", v.ask(s, "echo", 1), []any{1.0})
		v.want("requests", []int{len(w.requests("websocket")), len(w.requests("polling"))}, []int{1, 0})
	}},
	{"upgrade: is made anew after each reconnection (C-3, C-12)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		for range 2 {
			v.settled(s)
			v.lose(r, s, "steady", func() {})
			v.want("echo", v.ask(s, "echo", 1), []any{1.0})
		}
		v.settled(s)
	}},
}
