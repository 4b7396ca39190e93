package compliance

import (
	"net/http"
	"time"

	"github.com/perch-go/perch/engineio"
)

// MaxPayload is the largest message of the case list, which is far over the default.
const MaxPayload = 16 << 20

// Echo makes a server that answers each message of a plain WebSocket client with the same one, and the
// HTTP handler for it. With compression it compresses all that it may.
func Echo(compression bool) (*engineio.Server, http.Handler, error) {
	// On a busy machine a case may take longer than a heartbeat, and would get a ping that it does not expect.
	o := engineio.Options{MaxPayload: MaxPayload, OutboundBytes: 4 * MaxPayload, PingInterval: time.Hour}
	if compression {
		o.PerMessageDeflate = &engineio.Deflate{Threshold: 1, Level: 1}
	}
	server, err := engineio.New(o, func(*engineio.Session) engineio.Handler { return new(echo) })
	if err != nil {
		return nil, nil, err
	}
	plain := &engineio.Plain{Accept: func(s *engineio.Session, _ *http.Request) (engineio.Handler, error) {
		return &echo{s}, nil
	}}
	return server, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { server.ServePlain(w, r, plain) }), nil
}

type echo struct{ session *engineio.Session }

func (e *echo) HandleMessage(data []byte, binary bool) {
	m := &engineio.Message{Plain: true}
	if binary {
		m.AppendBinary(data)
	} else {
		m.AppendText(data)
	}
	// One that cannot be sent is missed by the client, and its session has ended.
	_ = e.session.Send(m)
}

func (*echo) HandleClose(engineio.Reason, error) {}
