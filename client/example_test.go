package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"time"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio"
)

// Message is what is posted.
type Message struct {
	Text string `json:"text"`
}

// Receipt is the answer to it.
type Receipt struct {
	ID int `json:"id"`
}

// Range says which messages are wanted.
type Range struct {
	Last int `json:"last"`
}

// What the chat's server and its clients agree on.
const (
	Posted  event.Event[Message]              = "posted"
	Post    event.Request[Message, Receipt]   = "post"
	History event.Stream[Range, Message]      = "history"
	Typing  event.Event[event.None]           = "typing"
	Version event.Request[event.None, string] = "version"
)

// serve starts a server for an example.
func serve(o socketio.Options, setup func(s *socketio.Server)) (url string, stop func()) {
	s, err := socketio.New(o)
	if err != nil {
		log.Fatal(err)
	}
	setup(s)
	ts := httptest.NewServer(s)
	return ts.URL, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		ts.Close()
	}
}

// chat is the server of these examples.
func chat(s *socketio.Server) {
	room := s.Of("/chat")
	posts := 0
	room.Handle("post", func(_ context.Context, e *socketio.Event) {
		var m Message
		if err := e.Decode(0, &m); err != nil || m.Text == "" {
			_ = e.Ack(map[string]string{"status": "error", "code": "INVALID", "message": "say something"})
			return
		}
		posts++
		_ = room.Emit("posted", m)
		_ = e.Ack(Receipt{ID: posts})
	})
	room.Handle("history", func(_ context.Context, e *socketio.Event) {
		var r Range
		_ = e.Decode(0, &r)
		for i := range r.Last {
			_ = e.Socket().Emit("history", Message{Text: fmt.Sprint("message ", i+1)})
		}
		_ = e.Ack() // the end
	})
}

// Dial returns when the client is connected, or says why it is not.
func Example() {
	url, stop := serve(socketio.Options{}, chat)
	defer stop()
	ctx := context.Background() // the life of the connection

	s, err := client.Dial(ctx, url+"/chat", client.Options{})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()
	receipt, err := client.Call[Receipt](ctx, s, "post", Message{Text: "hello"})
	fmt.Println(receipt, err)
	// Output: {1} <nil>
}

// Handlers that are registered before Connect miss nothing.
func ExampleNew() {
	url, stop := serve(socketio.Options{}, func(s *socketio.Server) {
		s.OnConnection(func(_ context.Context, s *socketio.Socket) error {
			return s.Emit("posted", Message{Text: "welcome"})
		})
	})
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // ends it all

	s, err := client.New(ctx, url, client.Options{})
	if err != nil {
		log.Panic(err) // the URL or the options are wrong
	}
	received := make(chan string)
	client.On(s, Posted, func(_ context.Context, m Message) { received <- m.Text })
	s.OnDisconnect(func(reason client.Reason, err error) { log.Println("offline:", reason, err) })
	if err := s.Connect(ctx); err != nil {
		log.Panic(err)
	}
	fmt.Println(<-received)
	_ = s.Close()
	// Output: welcome
}

// With a descriptor nothing is said twice; an error that the server answers is an *Error.
func ExampleCall() {
	url, stop := serve(socketio.Options{}, chat)
	defer stop()
	ctx := context.Background()
	s, err := client.Dial(ctx, url+"/chat", client.Options{})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	receipt, err := client.Call(ctx, s, Post, Message{Text: "hello"})
	fmt.Println(receipt.ID, err)

	_, err = client.Call(ctx, s.Timeout(5*time.Second), Post, Message{})
	var refused *client.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Code, refused.Message)
	}
	// Output:
	// 1 <nil>
	// INVALID say something
}

// What is emitted is not waited for: the server may get it later, or never.
func ExampleEmit() {
	received := make(chan string)
	url, stop := serve(socketio.Options{}, func(s *socketio.Server) {
		tell := func(_ context.Context, e *socketio.Event) { received <- fmt.Sprint(e.Name(), " ", e.NumArgs()) }
		s.Handle("posted", tell)
		s.Handle("typing", tell)
		s.Handle("move", tell)
	})
	defer stop()
	s, err := client.Dial(context.Background(), url, client.Options{})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	fmt.Println(client.Emit(s, Posted, Message{Text: "hello"}), <-received)
	fmt.Println(client.Emit(s, Typing, event.None{}), <-received) // no argument
	fmt.Println(s.Emit("move", 3, 4), <-received)                 // several
	// Output:
	// <nil> posted 1
	// <nil> typing 0
	// <nil> move 2
}

// A server may ask, too.
func ExampleOnRequest() {
	answers := make(chan string)
	url, stop := serve(socketio.Options{}, func(s *socketio.Server) {
		s.Handle("ready", func(ctx context.Context, e *socketio.Event) {
			var version string
			reply, err := e.Socket().EmitWithAck(ctx, "version")
			if err == nil {
				err = reply.Decode(0, &version)
			}
			answers <- fmt.Sprint(version, " ", err)
		})
	})
	defer stop()
	ctx := context.Background()
	s, err := client.New(ctx, url, client.Options{})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	client.OnRequest(s, Version, func(context.Context, event.None) (string, error) { return "1.2.3", nil })
	if err := s.Connect(ctx); err != nil {
		log.Panic(err)
	}
	_ = s.Emit("ready")
	fmt.Println(<-answers)
	// Output: 1.2.3 <nil>
}

// Events collects from the call on, so none is missed between the request and the loop.
func ExampleEvents() {
	url, stop := serve(socketio.Options{}, chat)
	defer stop()
	ctx := context.Background()
	s, err := client.Dial(ctx, url+"/chat", client.Options{})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	posted := client.Events(ctx, s, Posted)
	for _, text := range []string{"one", "two", "three"} {
		if _, err := client.Call(ctx, s, Post, Message{Text: text}); err != nil {
			log.Panic(err)
		}
	}
	for m, err := range posted {
		if err != nil {
			log.Panic(err)
		}
		fmt.Println(m.Text)
		if m.Text == "three" {
			break
		}
	}
	// Output:
	// one
	// two
	// three
}

// A stream is over when the server acknowledges the request.
func ExampleStream() {
	url, stop := serve(socketio.Options{}, chat)
	defer stop()
	ctx := context.Background()
	s, err := client.Dial(ctx, url+"/chat", client.Options{})
	if err != nil {
		log.Panic(err)
	}
	defer s.Close()

	for m, err := range client.Stream(ctx, s, History, Range{Last: 2}) {
		if err != nil {
			log.Panic(err)
		}
		fmt.Println(m.Text)
	}
	// Output:
	// message 1
	// message 2
}
