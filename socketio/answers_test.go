package socketio

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/parser"
)

// gather connects as many clients to "/" of the server.
func gather(t *testing.T, h *harness, count int) (clients []*client, sockets []*Socket) {
	t.Helper()
	for range count {
		c := h.dial(t)
		id := c.connect("/", "")
		s, ok := h.Socket(id)
		if !ok {
			t.Fatal("a connected socket is not found")
		}
		clients, sockets = append(clients, c), append(sockets, s)
	}
	return clients, sockets
}

type answers struct {
	list []Answer
	err  error
}

// said is who answered what.
func (a answers) said() map[string]string {
	said := map[string]string{}
	for _, a := range a.list {
		if a.Err != nil {
			said[a.SocketID] = a.Err.Error()
		} else {
			said[a.SocketID] = string(a.Reply.Raw(0))
		}
	}
	return said
}

// survey runs EmitWithAck on a goroutine of its own.
func survey(ctx context.Context, b *Broadcast, event string, args ...any) <-chan answers {
	ch := make(chan answers, 1)
	go func() {
		list, err := b.EmitWithAck(ctx, event, args...)
		ch <- answers{list, err}
	}()
	return ch
}

var errCause = errors.New("cause")

// answer waits for the question and says what is given.
func (c *client) answer(question, reply string) {
	c.t.Helper()
	got, _ := c.next().(string)
	id, event, ok := strings.Cut(strings.TrimPrefix(got, "2"), "[")
	if !ok || "["+event != question {
		c.t.Fatalf("asked %q, want %q", got, question)
	}
	c.send("3" + id + reply)
}

