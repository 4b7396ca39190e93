package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/socketio/adapter"
)

// Options is a plain value, read once by New. Its zero value has every default, which are those of Socket.IO's own
// adapters: all nodes of a cluster should have the same.
type Options struct {
	// HeartbeatInterval is how long a node may be silent before it says that it lives. 0 or less is 5 seconds.
	HeartbeatInterval time.Duration
	// HeartbeatTimeout is how long nothing may be heard of a node before it is taken for dead. It has to be
	// longer than the interval, or the living are taken for dead. 0 or less is 10 seconds.
	HeartbeatTimeout time.Duration
	// RequestTimeout bounds Fetch and ServerSideEmit where their context has no deadline, and how long a member that was lost is
	// saved or restored. 0 or less is 5 seconds (S-40, S-45).
	RequestTimeout time.Duration
	// Logger gets what no caller can be told. nil is slog.Default.
	Logger *slog.Logger
}

// tick is how exact the timers are.
const tick = 10 * time.Millisecond

// ErrClosed: the adapter has been closed.
var ErrClosed = errors.New("cluster: adapter is closed")

// UnreachedError is a plain value: what was to be done is done in this process, and the others have not been told.
type UnreachedError struct {
	Err error // of the Bus
}

func (e *UnreachedError) Error() string {
	return fmt.Sprintf("cluster: the other nodes were not reached: %v", e.Err)
}

// Unwrap returns the error of the Bus.
func (e *UnreachedError) Unwrap() error { return e.Err }

