package socketio

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/parser"
)

// legacy is what is peculiar to the connection of a client of 2.x, which speaks protocol 3 of Engine.IO and protocol 4 of
// Socket.IO (S-20, spec 3.3). It is guarded by conn.mu; the connection of a later client has none.
//
// Such a client is connected to "/" without asking, is told no id because it makes the same up from the session's, and
// brings a query with the namespace instead of an auth. It recovers nothing.
type legacy struct {
	// lanes are the sockets of each namespace whose lane has not ended. There is more than one where the client has come
	// back before its last events were handled: as all have one id, each waits for those before it to be gone.
	lanes map[string][]*Socket
}

func newLegacy(session *engineio.Session) *legacy {
	if session.Protocol() != 3 {
		return nil
	}
	return &legacy{lanes: make(map[string][]*Socket)}
}

// maxQuery is how many parameters of a namespace's query are looked at, as in the reference.
const maxQuery = 1000

// open connects a client of 2.x to "/".
func (l *legacy) open(c *conn) {
	if l == nil {
		return
	}
	e := new(Event)
	e.packet.Type = parser.Connect
	c.connect(e)
}

// splitQuery takes the query off a packet's namespace. That of CONNECT is the socket's auth, as in the reference.
func (l *legacy) splitQuery(p *parser.Packet) {
	if l == nil {
		return
	}
	namespace, query, _ := bytes.Cut(p.Namespace, []byte{'?'})
	p.Namespace = namespace
	if p.Type != parser.Connect {
		return
	}
	p.Data = nil
	if len(query) == 0 {
		return
	}
	auth := make(map[string]string)
	n := 0
	for pair := range strings.SplitSeq(string(query), "&") {
		if n++; n > maxQuery {
			break
		}
		if name, value, _ := strings.Cut(pair, "="); pair != "" {
			auth[unescape(name)] = unescape(value)
		}
	}
	p.Data, _ = json.Marshal(auth) // strings can always be encoded
}

// unescape leaves what is not escaped properly as it is, like browsers do.
func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

// socketID is the id of a socket, which the client makes up likewise.
func (l *legacy) socketID(session *engineio.Session, namespace string) string {
	switch {
	case l == nil:
		return newID()
	case namespace == "/":
		return session.ID()
	}
	return namespace + "#" + session.ID()
}

// enter reports whether the lane of a new socket may begin. Called with conn.mu held.
func (l *legacy) enter(s *Socket) bool {
	if l == nil {
		return true
	}
	name := s.ns.name
	l.lanes[name] = append(l.lanes[name], s)
	return len(l.lanes[name]) == 1
}

// succeed lets the lane begin that waits for that of s, which has ended.
func (c *conn) succeed(s *Socket) {
	if c.legacy == nil {
		return
	}
	c.mu.Lock()
	lanes := c.legacy.lanes
	waiting := lanes[s.ns.name][1:]
	lanes[s.ns.name] = waiting
	if len(waiting) == 0 {
		delete(lanes, s.ns.name)
	}
	c.mu.Unlock()
	if len(waiting) > 0 {
		c.server.pool.run(waiting[0])
	}
}

// refuseBare answers a CONNECT with what an error of 2.x carries: the data, or the message if there is none or none that the
// client takes.
func (c *conn) refuseBare(namespace string, p connectErrorPayload) {
	data := p.Data
	if data == nil || data == "" {
		data = p.Message
	}
	c.answerError(namespace, data, p.Message)
}
