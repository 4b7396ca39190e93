package socketio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
)

// request runs EmitWithAck on a goroutine of its own.
func request(ctx context.Context, e interface {
	EmitWithAck(ctx context.Context, event string, args ...any) (*Reply, error)
}, event string) <-chan answer {
	ch := make(chan answer, 1)
	go func() {
		r, err := e.EmitWithAck(ctx, event)
		ch <- answer{r, err}
	}()
	return ch
}

type answer struct {
	reply *Reply
	err   error
}

// S-70, S-72: what ends the wait for an acknowledgement, and which acknowledgements are ignored.
func TestEmitWithAck(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/chat")
	sockets := arrivals(n)
	c := h.dial(t)
	c.connect("/chat", "")
	s := within(t, sockets)

	c.send("3/chat,77[]", "3/chat,99[]") // nobody asked
	got := request(t.Context(), s, "a")
	c.expect(`2/chat,0["a"]`)
	c.send("3/chat,5[]", `3/chat,0["x",{"n":1}]`, `3/chat,0["again"]`)
	a := within(t, got)
	var text string
	var object struct{ N int }
	if err := errors.Join(a.err, a.reply.Decode(0, &text), a.reply.Decode(1, &object)); err != nil || text != "x" || object.N != 1 {
		t.Errorf("%v: %q, %+v", err, text, object)
	}
	if a.reply.NumArgs() != 2 || string(a.reply.Raw(0)) != `"x"` || a.reply.Raw(2) != nil || !errors.Is(a.reply.Decode(2, &text), ErrNoArgument) {
		t.Errorf("%d arguments, first %s", a.reply.NumArgs(), a.reply.Raw(0))
	}

	got = request(t.Context(), s, "b")
	c.expect(`2/chat,1["b"]`)
	c.send(`61-/chat,1[{"_placeholder":true,"num":0}]`, []byte("bin"))
	var bin []byte
	if a := within(t, got); a.err != nil || a.reply.Decode(0, &bin) != nil || string(bin) != "bin" {
		t.Errorf("%v, %q", a.err, bin)
	}

	got = request(t.Context(), s.Timeout(20*time.Millisecond), "c")
	c.expect(`2/chat,2["c"]`)
	if a := within(t, got); !errors.Is(a.err, ErrTimeout) {
		t.Errorf("no answer: %v", a.err)
	}
	c.send("3/chat,2[]") // late

	ctx, cancel := context.WithCancelCause(t.Context())
	got = request(ctx, s, "d")
	c.expect(`2/chat,3["d"]`)
	cause := errors.New("cause")
	cancel(cause)
	if a := within(t, got); !errors.Is(a.err, cause) {
		t.Errorf("cancelled: %v", a.err)
	}
	if _, err := s.EmitWithAck(ctx, "never sent"); !errors.Is(err, cause) {
		t.Errorf("cancelled before: %v", err)
	}

	first, second := request(t.Context(), s, "e"), request(t.Context(), s.Timeout(time.Hour), "e")
	c.expect(`2/chat,4["e"]`, `2/chat,5["e"]`)
	c.close()
	for _, got := range []<-chan answer{first, second} {
		if a := within(t, got); !errors.Is(a.err, ErrDisconnected) {
			t.Errorf("client left: %v", a.err)
		}
	}
	if _, err := s.EmitWithAck(t.Context(), "x"); !errors.Is(err, ErrDisconnected) {
		t.Errorf("after it left: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.more.acks) != 0 {
		t.Errorf("%d acknowledgements are still awaited", len(s.more.acks))
	}
}

// Engine rules 6 and 9: a handler that awaits an acknowledgement of the very client gets it, though it stands behind more events
// than the inbound budget has room for. What goes beyond twice the budget ends the connection.
func TestHandlerAwaitsItsClient(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Engine: engineio.Options{InboundEvents: 10}})
	n := h.Of("/")
	results, left := make(chan answer, 1), leavings(n)
	n.Handle("ask", func(ctx context.Context, e *Event) {
		r, err := e.Socket().EmitWithAck(ctx, "question")
		results <- answer{r, err}
	})
	n.Handle("echo", echo)

	c := h.dial(t)
	c.connect("/", "")
	c.send(`2["ask"]`)
	c.expect(`20["question"]`)
	var burst []any
	for range 15 {
		burst = append(burst, `21["echo"]`)
	}
	c.send(append(burst, `30["answer"]`)...)
	if a := within(t, results); a.err != nil || string(a.reply.Raw(0)) != `"answer"` {
		t.Fatalf("%v", a.err)
	}
	for range burst {
		c.expect("31[]")
	}

	c = h.dial(t)
	c.connect("/", "")
	c.send(`2["ask"]`)
	c.expect(`21["question"]`) // one counter for the whole namespace (S-32)
	c.send(append(append(burst, burst...), `31["answer"]`)...)
	if a := within(t, results); !errors.Is(a.err, ErrDisconnected) {
		t.Errorf("%v", a.err)
	}
	if r := within(t, left); r != ReasonInboundOverflow {
		t.Errorf("left because of %q", r)
	}
}

