package engineio

import (
	"errors"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// violated ends what a peer has broken the protocol or a limit of messages with.
func (ws *webSocket) violated(err error, b *batch) {
	s := ws.session
	var violation *wsframe.Error
	errors.As(err, &violation)
	switch {
	case err == wsframe.ErrFragments:
		err = s.server.met(limitFragments)
	case violation.Code == wsframe.StatusTooBig:
		s.server.met(limitPayload)
	}
	s.Strike()
	b.handOver()
	ws.fail(ReasonTransportError, err, violation.Code)
}

// inTime is asked at the end of each read: a message that is under way may be so for MessageTimeout. It needs no timer: who
// sends nothing at all does not answer pings either.
func (ws *webSocket) inTime(b *batch) bool {
	if ws.frames.Idle() {
		ws.since = 0
		return true
	}
	s := ws.session
	now := sinceEpoch() | 1 // 0 means none
	if ws.since == 0 {
		ws.since = now
		return true
	}
	if time.Duration(now-ws.since)*time.Millisecond <= s.server.opts.Limits.MessageTimeout {
		return true
	}
	s.Strike()
	b.handOver()
	ws.fail(ReasonTransportError, s.server.met(limitMessageTime), wsframe.StatusPolicy)
	return false
}
