package perch_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/perch-go/perch"
)

// History is a service like any other: a gateway gets it through its constructor.
type History struct {
	mu       sync.Mutex
	messages []Message
}

func NewHistory() *History { return &History{} }

func (h *History) Append(_ context.Context, m Message) (id int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages = append(h.messages, m)
	return len(h.messages), nil
}

// Message is what clients send.
type Message struct {
	Room string `json:"room"`
	Text string `json:"text"`
}

// Validate is called before a handler sees a Message.
func (m Message) Validate() error {
	if m.Text == "" {
		return errors.New("say something")
	}
	return nil
}

// Receipt is what they get for it.
type Receipt struct {
	ID int `json:"id"`
}

// Account is who a client says it is.
type Account struct {
	Name string `json:"name"`
	Role string `json:"role"`
}

// User is where a socket's account is kept.
var User = perch.NewKey[Account]("user")

type ChatGateway struct {
	perch.Base // Server(): this gateway's own namespace, never nil
	history    *History
}

func NewChatGateway(h *History) *ChatGateway { return &ChatGateway{history: h} }

// Options is Go's @WebSocketGateway({...}).
func (g *ChatGateway) Options() perch.Options {
	return perch.Options{
		Namespace: "chat",
		CORS:      &perch.CORS{Origins: []string{"*"}, Methods: []string{"GET", "POST"}},
	}
}

// Register is Go's @SubscribeMessage.
func (g *ChatGateway) Register(r *perch.Router) {
	perch.On(r, "message", g.Message)
	perch.OnEvent(r, "join", g.Join)
}

// HandleConnection refuses who has no name: an error is the client's connect_error.
func (g *ChatGateway) HandleConnection(ctx context.Context, s *perch.Socket) error {
	account, err := perch.Auth[Account](ctx)
	if err != nil {
		return err
	}
	if account.Name == "" {
		return &perch.Error{Code: "NAMELESS", Message: "tell us your name"}
	}
	User.Set(s, account)
	return nil
}

func (g *ChatGateway) Join(ctx context.Context, room string) error {
	return perch.SocketFrom(ctx).Join(room)
}

// Message acks with what it returns.
func (g *ChatGateway) Message(ctx context.Context, m Message) (Receipt, error) {
	user := User.Value(perch.SocketFrom(ctx))
	id, err := g.history.Append(ctx, m)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{ID: id}, g.Server().To(m.Room).Emit("message", user.Name, m.Text)
}

func Example() {
	app, err := perch.New(perch.WithGateways(NewChatGateway(NewHistory())))
	if err != nil { // everything that can be wrong without I/O, all of it at once
		log.Fatal(err)
	}
	log.Fatal(app.ListenAndServe(":3000"))
}

// On a server that exists already the app takes its paths and leaves the rest.
func ExampleApp_Mount() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	app, err := perch.New(perch.WithGateways(NewChatGateway(NewHistory())))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("public")))
	app.Mount(mux)
	if err := app.Start(ctx); err != nil {
		log.Fatal(err)
	}
	srv := &http.Server{Addr: ":3000", Handler: mux}
	go func() {
		if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop() // asked again, it ends at once
	closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// First the clients, then the server they are on.
	if err := errors.Join(app.Shutdown(closing), srv.Shutdown(closing)); err != nil {
		log.Print(err)
	}
}

// All mistakes that need no I/O to be found come back at once, each with its place.
func ExampleNew() {
	_, err := perch.New(perch.WithGateways(&Mistaken{}))
	fmt.Println(err)
	// Output:
	// perch: gateway *perch_test.Mistaken (namespace /a chat): namespace "a chat": it contains white space: choose another name
	// perch: gateway *perch_test.Mistaken (namespace /a chat): TLS is set without a Port: set one, or leave TLS to whoever listens on the shared port
}

// Mistaken is full of mistakes.
type Mistaken struct{ perch.Base }

func (g *Mistaken) Options() perch.Options {
	return perch.Options{Namespace: "a chat", TLS: &tls.Config{}}
}

func (g *Mistaken) Register(*perch.Router) {}

// A handler is a method: a unit test calls it.
func ExampleOn() {
	g := NewChatGateway(NewHistory())
	_, err := g.Message(context.Background(), Message{Room: "lobby", Text: "hi"})
	fmt.Println(err)
	// Output:
	// perch: the app is not started
}

// What a client is to know goes into an Error; of any other it learns nothing.
func ExampleError() {
	register := func(r *perch.Router) {
		perch.On(r, "take", func(_ context.Context, seat int) (string, error) {
			switch {
			case seat > 100:
				return "", perch.Errorf("NO_SUCH_SEAT", "there is no seat %d", seat)
			case seat == 13:
				return "", errors.New("seats: row 2 is corrupt") // masked, and logged
			}
			return "yours", nil
		})
	}
	_ = register
}
