package perch_test

import (
	"context"
	"log"

	"github.com/perch-go/perch"
)

// signedIn is a connection guard.
func signedIn(ctx context.Context, ec *perch.ExecutionContext) error {
	account, err := perch.Auth[Account](ctx)
	if err != nil {
		return err
	}
	if account.Name == "" {
		return perch.Errorf("UNAUTHORIZED", "sign in first")
	}
	User.Set(ec.Socket(), account)
	return nil
}

type Moderation struct{ perch.Base }

func (g *Moderation) Options() perch.Options { return perch.Options{Namespace: "chat"} }

func (g *Moderation) Register(r *perch.Router) {
	r.UseConnectionGuards(signedIn) // before a client is connected; a refusal is its connect_error
	perch.On(r, "ban", g.Ban, perch.WithGuards(roles), perch.WithMetadata("role", "admin"))
}

// roles is a guard: it lets those in whose account has the role that the handler is for.
func roles(ctx context.Context, ec *perch.ExecutionContext) error {
	if User.Value(ec.Socket()).Role != ec.Metadata("role") {
		return perch.ErrForbidden
	}
	return nil
}

func (g *Moderation) Ban(_ context.Context, name string) (string, error) {
	return name + " is banned", nil
}

// A guard is asked before each event of the handlers it is given to, a connection guard
// before a client is connected.
func ExampleGuard() {
	app, err := perch.New(perch.WithGateways(&Moderation{}))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.ListenAndServe(":3000"))
}
