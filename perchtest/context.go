package perchtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/internal/unit"
	"github.com/perch-go/perch/socketio"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// SocketOptions is a plain value: the socket of a [Context]. The zero value is a client in the namespace "/" that has
// sent nothing along.
type SocketOptions struct {
	// ID is the socket's id. Empty: one that no other socket has.
	ID string
	// Namespace is where it is. Empty: "/". A leading slash is added.
	Namespace string
	// Auth is what the client gave as auth, whatever is encoded as a JSON object. Nil: none.
	Auth any
	// Header and Query are those of the handshake's request. Nil: what every client has.
	Header http.Header
	Query  url.Values
	// PathValues are what the wildcards of the namespace's pattern stand for, or of the path that a plain WebSocket client
	// came by: Namespace is "/room/42" and "id" is "42". Nil: none.
	PathValues map[string]string
	// Rooms are those that the socket is in, besides its own. Nil: none.
	Rooms []string
	// Recovered says that the client was away and is back. The default is a new one.
	Recovered bool
	// Connecting says that the client was not told yet that it is connected, as in HandleConnection. The default
	// is that it was.
	Connecting bool
	// Answer is asked for what the client acknowledges events with that are sent by EmitWithAck: a value,
	// [event.None] for an acknowledgement without argument, or the error that EmitWithAck returns, socketio.ErrTimeout
	// for example. Nil: such events are errors.
	Answer func(event string, args []any) (any, error)
}

// Socket is safe for concurrent use. It is a socket without a client, which records what is sent. What is done to it has the
// effect it would have: rooms are joined and left, keys keep their values, who was disconnected is sent nothing more.
type Socket struct {
	// Socket is what [perch.SocketFrom] finds in the context.
	*perch.Socket

	unit   *unit.Socket
	sent   log
	others log
	all    log
}

// Context is a context as handlers get it, and the socket whose event it belongs to, for tests that call a handler, a guard or
// a hook as the function it is. There is neither an app nor a server. The context ends with the test's.
func Context(t testing.TB, o SocketOptions) (context.Context, *Socket) {
	t.Helper()
	if o.ID == "" {
		o.ID = rand.Text()[:20]
	}
	s := new(Socket)
	io, err := socketio.New(socketio.Options{Logger: newLogger(t), Adapter: func(h adapter.Host) adapter.Adapter {
		return &recording{Memory: adapter.NewMemory(h), namespace: h.Name(), add: s.add, answer: s.answer(o.Answer)}
	}})
	if err != nil {
		t.Fatalf("perchtest: %v", err)
	}
	t.Cleanup(func() { _ = io.Shutdown(context.Background()) }) // nobody is connected
	ns := io.Of(o.Namespace)
	s.sent.own, s.others.own, s.all.own = ns.Name(), ns.Name(), ns.Name()
	s.unit = unit.NewSocket(t.Context(), unit.Config{
		ID: o.ID, IO: ns, Handshake: handshake(t, o), Values: maps.Clone(o.PathValues), Rooms: o.Rooms, Pending: o.Connecting, Recovered: o.Recovered,
	})
	ctx := s.unit.Context()
	s.Socket = perch.SocketFrom(ctx)
	return ctx, s
}

func handshake(t testing.TB, o SocketOptions) *socketio.Handshake {
	t.Helper()
	query := url.Values{"EIO": {"4"}, "transport": {"websocket"}}
	maps.Copy(query, o.Query)
	r := httptest.NewRequest(http.MethodGet, "/socket.io/?"+query.Encode(), nil)
	for name, values := range o.Header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	var auth []byte
	if o.Auth != nil {
		raw, err := parser.NewRaw(o.Auth)
		if err != nil || len(raw.JSON) == 0 || raw.JSON[0] != '{' || len(raw.Attachments) > 0 {
			t.Fatalf("perchtest: Auth is %#v: it has to be encoded as a JSON object without bytes (%v)", o.Auth, err)
		}
		auth = raw.JSON
	}
	return socketio.NewHandshake(r, auth)
}

