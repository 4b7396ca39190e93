package perchtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// Sent is a plain value: an event that was sent and went nowhere, because nobody was connected.
type Sent struct {
	// Event is its name, and Args are the values that were given as arguments.
	Event string
	Args  []any
	// To are the rooms it was sent to, none for everyone. Except are those left out.
	To     []string
	Except []string
	// The flags it was sent with; Ack by EmitWithAck.
	Volatile   bool
	Local      bool
	NoCompress bool
	Ack        bool
	// Namespace is where it was sent if that is not the gateway's own, or the socket's: by Of.
	Namespace string
	// Call is what was called if that sends no event: "SocketsJoin", "SocketsLeave", "DisconnectSockets",
	// whose arguments are in Args then, or "ServerSideEmit", whose Event is meant for other servers and whose Args
	// are parser.Raw.
	Call string
}

// Values are the arguments of those of the events that have this name, which each have one, or none if T is
// [event.None]. An argument of another type has to be sent as a T would be: it is what a client would decode
// into one. What is not fails the test.
//
// With a plain name as e the T has to be given: Values[Message](t, sent, "message").
func Values[T any](t testing.TB, sent []Sent, e event.Event[T]) []T {
	t.Helper()
	var list []T
	for _, s := range sent {
		if s.Event != string(e) || s.Call != "" {
			continue
		}
		v, err := value[T](s.Args)
		if err != nil {
			t.Fatalf("perchtest: event %q with %#v is no %T: %v", s.Event, s.Args, v, err)
		}
		list = append(list, v)
	}
	return list
}

func value[T any](args []any) (v T, err error) {
	if _, none := any(v).(event.None); none {
		if len(args) > 0 {
			err = errors.New("it has an argument")
		}
		return v, err
	}
	if len(args) != 1 {
		return v, fmt.Errorf("it has %d arguments", len(args))
	}
	if v, ok := args[0].(T); ok {
		return v, nil
	}
	raw, err := parser.NewRaw(args[0])
	if err != nil {
		return v, err
	}
	return v, raw.Decode(&v)
}

// Recorder is safe for concurrent use. It has what a gateway's Server was told to send.
type Recorder struct{ sent log }

// Sent is what was sent so far, in order.
func (r *Recorder) Sent() []Sent { return r.sent.all() }

// Record gives a gateway a server that records: what g.Server() sends is in the Recorder, and what could not be sent
// is an error there, as it would be to clients: an event name that is reserved, an argument that cannot be encoded.
// Nobody is connected: Sockets and FetchSockets are empty, and EmitWithAck has no answers. So there is no namespace of a
// gateway's pattern before Of names one, and what is sent to all of them is recorded in those that there are, if any.
//
// It makes and starts an app of the gateway, so what perch.New or AfterInit finds wrong with it fails the test; the
// app is shut down when the test ends. options may add other gateways, for Of, or an Emitter.
func Record(t testing.TB, g perch.Gateway, options ...perch.Option) *Recorder {
	t.Helper()
	n, logger := newNetwork(), newLogger(t)
	r := new(Recorder)
	all := slices.Concat([]perch.Option{perch.WithGateways(g)}, options, []perch.Option{perch.WithAdapter(r.sent.adapter)})
	app := newApp(t, n, logger, all...)
	r.sent.own = "/" + strings.TrimPrefix(g.Options().Namespace, "/")
	start(t, app)
	return r
}

// log is safe for concurrent use. It is the order of what was sent.
type log struct {
	own string // the namespace that is not mentioned

	mu   sync.Mutex
	sent []Sent
}

func (l *log) all() []Sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

func (l *log) add(s Sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Namespace == l.own {
		s.Namespace = ""
	}
	l.sent = append(l.sent, s)
}

// adapter makes the adapter of a namespace.
func (l *log) adapter(h adapter.Host) adapter.Adapter {
	return &recording{Memory: adapter.NewMemory(h), namespace: h.Name(), add: l.add}
}

// recording is the adapter of a namespace without members, which keeps what it is to deliver.
type recording struct {
	*adapter.Memory
	namespace string
	add       func(Sent)
	answer    func(Sent) (a adapter.Answer, ok bool) // nil: nobody answers
}

// note records a call.
func (r *recording) note(sel adapter.Selection, s Sent) Sent {
	s.Namespace = r.namespace
	s.To, s.Except, s.Local = slices.Clone(sel.Rooms), slices.Clone(sel.Except), sel.Local
	r.add(s)
	return s
}

// packet is an event as it is recorded; the error is why it cannot be sent.
func packet(p *adapter.Packet) (Sent, error) {
	if _, err := adapter.NewValues(p.Args...); err != nil {
		return Sent{}, err
	}
	return Sent{Event: p.Event, Args: slices.Clone(p.Args), Volatile: p.Volatile, NoCompress: p.NoCompress}, nil
}

// Broadcast records. What cannot be encoded is left to the namespace to say, in its own words.
func (r *recording) Broadcast(p *adapter.Packet, sel adapter.Selection) error {
	if s, err := packet(p); err == nil {
		r.note(sel, s)
	}
	return nil
}

// Ask records, and answers if somebody does.
func (r *recording) Ask(_ context.Context, p *adapter.Packet, sel adapter.Selection, answer func(adapter.Answer)) error {
	s, err := packet(p)
	if err != nil {
		return nil // as above
	}
	s.Ack = true
	if s = r.note(sel, s); r.answer != nil {
		if a, ok := r.answer(s); ok {
			answer(a)
		}
	}
	return nil
}

func (r *recording) JoinAll(sel adapter.Selection, rooms ...string) error {
	r.note(sel, Sent{Call: "SocketsJoin", Args: anys(rooms)})
	return nil
}

func (r *recording) LeaveAll(sel adapter.Selection, rooms ...string) error {
	r.note(sel, Sent{Call: "SocketsLeave", Args: anys(rooms)})
	return nil
}

func (r *recording) DisconnectAll(sel adapter.Selection, closeConn bool) error {
	r.note(sel, Sent{Call: "DisconnectSockets", Args: []any{closeConn}})
	return nil
}

func (r *recording) ServerSideEmit(_ context.Context, event string, args []any, answer func(adapter.ServerAnswer)) error {
	if _, err := adapter.NewValues(args...); err != nil {
		return err
	}
	r.note(adapter.Selection{}, Sent{Call: "ServerSideEmit", Event: event, Args: slices.Clone(args), Ack: answer != nil})
	return nil
}

func anys(list []string) []any {
	args := make([]any, len(list))
	for i, s := range list {
		args[i] = s
	}
	return args
}
