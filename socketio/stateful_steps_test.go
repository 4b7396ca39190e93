package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"
)

// byte takes one from the program; there is always one more.
func (w *world) byte() int {
	if len(w.program) == 0 {
		return 0
	}
	b := w.program[0]
	w.program = w.program[1:]
	return int(b)
}

// pick takes one of n.
func (w *world) pick(n int) int { return w.byte() % n }

func (w *world) note(format string, args ...any) {
	w.steps = append(w.steps, fmt.Sprintf(format, args...))
}

// actions by the first byte of a step, common ones several times. A step whose slot has nobody brings somebody instead.
var actions = [...]func(*world, *peer){
	(*world).poll, (*world).poll, (*world).poll, (*world).poll, (*world).poll, (*world).poll,
	(*world).connect, (*world).connect, (*world).connect, (*world).connect,
	(*world).disconnect,
	(*world).event, (*world).event, (*world).event, (*world).event, (*world).event,
	(*world).upgrade, (*world).upgrade, (*world).upgrade, (*world).upgrade, (*world).upgrade, (*world).upgrade,
	(*world).emit, (*world).emit, (*world).emit,
	(*world).broadcast, (*world).broadcast, (*world).broadcast,
	(*world).room, (*world).room,
	(*world).ask, (*world).ask,
	(*world).answers, (*world).answers,
	(*world).kick,
	(*world).leave,
	(*world).offend,
	(*world).wait, (*world).wait, (*world).wait,
	(*world).longWait,
	(*world).silence,
	(*world).burst, (*world).burst, (*world).burst,
	(*world).stray, (*world).stray,
}

// Places in actions.
const (
	stepPoll    = 0
	stepConnect = 6
)

// step does what the next bytes of the program say.
func (w *world) step() {
	action := w.pick(len(actions))
	slot := w.pick(len(w.slots))
	if w.hurried {
		w.hurried = false
		runtime.Gosched()
	} else {
		w.settle()
	}
	p := w.slots[slot]
	if p == nil || p.isEnded() {
		w.openIn(slot)
		return
	}
	actions[action](w, p)
}

// openIn brings a new client.
func (w *world) openIn(slot int) {
	kind := w.pick(2)
	w.mu.Lock()
	p := w.newPeer()
	w.slots[slot] = p
	w.mu.Unlock()
	w.note("peer %d opens, on WebSocket: %t", p.number, kind == 1)
	if kind == 0 {
		p.poll()
		return
	}
	conn := p.dial()
	w.mu.Lock()
	p.socket = conn
	w.mu.Unlock()
	go p.read(conn)
}

func (w *world) poll(p *peer) {
	if p.conn() != nil {
		return
	}
	w.note("peer %d polls", p.number)
	p.poll()
}

var namespaces = [...]string{"/", "/a", "/slow", "/room/1", "/room/2", "/no", "/nowhere"}

// connect joins a namespace, perhaps with events in the same payload. Who has joined it already breaks a rule.
func (w *world) connect(p *peer) {
	synced(w)
	name, early := namespaces[w.pick(len(namespaces))], w.pick(3)
	p.pay()
	w.mu.Lock()
	v := p.visits[name]
	again := v != nil && !v.over && v.answered
	pending := v != nil && !v.over && !v.answered
	if !again && !pending && p.sid != "" {
		v = &visit{namespace: name, refusable: name == "/no" || name == "/nowhere", rooms: map[string]bool{}, flows: map[string]*flow{}}
		p.visits[name] = v
		p.all = append(p.all, v)
	}
	if again {
		p.cut()
	}
	open := p.sid != "" && (!pending || p.socket != nil) // over polling the answer may be waiting for a poll
	w.mu.Unlock()
	if !open {
		return
	}
	w.note("peer %d connects to %s, again: %t, pending: %t", p.number, name, again, pending)
	packets := []any{"0" + wire(name)}
	if !again && !pending && !v.refusable {
		for range early {
			packets = append(packets, p.next(v, doEcho, 3, false)...)
		}
	}
	p.send(0, packets...)
}

// synced waits, for what has to know how things stand.
func synced(w *world) {
	w.bursts.Wait()
	w.settle()
}

// visit picks a namespace that a peer is in.
func (w *world) visit(p *peer) *visit {
	n := w.byte()
	w.mu.Lock()
	defer w.mu.Unlock()
	var in []*visit
	for _, v := range p.all {
		if v.answered && !v.over {
			in = append(in, v)
		}
	}
	if len(in) == 0 || p.ended {
		return nil
	}
	return in[n%len(in)]
}

func (w *world) disconnect(p *peer) {
	v := w.visit(p)
	if v == nil {
		return
	}
	p.pay()
	w.note("peer %d disconnects from %s", p.number, v.namespace)
	w.mu.Lock()
	v.over = true
	w.mu.Unlock()
	p.send(0, "1"+wire(v.namespace))
}

