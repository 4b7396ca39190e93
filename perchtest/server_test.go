package perchtest_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/perchtest"
	"github.com/perch-go/perch/socketio"
)

// inBubbleAndOut runs a test on the real clock and on a bubble's.
func inBubbleAndOut(t *testing.T, test func(t *testing.T)) {
	t.Run("real clock", func(t *testing.T) { t.Parallel(); test(t) })
	t.Run("bubble", func(t *testing.T) { t.Parallel(); synctest.Test(t, test) })
}

func named(name string) client.Options { return client.Options{Auth: Account{name}} }

func TestServer(t *testing.T) {
	t.Parallel()
	inBubbleAndOut(t, func(t *testing.T) {
		srv := perchtest.New(t, perch.WithGateways(&Chat{}))
		ann, ben := srv.Dial(t, "/chat", named("Ann")), srv.Dial(t, "chat", named("Ben"))
		if got := perchtest.Next[string](t, ann, "welcome"); got != "Ann" {
			t.Errorf("welcome %q", got)
		}
		for _, c := range []*perchtest.Client{ann, ben} {
			if _, err := c.EmitWithAck(t.Context(), "join", "lobby"); err != nil {
				t.Fatal(err)
			}
		}
		if got := perchtest.Next(t, ann, Joined); got != "Ben" {
			t.Errorf("joined %q", got)
		}
		var want []Post
		for i, text := range []string{"a", "b", "c"} {
			p := Post{"lobby", text}
			want = append(want, p)
			if got, err := client.Call(t.Context(), ann, Say, p); err != nil || got.ID != i+1 {
				t.Errorf("%v, %v", got, err)
			}
		}
		for _, c := range []*perchtest.Client{ann, ben} {
			if got := perchtest.NextN(t, c, Posted, 3); !slices.Equal(got, want) {
				t.Errorf("posted %v", got)
			}
		}
		var handlerError *client.Error
		if _, err := client.Call(t.Context(), ann, Say, Post{}); !errors.As(err, &handlerError) || handlerError.Code != perch.CodeInternal {
			t.Errorf("%v", err)
		}
		if err := client.Emit(ann, "say", Post{}); err != nil {
			t.Fatal(err)
		}
		if got := perchtest.Next[client.Error](t, ann, "exception"); got.Code != perch.CodeInternal {
			t.Errorf("%+v", got)
		}
	})
}

func TestTransports(t *testing.T) {
	t.Parallel()
	for name, transports := range map[string][]client.Transport{
		"websocket": nil, "polling": {client.Polling}, "upgrade": {client.Polling, client.WebSocket},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubbleAndOut(t, func(t *testing.T) {
				srv := perchtest.New(t, perch.WithGateways(&Chat{}))
				o := named("Ann")
				o.Transports = transports
				c := srv.Client(t, "/chat", o)
				upgraded := make(chan client.Transport, 1)
				c.Manager().OnUpgrade(func(t client.Transport) { upgraded <- t })
				if err := c.Connect(t.Context()); err != nil {
					t.Fatal(err)
				}
				if name == "upgrade" {
					<-upgraded
				}
				if got, err := client.Call(t.Context(), c, Say, Post{"r", "hi"}); err != nil || got.ID != 1 {
					t.Errorf("%v, %v", got, err)
				}
				want := client.WebSocket
				if name == "polling" {
					want = client.Polling
				}
				if got := c.Manager().Transport(); got != want {
					t.Errorf("over %s", got)
				}
			})
		})
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	srv := perchtest.New(t, perch.WithGateways(&Chat{}))
	var refused *client.ConnectError
	if err := srv.Client(t, "/chat", client.Options{}).Connect(t.Context()); !errors.As(err, &refused) || refused.Message != "say who you are" {
		t.Errorf("%v", err)
	}
	wantFailure(t, "/chat: client: refused by the server: say who you are", func(t testing.TB) { srv.Dial(t, "/chat", client.Options{}) })
}

