package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// The times of the client profile: suites of clients wait for the first, and count on the second to be long enough
// for a client to give up meanwhile.
const (
	clientPingInterval = 2 * time.Second
	handshakeDelay     = 10 * time.Millisecond
)

// client is Socket.IO at /socket.io/ as suites of clients expect it, on port 3210 if -addr does not say otherwise.
// Clients of protocol 3 are allowed, recovery is on, every handshake takes 10 ms. Its namespaces:
//
//   - / refuses a connection whose query has "fail"; its events are those of answers, times, texts and binaries
//   - /no refuses everybody
//   - /foo answers getId
//   - /abc emits "handshake" with the handshake on connection
//   - /timeout_socket, /valid, /asd are there
func client() (*profile, error) {
	srv, err := socketio.New(socketio.Options{
		Engine: engineio.Options{
			PingInterval: clientPingInterval,
			AllowEIO3:    true,
			AllowRequest: slowly,
		},
		Recovery: &socketio.Recovery{},
	})
	if err != nil {
		return nil, err
	}
	root := srv.Of("/")
	root.Use(func(_ context.Context, s *socketio.Socket) error {
		if s.Handshake().Query().Has("fail") {
			return &socketio.ConnectError{Message: "Auth failed (main namespace)"}
		}
		return nil
	})
	answers(root)
	times(root)
	texts(root)
	binaries(root)
	srv.Of("/no").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "Auth failed (custom namespace)"}
	})
	srv.Of("/foo").Handle("getId", ackID)
	srv.Of("/abc").OnConnection(func(_ context.Context, s *socketio.Socket) error {
		return s.Emit("handshake", handshakeOf(s))
	})
	for _, name := range []string{"/timeout_socket", "/valid", "/asd"} {
		srv.Of(name)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	return &profile{mux, srv.Shutdown}, nil
}

// slowly lets everybody in, in time.
func slowly(r *http.Request) error {
	select {
	case <-time.After(handshakeDelay):
	case <-r.Context().Done():
	}
	return nil
}

func answers(root *socketio.Namespace) {
	root.Handle("hi", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("hi") })
	root.Handle("echo", func(_ context.Context, e *socketio.Event) {
		var x any
		if e.Decode(0, &x) == nil {
			_ = e.Ack(x)
		}
	})
	root.Handle("ack", func(ctx context.Context, e *socketio.Event) {
		s := e.Socket()
		// Whether and when the client answers is its business: its other events do not wait for that. The wait ends
		// when it leaves.
		go func() {
			reply, err := s.EmitWithAck(ctx, "ack")
			if err != nil {
				return
			}
			var a any
			var b struct{ Test bool }
			if reply.Decode(0, &a) == nil && a == 5.0 && reply.Decode(1, &b) == nil && b.Test {
				_ = s.Emit("got it")
			}
		}()
	})
	root.Handle("getId", ackID)
	root.Handle("getHandshake", func(_ context.Context, e *socketio.Event) { _ = e.Ack(handshakeOf(e.Socket())) })
}

func ackID(_ context.Context, e *socketio.Event) { _ = e.Ack(e.Socket().ID()) }

func times(root *socketio.Namespace) {
	root.Handle("getAckDate", func(_ context.Context, e *socketio.Event) { _ = e.Ack(now()) })
	root.Handle("getDate", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("takeDate", now()) })
	root.Handle("getDateObj", func(_ context.Context, e *socketio.Event) {
		_ = e.Socket().Emit("takeDateObj", map[string]string{"date": now()})
	})
}

// now is the time as JavaScript puts it into JSON.
func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

func texts(root *socketio.Namespace) {
	root.Handle("getUtf8", func(_ context.Context, e *socketio.Event) {
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			_ = e.Socket().Emit("takeUtf8", text)
		}
	})
	root.Handle("false", func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit("false", false) })
}

// sequence is how far a socket has come in the events that have to arrive in order. Only its handlers see it, one at
// a time.
type sequence struct{ abuff1, blob1, blob2 bool }

