package cluster

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"sync"
	"time"
)

// Memory is safe for concurrent use. It is a broker that joins the nodes of one process, for tests: every message is
// encoded, and decoded by each node that it goes to, as it would be on its way through a real one. Its buses are [Log]s.
type Memory struct {
	// MaxEntries bounds the log of each namespace; the oldest entries go first. It is set before anything else. 0 is 10,000.
	MaxEntries int

	fault func(from, to string, m *Message) Fault

	mu    sync.Mutex
	buses map[string]map[string]*memoryBus // by namespace and uid
	logs  map[string]*memoryLog            // by namespace
}

// Fault is a plain value: what becomes of a message on its way to a node. The zero value is that it arrives at once.
type Fault struct {
	// Lost drops the message. One that is lost on its way to the node that it is from, never gets into the log.
	Lost bool
	// Again is how many times more it arrives.
	Again int
	// Delay is how long it takes. What the same node sends later waits for it, so that their order stays.
	Delay time.Duration
	// Alone lets it be late alone: nothing waits for it, nor it for anything before. What comes from the log is never.
	Alone bool
}

// NewMemory returns a broker. fault, unless it is nil, is asked about each message and each node that it goes to,
// concurrently.
func NewMemory(fault func(from, to string, m *Message) Fault) *Memory {
	return &Memory{fault: fault, buses: make(map[string]map[string]*memoryBus), logs: make(map[string]*memoryLog)}
}

// Open is an [OpenBus].
func (b *Memory) Open(namespace, uid string) Bus {
	b.mu.Lock()
	defer b.mu.Unlock()
	log := b.logs[namespace]
	if log == nil {
		log = &memoryLog{max: cmp.Or(b.MaxEntries, 10_000), sessions: make(map[string]memorySession)}
		b.logs[namespace] = log
	}
	return &memoryBus{
		memoryLog: log, broker: b, namespace: namespace, uid: uid,
		wake: make(chan struct{}, 1), latest: make(map[string]time.Time),
	}
}

// nodes are the nodes of a namespace: all, or the one named.
func (b *Memory) nodes(namespace, uid string) []*memoryBus {
	b.mu.Lock()
	defer b.mu.Unlock()
	if uid == "" {
		return slices.Collect(maps.Values(b.buses[namespace]))
	}
	if bus := b.buses[namespace][uid]; bus != nil {
		return []*memoryBus{bus}
	}
	return nil
}

// memoryBus is safe for concurrent use. A goroutine of its own, from Subscribe to Close, receives what it is sent.
type memoryBus struct {
	*memoryLog
	broker    *Memory
	namespace string
	uid       string
	wake      chan struct{} // has room for one

	mu     sync.Mutex
	closed bool
	order  uint64
	queue  parcels
	latest map[string]time.Time // when the last parcel of each node is due, and under "" that of the log
}

// parcel is a message on its way.
type parcel struct {
	due     time.Time
	order   uint64
	message *Message
}

// parcels are a heap.
type parcels []parcel

func (p parcels) Len() int      { return len(p) }
func (p parcels) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *parcels) Push(v any)   { *p = append(*p, v.(parcel)) }

func (p parcels) Less(i, j int) bool {
	if !p[i].due.Equal(p[j].due) {
		return p[i].due.Before(p[j].due)
	}
	return p[i].order < p[j].order
}

func (p *parcels) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

func (b *memoryBus) Subscribe(receive func(*Message)) {
	b.broker.mu.Lock()
	nodes := b.broker.buses[b.namespace]
	if nodes == nil {
		nodes = make(map[string]*memoryBus)
		b.broker.buses[b.namespace] = nodes
	}
	nodes[b.uid] = b
	b.broker.mu.Unlock()
	go b.run(receive)
}

func (b *memoryBus) Publish(m *Message) error { return b.deliver("", m) }

func (b *memoryBus) Send(uid string, m *Message) error { return b.deliver(uid, m) }

func (b *memoryBus) deliver(uid string, m *Message) error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return ErrClosed
	}
	data, err := Encode(m)
	if err != nil {
		return err
	}
	from, offset := b.uid, Offset{}
	if uid == "" && m.Logged() {
		if b.fault(b, m).Lost {
			return nil
		}
		b.appending.Lock() // until it is in all queues, so that they have the order of the log
		defer b.appending.Unlock()
		from, offset = "", b.add(data)
	}
	for _, to := range b.broker.nodes(b.namespace, uid) {
		f := b.fault(to, m)
		for i := 0; i <= f.Again && !f.Lost; i++ {
			m, err := Decode(slices.Clone(data))
			if err != nil {
				return err // this says that Encode is wrong
			}
			m.Offset = offset
			to.put(from, m, f)
		}
	}
	return nil
}

func (b *memoryBus) fault(to *memoryBus, m *Message) Fault {
	if b.broker.fault == nil {
		return Fault{}
	}
	return b.broker.fault(b.uid, to.uid, m)
}

func (b *memoryBus) put(from string, m *Message, f Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	due := time.Now().Add(f.Delay)
	if last := b.latest[from]; !f.Alone || from == "" {
		if due.Before(last) {
			due = last
		}
		b.latest[from] = due
	}
	b.order++
	heap.Push(&b.queue, parcel{due, b.order, m})
	b.signal()
}

func (b *memoryBus) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run hands over what is due.
func (b *memoryBus) run(receive func(*Message)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b.mu.Lock()
		if b.closed {
			b.mu.Unlock()
			return
		}
		var m *Message
		wait := time.Hour
		if len(b.queue) > 0 {
			if wait = time.Until(b.queue[0].due); wait <= 0 {
				m = heap.Pop(&b.queue).(parcel).message
			}
		}
		b.mu.Unlock()
		if m != nil {
			receive(m)
			continue
		}
		timer.Reset(wait)
		select {
		case <-b.wake:
		case <-timer.C:
		}
	}
}

func (b *memoryBus) Close() error {
	b.broker.mu.Lock()
	delete(b.broker.buses[b.namespace], b.uid)
	if len(b.broker.buses[b.namespace]) == 0 {
		delete(b.broker.buses, b.namespace)
	}
	b.broker.mu.Unlock()
	b.mu.Lock()
	b.closed = true
	b.queue = nil
	b.mu.Unlock()
	b.signal()
	return nil
}