// The server asks, and the test answers.
func TestAnswering(t *testing.T) {
	t.Parallel()
	inBubbleAndOut(t, func(t *testing.T) {
		srv := perchtest.New(t, perch.WithGateways(&Chat{}))
		c := srv.Dial(t, "/chat", named("Ann"))
		answered := make(chan error, 1)
		go func() {
			yes, err := client.Call[bool](t.Context(), c, "ask", "sure?")
			if err == nil && !yes {
				err = errors.New("no")
			}
			answered <- err
		}()
		e := c.NextEvent(t, string(Confirm))
		if string(e.Raw(0)) != `"sure?"` || e.Ack(true) != nil {
			t.Errorf("%s", e.Raw(0))
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
	})
}

// An hour of heartbeats, and a minute that the gateway waits, take no time.
func TestFakeTime(t *testing.T) {
	t.Parallel()
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		srv := perchtest.New(t, perch.WithGateways(&Chat{}))
		c := srv.Dial(t, "/chat", named("Ann"))
		perchtest.Next[string](t, c, "welcome")
		time.Sleep(time.Hour)
		if err := client.Emit(c, "later", event.None{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - time.Second)
		c.NoEvents(t)
		time.Sleep(time.Second)
		perchtest.Next(t, c, Typing)
		c.NoEvents(t)
	})
	if d := time.Since(began); d > time.Minute {
		t.Errorf("it took %v", d)
	}
}

// A client that answers no ping is disconnected after pingInterval and pingTimeout, in no time.
func TestHeartbeatTimeout(t *testing.T) {
	t.Parallel()
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		chat := &Chat{}
		srv := perchtest.New(t, perch.WithGateways(chat), perch.WithEngine(perch.EngineOptions{PingInterval: time.Hour, PingTimeout: time.Minute}))
		conn, _, err := websocket.Dial(t.Context(), srv.URL()+"/socket.io/?EIO=4&transport=websocket",
			&websocket.DialOptions{HTTPClient: srv.HTTPClient()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(`40/chat,{"name":"Ann"}`)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Minute - time.Second)
		if got := chat.reasons(); len(got) > 0 {
			t.Errorf("too early: %q", got)
		}
		time.Sleep(2 * time.Second)
		if got := chat.reasons(); !slices.Equal(got, []perch.Reason{socketio.ReasonPingTimeout}) {
			t.Errorf("disconnected: %q", got)
		}
	})
	if d := time.Since(began); d > time.Minute {
		t.Errorf("it took %v", d)
	}
}

// A network that fails: the server notices, and the client is back a moment later.
func TestCloseClientConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chat := &Chat{}
		srv := perchtest.New(t, perch.WithGateways(chat))
		c := srv.Dial(t, "/chat", named("Ann"))
		perchtest.Next[string](t, c, "welcome")
		srv.CloseClientConnections()
		if got := c.NextDisconnect(t); got != client.TransportClose {
			t.Errorf("the client: %q", got)
		}
		perchtest.Next[string](t, c, "welcome")
		if got := chat.reasons(); !slices.Equal(got, []perch.Reason{socketio.ReasonTransportClose}) {
			t.Errorf("the gateway: %q", got)
		}
		if err := c.Emit("leave"); err != nil {
			t.Fatal(err)
		}
		if got := c.NextDisconnect(t); got != client.ServerDisconnect && got != client.TransportClose {
			t.Errorf("the client: %q", got)
		}
	})
}

// A port of a gateway's own is in memory, too.
func TestOwnPort(t *testing.T) {
	t.Parallel()
	srv := perchtest.New(t, perch.WithGateways(&Chat{port: 3001}, &echo{}))
	c := srv.Dial(t, "http://perch.test:3001/chat", named("Ann"))
	perchtest.Next[string](t, c, "welcome")
	if got, err := client.Call[string](t.Context(), srv.Dial(t, "/", client.Options{}), "echo", "hi"); got != "hi" || err != nil {
		t.Error(got, err)
	}
	if _, err := srv.HTTPClient().Get(srv.URL() + ":3002"); err == nil {
		t.Error("a port that nobody has")
	}
	if err := srv.App().Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := srv.HTTPClient().Get(srv.URL() + ":3001"); err == nil {
		t.Error("a port that was closed")
	}
	wantFailure(t, "port 80 cannot be opened", func(t testing.TB) {
		perchtest.New(t, perch.WithGateways(&Chat{port: 80}, &echo{}))
	})
}

