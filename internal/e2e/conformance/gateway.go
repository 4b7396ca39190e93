package main

import (
	"context"
	"iter"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/plainws"
)

// gateway is gateways at /socket.io/ and, that of the namespace / only, on plain WebSocket at /ws. On / are
//
//	echo    acks its payload
//	void    acks nothing
//	reply   emits "replied" with its payload
//	fail    is the error "Invalid credentials."
//	boom    panics
//	valid   takes {id: at least 1, name: 1 to 10 characters} and acks it
//	secret  acks "revealed" to who has connected with the auth {token: "let-me-in"}
//	count   takes {n} and emits "count" with 0 to n-1
//	slow    takes {ms}, waits as long and acks it
//	whoami  acks {id, rooms}
//
// and /guarded lets in who has that token, and refuses others with the data {code: "unauthorized"}. With nest, errors
// look as Nest's do.
func gateway(o options) (*profile, error) {
	options := []perch.Option{
		perch.WithGateways(&rootGateway{}, &guardedGateway{}),
		perch.WithCORS(perch.CORS{Origins: []string{"*"}}),
	}
	if o.nest {
		options = append(options, perch.WithErrors(perch.Errors{Nest: true, Cause: true, Delivery: perch.DeliverException}))
	}
	app, err := perch.New(options...)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	if err := app.Start(context.Background()); err != nil {
		return nil, err
	}
	return &profile{mux, app.Shutdown}, nil
}

// credentials are the auth of a client.
type credentials struct {
	Token string `json:"token"`
}

func (c credentials) valid() bool { return c.Token == "let-me-in" }

// authorized is a guard of events and of connections.
func authorized(refusal *perch.Error) perch.Guard {
	return func(ctx context.Context, _ *perch.ExecutionContext) error {
		if c, err := perch.Auth[credentials](ctx); err != nil || !c.valid() {
			return refusal
		}
		return nil
	}
}

type rootGateway struct{ perch.Base }

func (*rootGateway) Options() perch.Options {
	return perch.Options{Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws")}}
}

func (g *rootGateway) Register(r *perch.Router) {
	perch.On(r, "echo", g.Echo)
	perch.OnEvent(r, "void", g.Void)
	perch.On(r, "reply", g.Reply)
	perch.OnEvent(r, "fail", g.Fail)
	perch.OnEvent(r, "boom", g.Boom)
	perch.On(r, "valid", g.Valid)
	perch.On(r, "secret", g.Secret, perch.WithGuards(authorized(perch.ErrForbidden)))
	perch.OnStream(r, "count", g.Count)
	perch.On(r, "slow", g.Slow)
	perch.On(r, "whoami", g.WhoAmI)
}

func (*rootGateway) Echo(_ context.Context, v any) (any, error) { return v, nil }

func (*rootGateway) Void(context.Context, perch.None) error { return nil }

func (*rootGateway) Reply(_ context.Context, v any) (perch.Reply[any], error) {
	return perch.Reply[any]{Event: "replied", Data: v}, nil
}

func (*rootGateway) Fail(context.Context, perch.None) error {
	return &perch.Error{Message: "Invalid credentials."}
}

func (*rootGateway) Boom(context.Context, perch.None) error { panic("boom") }

// person is what valid takes.
type person struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

func (p person) Validate() error {
	switch n := utf8.RuneCountInString(p.Name); {
	case p.ID < 1:
		return perch.InvalidField("id", "id must be at least 1")
	case n < 1, n > 10:
		return perch.InvalidField("name", "name must have 1 to 10 characters")
	}
	return nil
}

func (*rootGateway) Valid(_ context.Context, p person) (person, error) { return p, nil }

func (*rootGateway) Secret(context.Context, perch.None) (string, error) { return "revealed", nil }

type length struct {
	N int `json:"n"`
}

func (*rootGateway) Count(_ context.Context, l length) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range l.N {
			if !yield(i, nil) {
				return
			}
		}
	}
}

type delay struct {
	MS int `json:"ms"`
}

func (*rootGateway) Slow(ctx context.Context, d delay) (delay, error) {
	select {
	case <-time.After(time.Duration(d.MS) * time.Millisecond):
		return d, nil
	case <-ctx.Done():
		return d, context.Cause(ctx)
	}
}

type self struct {
	ID    string   `json:"id"`
	Rooms []string `json:"rooms"`
}

func (*rootGateway) WhoAmI(ctx context.Context, _ perch.None) (self, error) {
	s := perch.SocketFrom(ctx)
	return self{s.ID(), s.Rooms()}, nil
}

type guardedGateway struct{ perch.Base }

func (*guardedGateway) Options() perch.Options { return perch.Options{Namespace: "/guarded"} }

func (*guardedGateway) Register(r *perch.Router) {
	r.UseConnectionGuards(authorized(&perch.Error{Code: "unauthorized", Message: "Unauthorized"}))
}