func sequenceOf(e *socketio.Event) *sequence {
	v, _ := e.Socket().Load("sequence")
	seq, _ := v.(*sequence)
	return seq
}

// binaries answers only what is as it should be: a binary is one that travelled as an attachment.
func binaries(root *socketio.Namespace) {
	root.OnConnection(func(_ context.Context, s *socketio.Socket) error {
		s.Store("sequence", new(sequence))
		return nil
	})
	send := func(request, answer string) {
		root.Handle(request, func(_ context.Context, e *socketio.Event) { _ = e.Socket().Emit(answer, []byte("asdfasdf")) })
	}
	send("doge", "doge")
	send("getbin", "takebin")

	// when answers an event whose argument passes; without an answer it has done its work by looking.
	when := func(request, answer string, passes func(e *socketio.Event) bool) {
		root.Handle(request, func(_ context.Context, e *socketio.Event) {
			if passes(e) && answer != "" {
				_ = e.Socket().Emit(answer)
			}
		})
	}
	when("buffa", "buffack", isBinary)
	when("jsonbuff", "jsonbuff-ack", isMixed)
	when("abuff1", "", func(e *socketio.Event) bool {
		seq := sequenceOf(e)
		seq.abuff1 = isBinary(e)
		return seq.abuff1
	})
	when("abuff2", "abuff2-ack", func(e *socketio.Event) bool { return sequenceOf(e).abuff1 })

	when("blob", "back", isBinary)
	when("jsonblob", "jsonblob-ack", isMixed)
	when("blob1", "", func(e *socketio.Event) bool {
		seq := sequenceOf(e)
		seq.blob1 = isBinary(e)
		return seq.blob1
	})
	when("blob2", "", func(e *socketio.Event) bool {
		var text string
		seq := sequenceOf(e)
		seq.blob2 = seq.blob1 && e.Decode(0, &text) == nil && text == "second"
		return seq.blob2
	})
	when("blob3", "blob3-ack", func(e *socketio.Event) bool { return sequenceOf(e).blob2 && isBinary(e) })
}

func isBinary(e *socketio.Event) bool {
	var x any
	if e.Decode(0, &x) != nil {
		return false
	}
	_, binary := x.([]byte)
	return binary
}

func isMixed(e *socketio.Event) bool {
	var x struct {
		Hello, Goodbye string
		Message        any
	}
	if e.Decode(0, &x) != nil {
		return false
	}
	_, binary := x.Message.([]byte)
	return binary && x.Hello == "lol" && x.Goodbye == "gotcha"
}

// handshake is a socket's handshake as clients know it from the reference server (S-50).
type handshake struct {
	Headers map[string]string `json:"headers"`
	Time    string            `json:"time"`
	Address string            `json:"address"`
	XDomain bool              `json:"xdomain"`
	Secure  bool              `json:"secure"`
	Issued  int64             `json:"issued"`
	URL     string            `json:"url"`
	Query   map[string]any    `json:"query"`
	Auth    map[string]any    `json:"auth"`
}

func handshakeOf(s *socketio.Socket) handshake {
	h := s.Handshake()
	out := handshake{
		Headers: map[string]string{},
		Time:    h.Issued().UTC().Format("Mon Jan 02 2006 15:04:05 GMT-0700 (Coordinated Universal Time)"),
		Address: h.RemoteAddr(),
		XDomain: h.CrossDomain(),
		Secure:  h.Secure(),
		Issued:  h.Issued().UnixMilli(),
		URL:     h.URL().String(),
		Query:   map[string]any{},
	}
	if host, _, err := net.SplitHostPort(out.Address); err == nil {
		out.Address = host
	}
	for name, values := range h.Header() {
		out.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	for name, values := range h.Query() {
		if out.Query[name] = values; len(values) == 1 {
			out.Query[name] = values[0]
		}
	}
	_ = h.DecodeAuth(&out.Auth) // an object, which the parser has seen to
	return out
}
