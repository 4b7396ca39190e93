// Package adapter decides who gets a broadcast, and carries it to the processes where they are.
//
// A namespace of a server hands its sockets to an [Adapter] as [Member]s. The adapter keeps the rooms
// they are in and delivers a [Packet] to a [Selection] of them. It knows neither what a packet looks
// like on the wire nor what a member is: a member makes the encoding it needs and keeps it in the
// packet, so that each encoding is made once however many members share it.
//
// [Memory] is the adapter of a single process, and the one that every other adapter holds its local
// members in. An adapter for a cluster passes a packet on to the other processes and lets Memory
// deliver it here; package cluster is that over any broker, and package adaptertest the contract as a
// test. A [Factory] makes the adapter of each namespace from its [Host]; socketio.Options takes it.
//
// # Across processes
//
// [Adapter.Ask], [Adapter.Fetch] and [Adapter.ServerSideEmit] wait for others. They give what has come
// until their context ends, and with it an [*IncompleteError] that says how much is missing, and whose.
// Who leaves is not waited for: a member that leaves, and the members of a process that does, answer
// with [ErrLeft].
//
// What comes from another process is JSON until somebody wants it to be a Go value: [Values] are such
// arguments, and the data in an [Info] are parser.Raw. Numbers keep all their digits on the way.
//
// # Order
//
// All members of a process see the broadcasts of a namespace in one order. [Adapter.Broadcast] does its
// work in three steps for that: [Member.Prepare] for all, outside any lock; [Member.Append] for all, under the
// namespace's ordering lock, which only queues; [Member.Flush] for all, after it, which writes.
// No lock is held while anything is encoded or written, and a slow reader delays nobody.
//
// # Recovery
//
// A [Recoverer] can bring back a member that was lost, with what it missed. [Recovering] does it within a
// process. It numbers the packets under the ordering lock; the number, as text of a fixed width, is put into
// encodings that were made with a place for it ([Stamped]), and what is stored are these encodings, once for
// all. Of a member it remembers since when it was in which room: what was sent to a room before it came is
// not missed, what was sent before it left is. [Tracking] is that memory by itself, for adapters that
// keep packets elsewhere, as package cluster does over the log of a broker.
package adapter
