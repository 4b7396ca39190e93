package socketio_test

import (
	"context"
	"log"
	"net/http"
	"time"

	"github.com/perch-go/perch/socketio"
)

// Clients that lose their connection have five minutes to come back to their rooms and to what they missed.
func ExampleRecovery() {
	server, err := socketio.New(socketio.Options{
		Recovery: &socketio.Recovery{MaxDisconnection: 5 * time.Minute},
	})
	if err != nil {
		log.Fatal(err)
	}
	server.Of("/").OnConnection(func(_ context.Context, s *socketio.Socket) error {
		if s.Recovered() {
			return nil // in its rooms already
		}
		s.Store("since", time.Now())
		return s.Join("lobby")
	})
	http.Handle("/socket.io/", server)
}

// Clients come back over a restart of the program, too.
func ExampleServer_LoadRecovery() {
	server, err := socketio.New(socketio.Options{
		Recovery: &socketio.Recovery{Store: socketio.FileStore("/var/lib/chat/recovery")},
	})
	if err != nil {
		log.Fatal(err)
	}
	server.Of("/chat") // the namespaces first
	if err := server.LoadRecovery(context.Background()); err != nil {
		log.Print(err) // clients connect afresh
	}
	http.Handle("/socket.io/", server) // Shutdown saves what the next one loads
}