// S-35, S-71: who answered what; a call ends when all have answered or left, at once if there is nobody, and with what there is
// when its time is over. It does not end after a millisecond because nobody has called Timeout.
func TestBroadcastAcks(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	clients, sockets := gather(t, h, 3)
	a, b, c := sockets[0].ID(), sockets[1].ID(), sockets[2].ID()
	check := func(got answers, want map[string]string) {
		t.Helper()
		if said := got.said(); !maps.Equal(said, want) || len(got.list) != len(want) {
			t.Errorf("answers %v, want %v", said, want)
		}
	}

	got := survey(t.Context(), h.Except("nowhere"), "q", 1)
	clients[0].answer(`["q",1]`, `["a"]`)
	clients[1].answer(`["q",1]`, `[]`)
	clients[2].answer(`["q",1]`, `[{"n":3},4]`)
	answered := within(t, got)
	check(answered, map[string]string{a: `"a"`, b: "", c: `{"n":3}`})
	if answered.err != nil {
		t.Error(answered.err)
	}
	for _, answer := range answered.list {
		var object struct{ N int }
		var four int
		err := errors.Join(answer.Decode(0, &object), answer.Decode(1, &four))
		if answer.SocketID == c && (err != nil || object.N != 3 || four != 4) {
			t.Errorf("%v: %+v, %d", err, object, four)
		}
		if answer.SocketID == b && !errors.Is(err, ErrNoArgument) {
			t.Errorf("an argument that is not there: %v", err)
		}
	}

	// A room, a binary answer, and one's own broadcast.
	if err := errors.Join(sockets[0].Join("r"), sockets[1].Join("r")); err != nil {
		t.Fatal(err)
	}
	got = survey(t.Context(), sockets[0].To("r").Timeout(patience), "q")
	clients[1].expect(`21["q"]`)
	clients[1].send(`61-1[{"_placeholder":true,"num":0}]`, []byte("bin"))
	var bin []byte
	if answered = within(t, got); answered.err != nil || len(answered.list) != 1 || answered.list[0].Decode(0, &bin) != nil || string(bin) != "bin" {
		t.Errorf("%+v, %q", answered, bin)
	}

	// It ends early with the last one to leave.
	got = survey(t.Context(), h.In(a, b), "q")
	clients[0].answer(`["q"]`, "[1]")
	clients[1].expect(`22["q"]`)
	clients[1].send("1")
	answered = within(t, got)
	check(answered, map[string]string{a: "1", b: ErrDisconnected.Error()})
	for _, answer := range answered.list {
		if err := answer.Decode(0, new(any)); (answer.SocketID == b) != errors.Is(err, ErrDisconnected) {
			t.Errorf("%+v: %v", answer, err)
		}
	}
	if answered.err != nil {
		t.Error(answered.err)
	}

	// What came in time, and whose answer did not.
	eventually(t, "the one that left is no member", func() bool { return h.Of("/").Len() == 2 })
	incompleteOf := func(err error, answers int, members ...string) {
		t.Helper()
		var incomplete *IncompleteError
		slices.Sort(members)
		if !errors.As(err, &incomplete) || incomplete.Answers != answers || incomplete.Missing != len(members) || !slices.Equal(incomplete.Members, members) {
			t.Errorf("%v: %+v, want %d answers without those of %v", err, incomplete, answers, members)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan answers, 1)
	go func() {
		var got answers
		for answer, err := range h.To(a, c).Answers(ctx, "q") {
			if got.err = err; err == nil {
				got.list = append(got.list, answer)
				cancel(errCause)
			}
		}
		done <- got
	}()
	clients[0].answer(`["q"]`, "[1]")
	answered = within(t, done)
	check(answered, map[string]string{a: "1"})
	if incompleteOf(answered.err, 1, c); !errors.Is(answered.err, errCause) {
		t.Error(answered.err)
	}
	clients[2].answer(`["q"]`, `["late"]`)
	list, err := h.Timeout(10*time.Millisecond).EmitWithAck(t.Context(), "q")
	if incompleteOf(err, 0, a, c); len(list) != 0 || !errors.Is(err, ErrTimeout) {
		t.Error(list, err)
	}

	for _, b := range []*Broadcast{h.To("nobody"), h.In(a).Except(a), sockets[0].To(a).Timeout(time.Hour)} {
		if list, err := b.EmitWithAck(t.Context(), "q"); len(list) != 0 || err != nil {
			t.Errorf("nobody answered %v, %v", list, err)
		}
	}
	sockets[0].mu.Lock()
	defer sockets[0].mu.Unlock()
	if len(sockets[0].more.acks) != 0 {
		t.Errorf("%d acknowledgements are still awaited", len(sockets[0].more.acks))
	}
}

// S-34, architecture 3: a reserved name and an unencodable argument are errors, also if there is nobody to send them to.
func TestBroadcastRefuses(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	alone := h.Of("/alone")
	clients, _ := gather(t, h, 1)
	ask := func(b *Broadcast) func(event string, args ...any) error {
		return func(event string, args ...any) error {
			_, err := b.EmitWithAck(t.Context(), event, args...)
			return err
		}
	}
	for name, emit := range map[string]func(event string, args ...any) error{
		"emit to nobody": alone.Emit, "emit to a member": h.Emit, "emit to an empty room": h.To("r").Emit,
		"ask nobody": ask(alone.Local()), "ask a member": ask(h.Local()), "ask an empty room": ask(h.To("r")),
	} {
		if err := emit("connect"); !errors.Is(err, ErrReserved) || err.Error() != `"connect" is a reserved event name` {
			t.Errorf("%s: reserved: %v", name, err)
		}
		if err := emit("x", make(chan int)); !errors.Is(err, errEncode) {
			t.Errorf("%s: unencodable: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.EmitWithAck(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if err := h.Emit("end"); err != nil {
		t.Error(err)
	}
	clients[0].expect(`2["end"]`)
}

// Engine rules 6 and 9: a handler may ask a selection that its own client is in, though the answer stands behind more events than
// the inbound budget has room for; a connection hook is not made to wait for a client that cannot answer.
func TestHandlerAsksEverybody(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Engine: engineio.Options{InboundEvents: 10}})
	n := h.Of("/")
	n.Handle("echo", echo)
	results := make(chan answers, 2)
	n.Handle("ask", func(ctx context.Context, _ *Event) {
		list, err := n.EmitWithAck(ctx, "q")
		results <- answers{list, err}
	})
	n.OnConnection(func(ctx context.Context, s *Socket) error {
		if string(s.Handshake().RawAuth()) != "{}" {
			list, err := n.Timeout(patience).EmitWithAck(ctx, "welcome")
			results <- answers{list, err}
		}
		return nil
	})
	clients, sockets := gather(t, h, 2)
	clients[0].send(`2["ask"]`)
	clients[1].answer(`["q"]`, `["b"]`)
	clients[0].expect(`20["q"]`)
	var burst []any
	for range 15 {
		burst = append(burst, `21["echo"]`)
	}
	clients[0].send(append(burst, `30["a"]`)...)
	got := within(t, results)
	if want := map[string]string{sockets[0].ID(): `"a"`, sockets[1].ID(): `"b"`}; got.err != nil || !maps.Equal(got.said(), want) {
		t.Errorf("%v, %v", got.said(), got.err)
	}
	for range burst {
		clients[0].expect("31[]")
	}

	c := h.dial(t)
	c.send(`0{"x":1}`)
	clients[0].answer(`["welcome"]`, `["a"]`)
	clients[1].answer(`["welcome"]`, `["b"]`)
	id := c.connected("/")
	got = within(t, results)
	if want := map[string]string{sockets[0].ID(): `"a"`, sockets[1].ID(): `"b"`, id: ErrConnecting.Error()}; got.err != nil || !maps.Equal(got.said(), want) {
		t.Errorf("%v, %v", got.said(), got.err)
	}
	if err := n.To(id).Emit("end"); err != nil {
		t.Error(err)
	}
	c.expect(`2["end"]`)
}

// Answers come one by one; leaving the loop ends the wait.
func TestAnswersOneByOne(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	clients, sockets := gather(t, h, 2)
	first, done := make(chan Answer, 1), make(chan error, 1)
	go func() {
		for a, err := range h.Answers(t.Context(), "q") {
			if err != nil {
				done <- err
				return
			}
			first <- a
			break
		}
		done <- nil
	}()
	clients[1].answer(`["q"]`, "[1]")
	if a := within(t, first); a.SocketID != sockets[1].ID() {
		t.Errorf("%+v", a)
	}
	if err := within(t, done); err != nil {
		t.Error(err)
	}
	clients[0].expect(`20["q"]`)
	var errs []error
	for a, err := range h.To(sockets[0].ID()).Timeout(time.Millisecond).Answers(t.Context(), "q") {
		if a.Reply != nil {
			t.Errorf("%+v", a)
		}
		errs = append(errs, err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], ErrTimeout) {
		t.Errorf("%v", errs)
	}
}

// S-36, S-67, S-68: the flags of one call reach what is sent.
func TestFlags(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	p := h.Volatile().Compress(false).packet("x", nil)
	if !p.Volatile || !p.NoCompress {
		t.Errorf("%+v", p)
	}
	if p := h.Compress(false).Compress(true).packet("x", nil); p.Volatile || p.NoCompress {
		t.Errorf("%+v", p)
	}
	if m, err := h.format.encoding(p); err != nil || !m.(*engineio.Message).NoCompress {
		t.Errorf("%+v, %v", m, err)
	}
	if m := h.format.frame(parser.Encoded{}, h.Compress(false).flags); !m.NoCompress {
		t.Errorf("%+v", m)
	}
	clients, sockets := gather(t, h, 1)
	for i, emit := range []func(string, ...any) error{
		sockets[0].Compress(false).Volatile().Emit, sockets[0].Volatile().Compress(true).Emit,
		h.Compress(false).Emit, h.Local().Volatile().Compress(true).Emit,
	} {
		if err := emit("x", i); err != nil {
			t.Error(err)
		}
		clients[0].expect(fmt.Sprintf(`2["x",%d]`, i))
	}
}

// A socket whose CONNECT is not answered yet is asked like the others, and answers after that; one that is refused has left. What
// could not be sent to it is no reason to wait.
func TestAskingWhoIsConnecting(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	entered, goOn := make(chan *Socket), make(chan error)
	h.OnConnection(func(_ context.Context, s *Socket) error {
		entered <- s
		return <-goOn
	})
	c := h.dial(t, "0")
	s := within(t, entered)
	list, err := h.Volatile().EmitWithAck(t.Context(), "q")
	if err != nil || len(list) != 1 || list[0].SocketID != s.ID() || !errors.Is(list[0].Err, engineio.ErrNotWritable) {
		t.Errorf("volatile: %+v, %v", list, err)
	}
	asked := make(chan struct{})
	off := h.Of("/").OnAnyOutgoing(func(*Socket, string, []any) { close(asked) })
	got := survey(t.Context(), h.Local(), "q")
	within(t, asked)
	off()
	goOn <- nil
	c.connected("/")
	c.answer(`["q"]`, "[1]")
	if a := within(t, got); a.err != nil || a.said()[s.ID()] != "1" {
		t.Errorf("%+v", a)
	}

	c.send("1", "0")
	s = within(t, entered)
	asked = make(chan struct{})
	h.Of("/").OnAnyOutgoing(func(*Socket, string, []any) { close(asked) })
	got = survey(t.Context(), h.To(s.ID()), "q")
	within(t, asked)
	goOn <- errors.New("refused")
	if a := within(t, got); a.err != nil || len(a.list) != 1 || !errors.Is(a.list[0].Err, ErrDisconnected) {
		t.Errorf("%+v", a)
	}
}