// Engine rule 6: of a client that sends without end to a handler that sleeps, no more than the inbound budget is held.
func TestInboundIsBounded(t *testing.T) {
	t.Parallel()
	const bound, size = 64 << 10, 1000
	h := serve(t, Options{Engine: engineio.Options{InboundBytes: bound}})
	n := h.Of("/")
	sockets, goOn := arrivals(n), make(chan struct{})
	entered, handled := make(chan struct{}, 1<<20), make(chan struct{}, 1<<20)
	n.Handle("x", func(context.Context, *Event) {
		entered <- struct{}{}
		<-goOn
		handled <- struct{}{}
	})
	c := h.dial(t)
	c.connect("/", "")
	s := within(t, sockets)

	waiting := func() (bytes int) {
		s.lane.mu.Lock()
		defer s.lane.mu.Unlock()
		for e := s.lane.head; e != nil; e = e.next {
			bytes += len(e.text)
		}
		return bytes
	}
	event := frames(`2["x","` + string(make0(size)) + `"]`)
	if _, err := c.conn.Write(event); err != nil {
		t.Fatal(err)
	}
	within(t, entered) // the worker has taken this one alone; those that follow wait in the lane
	// Send until neither the server nor the kernel takes any more.
	rest, sent := event, 1
	for len(rest) > 0 {
		if err := c.conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.conn.Write(rest)
		rest = rest[n:]
		switch {
		case err == nil:
			rest, sent = event, sent+1
		case !errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatal(err)
		}
		if err != nil && waiting() >= bound-2*size { // one event is with the handler
			break
		}
	}
	if got := waiting(); got > bound+2*size {
		t.Errorf("%d bytes wait, the bound is %d", got, bound)
	}
	if sent*size < 2*bound {
		t.Errorf("only %d events were sent", sent)
	}

	close(goOn)
	if err := c.conn.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.conn.Write(rest); err != nil {
		t.Fatal(err)
	}
	for range sent + 1 {
		within(t, handled)
	}
}

// make0 is n zeros.
func make0(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = '0'
	}
	return b
}

// Attachments count while they arrive (CVE-2026-33151): reading goes on for a packet that is not complete, to twice the bound.
func TestAttachmentsAreBounded(t *testing.T) {
	t.Parallel()
	const bound = 4 << 10
	h := serve(t, Options{Engine: engineio.Options{InboundBytes: bound}})
	n := h.Of("/")
	left := leavings(n)
	n.Handle("x", echo)
	packet := func(id int) string {
		return fmt.Sprintf(`53-%d["x",{"_placeholder":true,"num":0}]`, id)
	}
	c := h.dial(t)
	c.connect("/", "")
	for id := range 20 {
		c.send(packet(id), make([]byte, bound/2), make([]byte, bound/2), make([]byte, bound/2))
	}
	for id := range 20 {
		c.expect(fmt.Sprintf(`61-%d[{"_placeholder":true,"num":0}]`, id), make([]byte, bound/2))
	}
	c.send(packet(21), make([]byte, bound), make([]byte, bound), make([]byte, bound))
	c.expectEnd()
	if r := within(t, left); r != ReasonInboundOverflow {
		t.Errorf("left because of %q", r)
	}
}

