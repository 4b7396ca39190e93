package perchtest_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/perchtest"
)

// frames is a server of frames beside an app, which does what their events say.
func frames(t *testing.T) *perchtest.Server {
	t.Helper()
	app, err := perch.New(perch.WithLogger(slog.New(slog.DiscardHandler)), perch.WithGateways(&echo{}))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ws/{room}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Token") == "" {
			http.Error(w, `{"message":"no token"}`, http.StatusUnauthorized)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"b"}})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			var in perchtest.Frame
			_, data, err := conn.Read(r.Context())
			if err != nil || json.Unmarshal(data, &in) != nil {
				return
			}
			out := ""
			switch in.Event {
			case "leave":
				_ = conn.Close(websocket.StatusPolicyViolation, "go away")
			case "drop":
				return
			case "nonsense":
				out = "nonsense"
			case "echo":
				out = `{"event":"echoed","data":"` + r.PathValue("room") + `"}` + "\n" + `{"id":` + string(in.ID) + `,"data":` + string(in.Data) + `}`
			case "fail":
				out = `{"event":"exception","id":` + string(in.ID) + `,"data":{"code":"X"}}`
			case "ask":
				out = `{"event":"sure","id":1}`
			case "":
				out = `{"event":"got","data":` + string(in.Data) + `}`
			}
			for line := range strings.SplitSeq(out, "\n") {
				if line != "" && conn.Write(r.Context(), websocket.MessageText, []byte(line)) != nil {
					return
				}
			}
		}
	})
	return perchtest.Serve(t, app, mux)
}

var let = perchtest.WebSocketOptions{Header: http.Header{"Token": {"x"}}, Subprotocols: []string{"a", "b"}}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	inBubbleAndOut(t, func(t *testing.T) {
		srv := frames(t)
		w := srv.DialWebSocket(t, "/ws/lobby", let)
		if w.Subprotocol() != "b" {
			t.Errorf("subprotocol %q", w.Subprotocol())
		}
		for range 2 {
			var got []byte
			if f := w.Call(t, "echo", []byte("bytes")); f.Event != "" || f.Decode(&got) != nil || string(got) != "bytes" {
				t.Errorf("answer %v", f)
			}
		}
		if f := w.Call(t, "fail", nil); f.Event != "exception" || string(f.Data) != `{"code":"X"}` {
			t.Errorf("answer %v", f)
		}
		var room string
		if f := w.Next(t, "echoed"); f.Decode(&room) != nil || room != "lobby" {
			t.Errorf("event %v", f)
		}
		w.Send(t, "ask", perch.None{})
		w.Answer(t, w.Next(t, "sure"), true)
		if f := w.Next(t, "got"); f.String() != `{"event":"got","data":true}` {
			t.Errorf("event %v", f)
		}
		w.Send(t, "leave", perch.None{})
		if code, reason := w.NextClose(t); code != 1008 || reason != "go away" {
			t.Errorf("closed with %d %q", code, reason)
		}
		w = srv.DialWebSocket(t, "/ws/lobby", let)
		w.Send(t, "drop", perch.None{})
		if code, _ := w.NextClose(t); code != 1006 {
			t.Errorf("closed with %d", code)
		}
		w = srv.DialWebSocket(t, "/ws/lobby", let)
		w.Close()
		w.NextClose(t)
		if status, body := srv.RefusedWebSocket(t, "/ws/lobby", perchtest.WebSocketOptions{}); status != 401 || !strings.Contains(string(body), "no token") {
			t.Errorf("refused with %d %s", status, body)
		}
	})
}

func TestWebSocketFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := frames(t)
		for want, fail := range map[string]func(t testing.TB, w *perchtest.WebSocket){
			`no event "echoed" within 10s; what came is [{"event":"sure","id":1}]`: func(t testing.TB, w *perchtest.WebSocket) {
				w.Send(t, "ask", nil)
				w.Next(t, "echoed")
			},
			`no answer to "drop": the connection has ended`: func(t testing.TB, w *perchtest.WebSocket) { w.Call(t, "drop", nil) },
			`no event "x": the connection has ended: frame "nonsense"`: func(t testing.TB, w *perchtest.WebSocket) {
				w.Send(t, "nonsense", nil)
				w.Next(t, "x")
			},
			"no end of the connection within 10s": func(t testing.TB, w *perchtest.WebSocket) { w.NextClose(t) },
			`frame {"event":"sure","id":1} came`: func(t testing.TB, w *perchtest.WebSocket) {
				w.NoFrames(t)
				w.Send(t, "ask", nil)
				w.NoFrames(t)
			},
			"unsupported type": func(t testing.TB, w *perchtest.WebSocket) { w.Send(t, "x", func() {}) },
		} {
			wantFailure(t, want, func(t testing.TB) { fail(t, srv.DialWebSocket(t, "/ws/lobby", let)) })
		}
		wantFailure(t, "is answered with 401 Unauthorized: {\"message\":\"no token\"}", func(t testing.TB) {
			srv.DialWebSocket(t, "/ws/lobby", perchtest.WebSocketOptions{})
		})
		wantFailure(t, "the client was let in", func(t testing.TB) { srv.RefusedWebSocket(t, "/ws/lobby", let) })
	})
}
