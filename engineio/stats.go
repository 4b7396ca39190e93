package engineio

import "sync/atomic"

// Stats counts what happened since the server was made.
type Stats struct {
	Sessions          int    // open or closing now
	Refused           uint64 // requests answered with an error
	ParseErrors       uint64 // sessions ended for an invalid packet
	TransportErrors   uint64 // sessions ended for a broken connection or protocol
	PingTimeouts      uint64
	InboundOverflows  uint64 // see Session.Await
	OutboundOverflows uint64 // see Overflow
	VolatileDropped   uint64 // volatile messages that could not leave at once
}

type counters struct {
	refused, parseErrors, transportErrors, pingTimeouts  atomic.Uint64
	inboundOverflows, outboundOverflows, volatileDropped atomic.Uint64
}

func (c *counters) count(r Reason) {
	switch r {
	case ReasonParseError:
		c.parseErrors.Add(1)
	case ReasonTransportError:
		c.transportErrors.Add(1)
	case ReasonPingTimeout:
		c.pingTimeouts.Add(1)
	case ReasonInboundOverflow:
		c.inboundOverflows.Add(1)
	case ReasonOutboundOverflow:
		c.outboundOverflows.Add(1)
	}
}

// Stats returns the counters as they are now.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Sessions:          s.Sessions(),
		Refused:           c.refused.Load(),
		ParseErrors:       c.parseErrors.Load(),
		TransportErrors:   c.transportErrors.Load(),
		PingTimeouts:      c.pingTimeouts.Load(),
		InboundOverflows:  c.inboundOverflows.Load(),
		OutboundOverflows: c.outboundOverflows.Load(),
		VolatileDropped:   c.volatileDropped.Load(),
	}
}
