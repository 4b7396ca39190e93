package adapter

import (
	"slices"
	"sort"
	"sync/atomic"
	"time"
)

// backlog is the last packets of a namespace, numbered without gaps. It is guarded by the ordering lock; what
// it gives to readers does not change any more.
//
// Packets lie in segments, and the oldest segment goes when there is too much: what a bound allows is kept to a
// small part of it.
type backlog struct {
	segments []*segment
	drawn    uint64 // the number of the last packet
	dropped  uint64 // that of the last one which is gone
	packets  int
	bytes    int

	kept                 *Kept
	maxPackets, maxBytes int
	maxAge               time.Duration
}

// Kept is safe for concurrent use. It counts what several namespaces keep for recovery: clients may have any number of them
// made, so bounds that held for each of them would be none. A namespace that is over the bound lets go of its own oldest.
type Kept struct {
	packets, bytes, sessions        atomic.Int64
	droppedPackets, droppedSessions atomic.Uint64
}

// KeptStats is a plain value: what is kept, and what a bound has cost.
type KeptStats struct {
	Packets, Bytes, Sessions int
	// DroppedPackets and DroppedSessions are those that were let go of before their time, because RecoveryOptions.MaxPackets,
	// MaxBytes or MaxSessions was reached.
	DroppedPackets, DroppedSessions uint64
}

// Stats returns the counters as they are now.
func (k *Kept) Stats() KeptStats {
	return KeptStats{
		Packets: int(k.packets.Load()), Bytes: int(k.bytes.Load()), Sessions: int(k.sessions.Load()),
		DroppedPackets: k.droppedPackets.Load(), DroppedSessions: k.droppedSessions.Load(),
	}
}

type segment struct {
	first   uint64
	records []record // of a fixed capacity, so that readers may keep what they saw
	bytes   int
	begun   time.Time
	touched time.Time
}

// record is a packet and whom it was for.
type record struct {
	packet        *Packet
	rooms, except []string
}

// pieces is how many segments a full backlog has, about.
const pieces = 64

// recordOverhead is roughly what a packet takes in memory beside its encoding.
const recordOverhead = 256

// add stores the packet that was drawn last.
func (b *backlog) add(r record, size int, now time.Time) {
	size += recordOverhead
	var s *segment
	if n := len(b.segments); n > 0 {
		s = b.segments[n-1]
	}
	if s == nil || len(s.records) == cap(s.records) || s.bytes > b.maxBytes/pieces || now.Sub(s.begun) > b.maxAge/pieces {
		s = &segment{first: b.drawn, records: make([]record, 0, b.room(s)), begun: now}
		b.segments = append(b.segments, s)
	}
	s.records = append(s.records, r)
	s.bytes += size
	s.touched = now
	b.count(1, size)
	b.trim()
}

// trim lets go of the oldest if there is too much.
func (b *backlog) trim() {
	for len(b.segments) > 0 && (b.kept.packets.Load() > int64(b.maxPackets) || b.kept.bytes.Load() > int64(b.maxBytes)) {
		b.kept.droppedPackets.Add(uint64(len(b.segments[0].records)))
		b.drop()
	}
}

// load begins with what another process has kept. Sizes are those of the segments' packets.
func (b *backlog) load(segments []*segment, sizes [][]int, drawn uint64) {
	b.segments, b.drawn, b.dropped = segments, drawn, drawn
	if len(segments) > 0 {
		b.dropped = segments[0].first - 1
	}
	for i, s := range segments {
		s.records = slices.Clip(s.records)
		for _, size := range sizes[i] {
			s.bytes += size + recordOverhead
		}
		b.count(len(s.records), s.bytes)
	}
	b.trim()
}

func (b *backlog) count(packets, bytes int) {
	b.packets += packets
	b.bytes += bytes
	b.kept.packets.Add(int64(packets))
	b.kept.bytes.Add(int64(bytes))
}

// room is the capacity of the segment that follows s: a quiet namespace has small ones.
func (b *backlog) room(s *segment) int {
	most := max(1, b.maxPackets/pieces)
	if s == nil {
		return min(4, most)
	}
	return min(2*max(1, len(s.records)), most)
}

// drop lets go of the oldest segment.
func (b *backlog) drop() {
	s := b.segments[0]
	b.segments[0] = nil
	b.segments = b.segments[1:]
	b.count(-len(s.records), -s.bytes)
	b.dropped = s.first + uint64(len(s.records)) - 1
}

// sweep lets go of what is too old.
func (b *backlog) sweep(now time.Time) {
	for len(b.segments) > 0 && now.Sub(b.segments[0].touched) > b.maxAge {
		b.drop()
	}
}

// after returns all packets with greater numbers than n, which are all there are if n >= dropped.
func (b *backlog) after(n uint64) []run {
	i := sort.Search(len(b.segments), func(i int) bool {
		s := b.segments[i]
		return s.first+uint64(len(s.records)) > n+1
	})
	runs := make([]run, 0, len(b.segments)-i)
	for _, s := range b.segments[i:] {
		r := run{s.first, s.records}
		if n >= r.first {
			r.records = r.records[n+1-r.first:]
			r.first = n + 1
		}
		runs = append(runs, r)
	}
	return runs
}

// run is some packets in a row.
type run struct {
	first   uint64
	records []record
}
