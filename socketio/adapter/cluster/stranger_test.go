package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// Spec 3.7: a node of Node's asks ours.
func TestAskedByNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		a, b := &member{id: "a"}, &member{id: "b", silent: true}
		h := &host{events: func(e adapter.ServerEvent) {
			if e.Answer != nil {
				if err := e.Answer(map[string]int{"n": e.NumArgs()}); err != nil {
					t.Error(err)
				}
			}
		}}
		n := newHostedNode(t, broker.Open, h, a, b)
		s := newStranger(t, broker.Open, strangerUID)
		head, id := `{"uid":"`+strangerUID+`","nsp":"/","type":`, `"requestId":"89d243c5e9eb3752"`

		s.says(t, nil, head+`3,"data":{"packet":{"type":2,"data":["x",1]},"opts":{"rooms":["a"],"except":[],"flags":{}}}}`)
		s.says(t, nil, `{"uid":"emitter","nsp":"/","type":3,"data":{"packet":{"type":2,"data":["y"],"nsp":"/"},"opts":{"rooms":[],"except":["b"],"flags":{}}}}`)
		s.says(t, nil, `{"uid":"`+strangerUID+`","nsp":"/other","type":3,"data":{"packet":{"type":2,"data":["z"]},"opts":{"rooms":[],"except":[],"flags":{}}}}`)
		if got := a.events(); !slices.Equal(got, []string{"x 1", "y"}) || len(b.events()) != 0 {
			t.Errorf("a got %q, b %q", got, b.events())
		}
		s.hears(t)

		ask := head + `3,"data":{"packet":{"type":2,"data":["q"]},` + id + `,"opts":{"rooms":[],"except":[],"flags":{"timeout":500}}}}`
		s.says(t, nil, ask)
		want := []string{`11,"data":{` + id + `,"clientCount":2}}`, `12,"data":{` + id + `,"packet":"a"}}`}
		if got := s.hears(t); !slices.Equal(got, want) {
			t.Errorf("heard %q, want %q", got, want)
		}
		b.answer([]int{1}, "more")
		if got := s.hears(t); !slices.Equal(got, []string{`12,"data":{` + id + `,"packet":[1],"rest":["more"]}}`}) {
			t.Errorf("heard %q", got)
		}

		// A member that leaves is no answer to Node, and after the timeout nobody is waited for.
		s.says(t, nil, ask)
		s.hears(t)
		if b.waiting() != 1 {
			t.Error("b is not asked")
		}
		pass(600 * time.Millisecond)
		if b.waiting() != 0 || len(s.hears(t)) != 0 {
			t.Error("b is still waited for")
		}
		// Node may not have said how long it waits.
		s.says(t, nil, strings.Replace(ask, `"timeout":500`, "", 1))
		pass(6 * time.Second)
		if s.hears(t); b.waiting() != 0 {
			t.Error("b is waited for without end")
		}

		s.says(t, nil, head+`7,"data":{"opts":{"rooms":["b"],"except":[],"flags":{}},`+id+`}}`)
		got := s.hears(t)
		if len(got) != 1 || !strings.HasPrefix(got[0], `8,"data":{`+id+`,"sockets":[{"id":"b","handshake":{"headers":{},`) || !strings.HasSuffix(got[0], `"data":{}}]}}`) {
			t.Errorf("heard %q", got)
		}
		s.says(t, nil, head+`9,"data":{"packet":["e",1,2],`+id+`}}`)
		s.says(t, nil, head+`9,"data":{"packet":["e",1,2]}}`)
		if got := s.hears(t); !slices.Equal(got, []string{`10,"data":{` + id + `,"packet":{"n":2}}}`}) {
			t.Errorf("heard %q", got)
		}
		s.says(t, nil, head+`4,"data":{"opts":{"rooms":["a"],"except":[],"flags":{}},"rooms":["r","s"]}}`)
		s.says(t, nil, head+`5,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"rooms":["s"]}}`)
		if got := n.Rooms("a"); !slices.Equal(got, []string{"a", "r"}) {
			t.Errorf("a is in %q", got)
		}
		s.says(t, nil, head+`99}`)
		s.says(t, nil, head+`12,"data":{"requestId":"nobody's","packet":1}}`)

		if n := count(t, n); n != 2 {
			t.Errorf("%d nodes, want two: the emitter is none", n)
		}
		s.says(t, nil, head+`13}`)
		if n := count(t, n); n != 1 {
			t.Errorf("%d nodes after one has closed", n)
		}
	})
}

