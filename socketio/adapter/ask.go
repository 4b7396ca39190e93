package adapter

import (
	"context"
	"maps"
	"slices"

	"github.com/perch-go/perch/internal/inbox"
)

// Ask is Broadcast that asks each member for an acknowledgement.
func (m *Memory) Ask(ctx context.Context, p *Packet, sel Selection, answer func(Answer)) error {
	in := inbox.New[Answer]()
	q, err := m.Pose(p, sel, in.Put)
	if err != nil {
		return err
	}
	missing := make(map[string]bool, len(q.members))
	for _, mb := range q.members {
		missing[mb.ID()] = true
	}
	for len(missing) > 0 {
		answers, err := in.Take(ctx)
		if err != nil {
			q.Forget()
			return &IncompleteError{
				Answers: len(q.members) - len(missing),
				Members: slices.Sorted(maps.Keys(missing)),
				Missing: len(missing),
				Cause:   err,
			}
		}
		for _, v := range answers {
			delete(missing, v.ID)
			answer(v)
		}
	}
	return nil
}

// Question is safe for concurrent use. It is what Pose has asked.
type Question struct {
	id      uint64
	members []Member
}

// Members are the ids of those who were asked.
func (q *Question) Members() []string {
	ids := make([]string, len(q.members))
	for i, mb := range q.members {
		ids[i] = mb.ID()
	}
	return ids
}

// Forget takes the question back: nobody waits for the answers any more. One that is just being given may still come.
func (q *Question) Forget() {
	for _, mb := range q.members {
		mb.Forget(q.id)
	}
}

// Pose is the part of Ask that an adapter for a cluster needs of each process: it broadcasts p, which asks for an
// acknowledgement, and returns. answer is called for each member once, by whoever brings the answer, perhaps before Pose
// has returned; it does not block.
func (m *Memory) Pose(p *Packet, sel Selection, answer func(Answer)) (*Question, error) {
	a := audiences.Get().(*audience)
	defer a.release()
	m.gather(a, sel)
	p.ID, p.HasID = m.host.NextID(), true
	for _, mb := range a.members {
		if err := mb.Prepare(p); err != nil {
			return nil, err
		}
	}
	q := &Question{p.ID, slices.Clone(a.members)}
	for _, mb := range q.members {
		id := mb.ID()
		mb.Expect(q.id, func(args Arguments, err error) { answer(Answer{id, args, err}) })
	}
	m.queue(a, p)
	for _, mb := range q.members {
		mb.Flush()
	}
	return q, nil
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
