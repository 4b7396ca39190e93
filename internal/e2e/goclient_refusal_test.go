package e2e

import (
	"context"
	"errors"

	"github.com/perch-go/perch/client"
)

// refusal is what a ConnectError says.
func refusal(err error) []any {
	refused, ok := errors.AsType[*client.ConnectError](err)
	if !ok {
		return []any{"no refusal", err}
	}
	if len(refused.Data.JSON) == 0 {
		return []any{refused.Message}
	}
	var data any
	if err := refused.Data.Decode(&data); err != nil {
		data = err
	}
	return []any{refused.Message, data}
}

// refusalCases: what a server says to who may not connect.
var refusalCases = []goCase{
	{"refusal: a namespace that is not there (C-11)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root, nobody := v.of(m, "/"), v.of(m, "/nobody")
		v.connect(root)
		v.want("refusal", refusal(nobody.Connect(v.soon())), []any{"Invalid namespace"})
		v.want("nobody", []bool{nobody.Connected(), nobody.Active()}, []bool{false, false})
		v.want("root", v.ask(root, "echo", 1), []any{1.0})
	}},
	{"refusal: Dial returns it and leaves nothing (C-11)", func(v *visit) {
		s, err := client.Dial(v.always(), v.at("plain")+"/guarded", v.options(func(o *client.Options) { o.Auth = clientAuth{Token: "plain"} }))
		v.want("refusal", refusal(err), []any{"not authorized"})
		if s != nil {
			v.Error("there is a socket")
		}
	}},
	{"refusal: a middleware's message and data (C-11)", func(v *visit) {
		for _, tt := range []struct {
			token string
			want  []any
		}{
			{"plain", []any{"not authorized"}},
			{"data", []any{"not authorized", map[string]any{"code": 401.0, "hint": "bring a token"}}},
			{"text", []any{"refused", "with words"}},
			{"list", []any{"refused", []any{1.0, []any{2.0}}}},
			{"zero", []any{"refused", 0.0}},
			{"empty", []any{""}},
		} {
			s := v.socket(v.at("plain")+"/guarded", func(o *client.Options) { o.Auth = clientAuth{Token: tt.token} })
			v.want(tt.token, refusal(s.Connect(v.soon())), tt.want)
		}
	}},
	{"refusal: OnConnectError hears it once, and nobody tries again (C-11)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root := v.of(m, "/")
		v.connect(root)
		guarded, err := m.Socket("/guarded", &client.SocketOptions{Auth: clientAuth{Token: "data"}})
		if err != nil {
			v.Fatal(err)
		}
		attempts, refusals := new(record), new(record)
		m.OnReconnectAttempt(func(n int) { attempts.add(n) })
		guarded.OnConnectError(func(err error) { refusals.add(refusal(err)[0]) })
		v.want("refusal", refusal(guarded.Connect(v.soon()))[0], any("not authorized"))
		v.wait("OnConnectError", refusals, 1)
		v.ask(root, "echo")
		v.want("refusals", refusals.all(), []any{"not authorized"})
		v.want("attempts", attempts.all(), []any{})
		v.want("active", guarded.Active(), false)
	}},
	{"refusal: who comes late is refused late (C-11)", func(v *visit) {
		s := v.socket(v.at("plain")+"/guarded", func(o *client.Options) { o.Auth = map[string]any{"token": "plain", "wait": 30} })
		v.want("refusal", refusal(s.Connect(v.soon())), []any{"not authorized"})
	}},
	{"refusal: who has another auth the next time is let in (C-8, C-11)", func(v *visit) {
		m := v.manager(v.at("plain"))
		v.connect(v.of(m, "/"))
		refused, err := m.Socket("/guarded", &client.SocketOptions{Auth: clientAuth{Token: "plain"}})
		if err != nil {
			v.Fatal(err)
		}
		v.want("refusal", refusal(refused.Connect(v.soon())), []any{"not authorized"})
		v.want("again", refusal(refused.Connect(v.soon())), []any{"not authorized"})
		s := v.dial(v.at("plain")+"/guarded", func(o *client.Options) { o.Auth = clientAuth{Token: "secret"} })
		v.want("let in", v.ask(s, "echo", 1), []any{1.0})
	}},
	{"refusal: of the only socket, the connection is closed (C-20)", func(v *visit) {
		m := v.manager(v.at("plain"))
		nobody := v.of(m, "/nobody")
		v.want("refusal", refusal(nobody.Connect(v.soon())), []any{"Invalid namespace"})
		eventually(v.T, "closed", func() bool { return !m.Connected() })
	}},
	{"refusal: what was emitted before is kept for who is let in (C-14)", func(v *visit) {
		allowed := make(chan bool, 1)
		allowed <- false
		s := v.socket(v.at("plain")+"/guarded", func(o *client.Options) {
			o.AuthFunc = func(context.Context) (any, error) {
				let := <-allowed
				allowed <- true
				if let {
					return clientAuth{Token: "secret"}, nil
				}
				return clientAuth{Token: "plain"}, nil
			}
		})
		echoes := v.heard(s, "echo")
		v.emit(s, "echo", "kept")
		v.want("refusal", refusal(s.Connect(v.soon())), []any{"not authorized"})
		v.connect(s)
		v.want("echo", v.wait("the echo", echoes, 1), []any{"kept"})
	}},
	{"refusal: a recoverable failure is none: Active says so (C-11)", func(v *visit) {
		r, url := v.through("plain")
		r.open(false)
		s := v.socket(url)
		failed := make(chan bool, 100)
		s.OnConnectError(func(error) {
			select {
			case failed <- s.Active():
			default:
			}
		})
		connecting := make(chan error, 1)
		soon := v.soon()
		go func() { connecting <- s.Connect(soon) }()
		v.want("active", <-failed, true)
		r.open(true)
		if err := <-connecting; err != nil {
			v.Error(err)
		}
	}},
	{"refusal: by the engine is a HandshakeError (C-11)", func(v *visit) {
		s := v.socket(v.at("doorman"), func(o *client.Options) { o.Query.Set("door", "shut"); o.NoReconnection = true })
		err := s.Connect(v.soon())
		refused, ok := errors.AsType[*client.HandshakeError](err)
		switch {
		case !ok:
			v.Errorf("Connect: %v", err)
		case v.way == "websocket" && refused.Status != 400, v.way != "websocket" && refused.Status != 403:
			v.Errorf("status %d", refused.Status)
		case v.way != "websocket":
			v.want("what it says", []any{refused.Code, refused.Message}, []any{4, "the door is shut"})
		}
		v.want("active", s.Active(), false)
	}},
	{"refusal: who is let in through that door is connected (C-2)", func(v *visit) {
		v.want("echo", v.ask(v.dial(v.at("doorman")), "echo", 1), []any{1.0})
	}},
}