// Spec 3.7: ours asks a node of Node's, which tells neither who answers nor who leaves.
func TestAsksNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		n := newNode(t, broker.Open, &member{id: "a"})
		s := newStranger(t, broker.Open, strangerUID)
		head := `{"uid":"` + strangerUID + `","nsp":"/","type":`
		s.says(t, nil, head+"1}")
		if got := s.types(); !slices.Equal(got, []Type{Heartbeat}) {
			t.Errorf("the introduction is answered by %v", got)
		}

		// begin lets the node ask, and takes the id of its request.
		begin := func(ask func(ctx context.Context) error, ctx context.Context) (id string, done chan error) {
			done = make(chan error, 1)
			go func() { done <- ask(ctx) }()
			synctest.Wait()
			for _, m := range s.take() {
				if m.RequestID != "" {
					id = m.RequestID
				}
			}
			if len(id) != 16 {
				t.Errorf("request id %q", id)
			}
			return id, done
		}
		var answers []string
		ask := func(ctx context.Context) error {
			answers = nil
			return n.Ask(ctx, &adapter.Packet{Namespace: "/", Event: "q"}, adapter.Selection{}, func(a adapter.Answer) {
				text := "left"
				if a.Err == nil {
					text = string(a.Raw(0))
				}
				answers = append(answers, a.ID+text)
			})
		}
		id, done := begin(ask, t.Context())
		s.says(t, n, head+`12,"data":{"requestId":"`+id+`","packet":1}}`) // ahead of the count
		s.says(t, n, head+`11,"data":{"requestId":"`+id+`","clientCount":2}}`)
		s.says(t, n, head+`12,"data":{"requestId":"`+id+`","packet":1}}`)
		if err := <-done; err != nil || !slices.Equal(answers, []string{`a"a"`, "1", "1"}) {
			t.Errorf("%q, %v", answers, err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		id, done = begin(ask, ctx)
		s.says(t, n, head+`11,"data":{"requestId":"`+id+`","clientCount":3}}`)
		s.says(t, n, head+`12,"data":{"requestId":"`+id+`","packet":1}}`)
		var e *adapter.IncompleteError
		if err := <-done; !errors.As(err, &e) || e.Missing != 2 || e.Answers != 2 || len(e.Members) != 0 || !slices.Equal(e.Nodes, []string{strangerUID}) {
			t.Errorf("%v: %+v", err, e)
		}

		id, done = begin(ask, t.Context())
		s.says(t, n, head+`11,"data":{"requestId":"`+id+`","clientCount":2}}`)
		s.says(t, n, head+`13}`)
		if err := <-done; err != nil || !slices.Equal(answers, []string{`a"a"`, "left", "left"}) {
			t.Errorf("%q, %v", answers, err)
		}
	})
}

// What goes to Node's nodes is what they understand.
func TestSpeaksToNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		n := newNode(t, broker.Open)
		s := newStranger(t, broker.Open, strangerUID)
		sel := adapter.Selection{Rooms: []string{"r"}, Except: []string{"s"}}
		opts := `"opts":{"rooms":["r"],"except":["s"],"flags":{}}`
		for _, tt := range []struct {
			do   func() error
			want string
		}{
			{func() error {
				return n.Broadcast(&adapter.Packet{Namespace: "/", Event: "x", Args: []any{1}, Volatile: true}, sel)
			},
				`3,"data":{"packet":{"type":2,"data":["x",1],"nsp":"/"},"opts":{"rooms":["r"],"except":["s"],"flags":{"volatile":true}}}}`},
			{func() error { return n.JoinAll(sel, "a", "b") }, `4,"data":{` + opts + `,"rooms":["a","b"]}}`},
			{func() error { return n.LeaveAll(sel, "a") }, `5,"data":{` + opts + `,"rooms":["a"]}}`},
			{func() error { return n.DisconnectAll(sel, false) }, `6,"data":{` + opts + `,"close":false}}`},
			{func() error { return n.ServerSideEmit(t.Context(), "x", []any{1}, nil) }, `9,"data":{"packet":["x",1]}}`},
		} {
			if err := tt.do(); err != nil {
				t.Error(err)
			}
			if got := s.hears(t); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("heard %q, want %q", got, tt.want)
			}
		}
		s.says(t, nil, fmt.Sprintf(`{"uid":%q,"nsp":"/","type":2}`, strangerUID))
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, _ = n.Fetch(ctx, sel)
		_ = n.ServerSideEmit(ctx, "x", nil, func(adapter.ServerAnswer) {})
		_ = n.Ask(ctx, &adapter.Packet{Namespace: "/", Event: "x"}, sel, func(adapter.Answer) {})
		if got := s.hears(t); len(got) == 0 || !strings.HasPrefix(got[0], `7,"data":{"requestId":"`) || !strings.HasSuffix(got[0], `",`+opts+`}}`) {
			t.Errorf("heard %q", got)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_ = n.Ask(ctx, &adapter.Packet{Namespace: "/", Event: "x"}, sel, func(adapter.Answer) {})
		got := s.hears(t)
		if len(got) != 2 || !strings.HasPrefix(got[0], `3,"data":{"requestId":"`) || !strings.Contains(got[0], `"flags":{"timeout":1500}},"who":true}}`) || !strings.HasPrefix(got[1], `113,"data":{"requestId":"`) {
			t.Errorf("heard %q", got)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if got := s.hears(t); !slices.Equal(got, []string{"13}"}) {
			t.Errorf("heard %q", got)
		}
	})
}

// A node that was not known when a request began, or that is late, is told that nobody waits for its members.
func TestForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		n := newNode(t, broker.Open)
		s := newStranger(t, broker.Open, strangerUID)
		id := `"requestId":"89d243c5e9eb3752"`
		head := `{"uid":"` + strangerUID + `","nsp":"/","type":`
		s.says(t, n, head+`11,"data":{`+id+`,"clientCount":1,"who":true}}`)
		if got := s.hears(t); !slices.Equal(got, []string{`113,"data":{` + id + `}}`}) {
			t.Errorf("heard %q", got)
		}
		s.says(t, n, head+`11,"data":{`+id+`,"clientCount":1}}`) // Node would not understand
		if got := s.hears(t); len(got) != 0 {
			t.Errorf("heard %q", got)
		}

		m := &member{id: "m", silent: true}
		newNode(t, broker.Open, m)
		s.says(t, nil, head+`3,"data":{`+id+`,"who":true,"packet":{"type":2,"data":["q"]},"opts":{"rooms":[],"except":[],"flags":{}}}}`)
		pass(9 * time.Second)
		if m.waiting() != 1 {
			t.Error("a node that says when it waits no more is not waited for")
		}
		s.says(t, nil, head+`113,"data":{`+id+`}}`)
		if m.waiting() != 0 {
			t.Error("m is still waited for")
		}
	})
}
