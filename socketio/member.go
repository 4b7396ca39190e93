package socketio

import (
	"maps"

	"github.com/perch-go/perch/socketio/adapter"
)

// member is a socket as its adapter sees it: the same value under another type, so that what only adapters call is not among the
// methods of Socket.
type member Socket

var _ adapter.Member = (*member)(nil)

func (s *Socket) member() adapter.Member { return (*member)(s) }

func (m *member) socket() *Socket { return (*Socket)(m) }

// socketOf is the socket that a member is.
func socketOf(m adapter.Member) (*Socket, bool) {
	mb, ok := m.(*member)
	return (*Socket)(mb), ok
}

// ID is the socket's.
func (m *member) ID() string { return m.id }

// Prepare makes the encoding that the client understands.
func (m *member) Prepare(p *adapter.Packet) error {
	s := m.socket()
	_, err := s.encoding(p)
	if err == nil {
		s.observe(p.Event, p.Args) // here, because no lock is held
	}
	return err
}

// Append queues a broadcast.
func (m *member) Append(p *adapter.Packet) {
	s := m.socket()
	v, err := s.encoding(p)
	if err != nil {
		return // Prepare has said so
	}
	if p.HasID && !s.expects(p.ID) {
		return // Expect has said why there will be no answer
	}
	err = s.queue(messageOf(v), p.Volatile)
	if err == nil || !p.HasID {
		return // a member that cannot take it does not stop the others
	}
	if a := s.takeAck(p.ID); a != nil {
		a.settle(nil, sendError(err)) // nor does anybody wait for its answer
	}
}

// Flush writes what is queued.
func (m *member) Flush() { m.socket().flush() }

// Expect registers an acknowledgement for a broadcast.
func (m *member) Expect(id uint64, answer func(adapter.Arguments, error)) {
	if err := m.socket().expect(id, &pendingAck{answer: answer}); err != nil {
		answer(nil, err)
	}
}

// Forget takes back Expect.
func (m *member) Forget(id uint64) { m.socket().takeAck(id) }

// Info describes the socket to other processes (S-40).
func (m *member) Info() adapter.Info {
	s, h := m.socket(), &m.handshake
	s.mu.Lock()
	var data map[string]any
	if s.more != nil {
		data = maps.Clone(s.more.data)
	}
	s.mu.Unlock()
	return adapter.Info{
		ID: s.id,
		Handshake: adapter.Handshake{
			Header:      h.Header(),
			Address:     h.RemoteAddr(),
			CrossDomain: h.CrossDomain(),
			Secure:      h.Secure(),
			Issued:      h.Issued(),
			URL:         h.URL().String(),
			Query:       h.Query(),
			Auth:        h.RawAuth(),
		},
		Rooms: s.Rooms(),
		Data:  data,
	}
}

// Disconnect is the socket's.
func (m *member) Disconnect(closeConn bool) { m.socket().Disconnect(closeConn) }