// echo is a gateway on "/".
type echo struct{ perch.Base }

func (g *echo) Options() perch.Options { return perch.Options{} }

func (g *echo) Register(r *perch.Router) {
	perch.On(r, "echo", func(_ context.Context, text string) (string, error) { return text, nil })
}

// An app of the program's own, beside its routes and behind its middleware.
func TestServe(t *testing.T) {
	t.Parallel()
	inBubbleAndOut(t, func(t *testing.T) {
		app, err := perch.New(perch.WithLogger(slog.New(slog.DiscardHandler)), perch.WithGateways(&echo{}))
		if err != nil {
			t.Fatal(err)
		}
		if err := app.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		app.Mount(mux)
		mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })
		srv := perchtest.Serve(t, app, mux)
		if srv.App() != app {
			t.Error("another app")
		}
		resp, err := srv.HTTPClient().Get(srv.URL() + "/health")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if string(body) != "fine" || err != nil {
			t.Errorf("%s %v", body, err)
		}
		c := srv.Dial(t, "/", client.Options{})
		if err := app.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		c.NextDisconnect(t)
	})
}

// What is wrong fails the test, and says what.
func TestFailures(t *testing.T) {
	t.Parallel()
	wantFailure(t, "no gateway", func(t testing.TB) { perchtest.New(t) })
	wantFailure(t, "AfterInit: no database", func(t testing.TB) { perchtest.New(t, perch.WithGateways(&broken{})) })
	wantFailure(t, "bubble", func(t testing.TB) {
		srv := perchtest.New(t, perch.WithGateways(&Chat{}))
		srv.Dial(t, "/chat", named("Ann")).NoEvents(t)
	})
	wantFailure(t, `AckTimeout`, func(t testing.TB) {
		perchtest.New(t, perch.WithGateways(&Chat{})).Client(t, "/chat", client.Options{AckTimeout: -1})
	})
	wantFailure(t, `event welcome("Ann") is no int`, func(t testing.TB) {
		c := perchtest.New(t, perch.WithGateways(&Chat{})).Dial(t, "/chat", named("Ann"))
		perchtest.Next[int](t, c, "welcome")
	})
	for want, fail := range map[string]func(testing.TB, *perchtest.Client){
		`no event "posted" within 10s; what came is welcome("Ann")`: func(t testing.TB, c *perchtest.Client) { perchtest.Next(t, c, Posted) },
		`no disconnect within 10s; what came is welcome("Ann")`:     func(t testing.TB, c *perchtest.Client) { c.NextDisconnect(t) },
		`event welcome("Ann") came`:                                 func(t testing.TB, c *perchtest.Client) { c.NoEvents(t, "welcome") },
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := perchtest.New(t, perch.WithGateways(&Chat{}))
			wantFailure(t, want, func(t testing.TB) { fail(t, srv.Dial(t, "/chat", named("Ann"))) })
			wantFailure(t, `event welcome("Ann") came`, func(t testing.TB) { srv.Dial(t, "/chat", named("Ann")).NoEvents(t) })
			srv.Dial(t, "/chat", named("Ben")).NoEvents(t, "posted")
		})
	}
}

// What is logged is in the test's output, and goes nowhere when the test is over.
func TestLateLog(t *testing.T) {
	t.Parallel()
	g, test := &late{}, &failing{TB: t}
	perchtest.New(test, perch.WithGateways(g))
	log := func() { perch.OnEvent(g.router, "late", func(context.Context, perch.None) error { return nil }) }
	log()
	written := test.output.String()
	if !strings.Contains(written, "event=late") {
		t.Errorf("logged %q", written)
	}
	test.end()
	log()
	if now := test.output.String(); now != written {
		t.Errorf("logged after the end: %q", now)
	}
}

// late is a gateway whose Register is not over when it has returned, which is logged.
type late struct {
	echo
	router *perch.Router
}

func (g *late) Register(r *perch.Router) { g.router = r }

// broken is a gateway that does not start.
type broken struct{ echo }

func (*broken) AfterInit(*perch.Server) error { return errors.New("no database") }
