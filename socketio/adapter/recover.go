package adapter

import (
	"context"
	"errors"
	"time"
)

// Recoverer is an adapter that can bring back a member which was lost together with what it missed, connection
// state recovery (S-6). It is optional; [NewRecovering] makes the one of a single process, and package cluster has one over brokers
// that keep a log.
//
// Every event that is neither volatile nor asks for an acknowledgement gets an offset, its place in the one
// order of the namespace, which the client sends back when it returns. The offset is drawn, the packet stored
// and appended to the members under one lock, so that what a client has seen is exactly what stands before the
// offset that it names.
type Recoverer interface {
	Adapter
	// OffsetSize is how long its offsets are, in bytes; all are of one length, so that an encoding can leave a place for the
	// offset before it is drawn. What is replayed has its Packet.Offset already.
	OffsetSize() int
	// Deliver is Broadcast to the member of that id, in the same order. queue is called with it instead of its
	// Prepare and Append, under the ordering lock, or not at all if it was just lost. Without such a member
	// nothing is stored and Deliver returns [ErrLeft].
	Deliver(p *Packet, id string, queue func(Member)) error
	// Save takes the member out as Remove does, and keeps the session until it is restored or too old, the
	// rooms that the member was in included. What is broadcast from now on is kept for it, and none of it is
	// appended to it, not even what had found it before: its offset would speak for what has passed it by.
	Save(s Session)
	// Restore consumes the session of pid. join makes the member of it, or nil if it declines; the member is
	// added with its rooms at a point between two broadcasts, and missed is what it was meant to get before
	// that point and after offset, which is "" for a client that has got nothing. If there is nothing to
	// restore, or not everything any more, ok is false and err says why; join may have been called.
	Restore(ctx context.Context, pid, offset string, join func(Session) Member) (missed []*Packet, ok bool, err error)
}

// Stateful is a Recoverer whose sessions and packets would end with the process, and which can hand them over to the next
// one. It is optional; an adapter that keeps them outside of the process has no need of it.
type Stateful interface {
	Recoverer
	// AppendState appends what is kept to b, and ends it here: Broadcast and Deliver return [ErrClosed] from the moment on
	// that the state is of, Restore finds nothing and Save keeps nothing, so that no packet is promised to anybody who does
	// not get it. If no session is kept, there is no need of a state, and b is returned as it is.
	AppendState(b []byte) ([]byte, error)
	// LoadState takes over what AppendState of another process has appended. It is called before there are members and
	// packets. Sessions that have expired are left out. After an error, which is an [ErrState], nothing has changed.
	LoadState(state []byte) error
}

// Session is a plain value: what is kept of a member that was lost (S-76).
type Session struct {
	PID string // the secret by which its client gets it back
	ID  string
	// Data come from another process as parser.Raw, like those of an [Info].
	Data map[string]any
	// Rooms are those that the member was in, without its own one. The adapter fills them in.
	Rooms []string

	// Expires is when it ends. Save sets it if it is zero; a session that is saved again, because its member
	// was not let in, keeps it.
	Expires time.Time
	// Offset is the one that the client came with when it was restored, and Replayed says that missed packets
	// were sent to it then, ahead of the answer to CONNECT. A client that comes back with that very offset has
	// not seen the answer and may hold any number of those packets already; if it says that it does not, join accepts it and
	// it gets them again.
	Offset   string
	Replayed bool
}

// Stamped is an encoding in which the place of the offset is left free. It is set once, before the packet is
// appended to the first member.
type Stamped interface{ SetOffset(offset string) }

// OffsetSize is the length of the offsets of a [Recovering]. They consist of letters, digits, - and _.
const OffsetSize = 14

// RecoveryOptions is a plain value: what an adapter that recovers connection state has to know (S-6).
type RecoveryOptions struct {
	// MaxDisconnection is how long a session is kept.
	MaxDisconnection time.Duration
	// Notice is how long a server may take to notice that a client is gone. Packets are kept so much longer.
	Notice time.Duration
	// MaxPackets, MaxBytes and MaxSessions bound what is kept; a namespace's oldest goes first.
	MaxPackets, MaxBytes, MaxSessions int
	// Kept counts that, in all namespaces that share it. nil counts each namespace by itself.
	Kept *Kept
	// Prepare makes the encoding that recovered members need, and returns its size.
	Prepare func(p *Packet) (bytes int, err error)
	// AppendPacket appends what LoadPacket of another process makes the packet of again, with its encoding for recovered
	// members and the size that Prepare has told. They are called by a [Stateful], and nil where there is no need of it.
	AppendPacket func(b []byte, p *Packet) ([]byte, error)
	LoadPacket   func(b []byte) (p *Packet, bytes int, err error)
	// Evict ends the member that has this pid, if there is one, as its connection was lost: its client has come to another
	// process. done is called when its session is saved, or at once if there was nobody; it does not block, and neither does
	// Evict. nil is a host that is alone.
	Evict func(pid string, done func(held bool))
	// After calls fn, which does not block, after d unless it is stopped before.
	After func(d time.Duration, fn func()) (stop func())
}

// Why Restore does not.
var (
	ErrNoSession = errors.New("adapter: no session of that pid, or not any more")
	ErrOffset    = errors.New("adapter: not an offset of this namespace")
	ErrMissed    = errors.New("adapter: what was missed is not kept any more")
	ErrDeclined  = errors.New("adapter: the session was declined")
)

var (
	// ErrClosed: what would have to be kept for somebody has been handed over to the next process already.
	ErrClosed = errors.New("adapter: nothing more is kept, the server was shut down")
	// ErrState: the state is damaged, of something else, or comes too late.
	ErrState = errors.New("adapter: not a state that can be loaded")
)
