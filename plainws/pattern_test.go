package plainws_test

import (
	"context"
	"strings"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/plainws"
)

// N-11, N-40: where the namespace is a pattern, the wildcards of the path say which of them a client joins.
func TestPatternNamespace(t *testing.T) {
	t.Parallel()
	g := &gateway{options: perch.Options{
		Namespace: "/room/{id}/{rest...}",
		Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws/{id}/in/{rest...}")},
	}}
	g.register = func(r *perch.Router) {
		perch.On(r, "where", func(ctx context.Context, _ perch.None) ([]string, error) {
			s := perch.SocketFrom(ctx)
			return []string{s.Namespace(), s.PathValue("id"), s.PathValue("rest")}, nil
		})
		perch.OnEvent(r, "say", func(ctx context.Context, text string) error {
			return perch.SocketFrom(ctx).Server().Emit("said", text)
		})
	}
	srv, _ := serve(t, g)
	p, other := dial(t, srv, "/ws/42/in/a/b", nil), dial(t, srv, "/ws/43/in/a/b", nil)
	p.send(`{"event":"where","id":1}`)
	p.expect(`{"id":1,"data":["/room/42/a/b","42","a/b"]}`)
	other.settle()
	s := connect(t, srv, "/room/42/a/b")
	said := heard(s, "said")
	p.send(`{"event":"say","data":"here"}`)
	p.expect(`{"event":"said","data":"here"}`)
	if got := next(t, said); got != `"here"` {
		t.Error(got)
	}
	if err := g.Server().Emit("said", "to all"); err != nil {
		t.Fatal(err)
	}
	other.expect(`{"event":"said","data":"to all"}`)
	p.expect(`{"event":"said","data":"to all"}`)
	// A segment of the path is one of the name, whatever is in it.
	p = dial(t, srv, "/ws/4%2F2/in/a%20b", nil)
	p.send(`{"event":"where","id":1}`)
	p.expect(`{"id":1,"data":["/room/4%2F2/a b","4%2F2","a b"]}`)
}

func TestPatternNeedsWildcards(t *testing.T) {
	t.Parallel()
	_, err := perch.New(perch.WithGateways(&gateway{options: perch.Options{
		Namespace: "/room/{id}", Platforms: []perch.Platform{plainws.At("/ws/{room}")},
	}}))
	if err == nil || !strings.Contains(err.Error(), "has no wildcard {id}") {
		t.Errorf("%v", err)
	}
}
