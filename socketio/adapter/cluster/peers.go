package cluster

import "time"

// emitter is the name of programs that publish and are no nodes.
const emitter = "emitter"

// peer is another node. It is guarded by Adapter.mu.
type peer struct {
	seen      time.Time
	published window // of what it says to all, but for what a log has
	ours      bool   // it counts what it says, as those of Node's do not
	// A node that has been silent for too long is lost, until it speaks again. One that has closed stays
	// closed, whatever comes of it late. Either is remembered for a while.
	lost, closed bool
}

func (p *peer) alive() bool { return !p.lost && !p.closed }

// admit notes that a message has come, and reports whether it is to be handled: its sender is not known to have
// closed, and it did not come before. What a log has was said before that, however late it comes.
func (a *Adapter) admit(m *Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	logged := m.Offset != Offset{}
	if logged {
		if m.Offset.Compare(a.reached) <= 0 {
			return false
		}
		a.reached = m.Offset
	}
	if m.UID == "" || m.UID == emitter || m.UID == a.uid {
		return logged || m.UID != a.uid
	}
	p := a.peers[m.UID]
	if p == nil {
		p = new(peer)
		a.peers[m.UID] = p
	}
	if p.closed {
		return logged
	}
	p.seen, p.lost = time.Now(), false
	if !a.sweeping {
		a.sweeping = true
		a.wheel.Schedule(&a.sweeper, a.opts.HeartbeatTimeout, a.sweep)
	}
	p.ours = p.ours || m.Seq > 0
	return m.Seq == 0 || logged || p.published.first(m.Seq)
}

// alive are the names of the nodes that are there. Called with mu held.
func (a *Adapter) alive() []string {
	var uids []string
	for uid, p := range a.peers {
		if p.alive() {
			uids = append(uids, uid)
		}
	}
	return uids
}

// sweep finds nodes that have been silent for too long, and forgets those that have been gone for as long.
func (a *Adapter) sweep() {
	a.mu.Lock()
	now := time.Now()
	next := a.opts.HeartbeatTimeout
	var lost []string
	for uid, p := range a.peers {
		silent := now.Sub(p.seen)
		limit := a.opts.HeartbeatTimeout
		if !p.alive() {
			limit *= 2
		}
		switch left := limit - silent; {
		case left > tick:
			next = min(next, left)
		case p.alive():
			p.lost = true
			lost = append(lost, uid)
		default:
			delete(a.peers, uid)
		}
	}
	if a.sweeping = len(a.peers) > 0 && !a.closed; a.sweeping {
		a.wheel.Schedule(&a.sweeper, next, a.sweep)
	}
	a.mu.Unlock()
	for _, uid := range lost {
		a.opts.Logger.Warn("cluster: node is silent, it is taken for dead", "namespace", a.name, "node", uid)
		a.gone(uid)
	}
}

// leave notes that a node has closed.
func (a *Adapter) leave(uid string) {
	a.mu.Lock()
	if p := a.peers[uid]; p != nil {
		p.closed = true
	}
	a.mu.Unlock()
	a.gone(uid)
}

// gone tells those who wait for a node that it will not answer, and drops what it has asked.
func (a *Adapter) gone(uid string) {
	a.mu.Lock()
	for _, r := range a.requests {
		r.in.Put(notice{gone: uid})
	}
	var questions []*question
	for key, q := range a.questions {
		if key.uid == uid {
			questions = append(questions, q)
		}
	}
	a.mu.Unlock()
	for _, q := range questions {
		q.end()
	}
}

// beat says that this node lives when it has said nothing else for long enough.
func (a *Adapter) beat() {
	idle := time.Since(a.began) - time.Duration(a.spoke.Load())
	if idle+tick < a.opts.HeartbeatInterval {
		a.schedule(a.opts.HeartbeatInterval - idle)
		return
	}
	next := a.opts.HeartbeatInterval
	if a.publish(&Message{Type: Heartbeat}) != nil {
		next /= 10 // the others wait for it
	}
	a.schedule(next)
}

// schedule sets the time of the next beat.
func (a *Adapter) schedule(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.wheel.Schedule(&a.beater, d, a.beat)
	}
}
