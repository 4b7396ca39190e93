package adapter

import (
	"context"
	"slices"
	"sync"
)

// Ask is Broadcast that asks each member for an acknowledgement.
func (m *Memory) Ask(ctx context.Context, p *Packet, sel Selection, answer func(Answer)) error {
	a := audiences.Get().(*audience)
	defer a.release()
	m.gather(a, sel)
	p.ID, p.HasID = m.host.NextID(), true
	for _, mb := range a.members {
		if err := mb.Prepare(p); err != nil {
			return err
		}
	}
	missing := make(map[string]Member, len(a.members))
	in := newInbox[Answer]()
	for _, mb := range a.members {
		id := mb.ID()
		missing[id] = mb
		mb.Expect(p.ID, func(args Arguments, err error) { in.put(Answer{id, args, err}) })
	}
	m.queue(a, p)
	for _, mb := range a.members {
		mb.Flush()
	}
	total := len(missing)
	for len(missing) > 0 {
		answers, err := in.take(ctx)
		if err != nil {
			e := &IncompleteError{Answers: total - len(missing), Missing: len(missing), Cause: err}
			for id, mb := range missing {
				mb.Forget(p.ID)
				e.Members = append(e.Members, id)
			}
			slices.Sort(e.Members)
			return e
		}
		for _, v := range answers {
			delete(missing, v.ID)
			answer(v)
		}
	}
	return nil
}

// inbox brings answers from those who give them, which must not wait, to the goroutine that waits for them.
type inbox[T any] struct {
	mu    sync.Mutex
	list  []T
	ready chan struct{} // has room for one
}

func newInbox[T any]() *inbox[T] { return &inbox[T]{ready: make(chan struct{}, 1)} }

func (in *inbox[T]) put(v T) {
	in.mu.Lock()
	in.list = append(in.list, v)
	in.mu.Unlock()
	select {
	case in.ready <- struct{}{}:
	default:
	}
}

// take waits until there is something.
func (in *inbox[T]) take(ctx context.Context) ([]T, error) {
	for {
		in.mu.Lock()
		list := in.list
		in.list = nil
		in.mu.Unlock()
		if len(list) > 0 {
			return list, nil
		}
		select {
		case <-in.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// JoinAll adds the members meant by sel to rooms.
func (m *Memory) JoinAll(sel Selection, rooms ...string) error {
	for _, mb := range m.Members(sel) {
		m.Join(mb.ID(), rooms...)
	}
	return nil
}

// LeaveAll takes the members meant by sel out of rooms.
func (m *Memory) LeaveAll(sel Selection, rooms ...string) error {
	for _, mb := range m.Members(sel) {
		m.Leave(mb.ID(), rooms...)
	}
	return nil
}

// DisconnectAll disconnects the members meant by sel.
func (m *Memory) DisconnectAll(sel Selection, closeConn bool) error {
	for _, mb := range m.Members(sel) {
		mb.Disconnect(closeConn)
	}
	return nil
}

// Fetch describes the members meant by sel.
func (m *Memory) Fetch(_ context.Context, sel Selection) ([]Info, error) {
	members := m.Members(sel)
	infos := make([]Info, len(members))
	for i, mb := range members {
		infos[i] = mb.Info()
	}
	return infos, nil
}

// ServerSideEmit does nothing: there is no other process.
func (m *Memory) ServerSideEmit(context.Context, string, []any, func(ServerAnswer)) error { return nil }

// ServerCount is 1.
func (m *Memory) ServerCount(context.Context) (int, error) { return 1, nil }
