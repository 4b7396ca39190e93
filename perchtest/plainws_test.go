package perchtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/perchtest"
	"github.com/perch-go/perch/plainws"
)

// room is a gateway for both kinds of clients.
type room struct{ perch.Base }

func (g *room) Options() perch.Options {
	return perch.Options{Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws/{room}", plainws.WithSubprotocols("v1"))}}
}

func (g *room) Register(r *perch.Router) {
	r.UseConnectionGuards(func(ctx context.Context, ec *perch.ExecutionContext) error {
		if ec.Socket().Handshake().Query().Get("token") == "bad" {
			return &perch.Error{Code: "unauthorized", Message: "who are you?"}
		}
		return nil
	})
	perch.On(r, "say", func(ctx context.Context, text string) (int, error) {
		return len(text), perch.SocketFrom(ctx).To("all").Emit("said", text, []byte{1})
	})
	perch.On(r, "ask", func(ctx context.Context, _ perch.None) (bool, error) {
		answer, err := perch.SocketFrom(ctx).EmitWithAck(ctx, "sure?", 1)
		if err != nil {
			return false, err
		}
		var yes bool
		return yes, answer.Decode(0, &yes)
	})
	perch.OnEvent(r, "fail", func(context.Context, perch.None) error { return perch.Errorf("NO", "no.") })
	perch.OnEvent(r, "go", func(ctx context.Context, _ perch.None) error {
		perch.SocketFrom(ctx).Disconnect(false)
		return nil
	})
}

func (g *room) HandleConnection(ctx context.Context, s *perch.Socket) error {
	if s.PathValue("room") == "full" {
		return perch.Errorf("FULL", "no room")
	}
	return s.Join("all")
}

// DialWebSocket beside the platform that it is for, in memory and in fake time.
func TestWebSocketOfPlainws(t *testing.T) {
	t.Parallel()
	inBubbleAndOut(t, func(t *testing.T) {
		srv := perchtest.New(t, perch.WithGateways(&room{}), perch.WithLogger(slog.New(slog.DiscardHandler)))
		w := srv.DialWebSocket(t, "/ws/lobby", perchtest.WebSocketOptions{Subprotocols: []string{"v0", "v1"}})
		if w.Subprotocol() != "v1" {
			t.Errorf("subprotocol %q", w.Subprotocol())
		}
		io := srv.Dial(t, "/", client.Options{})
		var n int
		if f := w.Call(t, "say", "hello"); f.Event != "" || f.Decode(&n) != nil || n != 5 {
			t.Errorf("answer %v", f)
		}
		if text := perchtest.Next[string](t, io, "said"); text != "hello" {
			t.Errorf("said %q", text)
		}
		if _, err := io.EmitWithAck(t.Context(), "say", "back"); err != nil {
			t.Error(err)
		}
		if f := w.Next(t, "said"); string(f.Data) != `["back","AQ=="]` {
			t.Errorf("said %v", f)
		}
		if f := w.Call(t, "fail", perch.None{}); f.Event != "exception" || string(f.Data) != `{"status":"error","code":"NO","message":"no."}` {
			t.Errorf("answer %v", f)
		}
		w.Write(t, perchtest.Frame{Event: "ask", ID: json.RawMessage(`"mine"`)})
		w.Answer(t, w.Next(t, "sure?"), true)
		if f := w.Next(t, ""); string(f.ID) != `"mine"` || string(f.Data) != "true" {
			t.Errorf("answer %v", f)
		}
		w.Send(t, "go", perch.None{})
		if code, reason := w.NextClose(t); code != 1000 || reason != "server namespace disconnect" {
			t.Errorf("closed with %d %q", code, reason)
		}
		w = srv.DialWebSocket(t, "/ws/full", perchtest.WebSocketOptions{})
		if f := w.Next(t, "connect_error"); string(f.Data) != `{"message":"no room","data":{"code":"FULL"}}` {
			t.Errorf("refused with %v", f)
		}
		if code, _ := w.NextClose(t); code != 1008 {
			t.Errorf("closed with %d", code)
		}
		if status, body := srv.RefusedWebSocket(t, "/ws/lobby?token=bad", perchtest.WebSocketOptions{}); status != 401 || string(body) != `{"message":"who are you?","data":{"code":"unauthorized"}}` {
			t.Errorf("refused with %d %s", status, body)
		}
		if status, _ := srv.RefusedWebSocket(t, "/ws/lobby", perchtest.WebSocketOptions{Header: http.Header{"Origin": {"https://elsewhere.example"}}}); status != 403 {
			t.Errorf("refused with %d", status)
		}
	})
}

// hesitant is a gateway whose guard and hook wait until they may not any more.
type hesitant struct {
	perch.Base
	t      *testing.T
	causes chan error
}

func (g *hesitant) Options() perch.Options {
	return perch.Options{Platforms: []perch.Platform{plainws.At("/ws")}}
}

func (g *hesitant) Register(r *perch.Router) {
	r.UseConnectionGuards(func(ctx context.Context, ec *perch.ExecutionContext) error {
		query := ec.Socket().Handshake().Query()
		if query.Has("fast") {
			return nil
		}
		<-ctx.Done()
		g.causes <- ctx.Err()
		if query.Has("deaf") {
			return nil
		}
		return ctx.Err()
	})
}

func (g *hesitant) HandleConnection(ctx context.Context, s *perch.Socket) error {
	<-ctx.Done()
	return ctx.Err()
}

func (g *hesitant) HandleDisconnect(context.Context, *perch.Socket, perch.Reason) {
	g.t.Error("one that was not let in has left")
}

// Guards take their time: for no longer than the connect timeout, and no longer than the client waits; and whoever is not let in is told of to
// nobody.
func TestSlowGuard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &hesitant{t: t, causes: make(chan error, 10)}
		srv := perchtest.New(t, perch.WithGateways(g), perch.WithConnectTimeout(5*time.Second), perch.WithLogger(slog.New(slog.DiscardHandler)))
		began := time.Now()
		if status, body := srv.RefusedWebSocket(t, "/ws", perchtest.WebSocketOptions{}); status != 500 || time.Since(began) != 5*time.Second {
			t.Errorf("%d %s after %v", status, body, time.Since(began))
		}
		if err := <-g.causes; !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		for _, query := range []string{"", "?deaf"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, _, err := websocket.Dial(ctx, srv.URL()+"/ws"+query, &websocket.DialOptions{HTTPClient: srv.HTTPClient()}); err == nil {
				t.Error("let in")
			}
			cancel()
			if err := <-g.causes; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		synctest.Wait()
		if n := g.Server().Len(); n != 0 {
			t.Errorf("%d are there", n)
		}
		began = time.Now()
		w := srv.DialWebSocket(t, "/ws?fast", perchtest.WebSocketOptions{})
		w.Next(t, "connect_error")
		if code, reason := w.NextClose(t); code != 1011 || time.Since(began) > 6*time.Second {
			t.Errorf("%d %s after %v", code, reason, time.Since(began))
		}
	})
}
