package client

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio"
)

// C-11: a middleware's refusal is final, with what it says.
func TestRefused(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		let := false
		site.Of("/").Use(func(context.Context, *socketio.Socket) error {
			if let {
				return nil
			}
			return &socketio.ConnectError{Message: "go away", Data: map[string]int{"code": 7}}
		})
		s := site.client("", site.options(transports...))
		r := newRecord()
		s.OnConnectError(func(err error) { r.add("%v", err) })
		err := s.Connect(t.Context())
		var refused *ConnectError
		var data struct{ Code int }
		if !errors.As(err, &refused) || refused.Message != "go away" || refused.Data.Decode(&data) != nil || data.Code != 7 {
			t.Fatalf("%v %+v", err, data)
		}
		time.Sleep(time.Minute)
		r.want(t, "client: refused by the server: go away")
		if s.Active() || s.Connected() || s.Manager().Connected() {
			t.Error("still active or connected")
		}
		let = true
		connect(t, s)
		if _, err := Dial(t.Context(), siteURL+"/nowhere", site.options(transports...)); !errors.As(err, &refused) || refused.Message != "Invalid namespace" {
			t.Error(err)
		}
	})
}

// Dial returns the first failure, and leaves nothing behind.
func TestDialFails(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		site.turn(false)
		s, err := Dial(t.Context(), siteURL, site.options(transports...))
		if s != nil || !errors.Is(err, errDown) || !strings.Contains(err.Error(), siteURL) {
			t.Errorf("%v, %v", s, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		late := site.client("", site.options(transports...))
		err = late.Connect(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDown) {
			t.Errorf("%v, want the end of the context and the last failure", err)
		}
		if !late.Active() {
			t.Error("the attempts do not go on")
		}
		site.turn(true)
		connect(t, late)

		site.turn(false)
		o := site.options(transports...)
		o.NoReconnection = true
		once := site.client("", o)
		if err := once.Connect(t.Context()); !errors.Is(err, errDown) || once.Active() {
			t.Errorf("%v, active %v", err, once.Active())
		}
		o.NoReconnection, o.ReconnectionAttempts = false, 2
		twice := site.client("", o)
		if err := twice.Connect(t.Context()); !errors.Is(err, ErrReconnectionFailed) || !errors.Is(err, errDown) || twice.Active() {
			t.Errorf("%v, active %v", err, twice.Active())
		}
	})
}

// Auth is asked for on every CONNECT, and again when it has failed.
func TestAuth(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, recoverable())
		r := newRecord()
		site.Of("/").OnConnection(func(_ context.Context, s *socketio.Socket) error {
			var auth json.RawMessage
			_ = s.Handshake().DecodeAuth(&auth)
			r.add("%s", auth)
			return nil
		})
		calls := 0
		o := site.options(transports...)
		o.AuthFunc = func(context.Context) (any, error) {
			calls++
			switch calls {
			case 1:
				return nil, errDown
			case 2:
				panic("auth")
			}
			return map[string]int{"call": calls}, nil
		}
		s := site.client("", o)
		s.OnConnectError(func(err error) { r.add("%v", errors.Is(err, ErrAuth)) })
		connect(t, s)
		r.want(t, "true", "true", `{"call":3}`)
		site.cut()
		time.Sleep(10 * time.Second)
		got := r.all()
		if len(got) != 1 || !strings.Contains(got[0], `"pid":`) || !strings.HasSuffix(got[0], `"call":4}`) || !s.Recovered() {
			t.Errorf("%q, recovered %v", got, s.Recovered())
		}
		for _, auth := range []any{5, "x", []int{1}, map[string][]byte{"x": []byte("y")}, func() {}} {
			o := site.options(transports...)
			o.Auth = auth
			if err := site.client("", o).Connect(t.Context()); !errors.Is(err, ErrAuth) {
				t.Errorf("%T as auth: %v", auth, err)
			}
		}
	})
}

// asker is an auth whose encoding asks the socket that it is for.
type asker struct{ s **Socket }

func (a asker) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]bool{"connected": (*a.s).Connected()})
}

