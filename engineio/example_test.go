package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

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

// Who may open a session, and who hears of those who may not.
func ExampleOptions() {
	tokens := map[string]bool{"secret": true}
	server, err := engineio.New(engineio.Options{
		AllowRequest: func(r *http.Request) error {
			if !tokens[r.URL.Query().Get("token")] {
				return errors.New("unknown token")
			}
			return nil
		},
		OnConnectionError: func(e *engineio.ConnectionError) { fmt.Println(e.Code, "|", e.Message, "|", e) },
		Cookie:            &http.Cookie{Name: "sticky", Secure: true},
		PerMessageDeflate: &engineio.Deflate{Threshold: 4096},
	}, func(s *engineio.Session) engineio.Handler { return echo{s} })
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=polling&token=guess", nil))
	fmt.Println(w.Code, w.Body)
	_ = server.Shutdown(context.Background())
	// Output:
	// Forbidden | unknown token | engineio: request refused: unknown token (code 4)
	// 403 {"code":4,"message":"unknown token"}
}

// Any middleware of net/http will do. What it puts into the request's context is found in that of the
// session's handshake.
func ExampleServer_Use() {
	type userKey struct{}
	server, err := engineio.New(engineio.Options{}, func(s *engineio.Session) engineio.Handler {
		fmt.Println("hello", s.Handshake().Context().Value(userKey{}))
		return echo{s}
	})
	if err != nil {
		log.Fatal(err)
	}
	server.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, _, ok := r.BasicAuth()
			if !ok {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, name)))
		})
	})
	for _, name := range []string{"", "ada"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/engine.io/?EIO=4&transport=polling", nil)
		if name != "" {
			r.SetBasicAuth(name, "")
		}
		server.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // do not wait for ada to fetch her farewell
	_ = server.Shutdown(ctx)
	// Output:
	// 401
	// hello ada
	// 200
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
