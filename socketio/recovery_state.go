package socketio

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/socketio/adapter"
)

// A state is the magic, the sum of what follows it, and that: the name of the packets' format, when it was written, and each
// namespace's name with what its adapter has handed over. The version is in the magic.
const (
	stateMagic = "perch recovery 1\n"

	// saveTimeout is what a Store has at least.
	saveTimeout = 5 * time.Second
)

var errNotStateful = errors.New("socketio: Recovery.Store is set and the Adapter does not implement adapter.Stateful: leave the Store out if it keeps sessions by itself, as that of a cluster does, or take another adapter")

// carried is what a process before this one has left to namespaces that are not there yet. It is guarded by Server.mu.
type carried struct {
	states map[string][]byte
	timer  wheel.Timer // until nobody can come back to them any more
}

// give gives a namespace what was left to it. Called with Server.mu held.
func (c *carried) give(n *Namespace) {
	if c == nil || n.recovery == nil {
		return
	}
	state, ok := c.states[n.name]
	delete(c.states, n.name)
	if !ok {
		return
	}
	if err := n.recovery.adapter.(adapter.Stateful).LoadState(state); err != nil {
		n.server.opts.Logger.Warn("socketio: clients of a namespace connect afresh", "namespace", n.name, "error", err)
	}
}

// LoadRecovery takes what the process before this one has left in Recovery.Store, and has Shutdown save there. It is called once,
// when the namespaces and the parents that the program names are there and before anybody connects or anything is emitted; without
// a Store it does nothing. It returns nil if there was nothing. An error, which may be an [ErrRecoveryState], is one to log and to
// go on with: clients connect afresh then.
func (s *Server) LoadRecovery(ctx context.Context) error {
	r := s.opts.Recovery
	if r == nil || r.Store == nil {
		return nil
	}
	s.mu.Lock()
	again := s.carried != nil
	if !again {
		s.carried = new(carried)
	}
	s.mu.Unlock()
	if again {
		return errors.New("socketio: LoadRecovery was called before")
	}
	b, err := r.Store.Take(ctx, r.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("socketio: Recovery.Store: %w", err)
	}
	states, err := s.parseState(b)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRecoveryState, err)
	}
	s.carry(states)
	return nil
}

// carry gives what is left to those namespaces that are there, or can be made because their name tells whose child they are. Others
// find it when a client has them made.
func (s *Server) carry(states map[string][]byte) {
	s.mu.Lock()
	c := s.carried
	c.states = states
	for _, ns := range s.namespaces {
		c.give(ns)
	}
	var children []*Namespace
	for name := range maps.Clone(states) {
		p, values := s.parentOfLocked(name)
		if p == nil || s.dynamic >= s.opts.MaxNamespaces {
			continue
		}
		ns := newChild(p, name, values)
		s.namespaces[name] = ns
		s.dynamic++
		children = append(children, ns)
	}
	hooks := append([]*func(*Namespace){}, s.onNamespace...)
	if len(states) > 0 {
		s.wheel.Schedule(&c.timer, s.opts.Recovery.MaxDisconnection, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			clear(c.states)
		})
	}
	s.mu.Unlock()
	for _, ns := range children {
		ns.announce(hooks)
		if !s.opts.KeepEmptyNamespaces {
			s.abandon(ns, ns.afterlife())
		}
	}
}

