package cluster

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"time"
)

// Log is safe for concurrent use. It is a Bus that keeps what it has carried for a while, and sessions, so that a client can come
// back to any node and get what it missed (S-6): with one, [New] makes adapters that recover members where the host wants it.
//
// What has to be true of a Log, beyond what is true of a Bus:
//
//   - What is [Message.Logged] Publish appends to the log of the namespace, and from the log it comes to every node, the one that
//     has published it included, with its Offset. The log of a namespace has one order, in which all nodes get it without gaps; an
//     entry that comes again comes with the Offset that it had. What one node has published stands in it in that order.
//   - A node gets what is appended after its own first InitialHeartbeat, and may get what is older.
//   - Publish does not call receive, and does not wait for it.
//   - Between what comes from the log and what does not there is no order.
//   - An entry is kept for as long as clients may be away, and as the nodes may take to read it. A bound by number or size is as
//     good: who needs what has gone connects afresh.
//
// The methods below wait for the broker until ctx ends; receive is not called meanwhile by them.
type Log interface {
	Bus
	// Entries are the messages behind one offset and up to another, in order. Those that are no Broadcast may be left out, and
	// Offset is set. If something behind after is not kept any more, or may not be, the first error is an ErrNotKept. The zero
	// offset is the beginning.
	Entries(ctx context.Context, after, upto Offset) iter.Seq2[*Message, error]
	// SaveSession keeps a session for any node of the namespace, for so long. One of the same pid it replaces.
	SaveSession(ctx context.Context, pid string, session []byte, ttl time.Duration) error
	// TakeSession returns a session and forgets it, or nil if there is none. Of all that ask at once, one gets it.
	TakeSession(ctx context.Context, pid string) ([]byte, error)
}

// ErrNotKept is what Log.Entries returns for an offset whose successors have gone.
var ErrNotKept = errors.New("cluster: the log does not reach back so far any more")

// Offset is a plain value: the place of an entry in a log. Offsets are in order as their bytes are; whatever a broker numbers its
// entries with fits in: a counter, or milliseconds and a counter. The zero value is before the first entry.
type Offset [12]byte

// Compare is -1, 0 or 1.
func (o Offset) Compare(other Offset) int { return bytes.Compare(o[:], other[:]) }
