package e2e

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/engineio"
)

// fake is a server that speaks Engine.IO, and of Socket.IO says what a case wants it to.
type fake struct {
	v   *visit
	url string

	mu       sync.Mutex
	sessions []*engineio.Session
	heard    record // packets of clients, without those of connecting
}

// startFake serves until the case ends. answer says something to a packet, the CONNECTs included; n counts sessions from 1.
func startFake(v *visit, answer func(say func(packets ...string), n int, packet string)) *fake {
	v.Helper()
	f := &fake{v: v}
	srv, err := engineio.New(engineio.Options{Logger: quiet}, func(s *engineio.Session) engineio.Handler {
		f.mu.Lock()
		f.sessions = append(f.sessions, s)
		n := len(f.sessions)
		f.mu.Unlock()
		say := func(packets ...string) {
			for _, p := range packets {
				if data, binary := strings.CutPrefix(p, "bytes:"); binary {
					m := new(engineio.Message)
					m.AppendBinary([]byte(data))
					_ = s.Send(m)
					continue
				}
				_ = s.SendText([]byte(p))
			}
		}
		return hearing(func(packet string) {
			if !strings.HasPrefix(packet, "0") {
				f.heard.add(packet)
			}
			answer(say, n, packet)
		})
	})
	if err != nil {
		v.Fatal(err)
	}
	web := httptest.NewServer(srv)
	web.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelError)
	v.Cleanup(func() {
		if err := srv.Shutdown(v.always()); err != nil {
			v.Error(err)
		}
		web.Close()
	})
	f.url = web.URL
	return f
}

// hearing is a handler of messages.
type hearing func(packet string)

func (h hearing) HandleMessage(data []byte, _ bool)  { h(string(data)) }
func (h hearing) HandleClose(engineio.Reason, error) {}

// welcome answers CONNECT to "/" as servers do, and anything else with other.
func welcome(more string, other func(say func(...string), n int, packet string)) func(func(...string), int, string) {
	return func(say func(...string), n int, packet string) {
		if packet == "0" || strings.HasPrefix(packet, "0{") {
			say(`0{"sid":"the-socket-number-` + string(rune('0'+n)) + `"` + more + `}`)
			return
		}
		if other != nil {
			other(say, n, packet)
		}
	}
}

// deaf answers nothing.
func deaf(func(...string), int, string) {}

