package e2e

import (
	"context"
	"strings"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

func packed(o *client.Options) { o.Parser = msgpack.Parser{} }

// packedCases: the same in MessagePack (C-7).
var packedCases = []goCase{
	{"msgpack: values come back (C-7)", func(v *visit) {
		s := v.dial(v.at("msgpack"), packed)
		echoes := v.heard(s, "echo")
		list := []any{
			"text", "", "€ \U0001F426", strings.Repeat("long ", 10_000), 0.0, -1.5, float64(1 << 40), -1.0, true, false, nil,
			[]any{1.0, []any{}}, object{"a": object{"b": []any{nil}}, "": 1.0},
		}
		for _, value := range list {
			v.want("acknowledged", v.ask(s, "echo", value), []any{value})
			v.emit(s, "echo", value)
		}
		v.want("emitted", v.wait("echoes", echoes, len(list)), list)
	}},
	{"msgpack: bytes come back from anywhere (C-7)", func(v *visit) {
		s := v.dial(v.at("msgpack"), packed)
		value := object{"deep": []any{[]byte{1}, object{"a": []byte{}}}, "large": pattern(100_000)}
		v.want("echo", v.ask(s, "echo", value, []byte{2}), []any{value, []byte{2}})
		v.want("shape", v.ask(s, "shape", []byte{1, 2}, "t"), []any{"<0102>", "t"})
		v.want("bytes", len(v.ask(s, "bytes", 50_000)[0].([]byte)), 50_000)
	}},
	{"msgpack: answers both ways (C-7, C-16)", func(v *visit) {
		s := v.dial(v.at("msgpack"), packed)
		s.On("question", func(_ context.Context, e *client.Event) { _ = e.Ack(append(values(e), "answered")...) })
		v.want("answer", v.ask(s, "ask", object{}, "question", 1, []byte{2}), []any{object{"answer": []any{1.0, []byte{2}, "answered"}}})
	}},
	{"msgpack: namespaces, auth and refusals (C-7, C-8, C-11)", func(v *visit) {
		s := v.dial(v.at("msgpack")+"/one", packed, func(o *client.Options) { o.Auth = object{"token": "t", "n": 1} })
		v.want("auth", v.ask(s, "handshake")[0].(object)["auth"], any(object{"token": "t", "n": 1.0}))
		refused := v.socket(v.at("msgpack")+"/guarded", packed, func(o *client.Options) { o.Auth = clientAuth{Token: "data"} })
		v.want("refusal", refusal(refused.Connect(v.soon())), []any{"not authorized", object{"code": 401.0, "hint": "bring a token"}})
		nobody := v.socket(v.at("msgpack")+"/nobody", packed)
		v.want("nobody", refusal(nobody.Connect(v.soon())), []any{"Invalid namespace"})
	}},
	{"msgpack: many, in order (C-7)", func(v *visit) {
		s := v.dial(v.at("msgpack"), packed)
		ticks := v.heard(s, "tick")
		v.emit(s, "burst", 500)
		for i, got := range v.wait("ticks", ticks, 500) {
			v.want("tick", got, any([]any{float64(i), tick(i)}))
		}
	}},
	{"msgpack: comes back after a loss, with what waited (C-7, C-14)", func(v *visit) {
		r, url := v.through("steady msgpack")
		s := v.dial(url, packed)
		echoes := v.heard(s, "echo")
		v.lose(r, s, "steady msgpack", func() { v.emit(s, "echo", []byte{1}) })
		v.want("echo", v.wait("the echo", echoes, 1), []any{[]byte{1}})
	}},
	{"msgpack: leaves, and both sides know why (C-7, C-12)", func(v *visit) {
		s := v.dial(v.at("msgpack"), packed)
		life := v.life(s)
		s.Disconnect()
		v.want("left", v.noted("msgpack", "left", 1)[0][:2], []any{"/", "client namespace disconnect"})
		v.connect(s)
		v.emit(s, "kick", false)
		v.want("life", v.wait("the end", life, 3), []any{"disconnect: io client disconnect", "connect", "disconnect: io server disconnect"})
	}},
	{"msgpack: retries (C-7, C-17)", func(v *visit) {
		s := v.dial(v.at("msgpack"), packed, again(-1))
		v.stubborn(s, "packed", 3)
	}},
	{"msgpack: is not understood by a server of text, nor that by it (C-7, C-20)", func(v *visit) {
		for server, edit := range map[string]func(*client.Options){"plain": packed, "msgpack": func(*client.Options) {}} {
			s := v.socket(v.at(server), edit, func(o *client.Options) { o.NoReconnection = true })
			if err := s.Connect(v.soon()); err == nil {
				v.Errorf("%s: it connected", server)
			}
		}
	}},
}