var sizes = [...]int{0, 1, 20, 20, 200, 3000, 70_000}

// event sends some, perhaps with attachments, the last of which may be left owing.
func (w *world) event(p *peer) {
	v := w.visit(p)
	if v == nil {
		return
	}
	p.pay()
	mode, form, n := w.pick(modes), w.byte(), 1+w.pick(4)
	size := sizes[form/8%len(sizes)]
	w.note("peer %d sends %d events to %s, mode %d, %d bytes, form %d", p.number, n, v.namespace, mode, size, form%8)
	var packets []any
	for range n {
		packets = append(packets, p.next(v, mode, size, form%8 > 4)...)
	}
	if form%8 == 7 { // keeps the last attachment back
		w.mu.Lock()
		p.owed, p.debtor = append(p.owed, packets[len(packets)-1].([]byte)), v
		w.mu.Unlock()
		packets = packets[:len(packets)-1]
	}
	chop := 0
	if form%8 == 1 {
		chop = 3
	}
	p.send(chop, packets...)
	if form == 255 { // for longer than it may
		w.longWait(p)
	}
}

// pay sends the attachments that a peer owes, before anything else.
func (p *peer) pay() {
	p.w.mu.Lock()
	owed := p.owed
	p.owed, p.debtor = nil, nil
	p.w.mu.Unlock()
	for _, b := range owed {
		p.send(0, b)
	}
}

// next makes the next event for a namespace.
func (p *peer) next(v *visit, mode, size int, attached bool) []any {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	seq := v.sent
	v.sent++
	id := ""
	if mode == doAck || mode == doAckLater {
		n := len(p.calls)
		p.calls[n] = &call{visit: v, want: seq}
		id = fmt.Sprint(n)
	}
	if attached {
		head := fmt.Sprintf(`51-%s%s["bytes",%d,%d,%d,{"_placeholder":true,"num":0}]`, wire(v.namespace), id, seq, mode, size)
		return []any{head, []byte(filler(seq, size))}
	}
	return []any{fmt.Sprintf(`2%s%s["in",%d,%d,%d,%q]`, wire(v.namespace), id, seq, mode, size, filler(seq, size))}
}

// upgrade goes one step further, or gives up.
func (w *world) upgrade(p *peer) {
	how := w.pick(16)
	w.mu.Lock()
	probe, probed, pending, upgraded, opened := p.probe, p.probed, p.cancel != nil, p.socket != nil, p.sid != ""
	w.mu.Unlock()
	switch {
	case upgraded || !opened:
	case probe == nil:
		w.note("peer %d begins an upgrade", p.number)
		conn := p.dial()
		w.mu.Lock()
		p.probe, p.probed = conn, false
		w.mu.Unlock()
		go p.read(conn)
		if how > 4 {
			p.write(conn, masked(1, "2probe"))
		}
	case how == 0:
		w.note("peer %d cuts its upgrade", p.number)
		_ = probe.Close()
	case how == 1:
		w.note("peer %d spoils its upgrade", p.number)
		p.write(probe, masked(byte(1+w.pick(10)), []string{"4x", "6", "2probe!", "", "5x", "\x03\xe8"}[w.pick(6)]))
		synced(w)
	case !probed:
		w.note("peer %d probes", p.number)
		p.write(probe, masked(1, "2probe"))
	default:
		if pending && how > 5 { // as clients do; the others do not wait for their poll to return
			<-time.After(noopWait)
			synced(w)
		} else if pending {
			synced(w)
		}
		w.mu.Lock()
		if p.probe != probe || p.gone || p.ended {
			w.mu.Unlock()
			return
		}
		p.socket, p.probe = probe, nil
		w.mu.Unlock()
		w.note("peer %d upgrades, a poll pending: %t", p.number, pending)
		p.write(probe, masked(1, "5"))
	}
}

// noopWait is how long a poll may be pending when an upgrade has been probed.
const noopWait = 30 * time.Millisecond

// deliver notes who is to get the events of a new flow.
func (w *world) deliver(n int, visits ...*visit) (name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names++
	name = fmt.Sprint("s", w.names)
	for _, v := range visits {
		v.flows[name] = &flow{sent: n}
	}
	return name
}

// content is what an event of the server's carries.
func content(seq, size int, attached bool) any {
	if attached {
		return []byte(filler(seq, size))
	}
	return filler(seq, size)
}

func (w *world) emit(p *peer) {
	v := w.visit(p)
	if v == nil {
		return
	}
	n, form := 1+w.pick(5), w.byte()
	w.note("the server emits %d events to peer %d, %s, form %d", n, p.number, v.namespace, form)
	w.emitTo(v, n, form)
}