// A client is not disconnected for answers that it asked for: one POST of more acked events than the outbound budget
// holds packets is answered over as many polls as that takes (Node takes it too).
func TestAcksDoNotOverflow(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	h.Of("/").Handle("x", func(_ context.Context, e *Event) {
		if err := e.Ack(); err != nil {
			t.Error(err)
		}
	})
	p := h.poll(t)
	p.post("0")
	p.follow()
	if got := within(t, p.in); !strings.HasPrefix(got, "40") {
		t.Fatal(got)
	}
	const events = 3 * engineio.DefaultOutboundPackets
	packets := make([]string, events)
	for i := range packets {
		packets[i] = fmt.Sprintf(`2%d["x"]`, i)
	}
	posted := make(chan string, 1)
	go func() { posted <- p.post(packets...) }()
	for i := range events {
		if got, want := within(t, p.in), fmt.Sprintf("43%d[]", i); got != want {
			t.Fatalf("answer %d is %q", i, got)
		}
	}
	if got := within(t, posted); got != "ok" {
		t.Error(got)
	}
}

// A client that takes no answers does not hold up Shutdown, though events of it wait for that.
func TestShutdownDoesNotWaitForSlowClients(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	handled := make(chan struct{}, 1<<20)
	h.Of("/").Handle("x", func(_ context.Context, e *Event) {
		_ = e.Ack()
		handled <- struct{}{}
	})
	p := h.poll(t)
	p.post("0")
	if got := p.get(); !strings.HasPrefix(got, "40") {
		t.Fatal(got)
	}
	packets := make([]string, 2*engineio.DefaultOutboundPackets)
	for i := range packets {
		packets[i] = fmt.Sprintf(`2%d["x"]`, i)
	}
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		if resp, err := h.http.Post(p.url, "text/plain", strings.NewReader("4"+strings.Join(packets, "\x1e4"))); err == nil {
			_ = resp.Body.Close()
		}
	}()
	for range engineio.DefaultOutboundPackets / 2 {
		within(t, handled)
	}
	start := time.Now()
	if err := h.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > patience/2 {
		t.Errorf("Shutdown took %v", d)
	}
	within(t, posted)
}

// S-71: an adapter asks sockets for acknowledgements as EmitWithAck does, and hears of those that leave.
func TestAdapterAsks(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	sockets := arrivals(n)
	answering, leaving, silent := h.dial(t), h.dial(t), h.dial(t)
	var ids []string
	for _, c := range []*client{answering, leaving, silent} {
		c.connect("/", "")
		ids = append(ids, within(t, sockets).ID())
	}
	ctx, cancel := context.WithCancel(t.Context())
	answers, done := make(chan adapter.Answer, 3), make(chan error, 1)
	go func() {
		p := &adapter.Packet{Namespace: "/", Event: "x", Args: []any{[]byte("bin")}}
		done <- n.adapter.Ask(ctx, p, adapter.Selection{}, func(a adapter.Answer) { answers <- a })
	}()
	for _, c := range []*client{answering, leaving, silent} {
		c.expect(`51-0["x",{"_placeholder":true,"num":0}]`, []byte("bin"))
	}
	answering.send(`30["yes"]`)
	if a := within(t, answers); a.ID != ids[0] || a.Err != nil || string(a.Raw(0)) != `"yes"` {
		t.Errorf("answer of %s: %v", a.ID, a.Err)
	}
	leaving.close()
	if a := within(t, answers); a.ID != ids[1] || !errors.Is(a.Err, ErrDisconnected) {
		t.Errorf("answer of %s: %v", a.ID, a.Err)
	}
	cancel()
	var incomplete *adapter.IncompleteError
	if err := within(t, done); !errors.As(err, &incomplete) || !slices.Equal(incomplete.Members, ids[2:]) || incomplete.Missing != 1 {
		t.Errorf("%v", err)
	}
}
