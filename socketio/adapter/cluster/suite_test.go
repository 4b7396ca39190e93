package cluster

import (
	"hash/maphash"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/adapter/adaptertest"
)

// grave holds the nodes that are dead: nothing gets to them or from them.
type grave struct {
	mu   sync.Mutex
	dead map[string]bool
}

func (g *grave) bury(a adapter.Adapter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dead == nil {
		g.dead = make(map[string]bool)
	}
	g.dead[a.(interface{ UID() string }).UID()] = true
}

func (g *grave) has(uids ...string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, uid := range uids {
		if g.dead[uid] {
			return true
		}
	}
	return false
}

// The contract, over a bus that does what a bus may do.
func TestContract(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	// roll is a number below n that depends on the message and its way.
	roll := func(n uint64, from, to string, m *Message) uint64 {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, s := range []string{from, to, m.Type.String()} {
			_, _ = h.WriteString(s)
		}
		maphash.WriteComparable(&h, m.Seq)
		return h.Sum64() % n
	}
	for name, fault := range map[string]func(from, to string, m *Message) Fault{
		"plain": nil,
		"delaying": func(from, to string, m *Message) Fault {
			return Fault{Delay: time.Duration(roll(200, from, to, m)) * time.Millisecond}
		},
		"doubling": func(from, to string, m *Message) Fault {
			return Fault{Again: int(roll(3, from, to, m))}
		},
		"delaying and doubling": func(from, to string, m *Message) Fault {
			return Fault{Delay: time.Duration(roll(200, from, to, m)) * time.Millisecond, Again: int(roll(3, to, from, m))}
		},
	} {
		for _, nodes := range []int{1, 3} {
			t.Run(name+" "+map[int]string{1: "alone", 3: "three"}[nodes], func(t *testing.T) {
				t.Parallel()
				adaptertest.Run(t, adaptertest.Subject{Nodes: nodes, Start: func(*testing.T) (adapter.Factory, func(adapter.Adapter)) {
					var g grave
					broker := NewMemory(func(from, to string, m *Message) Fault {
						if g.has(from, to) {
							return Fault{Lost: true}
						}
						if fault == nil {
							return Fault{}
						}
						return fault(from, to, m)
					})
					return New(broker.Open, Options{Logger: slog.New(slog.DiscardHandler)}), g.bury
				}})
			})
		}
	}
}
