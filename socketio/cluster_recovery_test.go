package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter/cluster"
)

// recoveringFleet starts servers that form a cluster, and whose clients may come back to any of them.
func recoveringFleet(t *testing.T, count int, fault func(from, to string, m *cluster.Message) cluster.Fault) (nodes []*harness) {
	t.Helper()
	broker := cluster.NewMemory(fault)
	for range count {
		nodes = append(nodes, serve(t, Options{
			Recovery: &Recovery{},
			Adapter:  cluster.New(broker.Open, cluster.Options{Logger: slog.New(slog.DiscardHandler)}),
		}))
	}
	for _, h := range nodes {
		eventually(t, "the nodes know each other", func() bool {
			n, err := h.Of("/").Adapter().ServerCount(t.Context())
			return err == nil && n == count
		})
	}
	return nodes
}

// S-6, S-77: back on another node, with id, rooms, typed data and what was missed; also if the node that it was on has not noticed,
// or has been shut down.
func TestClusterRecovery(t *testing.T) {
	t.Parallel()
	who := NewKey[account]("account")
	for name, lose := range map[string]func(t *testing.T, h *harness, c *client){
		"lost": func(t *testing.T, h *harness, c *client) {
			c.close()
			h.logged(t, "socket saved")
		},
		"half open": func(*testing.T, *harness, *client) {},
		"shut down": func(t *testing.T, h *harness, _ *client) {
			if err := h.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := recoveringFleet(t, 2, nil)
			reasons := make(chan Reason, 1)
			nodes[0].OnConnection(func(_ context.Context, s *Socket) error {
				who.Set(s, account{Name: "a", Key: []byte{1}})
				return s.Join("r")
			})
			nodes[0].OnDisconnect(func(_ context.Context, _ *Socket, r Reason) { reasons <- r })
			sockets := make(chan *Socket, 1)
			nodes[1].OnConnection(func(_ context.Context, s *Socket) error { sockets <- s; return nil })
			first := nodes[0].dial(t)
			sid, pid := first.enter("")
			if err := nodes[1].To("r").Emit("seen", 1); err != nil {
				t.Fatal(err)
			}
			offset := first.event(`2["seen",1,`)
			lose(t, nodes[0], first)
			if err := errors.Join(nodes[1].To("r").Emit("missed", 2), nodes[1].To("s").Emit("nobody's"), nodes[1].To(sid).Emit("own", []byte("b"))); err != nil {
				t.Fatal(err)
			}
			c := nodes[1].dial(t)
			c.send(fmt.Sprintf(`0{"pid":%q,"offset":%q}`, pid, offset))
			c.event(`2["missed",2,`)
			c.event(`51-["own",{"_placeholder":true,"num":0},`)
			c.expect([]byte("b"))
			if again, same := c.entered(); again != sid || same != pid {
				t.Errorf("got %s and %s, want %s and %s", again, same, sid, pid)
			}
			s := within(t, sockets)
			if got := who.Value(s); !s.Recovered() || got.Name != "a" || string(got.Key) != "\x01" || len(s.Rooms()) != 2 {
				t.Errorf("recovered %t, %+v, in %q", s.Recovered(), got, s.Rooms())
			}
			if got := within(t, reasons); (got == ReasonServerShuttingDown) != (name == "shut down") || name == "half open" && got != ReasonTransportClose {
				t.Errorf("the socket was lost with %q", got)
			}
			if err := nodes[1].To("r").Emit("after", 3); err != nil {
				t.Fatal(err)
			}
			c.event(`2["after",3,`)
		})
	}
}

// An adapter over a Bus that keeps nothing cannot do it, and says what is missing.
func TestClusterRecoveryNeedsALog(t *testing.T) {
	t.Parallel()
	broker := cluster.NewMemory(nil)
	_, err := New(Options{Recovery: &Recovery{}, Adapter: cluster.New(func(namespace, uid string) cluster.Bus {
		return struct{ cluster.Bus }{broker.Open(namespace, uid)}
	}, cluster.Options{})})
	if !errors.Is(err, errNotRecoverer) {
		t.Errorf("got %v", err)
	}
}

// S-77, S-78, engine rule 7: clients of three nodes drop at random and come back to any of them, some before the node they were on
// has noticed, while each node emits to everybody, to a room and to the single sockets, over a broker that takes its time. None of
// the events is lost, none doubled, and of each sender none is out of order.
func TestClusterRecoveryLosesNothing(t *testing.T) {
	t.Parallel()
	const clients, last = 9, 200
	var sent atomic.Uint64
	nodes := recoveringFleet(t, 3, func(string, string, *cluster.Message) cluster.Fault {
		n := sent.Add(1)
		return cluster.Fault{Delay: time.Duration(n*7919%3000) * time.Microsecond, Again: int(n % 2)}
	})
	ids := make(chan string, clients)
	for _, h := range nodes {
		h.OnConnection(func(_ context.Context, s *Socket) error {
			if s.Recovered() {
				return nil
			}
			ids <- s.ID()
			return s.Join("room")
		})
	}
	var running, waiting sync.WaitGroup
	waiting.Add(clients)
	var once [clients]sync.Once
	start := make(chan struct{})
	var senders, sockets []string
	for k, h := range nodes {
		all, room, own := fmt.Sprint("all", k), fmt.Sprint("room", k), fmt.Sprint("own", k)
		senders = append(senders, all, room, own)
		running.Go(func() {
			<-start
			for i := range last + 1 {
				err := errors.Join(h.Emit(all, i), h.To("room", "empty").Except("nobody").Emit(room, i, "text"), h.Volatile().Emit("noise", "a string"))
				for _, id := range sockets {
					if s, ok := h.Of("/").Socket(id); ok && i%2 == 0 && s.Emit(own, i) == nil {
						continue // it says so if it is not stored
					}
					err = errors.Join(err, h.To(id).Emit(own, i))
				}
				if err != nil {
					t.Error(err)
				}
				if i%4 == 0 {
					<-time.After(time.Millisecond)
				}
			}
		})
	}
	running.Go(func() {
		for range clients {
			sockets = append(sockets, <-ids)
		}
		waiting.Wait()
		close(start)
	})
	for c := range clients {
		running.Go(func() {
			rng := rand.New(rand.NewPCG(3, uint64(c)))
			r := &returner{heard: map[string]int{}, strict: true, exact: c%2 == 0}
			for sessions := 0; !r.has(senders, last); sessions++ {
				r.url = nodes[rng.IntN(len(nodes))].url
				done := func() bool {
					once[c].Do(waiting.Done)
					return r.has(senders, last)
				}
				if err := r.session(rng, 1+rng.IntN(200), r.exact && rng.IntN(3) == 0, done); err != nil {
					t.Errorf("client %d, session %d: %v", c, sessions, err)
					once[c].Do(waiting.Done)
					break
				}
			}
			for _, conn := range r.abandoned {
				_ = conn.Close()
			}
		})
	}
	running.Wait()
}
