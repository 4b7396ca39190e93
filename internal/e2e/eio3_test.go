package e2e

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// TestEIO3 runs the client of 2.x, which speaks protocol 3, against us and against the reference (S-20, spec 3.3).
func TestEIO3(t *testing.T) {
	suite(t, "eio3.test.mjs", map[string]string{"PERCH_EIO3_URL": startEIO3(t, 300*time.Millisecond, 2*time.Second)})
}

// TestEIO3Browser does the same in a browser, where the client has binary polling and JSONP.
func TestEIO3Browser(t *testing.T) {
	suite(t, "eio3.browser.test.mjs", map[string]string{
		"PERCH_EIO3_URL": startEIO3(t, 500*time.Millisecond, 5*time.Second), // a form of JSONP takes its time
		"PERCH_CHROMIUM": chromium(t),
	})
}

// startEIO3 serves what eio3.reference.mjs does until the test ends.
func startEIO3(t *testing.T, pingInterval, pingTimeout time.Duration) (url string) {
	t.Helper()
	srv, err := socketio.New(socketio.Options{
		Engine: engineio.Options{
			AllowEIO3:    true,
			PingInterval: pingInterval, PingTimeout: pingTimeout,
			// The client of 2.x sends cookies to other origins unless told otherwise, and browsers do not take "*" then.
			CORS: &engineio.CORS{AllowOrigin: func(string, *http.Request) bool { return true }, Credentials: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	journal := srv.Of("/journal")
	srv.Of("/").Use(func(_ context.Context, s *socketio.Socket) error {
		if s.Handshake().Query().Get("root") == "closed" {
			return &socketio.ConnectError{Message: "no root for you"}
		}
		return nil
	})
	for _, name := range []string{"/", "/chat"} {
		olderEvents(srv.Of(name), journal)
	}
	srv.Of("/guarded").Use(func(_ context.Context, s *socketio.Socket) error {
		switch authOf(s).Token {
		case "secret":
			return nil
		case "wrong":
			return &socketio.ConnectError{Message: "not authorized", Data: map[string]any{"code": 401}}
		}
		return &socketio.ConnectError{Message: "not authorized"}
	})
	return listen(t, srv, srv)
}

func olderEvents(ns, journal *socketio.Namespace) {
	ns.OnConnection(func(_ context.Context, s *socketio.Socket) error {
		var auth map[string]any
		return errors.Join(s.Handshake().DecodeAuth(&auth), s.Emit("hello", map[string]any{
			"id": s.ID(), "engine": s.Conn().ID(), "protocol": s.Conn().Protocol(),
			"auth": auth, "query": s.Handshake().Query().Get("team"), "rooms": s.Rooms(),
		}))
	})
	ns.OnDisconnect(func(_ context.Context, s *socketio.Socket, r socketio.Reason) {
		_ = journal.Emit("gone", map[string]any{"id": s.ID(), "reason": r})
	})
	ns.Handle("echo", func(_ context.Context, e *socketio.Event) { _ = e.Ack(all(e)...) })
	ns.Handle("back", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("back", all(e)...) })
	ns.Handle("ask", askBack)
	ns.Handle("kick", func(_ context.Context, e *socketio.Event) { e.Socket().Disconnect(arg[bool](e, 0)) })
	ns.Handle("join", func(_ context.Context, e *socketio.Event) {
		_ = e.Socket().Join(arg[string](e, 0))
		_ = e.Ack()
	})
	ns.Handle("say", func(_ context.Context, e *socketio.Event) {
		_ = ns.To(arg[[]string](e, 0)...).Emit("said", arg[any](e, 1))
		_ = e.Ack()
	})
	ns.Handle("burst", func(_ context.Context, e *socketio.Event) {
		n := arg[int](e, 0)
		for i := range n {
			var value any = []byte{byte(i), byte(i >> 8)}
			if i%3 != 0 {
				value = "text " + strconv.Itoa(i)
			}
			_ = e.Socket().Emit("tick", i, value)
		}
		_ = e.Ack(n)
	})
}
