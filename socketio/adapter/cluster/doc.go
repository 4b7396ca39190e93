// Package cluster joins servers, so that a broadcast reaches the sockets of all of them.
//
// [New] makes the [adapter.Factory] of a server that is a node of a cluster. What the nodes say to each other a [Bus]
// carries: whoever has a broker implements that, and has Socket.IO over it. [Memory] is one that joins the nodes of a
// process, for tests.
//
// # Messages
//
// A [Message] is what one node says to others. Numbers, fields and encodings are those of Socket.IO's newer adapters for
// Node.js, so that nodes of either kind can be in one cluster where their Bus speaks to the same broker. Fields of our own
// stand beside theirs; Node's adapters ignore them. By them a node learns who has answered and who has left, and knows a
// message that comes twice.
//
// Arguments that come from another node stay as they came, raw JSON with attachments, to the last digit of their numbers, until a
// member's parser writes them or somebody decodes them.
//
// # Nodes
//
// A node introduces itself with [InitialHeartbeat], which all others answer, and says [Heartbeat] whenever it has been silent
// for Options.HeartbeatInterval. Whatever a node says counts as life. One that nothing was heard of for
// Options.HeartbeatTimeout is taken for dead; one that closes says so. Requests do not wait for either: the members that
// they had have left.
//
// # Requests
//
// A request waits until every node that was known when it began has answered or gone, or until its context ends. Then
// whatever has come is returned, together with an [*adapter.IncompleteError] that names the nodes and members which are
// missing.
//
// # Order
//
// What one node broadcasts arrives everywhere in that order. Two broadcasts of different nodes may arrive in different order
// at different nodes.
//
// # Recovery
//
// Over a Bus that is a [Log], and for a host that wants it, New makes a [Recovering]: a member that was lost on one node comes back
// on any, with what it missed, each event once and those of a node in their order. A node delivers its own broadcasts at once, as it
// does without recovery, so that nothing that is done after one overtakes it, and none waits for the broker. The offset
// that clients get says both how far they have read the log and which broadcasts of their node they have seen ahead of it; any
// node can tell from it what is missing.
//
// What is broadcast to one process only is not kept, and an event is lost to recovery if the Bus does not take it. A node that dies
// has saved no sessions: its clients connect afresh.
package cluster
