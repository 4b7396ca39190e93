package engineio_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/perch-go/perch/engineio"
)

// echo sends back every message as it came.
type echo struct{ session *engineio.Session }

func (e echo) HandleMessage(data []byte, binary bool) {
	var m engineio.Message
	if binary {
		m.AppendBinary(data)
	} else {
		m.AppendText(data)
	}
	if err := e.session.Send(&m); err != nil {
		log.Print(err) // the session has ended, or its peer does not keep up
	}
}

func (e echo) HandleClose(reason engineio.Reason, err error) {
	log.Print(e.session.ID(), " left: ", reason)
}

func Example() {
	server, err := engineio.New(engineio.Options{
		CORS: &engineio.CORS{Origins: []string{"https://app.example.com"}},
	}, func(s *engineio.Session) engineio.Handler { return echo{s} })
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", server)
	// http.ListenAndServe(":3000", mux), and at the end:
	fmt.Println(server.Shutdown(context.Background()))
	// Output: <nil>
}

// A broadcast frames its message once, queues it for everyone and then lets it go.
func ExampleMessage() {
	var sessions []*engineio.Session // the members of some room
	var m engineio.Message
	m.AppendText([]byte("hello"))
	for _, s := range sessions {
		_ = s.Append(&m, false) // one that cannot take it does not stop the others
	}
	for _, s := range sessions {
		s.Flush()
	}
	fmt.Println(m.Len())
	// Output: 8
}
