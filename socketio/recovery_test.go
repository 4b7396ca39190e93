package socketio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
)

var recoveryReply = regexp.MustCompile(`^0\{"sid":"([\w-]{20})","pid":"([\w-]{20})"\}$`)

// enter connects to "/" and returns what a client with recovery is told.
func (c *client) enter(auth string) (sid, pid string) {
	c.t.Helper()
	c.send("0" + auth)
	return c.entered()
}

func (c *client) entered() (sid, pid string) {
	c.t.Helper()
	got, _ := c.next().(string)
	m := recoveryReply.FindStringSubmatch(got)
	if m == nil {
		c.t.Fatalf("answer to CONNECT: %q", got)
	}
	return m[1], m[2]
}

var trailingString = regexp.MustCompile(`"([^"]*)"\]$`)

// event waits for an event and returns its offset.
func (c *client) event(prefix string) (offset string) {
	c.t.Helper()
	got, _ := c.next().(string)
	m := trailingString.FindStringSubmatch(got)
	if !strings.HasPrefix(got, prefix) || m == nil || len(m[1]) < adapter.OffsetSize || got != prefix+`"`+m[1]+`"]` {
		c.t.Fatalf("got %q, want %s and an offset", got, prefix)
	}
	return m[1]
}

// logged waits for a line of the log.
func (h *harness) logged(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the log says "+text, func() bool { return strings.Contains(h.log.String(), text) })
}

// S-78, C-18: every event that is stored ends in its offset, one with attachments too; a volatile one only if it ends in a string,
// and then in the offset of the event before it. Acknowledgements have none.
func TestRecoveryOffsetOnTheWire(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{}})
	ns := h.Of("/")
	sockets := make(chan *Socket, 1)
	ns.OnConnection(func(_ context.Context, s *Socket) error { sockets <- s; return nil })
	c := h.dial(t)
	c.enter("")
	s := <-sockets
	eventually(t, "the socket is connected", s.Connected)
	for _, emit := range []func(event string, args ...any) error{
		s.Emit, ns.Emit, ns.To(s.ID()).Emit,
		func(event string, args ...any) error { return s.Send(t.Context(), event, args...) },
	} {
		if err := errors.Join(emit("a"), emit("b", 1), emit("c", "text"), emit("d", []byte("bytes"), "z", []byte("more"))); err != nil {
			t.Fatal(err)
		}
		offsets := []string{c.event(`2["a",`), c.event(`2["b",1,`), c.event(`2["c","text",`)}
		offsets = append(offsets, c.event(`52-["d",{"_placeholder":true,"num":0},"z",{"_placeholder":true,"num":1},`))
		c.expect([]byte("bytes"), []byte("more"))
		if slices.Sort(offsets); len(slices.Compact(offsets)) != 4 {
			t.Errorf("offsets %q: some are the same", offsets)
		}
	}
	if err := ns.Emit("last", 1); err != nil {
		t.Fatal(err)
	}
	last := c.event(`2["last",1,`)
	for _, emit := range []func(event string, args ...any) error{s.Volatile().Emit, ns.Volatile().Emit} {
		for want, args := range map[string][]any{
			`2["v",1]`:           {1},
			`2["v",{"a":"b"}]`:   {map[string]string{"a": "b"}},
			`2["v","connected",`: {"connected"},
			`2["v",`:             nil,
		} {
			eventually(t, "a volatile event comes", func() bool {
				if err := emit("v", args...); err != nil {
					t.Error(err)
				}
				select {
				case got := <-c.in:
					if strings.HasSuffix(want, ",") {
						want += `"` + last + `"]`
					}
					if got != want {
						t.Errorf("got %q, want %q", got, want)
					}
					return true
				case <-time.After(50 * time.Millisecond):
					return false
				}
			})
			for len(c.in) > 0 {
				<-c.in // one that came late
			}
		}
	}
	go func() { _, _ = s.EmitWithAck(t.Context(), "ask", "me") }()
	if got, _ := c.next().(string); !regexp.MustCompile(`^2\d+\["ask","me"\]$`).MatchString(got) {
		t.Errorf("got %q", got)
	}
}

// S-6: what is off costs nothing and shows nowhere.
func TestRecoveryIsOff(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	c := h.dial(t)
	c.connect("/", `{"pid":"12345678901234567890","offset":"x"}`) // its answer has a sid and nothing else
	if err := h.Of("/").Emit("x", 1); err != nil {
		t.Fatal(err)
	}
	c.expect(`2["x",1]`)
	for s := range h.Of("/").Sockets() {
		if s.Recovered() || s.ticket != nil {
			t.Error("a ticket without recovery")
		}
	}
}

