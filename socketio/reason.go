package socketio

import "github.com/perch-go/perch/engineio"

// Reason is a plain value: why a socket left, in the words of Node's server.
type Reason string

// S-86 to S-94, and some of our own.
const (
	ReasonClientNamespaceDisconnect Reason = "client namespace disconnect"            // S-86: the client left the namespace
	ReasonServerNamespaceDisconnect Reason = "server namespace disconnect"            // S-87: Socket.Disconnect, or a refusal
	ReasonServerShuttingDown        Reason = "server shutting down"                   // S-88: Server.Shutdown
	ReasonPingTimeout                      = Reason(engineio.ReasonPingTimeout)       // S-89: no answer to a ping
	ReasonTransportClose                   = Reason(engineio.ReasonTransportClose)    // S-90: the client closed the connection
	ReasonTransportError                   = Reason(engineio.ReasonTransportError)    // S-91: the connection failed
	ReasonParseError                       = Reason(engineio.ReasonParseError)        // S-92: an invalid Engine.IO packet
	ReasonForcedClose                      = Reason(engineio.ReasonForcedClose)       // S-93: an invalid Socket.IO packet
	ReasonForcedServerClose                = Reason(engineio.ReasonForcedServerClose) // S-94: a valid packet at the wrong time, or a timeout
	ReasonInboundOverflow                  = Reason(engineio.ReasonInboundOverflow)   // more than the inbound budget while an acknowledgement was awaited
	ReasonOutboundOverflow                 = Reason(engineio.ReasonOutboundOverflow)  // more than the outbound budget
	ReasonTooManyRefusals           Reason = "too many refusals"                      // ours: the client went on to ask for what it may not join, see Limits.MaxRefusals
	ReasonRateLimited               Reason = "rate limited"                           // ours: the client went on to send more than it may, see Limits.MaxExcesses
)
