package socketio_test

import (
	"context"
	"log"
	"net/http"

	"github.com/perch-go/perch/socketio"
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