// saveRecovery hands over to the next process what clients need to come back to it.
func (s *Server) saveRecovery(ctx context.Context, namespaces []*Namespace) error {
	s.mu.Lock()
	c := s.carried
	states := make(map[string][]byte)
	if c != nil {
		maps.Copy(states, c.states)
		s.wheel.Stop(&c.timer)
	}
	s.mu.Unlock()
	if c == nil {
		return nil // what the process before has left was not taken, and is not to be overwritten
	}
	for _, ns := range namespaces {
		if ns.recovery == nil || ns.closed.Load() {
			continue
		}
		state, err := ns.recovery.adapter.(adapter.Stateful).AppendState(nil)
		if err != nil {
			return fmt.Errorf("socketio: namespace %s cannot be saved for recovery: %w", ns.name, err)
		}
		if len(state) > 0 {
			states[ns.name] = state
		}
	}
	if len(states) == 0 {
		return nil
	}
	b := s.appendState(states)
	if most := s.maxState(); len(b) > most {
		return fmt.Errorf("socketio: %d bytes are too many to be saved for recovery, at most %d are: raise Recovery.MaxBytes or keep less with sockets", len(b), most)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := s.opts.Recovery.Store.Save(ctx, s.opts.Recovery.Name, b); err != nil {
		return fmt.Errorf("socketio: Recovery.Store, clients will connect afresh: %w", err)
	}
	return nil
}

// maxState bounds a state: packets with whom they were for, and a kilobyte for each session.
func (s *Server) maxState() int {
	r := s.opts.Recovery
	bytes, sessions := min(r.MaxBytes, maxStateFile/2), min(r.MaxSessions, maxStateFile>>10)
	return min(maxStateFile, 2*bytes+sessions<<10+1<<20)
}

func (s *Server) appendState(states map[string][]byte) []byte {
	b := append([]byte(stateMagic), make([]byte, sha256.Size)...)
	b = appendBytes(b, s.recoverableFormat)
	b = binary.AppendUvarint(b, uint64(time.Now().UnixMilli()))
	for name, state := range states {
		b = appendBytes(b, name)
		b = appendBytes(b, state)
	}
	sum := sha256.Sum256(b[len(stateMagic)+sha256.Size:])
	copy(b[len(stateMagic):], sum[:])
	return b
}

var (
	errStateForeign = errors.New("it is of something else, or of another version")
	errStateDamaged = errors.New("it is damaged")
)

func (s *Server) parseState(b []byte) (map[string][]byte, error) {
	const head = len(stateMagic) + sha256.Size
	switch {
	case len(b) > s.maxState():
		return nil, fmt.Errorf("%d bytes are more than the bounds of Recovery allow, %d", len(b), s.maxState())
	case len(b) < len(stateMagic) || string(b[:len(stateMagic)]) != stateMagic:
		return nil, errStateForeign
	case len(b) < head || sha256.Sum256(b[head:]) != [sha256.Size]byte(b[len(stateMagic):head]):
		return nil, errStateDamaged
	}
	format, b, ok := cutBytes(b[head:])
	written, n := binary.Uvarint(b)
	if !ok || n <= 0 {
		return nil, errStateDamaged
	}
	if string(format) != s.recoverableFormat {
		return nil, fmt.Errorf("its packets are for another Options.Parser: %q", format)
	}
	age := time.Since(time.UnixMilli(int64(written)))
	if age >= s.opts.Recovery.MaxDisconnection {
		return nil, fmt.Errorf("it is too old, %v, and Recovery.MaxDisconnection is %v", age.Round(time.Second), s.opts.Recovery.MaxDisconnection)
	}
	states := make(map[string][]byte)
	for b = b[n:]; len(b) > 0; {
		var name, state []byte
		if name, b, ok = cutBytes(b); !ok {
			return nil, errStateDamaged
		}
		if state, b, ok = cutBytes(b); !ok {
			return nil, errStateDamaged
		}
		states[string(name)] = state
	}
	return states, nil
}

func appendBytes[T string | []byte](b []byte, p T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

func cutBytes(b []byte) (p, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true
}

// What a stored packet is, beside its offset and its payloads.
const (
	storedNoCompress = 1 << iota
	storedBinary     // a payload
)

// appendPacket appends an event as those get it who have missed it.
func (s *Server) appendPacket(b []byte, p *adapter.Packet) ([]byte, error) {
	v, err := s.recoverable(p)
	if err != nil {
		return b, err
	}
	m := messageOf(v)
	b = appendBytes(b, p.Offset)
	b = append(b, flagOf(m.NoCompress, storedNoCompress))
	for payload, binary := range m.Payloads() {
		b = append(b, flagOf(binary, storedBinary))
		b = appendBytes(b, payload)
	}
	return b, nil
}

func flagOf(on bool, flag byte) byte {
	if on {
		return flag
	}
	return 0
}

// loadPacket is its reverse.
func (s *Server) loadPacket(namespace string, b []byte) (*adapter.Packet, int, error) {
	offset, b, ok := cutBytes(b)
	if !ok || len(b) == 0 {
		return nil, 0, errStateDamaged
	}
	m := &engineio.Message{NoCompress: b[0]&storedNoCompress != 0}
	for b = b[1:]; len(b) > 0; {
		binary := b[0]&storedBinary != 0
		var payload []byte
		if payload, b, ok = cutBytes(b[1:]); !ok {
			return nil, 0, errStateDamaged
		}
		switch {
		case binary:
			m.AppendBinary(payload)
		case utf8.Valid(payload):
			m.AppendText(payload)
		default:
			return nil, 0, errStateDamaged
		}
	}
	p := &adapter.Packet{Namespace: namespace, NoCompress: m.NoCompress, Offset: string(offset)}
	_, err := p.Encoding(s.recoverableFormat, func(*adapter.Packet) (any, error) { return m, nil })
	return p, m.Len(), err
}