// The program may call the socket while its auth is made, and an AuthFunc that ends its goroutine has failed.
func TestAuthCallsSocket(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		var s *Socket
		o := site.options(transports...)
		o.Auth = asker{&s}
		s = site.client("", o)
		connect(t, s)
		exits := true
		o.Auth, o.AuthFunc = nil, func(context.Context) (any, error) {
			if exits {
				exits = false
				runtime.Goexit()
			}
			return nil, nil
		}
		s = site.client("", o)
		r := newRecord()
		s.OnConnectError(func(err error) { r.add("%v", errors.Is(err, errAuthExit)) })
		connect(t, s)
		r.want(t, "true")
	})
}

// C-20: namespaces share a connection, which ends with the last of them.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		for _, name := range []string{"/a", "/b"} {
			site.Of(name).Handle("who", func(_ context.Context, e *socketio.Event) { _ = e.Ack(name) })
		}
		m, err := NewManager(t.Context(), siteURL, site.options(transports...))
		if err != nil {
			t.Fatal(err)
		}
		r := newRecord()
		m.OnOpen(func() { r.add("open") })
		m.OnClose(func(reason Reason, _ error) { r.add("%s", reason) })
		sockets := map[string]*Socket{}
		for _, name := range []string{"/a", "/b"} {
			s, err := m.Socket(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			sockets[name] = s
			s.OnDisconnect(func(reason Reason, _ error) { r.add("%s %s", name, reason) })
			connect(t, s)
			reply, err := s.EmitWithAck(t.Context(), "who")
			if err != nil {
				t.Fatal(err)
			}
			var who string
			if err := reply.Decode(0, &who); err != nil || who != name {
				t.Errorf("%q, %v", who, err)
			}
		}
		a, b := sockets["/a"], sockets["/b"]
		if a.ID() == b.ID() || a.ID() == m.SessionID() {
			t.Error("ids are not of their own")
		}
		r.want(t, "open")
		a.Disconnect()
		r.want(t, "/a io client disconnect")
		if a.Active() || !b.Connected() || !m.Connected() {
			t.Error("the connection ended with its first socket")
		}
		b.Disconnect()
		got := r.all() // of two lanes, in any order
		slices.Sort(got)
		if !slices.Equal(got, []string{"/b io client disconnect", "forced close"}) {
			t.Errorf("%q", got)
		}
		if m.Connected() {
			t.Error("the connection did not end with its last socket")
		}
		connect(t, b)
		r.want(t, "open")
		_ = b.Emit("last words")
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		got = r.all()
		slices.Sort(got)
		if !slices.Equal(got, []string{"/b forced close", "forced close"}) {
			t.Errorf("%q", got)
		}
		<-m.Done()
	})
}

// C-12: who the server disconnects is not connected again until it is asked for.
func TestServerDisconnects(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		site.Of("/").Handle("kick", func(_ context.Context, e *socketio.Event) {
			var hard bool
			_ = e.Decode(0, &hard)
			e.Socket().Disconnect(hard)
		})
		s := site.client("", site.options(transports...))
		r := newRecord()
		s.OnDisconnect(func(reason Reason, _ error) { r.add("%s", reason) })
		for _, hard := range []bool{false, true} {
			connect(t, s)
			if _, err := s.EmitWithAck(t.Context(), "kick", hard); !errors.Is(err, ErrDisconnected) {
				t.Errorf("an ack of a disconnected socket: %v", err)
			}
			time.Sleep(time.Minute)
			r.want(t, "io server disconnect")
			if s.Active() || s.Manager().Connected() {
				t.Error("connected again")
			}
		}
	})
}

// Close may be called from a handler, and while the reader waits for one.
func TestCloseFromHandler(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, transports []Transport) {
		site := newSite(t, socketio.Options{})
		site.Of("/").OnConnection(func(_ context.Context, s *socketio.Socket) error {
			for i := range 3 * laneTasks {
				if err := s.Emit("n", i); err != nil {
					return err
				}
			}
			return nil
		})
		s := site.client("", site.options(transports...))
		r := newRecord()
		s.On("n", func(ctx context.Context, e *Event) {
			time.Sleep(time.Second) // the lane is full by then
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			r.add("closed %v", ctx.Err() != nil)
		})
		s.OnDisconnect(func(Reason, error) { r.add("disconnect") })
		_ = s.Connect(t.Context())
		<-s.Manager().Done()
		r.want(t, "closed true", "disconnect")
		synctest.Wait()
	})
}
