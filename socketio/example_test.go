package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/adapter/cluster"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

func Example() {
	server, err := socketio.New(socketio.Options{})
	if err != nil {
		log.Fatal(err)
	}
	chat := server.Of("/chat")
	chat.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Handshake().DecodeAuth(&auth); err != nil || auth.Token == "" {
			return &socketio.ConnectError{Message: "sign in first"}
		}
		return nil
	})
	chat.OnConnection(func(_ context.Context, s *socketio.Socket) error { return s.Join("lobby") })
	chat.Handle("message", func(_ context.Context, e *socketio.Event) {
		var text string
		if err := e.Decode(0, &text); err != nil {
			return
		}
		err := e.Socket().To("lobby").Emit("message", text)
		if e.WantsAck() {
			_ = e.Ack(err == nil)
		}
	})
	http.Handle("/socket.io/", server)
}

// A handler may ask the client whose event it handles: acknowledgements never wait behind a handler.
func ExampleSocket_EmitWithAck() {
	var n *socketio.Namespace // of a server
	n.Handle("transfer", func(ctx context.Context, e *socketio.Event) {
		reply, err := e.Socket().EmitWithAck(ctx, "confirm", "really?")
		if err != nil {
			return // the client has left
		}
		var yes bool
		if err := reply.Decode(0, &yes); err == nil && yes {
			_ = e.Ack("done")
		}
	})
}

// A parent makes namespaces when clients ask for them: here /room/1, /room/2 and so on, each with sockets of its own. What is
// registered on it is registered on all of them.
func ExampleServer_OfPattern() {
	server, err := socketio.New(socketio.Options{MaxNamespaces: 500})
	if err != nil {
		log.Fatal(err)
	}
	rooms, err := server.OfPattern("/room/{id}")
	if err != nil {
		log.Fatal(err)
	}
	rooms.Use(func(_ context.Context, s *socketio.Socket) error {
		if s.PathValue("id") == "private" {
			return &socketio.ConnectError{Message: "not for you"}
		}
		return nil
	})
	rooms.Handle("message", func(_ context.Context, e *socketio.Event) {
		_ = e.Socket().Broadcast().Emit("message", e.Socket().PathValue("id"))
	})
	_ = rooms.Emit("news", "to every room")
	for room := range rooms.Children() {
		fmt.Println(room.Name(), room.Len())
	}
	_ = server.Shutdown(context.Background())
	// Output:
}

// A function can look at what the client brings along, and take its time.
func ExampleServer_OfFunc() {
	server, err := socketio.New(socketio.Options{})
	if err != nil {
		log.Fatal(err)
	}
	tenants := server.OfFunc(func(ctx context.Context, name string, h *socketio.Handshake) error {
		if !strings.HasPrefix(name, "/tenant/") {
			return errors.New("not a tenant")
		}
		return nil // or ask the database
	})
	tenants.OnConnection(func(_ context.Context, s *socketio.Socket) error {
		return s.Emit("welcome", s.Namespace().Name())
	})
	_ = server.Shutdown(context.Background())
	// Output:
}

// Servers of a cluster reach the sockets of each other: each namespace gets its adapter from the factory in Options. The
// broker here joins the servers of one process; one that joins processes is whatever implements cluster.Bus.
func ExampleOptions_adapter() {
	broker := cluster.NewMemory(nil)
	var servers []*socketio.Server
	for range 2 {
		server, err := socketio.New(socketio.Options{Adapter: cluster.New(broker.Open, cluster.Options{})})
		if err != nil {
			log.Fatal(err)
		}
		servers = append(servers, server)
	}
	// To the room on either server.
	_ = servers[0].Of("/chat").To("lobby").Emit("message", "hello")
}

// Clients of 2.x beside the others, compression, and another encoding.
func ExampleOptions() {
	server, err := socketio.New(socketio.Options{
		Engine: engineio.Options{
			AllowEIO3:         true,                               // socket.io-client 2.x beside 3.x and 4.x
			PerMessageDeflate: &engineio.Deflate{Threshold: 4096}, // WebSocket messages from 4 KiB on
		},
		Parser: msgpack.Parser{}, // clients use socket.io-msgpack-parser
	})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/msgpack/", server)
}
