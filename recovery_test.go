package perch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch"
)

// S-76, S-77: a client that was lost finds its rooms and the data of typed keys again, and what
// it missed; the hook sees it, and decides once more.
func TestRecovery(t *testing.T) {
	t.Parallel()
	calls := make(chan string, 10)
	g := &hooked{
		onConnection: func(ctx context.Context, s *perch.Socket) error {
			auth, err := perch.Auth[struct{ Token string }](ctx)
			if err != nil || auth.Token == "expired" {
				return perch.Errorf("UNAUTHENTICATED", "token expired")
			}
			if !s.Recovered() {
				userKey.Set(s, account{Name: "Ann"})
				calls <- "fresh"
				return s.Join("lobby")
			}
			calls <- fmt.Sprintf("recovered %s %t", userKey.Value(s).Name, slices.Contains(s.Rooms(), "lobby"))
			return nil
		},
		onDisconnect: func(_ context.Context, s *perch.Socket, r perch.Reason) { calls <- string(r) },
	}
	expect := func(want string) {
		t.Helper()
		if got := receive(t, calls); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	_, srv := start(t, perch.WithGateways(g), perch.WithRecovery(perch.Recovery{}))

	c := dial(t, srv)
	var reply struct{ SID, PID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(c.ask(`40{"token":"good"}`), "40")), &reply); err != nil || reply.PID == "" {
		t.Fatalf("reply %+v, %v", reply, err)
	}
	expect("fresh")
	if _, ok := g.Server().Socket(reply.SID); !ok {
		t.Fatal("no such socket")
	}
	c.drop()
	expect("transport close")
	if err := g.Server().To("lobby").Emit("missed", 1); err != nil {
		t.Fatal(err)
	}

	refused := dial(t, srv)
	if got := refused.ask(fmt.Sprintf(`40{"pid":%q,"token":"expired"}`, reply.PID)); !strings.HasPrefix(got, `44{"message":"token expired"`) {
		t.Fatalf("got %s", got)
	}
	refused.drop()

	c = dial(t, srv)
	if got := c.ask(fmt.Sprintf(`40{"pid":%q,"token":"new"}`, reply.PID)); !strings.HasPrefix(got, `42["missed",1,"`) {
		t.Fatalf("got %s, want the event that was missed", got)
	}
	expect("recovered Ann true")
	c.want(fmt.Sprintf(`40{"sid":%q,"pid":%q}`, reply.SID, reply.PID))
	s, ok := g.Server().Socket(reply.SID)
	if !ok || !s.Recovered() {
		t.Fatalf("socket %v, %t: it has come back", s, ok)
	}
}