// add sorts what was sent: what is for this socket alone, for others, or for whoever is there.
func (s *Socket) add(m Sent) {
	id := s.unit.ID()
	if s.means(m) {
		m.To = nil
		s.sent.add(m)
		return
	}
	if !slices.Contains(m.Except, id) {
		s.all.add(m)
		return
	}
	if m.Except = slices.DeleteFunc(m.Except, func(room string) bool { return room == id }); len(m.Except) == 0 {
		m.Except = nil
	}
	s.others.add(m)
}

// answer makes what acknowledges events that are for this socket alone.
func (s *Socket) answer(fn func(event string, args []any) (any, error)) func(Sent) (adapter.Answer, bool) {
	return func(m Sent) (a adapter.Answer, ok bool) {
		if !s.means(m) {
			return a, false
		}
		a.ID = s.unit.ID()
		if fn == nil {
			a.Err = fmt.Errorf("perchtest: nobody acknowledges event %q: set SocketOptions.Answer", m.Event)
			return a, true
		}
		v, err := fn(m.Event, slices.Clone(m.Args))
		if err != nil {
			a.Err = err
			return a, true
		}
		var args []any
		if _, none := v.(event.None); !none {
			args = []any{v}
		}
		if a.Arguments, err = adapter.NewValues(args...); err != nil {
			a.Err = fmt.Errorf("perchtest: the acknowledgement of event %q: %w", m.Event, err)
		}
		return a, true
	}
}

// means reports whether something was sent to the socket itself and to nobody else.
func (s *Socket) means(m Sent) bool {
	return slices.Equal(m.To, []string{s.unit.ID()}) && len(m.Except) == 0
}

// Sent is what was sent to the client so far, in order: by Emit, EmitVolatile, Send and EmitWithAck.
func (s *Socket) Sent() []Sent { return s.sent.all() }

// Broadcasts is what was sent to others on the socket's behalf so far, in order: by To, Except and Broadcast. That the
// socket itself is left out goes without saying.
func (s *Socket) Broadcasts() []Sent { return s.others.all() }

// ServerSent is what was sent by the socket's Server so far, in order: to rooms or the namespace, the socket itself included. What
// is sent by a gateway's Server is in its [Recorder].
func (s *Socket) ServerSent() []Sent { return s.all.all() }

// Disconnects are the arguments of the calls of Disconnect so far.
func (s *Socket) Disconnects() []bool { return s.unit.Disconnects() }

// Event is a plain value: an event as guards and the like see it.
type Event struct {
	// Name is the event's, and Args are its arguments, as values that are encoded as a client would.
	Name string
	Args []any
	// WantsAck says that the client asked for an acknowledgement.
	WantsAck bool
	// Payload points to the decoded argument, for what runs after the decoding. Nil: it was not decoded yet.
	Payload any
	// Handler describes the handler that the event is for, its Metadata for example. Nil: nothing is known of it.
	Handler *perch.HandlerInfo
}

// ExecutionContext is what guards, interceptors, filters and middleware get along with the context, so that a test can call one as
// the function it is. Of a nil event it is that of a client that connects or leaves.
func (s *Socket) ExecutionContext(t testing.TB, e *Event) *perch.ExecutionContext {
	t.Helper()
	var u *unit.Event
	if e != nil {
		args, err := adapter.NewValues(e.Args...)
		if err != nil {
			t.Fatalf("perchtest: event %q: %v", e.Name, err)
		}
		h := e.Handler
		if h == nil {
			h = &perch.HandlerInfo{Event: e.Name, Namespace: s.Namespace()}
		}
		u = &unit.Event{EventName: e.Name, Args: args, Ack: e.WantsAck, Payload: e.Payload, Handler: h}
	}
	return s.unit.Execution(u).(*perch.ExecutionContext)
}
