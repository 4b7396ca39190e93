package cluster

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/perch-go/perch/internal/inbox"
	"github.com/perch-go/perch/socketio/adapter"
)

// request is something that other nodes have been asked for. All but in belongs to the goroutine that waits for it.
type request struct {
	id string
	in *inbox.Inbox[notice]
	// missing are the nodes that have not answered. Beyond them there are some whose names are not known, if a
	// Counter says so.
	missing  map[string]bool
	nameless int
	answers  int // of nodes, or in Ask of members
}

// notice is what a request is told: one of these.
type notice struct {
	message *Message
	gone    string          // a node that has closed or is taken for dead
	local   *adapter.Answer // of a member of this process
	closed  bool            // the adapter
}

// begin registers a request to the nodes that are there.
func (a *Adapter) begin(ctx context.Context) (*request, error) {
	count := 0
	if c, ok := a.bus.(Counter); ok {
		var err error
		if count, err = c.Count(ctx); err != nil {
			return nil, &UnreachedError{err}
		}
	}
	r, err := a.register(func(*peer) bool { return true })
	if err == nil {
		r.nameless = max(count-1-len(r.missing), 0)
	}
	return r, err
}

// register registers a request to those of the nodes that are there.
func (a *Adapter) register(asked func(*peer) bool) (*request, error) {
	r := &request{id: newID(), in: inbox.New[notice](), missing: make(map[string]bool)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	for _, uid := range a.alive() {
		if asked(a.peers[uid]) {
			r.missing[uid] = true
		}
	}
	a.requests[r.id] = r
	return r, nil
}

func (a *Adapter) finish(r *request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.requests, r.id)
}

// heard notes that a node has answered, and reports whether it was the first time.
func (r *request) heard(uid string, before map[string]bool) bool {
	if before[uid] {
		return false
	}
	before[uid] = true
	if r.missing[uid] {
		delete(r.missing, uid)
	} else if r.nameless > 0 {
		r.nameless--
	}
	return true
}

func (r *request) incomplete(cause error) *adapter.IncompleteError {
	return &adapter.IncompleteError{
		Answers: r.answers,
		Nodes:   slices.Sorted(maps.Keys(r.missing)),
		Missing: max(len(r.missing)+r.nameless, 1),
		Cause:   cause,
	}
}

// limit gives a context without deadline one.
func (a *Adapter) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, a.opts.RequestTimeout)
}

// query publishes a request to which every node gives one answer, and waits for them. gone is called for nodes that
// will not answer.
func (a *Adapter) query(ctx context.Context, m *Message, answered func(*Message), gone func(uid string)) error {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	r, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer a.finish(r)
	m.RequestID = r.id
	if err := a.publish(m); err != nil {
		return r.incomplete(err)
	}
	before := make(map[string]bool)
	for len(r.missing)+r.nameless > 0 {
		notices, err := r.in.Take(ctx)
		if err != nil {
			return r.incomplete(err)
		}
		for _, n := range notices {
			switch {
			case n.closed:
				return r.incomplete(ErrClosed)
			case n.message != nil:
				if r.heard(n.message.UID, before) {
					r.answers++
					answered(n.message)
				}
			case r.missing[n.gone]:
				r.heard(n.gone, before)
				gone(n.gone)
			}
		}
	}
	return nil
}

// Fetch describes the members meant by sel, wherever they are. If an [*adapter.IncompleteError] names nodes, theirs are
// not among them.
func (a *Adapter) Fetch(ctx context.Context, sel adapter.Selection) ([]adapter.Info, error) {
	infos, err := a.Memory.Fetch(ctx, sel)
	if err != nil || sel.Local {
		return infos, err
	}
	err = a.query(ctx, &Message{Type: Fetch, Opts: packOpts(nil, sel)}, func(m *Message) {
		infos = append(infos, m.Members...)
	}, func(string) {})
	return infos, err
}

// ServerSideEmit sends an event to the other nodes. A node that goes before it has answered is an answer with
// ErrLeft.
func (a *Adapter) ServerSideEmit(ctx context.Context, event string, args []any, answer func(adapter.ServerAnswer)) error {
	values, err := adapter.NewValues(args...)
	if err != nil {
		return err
	}
	m := &Message{Type: ServerSideEmit, Event: event, Args: values}
	if answer == nil {
		return a.publish(m)
	}
	return a.query(ctx, m, func(m *Message) {
		answer(adapter.ServerAnswer{Node: m.UID, Arguments: m.Args})
	}, func(uid string) {
		answer(adapter.ServerAnswer{Node: uid, Err: adapter.ErrLeft})
	})
}

// survey is an Ask: a request in which each node says how many members it has asked, and then what each of them
// answers.
type survey struct {
	*request
	counted map[string]bool
	nodes   map[string]*tally
	local   map[string]bool // members of this process that have not answered
	answer  func(adapter.Answer)
}

