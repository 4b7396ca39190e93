package cluster

import (
	"context"

	"github.com/perch-go/perch/socketio/adapter"
)

// Bus is safe for concurrent use. It carries the messages of one namespace between the nodes of a cluster. Who implements
// it brings a broker into Socket.IO; it is all that has to be written for one.
//
// What has to be true of a Bus:
//
//   - Publish and Send do not wait for the broker: they encode, queue within a bound, and return an error if they
//     cannot. What m refers to may change when they have returned.
//   - A message that was taken is usually delivered; at most once is enough, as requests have a time limit. While the
//     broker cannot be reached a Bus keeps trying, and it is its to say so in the log.
//   - What one node publishes, another receives in that order. What it sends to a single node may overtake this or
//     be overtaken.
//   - At least once is enough, too: by Message.Seq a node knows one that comes again. A message may also come to the
//     node it is from, or to nodes that it is not for: they ignore it.
//   - An error of Publish or Send means that the message was not taken: it cannot be encoded, or the queue is full, or
//     the Bus is closed.
type Bus interface {
	// Subscribe is called once, before anything else. What comes from now on goes to receive, one message at
	// a time; receive does not block. Publish waits in the queue for the subscription, so that answers to what
	// it says are heard.
	Subscribe(receive func(*Message))
	// Publish takes a message to all nodes of the namespace.
	Publish(m *Message) error
	// Send takes a message to the node called uid.
	Send(uid string, m *Message) error
	// Close sends what is queued as far as this is done at once, and ends. After it at most one more message,
	// one that was being received, reaches receive. It may be called by receive.
	Close() error
}

// Counter is safe for concurrent use. It is implemented by a Bus whose broker knows how many nodes there are, so that those count which send no
// heartbeats.
type Counter interface {
	// Count is the number of nodes of the namespace, this one included.
	Count(ctx context.Context) (int, error)
}

// Pinger is safe for concurrent use. It is implemented by a Bus that knows whether its broker can be reached.
type Pinger interface {
	// Ping returns why it cannot be reached now, or nil, and does not wait for longer than ctx.
	Ping(ctx context.Context) error
}

// RoomObserver is safe for concurrent use. It is implemented by a Bus that receives only what concerns the rooms of its node.
type RoomObserver interface {
	// RoomEvents returns what is to be told when rooms of this node come and go.
	RoomEvents() adapter.RoomEvents
}

// OpenBus is safe for concurrent use. It opens the Bus of a namespace for the node called uid, and does not wait for the
// broker.
type OpenBus func(namespace, uid string) Bus
