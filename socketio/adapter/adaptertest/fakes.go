package adaptertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// host is a namespace on one node. It is safe for concurrent use.
type host struct {
	name string
	ids  atomic.Uint64

	mu     sync.Mutex
	events []string
	handle func(adapter.ServerEvent)
	evict  func(pid string, done func(bool))
}

func (h *host) Name() string { return h.name }

func (h *host) NextID() uint64 { return h.ids.Add(1) - 1 }

func (h *host) ServerSideEvent(e adapter.ServerEvent) {
	h.mu.Lock()
	h.events = append(h.events, describe(e.Event, e.Arguments))
	handle := h.handle
	h.mu.Unlock()
	if handle != nil {
		handle(e)
	}
}

// away is how long a member may be lost.
const away = 20 * time.Second

func (h *host) Recovery() (adapter.RecoveryOptions, bool) {
	return adapter.RecoveryOptions{
		MaxDisconnection: away,
		Notice:           time.Second,
		MaxPackets:       1000,
		MaxBytes:         1 << 20,
		MaxSessions:      10,
		Prepare: func(p *adapter.Packet) (int, error) {
			v, err := p.Encoding("adaptertest", write)
			if err != nil {
				return 0, err
			}
			return len(v.(*written).text), nil
		},
		Evict: func(pid string, done func(held bool)) {
			h.mu.Lock()
			evict := h.evict
			h.mu.Unlock()
			if evict == nil {
				done(false)
				return
			}
			evict(pid, done)
		},
		After: func(d time.Duration, fn func()) func() {
			timer := time.AfterFunc(d, fn)
			return func() { timer.Stop() }
		},
	}, true
}

// on says what is done with server-side events.
func (h *host) on(handle func(adapter.ServerEvent)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handle = handle
}

// keep says what is done to evict a member.
func (h *host) keep(evict func(pid string, done func(bool))) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.evict = evict
}

func (h *host) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// member records what it gets. It is safe for concurrent use.
type member struct {
	id string

	mu      sync.Mutex
	got     []string
	flagged int    // how many packets were volatile and not to be compressed
	offset  string // of the last packet that had one
	queue   []uint64
	pending map[uint64]func(adapter.Arguments, error)
	reply   func(answer func(args ...any)) // what is done when an acknowledgement is asked for
	prepare func()                         // is called once, by Prepare
	gone    bool
	data    map[string]any
	home    *node
}

// newMember adds a member to a node.
func (n *node) newMember(id string) *member {
	m := &member{id: id, home: n, pending: make(map[uint64]func(adapter.Arguments, error))}
	n.Add(m)
	return m
}

func (m *member) ID() string { return m.id }

// written is what is made of a packet. The offset has its place in it.
type written struct {
	text    string
	flagged bool
	offset  string
}

func (w *written) SetOffset(offset string) { w.offset = offset }

func write(p *adapter.Packet) (any, error) {
	args, err := adapter.NewValues(p.Args...)
	if err != nil {
		return nil, err
	}
	return &written{describe(p.Event, args), p.Volatile && p.NoCompress, p.Offset}, nil
}

func (m *member) Prepare(p *adapter.Packet) error {
	m.mu.Lock()
	prepare := m.prepare
	m.prepare = nil
	m.mu.Unlock()
	if prepare != nil {
		prepare()
	}
	_, err := p.Encoding("adaptertest", write)
	return err
}

func (m *member) Append(p *adapter.Packet) {
	v, err := p.Encoding("adaptertest", write)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gone {
		return
	}
	w := v.(*written)
	m.got = append(m.got, w.text)
	if w.flagged {
		m.flagged++
	}
	if w.offset != "" {
		m.offset = w.offset
	}
	if p.HasID {
		m.queue = append(m.queue, p.ID)
	}
}

// Flush answers what was asked.
func (m *member) Flush() {
	m.mu.Lock()
	queue, reply := m.queue, m.reply
	m.queue = nil
	m.mu.Unlock()
	for _, id := range queue {
		if reply != nil {
			reply(func(args ...any) { m.answer(id, args) })
		}
	}
}

func (m *member) answer(id uint64, args []any) {
	m.mu.Lock()
	answer := m.pending[id]
	delete(m.pending, id)
	m.mu.Unlock()
	if answer != nil {
		values, err := adapter.NewValues(args...)
		answer(values, err)
	}
}

func (m *member) Expect(id uint64, answer func(adapter.Arguments, error)) {
	m.mu.Lock()
	gone := m.gone
	if !gone {
		m.pending[id] = answer
	}
	m.mu.Unlock()
	if gone {
		answer(nil, adapter.ErrLeft)
	}
}

func (m *member) Forget(id uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pending, id)
}

// awaited is how many answers are waited for.
func (m *member) awaited() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.pending)
}

func (m *member) Info() adapter.Info {
	return adapter.Info{ID: m.id, Handshake: handshake, Rooms: m.home.Rooms(m.id), Data: m.data}
}

var handshake = adapter.Handshake{
	Header:      map[string][]string{"Host": {"example.com"}, "X-Several": {"1, 2"}},
	Address:     "192.0.2.1:1234",
	CrossDomain: true,
	Secure:      true,
	Issued:      time.UnixMilli(1_700_000_000_123),
	URL:         "/socket.io/?EIO=4&a=1&a=2",
	Query:       map[string][]string{"EIO": {"4"}, "a": {"1", "2"}},
	Auth:        []byte(`{"token":12345678901234567890}`),
}

func (m *member) Disconnect(closeConn bool) { m.leave(fmt.Sprintf("disconnected %v", closeConn)) }

// leave takes the member out, and notes why.
func (m *member) leave(why string) {
	m.mu.Lock()
	pending := m.pending
	m.pending = make(map[uint64]func(adapter.Arguments, error))
	if !m.gone {
		m.got = append(m.got, why)
	}
	m.gone = true
	m.mu.Unlock()
	m.home.Remove(m.id)
	for _, answer := range pending {
		answer(nil, adapter.ErrLeft)
	}
}

// replies says what is done when an acknowledgement is asked for: nothing unless it was called.
func (m *member) replies(reply func(answer func(args ...any))) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reply = reply
}

// preparing says what is done when the next packet is prepared for it.
func (m *member) preparing(prepare func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prepare = prepare
}

// seen is the offset that a client would come back with.
func (m *member) seen() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.offset
}

func (m *member) events() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got)
}

// all is what it has got, and where it stands.
func (m *member) all() (events []string, offset string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got), m.offset
}

// describe writes an event as an array, with attachments as what they hold in angle brackets.
func describe(event string, args adapter.Arguments) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%q", event)
	for i := range args.NumArgs() {
		b.WriteString("," + text(args, i))
	}
	return b.String() + "]"
}

// text is an argument's JSON, or <bytes>.
func text(args adapter.Arguments, i int) string {
	raw := string(args.Raw(i))
	var bytes []byte
	if strings.HasPrefix(raw, `{"_placeholder"`) && args.Decode(i, &bytes) == nil {
		return fmt.Sprintf("<%s>", bytes)
	}
	return raw
}
