package e2e

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/socketio/parser"
)

// comesBack is a case of values that the server echoes: in an acknowledgement, and in an event.
func comesBack(name string, values ...any) goCase {
	return goCase{name, func(v *visit) {
		s := v.dial(v.at("plain"))
		echoes := v.heard(s, "echo")
		for _, value := range values {
			v.want("acknowledged", v.ask(s, "echo", value), []any{value})
			v.emit(s, "echo", value)
		}
		v.want("emitted", v.wait("echoes", echoes, len(values)), values)
	}}
}

type object = map[string]any

// eventCases: what is emitted and what arrives.
var eventCases = []goCase{
	comesBack("event: texts come back (C-20)", "text", "", " ", "\"\\/\b\n", strings.Repeat("long ", 1000)),
	comesBack("event: numbers come back (C-20)", 0.0, 1.0, -1.5, 1e21, 5e-324, float64(1<<53-1), -float64(1<<53-1)),
	comesBack("event: true, false and null come back (C-20)", true, false, nil),
	comesBack("event: lists come back (C-20)", []any{}, []any{1.0, []any{2.0, []any{3.0, []any{}}}}, []any{nil, "a", object{"b": 1.0}}),
	comesBack("event: objects come back (C-20)", object{}, object{"a": object{"b": object{"c": "d"}}}, object{"": 0.0, "a b": []any{object{}}, "é": nil}),
	comesBack("event: characters of any plane come back (C-20)",
		"€ \U0001F426 \x00 \u2028 \u2029 é e\u0301", object{"\U0001F426": "\U0010FFFF"}, strings.Repeat("\U0001F426", 1000),
		"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string"),
	comesBack("event: what looks like the protocol comes back (C-20)",
		`42["x"]`, "\x1e", "1:2", "b4AAAA", "0{", []any{"_placeholder"}, object{"_placeholder": false, "num": 0.0}, "6:40/foo", "</script>"),
	{"event: several arguments, or none (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		echoes := v.heard(s, "echo")
		v.want("acknowledged", []any{v.ask(s, "echo"), v.ask(s, "echo", 1, "b", nil)}, []any{[]any{}, []any{1.0, "b", nil}})
		v.emit(s, "echo")
		v.emit(s, "echo", 1, "b", nil)
		v.want("emitted", v.wait("echoes", echoes, 2), []any{[]any{}, []any{1.0, "b", nil}})
	}},
	{"event: a message larger than a packet of the network (C-19)", func(v *visit) {
		s := v.dial(v.at("plain"))
		text := strings.Repeat("large € ", 60_000)
		v.want("echo", v.ask(s, "echo", text)[0] == text, true)
	}},
	{"event: structs by their tags, times as texts (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		type person struct {
			Name string    `json:"name"`
			Born time.Time `json:"born"`
			Nick *string   `json:"nick,omitempty"`
			Pic  []byte    `json:"pic"`
		}
		born := time.Date(2000, 1, 2, 3, 4, 5, 678e6, time.UTC)
		reply, err := s.EmitWithAck(v.soon(), "echo", person{Name: "Ada", Born: born, Pic: []byte{1, 2}})
		if err != nil {
			v.Fatal(err)
		}
		var back person
		if err := reply.Decode(0, &back); err != nil {
			v.Fatal(err)
		}
		v.want("person", []any{back.Name, back.Born.Equal(born), back.Nick == nil, back.Pic}, []any{"Ada", true, true, []byte{1, 2}})
		v.want("shape", v.ask(s, "shape", person{Name: "Ada", Born: born, Pic: []byte{}}), []any{object{"name": "Ada", "born": "2000-01-02T03:04:05.678Z", "pic": "<>"}})
	}},
	{"event: the server's date is a time (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		reply, err := s.EmitWithAck(v.soon(), "date")
		if err != nil {
			v.Fatal(err)
		}
		var now struct{ Date time.Time }
		if err := reply.Decode(0, &now); err != nil || math.Abs(time.Since(now.Date).Seconds()) > 60 {
			v.Errorf("%v, %v", now.Date, err)
		}
	}},
	{"event: JSON that is ready goes as it is (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		reply, err := s.EmitWithAck(v.soon(), "echo", parser.Raw{JSON: []byte(`{"a":[1,2.50]}`)})
		if err != nil {
			v.Fatal(err)
		}
		v.want("decoded", values(reply), []any{object{"a": []any{1.0, 2.5}}})
	}},
	{"event: what cannot be encoded is an error, and nothing is sent (C-20)", func(v *visit) {
		s := v.dial(v.at("plain") + "?watch=any")
		for _, value := range []any{func() {}, make(chan int), math.NaN(), object{"a": math.Inf(1)}} {
			if err := s.Emit("bad", value); err == nil {
				v.Errorf("Emit of %T succeeded", value)
			}
			if _, err := s.EmitWithAck(v.soon(), "bad", value); err == nil {
				v.Errorf("EmitWithAck of %T succeeded", value)
			}
		}
		v.ask(s, "echo")
		v.want("heard", v.noted("plain", "any", 1), [][]any{{"echo", "(ack)"}})
	}},
	{"event: names of the protocol are refused (C-20)", func(v *visit) {
		s := v.dial(v.at("plain") + "?watch=any")
		for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
			if err := s.Emit(name); !errors.Is(err, client.ErrReserved) {
				v.Errorf("Emit(%q): %v", name, err)
			}
			if err := s.Volatile().Emit(name); !errors.Is(err, client.ErrReserved) {
				v.Errorf("volatile Emit(%q): %v", name, err)
			}
			if _, err := s.EmitWithAck(v.soon(), name); !errors.Is(err, client.ErrReserved) {
				v.Errorf("EmitWithAck(%q): %v", name, err)
			}
		}
		v.ask(s, "echo")
		v.want("heard", v.noted("plain", "any", 1), [][]any{{"echo", "(ack)"}})
	}},
	{"event: any other name will do (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		for _, name := range []string{"", "error", "ping", "a b", "€", "open", "reconnect", "__proto__", "message", strings.Repeat("n", 1000)} {
			came := v.heard(s, name)
			v.ask(s, "emit", name, 1)
			v.want(name, v.wait(name, came, 1), []any{1.0})
		}
	}},
	{"event: many are handled by the server in order (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		echoes := v.heard(s, "echo")
		for i := range 1000 {
			v.emit(s, "echo", i)
		}
		v.want("order", v.wait("echoes", echoes, 1000), numbers(1000))
	}},
	{"event: many of the server's arrive in order (C-20)", func(v *visit) {
		s := v.dial(v.at("plain"))
		ticks := v.heard(s, "tick")
		v.want("sent", v.ask(s, "burst", 1000), []any{1000.0})
		for i, got := range v.wait("ticks", ticks, 1000) {
			v.want("tick", got, any([]any{float64(i), tick(i)}))
		}
	}},
	{"event: each namespace has its own (C-1)", func(v *visit) {
		m := v.manager(v.at("plain"))
		root, one := v.of(m, "/"), v.of(m, "/one")
		v.connect(root, one)
		atRoot, atOne := v.heard(root, "echo"), v.heard(one, "echo")
		for i := range 20 {
			v.emit(root, "echo", i)
			v.emit(one, "echo", -i)
		}
		v.want("root", v.wait("root's", atRoot, 20), numbers(20))
		v.want("one", v.wait("one's", atOne, 20)[19], any(-19.0))
	}},
	{"event: a slow handler keeps the others waiting, in order, and the connection alive (C-19)", func(v *visit) {
		s := v.dial(v.at("quick")) // a heartbeat of 300 ms
		order := new(record)
		s.On("tick", func(_ context.Context, e *client.Event) {
			var n int
			_ = e.Decode(0, &n)
			if n == 0 {
				<-time.After(time.Second)
			}
			order.add(float64(n))
		})
		life := v.life(s)
		v.emit(s, "burst", 10)
		v.want("order", v.wait("ticks", order, 10), numbers(10))
		v.want("life", life.all(), []any{})
	}},
	{"event: more than a lane holds arrives, however slow the handler (C-19)", func(v *visit) {
		s := v.dial(v.at("plain"))
		order, gate := new(record), make(chan struct{})
		s.On("tick", func(_ context.Context, e *client.Event) {
			<-gate
			var n float64
			_ = e.Decode(0, &n)
			order.add(n)
		})
		v.emit(s, "burst", 3000)
		close(gate)
		v.want("order", v.wait("ticks", order, 3000), numbers(3000))
	}},
	{"event: Flush waits until all is with the network (C-10)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.settled(s)
		for i := range 100 {
			v.emit(s, "ignore", strconv.Itoa(i))
		}
		if err := s.Manager().Flush(v.soon()); err != nil {
			v.Error(err)
		}
		packets, bytes := s.Buffered()
		v.want("buffered", []int{packets, bytes}, []int{0, 0})
	}},
}
