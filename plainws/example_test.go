package plainws_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/plainws"
)

// Lobby serves clients of Socket.IO and plain ones, which are in the same rooms.
type Lobby struct{ perch.Base }

func (g *Lobby) Options() perch.Options {
	return perch.Options{Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws/{room}"), plainws.At("/lines/{room}", plainws.WithCodec(Lines{}))}}
}

func (g *Lobby) Register(r *perch.Router) {
	perch.On(r, "say", g.Say)
}

func (g *Lobby) HandleConnection(ctx context.Context, s *perch.Socket) error {
	return s.Join(room(s))
}

func (g *Lobby) Say(ctx context.Context, text string) (int, error) {
	return len(text), g.Server().To(room(perch.SocketFrom(ctx))).Emit("said", text)
}

// room has a prefix, so that nobody joins the room of another socket, whose name is its id.
func room(s *perch.Socket) string { return "room:" + s.PathValue("room") }

// A client that has nothing but a WebSocket.
func ExampleAt() {
	srv, stop := start()
	defer stop()
	ctx := context.Background()
	conn, _, err := websocket.Dial(ctx, srv.URL+"/ws/lobby", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(websocket.StatusNormalClosure, "")
	_ = conn.Write(ctx, websocket.MessageText, []byte(`{"event":"say","data":"hello","id":1}`))
	for range 2 {
		_, frame, _ := conn.Read(ctx)
		fmt.Printf("%s\n", frame)
	}
	// Output:
	// {"event":"said","data":"hello"}
	// {"id":1,"data":5}
}

// Lines is a format for people who type: an event's name, perhaps with # and an id, and JSON behind a space.
type Lines struct{}

func (Lines) Format() string { return "lines" }

func (Lines) Parse(m *plainws.Message, frame []byte, binary bool) error {
	head, data, _ := bytes.Cut(frame, []byte(" "))
	name, id, _ := bytes.Cut(head, []byte("#"))
	if binary || len(head) == 0 {
		return errors.New("a line is EVENT DATA or EVENT#ID DATA")
	}
	if len(name) > 0 { // #ID DATA is an answer
		m.Event = name
	}
	m.ID, m.Data = id, data
	return nil
}

func (Lines) Append(dst []byte, m *plainws.Message) (frame []byte, binary bool, err error) {
	dst = append(dst, m.Event...)
	if len(m.ID) > 0 {
		dst = append(append(dst, '#'), m.ID...)
	}
	return append(append(dst, ' '), m.Data...), false, nil
}

func ExampleCodec() {
	srv, stop := start()
	defer stop()
	ctx := context.Background()
	conn, _, err := websocket.Dial(ctx, srv.URL+"/lines/lobby", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(websocket.StatusNormalClosure, "")
	_ = conn.Write(ctx, websocket.MessageText, []byte(`say#1 "hello"`))
	for range 2 {
		_, frame, _ := conn.Read(ctx)
		fmt.Printf("%s\n", frame)
	}
	// Output:
	// said "hello"
	// #1 5
}

// start serves a lobby.
func start() (srv *httptest.Server, stop func()) {
	app, err := perch.New(perch.WithGateways(&Lobby{}), perch.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	if err := app.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	srv = httptest.NewServer(mux)
	return srv, func() {
		_ = app.Shutdown(context.Background())
		srv.Close()
	}
}
