package perchtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/internal/payload"
)

// Client is safe for concurrent use. It is a client of a [Server] that keeps every event that comes, from
// before it is connected on, until the test takes it: by [Next], [NextN] or [Client.NextEvent]. So a test may
// first do something and then look at what came of it. Functions of package client that take a Sender take it;
// others take its Socket.
type Client struct {
	*client.Socket

	inbox   inbox
	events  []*client.Event // not taken yet
	reasons []client.Reason // likewise
}

func newClient(s *client.Socket) *Client {
	c := &Client{Socket: s}
	s.OnAny(func(_ context.Context, e *client.Event) { c.inbox.add(func() { c.events = append(c.events, e) }) })
	s.OnDisconnect(func(r client.Reason, _ error) { c.inbox.add(func() { c.reasons = append(c.reasons, r) }) })
	return c
}

// describe says what there is. Called with the inbox's mu held.
func (c *Client) describe() string {
	var b strings.Builder
	if len(c.reasons) > 0 {
		fmt.Fprintf(&b, "the client was disconnected (%s), ", c.reasons[len(c.reasons)-1])
	}
	if len(c.events) == 0 {
		b.WriteString("nothing else came")
		return b.String()
	}
	b.WriteString("what came is")
	for _, e := range c.events {
		b.WriteString(" " + show(e))
	}
	return b.String()
}

// show is an event in a message.
func show(e *client.Event) string {
	args := make([]string, e.NumArgs())
	for i := range args {
		args[i] = string(e.Raw(i))
	}
	return fmt.Sprintf("%s(%s)", e.Name(), strings.Join(args, ", "))
}

// NextEvent takes the oldest event of that name that was not taken yet, and waits for it if there is none; after
// ten seconds the test fails. It is for events of several arguments and for those that want an acknowledgement;
// [Next] is for all others.
func (c *Client) NextEvent(t testing.TB, name string) *client.Event {
	t.Helper()
	var e *client.Event
	c.inbox.wait(t, fmt.Sprintf("event %q", name), func() (bool, error) {
		i := slices.IndexFunc(c.events, func(e *client.Event) bool { return e.Name() == name })
		if i < 0 {
			return false, nil
		}
		e = c.events[i]
		c.events = slices.Delete(c.events, i, i+1)
		return true, nil
	}, c.describe)
	return e
}

// NextDisconnect is why the client was disconnected, the first time, then the second, and waits for it; after
// ten seconds the test fails.
func (c *Client) NextDisconnect(t testing.TB) client.Reason {
	t.Helper()
	var r client.Reason
	c.inbox.wait(t, "disconnect", func() (bool, error) {
		if len(c.reasons) == 0 {
			return false, nil
		}
		r, c.reasons = c.reasons[0], c.reasons[1:]
		return true, nil
	}, c.describe)
	return r
}

// NoEvents fails the test if events have come that were not taken: of these names, or any if none is given. It
// gives those that are under way 100 ms to arrive, on the clock of a bubble of testing/synctest, in which it has to
// be called: on the real clock nobody could say how long is long enough.
func (c *Client) NoEvents(t testing.TB, names ...string) {
	t.Helper()
	settle(t)
	c.inbox.mu.Lock()
	defer c.inbox.mu.Unlock()
	for _, e := range c.events {
		if len(names) == 0 || slices.Contains(names, e.Name()) {
			t.Errorf("perchtest: event %s came", show(e))
		}
	}
}

// Next takes the oldest event of that name that was not taken yet, and waits for it if there is none; after ten
// seconds the test fails. Its argument is decoded into a T as client.On does it; what does not fit fails the test.
//
// With a plain name as e the T has to be given: Next[Message](t, c, "message").
func Next[T any](t testing.TB, c *Client, e event.Event[T]) T {
	t.Helper()
	in := c.NextEvent(t, string(e))
	var v T
	if err := payload.Decoder[T]()(in, &v); err != nil {
		t.Fatalf("perchtest: event %s is no %T: %v", show(in), v, err)
	}
	if validate := payload.Validation[T](); validate != nil {
		if err := validate(&v); err != nil {
			t.Fatalf("perchtest: event %s: %v", show(in), err)
		}
	}
	return v
}

// NextN is Next, n times.
func NextN[T any](t testing.TB, c *Client, e event.Event[T], n int) []T {
	t.Helper()
	list := make([]T, n)
	for i := range list {
		list[i] = Next(t, c, e)
	}
	return list
}
