package cluster

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/socketio/adapter"
)

// receive handles what comes from the Bus.
func (a *Adapter) receive(m *Message) {
	if m.Namespace != "" && m.Namespace != a.name || !a.admit(m) {
		return
	}
	if a.rec != nil && (m.Offset != Offset{}) {
		defer a.rec.pass(m)
	}
	if m.UID == a.uid {
		return
	}
	switch m.Type {
	case InitialHeartbeat:
		_ = a.publish(&Message{Type: Heartbeat}) // if it does not get through, a later one will
	case Heartbeat:
	case Close:
		a.leave(m.UID)
	case Broadcast:
		a.receiveBroadcast(m)
	case Join:
		_ = a.Memory.JoinAll(m.Opts.selection(), m.Rooms...) // never fails, here and below
	case Leave:
		_ = a.Memory.LeaveAll(m.Opts.selection(), m.Rooms...)
	case Disconnect:
		_ = a.Memory.DisconnectAll(m.Opts.selection(), m.Close)
	case Fetch:
		infos, _ := a.Memory.Fetch(context.Background(), m.Opts.selection())
		a.send(m.UID, &Message{Type: FetchResponse, RequestID: m.RequestID, Members: infos})
	case ServerSideEmit:
		a.host.ServerSideEvent(a.serverEvent(m))
	case Evict:
		a.receiveEvict(m)
	case FetchResponse, ServerSideEmitResponse, BroadcastClientCount, BroadcastAck, EvictResponse:
		a.mu.Lock()
		r := a.requests[m.RequestID]
		if r != nil {
			r.in.Put(notice{message: m})
		}
		a.mu.Unlock()
		if r == nil && m.Who { // a node that was not known when the request began, or is late
			_ = a.publish(&Message{Type: Forget, RequestID: m.RequestID})
		}
	case Forget:
		a.mu.Lock()
		q := a.questions[questionKey{m.UID, m.RequestID}]
		a.mu.Unlock()
		if q != nil {
			q.end()
		}
	default:
		if log := a.opts.Logger; log.Enabled(context.Background(), slog.LevelDebug) {
			log.Debug("cluster: message of unknown type", "namespace", a.name, "node", m.UID, "type", int(m.Type))
		}
	}
}

func (a *Adapter) receiveBroadcast(m *Message) {
	p := &adapter.Packet{
		Namespace:  a.name,
		Event:      m.Event,
		Args:       m.Args.Args(),
		Volatile:   m.Opts.Volatile,
		NoCompress: m.Opts.NoCompress,
	}
	var err error
	switch {
	case m.RequestID != "":
		err = a.ask(m, p)
	case a.rec != nil:
		err = a.rec.deliver(m, p)
	default:
		err = a.Memory.Broadcast(p, m.Opts.selection())
	}
	if err != nil {
		a.opts.Logger.Error("cluster: a broadcast of another node cannot be delivered",
			"namespace", a.name, "node", m.UID, "event", m.Event, "error", err)
	}
}

// serverEvent is what the host gets of an event.
func (a *Adapter) serverEvent(m *Message) adapter.ServerEvent {
	e := adapter.ServerEvent{Event: m.Event, Arguments: m.Args}
	if m.RequestID == "" {
		return e
	}
	var answered atomic.Bool
	e.Answer = func(v any) error {
		args, err := adapter.NewValues(v)
		if err == nil && answered.CompareAndSwap(false, true) {
			a.send(m.UID, &Message{Type: ServerSideEmitResponse, RequestID: m.RequestID, Args: args})
		}
		return err
	}
	return e
}

// question is a broadcast of another node that asks our members.
type question struct {
	adapter *Adapter
	key     questionKey
	who     bool
	timer   wheel.Timer

	mu    sync.Mutex
	posed *adapter.Question
	early []adapter.Answer // those that came before the node knows of how many members
	open  int              // how many have not answered
	ended bool
}

type questionKey struct{ uid, request string }

// ask poses the question of another node. It tells the node how many members it is to hear of, and then of each.
func (a *Adapter) ask(m *Message, p *adapter.Packet) error {
	q := &question{adapter: a, key: questionKey{m.UID, m.RequestID}, who: m.Who}
	a.mu.Lock()
	if a.closed || a.questions[q.key] != nil {
		a.mu.Unlock()
		return nil
	}
	a.questions[q.key] = q
	// A node that wants to know who answers says when it waits no more. Others end by themselves.
	limit := m.Opts.Timeout
	if limit == 0 && !q.who {
		limit = a.opts.RequestTimeout
	}
	if limit > 0 {
		a.wheel.Schedule(&q.timer, limit, q.end)
	}
	a.mu.Unlock()

	posed, err := a.Memory.Pose(p, m.Opts.selection(), q.answer)
	q.mu.Lock()
	count := &Message{Type: BroadcastClientCount, RequestID: m.RequestID, Who: q.who}
	if err == nil {
		targets := posed.Members()
		if count.Count = len(targets); q.who && count.Count <= maxTargets {
			count.Targets = targets
		}
	}
	a.send(m.UID, count)
	for _, answer := range q.early {
		q.send(answer)
	}
	q.early = nil
	q.posed, q.open = posed, q.open+count.Count
	done := q.open == 0
	if q.ended && posed != nil {
		posed.Forget()
	}
	q.mu.Unlock()
	if done {
		q.end()
	}
	return err
}

// answer is called for each member once.
func (q *question) answer(answer adapter.Answer) {
	q.mu.Lock()
	q.open--
	if q.posed == nil {
		q.early = append(q.early, answer)
	} else if !q.ended {
		q.send(answer)
	}
	done := q.posed != nil && q.open == 0
	q.mu.Unlock()
	if done {
		q.end()
	}
}

func (q *question) send(answer adapter.Answer) {
	m := &Message{Type: BroadcastAck, RequestID: q.key.request}
	err := answer.Err
	if err == nil {
		m.Args, err = adapter.ValuesOf(answer.Arguments)
	}
	if q.who {
		m.ID, m.Left = answer.ID, err != nil
	} else if err != nil {
		return // this would be taken for an answer
	}
	q.adapter.send(q.key.uid, m)
}

// end forgets the question.
func (q *question) end() {
	a := q.adapter
	a.mu.Lock()
	delete(a.questions, q.key)
	a.mu.Unlock()
	a.wheel.Stop(&q.timer)
	q.mu.Lock()
	posed, ended := q.posed, q.ended
	q.ended = true
	q.mu.Unlock()
	if posed != nil && !ended {
		posed.Forget()
	}
}