// tally is what is known of the members of a node.
type tally struct {
	open    int             // how many have not answered; negative while answers have overtaken the count
	targets map[string]bool // those of them that are known
	heard   map[string]bool // those known to have answered
	gone    bool            // the node was taken for dead: what it still says is too late
}

// Ask is Broadcast that asks each member for an acknowledgement, wherever it is. Of a node that goes all members leave. It
// waits as long as ctx lets it.
func (a *Adapter) Ask(ctx context.Context, p *adapter.Packet, sel adapter.Selection, answer func(adapter.Answer)) error {
	if sel.Local {
		return a.Memory.Ask(ctx, p, sel, answer)
	}
	args, err := adapter.NewValues(p.Args...)
	if err != nil {
		return err
	}
	r, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer a.finish(r)
	s := &survey{request: r, counted: make(map[string]bool), nodes: make(map[string]*tally), local: make(map[string]bool), answer: answer}
	opts := packOpts(p, sel)
	if deadline, ok := ctx.Deadline(); ok {
		opts.Timeout = max(time.Until(deadline), time.Millisecond)
	}
	unreached := a.publish(&Message{Type: Broadcast, RequestID: r.id, Event: p.Event, Args: args, Opts: opts, Who: true})
	q, err := a.Memory.Pose(p, sel, func(answer adapter.Answer) { r.in.Put(notice{local: &answer}) })
	if err != nil {
		return err
	}
	for _, id := range q.Members() {
		s.local[id] = true
	}
	for {
		if unreached != nil && len(s.local) == 0 {
			return s.incomplete(unreached)
		}
		if s.complete() {
			return nil
		}
		notices, err := r.in.Take(ctx)
		for _, n := range notices {
			if n.closed {
				err = ErrClosed
			}
			s.take(n)
		}
		if err != nil && !s.complete() {
			q.Forget()
			_ = a.publish(&Message{Type: Forget, RequestID: r.id}) // they have the time limit, too
			return s.incomplete(err)
		}
	}
}

func (s *survey) complete() bool {
	if len(s.local)+len(s.missing)+s.nameless > 0 {
		return false
	}
	for _, t := range s.nodes {
		if t.open > 0 {
			return false
		}
	}
	return true
}

func (s *survey) tally(uid string) *tally {
	t := s.nodes[uid]
	if t == nil {
		t = &tally{targets: make(map[string]bool), heard: make(map[string]bool)}
		s.nodes[uid] = t
	}
	return t
}

func (s *survey) take(n notice) {
	switch {
	case n.local != nil:
		delete(s.local, n.local.ID)
		s.tell(*n.local)
	case n.message != nil && n.message.Type == BroadcastClientCount:
		m := n.message
		t := s.tally(m.UID)
		if t.gone || !s.heard(m.UID, s.counted) {
			return
		}
		t.open += m.Count
		for _, id := range m.Targets {
			if !t.heard[id] {
				t.targets[id] = true
			}
		}
	case n.message != nil && n.message.Type == BroadcastAck:
		m := n.message
		t := s.tally(m.UID)
		if t.gone || m.ID != "" && t.heard[m.ID] {
			return
		}
		t.open--
		t.heard[m.ID] = true
		delete(t.targets, m.ID)
		answer := adapter.Answer{ID: m.ID, Arguments: m.Args}
		if m.Left {
			answer = adapter.Answer{ID: m.ID, Err: adapter.ErrLeft}
		}
		s.tell(answer)
	case n.gone != "":
		s.lose(n.gone)
	}
}

// tell hands over an answer.
func (s *survey) tell(answer adapter.Answer) {
	s.answers++
	s.answer(answer)
}

// lose makes all members leave of whom a node has not told the answer.
func (s *survey) lose(uid string) {
	delete(s.missing, uid)
	t := s.tally(uid)
	t.gone = true
	for _, id := range slices.Sorted(maps.Keys(t.targets)) {
		t.open--
		s.tell(adapter.Answer{ID: id, Err: adapter.ErrLeft})
	}
	for ; t.open > 0; t.open-- {
		s.tell(adapter.Answer{Err: adapter.ErrLeft})
	}
	clear(t.targets)
}

func (s *survey) incomplete(cause error) *adapter.IncompleteError {
	e := s.request.incomplete(cause)
	e.Missing = len(s.missing) + s.nameless + len(s.local)
	e.Members = slices.Collect(maps.Keys(s.local))
	for uid, t := range s.nodes {
		if t.open <= 0 {
			continue
		}
		e.Missing += t.open
		e.Nodes = append(e.Nodes, uid)
		e.Members = slices.AppendSeq(e.Members, maps.Keys(t.targets))
	}
	e.Missing = max(e.Missing, 1)
	slices.Sort(e.Members)
	slices.Sort(e.Nodes)
	return e
}