func TestRecoveryOptions(t *testing.T) {
	t.Parallel()
	for _, r := range []Recovery{{MaxDisconnection: -1}, {MaxPackets: -1}, {MaxBytes: -1}, {MaxSessions: -1}} {
		if _, err := New(Options{Recovery: &r}); err == nil || !strings.Contains(err.Error(), "negative") {
			t.Errorf("%+v: %v", r, err)
		}
	}
	_, err := New(Options{
		Recovery: &Recovery{},
		Adapter:  func(h adapter.Host) adapter.Adapter { return adapter.NewMemory(h) },
	})
	if !errors.Is(err, errNotRecoverer) {
		t.Errorf("an adapter that cannot recover: %v", err)
	}
}

// saves records what is saved.
type saves struct {
	*adapter.Recovering
	pids chan string
}

func (s saves) Save(session adapter.Session) {
	s.pids <- session.PID
	s.Recovering.Save(session)
}

func recordSaves(pids chan string) adapter.Factory {
	return func(h adapter.Host) adapter.Adapter {
		o, _ := h.Recovery()
		return saves{adapter.NewRecovering(h, o), pids}
	}
}

// S-76: after which reasons a client may come back.
func TestRecoveryReasons(t *testing.T) {
	t.Parallel()
	for _, r := range []Reason{ReasonParseError, ReasonInboundOverflow, ReasonOutboundOverflow, ""} {
		if recoverableReasons[r] {
			t.Errorf("saved after %q", r)
		}
	}
	for reason, test := range map[Reason]struct {
		saved bool
		end   func(h *harness, c *client, s *Socket)
	}{
		ReasonTransportClose:    {true, func(_ *harness, c *client, _ *Socket) { c.close() }},
		ReasonTransportError:    {true, func(_ *harness, c *client, _ *Socket) { c.send("2" + strings.Repeat("x", 2000)) }},
		ReasonPingTimeout:       {true, func(_ *harness, c *client, _ *Socket) { c.mute.Store(true) }},
		ReasonForcedClose:       {true, func(_ *harness, c *client, _ *Socket) { c.send("9") }},
		ReasonForcedServerClose: {true, func(_ *harness, c *client, _ *Socket) { c.send("0") }},
		ReasonServerShuttingDown: {true, func(h *harness, _ *client, _ *Socket) {
			go func() { _ = h.Shutdown(context.Background()) }()
		}},
		ReasonClientNamespaceDisconnect: {false, func(_ *harness, c *client, _ *Socket) { c.send("1") }},
		ReasonServerNamespaceDisconnect: {false, func(_ *harness, _ *client, s *Socket) { s.Disconnect(true) }},
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			pids := make(chan string, 10)
			o := Options{Recovery: &Recovery{}, Adapter: recordSaves(pids)}
			o.Engine.MaxPayload = 1000
			if reason == ReasonPingTimeout {
				o.Engine.PingInterval, o.Engine.PingTimeout = 50*time.Millisecond, 50*time.Millisecond
			}
			h := serve(t, o)
			reasons, sockets := make(chan Reason, 1), make(chan *Socket, 1)
			h.Of("/").Hook(Hooks{
				Connection: func(_ context.Context, s *Socket) error { sockets <- s; return nil },
				Disconnect: func(_ context.Context, _ *Socket, r Reason) { reasons <- r },
			})
			c := h.dial(t)
			_, pid := c.enter("")
			s := <-sockets
			eventually(t, "the socket is connected", s.Connected)
			test.end(h, c, s)
			if got := <-reasons; got != reason {
				t.Errorf("reason %q", got)
			}
			select {
			case got := <-pids:
				if !test.saved || got != pid {
					t.Errorf("saved %s", got)
				}
			default:
				if test.saved {
					t.Error("not saved")
				}
			}
		})
	}
}

