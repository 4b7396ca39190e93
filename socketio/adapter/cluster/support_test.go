package cluster

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// host is a namespace without anything.
type host struct {
	ids    atomic.Uint64
	events func(adapter.ServerEvent)
}

func (h *host) Name() string   { return "/" }
func (h *host) NextID() uint64 { return h.ids.Add(1) - 1 }
func (h *host) ServerSideEvent(e adapter.ServerEvent) {
	if h.events != nil {
		h.events(e)
	}
}
func (h *host) Recovery() (adapter.RecoveryOptions, bool) { return adapter.RecoveryOptions{}, false }

// member answers what it is asked with its id, unless it is silent.
type member struct {
	id     string
	silent bool
	asked  func() // is called by Flush

	mu      sync.Mutex
	got     []string
	pending map[uint64]func(adapter.Arguments, error)
}

func (m *member) ID() string                      { return m.id }
func (m *member) Prepare(p *adapter.Packet) error { _, err := adapter.NewValues(p.Args...); return err }
func (m *member) Info() adapter.Info              { return adapter.Info{ID: m.id} }
func (m *member) Disconnect(bool)                 {}

func (m *member) Append(p *adapter.Packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	args, _ := adapter.NewValues(p.Args...)
	text := p.Event
	for i := range args {
		text += " " + string(args.Raw(i))
	}
	m.got = append(m.got, text)
}

func (m *member) Expect(id uint64, answer func(adapter.Arguments, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == nil {
		m.pending = make(map[uint64]func(adapter.Arguments, error))
	}
	m.pending[id] = answer
}

func (m *member) Forget(id uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pending, id)
}

func (m *member) Flush() {
	if m.asked != nil {
		m.asked()
	}
	if !m.silent {
		m.answer(m.id)
	}
}

// answer answers all that was asked.
func (m *member) answer(args ...any) {
	m.mu.Lock()
	pending := m.pending
	m.pending = nil
	m.mu.Unlock()
	for _, answer := range pending {
		values, err := adapter.NewValues(args...)
		answer(values, err)
	}
}

func (m *member) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.pending)
}

func (m *member) events() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

// quiet keeps what tests provoke out of the log.
var quiet = Options{Logger: slog.New(slog.DiscardHandler)}

// newNode joins a node with members of those names.
func newNode(t *testing.T, open OpenBus, members ...*member) *Adapter {
	t.Helper()
	return newHostedNode(t, open, new(host), members...)
}

func newHostedNode(t *testing.T, open OpenBus, h *host, members ...*member) *Adapter {
	t.Helper()
	a := New(open, quiet)(h).(*Adapter)
	for _, m := range members {
		a.Add(m)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.requests)+len(a.questions) != 0 {
			t.Errorf("left behind: %d requests, %d questions", len(a.requests), len(a.questions))
		}
	})
	synctest.Wait()
	return a
}

// stranger speaks on a Bus as an adapter of Node's does: it knows spec 3.7 and nothing else.
type stranger struct {
	bus Bus

	mu  sync.Mutex
	got []*Message
}

const strangerUID = "49979c5ff27fa5fd"

func newStranger(t *testing.T, open OpenBus, uid string) *stranger {
	t.Helper()
	s := &stranger{bus: open("/", uid)}
	s.bus.Subscribe(func(m *Message) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if m.UID != uid {
			s.got = append(s.got, m)
		}
	})
	t.Cleanup(func() { _ = s.bus.Close() })
	return s
}

// says publishes text, or sends it to a node.
func (s *stranger) says(t *testing.T, to *Adapter, text string) {
	t.Helper()
	m, err := Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if to == nil {
		err = s.bus.Publish(m)
	} else {
		err = s.bus.Send(to.UID(), m)
	}
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// hears takes what has come, heartbeats aside, as text from the type on.
func (s *stranger) hears(t *testing.T) (texts []string) {
	t.Helper()
	synctest.Wait()
	for _, m := range s.take() {
		if m.Type == Heartbeat || m.Type == InitialHeartbeat {
			continue
		}
		plain := *m
		plain.Seq = 0
		data, err := Encode(&plain)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(data), `"type":`)
		texts = append(texts, text)
	}
	return texts
}

func (s *stranger) take() []*Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// types are the types of what has come.
func (s *stranger) types() (types []Type) {
	synctest.Wait()
	for _, m := range s.take() {
		types = append(types, m.Type)
	}
	return types
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func count(t *testing.T, a *Adapter) int {
	t.Helper()
	n, err := a.ServerCount(t.Context())
	if err != nil {
		t.Errorf("ServerCount: %v", err)
	}
	return n
}
