package chat

import (
	"context"

	"github.com/perch-go/perch"
)

// Message is what people say.
type Message struct {
	From string `json:"from"`
	Text string `json:"text"`
}

// Validate refuses an empty message.
func (m Message) Validate() error {
	if m.Text == "" {
		return perch.Errorf(perch.CodeInvalid, "a message needs a text")
	}
	return nil
}

// Gateway is safe for concurrent use. It lets people talk, all in one room.
type Gateway struct {
	perch.Base
	history *history
}

// NewGateway is given the history.
func NewGateway(h *history) *Gateway { return &Gateway{history: h} }

// Options serves the gateway on /chat.
func (g *Gateway) Options() perch.Options { return perch.Options{Namespace: "chat"} }

// Register names the events.
func (g *Gateway) Register(r *perch.Router) {
	perch.On(r, "message", g.Say)
	perch.On(r, "last", g.Last)
}

// Say sends a message to everyone; the ack is its number. Other modules may call it too.
func (g *Gateway) Say(_ context.Context, m Message) (int, error) {
	n, err := g.history.add(m)
	if err != nil {
		return 0, err
	}
	return n, g.Server().Emit("message", m)
}

// Last is the last n messages.
func (g *Gateway) Last(_ context.Context, n int) ([]Message, error) { return g.history.last(n) }