// A client that comes back before the server has noticed: the handlers of its last events and its disconnect hooks are done before
// the recovered socket's hooks run, and what they stored is there.
func TestRecoveryAwaitsTheGhost(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{}})
	ns := h.Of("/")
	var mu sync.Mutex
	var diary []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		diary = append(diary, what)
	}
	ns.Hook(Hooks{
		Connection: func(_ context.Context, s *Socket) error {
			v, _ := s.Load("work")
			note(fmt.Sprintf("connected, recovered: %t, work: %v, others: %d", s.Recovered(), v, ns.Len()-1))
			return nil
		},
		Disconnect: func(_ context.Context, _ *Socket, r Reason) { note(string(r)) },
	})
	working, proceed := make(chan struct{}), make(chan struct{})
	ns.Handle("work", func(_ context.Context, e *Event) {
		close(working)
		<-proceed
		e.Socket().Store("work", "done")
		_ = e.Socket().Join("room")
		note("worked")
	})
	ns.Handle("more", func(context.Context, *Event) { note("more") })
	old := h.dial(t)
	sid, pid := old.enter("")
	old.send(`2["work"]`, `2["more"]`)
	<-working
	if err := ns.To(sid).Emit("into the void", 1); err != nil {
		t.Fatal(err)
	}

	c := h.dial(t)
	c.send(fmt.Sprintf(`0{"pid":%q}`, pid))
	old.event(`2["into the void",1,`) // the connection was good after all; its client does not listen to it any more
	old.expectEnd()
	close(proceed)
	c.event(`2["into the void",1,`)
	if gotSID, gotPID := c.entered(); gotSID != sid || gotPID != pid {
		t.Errorf("got %s and %s", gotSID, gotPID)
	}
	s, ok := ns.Socket(sid)
	if !ok || !slices.Equal(s.Rooms(), []string{sid, "room"}) {
		t.Errorf("rooms %q", s.Rooms())
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{"connected, recovered: false, work: <nil>, others: 0", "worked", "more", "transport close",
		"connected, recovered: true, work: done, others: 0"}
	if !slices.Equal(diary, want) {
		t.Errorf("got  %q\nwant %q", diary, want)
	}
}

// The wait for the ghost is bounded: a handler that does not end costs the recovery, and there are never two sockets with one id.
func TestRecoveryDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{}, ConnectTimeout: 300 * time.Millisecond})
	working, proceed := make(chan struct{}), make(chan struct{})
	defer close(proceed)
	h.Of("/").Handle("work", func(context.Context, *Event) {
		close(working)
		<-proceed
	})
	old := h.dial(t)
	sid, pid := old.enter("")
	old.send(`2["work"]`)
	<-working
	c := h.dial(t)
	if again, other := c.enter(fmt.Sprintf(`{"pid":%q}`, pid)); again == sid || other == pid {
		t.Error("two sockets with one id")
	}
	h.logged(t, "the last handler of the lost socket takes too long")
}

// Several connections with one pid: one has it, and at no moment two.
func TestRecoveryOfOnePIDByMany(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{}})
	ns := h.Of("/")
	var mu sync.Mutex
	live := map[string]int{}
	count := func(s *Socket, n int) {
		mu.Lock()
		defer mu.Unlock()
		if live[s.ID()] += n; live[s.ID()] > 1 {
			t.Errorf("%d sockets with the id %s", live[s.ID()], s.ID())
		}
	}
	ns.Hook(Hooks{
		Connection: func(_ context.Context, s *Socket) error { count(s, 1); return nil },
		Disconnect: func(_ context.Context, s *Socket, _ Reason) { count(s, -1) },
	})
	first := h.dial(t)
	_, pid := first.enter("")
	var all sync.WaitGroup
	var back atomic.Int64
	for range 20 {
		c := h.dial(t)
		all.Go(func() {
			_, _ = c.conn.Write(frames(fmt.Sprintf(`0{"pid":%q}`, pid)))
			if got, _ := (<-c.in).(string); strings.Contains(got, pid) {
				back.Add(1)
			}
		})
	}
	all.Wait()
	if back.Load() == 0 {
		t.Error("nobody has it")
	}
}

// S-77: what is not what a client would send is no request for recovery, and an error neither.
func TestRecoveryRequests(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{}})
	for _, auth := range []string{
		``, `{}`, `{"pid":null}`, `{"pid":1}`, `{"pid":""}`, `{"pid":"nobody"}`, `{"pid":{"a":1},"offset":"x"}`,
		`{"offset":"x"}`, `{"pid":"%s","offset":1}`, `{"pid":"%s","offset":"forged"}`, `{"pid":"%s","offset":""}`,
	} {
		old := h.dial(t)
		sid, pid := old.enter("")
		old.close()
		h.logged(t, "socket saved\" namespace=/ socket="+sid)
		c := h.dial(t)
		again, other := c.enter(strings.Replace(auth, "%s", pid, 1))
		if again == sid || other == pid {
			t.Errorf("recovered with %s", auth)
		}
	}
}

