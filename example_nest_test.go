package perch_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/perch-go/perch"
)

// What docs/from-nestjs.md shows beside TypeScript; TestFromNestJS tries it.

// Settings are a program's own.
type Settings struct {
	Origins []string
	Port    int
}

type Posts struct {
	perch.Base
	settings Settings
}

func NewPosts(s Settings) *Posts { return &Posts{settings: s} }

func (g *Posts) Options() perch.Options {
	return perch.Options{
		Namespace: "posts",
		Port:      g.settings.Port,
		CORS:      &perch.CORS{Origins: g.settings.Origins, Credentials: true},
	}
}

func (g *Posts) AfterInit(s *perch.Server) error {
	slog.Debug("ready", "namespace", s.Namespace())
	return nil
}

func (g *Posts) HandleConnection(ctx context.Context, s *perch.Socket) error {
	account, err := perch.Auth[Account](ctx) // what the client gave as auth
	if err != nil {
		return err // its connect_error
	}
	User.Set(s, account)
	return nil
}

func (g *Posts) HandleDisconnect(ctx context.Context, s *perch.Socket, reason perch.Reason) {
	slog.DebugContext(ctx, "left", "user", User.Value(s).Name, "reason", reason)
}

func (g *Posts) Register(r *perch.Router) {
	r.UseFilters(unavailable)
	perch.On(r, "find", g.Find)
	perch.On(r, "create", g.Create, perch.WithPipes(perch.PipeFor(trimmed)))
	perch.On2(r, "move", g.Move)
	perch.OnAck(r, "later", g.Later)
	perch.OnStream(r, "list", g.List)
	perch.OnEvent(r, "remove", g.Remove, perch.WithGuards(admins))
	perch.OnEvent(r, "join", g.Join)
	perch.On(r, "announce", g.Announce)
	perch.OnEvent(r, "broken", g.Broken)
}

// Post is what it is about.
type Post struct {
	ID    int    `json:"id"`
	Title string `json:"title"`
}

func (p Post) Validate() error {
	if p.Title == "" {
		return errors.New("a post needs a title")
	}
	return nil
}

// Find acks with a post.
func (g *Posts) Find(ctx context.Context, id int) (Post, error) {
	if id < 0 {
		return Post{}, perch.Errorf("NOT_FOUND", "there is no post %d", id)
	}
	return Post{ID: id, Title: "post " + strconv.Itoa(id)}, nil
}

// Move takes two arguments.
func (g *Posts) Move(ctx context.Context, from, to int) (string, error) {
	return strconv.Itoa(from) + " to " + strconv.Itoa(to), nil
}

// Later acks when it likes.
func (g *Posts) Later(ctx context.Context, id int, ack perch.Ack[string]) error {
	go func() { _ = ack("accepted " + strconv.Itoa(id)) }()
	return nil
}

// Create answers by another event.
func (g *Posts) Create(ctx context.Context, p Post) (perch.Reply[Post], error) {
	p.ID = 1
	return perch.Reply[Post]{Event: "created", Data: p}, nil
}

// List answers with an event for each post.
func (g *Posts) List(ctx context.Context, n int) iter.Seq2[Post, error] {
	return func(yield func(Post, error) bool) {
		for id := range n {
			post, err := g.Find(ctx, id+1)
			if !yield(post, err) {
				return
			}
		}
	}
}

// Announce answers to a room.
func (g *Posts) Announce(ctx context.Context, text string) (perch.Reply[string], error) {
	return perch.Reply[string]{Event: "announcement", Data: text, To: []string{"readers"}}, nil
}

func (g *Posts) Remove(ctx context.Context, id int) error { return nil }

func (g *Posts) Join(ctx context.Context, room string) error {
	return perch.SocketFrom(ctx).Join(room)
}

func (g *Posts) Broken(ctx context.Context, _ perch.None) error { return errUnavailable }

var errUnavailable = errors.New("the database is away")

// admins is a guard.
func admins(ctx context.Context, ec *perch.ExecutionContext) error {
	if User.Value(ec.Socket()).Role != "admin" {
		return perch.ErrForbidden
	}
	return nil
}

// trimmed is a pipe.
func trimmed(ctx context.Context, p *Post) error {
	p.Title = strings.TrimSpace(p.Title)
	return nil
}

// timing is an interceptor.
func timing(ctx context.Context, ec *perch.ExecutionContext, next func(context.Context) (any, error)) (any, error) {
	begin := time.Now()
	v, err := next(ctx)
	slog.DebugContext(ctx, "handled", "event", ec.Event(), "took", time.Since(begin))
	return v, err
}

// unavailable is a filter.
func unavailable(ctx context.Context, ec *perch.ExecutionContext, err error) error {
	if errors.Is(err, errUnavailable) {
		return perch.Errorf("UNAVAILABLE", "try again later")
	}
	return err // the next filter's, and at last the client's
}
