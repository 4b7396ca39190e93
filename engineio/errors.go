package engineio

import "errors"

// Reason says why a session ended. The strings are those of the reference server (S-89 to S-94), so
// that code and dashboards which know them go on working; two are ours.
type Reason string

const (
	ReasonPingTimeout       Reason = "ping timeout"        // no pong in time (S-89)
	ReasonTransportClose    Reason = "transport close"     // the peer closed (S-90)
	ReasonTransportError    Reason = "transport error"     // the connection or its use is broken (S-91)
	ReasonParseError        Reason = "parse error"         // invalid Engine.IO packet (S-92)
	ReasonForcedClose       Reason = "forced close"        // closed by the layer above (S-93)
	ReasonForcedServerClose Reason = "forced server close" // closed by this server for a rule broken (S-94)
	ReasonInboundOverflow   Reason = "inbound overflow"    // ours: twice the inbound bound, engine rule 6
	ReasonOutboundOverflow  Reason = "outbound overflow"   // ours: the peer does not keep up, engine rule 6
)

var (
	// ErrClosed is returned by sends on a session that has ended or is ending.
	ErrClosed = errors.New("engineio: session is closed")
	// ErrOutboundFull is returned when a message does not fit into the outbound budget and was
	// not queued. Session.SendWait waits for room.
	ErrOutboundFull = errors.New("engineio: outbound budget of the session is used up")
	// ErrNotWritable is returned when a volatile message was dropped because it could not have
	// been written at once (S-67).
	ErrNotWritable = errors.New("engineio: session is not writable, volatile message dropped")
)
