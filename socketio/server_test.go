package socketio

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{
		"ConnectTimeout": {ConnectTimeout: -1},
		"MaxAttachments": {MaxAttachments: -1},
		"PingInterval":   {Engine: engineio.Options{PingInterval: -1}},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := New(Options{ConnectTimeout: -1, MaxAttachments: -1}); !strings.Contains(err.Error(), "ConnectTimeout") || !strings.Contains(err.Error(), "MaxAttachments") {
		t.Errorf("not all that is wrong: %v", err)
	}
	h := serve(t, Options{MaxAttachments: 1})
	h.Of("/").Handle("x", echo)
	c := h.dial(t)
	c.connect("/", "")
	c.send(`52-["x"]`)
	c.expectEnd()
}

// Engine rules 5 and 9: the first of three events in one write is acknowledged at once though the second one's handler takes its
// time, pings go on meanwhile, and so does every other socket.
func TestHandlersDoNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	h := serve(t, fast())
	n := h.Of("/")
	goOn := make(chan struct{})
	n.Handle("echo", echo)
	n.Handle("slow", func(ctx context.Context, e *Event) {
		<-goOn
		echo(ctx, e)
	})
	h.Of("/chat").Handle("echo", echo)
	c, other := h.dial(t), h.dial(t)
	c.connect("/", "")
	c.connect("/chat", "")
	other.connect("/", "")
	c.send(`20["echo"]`, `21["slow"]`, `22["echo"]`, `2/chat,3["echo"]`)
	if a, b := c.next(), c.next(); (a != "30[]" || b != "3/chat,3[]") && (a != "3/chat,3[]" || b != "30[]") {
		t.Errorf("got %q and %q", a, b)
	}
	other.send(`20["echo"]`)
	other.expect("30[]")
	for len(c.pings) > 0 {
		<-c.pings
	}
	for range 2 {
		within(t, c.pings)
	}
	close(goOn)
	c.expect("31[]", "32[]")
}

// S-89 to S-92: what the transport says.
func TestTransportReasons(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Engine: engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: time.Second, MaxPayload: 1000}})
	left := leavings(h.Of("/"))
	for want, do := range map[Reason]func(c *client){
		ReasonPingTimeout:    func(*client) {},
		ReasonTransportClose: func(c *client) { c.close() },
		ReasonTransportError: func(c *client) { c.send(string(make0(2000))) },
		ReasonParseError:     func(c *client) { _, _ = c.conn.Write(appendFrame(nil, 1, "9")) },
	} {
		c := h.dial(t)
		c.mute.Store(want == ReasonPingTimeout)
		c.connect("/", "")
		do(c)
		if r := within(t, left); r != want {
			t.Errorf("left because of %q, want %q", r, want)
		}
	}
}

// S-88, architecture 5: at a shutdown nobody new comes, events that were read are handled and acknowledged, the hooks are awaited.
func TestShutdown(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	h.Of("/chat")
	sockets, left := arrivals(n), leavings(n)
	hookGoesOn := make(chan struct{})
	n.OnDisconnect(func(context.Context, *Socket, Reason) { <-hookGoesOn })
	entered, goOn := make(chan struct{}), make(chan struct{})
	n.Handle("slow", func(ctx context.Context, e *Event) {
		entered <- struct{}{}
		<-goOn
		if err := n.Emit("news"); err != nil {
			t.Error(err)
		}
		if r, err := e.Socket().EmitWithAck(ctx, "question"); err != nil || string(r.Raw(0)) != "1" {
			t.Errorf("asked the client: %v", err)
		}
		echo(ctx, e)
	})
	n.Handle("late", func(context.Context, *Event) { t.Error("an event was handled that came too late") })

	idle, busy, fresh, poll := h.dial(t), h.dial(t), h.dial(t), h.poll(t)
	idle.connect("/", "")
	busy.connect("/", "")
	poll.follow()
	poll.post("0")
	within(t, poll.in)
	for range 3 {
		within(t, sockets)
	}
	busy.send(`20["slow"]`)
	within(t, entered)
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(t.Context()) }()
	idle.expectEnd()
	fresh.expectEnd()
	within(t, left)
	within(t, left)
	if got := within(t, poll.in); got != "1" && got != "6" {
		t.Errorf("poll was answered %q", got)
	}
	busy.send(`21["late"]`, "0/chat,")
	resp, err := h.http.Get(h.url + "/socket.io/?EIO=4&transport=polling")
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("new session: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	close(goOn)
	busy.expect(`2["news"]`, `20["question"]`)
	busy.send("30[1]")
	busy.expectEnd("30[]")
	if r := within(t, left); r != ReasonServerShuttingDown {
		t.Errorf("left because of %q", r)
	}
	select {
	case err := <-done:
		t.Errorf("shutdown is over before the hooks are: %v", err)
	default:
	}
	close(hookGoesOn)
	if err := within(t, done); err != nil {
		t.Error(err)
	}
	if n.Len() != 0 {
		t.Errorf("%d members are left", n.Len())
	}
	if err := h.Shutdown(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

// A shutdown ends with its context, whatever a handler does.
func TestShutdownDeadline(t *testing.T) {
	t.Parallel()
	var closed adapterClosed
	h := serve(t, Options{Adapter: func(h adapter.Host) adapter.Adapter {
		closed.Memory = adapter.NewMemory(h)
		return &closed
	}})
	n := h.Of("/")
	left := leavings(n)
	goOn := make(chan struct{})
	entered := make(chan struct{})
	n.Handle("stuck", func(context.Context, *Event) {
		close(entered)
		<-goOn
	})
	c := h.dial(t)
	c.connect("/", "")
	c.send(`2["stuck"]`)
	within(t, entered)
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Shutdown(ctx) }()
	cancel(cause)
	if err := within(t, done); !errors.Is(err, cause) || !closed.is {
		t.Errorf("shutdown: %v, adapter closed: %v", err, closed.is)
	}
	c.expectEnd()
	close(goOn)
	if r := within(t, left); r != ReasonServerShuttingDown {
		t.Errorf("left because of %q", r)
	}
}

type adapterClosed struct {
	*adapter.Memory
	is bool
}

func (a *adapterClosed) Close() error {
	a.is = true
	return nil
}

// Dirty disconnects leave nothing behind; the goroutines are TestMain's to count.
func TestDirtyDisconnects(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	left := leavings(n)
	const clients = 100
	for i := range clients {
		c := h.dial(t, "0", `20["x"]`)
		c.connected("/")
		if err := c.conn.(*net.TCPConn).SetLinger(0); err != nil { // TCP reset
			t.Fatal(err)
		}
		if i%2 == 0 {
			c.send(`51-["x",{"_placeholder":true,"num":0}]`)
		}
		c.close()
	}
	for range clients {
		within(t, left)
	}
	if n.Len() != 0 {
		t.Errorf("left: %d members", n.Len())
	}
	eventually(t, "sockets and connections are let go of", func() bool { // which follows the hooks
		return h.live.Load() == 1 && len(h.conns.all()) == 0
	})
}

// S-2: the client's files are served beside the transports unless that is switched off.
func TestClientFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o    Options
		want int
	}{{Options{}, http.StatusTemporaryRedirect}, {Options{NoClient: true}, http.StatusBadRequest}} {
		h := serve(t, tt.o)
		h.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := h.http.Get(h.url + "/socket.io/socket.io.min.js")
		if err != nil || resp.StatusCode != tt.want {
			t.Errorf("%v, %v", resp, err)
		}
		_ = resp.Body.Close()
	}
}
