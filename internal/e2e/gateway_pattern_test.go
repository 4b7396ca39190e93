package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
)

// document is a gateway whose namespaces are documents; what is written in one is seen there.
type document struct{ perch.Base }

func (*document) Options() perch.Options { return perch.Options{Namespace: "/doc/{id}/{section...}"} }

func (g *document) Register(r *perch.Router) {
	perch.On(r, "write", func(ctx context.Context, text string) (string, error) {
		s := perch.SocketFrom(ctx)
		return s.PathValue("id") + "#" + s.PathValue("section"), s.Server().Emit("written", text)
	})
	perch.OnEvent(r, "announce", func(_ context.Context, text string) error { return g.Server().Emit("written", text) })
	perch.OnEvent(r, "tell", func(_ context.Context, name string) error { return g.Server().Of(name).Emit("written", name) })
}

// N-11: namespaces of a gateway's pattern, with the Go client, over each of the transports.
func TestGatewayPattern(t *testing.T) {
	t.Parallel()
	app, err := perch.New(perch.WithGateways(new(document)))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(mux)
	defer web.Close()
	defer func() {
		if err := app.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	open := func(name string, transport client.Transport) (s *client.Socket, written <-chan string) {
		t.Helper()
		texts := make(chan string, 10)
		s, err := client.New(ctx, web.URL+name, client.Options{Transports: []client.Transport{transport}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		client.On(s, "written", func(_ context.Context, text string) { texts <- text })
		if err := s.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		return s, texts
	}
	a, atA := open("/doc/1/intro/a", client.WebSocket)
	b, atB := open("/doc/1/intro/a", client.Polling)
	c, atC := open("/doc/2/", client.WebSocket)
	expect := func(want string, at ...<-chan string) {
		t.Helper()
		for i, texts := range at {
			select {
			case got := <-texts:
				if got != want {
					t.Errorf("client %d reads %q, want %q", i, got, want)
				}
			case <-ctx.Done():
				t.Fatalf("client %d reads nothing, want %q", i, want)
			}
		}
	}
	for i, w := range []struct {
		s    *client.Socket
		want string
		at   []<-chan string
	}{{a, "1#intro/a", []<-chan string{atA, atB}}, {b, "1#intro/a", []<-chan string{atA, atB}}, {c, "2#", []<-chan string{atC}}} {
		text := fmt.Sprint("text ", i)
		if got, err := client.Call[string](ctx, w.s, "write", text); err != nil || got != w.want {
			t.Errorf("write in %s: %q, %v", w.s.Namespace(), got, err)
		}
		expect(text, w.at...)
	}
	if err := a.Emit("announce", "to all"); err != nil {
		t.Error(err)
	}
	expect("to all", atA, atB, atC)
	if err := a.Emit("tell", "/doc/2/"); err != nil {
		t.Error(err)
	}
	expect("/doc/2/", atC)
	if len(atA)+len(atB)+len(atC) > 0 {
		t.Error("something is read that was not written there")
	}
	if s, err := client.Dial(ctx, web.URL+"/doc/1", client.Options{NoReconnection: true}); err == nil {
		t.Errorf("there is a namespace %s", s.Namespace())
	}
}
