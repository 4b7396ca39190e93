package validator_test

import (
	"context"
	"fmt"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/contrib/validator"
)

// Message is what a client posts.
type Message struct {
	Room string `json:"room" validate:"required,max=20"`
	Text string `json:"text" validate:"required"`
}

// As an option of the app the pipe is for every handler; of one gateway by Router.UsePipes, of one handler by
// WithPipes.
func Example() {
	g := new(Chat)
	_, err := perch.New(perch.WithGateways(g), perch.WithPipes(validator.Pipe()))
	fmt.Println(err)

	// A pipe can be tried by itself.
	fmt.Println(validator.Pipe().Check(context.Background(), &Message{Room: "lobby"}))
	// Output:
	// <nil>
	// INVALID: text is a required field
}

// Chat is a gateway.
type Chat struct{ perch.Base }

func (g *Chat) Options() perch.Options { return perch.Options{} }

func (g *Chat) Register(r *perch.Router) { perch.OnEvent(r, "post", g.Post) }

func (g *Chat) Post(context.Context, Message) error { return nil }