func (w *world) emitTo(v *visit, n, form int) {
	name, s := w.deliver(n, v), w.socket(v)
	size := sizes[form/2%len(sizes)]
	for i := range n {
		if err := s.Emit("out", name, i, size, content(i, size, form%2 == 1)); err != nil && !w.isOver(v) {
			w.failf("emit: %v", err)
		}
	}
}

func (w *world) isOver(v *visit) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return v.over
}

func (w *world) socket(v *visit) *Socket {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sockets[v.sid].socket
}

// audience are those in a namespace, or in a room of it.
func (w *world) audience(namespace, room string) (visits []*visit) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.peers {
		for _, v := range p.all {
			if v.namespace == namespace && v.answered && !v.over && (room == "" || v.rooms[room]) {
				visits = append(visits, v)
			}
		}
	}
	return visits
}

var roomNames = [...]string{"", "r1", "r2"}

func (w *world) broadcast(p *peer) {
	synced(w)
	v := w.visit(p)
	room, n, form := roomNames[w.pick(len(roomNames))], 1+w.pick(5), w.byte()
	if v == nil {
		return
	}
	w.note("the server broadcasts %d events in %s, room %q, form %d", n, v.namespace, room, form)
	w.broadcastTo(v, room, n, form)
}

func (w *world) broadcastTo(v *visit, room string, n, form int) {
	name, ns := w.deliver(n, w.audience(v.namespace, room)...), w.socket(v).Namespace()
	size := sizes[form/2%len(sizes)]
	for i := range n {
		args := []any{name, i, size, content(i, size, form%2 == 1)}
		var err error
		if room == "" {
			err = ns.Emit("out", args...)
		} else {
			err = ns.To(room).Emit("out", args...)
		}
		if err != nil {
			w.failf("broadcast: %v", err)
		}
	}
}

func (w *world) room(p *peer) {
	synced(w)
	v, room, leave := w.visit(p), roomNames[1+w.pick(2)], w.pick(3) == 0
	if v == nil {
		return
	}
	w.note("peer %d, %s: room %s, leaves: %t", p.number, v.namespace, room, leave)
	s := w.socket(v)
	if leave {
		s.Leave(room)
	} else if err := s.Join(room); err != nil {
		w.failf("join: %v", err)
	}
	w.mu.Lock()
	v.rooms[room] = !leave
	w.mu.Unlock()
}

// ask has the server want an acknowledgement.
func (w *world) ask(p *peer) {
	v := w.visit(p)
	if v == nil {
		return
	}
	w.mu.Lock()
	w.names++
	r := &question{visit: v, value: w.names}
	w.questions = append(w.questions, r)
	w.mu.Unlock()
	w.note("the server asks peer %d, %s: %d", p.number, v.namespace, r.value)
	s := w.socket(v)
	go func() {
		reply, err := s.EmitWithAck(context.Background(), "ask", r.value)
		w.mu.Lock()
		defer w.mu.Unlock()
		if r.done {
			w.failLocked("question %d has two ends", r.value)
		}
		r.done, r.err = true, err
		if err == nil {
			r.err = json.Unmarshal(reply.Raw(0), &r.reply)
		}
	}()
}

func (w *world) answers(p *peer) {
	v := w.visit(p)
	how := w.pick(4)
	if v == nil {
		return
	}
	p.pay()
	w.note("peer %d answers, %s, %d", p.number, v.namespace, how)
	p.answer(v, how)
}

// answer acknowledges what the server has asked; how may be twice, or also what nobody has asked.
func (p *peer) answer(v *visit, how int) {
	p.w.mu.Lock()
	asks := v.asks
	v.asks = nil
	over := v.over || !v.answered
	p.w.mu.Unlock()
	var packets []any
	for _, a := range asks {
		packets = append(packets, fmt.Sprintf("3%s%d[%d]", wire(v.namespace), a.id, -a.value))
		if how == 1 {
			packets = append(packets, fmt.Sprintf("3%s%d[\"again\"]", wire(v.namespace), a.id))
		}
	}
	if how == 2 {
		packets = append(packets, fmt.Sprintf("3%s9007199254740991[]", wire(v.namespace)))
	}
	if len(packets) > 0 && !over {
		p.send(0, packets...)
	}
}

// burst sends in both directions while the next step is done.
func (w *world) burst(p *peer) {
	v := w.visit(p)
	n, form := 1+w.pick(40), w.byte()%8
	if v == nil {
		return
	}
	w.note("a burst of %d to peer %d, %s, form %d, while", n, p.number, v.namespace, form)
	w.hurried = true
	w.bursts.Go(func() {
		runtime.Gosched()
		w.emitTo(v, n, form)
	})
	w.bursts.Go(func() {
		runtime.Gosched()
		w.broadcastTo(v, "", n/2+1, form)
	})
}