// A refusal sends nothing of what was missed; the session waits for a better try. Middlewares run again only if told so.
func TestRecoveryRefused(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprintf("RunMiddlewares %t", again), func(t *testing.T) {
			t.Parallel()
			h := serve(t, Options{Recovery: &Recovery{RunMiddlewares: again}})
			ns := h.Of("/")
			refuse := func(auth string) func(context.Context, *Socket) error {
				return func(_ context.Context, s *Socket) error {
					if bytes.Contains(s.Handshake().RawAuth(), []byte(auth)) {
						return &ConnectError{Message: auth}
					}
					return nil
				}
			}
			ns.Use(refuse("use"))
			ns.OnConnection(func(ctx context.Context, s *Socket) error {
				_ = s.Emit("hello", s.Recovered()) // dropped with a refusal
				return refuse("hook")(ctx, s)
			})
			c := h.dial(t)
			sid, pid := c.enter("")
			offset := c.event(`2["hello",false,`)
			c.close()
			h.logged(t, "socket saved")
			if err := ns.Emit("missed", 1); err != nil {
				t.Fatal(err)
			}
			try := func(auth string) *client {
				c := h.dial(t)
				c.send(fmt.Sprintf(`0{"pid":%q,"offset":%q,"auth":%q}`, pid, offset, auth))
				return c
			}
			try("hook").expect(`4{"message":"hook"}`)
			if again {
				try("use").expect(`4{"message":"use"}`)
			}
			c = try("use")
			if again {
				c.expect(`4{"message":"use"}`)
				c = try("")
			}
			// The greeting of the one that was refused is among what was missed: it is an event like any other.
			c.event(`2["missed",1,`)
			c.event(`2["hello",true,`)
			if got, _ := c.entered(); got != sid {
				t.Errorf("id %s, want %s", got, sid)
			}
			c.event(`2["hello",true,`)
		})
	}
}

// What a middleware emits takes its place in the order when the socket is a member, and is not lost either.
func TestRecoveryOfEarlyEvents(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{}})
	ns := h.Of("/")
	ns.Use(func(_ context.Context, s *Socket) error {
		if err := s.Volatile().Emit("volatile"); err != nil {
			t.Error(err)
		}
		return s.Emit("early", 1)
	})
	ns.OnConnection(func(_ context.Context, s *Socket) error {
		if s.Recovered() {
			return nil
		}
		return s.Emit("hook", 2)
	})
	c := h.dial(t)
	_, pid := c.enter("")
	c.event(`2["early",1,`)
	c.event(`2["hook",2,`)
	c.close()
	h.logged(t, "socket saved")
	c = h.dial(t)
	c.send(fmt.Sprintf(`0{"pid":%q}`, pid)) // nothing has arrived
	c.event(`2["early",1,`)
	c.event(`2["hook",2,`)
	c.entered()
}

// More than the outbound budget was missed: it is sent as fast as the client takes it.
func TestRecoveryOfMuch(t *testing.T) {
	t.Parallel()
	const missed = 500
	h := serve(t, Options{Recovery: &Recovery{}, Engine: engineio.Options{OutboundPackets: 16}})
	ns := h.Of("/")
	c := h.dial(t)
	_, pid := c.enter("")
	c.close()
	h.logged(t, "socket saved")
	for i := range missed {
		if err := ns.Emit("x", i); err != nil {
			t.Fatal(err)
		}
	}
	c = h.dial(t)
	c.send(fmt.Sprintf(`0{"pid":%q}`, pid))
	for i := range missed {
		c.event(fmt.Sprintf(`2["x",%d,`, i))
	}
	c.entered()
}

// The same over polling, where what was missed and the answer come in one payload.
func TestRecoveryByPolling(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{}})
	ns := h.Of("/")
	c := h.dial(t)
	sid, pid := c.enter("")
	c.close()
	h.logged(t, "socket saved")
	if err := errors.Join(ns.Emit("x", 1), ns.To(sid).Emit("y", []byte("b"))); err != nil {
		t.Fatal(err)
	}
	p := h.poll(t)
	resp, err := h.http.Post(p.url, "text/plain", strings.NewReader(fmt.Sprintf(`40{"pid":%q}`, pid)))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	got := strings.ReplaceAll(p.get(), "\x1e", " ")
	if !regexp.MustCompile(`^42\["x",1,"[\w-]{14}"\] 451-\["y",\{"_placeholder":true,"num":0\},"[\w-]{14}"\] bYg== 40\{"sid":"` + sid).MatchString(got) {
		t.Errorf("got %s", got)
	}
}
