package cluster

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// A bus that loses messages of one type: whoever asks gets what has come, and learns who is missing.
func TestLost(t *testing.T) {
	t.Parallel()
	type result struct {
		answers []string
		missing int
		members []string
		nodes   int
	}
	fetch := func(ctx context.Context, a *Adapter) (answers []string, err error) {
		infos, err := a.Fetch(ctx, adapter.Selection{})
		for _, info := range infos {
			answers = append(answers, info.ID)
		}
		return answers, err
	}
	emit := func(ctx context.Context, a *Adapter) (answers []string, err error) {
		err = a.ServerSideEmit(ctx, "x", nil, func(s adapter.ServerAnswer) { answers = append(answers, string(s.Raw(0))) })
		return answers, err
	}
	ask := func(ctx context.Context, a *Adapter) (answers []string, err error) {
		err = a.Ask(ctx, &adapter.Packet{Event: "x"}, adapter.Selection{}, func(s adapter.Answer) { answers = append(answers, s.ID) })
		return answers, err
	}
	for _, tt := range []struct {
		lost Type
		do   func(context.Context, *Adapter) ([]string, error)
		want result
	}{
		{Fetch, fetch, result{[]string{"a", "b"}, 1, nil, 1}},
		{FetchResponse, fetch, result{[]string{"a", "b"}, 1, nil, 1}},
		{ServerSideEmit, emit, result{[]string{`"b"`}, 1, nil, 1}},
		{ServerSideEmitResponse, emit, result{[]string{`"b"`}, 1, nil, 1}},
		{Broadcast, ask, result{[]string{"a", "b"}, 1, nil, 1}},
		{BroadcastClientCount, ask, result{[]string{"a", "b", "c"}, 1, nil, 1}},
		{BroadcastAck, ask, result{[]string{"a", "b"}, 1, []string{"c"}, 1}},
		{Heartbeat, fetch, result{[]string{"a", "b", "c"}, 0, nil, 0}},
	} {
		t.Run(tt.lost.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				last := ""
				broker := NewMemory(func(from, to string, m *Message) Fault {
					return Fault{Lost: m.Type == tt.lost && (from == last || to == last)}
				})
				var nodes []*Adapter
				for _, id := range []string{"a", "b", "c"} {
					h := &host{events: func(e adapter.ServerEvent) { _ = e.Answer(id) }}
					nodes = append(nodes, newHostedNode(t, broker.Open, h, &member{id: id}))
				}
				last = nodes[2].UID()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				answers, err := tt.do(ctx, nodes[0])
				slices.Sort(answers)
				got := result{answers: answers}
				if e := (*adapter.IncompleteError)(nil); errors.As(err, &e) {
					got.missing, got.members, got.nodes = e.Missing, e.Members, len(e.Nodes)
					if !slices.Equal(e.Nodes, []string{last}) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%v of %q", err, e.Nodes)
					}
				}
				if !reflect.DeepEqual(got, tt.want) {
					t.Errorf("%+v, want %+v", got, tt.want)
				}
				pass(2 * time.Second) // what was left to do, is done
			})
		})
	}
}

// Messages that overtake each other, and come twice, change nothing but the order of events.
func TestOvertaking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		broker := NewMemory(func(string, string, *Message) Fault {
			n := sent.Add(1)
			return Fault{Delay: time.Duration(n*7919%100) * time.Millisecond, Alone: true, Again: int(n % 3)}
		})
		var nodes []*Adapter
		var members []*member
		for i := range 3 {
			var here []*member
			for j := range 10 {
				here = append(here, &member{id: fmt.Sprint(i, "-", j)})
			}
			members = append(members, here...)
			nodes = append(nodes, newNode(t, broker.Open, here...))
		}
		pass(time.Second)
		for i := range 20 {
			answers := map[string]int{}
			err := nodes[i%3].Ask(t.Context(), &adapter.Packet{Event: "x", Args: []any{i}}, adapter.Selection{}, func(a adapter.Answer) {
				if a.Err == nil {
					answers[a.ID]++
				}
			})
			if err != nil || len(answers) != 30 {
				t.Errorf("%d answers, %v", len(answers), err)
			}
			for id, n := range answers {
				if n != 1 {
					t.Errorf("%s has answered %d times", id, n)
				}
			}
			if infos, err := nodes[i%3].Fetch(t.Context(), adapter.Selection{}); err != nil || len(infos) != 30 {
				t.Errorf("%d members, %v", len(infos), err)
			}
		}
		for i := range 300 {
			if err := nodes[0].Broadcast(&adapter.Packet{Event: "y", Args: []any{i}}, adapter.Selection{}); err != nil {
				t.Error(err)
			}
		}
		pass(time.Second)
		for _, m := range members {
			got := m.events()
			slices.Sort(got)
			if all := len(got); all != 320 || len(slices.Compact(got)) != all {
				t.Errorf("%s has got %d events, %d different ones", m.id, all, len(slices.Compact(got)))
			}
		}
	})
}

// failing is a Bus that takes nothing.
type failing struct{ err error }

func (f failing) Subscribe(func(*Message))           {}
func (f failing) Publish(*Message) error             { return f.err }
func (f failing) Send(string, *Message) error        { return f.err }
func (f failing) Close() error                       { return nil }
func (f failing) Count(context.Context) (int, error) { return 3, nil }