// fakeCases: what no real server can be brought to.
var fakeCases = []goCase{
	{"an old server is recognised, and not tried again (C-13)", func(v *visit) {
		f := startFake(v, func(say func(...string), _ int, packet string) {
			if strings.HasPrefix(packet, "0") {
				say("0")
			}
		})
		s := v.socket(f.url)
		life, attempts := v.life(s), new(record)
		s.Manager().OnReconnectAttempt(func(n int) { attempts.add(n) })
		if err := s.Connect(v.soon()); !errors.Is(err, client.ErrOldServer) {
			v.Errorf("Connect: %v", err)
		}
		v.want("life", v.wait("OnConnectError", life, 1), []any{"connect_error"})
		v.want("state", []any{s.Connected(), s.Active(), attempts.all()}, []any{false, false, []any{}})
	}},
	{"an old server's name for a namespace is recognised, too (C-13)", func(v *visit) {
		f := startFake(v, func(say func(...string), _ int, packet string) {
			if strings.HasPrefix(packet, "0") {
				say("0/chat")
			}
		})
		if err := v.socket(f.url + "/chat").Connect(v.soon()); !errors.Is(err, client.ErrOldServer) {
			v.Errorf("Connect: %v", err)
		}
	}},
	{"a server of another protocol is refused at once (C-11)", func(v *visit) {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"code":5,"message":"Unsupported protocol version"}`))
		}))
		v.Cleanup(web.Close)
		err := v.socket(web.URL, func(o *client.Options) { o.NoReconnection = true }).Connect(v.soon())
		refused, ok := errors.AsType[*client.HandshakeError](err)
		if !ok || refused.Status != 400 || refused.Code != 5 || refused.Message != "Unsupported protocol version" {
			v.Errorf("Connect: %v", err)
		}
	}},
	{"what is no Engine.IO server is refused (C-11)", func(v *visit) {
		for _, body := range []string{"", "hello", "<html>", "0", "0{", `0{"sid":1}`, "4", `0{}`} {
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
			s := v.socket(web.URL, func(o *client.Options) { o.NoReconnection = true })
			if err := s.Connect(v.soon()); err == nil {
				v.Errorf("%q: it connected", body)
			}
			_ = s.Close()
			web.Close()
		}
	}},
	{"who never answers CONNECT is waited for, and may be left (C-11)", func(v *visit) {
		f := startFake(v, deaf)
		s := v.socket(f.url)
		life, opened := v.life(s), new(record)
		s.Manager().OnOpen(func() { opened.add("open") })
		connecting, soon := make(chan error, 1), v.soon()
		go func() { connecting <- s.Connect(soon) }()
		v.wait("open", opened, 1)
		v.want("state", []bool{s.Connected(), s.Active()}, []bool{false, true})
		s.Disconnect()
		if err := <-connecting; !errors.Is(err, client.ErrDisconnected) {
			v.Errorf("Connect: %v", err)
		}
		v.want("life", life.all(), []any{})
	}},
	{"what came before CONNECT was answered is heard before OnConnect (C-14)", func(v *visit) {
		f := startFake(v, func(say func(...string), n int, packet string) {
			if strings.HasPrefix(packet, "0") {
				say(`2["early",1]`, `51-["early",{"_placeholder":true,"num":0}]`, "bytes:\x01\x02")
				welcome("", nil)(say, n, packet)
				say(`2["early",3]`)
			}
		})
		s := v.socket(f.url)
		order := v.heard(s, "early")
		s.OnConnect(func() { order.add("connect") })
		v.connect(s)
		v.want("order", v.wait("all", order, 4), []any{1.0, []byte{1, 2}, "connect", 3.0})
	}},
	{"what came before a refusal is not heard (C-11, C-14)", func(v *visit) {
		f := startFake(v, func(say func(...string), _ int, packet string) {
			if strings.HasPrefix(packet, "0") {
				say(`2["early",1]`, `4{"message":"no"}`)
			}
		})
		s := v.socket(f.url)
		order := v.heard(s, "early")
		v.want("refusal", refusal(s.Connect(v.soon())), []any{"no"})
		v.want("order", order.all(), []any{})
	}},
	{"a second answer to CONNECT changes nothing but the id, or nothing at all (C-20)", func(v *visit) {
		f := startFake(v, welcome("", func(say func(...string), _ int, packet string) {
			if strings.HasPrefix(packet, `2["again"`) {
				say(`0{"sid":"another-socket-id-00"}`, `2["done"]`)
			}
		}))
		s := v.dial(f.url)
		life, done := v.life(s), v.heard(s, "done")
		v.emit(s, "again")
		v.wait("done", done, 1)
		v.want("connected", []any{s.Connected(), life.count("disconnect: parse error")}, []any{true, 0})
	}},
	{"what is for a namespace that nobody joined is ignored (C-20)", func(v *visit) {
		f := startFake(v, welcome("", func(say func(...string), _ int, packet string) {
			if strings.HasPrefix(packet, `2["go"`) {
				say(`0/other,{"sid":"x"}`, `2/other,["a",1]`, `3/other,0[]`, `1/other,`, `4/other,{"message":"no"}`, `2["done"]`)
			}
		}))
		s := v.dial(f.url)
		life, done := v.life(s), v.heard(s, "done")
		v.emit(s, "go")
		v.wait("done", done, 1)
		v.want("life", life.all(), []any{})
	}},
	{"DISCONNECT while connecting is a loss, or a refusal, never a hang (C-12)", func(v *visit) {
		f := startFake(v, func(say func(...string), n int, packet string) {
			if strings.HasPrefix(packet, "0") {
				say("1")
			}
		})
		if err := v.socket(f.url).Connect(v.soon()); err == nil || errors.Is(err, v.Context().Err()) {
			v.Errorf("Connect: %v", err)
		}
	}},
	{"a loss before CONNECT is answered is tried again (C-11)", func(v *visit) {
		var once sync.Once
		f := startFake(v, func(say func(...string), n int, packet string) {
			if n == 1 {
				once.Do(func() { say("9") }) // which ends the connection
				return
			}
			welcome("", nil)(say, n, packet)
		})
		s := v.socket(f.url)
		life := v.life(s)
		v.connect(s)
		v.want("life", v.wait("both", life, 2), []any{"connect_error", "connect"})
	}},
	{"a refusal whose message is bare is one (C-11)", func(v *visit) {
		f := startFake(v, func(say func(...string), _ int, packet string) {
			if strings.HasPrefix(packet, "0") {
				say(`4"just words"`)
			}
		})
		v.want("refusal", refusal(v.socket(f.url).Connect(v.soon())), []any{"just words"})
	}},
	{"recovery is asked for with pid and offset, besides auth (C-18)", func(v *visit) {
		asked := new(record)
		f := startFake(v, func(say func(...string), n int, packet string) {
			if strings.HasPrefix(packet, "0") {
				asked.add(packet)
			}
			welcome(`,"pid":"the-private-id"`, func(say func(...string), n int, packet string) {
				if strings.HasPrefix(packet, `2["go"`) {
					say(`2["news",1,"offset-1"]`, `2["news",2,"offset-2"]`)
				}
				if strings.HasPrefix(packet, `2["fail"`) {
					say("9")
				}
			})(say, n, packet)
		})
		s := v.dial(f.url, func(o *client.Options) { o.Auth = object{"token": "t"} })
		life, news := v.life(s), v.heard(s, "news")
		v.emit(s, "go")
		v.wait("news", news, 2)
		v.emit(s, "fail")
		v.until(life, "connect", 1)
		list := v.wait("two CONNECTs", asked, 2)
		v.want("first", list[0], any(`0{"token":"t"}`))
		for _, part := range []string{`"pid":"the-private-id"`, `"offset":"offset-2"`, `"token":"t"`} {
			if !strings.Contains(list[1].(string), part) {
				v.Errorf("CONNECT %s has no %s", list[1], part)
			}
		}
		v.want("recovered", s.Recovered(), true)
	}},
	{"recovery that the server does not grant is none (C-18)", func(v *visit) {
		f := startFake(v, func(say func(...string), n int, packet string) {
			pid := []string{"one", "two"}[n-1]
			welcome(`,"pid":"`+pid+`"`, func(say func(...string), _ int, _ string) { say("9") })(say, n, packet)
		})
		s := v.dial(f.url)
		life := v.life(s)
		v.emit(s, "fail")
		v.until(life, "connect", 1)
		v.want("recovered", s.Recovered(), false)
	}},
	{"an attachment that never comes is dropped with the connection (C-20)", func(v *visit) {
		f := startFake(v, welcome("", func(say func(...string), n int, packet string) {
			if strings.HasPrefix(packet, `2["go"`) {
				say(`52-["half",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "bytes:1", "9")
			}
			if strings.HasPrefix(packet, `2["ask"`) {
				say(`2["whole",1]`)
			}
		}))
		s := v.dial(f.url)
		life, half, whole := v.life(s), v.heard(s, "half"), v.heard(s, "whole")
		v.emit(s, "go")
		v.until(life, "connect", 1)
		v.emit(s, "ask")
		v.wait("the whole one", whole, 1)
		v.want("half", half.all(), []any{})
	}},
	{"bytes that nobody announced are a parse error (C-20)", func(v *visit) {
		f := startFake(v, welcome("", func(say func(...string), _ int, _ string) { say("bytes:stray") }))
		s := v.dial(f.url)
		life := v.life(s)
		v.emit(s, "go")
		v.want("life", v.wait("back", life, 2), []any{"disconnect: parse error", "connect"})
	}},
	{"numbers of attachments that cannot be are parse errors (C-20)", func(v *visit) {
		for _, packet := range []string{`50-["a"]`, `5["a"]`, `5-["a"]`, `599999999999-["a"]`, `51-["a",{"_placeholder":true,"num":7}]`} {
			f := startFake(v, welcome("", func(say func(...string), _ int, _ string) { say(packet, "bytes:1") }))
			s := v.dial(f.url)
			life := v.life(s)
			v.emit(s, "go")
			v.until(life, "disconnect: parse error", 1)
			_ = s.Close()
		}
	}},
	{"ids of acknowledgements that cannot be are no harm (C-16)", func(v *visit) {
		f := startFake(v, welcome("", func(say func(...string), _ int, packet string) {
			if strings.HasPrefix(packet, `2["go"`) {
				say(`300012345["x"]`, `39007199254740991["x"]`, `2["done"]`)
			}
		}))
		s := v.dial(f.url)
		life, done := v.life(s), v.heard(s, "done")
		v.emit(s, "go")
		v.wait("done", done, 1)
		v.want("life", life.all(), []any{})
	}},
	{"an answer that comes twice is one (C-16)", func(v *visit) {
		f := startFake(v, welcome("", func(say func(...string), _ int, packet string) {
			id, _, _ := strings.Cut(packet[1:], "[")
			say("3"+id+`["first"]`, "3"+id+`["second"]`)
		}))
		s := v.dial(f.url)
		v.want("answers", []any{v.ask(s, "a")[0], v.ask(s, "b")[0]}, []any{"first", "first"})
	}},
	{"an event named by a number is heard by its text (C-20)", func(v *visit) {
		f := startFake(v, welcome("", func(say func(...string), _ int, _ string) { say(`2[42,"x"]`) }))
		s := v.dial(f.url)
		came := v.heard(s, "42")
		v.emit(s, "go")
		v.want("event", v.wait("it", came, 1), []any{"x"})
	}},
	{"a server of hundreds of packets at once is heard in order (C-19)", func(v *visit) {
		f := startFake(v, welcome("", func(say func(...string), _ int, _ string) {
			for i := range 500 {
				say(`2["tick",` + show(i) + `]`)
			}
		}))
		s := v.dial(f.url)
		ticks := v.heard(s, "tick")
		v.emit(s, "go")
		v.want("ticks", v.wait("all", ticks, 500), numbers(500))
	}},
	{"an opening that takes too long is a timeout (C-7)", func(v *visit) {
		release := make(chan struct{})
		web := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}))
		v.Cleanup(web.Close)
		v.Cleanup(func() { close(release) })
		s := v.socket(web.URL, func(o *client.Options) { o.Timeout, o.NoReconnection = 50*time.Millisecond, true })
		if err := s.Connect(v.soon()); !errors.Is(err, client.ErrOpenTimeout) {
			v.Errorf("Connect: %v", err)
		}
	}},
}
