package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/perch-go/perch/socketio"
)

// The variables of these examples: a server, and a socket as handlers and hooks get it.
var (
	server *socketio.Server
	socket *socketio.Socket
)

// Every way to send an event, in the order of https://socket.io/docs/v4/emit-cheatsheet.
func Example_emitCheatsheet() {
	ctx := context.Background()

	// to the client
	_ = socket.Emit("hello", 1, "2", map[string]any{"3": []byte{4}})

	// to all clients in the current namespace except the sender
	_ = socket.Broadcast().Emit("hello")

	// to all clients in room1 except the sender
	_ = socket.To("room1").Emit("hello")

	// to all clients in room1 and/or room2 except the sender
	_ = socket.To("room1", "room2").Emit("hello")

	// to all clients in room1
	_ = server.In("room1").Emit("hello")

	// to all clients in room1 and/or room2 except those in room3
	_ = server.To("room1", "room2").Except("room3").Emit("hello")

	// to all clients in namespace "myNamespace"
	_ = server.Of("myNamespace").Emit("hello")

	// to all clients in room1 in namespace "myNamespace"
	_ = server.Of("myNamespace").To("room1").Emit("hello")

	// to an individual socket id (private message)
	_ = server.To(socket.ID()).Emit("hello")

	// to all clients on this node, when there are several
	_ = server.Local().Emit("hello")

	// to all connected clients
	_ = server.Emit("hello")

	// to all clients, with one acknowledgement per client
	answers, err := server.Timeout(10*time.Second).EmitWithAck(ctx, "hello", "world")
	fmt.Println(answers, err)

	// with acknowledgement
	answer, err := socket.EmitWithAck(ctx, "question")
	fmt.Println(answer, err)

	// without compression
	_ = socket.Compress(false).Emit("uncompressed", "that's rough")

	// an event that might be dropped if the client cannot be written to right now
	_ = socket.Volatile().Emit("maybe", "do you really need it?")

	// with timeout
	answer, err = socket.Timeout(5*time.Second).EmitWithAck(ctx, "my-event")
	fmt.Println(answer, err)

	// waiting until there is room for it, if the client does not keep up
	_ = socket.Send(ctx, "hello")

	// to the other servers of the cluster
	_ = server.ServerSideEmit("hello", "world")
}

// Everything that can be done with events of clients.
func Example_listenCheatsheet() {
	// to every client's event of that name; what is returned removes the handler again
	off := server.Handle("hello", func(ctx context.Context, e *socketio.Event) {
		var name string
		if err := e.Decode(0, &name); err != nil {
			return
		}
		if e.WantsAck() {
			_ = e.Ack("hello " + name)
		}
	})
	off()

	server.OnConnection(func(_ context.Context, s *socketio.Socket) error {
		// to the events of this client only
		s.Handle("details", func(_ context.Context, e *socketio.Event) {})

		// once
		s.Once("ready", func(_ context.Context, e *socketio.Event) {})

		// to all of its events, and to all that is sent to it
		s.OnAny(func(_ context.Context, e *socketio.Event) { log.Print("got ", e.Name()) })
		s.OnAnyOutgoing(func(_ *socketio.Socket, event string, args []any) { log.Print("sent ", event) })
		return nil
	})
	server.OnDisconnect(func(_ context.Context, s *socketio.Socket, r socketio.Reason) { log.Print(s.ID(), " left: ", r) })
}

// Who answered what. Who leaves does not hold up the others.
func ExampleBroadcast_EmitWithAck() {
	ctx := context.Background()
	answers, err := server.In("voters").Timeout(10*time.Second).EmitWithAck(ctx, "vote", "tea or coffee?")
	for _, a := range answers {
		var choice string
		if err := a.Decode(0, &choice); err != nil {
			log.Print(a.SocketID, ": ", err) // has left, or sent something else
			continue
		}
		log.Print(a.SocketID, " wants ", choice)
	}
	var incomplete *socketio.IncompleteError
	if errors.As(err, &incomplete) {
		log.Print("no answer from ", incomplete.Members)
	}
}

// The first good answer is enough.
func ExampleBroadcast_Answers() {
	for a, err := range server.Answers(context.Background(), "who can help?") {
		if err != nil {
			log.Print(err)
			break
		}
		var yes bool
		if a.Decode(0, &yes) == nil && yes {
			_ = server.To(a.SocketID).Emit("you are it")
			break
		}
	}
}

// Account is kept with each socket, under a key that says its type.
var Account = socketio.NewKey[struct{ Name string }]("account")

// The sockets of the whole cluster.
func ExampleServer_FetchSockets() {
	sockets, err := server.In("room1").FetchSockets(context.Background())
	if err != nil {
		log.Print(err) // sockets are those of the servers that have answered
	}
	for _, s := range sockets {
		log.Print(s.ID(), s.Rooms(), s.Handshake().Address, Account.Value(s).Name)
		_ = s.Emit("seen")
		_ = s.Join("room2")
	}
}

// What is kept with a socket under a key is found in every process of the cluster.
func ExampleKey() {
	server.Use(func(_ context.Context, s *socketio.Socket) error {
		Account.Set(s, struct{ Name string }{"Ada"})
		return nil
	})
	server.Handle("whoami", func(_ context.Context, e *socketio.Event) {
		_ = e.Ack(Account.Value(e.Socket()).Name)
	})
}

// Whole rooms, wherever their members are connected.
func ExampleBroadcast_SocketsJoin() {
	_ = server.In("room1").SocketsJoin("room2", "room3")
	_ = server.In("room2").Except("moderators").SocketsLeave("room1")
	_ = server.In("room3").DisconnectSockets(true)
}

// Each server of a cluster says how many clients it has.
func ExampleServer_ServerSideEmitWithAck() {
	server.HandleServerSide("count", func(_ context.Context, e *socketio.ServerEvent) {
		_ = e.Ack(server.Of("/").Len())
	})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	answers, err := server.ServerSideEmitWithAck(ctx, "count")
	total := server.Of("/").Len()
	for _, a := range answers {
		var count int
		if a.Decode(&count) == nil {
			total += count
		}
	}
	log.Print(total, " clients; ", err) // a server that did not answer is named by the error
}

// A middleware that lets only those who signed in do anything.
func ExampleNamespace_UseEvent() {
	server.Of("/").UseEvent(func(_ context.Context, e *socketio.Event) error {
		if _, ok := Account.Lookup(e.Socket()); !ok {
			// An acknowledgement says this; an event without one is just not handled.
			return &socketio.EventError{Code: "UNAUTHORIZED", Message: "sign in first"}
		}
		return nil
	})
	server.Of("/").OnError(func(_ context.Context, e *socketio.Event, err error) {
		log.Print(e.Name(), ": ", err)
		e.Socket().Disconnect(false)
	})
}

// Whoever leaves says goodbye to the rooms it is in.
func ExampleNamespace_OnDisconnecting() {
	server.Of("/").OnDisconnecting(func(_ context.Context, s *socketio.Socket, r socketio.Reason) {
		_ = s.To(s.Rooms()...).Emit("user has left", s.ID(), r)
	})
}