// Without its broker a node goes on by itself, and says so (engine rule 11).
func TestUnreached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		m := &member{id: "m"}
		a := newNode(t, func(string, string) Bus { return failing{broken} }, m)
		var unreached *UnreachedError
		for name, err := range map[string]error{
			"Broadcast":      a.Broadcast(&adapter.Packet{Event: "x"}, adapter.Selection{}),
			"JoinAll":        a.JoinAll(adapter.Selection{}, "r"),
			"LeaveAll":       a.LeaveAll(adapter.Selection{}, "s"),
			"DisconnectAll":  a.DisconnectAll(adapter.Selection{}, true),
			"ServerSideEmit": a.ServerSideEmit(t.Context(), "x", nil, nil),
		} {
			if !errors.As(err, &unreached) || !errors.Is(err, broken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !slices.Equal(m.events(), []string{"x"}) || !slices.Equal(a.Rooms("m"), []string{"m", "r"}) {
			t.Errorf("m got %q and is in %q", m.events(), a.Rooms("m"))
		}
		var incomplete *adapter.IncompleteError
		infos, err := a.Fetch(t.Context(), adapter.Selection{})
		if len(infos) != 1 || !errors.As(err, &incomplete) || incomplete.Missing != 2 || !errors.Is(err, broken) {
			t.Errorf("Fetch: %d, %v", len(infos), err)
		}
		answers := 0
		err = a.Ask(t.Context(), &adapter.Packet{Event: "x"}, adapter.Selection{}, func(adapter.Answer) { answers++ })
		if answers != 1 || !errors.As(err, &incomplete) || incomplete.Answers != 1 || incomplete.Missing != 2 || !errors.Is(err, broken) {
			t.Errorf("Ask: %d answers, %v", answers, err)
		}
		// What concerns this process only, needs no broker.
		if err := a.Broadcast(&adapter.Packet{Event: "x"}, adapter.Selection{Local: true}); err != nil {
			t.Error(err)
		}
	})
}

// counting is a Bus whose broker counts nodes and is told the rooms.
type counting struct {
	Bus
	count func() (int, error)
	rooms adapter.RoomEvents
}

func (c counting) Count(context.Context) (int, error) { return c.count() }
func (c counting) RoomEvents() adapter.RoomEvents     { return c.rooms }

// A broker may know of nodes that send no heartbeats; a request waits for as many.
func TestCounter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		nodes, fail := 3, error(nil)
		var rooms []string
		open := func(namespace, uid string) Bus {
			return counting{broker.Open(namespace, uid), func() (int, error) { return nodes, fail }, adapter.RoomEvents{
				Create: func(room string) { rooms = append(rooms, "+"+room) },
				Delete: func(room string) { rooms = append(rooms, "-"+room) },
			}}
		}
		a := newNode(t, open, &member{id: "a"})
		a.Join("a", "r")
		a.Leave("a", "r")
		if want := []string{"+a", "+r", "-r"}; !slices.Equal(rooms, want) {
			t.Errorf("rooms %q, want %q", rooms, want)
		}
		newNode(t, broker.Open, &member{id: "b"})
		s := newStranger(t, broker.Open, strangerUID)
		if c := count(t, a); c != 3 {
			t.Errorf("%d nodes", c)
		}
		done := make(chan error, 1)
		var ids []string
		fetch := func() {
			infos, err := a.Fetch(t.Context(), adapter.Selection{})
			ids = nil
			for _, info := range infos {
				ids = append(ids, info.ID)
			}
			done <- err
		}
		go fetch()
		synctest.Wait()
		id := ""
		for _, m := range s.take() {
			id = m.RequestID
		}
		if len(done) != 0 {
			t.Error("the request does not wait for a node that is known by number only")
		}
		answer := `{"uid":"` + strangerUID + `","nsp":"/","type":8,"data":{"requestId":"` + id + `","sockets":[{"id":"c","handshake":{},"rooms":["c"],"data":{}}]}}`
		s.says(t, a, answer)
		if err := <-done; err != nil || !slices.Equal(ids, []string{"a", "b", "c"}) {
			t.Errorf("%q, %v", ids, err)
		}
		nodes = 4
		go fetch()
		var e *adapter.IncompleteError
		if err := <-done; !errors.As(err, &e) || e.Missing != 2 || !slices.Equal(e.Nodes, []string{strangerUID}) {
			t.Errorf("%v: %+v", err, e)
		}
		fail = errors.New("broken")
		if _, err := a.Fetch(t.Context(), adapter.Selection{}); !errors.Is(err, fail) {
			t.Errorf("%v", err)
		}
	})
}

// Of very many members only the number is told ahead; who answers is told all the same.
func TestManyMembers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var longest atomic.Int64
		broker := NewMemory(func(_, _ string, m *Message) Fault {
			longest.Store(max(longest.Load(), int64(len(m.Targets))))
			return Fault{}
		})
		a := newNode(t, broker.Open)
		var members []*member
		for i := range maxTargets + 1 {
			members = append(members, &member{id: fmt.Sprint("m", i)})
		}
		newNode(t, broker.Open, members...)
		answers := map[string]bool{}
		err := a.Ask(t.Context(), &adapter.Packet{Event: "x"}, adapter.Selection{}, func(s adapter.Answer) { answers[s.ID] = true })
		if err != nil || len(answers) != len(members) || longest.Load() != 0 {
			t.Errorf("%d answers, %v, %d ids in a message", len(answers), err, longest.Load())
		}
		err = a.Ask(t.Context(), &adapter.Packet{Event: "x"}, adapter.Selection{Except: []string{"m1"}}, func(adapter.Answer) {})
		if err != nil || longest.Load() != maxTargets {
			t.Errorf("%v, %d ids in a message", err, longest.Load())
		}
	})
}
