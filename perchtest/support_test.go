package perchtest_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
)

// What the gateway of these tests and its clients say to each other.
type (
	Post struct {
		Room string `json:"room"`
		Text string `json:"text"`
	}
	Receipt struct {
		ID int `json:"id"`
	}
)

const (
	Posted  event.Event[Post]            = "posted"
	Joined  event.Event[string]          = "joined"
	Typing  event.Event[event.None]      = "typing"
	Confirm event.Request[string, bool]  = "confirm"
	Say     event.Request[Post, Receipt] = "say"
)

// Account is who a client is.
type Account struct{ Name string }

var User = perch.NewKey[Account]("user")

// Chat is a gateway of the usual kind.
type Chat struct {
	perch.Base
	port int

	mu   sync.Mutex
	last int
	left []perch.Reason
}

func (g *Chat) Options() perch.Options { return perch.Options{Namespace: "chat", Port: g.port} }

func (g *Chat) Register(r *perch.Router) {
	perch.OnEvent(r, "join", g.Join)
	perch.On(r, Say, g.Say)
	perch.On(r, "ask", g.Ask)
	perch.On(r, "leave", g.Leave)
	perch.OnEvent(r, "later", g.Later)
}

// HandleConnection lets in who has a name, and welcomes it.
func (g *Chat) HandleConnection(ctx context.Context, s *perch.Socket) error {
	auth, err := perch.Auth[Account](ctx)
	if err != nil {
		return err
	}
	if auth.Name == "" {
		return perch.Errorf("NO_NAME", "say who you are")
	}
	User.Set(s, auth)
	return s.Emit("welcome", auth.Name)
}

func (g *Chat) HandleDisconnect(_ context.Context, s *perch.Socket, reason perch.Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = append(g.left, reason)
}

func (g *Chat) Join(ctx context.Context, room string) error {
	s := perch.SocketFrom(ctx)
	if err := s.Join(room); err != nil {
		return err
	}
	return s.To(room).Emit(string(Joined), User.Value(s).Name)
}

func (g *Chat) Say(_ context.Context, p Post) (Receipt, error) {
	if p.Room == "" {
		return Receipt{}, errors.New("no room")
	}
	g.mu.Lock()
	g.last++
	id := g.last
	g.mu.Unlock()
	return Receipt{id}, g.Server().To(p.Room).Emit(string(Posted), p)
}

// Ask passes a question on to the client.
func (g *Chat) Ask(ctx context.Context, question string) (bool, error) {
	reply, err := perch.SocketFrom(ctx).EmitWithAck(ctx, string(Confirm), question)
	if err != nil {
		return false, err
	}
	var yes bool
	return yes, reply.Decode(0, &yes)
}

func (g *Chat) Leave(ctx context.Context, _ perch.None) (perch.None, error) {
	perch.SocketFrom(ctx).Disconnect(true)
	return perch.None{}, nil
}

// Later sends something in a minute.
func (g *Chat) Later(context.Context, perch.None) error {
	time.AfterFunc(time.Minute, func() { _ = g.Server().Emit(string(Typing)) })
	return nil
}

func (g *Chat) reasons() []perch.Reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]perch.Reason(nil), g.left...)
}
