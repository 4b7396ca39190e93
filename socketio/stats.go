package socketio

import (
	"sync/atomic"

	"github.com/perch-go/perch/socketio/adapter"
)

// Stats is a value: what there is, and what clients have done beyond limits since the server was made. What becomes of connections
// counts the engine, see [engineio.Server.Stats]: its Closed says how many have ended for each [Reason].
type Stats struct {
	Namespaces        int // those there are
	DynamicNamespaces int // of these, such as clients have had made and the program has not named

	ConnectTimeouts   uint64 // connections ended because they had joined nothing within Options.ConnectTimeout
	Refused           uint64 // CONNECTs refused, whoever did
	RefusalsExceeded  uint64 // connections ended by Limits.MaxRefusals
	NamespacesRefused uint64 // of the CONNECTs refused, those by Options.MaxNamespaces and Limits.MaxSockets

	InvalidPackets     uint64 // connections ended for a packet that is malformed, beyond MaxAttachments or Limits.MaxDepth, or at the wrong time
	AttachmentTimeouts uint64 // connections ended by Limits.AttachmentTimeout
	AttachmentsTooLong uint64 // connections ended by Limits.MaxAttachmentBytes

	EventsRefused uint64 // events beyond Limits.EventRate or a RateLimit
	RatesExceeded uint64 // connections ended by Limits.MaxExcesses
	AcksRefused   uint64 // questions not asked because of Limits.MaxPendingAcks
	RoomsRefused  uint64 // calls of Join that were beyond Limits.MaxRooms

	Kept adapter.KeptStats // for recovery
}

// counters is safe for concurrent use. Nothing in it changes for what is within limits.
type counters struct {
	connectTimeouts, refused, refusalsExceeded, namespacesRefused atomic.Uint64
	invalidPackets, attachmentTimeouts, attachmentsTooLong        atomic.Uint64
	eventsRefused, ratesExceeded, acksRefused, roomsRefused       atomic.Uint64
}

// aborted counts a connection that was ended because of what its client has done.
func (c *counters) aborted(err error) {
	switch err {
	case errConnectTimeout:
		c.connectTimeouts.Add(1)
	case errPartialTimeout:
		c.attachmentTimeouts.Add(1)
	case errPartialBytes:
		c.attachmentsTooLong.Add(1)
	case errRefusals:
		c.refusalsExceeded.Add(1)
	case errExcesses:
		c.ratesExceeded.Add(1)
	default:
		c.invalidPackets.Add(1)
	}
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	s.mu.RLock()
	namespaces, dynamic := len(s.namespaces), s.dynamic
	s.mu.RUnlock()
	c := &s.stats
	return Stats{
		Namespaces:         namespaces,
		DynamicNamespaces:  dynamic,
		ConnectTimeouts:    c.connectTimeouts.Load(),
		Refused:            c.refused.Load(),
		RefusalsExceeded:   c.refusalsExceeded.Load(),
		NamespacesRefused:  c.namespacesRefused.Load(),
		InvalidPackets:     c.invalidPackets.Load(),
		AttachmentTimeouts: c.attachmentTimeouts.Load(),
		AttachmentsTooLong: c.attachmentsTooLong.Load(),
		EventsRefused:      c.eventsRefused.Load(),
		RatesExceeded:      c.ratesExceeded.Load(),
		AcksRefused:        c.acksRefused.Load(),
		RoomsRefused:       c.roomsRefused.Load(),
		Kept:               s.kept.Stats(),
	}
}
