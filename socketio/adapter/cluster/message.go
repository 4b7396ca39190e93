package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// Type is a plain value: what a message is about. The numbers are those of Socket.IO's own adapters.
type Type int

// What the nodes of a cluster say to each other. All go to every node, but for the responses and the two that
// count, which go to the node that asked.
const (
	InitialHeartbeat       Type = 1  // a node begins; everybody answers with Heartbeat
	Heartbeat              Type = 2  // a node that has been silent lives
	Broadcast              Type = 3  // Event, Args, Opts; with RequestID an acknowledgement is wanted
	Join                   Type = 4  // Opts, Rooms
	Leave                  Type = 5  // Opts, Rooms
	Disconnect             Type = 6  // Opts, Close
	Fetch                  Type = 7  // RequestID, Opts
	FetchResponse          Type = 8  // RequestID, Members
	ServerSideEmit         Type = 9  // Event, Args; with RequestID an answer is wanted
	ServerSideEmitResponse Type = 10 // RequestID, Args[0]
	BroadcastClientCount   Type = 11 // RequestID, Count
	BroadcastAck           Type = 12 // RequestID, Args[0]
	Close                  Type = 13 // a node ends
	// These are ours, and Node's adapters ignore them.
	Forget        Type = 113 // RequestID: the node that asked with it waits no more
	Evict         Type = 114 // RequestID, PID: the client of that session has come to the node that says this
	EvictResponse Type = 115 // RequestID, Held
)

func (t Type) String() string {
	names := [...]string{
		InitialHeartbeat: "INITIAL_HEARTBEAT", Heartbeat: "HEARTBEAT", Broadcast: "BROADCAST",
		Join: "SOCKETS_JOIN", Leave: "SOCKETS_LEAVE", Disconnect: "DISCONNECT_SOCKETS",
		Fetch: "FETCH_SOCKETS", FetchResponse: "FETCH_SOCKETS_RESPONSE",
		ServerSideEmit: "SERVER_SIDE_EMIT", ServerSideEmitResponse: "SERVER_SIDE_EMIT_RESPONSE",
		BroadcastClientCount: "BROADCAST_CLIENT_COUNT", BroadcastAck: "BROADCAST_ACK", Close: "ADAPTER_CLOSE",
	}
	switch {
	case t > 0 && int(t) < len(names):
		return names[t]
	case t == Forget:
		return "FORGET"
	case t == Evict:
		return "EVICT"
	case t == EvictResponse:
		return "EVICT_RESPONSE"
	}
	return "Type(" + strconv.Itoa(int(t)) + ")"
}

// Message is a plain value, not changed once it has been handed over: what one node says to others. The fields that Socket.IO's own adapters do not know, they ignore.
type Message struct {
	// UID is the node that speaks: 16 hexadecimal digits, or "emitter" for a program that is no node.
	UID string
	// Namespace is the one that the message is about.
	Namespace string
	Type      Type
	// Seq numbers what a node publishes, from 1; by it a message that comes twice is known. It is 0 in a
	// response, of which the first is taken, and if the node does not count, as Node's do not.
	Seq uint64

	// RequestID is 16 hexadecimal digits.
	RequestID string
	Opts      Opts
	Event     string
	// Args are the arguments of an event, or the answer: Node's nodes send its first argument only.
	Args    adapter.Values
	Rooms   []string
	Close   bool
	Members []adapter.Info
	Count   int

	// Who is set in a Broadcast that wants to know who answers. Then it is set in BroadcastClientCount, too,
	// which tells the ids of the Targets unless there are very many, and each BroadcastAck tells the ID of its
	// member; one that has Left is told likewise.
	Who     bool
	Targets []string
	ID      string
	Left    bool

	// PID is that of a session, and Held whether somebody had it.
	PID  string
	Held bool

	// Offset is set by a [Log] in what it delivers: the entry's place. It is not sent.
	Offset Offset
}

// Logged reports whether the message is one that a [Log] keeps: what all nodes have to see in one order, and InitialHeartbeat, by
// which a node learns where the log stands when it begins.
func (m *Message) Logged() bool {
	switch m.Type {
	case Broadcast:
		return m.RequestID == ""
	case InitialHeartbeat, Join, Leave, Disconnect:
		return true
	}
	return false
}

// Opts is a plain value: a selection and flags, as they go from node to node.
type Opts struct {
	Rooms      []string
	Except     []string
	Volatile   bool
	NoCompress bool
	// Timeout is how long the node that asks will wait; 0 if it has not said.
	Timeout time.Duration
}

// maxTargets is how many ids a message tells: a broker may not take one that is larger than some hundred kilobytes.
const maxTargets = 4096

func (o Opts) selection() adapter.Selection {
	return adapter.Selection{Rooms: o.Rooms, Except: o.Except, Local: true}
}

// newID returns 16 hexadecimal digits.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