// New returns what makes the adapters of a server that is a node of a cluster, one for each namespace. A node's name
// in the cluster, its uid, is a different one in each of them.
func New(open OpenBus, o Options) adapter.Factory {
	o.HeartbeatInterval = cmp.Or(max(o.HeartbeatInterval, 0), 5*time.Second)
	o.HeartbeatTimeout = cmp.Or(max(o.HeartbeatTimeout, 0), 10*time.Second)
	o.RequestTimeout = cmp.Or(max(o.RequestTimeout, 0), 5*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	w := wheel.New(tick) // which holds nothing when all adapters are closed
	return func(h adapter.Host) adapter.Adapter {
		a := newAdapter(h, open, o, w)
		if recovery, on := h.Recovery(); on && a.log != nil {
			a.rec = newRecovering(a, recovery)
		}
		a.start()
		if a.rec != nil {
			return a.rec
		}
		return a
	}
}

// Adapter is safe for concurrent use. It is one node of a cluster, for one namespace.
type Adapter struct {
	*adapter.Memory // the members of this process

	host  adapter.Host
	name  string
	uid   string
	opts  Options
	bus   Bus
	log   Log         // the bus, if it is one
	rec   *Recovering // the adapter, if it is one
	wheel *wheel.Wheel

	began     time.Time
	spoke     atomic.Int64                   // when something was published last, after it began
	published atomic.Uint64                  // how much has been
	logged    atomic.Uint64                  // how much beside that has gone into the log
	unreached atomic.Pointer[UnreachedError] // by what was published last; nil if it was taken

	mu        sync.Mutex
	closed    bool
	reached   Offset // the last of the log that has come
	peers     map[string]*peer
	requests  map[string]*request       // of this node, by their id
	questions map[questionKey]*question // of other nodes

	beater, sweeper wheel.Timer
	sweeping        bool
}

func newAdapter(h adapter.Host, open OpenBus, o Options, w *wheel.Wheel) *Adapter {
	a := &Adapter{
		Memory:    adapter.NewMemory(h),
		host:      h,
		name:      h.Name(),
		uid:       newID(),
		opts:      o,
		wheel:     w,
		began:     time.Now(),
		peers:     make(map[string]*peer),
		requests:  make(map[string]*request),
		questions: make(map[questionKey]*question),
	}
	a.bus = open(a.name, a.uid)
	a.log, _ = a.bus.(Log)
	return a
}

// start joins the cluster.
func (a *Adapter) start() {
	if o, ok := a.bus.(RoomObserver); ok {
		a.Observe(o.RoomEvents())
	}
	a.bus.Subscribe(a.receive)
	if err := a.publish(&Message{Type: InitialHeartbeat}); err != nil {
		a.opts.Logger.Warn("cluster: the other nodes do not know of this one yet", "namespace", a.name, "error", err)
	}
	a.schedule(a.opts.HeartbeatInterval)
}

// UID is the node's name in the cluster.
func (a *Adapter) UID() string { return a.uid }

// publish says something to all nodes.
func (a *Adapter) publish(m *Message) error {
	counter := &a.published
	if a.log != nil && m.Logged() {
		counter = &a.logged // what comes twice is known by its offset; the others are not to be missed for it
	}
	m.UID, m.Namespace, m.Seq = a.uid, a.name, counter.Add(1)
	if err := a.bus.Publish(m); err != nil {
		a.unreached.Store(&UnreachedError{err})
		return &UnreachedError{err}
	}
	if a.unreached.Load() != nil {
		a.unreached.Store(nil)
	}
	a.spoke.Store(int64(time.Since(a.began)))
	return nil
}

// send says something to one node. That this may fail is why requests have a time limit.
func (a *Adapter) send(uid string, m *Message) {
	m.UID, m.Namespace = a.uid, a.name
	if err := a.bus.Send(uid, m); err != nil {
		a.opts.Logger.Warn("cluster: an answer is lost", "namespace", a.name, "node", uid, "type", m.Type.String(), "error", err)
	}
}

func packOpts(p *adapter.Packet, sel adapter.Selection) Opts {
	o := Opts{Rooms: sel.Rooms, Except: sel.Except}
	if p != nil {
		o.Volatile, o.NoCompress = p.Volatile, p.NoCompress
	}
	return o
}

// Broadcast delivers p to the members meant by sel, wherever they are. With an [*UnreachedError] those of this process
// have got it.
func (a *Adapter) Broadcast(p *adapter.Packet, sel adapter.Selection) error {
	if sel.Local {
		return a.Memory.Broadcast(p, sel)
	}
	m, err := a.message(p, sel)
	if err != nil {
		return err
	}
	unreached := a.publish(m)
	return cmp.Or(a.Memory.Broadcast(p, sel), unreached)
}

// message is a broadcast for other nodes.
func (a *Adapter) message(p *adapter.Packet, sel adapter.Selection) (*Message, error) {
	args, err := adapter.NewValues(p.Args...)
	return &Message{Type: Broadcast, Event: p.Event, Args: args, Opts: packOpts(p, sel)}, err
}

// JoinAll adds the members meant by sel to rooms, wherever they are.
func (a *Adapter) JoinAll(sel adapter.Selection, rooms ...string) error {
	var unreached error
	if !sel.Local {
		unreached = a.publish(&Message{Type: Join, Opts: packOpts(nil, sel), Rooms: rooms})
	}
	return cmp.Or(a.Memory.JoinAll(sel, rooms...), unreached)
}

// LeaveAll takes the members meant by sel out of rooms, wherever they are.
func (a *Adapter) LeaveAll(sel adapter.Selection, rooms ...string) error {
	var unreached error
	if !sel.Local {
		unreached = a.publish(&Message{Type: Leave, Opts: packOpts(nil, sel), Rooms: rooms})
	}
	return cmp.Or(a.Memory.LeaveAll(sel, rooms...), unreached)
}

// DisconnectAll disconnects the members meant by sel, wherever they are.
func (a *Adapter) DisconnectAll(sel adapter.Selection, closeConn bool) error {
	var unreached error
	if !sel.Local {
		unreached = a.publish(&Message{Type: Disconnect, Opts: packOpts(nil, sel), Close: closeConn})
	}
	return cmp.Or(a.Memory.DisconnectAll(sel, closeConn), unreached)
}

// ServerCount is the number of nodes that are known to live, this one included. For the first moments of a node it is
// the only one it knows.
func (a *Adapter) ServerCount(ctx context.Context) (int, error) {
	if c, ok := a.bus.(Counter); ok {
		return c.Count(ctx)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return 1 + len(a.alive()), nil
}

// Ping returns [ErrClosed], or what the Bus says of its broker if it is a [Pinger], or else an [*UnreachedError] if the Bus has not taken
// what was published last; a heartbeat is, every few seconds.
func (a *Adapter) Ping(ctx context.Context) error {
	a.mu.Lock()
	closed := a.closed
	a.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if p, ok := a.bus.(Pinger); ok {
		return p.Ping(ctx)
	}
	if e := a.unreached.Load(); e != nil { // a nil pointer in an error is none
		return e
	}
	return nil
}

// Close tells the other nodes, ends what waits for them with ErrClosed, and closes the Bus.
func (a *Adapter) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	for _, r := range a.requests {
		r.in.Put(notice{closed: true})
	}
	questions := a.questions
	a.questions = make(map[questionKey]*question)
	a.mu.Unlock()
	a.wheel.Stop(&a.beater)
	a.wheel.Stop(&a.sweeper)
	for _, q := range questions {
		q.end()
	}
	_ = a.publish(&Message{Type: Close}) // if it does not get through, the others will notice
	return errors.Join(a.bus.Close(), a.Memory.Close())
}

var (
	_ adapter.Adapter = (*Adapter)(nil)
	_ adapter.Pinger  = (*Adapter)(nil)
)
