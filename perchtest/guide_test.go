package perchtest_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/perchtest"
)

// This file is what docs/testing.md shows.

// Message is what clients send, and get.
type Message struct {
	Room string `json:"room"`
	Text string `json:"text"`
}

// The events, for the gateway, its clients and the tests.
const (
	Send event.Request[Message, int] = "send"
	News event.Event[Message]        = "news"
)

// RoomGateway is under test.
type RoomGateway struct{ perch.Base }

func (g *RoomGateway) Options() perch.Options { return perch.Options{Namespace: "rooms"} }

func (g *RoomGateway) Register(r *perch.Router) {
	perch.OnEvent(r, "enter", g.Enter)
	perch.On(r, Send, g.Send, perch.WithGuards(speakers))
	perch.On(r, "ask", g.Ask, perch.WithTimeout(time.Minute))
}

// HandleConnection lets in who says who it is.
func (g *RoomGateway) HandleConnection(ctx context.Context, s *perch.Socket) error {
	account, err := perch.Auth[Account](ctx)
	if err == nil && account.Name == "" {
		err = perch.Errorf("NO_NAME", "say who you are")
	}
	User.Set(s, account)
	return err
}

// Enter puts the socket into a room.
func (g *RoomGateway) Enter(ctx context.Context, room string) error {
	return perch.SocketFrom(ctx).Join(room)
}

// Send sends to everyone in a room.
func (g *RoomGateway) Send(ctx context.Context, m Message) (int, error) {
	if !slices.Contains(perch.SocketFrom(ctx).Rooms(), m.Room) {
		return 0, perch.Errorf("NOT_A_MEMBER", "enter %q first", m.Room)
	}
	return len(m.Text), g.Server().To(m.Room).Emit(string(News), m)
}

// Ask has the client confirm something.
func (g *RoomGateway) Ask(ctx context.Context, question string) (string, error) {
	answer, err := perch.SocketFrom(ctx).EmitWithAck(ctx, "confirm", question)
	if err != nil {
		return "", err
	}
	var text string
	return text, answer.Decode(0, &text)
}

// speakers is a guard: guests only listen.
func speakers(_ context.Context, ec *perch.ExecutionContext) error {
	if User.Value(ec.Socket()).Name == "guest" {
		return perch.ErrForbidden
	}
	return nil
}

// The handler, called as the method it is.
func TestSend(t *testing.T) {
	t.Parallel()
	rooms := &RoomGateway{}
	server := perchtest.Record(t, rooms)
	ctx, _ := perchtest.Context(t, perchtest.SocketOptions{Rooms: []string{"lobby"}})

	hello := Message{Room: "lobby", Text: "hello"}
	if n, err := rooms.Send(ctx, hello); n != 5 || err != nil {
		t.Error(n, err)
	}
	want := []perchtest.Sent{{Event: "news", Args: []any{hello}, To: []string{"lobby"}}}
	if got := server.Sent(); !reflect.DeepEqual(got, want) {
		t.Errorf("sent %+v", got)
	}

	var refused *perch.Error
	if _, err := rooms.Send(ctx, Message{Room: "cellar"}); !errors.As(err, &refused) || refused.Code != "NOT_A_MEMBER" {
		t.Error(err)
	}
}

// What the client answers is the test's to say.
func TestAsk(t *testing.T) {
	t.Parallel()
	ctx, socket := perchtest.Context(t, perchtest.SocketOptions{
		Answer: func(event string, args []any) (any, error) { return "yes", nil },
	})
	answer, err := new(RoomGateway).Ask(ctx, "sure?")
	if answer != "yes" || err != nil {
		t.Error(answer, err)
	}
	if asked := perchtest.Values[string](t, socket.Sent(), "confirm"); !slices.Equal(asked, []string{"sure?"}) {
		t.Error(asked)
	}
}

// So are hooks and guards functions.
func TestWhoMaySpeak(t *testing.T) {
	t.Parallel()
	ctx, socket := perchtest.Context(t, perchtest.SocketOptions{Auth: Account{Name: "guest"}, Connecting: true})
	if err := new(RoomGateway).HandleConnection(ctx, socket.Socket); err != nil {
		t.Error(err)
	}
	send := &perchtest.Event{Name: "send", Args: []any{Message{Room: "lobby", Text: "hello"}}}
	if err := speakers(ctx, socket.ExecutionContext(t, send)); !errors.Is(err, perch.ErrForbidden) {
		t.Error(err)
	}
}

// The whole of it in memory, with two clients.
func TestRoom(t *testing.T) {
	t.Parallel()
	srv := perchtest.New(t, perch.WithGateways(&RoomGateway{}))
	ann := srv.Dial(t, "/rooms", client.Options{Auth: Account{Name: "Ann"}})
	ben := srv.Dial(t, "/rooms", client.Options{Auth: Account{Name: "Ben"}})
	for _, c := range []*perchtest.Client{ann, ben} {
		if _, err := c.EmitWithAck(t.Context(), "enter", "lobby"); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := client.Call(t.Context(), ann, Send, Message{Room: "lobby", Text: "hello"}); n != 5 || err != nil {
		t.Error(n, err)
	}
	if got := perchtest.Next(t, ben, News); got.Text != "hello" {
		t.Errorf("news: %+v", got)
	}
}

// On a bubble's clock a minute takes no time, and that nothing comes can be said.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := perchtest.New(t, perch.WithGateways(&RoomGateway{}))
		ann := srv.Dial(t, "/rooms", client.Options{Auth: Account{Name: "Ann"}})
		ben := srv.Dial(t, "/rooms", client.Options{Auth: Account{Name: "Ben"}})

		_, err := client.Call[string](t.Context(), ann, "ask", "sure?") // and Ann never answers
		var late *client.Error
		if !errors.As(err, &late) || late.Code != perch.CodeTimeout {
			t.Error(err)
		}
		perchtest.Next[string](t, ann, "confirm")
		ben.NoEvents(t)
	})
}

func TestRefusedGuest(t *testing.T) {
	t.Parallel()
	srv := perchtest.New(t, perch.WithGateways(&RoomGateway{}))
	err := srv.Client(t, "/rooms", client.Options{}).Connect(t.Context())
	var refused *client.ConnectError
	if !errors.As(err, &refused) || refused.Message != "say who you are" {
		t.Error(err)
	}
}

// An app of the program's own, with its routes and its middleware.
func TestMounted(t *testing.T) {
	t.Parallel()
	app, err := perch.New(perch.WithGateways(&RoomGateway{}))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

	srv := perchtest.Serve(t, app, mux)
	resp, err := srv.HTTPClient().Get(srv.URL() + "/health")
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatal(resp, err)
	}
	srv.Dial(t, "/rooms", client.Options{Auth: Account{Name: "Ann"}})
}

// A real port, and the official client in Node.
func testOfficialClient(t *testing.T) {
	app, err := perch.New(perch.WithGateways(&RoomGateway{}))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	app.Mount(mux)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	defer app.Shutdown(context.WithoutCancel(t.Context()))

	node := exec.CommandContext(t.Context(), "node", "--test", "rooms.test.mjs")
	node.Env = append(os.Environ(), "URL="+srv.URL)
	if out, err := node.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var _ = testOfficialClient // which needs Node
